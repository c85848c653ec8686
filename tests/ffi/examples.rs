//! The C examples do what they say.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::artifacts::{compiler, program, root, said};
use crate::support::ports::Port;
use crate::support::wait::until;

/// For what must happen at some time.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example at work, and the lines that it says. Dropped, it is killed.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody listens any more once the test is over.
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for a line with these words.
    fn says(&self, words: &str) -> String {
        self.says_one_of(&[words])
    }

    /// Waits for a line with some of these words.
    fn says_one_of(&self, words: &[&str]) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{:?} never said {words:?}", self.child));
            if words.iter().any(|words| line.contains(words)) {
                return line;
            }
        }
    }

    /// Asks it to end again and again, until it has.
    fn terminate_in_a_storm(mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        let status = until("its end", || {
            for _ in 0..100 {
                kill_process(pid, Signal::TERM).unwrap();
                thread::yield_now();
            }
            self.child.try_wait().unwrap()
        });
        // Once the program is over, valgrind itself may fall to the signal.
        assert!(status.success() || status.signal() == Some(Signal::TERM.as_raw()), "{status}");
    }

    /// Asks it to end, once it listens to that, and waits until it has; gives what it said meanwhile.
    fn terminate(&mut self) -> Vec<String> {
        let status = format!("/proc/{}/status", self.child.id());
        until("a handler of SIGTERM", || {
            let status = fs::read_to_string(&status).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
            (caught & (1 << (Signal::TERM.as_raw() - 1)) != 0).then_some(())
        });
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        // The end of its stdout is its own.
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).collect();
        let status = until("its end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        lines
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_smallest_example_becomes_active_and_leaves_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("local:{}", folder.path().display());
    let program = minimal_program();
    // Its stdout is a pipe: its lines would come when it ends.
    let mut running = Running::start(Path::new("stdbuf"), &["-oL", program.to_str().unwrap(), &store, "127.0.0.1:1"]);
    running.says("active, with fencing token ");
    assert_eq!(running.terminate(), ["leaving: finish what runs"]);
}

/// What the snippets of the page take for granted.
const AROUND: &str = "#include <coordha.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

extern ha_session *session;
extern ha_error *err;
bool load_more(void *app);
void finish_requests(void *app);
void answer(uint64_t tag, const ha_error *error, const ha_txn *txn);
void connect_to(const char *address, int64_t token);
";

#[test]
fn the_snippets_of_the_page_compile() {
    let page = fs::read_to_string(root().join("docs/c.md")).unwrap();
    // A block that is an example as it stands is built as such.
    let (page, whole) = page.split_once("<!-- from ").unwrap();
    let page = format!("{page}{}", whole.split_once("<!-- end -->").unwrap().1);
    let snippets: Vec<&str> =
        page.split("\n```c\n").skip(1).map(|rest| rest.split_once("\n```\n").unwrap().0).collect();
    assert!(snippets.len() >= 8, "only {}", snippets.len());
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("page.c");
    fs::write(&source, format!("{AROUND}{}\n", snippets.join("\n"))).unwrap();
    let mut compiler = compiler("cc", "c99");
    said(compiler.args(["-Wno-unused-function", "-fsyntax-only"]).arg(source));
}

/// A handler that runs while the session is freed would use it: the header forbids that.
#[test]
fn the_examples_take_their_handlers_away_before_they_free() {
    for name in ["minimal", "coordinator"] {
        let text = fs::read_to_string(root().join(format!("examples/c/{name}.c"))).unwrap();
        let (before, _) = text.split_once("    ha_session_free(session);").unwrap();
        let named = before.split(" signal(").skip(1).map(|rest| rest.split(',').next().unwrap());
        let handled: Vec<&str> = named.filter(|name| name.starts_with("SIG")).collect();
        for signal in handled {
            let last = before.rsplit_once(&format!("signal({signal}, ")).unwrap().1;
            assert!(last.starts_with("SIG_IGN)"), "{name}.c: {signal}");
        }
        assert!(before.contains("signal(SIGTERM, SIG_IGN)"), "{name}.c");
    }
}

/// A program that is ended where it does not end by itself.
fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE.as_secs().to_string()).arg(program);
    command
}

#[test]
fn the_smallest_example_says_what_is_wrong() {
    let output = limited(&minimal_program()).args(["redis://x", "127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("store.url") && said.contains("redis://x"), "{said}");
}

#[test]
fn the_coordinator_says_what_is_no_setting() {
    let output = limited(&coordinator_program()).arg("role").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "coordinator: role: no KEY=VALUE\n");
}

/// As a plain `cc` builds it: with the strict standard, `signal` is for one signal only.
fn minimal_program() -> PathBuf {
    program("examples/c/minimal.c", &["-std=gnu99"])
}

#[test]
fn signals_without_end_meet_no_session_that_is_being_freed() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("local:{}", folder.path().display());
    let log = folder.path().join("valgrind.log");
    let to_log = format!("--log-file={}", log.display());
    let program = minimal_program();
    let arguments = ["--quiet", &to_log, program.to_str().unwrap(), &store, "127.0.0.1:1"];
    let running = Running::start(Path::new("valgrind"), &arguments);
    // Who is known as the holder has been listening to the signal for long.
    let port = Port::take();
    let mut observing = coordinator(&store, &port.address(), &["election.paused=true"]);
    observing.says("holder=127.0.0.1:1 ");
    running.terminate_in_a_storm();
    observing.terminate();
    let said = fs::read_to_string(log).unwrap();
    assert!(!said.contains("Invalid "), "{said}");
}

fn coordinator_program() -> PathBuf {
    program("examples/c/coordinator.c", &["-lmicrohttpd"])
}

fn coordinator_arguments(store: &str, address: &str, more: &[&str]) -> Vec<String> {
    let mut arguments = vec![format!("store.url={store}"), "role=rootcoord".to_owned(), format!("address={address}")];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

fn coordinator(store: &str, address: &str, more: &[&str]) -> Running {
    let arguments = coordinator_arguments(store, address, more);
    Running::start(&coordinator_program(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn client() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
    ureq::Agent::new_with_config(config)
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut response = client().get(format!("http://{address}{path}")).call().unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), body)
}

#[test]
fn the_coordinator_hands_out_ids_and_its_standby_goes_on_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("local:{}", folder.path().display());
    let ports = (Port::take(), Port::take());
    let (first, second) = (ports.0.address(), ports.1.address());
    let root = ["root=test/meta"];
    let mut active = coordinator(&store, &first, &root);
    let line = active.says("kind=ACTIVE ");
    assert!(line.starts_with("event at_ms=") && line.contains(" text=rootcoord ACTIVE "), "{line}");
    let mut standby = coordinator(&store, &second, &root);
    standby.says("kind=STANDBY ");

    for id in 1..=3 {
        assert_eq!(get(&first, "/next"), (200, format!("{id}\n")));
    }
    assert_eq!(get(&second, "/next"), (503, format!("{first}\n")));
    let (_, status) = get(&first, "/status");
    assert!(status.contains(" active=true token="), "{status}");
    assert_eq!(get(&first, "/elsewhere").0, 404);
    let next = format!("http://{first}/next");
    assert_eq!(client().head(&next).call().unwrap().status().as_u16(), 405);
    assert_eq!(client().post(&next).send_empty().unwrap().status().as_u16(), 405);

    active.terminate();
    standby.says("kind=ACTIVE ");
    assert_eq!(get(&second, "/next"), (200, "4\n".to_owned()));
    standby.terminate();
}
