//! Other processes: this very test binary, started again for one of the roles below.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use coordha::kv::Op;
use coordha::store::Store;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use super::{LIMIT, disk, open, put, writing};

const ROLE: &str = "COORDHA_TEST_ROLE";
const DIRECTORY: &str = "COORDHA_TEST_DIRECTORY";

/// What the test harness exits with where a test failed.
const HARNESS_FAILED: i32 = 101;

/// What stands before a line that is for the parent.
const MARK: &str = "@";

/// A process that plays a role. Dropping it kills it.
pub(crate) struct Child {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub(crate) fn start(role: &str, directory: &Path) -> Self {
        Self::start_by(Command::new(own_binary()), role, directory)
    }

    /// Starts it by a command that runs [`own_binary`] with the arguments that are added.
    pub(crate) fn start_by(mut command: Command, role: &str, directory: &Path) -> Self {
        let mut process = command
            .args(["--exact", "child::plays_the_role_it_is_given", "--nocapture"])
            .env(ROLE, role)
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line that it says; `None` once it is dead.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
            let line = line.expect("the child says something").unwrap()?;
            // The harness begins a line before the test does.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    pub(crate) async fn expect(&mut self, said: &str) {
        assert_eq!(self.line().await.as_deref(), Some(said));
    }

    /// SIGKILL. It stays a zombie until the child is dropped or waited for.
    pub(crate) fn kill(&mut self) {
        self.process.start_kill().unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) {
        self.process.wait().await.unwrap();
    }

    /// Says that a test is left out, where the command that was to start the child may not do what it is for.
    pub(crate) async fn skip(&mut self, what: &str) {
        let code = self.process.wait().await.unwrap().code();
        assert_ne!(code, Some(HARNESS_FAILED), "the child was started and failed");
        let skipped = format!("SKIPPED, as this user may not do it: {what}\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
}

pub(crate) fn own_binary() -> PathBuf {
    std::env::current_exe().unwrap()
}

pub(crate) fn say(text: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{MARK}{text}").unwrap();
    stdout.flush().unwrap();
}

/// Does nothing, unless a test has started this process as a child.
#[tokio::test]
async fn plays_the_role_it_is_given() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    match role.split_once(' ').unwrap_or((&role, "")) {
        ("hold", key) => hold(&directory, key).await,
        ("write", name) => write(&directory, name).await,
        ("open", _) => {
            put(&open(&directory), &format!("opened/{}", std::process::id()), "").await;
            say("opened");
        }
        ("fill", _) => disk::fill(&directory).await,
        _ => panic!("no such role: {role}"),
    }
}

/// Holds a key by a lease that outlasts every test.
async fn hold(directory: &Path, key: &str) {
    let store = open(directory);
    let ttl = Duration::from_secs(36_000);
    let lease = store.grant(ttl, LIMIT).await.unwrap().lease;
    let put = writing(vec![Op::put(key, "held", lease)]);
    store.txn(put, LIMIT).await.unwrap();
    say("held");
    std::future::pending().await
}

/// Writes pairs of keys without a pause, and says the revision of each that was answered.
async fn write(directory: &Path, name: &str) {
    let store = open(directory);
    for n in 0.. {
        let pair = ["a", "b"].map(|half| Op::put(format!("{half}/{name}/{n}"), "x", 0));
        let reply = store.txn(writing(pair.to_vec()), LIMIT).await.unwrap();
        say(&format!("{name}/{n} {}", reply.revision));
    }
}
