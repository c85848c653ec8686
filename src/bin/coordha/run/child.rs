//! The process that is, or is about to become, the command.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{PidfdFlags, pidfd_open};

use super::cgroup::Cgroup;
use super::clock::{self, Instant};
use super::exec::{self, Orders};

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The command.
    Command,
    /// What runs while the session stands by, in its place.
    Standby,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// On its way to where it waits.
    Arming,
    /// It waits for its orders.
    Armed,
    /// It is the program.
    Running,
    /// It was told to stop, and is killed at that time.
    Stopping { kill_at: Instant },
    /// It was killed, or has died, with all that it had started; waiting for the last of them to be gone.
    Killed,
}

/// How its first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    Exited(i32),
    Signalled(i32),
}

impl Death {
    /// The exit code that says so, as shells have it.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Exited(status) => u8::try_from(status & 0xff).unwrap_or(u8::MAX),
            Self::Signalled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// At most one lives at any time. It leads a process group of its own.
pub(super) struct Child {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// When it was told to go.
    pub(super) since: Instant,
    pub(super) death: Option<Death>,
    /// It was told that it is active, or was started so.
    pub(super) acts: bool,
    orders: File,
}

impl Child {
    /// Starts what will be `command`. It dies with the calling thread.
    pub(super) fn arm(kind: Kind, command: &[OsString], cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let orders = File::from(memfd_create("coordha-orders", MemfdFlags::CLOEXEC)?);
        let own = std::process::id().to_string();
        let mut process = Command::new(exec::program()?);
        process.args(["__exec", "--parent", &own, "--orders"]).arg(format!("/proc/{own}/fd/{}", orders.as_raw_fd()));
        if let Some(cgroup) = cgroup {
            process.arg("--cgroup").arg(cgroup.directory());
        }
        let process = process.arg("--").args(command).arg0("coordha").process_group(0).spawn()?;
        let pid = Pid::from_raw(process.id().cast_signed());
        let named = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::NotFound)?;
        // Not reaped before this process does so: the PID is its own.
        let pidfd = pidfd_open(named, PidfdFlags::empty());
        let pidfd = pidfd.inspect_err(|_| {
            let _ = kill(pid, Signal::SIGKILL);
        })?;
        Ok(Self { kind, stage: Stage::Arming, pid, pidfd, since: 0, death: None, acts: false, orders })
    }

    /// Lets it become the program. The guardian must know it by then.
    pub(super) fn go(&mut self, orders: &Orders) -> io::Result<()> {
        self.orders.write_all_at(&serde_json::to_vec(orders)?, 0)?;
        self.since = clock::now();
        self.stage = Stage::Running;
        Ok(kill(self.pid, Signal::SIGCONT)?)
    }

    /// Tells its group to stop.
    pub(super) fn stop(&mut self, signal: Signal, grace: Duration) {
        match self.stage {
            Stage::Running => {
                self.stage = Stage::Stopping { kill_at: clock::now().saturating_add(clock::ns(grace)) };
                let _ = killpg(self.pid, signal);
                // One that was stopped by job control would not see it.
                let _ = killpg(self.pid, Signal::SIGCONT);
            }
            Stage::Arming | Stage::Armed => self.stage = Stage::Stopping { kill_at: 0 },
            Stage::Stopping { .. } | Stage::Killed => {}
        }
    }

    /// Kills all that belongs to it. To be called until [`Child::is_gone`].
    pub(super) fn kill(&mut self, cgroup: Option<&Cgroup>, spared: &[Pid]) {
        self.stage = Stage::Killed;
        if let Some(cgroup) = cgroup {
            cgroup.kill();
        }
        if self.death.is_none() {
            // The PID cannot have been used again.
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        for stray in strays(spared) {
            let _ = kill(stray, Signal::SIGKILL);
        }
    }

    /// The first process is dead: kills the rest of its group, while its PID still names it.
    pub(super) fn kill_group(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
    }

    /// Whether nothing that belongs to it lives.
    pub(super) fn is_gone(&self, cgroup: Option<&Cgroup>, spared: &[Pid]) -> bool {
        self.death.is_some()
            && cgroup.is_none_or(Cgroup::is_empty)
            && killpg(self.pid, None) == Err(nix::errno::Errno::ESRCH)
            && strays(spared).is_empty()
    }
}

/// All children but these. Orphans of the command are among them, as this process takes them in.
fn strays(spared: &[Pid]) -> Vec<Pid> {
    let mut found = children();
    found.retain(|pid| !spared.contains(pid));
    found
}

/// The children of this process.
pub(super) fn children() -> Vec<Pid> {
    let own = std::process::id();
    // Children belong to a thread; this one, the first, starts all of them and takes in all orphans.
    let listed = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
