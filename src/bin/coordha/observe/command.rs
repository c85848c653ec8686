//! The command of `--exec`: in a process group of its own, of which nothing is left when this process ends.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process_group, set_child_subreaper, test_kill_process_group, wait,
};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::timeout;

use super::Change;
use crate::exit::{FAILED, Failure, USAGE};

/// How long it has between SIGTERM and SIGKILL when this process is told to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long the kernel may take for what was killed.
const KILLED: Duration = Duration::from_secs(1);

/// The command, at most one at a time.
pub(super) struct Runner {
    command: String,
    /// Its shell, and its group.
    running: Option<Pid>,
    /// Groups whose shell has ended, and in which something still runs.
    left: Vec<Pid>,
    deaths: Signals,
}

impl Runner {
    pub(super) fn new(command: &str) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(FAILED, format!("--exec: {error}"));
        // What a shell leaves behind becomes a child of this process, which can wait for it.
        set_child_subreaper(Some(getpid())).map_err(|error| failed(error.into()))?;
        let deaths = signal(SignalKind::child()).map_err(failed)?;
        Ok(Self { command: command.to_owned(), running: None, left: Vec::new(), deaths })
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn start(&mut self, change: &Change) -> Result<(), Failure> {
        let text = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
        let started = Command::new("sh")
            .args(["-c", &self.command])
            .env("HA_ROLE", &change.role)
            .env("HA_ADDRESS", change.address.as_deref().unwrap_or_default())
            .env("HA_SERVER_ID", text(change.server_id))
            .env("HA_TOKEN", text(change.token))
            .env("HA_HOLDER", change.holder.unwrap_or_default())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn();
        let refused = |error| Failure::new(USAGE, format!("--exec {:?}: sh cannot be run: {error}", self.command));
        self.running = Some(Pid::from_child(&started.map_err(refused)?));
        Ok(())
    }

    /// Until the command that runs has ended; `Err`: not well. To be given up at any time.
    pub(super) async fn ended(&mut self) -> Result<(), String> {
        loop {
            match self.reap() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the command ended with {status}")),
                None => self.deaths.recv().await,
            };
        }
    }

    /// Takes in who has died: this process has no other children. The command's own end, if that was it.
    fn reap(&mut self) -> Option<ExitStatus> {
        let mut ended = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.running == Some(pid) {
                self.running = None;
                self.left.push(pid);
                ended = Some(ExitStatus::from_raw(status.as_raw()));
            }
        }
        self.left.retain(|group| test_kill_process_group(*group) != Err(Errno::SRCH));
        ended
    }

    /// SIGTERM to all that the command has started, and SIGKILL where that does not help.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(GRACE, self.all_gone()).await.is_err() {
            self.signal(Signal::KILL);
            let _ = timeout(KILLED, self.all_gone()).await;
        }
    }

    async fn all_gone(&mut self) {
        loop {
            self.reap();
            if self.running.is_none() && self.left.is_empty() {
                return;
            }
            self.deaths.recv().await;
        }
    }

    fn signal(&self, signal: Signal) {
        for group in self.running.iter().chain(&self.left) {
            // It may have ended.
            let _ = kill_process_group(*group, signal);
        }
    }
}

impl Drop for Runner {
    /// Where nobody came to [`Runner::stop`].
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
