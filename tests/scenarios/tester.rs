//! A tester: a process that is told commands and says what happens.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::order::Order;

/// Longer than anything in a scenario takes. What is waited for comes within it, however much else is said.
const LIMIT: Duration = Duration::from_secs(60);

/// What may be done to a line that a tester said: how a tester that is wrong is made.
pub(crate) type Filter = fn(String) -> Vec<String>;

/// How a tester is started.
#[derive(Clone, Copy)]
pub(crate) struct Kind<'a> {
    /// Its command line.
    pub(crate) command: &'a str,
    pub(crate) filter: Filter,
    /// What it writes to stderr is shown: a sanitizer's report may be there.
    pub(crate) is_sanitized: bool,
}

pub(crate) struct Tester {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    filter: Filter,
    /// Lines that the filter made and nobody has read.
    made: VecDeque<String>,
    /// The events of each session or observer that were said and not looked at yet.
    events: HashMap<String, VecDeque<String>>,
    order: Order,
    /// The token of the last ACTIVATE that was looked at.
    pub(crate) token: String,
    /// What was started last.
    pub(crate) latest: String,
    killed: bool,
}

impl Tester {
    pub(crate) fn start(kind: Kind<'_>) -> Result<Self, String> {
        let command = kind.command;
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(program)
            .args(words)
            .env("COORDHA_LOG", "off")
            // Cargo's own: it would put a library that lies about in the build folder before the installed one.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if kind.is_sanitized { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .map_err(|error| format!("{command}: {error}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err(format!("{command}: no pipes")) };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
            filter: kind.filter,
            made: VecDeque::new(),
            events: HashMap::new(),
            order: Order::default(),
            token: "0".into(),
            latest: String::new(),
            killed: false,
        })
    }

    /// Sends a command, and waits for the answer.
    pub(crate) fn ask(&mut self, command: &str) -> Result<String, String> {
        writeln!(self.stdin, "{command}").map_err(|error| format!("{command}: the tester is gone: {error}"))?;
        let end = Instant::now() + LIMIT;
        loop {
            let line = self.line(end).map_err(|error| format!("{command}: {error:?}"))?;
            if line.starts_with("= ") {
                return Ok(line);
            }
            self.keep(line);
        }
    }

    /// Waits for an event of this kind of a session, or an observer, that has these words in it; first those before it that are
    /// never dropped, then the event.
    pub(crate) fn event(&mut self, session: &str, kind: &str, with: &[&str]) -> Result<Vec<String>, String> {
        let (mut said, mut passed) = (Vec::new(), Vec::new());
        let end = Instant::now() + LIMIT;
        loop {
            let Some(line) = self.events.get_mut(session).and_then(VecDeque::pop_front) else {
                match self.line(end) {
                    Ok(line) => self.keep(line),
                    Err(error) => return Err(format!("{kind}: {error:?}; instead: {said:?}, {passed:?}")),
                }
                continue;
            };
            let words: Vec<&str> = line.split(' ').collect();
            if words.get(2) == Some(&"ACTIVATE") {
                let token = words.iter().find_map(|word| word.strip_prefix("token="));
                self.token = token.unwrap_or("0").into();
            }
            let has = |wanted: &&str| words.iter().any(|word| word == wanted || word.split('=').next() == Some(wanted));
            if words.get(2) == Some(&kind) && with.iter().all(has) {
                said.push(line);
                return Ok(said);
            }
            if words.get(2) == Some(&"ENDED") {
                return Err(format!("{kind}: the session has ended; instead: {said:?}, {passed:?}"));
            }
            let list = if Order::keeps(&line) { &mut said } else { &mut passed };
            list.push(line);
        }
    }

    fn keep(&mut self, line: String) {
        self.order.hear(&line);
        let session = line.split(' ').nth(1).unwrap_or_default().to_owned();
        self.events.entry(session).or_default().push_back(line);
    }

    fn line(&mut self, end: Instant) -> Result<String, RecvTimeoutError> {
        loop {
            if let Some(line) = self.made.pop_front() {
                return Ok(line);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            let line = self.lines.recv_timeout(left)?;
            self.made.extend((self.filter)(line));
        }
    }

    /// Has it free all that it has, and end. Error: it did not, or found something wrong at its end.
    pub(crate) fn quit(&mut self) -> Result<(), String> {
        if self.killed {
            return Ok(());
        }
        let _ = writeln!(self.stdin, "quit");
        let end = Instant::now() + LIMIT;
        loop {
            match self.line(end) {
                Ok(line) if line.starts_with("! ") => self.keep(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err("it does not end".into()),
            }
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    }

    /// What was wrong in the order of its events, of all that it has said.
    pub(crate) fn disorder(&self) -> &[String] {
        self.order.wrong()
    }

    /// How many threads and descriptors it has.
    pub(crate) fn resources(&self) -> (usize, usize) {
        let count = |what: &str| {
            let folder = format!("/proc/{}/{what}", self.child.id());
            std::fs::read_dir(folder).map_or(0, Iterator::count)
        };
        (count("task"), count("fd"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.killed = true;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        self.kill();
    }
}
