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
use rustix::process::{PidfdFlags, Signal as Number, pidfd_open, pidfd_send_signal};

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

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Standby => "standby command",
        }
    }
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

/// A process that stands ready to become the program, and then is it. It leads a process group of its own.
pub(super) struct Program {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

/// At most one lives at any time.
pub(super) struct Child {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    /// The parent of the program.
    pub(super) keeper: Pid,
    pub(super) keeper_pidfd: OwnedFd,
    pub(super) keeper_is_dead: bool,
    /// From [`Stage::Armed`] on.
    pub(super) program: Option<Program>,
    /// When it was told to go.
    pub(super) since: Instant,
    /// Of the program, or of a keeper that never had one.
    pub(super) death: Option<Death>,
    /// It was told that it is active, or was started so.
    pub(super) acts: bool,
    orders: File,
}

impl Child {
    /// Starts the keeper of what will be `command`.
    pub(super) fn arm(kind: Kind, command: &[OsString], cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let orders = File::from(memfd_create("coordha-orders", MemfdFlags::CLOEXEC)?);
        let own = std::process::id().to_string();
        let mut process = Command::new(exec::program()?);
        process.args(["__keep", "--parent", &own, "--orders"]).arg(format!("/proc/{own}/fd/{}", orders.as_raw_fd()));
        if let Some(cgroup) = cgroup {
            process.arg("--cgroup").arg(cgroup.directory());
        }
        let process = process.arg("--").args(command).arg0("coordha").process_group(0).spawn()?;
        let keeper = Pid::from_raw(process.id().cast_signed());
        // Not reaped before this process does so: the PID is its own.
        let keeper_pidfd = pidfd_open(rustix::process::Pid::from_child(&process), PidfdFlags::empty());
        let keeper_pidfd = keeper_pidfd.inspect_err(|_| {
            let _ = kill(keeper, Signal::SIGKILL);
        })?;
        let (stage, program) = (Stage::Arming, None);
        let (keeper_is_dead, since, death, acts) = (false, 0, None, false);
        Ok(Self { kind, stage, keeper, keeper_pidfd, keeper_is_dead, program, since, death, acts, orders })
    }

    /// The keeper has stopped: the program stands ready below it, or is dead, which the keeper then says by its end.
    pub(super) fn stands_ready(&mut self) {
        self.program = children(self.keeper.as_raw().cast_unsigned()).first().and_then(|pid| {
            let named = rustix::process::Pid::from_raw(pid.as_raw())?;
            Some(Program { pid: *pid, pidfd: pidfd_open(named, PidfdFlags::empty()).ok()? })
        });
        if self.program.is_some() && self.stage == Stage::Arming {
            self.stage = Stage::Armed;
        }
    }

    /// Lets it become the program. The guardian must know it by then.
    pub(super) fn go(&mut self, orders: &Orders) -> io::Result<()> {
        self.orders.write_all_at(&serde_json::to_vec(orders)?, 0)?;
        self.since = clock::now();
        self.stage = Stage::Running;
        let program = self.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(pidfd_send_signal(&program.pidfd, Number::CONT)?)
    }

    /// Whether it was the program, and killed.
    pub(super) fn was_killed(&self) -> bool {
        self.stage == Stage::Killed && self.since != 0
    }

    /// Whether it has ended without becoming the program, as the orders came too late.
    pub(super) fn was_late(&self) -> bool {
        let mut start = [0; exec::LATE.len()];
        self.orders.read_exact_at(&mut start, 0).is_ok() && start == *exec::LATE
    }

    /// The PID of the program; 0: there is none yet.
    pub(super) fn pid(&self) -> i32 {
        self.program.as_ref().map_or(0, |program| program.pid.as_raw())
    }

    /// The process group of the program.
    pub(super) fn group(&self) -> Option<Pid> {
        self.program.as_ref().map(|program| program.pid)
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = self.group() {
            let _ = killpg(group, signal);
        }
    }

    /// Tells its group to stop.
    pub(super) fn stop(&mut self, signal: Signal, grace: Duration) {
        match self.stage {
            Stage::Running => {
                self.stage = Stage::Stopping { kill_at: clock::now().saturating_add(clock::ns(grace)) };
                self.signal_group(signal);
                // One that was stopped by job control would not see it.
                self.signal_group(Signal::SIGCONT);
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
            self.signal_group(Signal::SIGKILL);
        }
        for stray in strays(spared) {
            let _ = kill(stray, Signal::SIGKILL);
        }
    }

    /// Its first process is dead, or must be: kills its group, while its PID still names that.
    pub(super) fn kill_group(&self) {
        self.signal_group(Signal::SIGKILL);
    }

    /// Whether nothing that belongs to it lives.
    pub(super) fn is_gone(&self, cgroup: Option<&Cgroup>, spared: &[Pid]) -> bool {
        self.death.is_some()
            && self.keeper_is_dead
            && cgroup.is_none_or(Cgroup::is_empty)
            && self.group().is_none_or(|group| killpg(group, None) == Err(nix::errno::Errno::ESRCH))
            && strays(spared).is_empty()
    }
}

/// All children but these: the keeper, and where that is dead what it kept, as this process takes orphans in.
fn strays(spared: &[Pid]) -> Vec<Pid> {
    let mut found = children(std::process::id());
    found.retain(|pid| !spared.contains(pid));
    found
}

/// The children of a process that starts and takes in all of them in its first thread.
pub(super) fn children(pid: u32) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
