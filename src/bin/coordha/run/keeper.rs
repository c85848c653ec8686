//! `coordha __keep`: the parent of the command. What the command leaves behind comes to it, however it was started, and it
//! kills all of that when the command ends, and all with the command when `coordha run` is dead.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as Nix, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, pidfd_open, set_child_subreaper,
    set_parent_process_death_signal, waitid,
};

use super::{child, exec};
use crate::exit::Failure;

/// How soon what should be gone is looked for again, should no signal say so.
const SOON: Duration = Duration::from_millis(5);

pub(super) fn run(args: &exec::Args) -> Result<ExitCode, Failure> {
    let _ = rustix::thread::set_name(c"coordha-keep");
    keep(args).map_err(|error| Failure::new(exec::NOT_READY, format!("keeper: {error}")))
}

fn keep(args: &exec::Args) -> io::Result<ExitCode> {
    // While nothing acts it need not outlive `coordha run`, nor be continued to see it dead.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = i32::try_from(args.parent).ok().and_then(Pid::from_raw).filter(|parent| getppid() == Some(*parent));
    let parent = pidfd_open(parent.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
    set_child_subreaper(Some(getpid()))?;
    let mut command = Command::new(exec::program()?);
    command.arg0("coordha").args(args.of_program(std::process::id())).process_group(0);
    let pid = Pid::from_child(&command.spawn()?);
    // After that, as the command inherits the mask: who signals everything means the command.
    let _ = SigSet::all().thread_block();
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let ready = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    if let Some(status) = waitid(WaitId::Pid(pid), ready)?.filter(|status| !status.stopped()) {
        let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
        return Ok(ExitCode::from(code.unwrap_or(exec::NOT_READY)));
    }
    // Seen by the parent, which takes note of the command and sends SIGCONT.
    kill_process(getpid(), Signal::STOP)?;
    // From now on it must outlive that, and see it whoever has stopped it.
    set_parent_process_death_signal(Some(Signal::CONT))?;
    let signals =
        SignalFd::with_flags(&[Nix::SIGCHLD].into_iter().collect(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let keeper = Keeper { pid, signals };
    while !is_readable(&parent) && !is_readable(&pidfd) {
        keeper.reap_orphans();
        keeper.wait(&[&parent, &pidfd], None);
    }
    keeper.end(&pidfd);
    Ok(ExitCode::SUCCESS)
}

struct Keeper {
    /// The command. It is left for `coordha run` to reap, which learns so how it ended; until then the PID is its own.
    pid: Pid,
    signals: SignalFd,
}

impl Keeper {
    fn orphans(&self) -> Vec<Pid> {
        let children = child::children(std::process::id());
        children.into_iter().filter_map(|pid| Pid::from_raw(pid.as_raw())).filter(|pid| *pid != self.pid).collect()
    }

    fn reap_orphans(&self) {
        for pid in self.orphans() {
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }

    /// Kills all, generation by generation: whose parent dies comes here.
    fn end(&self, pidfd: &impl AsFd) {
        let _ = killpg(nix::unistd::Pid::from_raw(self.pid.as_raw_nonzero().get()), Nix::SIGKILL);
        loop {
            for pid in self.orphans() {
                let _ = kill_process(pid, Signal::KILL);
            }
            self.reap_orphans();
            if is_readable(pidfd) && self.orphans().is_empty() {
                return;
            }
            self.wait(&[], Some(SOON));
        }
    }

    /// Until one of these is readable or a child has changed.
    fn wait(&self, fds: &[&dyn AsFd], limit: Option<Duration>) {
        let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.signals, PollFlags::IN));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // Whatever it returns, the next turn looks at everything.
        let _ = poll(&mut fds, limit.as_ref());
        while let Ok(Some(_)) = self.signals.read_signal() {}
    }
}

/// Whether it is, now. Of a pidfd: whether that process is dead.
pub(super) fn is_readable(fd: &impl AsFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}
