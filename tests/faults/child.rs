//! A coordinator in a process of its own: this very test binary, started again, seen and told what to do by lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use coordha::kv::Revision;
use rustix::process::{Pid, Signal, kill_process};

use crate::coordinator::PATIENCE;
use crate::place::Contender;
use crate::referee::{Referee, Span};
use crate::support::seen::Seen;
use crate::support::wait::until;

/// What tells a process that it is such a child: the configuration, as JSON.
pub(crate) const CONFIG: &str = "COORDHA_TEST_CHILD";

/// What stands before a line that is for the parent.
pub(crate) const MARK: char = '@';

/// What it says, and the token with which it said last that it is active.
struct Log {
    lines: Seen<String>,
    active: Mutex<Option<Revision>>,
}

/// Dropping it kills it.
pub(crate) struct Child {
    pub(crate) name: String,
    process: std::process::Child,
    input: ChildStdin,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

/// One event of a child's session.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) kind: String,
    pub(crate) token: Revision,
    pub(crate) reason: String,
    /// Ms since boot.
    pub(crate) at_ms: i64,
}

impl Child {
    pub(crate) fn start(name: &str, config: &[(&'static str, String)], referee: &Arc<Referee>) -> Self {
        // The kernel ends it with its test, should the test not come to that.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        Self::start_by(command, name, config, referee)
    }

    pub(crate) fn start_by(
        mut command: Command,
        name: &str,
        config: &[(&'static str, String)],
        referee: &Arc<Referee>,
    ) -> Self {
        let mut process = command
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "life::child", "--nocapture", "--test-threads=1"])
            .env(CONFIG, serde_json::to_string(config).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let log = Arc::new(Log { lines: Seen::new(String::clone), active: Mutex::default() });
        let (its_log, its_name, referee) = (Arc::clone(&log), name.to_owned(), Arc::clone(referee));
        let reader = std::thread::spawn(move || read(output, &its_log, &its_name, &referee));
        Self { name: name.to_owned(), process, input, log, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has it do something: see `life`.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
        self.input.flush().unwrap();
    }

    /// Has it do something, and gives the answer. All that was asked before must have been answered.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let next = self.lines("reply").len() + 1;
        self.tell(command);
        self.reply(next)
    }

    /// Waits for the n-th answer (from 1).
    pub(crate) fn reply(&self, n: usize) -> String {
        self.line("reply", n)
    }

    /// Waits for the n-th line of a kind (from 1).
    pub(crate) fn line(&self, kind: &str, n: usize) -> String {
        self.until(&format!("{kind} no. {n}"), |lines| of(lines, kind).nth(n - 1).map(str::to_owned))
    }

    pub(crate) fn lines(&self, kind: &str) -> Vec<String> {
        self.log.lines.read(|lines| of(lines, kind).map(str::to_owned).collect())
    }

    fn until<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        self.log.lines.until(&self.name, what, PATIENCE, find)
    }

    /// Waits for the first event of a kind, of a term after `token`.
    pub(crate) fn event_after(&self, token: Revision, kind: &str) -> Told {
        self.until(&format!("{kind} after {token}"), |lines| {
            let mut told = of(lines, "event").map(parse);
            told.find(|told| told.kind == kind && told.token >= token)
        })
    }

    pub(crate) fn active_after(&self, token: Revision) -> Revision {
        self.event_after(token + 1, "ACTIVE").token
    }

    /// Waits until it stands by.
    pub(crate) fn standby(&self) {
        self.event_after(0, "STANDBY");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end by itself.
    pub(crate) fn end(&mut self) {
        let status = until(&format!("the end of {}", self.name), || self.process.try_wait().unwrap());
        assert!(status.success(), "{}: {status}", self.name);
    }
}

impl Contender for Child {
    fn is_active(&self) -> bool {
        self.log.active.lock().unwrap().is_some()
    }

    fn token(&self) -> Revision {
        self.log.active.lock().unwrap().unwrap_or(0)
    }

    fn stop(mut self: Box<Self>) {
        self.tell("stop");
        self.event_after(0, "ENDED");
        self.end();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let Some(reader) = self.reader.take() else { return };
        // Where the test has failed already, a second panic would end all tests.
        if !std::thread::panicking() {
            self.log.lines.until_closed(&self.name, PATIENCE);
            let _ = reader.join();
        }
    }
}

/// The lines of a kind, without it.
fn of<'a>(lines: &'a [String], kind: &str) -> impl Iterator<Item = &'a str> {
    let kind = format!("{kind} ");
    lines.iter().filter_map(move |line| line.strip_prefix(kind.as_str()))
}

fn parse(line: &str) -> Told {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, token, reason, at_ms] = words.as_slice() else {
        panic!("no event: {line}");
    };
    Told {
        kind: (*kind).to_owned(),
        token: token.parse().unwrap(),
        reason: (*reason).to_owned(),
        at_ms: at_ms.parse().unwrap(),
    }
}

fn read(output: impl BufRead, log: &Log, name: &str, referee: &Referee) {
    for line in output.lines() {
        let Ok(line) = line else { break };
        // The harness begins a line before the test does.
        let Some((_, line)) = line.split_once(MARK) else {
            continue;
        };
        if let Some(span) = line.strip_prefix("active ") {
            let numbers: Vec<i64> = span.split(' ').map(|n| n.parse().unwrap()).collect();
            let [token, first, last] = numbers[..] else {
                panic!("no span: {line}");
            };
            *log.active.lock().unwrap() = Some(token);
            referee.saw(name, token, Span { first, last });
        } else if line == "idle" {
            *log.active.lock().unwrap() = None;
        } else if let Some(wrote) = line.strip_prefix("reply wrote ") {
            let numbers: Vec<i64> = wrote.split(' ').map(|n| n.parse().unwrap()).collect();
            referee.wrote(name, numbers[0], numbers[1]);
            log.lines.push(line.to_owned());
        } else {
            log.lines.push(line.to_owned());
        }
    }
    *log.active.lock().unwrap() = None;
    log.lines.close();
}

/// How often a child says that it is still active.
pub(crate) const PULSE: Duration = Duration::from_millis(10);
