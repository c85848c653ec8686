//! The command that is put under an election here: it says at once that it runs, and when, and then does nothing until it is
//! ended, or until nobody hears it any more.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::samples::{Samples, now_ns};

/// More than the longest lease.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that runs. Dropping it lets it end.
pub(crate) struct Mark {
    name: String,
    pid: i32,
    /// When it ran.
    pub(crate) at: i64,
    _line: BufReader<UnixStream>,
}

impl Mark {
    /// SIGKILL, and the time just before it.
    pub(crate) fn kill(&self) -> Result<i64> {
        let pid = Pid::from_raw(self.pid).context("no PID")?;
        let at = now_ns();
        kill_process(pid, Signal::KILL)?;
        Ok(at)
    }

    /// Whether it still runs; one that is dead and not yet reaped does not.
    pub(crate) fn lives(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }
}

/// Where the commands of some contenders say that they run.
pub(crate) struct Marks {
    folder: TempDir,
    taken: Receiver<Result<Mark>>,
}

impl Marks {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join("marks"))?;
        let (sender, taken) = channel();
        std::thread::spawn(move || {
            for line in listener.incoming() {
                if sender.send(read(line)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { folder, taken })
    }

    /// The command, with its arguments, that says so under this name.
    pub(crate) fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg(self.folder.path().join("marks")).arg(name);
        Ok(command)
    }

    /// Waits for the command of this name.
    pub(crate) fn next(&self, name: &str) -> Result<Mark> {
        let mark = self.taken.recv_timeout(PATIENCE);
        let mark = mark.with_context(|| format!("the command of {name} never ran"))??;
        anyhow::ensure!(mark.name == name, "the command of {} ran instead of that of {name}", mark.name);
        Ok(mark)
    }

    /// What the command takes by itself: from just before it is started to the moment at which it says that it runs.
    pub(crate) fn bare_start(&self, samples: &mut Samples) -> Result<()> {
        let mut command = self.command("bare")?;
        let from = now_ns();
        let mut child = Ended(command.spawn()?);
        let mark = self.next("bare")?;
        samples.add(from, mark.at);
        drop(mark);
        child.0.wait()?;
        Ok(())
    }
}

/// Kills it, should it not have come to its end.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(line: std::io::Result<UnixStream>) -> Result<Mark> {
    let mut line = BufReader::new(line?);
    let mut said = String::new();
    line.read_line(&mut said)?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let [name, pid, at] = words[..] else { anyhow::bail!("a command said {said:?}") };
    Ok(Mark { name: name.to_owned(), pid: pid.parse()?, at: at.parse()?, _line: line })
}

/// The command itself: `child SOCKET NAME`.
pub(crate) fn leave_one(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let at = now_ns();
    let socket = arguments.next().context("a socket")?;
    let name = arguments.next().context("a name")?;
    let mut line = UnixStream::connect(socket)?;
    writeln!(line, "{name} {} {at}", std::process::id())?;
    // Until the other side ends.
    let _ = line.read(&mut [0]);
    Ok(())
}
