//! A tester: a process that is told commands and says what happens.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Longer than anything in a scenario takes.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Tester {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// Events that were said and not looked at yet.
    events: VecDeque<String>,
    /// The token of the last ACTIVATE.
    pub(crate) token: String,
    killed: bool,
}

impl Tester {
    /// Starts one by a command line. What it writes to stderr is shown only where it is to end in order: then a sanitizer's
    /// report may be there.
    pub(crate) fn start(command: &str, orderly: bool) -> Result<Self, String> {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(program)
            .args(words)
            .env("COORDHA_LOG", "off")
            // Cargo's own: it would put a library that lies about in the build folder before the installed one.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if orderly { Stdio::inherit() } else { Stdio::null() })
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
        Ok(Self { child, stdin, lines, events: VecDeque::new(), token: "0".into(), killed: false })
    }

    /// Sends a command, and waits for the answer.
    pub(crate) fn ask(&mut self, command: &str) -> Result<String, String> {
        writeln!(self.stdin, "{command}").map_err(|error| format!("{command}: the tester is gone: {error}"))?;
        loop {
            let line = self.line(command)?;
            if line.starts_with("= ") {
                return Ok(line);
            }
            self.events.push_back(line);
        }
    }

    /// Waits for an event of this kind that has these words in it, and passes over those before it.
    pub(crate) fn event(&mut self, kind: &str, with: &[&str]) -> Result<String, String> {
        let mut passed = Vec::new();
        loop {
            let next = self.events.pop_front().map_or_else(|| self.line(kind), Ok);
            let line = next.map_err(|error| format!("{error}; instead: {passed:?}"))?;
            let said = line.split(' ').nth(2);
            if said == Some("ACTIVATE") {
                let token = line.split(' ').find_map(|word| word.strip_prefix("token="));
                self.token = token.unwrap_or("0").into();
            }
            if said == Some(kind) && with.iter().all(|wanted| line.split(' ').any(|word| word == *wanted)) {
                return Ok(line);
            }
            passed.push(line);
        }
    }

    fn line(&mut self, what: &str) -> Result<String, String> {
        self.lines.recv_timeout(LIMIT).map_err(|error| format!("{what}: {error}"))
    }

    /// Has it free all that it has, and end. Error: it did not, or found something wrong at its end.
    pub(crate) fn quit(&mut self) -> Result<(), String> {
        if self.killed {
            return Ok(());
        }
        let _ = writeln!(self.stdin, "quit");
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err("it does not end".into()),
            }
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
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
