//! A session of ours in a process of its own, which can be killed: this very test binary, started again.

use std::io::Write;
use std::process::{Command, Stdio};

use coordha::config::Config;
use coordha::kv::Revision;
use coordha::session::{EventKind, Session};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::lines::{Lines, number};
use crate::place::Arena;
use crate::support;

/// What tells a process that it is such a child: the configuration, as JSON.
const CONFIG: &str = "COORDHA_TEST_MILVUS_CHILD";

/// What stands before a line that is for the parent.
const MARK: &str = "@@";

/// Does nothing, unless a test has started this process as a child.
#[test]
fn child() {
    let Ok(text) = std::env::var(CONFIG) else {
        return;
    };
    let pairs: Vec<(String, String)> = serde_json::from_str(&text).unwrap();
    let mut config = Config::new();
    for (key, value) in pairs {
        config.set(&key, &value).unwrap();
    }
    let session = Session::start(&config, None).unwrap();
    let stopped = session.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Before this process says anything: from then on it may be told to end.
    let mut term = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate()).unwrap()
    };
    std::thread::spawn(move || {
        runtime.block_on(term.recv());
        stopped.request_stop();
        // The handle is kept: its end would end the session.
        stopped.wait(coordha::session::Until::Ended, None).unwrap();
    });
    loop {
        let event = session.next_event(None).unwrap();
        let error = event.error().map_or("none", |error| error.kind().name());
        let mut stdout = std::io::stdout().lock();
        let (kind, id, token) = (event.kind().name(), event.server_id(), event.token());
        writeln!(stdout, "{MARK}{kind} id={id} token={token} error={error}").unwrap();
        stdout.flush().unwrap();
        if event.kind() == EventKind::Ended {
            return;
        }
    }
}

/// Dropping it kills it.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) lines: Lines,
}

impl Child {
    /// Starts one with these keys and values beside the usual ones. Each line it says is told to `each`.
    pub(crate) fn start(
        arena: &Arena<'_>,
        port: u16,
        more: &[(&'static str, &str)],
        each: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let mut pairs = arena.pairs(port);
        pairs.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "child::child", "--nocapture", "--test-threads=1"]);
        command.env(CONFIG, serde_json::to_string(&pairs).unwrap());
        let mut process = spawn_piped(command);
        let name = format!("our process no. {port} next to {}", arena.release);
        let lines = Lines::read(&name, MARK, process.stdout.take().unwrap(), each);
        Self { process, lines }
    }

    pub(crate) fn id(&self) -> i64 {
        number(&self.lines.nth("REGISTERED", 1), "id")
    }

    pub(crate) fn active(&self) -> Revision {
        number(&self.lines.nth("ACTIVE", 1), "token")
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; its session leaves in order.
    pub(crate) fn leave(&self) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn_piped(mut command: Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    support::etcd::member::spawn(command).unwrap()
}
