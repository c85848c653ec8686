//! Child processes that cannot be left behind.

use std::ffi::OsStr;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A child process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

/// A command that the kernel kills when this process is gone, however that ends. Must be started by the main thread.
pub(crate) fn command<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(words);
    command
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        // A group of its own: Ctrl-C is for the demo, which then ends its children in order.
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("{name} cannot be started: {command:?}"))?;
        let name = name.to_owned();
        Ok(Self { name, child })
    }

    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal. The process is not reaped yet, so its PID is its own.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let sent = kill_process(self.raw_pid()?, signal);
        sent.with_context(|| format!("{} cannot be signalled", self.name))
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self, limit: Duration) -> Result<ExitStatus> {
        let pidfd = pidfd_open(self.raw_pid()?, PidfdFlags::empty())?;
        let limit_of_poll = Timespec::try_from(limit)?;
        if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit_of_poll))? == 0 {
            bail!("{} has not ended within {limit:?}", self.name);
        }
        Ok(self.child.wait()?)
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn raw_pid(&self) -> Result<Pid> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        pid.with_context(|| format!("{} has no PID", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
