//! Child processes that say what happens to them: a line with a state and the time in ns at which it began, a line of JSON, or a
//! log.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use super::samples::now_ns;

/// The longest that a state is waited for: more than the longest lease.
const PATIENCE: Duration = Duration::from_secs(120);

/// A child process. Dropped, it is killed.
pub(crate) struct Talker {
    child: Child,
    /// With the time at which each was read.
    lines: Receiver<(String, i64)>,
}

impl Talker {
    /// Starts one. The kernel kills it when the calling thread ends.
    pub(crate) fn start(program: &Command) -> Result<Self> {
        Self::spawn(program, false)
    }

    /// Starts one, whose log on stderr is read as well.
    pub(crate) fn start_logging(program: &Command) -> Result<Self> {
        Self::spawn(program, true)
    }

    fn spawn(program: &Command, with_log: bool) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(program.get_program()).args(program.get_args());
        let (said, output) = std::io::pipe()?;
        if with_log {
            command.stderr(output.try_clone()?);
        }
        let command = command.stdin(Stdio::piped()).stdout(output);
        let child = command.spawn().with_context(|| format!("cannot start {program:?}"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(said).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send((line, now_ns())))
        });
        Ok(Self { child, lines })
    }

    /// One of this program's own children.
    pub(crate) fn start_own(arguments: &[String]) -> Result<Self> {
        let mut program = Command::new(std::env::current_exe()?);
        program.arg("child").args(arguments);
        Self::start(&program)
    }

    /// Reads lines up to the one that says `state`, and gives the number behind it.
    pub(crate) fn expect(&self, state: &str) -> Result<i64> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let (line, _) = line.with_context(|| format!("a child never said {state}"))?;
            let mut words = line.rsplitn(3, ' ');
            let (number, said) = (words.next(), words.next());
            if said == Some(state) {
                let number = number.unwrap_or_default().parse();
                return number.with_context(|| line.clone());
            }
            if said == Some("lost") {
                bail!("a child lost its lease before {state}");
            }
        }
    }

    /// Reads lines up to one that contains this, and gives the time at which it was read.
    pub(crate) fn says(&self, part: &str) -> Result<i64> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let (line, at) = line.with_context(|| format!("a child never said {part}"))?;
            if line.contains(part) {
                return Ok(at);
            }
        }
    }

    /// Tells it a line, and reads the line that it answers.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, command: &str) -> Result<T> {
        let mut input = self.child.stdin.as_ref().context("its input has ended")?;
        writeln!(input, "{command}").with_context(|| format!("it ended before {command}"))?;
        self.read().with_context(|| command.to_owned())
    }

    /// Reads a line of JSON.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let (line, _) = self.lines.recv_timeout(PATIENCE).context("a child said nothing")?;
        serde_json::from_str(&line).with_context(|| line.clone())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends its input, which asks one of our own to leave.
    pub(crate) fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// SIGTERM, and the time just before it.
    pub(crate) fn terminate(&self) -> Result<i64> {
        // It is not reaped yet, so the PID is its own.
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no PID")?;
        let at = now_ns();
        kill_process(pid, Signal::TERM)?;
        Ok(at)
    }

    /// SIGKILL, and the time just before it.
    pub(crate) fn kill(&mut self) -> Result<i64> {
        let at = now_ns();
        self.child.kill()?;
        Ok(at)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
