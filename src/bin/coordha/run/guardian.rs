//! The guardian: a second process, in a session of its own, that kills the command where `coordha run` cannot: because it was
//! killed itself, or because it was stopped, or starved, until the deadline of its role was near.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child as Process, ChildStdin, Command, ExitCode, Stdio};

use clap::Parser;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{PidfdFlags, getppid, pidfd_open, setsid};
use rustix::time::Timespec;

use super::cgroup::Cgroup;
use super::clock::{Instant, Timer, now};
use super::exec;
use crate::exit::{FAILED, Failure};

/// How long its end is waited for.
const LAST_WAIT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What the guardian is told: all of it each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// The process group; 0: none.
    pub(super) group: i32,
    /// When to kill it, unless told otherwise before; 0: never.
    pub(super) kill_at: Instant,
}

/// The guardian, as `coordha run` sees it.
pub(super) struct Guardian {
    process: Process,
    orders: Option<ChildStdin>,
    told: Charge,
}

impl Guardian {
    pub(super) fn start(cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let mut command = Command::new(exec::program()?);
        command.args(["__guard", "--parent", &std::process::id().to_string()]);
        if let Some(cgroup) = cgroup {
            command.arg("--cgroup").arg(cgroup.directory());
        }
        let mut process = command.arg0("coordha").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let orders = process.stdin.take();
        if let Some(orders) = &orders {
            fcntl_setfl(orders, OFlags::NONBLOCK)?;
        }
        Ok(Self { process, orders, told: Charge::default() })
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    /// Returns once the guardian will act by it whatever becomes of this process.
    pub(super) fn tell(&mut self, charge: Charge) -> io::Result<()> {
        if charge == self.told {
            return Ok(());
        }
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // One write of a few bytes is never torn.
        orders.write_all(format!("{} {}\n", charge.group, charge.kill_at).as_bytes())?;
        self.told = charge;
        Ok(())
    }

    /// Lets it go, and waits until it has cleaned up, a moment at most.
    pub(super) fn dismiss(mut self) {
        drop(self.orders.take());
        let pid = rustix::process::Pid::from_child(&self.process);
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&LAST_WAIT));
        }
    }
}

#[derive(Parser)]
pub(super) struct Args {
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    cgroup: Option<PathBuf>,
}

/// `coordha __guard`
pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let failed = |error: io::Error| Failure::new(FAILED, format!("guardian: {error}"));
    // Whoever asks everything to end means `coordha run`, and its command through it.
    let _ = SigSet::all().thread_block();
    // Out of the reach of what is sent to the group of a terminal.
    setsid().map_err(|e| failed(e.into()))?;
    let cgroup = args.cgroup.as_deref().map(Cgroup::open).transpose().map_err(failed)?;
    let parent = i32::try_from(args.parent).ok().and_then(rustix::process::Pid::from_raw);
    let pidfd = parent.filter(|_| getppid() == parent).map(|parent| pidfd_open(parent, PidfdFlags::empty()));
    let timer = Timer::new().map_err(|e| failed(e.into()))?;
    let mut watch = Watch { cgroup, charge: Charge::default(), unread: Vec::new() };
    let stdin = io::stdin();
    fcntl_setfl(&stdin, OFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
    loop {
        let parent_lives = matches!(&pidfd, Some(Ok(pidfd)) if !is_readable(pidfd));
        // After the look at the parent: what it said last is read, too.
        let open = watch.read(stdin.as_fd());
        if !parent_lives || !open {
            watch.end();
            return Ok(ExitCode::SUCCESS);
        }
        if watch.charge.kill_at != 0 && now() >= watch.charge.kill_at {
            watch.kill();
            watch.charge.kill_at = 0;
            let _ = writeln!(
                io::stderr(),
                "coordha: the guardian has killed the command: its role was not renewed in time"
            );
        }
        timer.set(Some(watch.charge.kill_at).filter(|at| *at != 0));
        if let Some(Ok(pidfd)) = &pidfd {
            let mut fds = [
                PollFd::new(pidfd, PollFlags::IN),
                PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
                PollFd::new(&timer, PollFlags::IN),
            ];
            // An interruption is a reason to look, as any other.
            let _ = poll(&mut fds, None);
        }
    }
}

fn is_readable(fd: &impl std::os::fd::AsFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}

struct Watch {
    cgroup: Option<Cgroup>,
    charge: Charge,
    unread: Vec<u8>,
}

impl Watch {
    /// Takes in what was said; false: nobody will say more.
    fn read(&mut self, fd: std::os::fd::BorrowedFd<'_>) -> bool {
        let mut buffer = [0; 4096];
        let open = loop {
            match rustix::io::read(fd, &mut buffer) {
                Ok(0) => break false,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => break error == rustix::io::Errno::AGAIN,
            }
        };
        if let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.unread.drain(..=end).collect();
            let lines = String::from_utf8_lossy(&lines);
            if let Some((group, kill_at)) = lines.lines().last().and_then(|line| line.split_once(' '))
                && let (Ok(group), Ok(kill_at)) = (group.parse(), kill_at.parse())
            {
                self.charge = Charge { group, kill_at };
            }
        }
        open
    }

    fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        if self.charge.group > 1 {
            let _ = killpg(Pid::from_raw(self.charge.group), Signal::SIGKILL);
        }
    }

    /// Nobody else is left who could kill it.
    fn end(&self) {
        self.kill();
        let Some(cgroup) = &self.cgroup else { return };
        let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !cgroup.is_empty() {
            let _ = poll(&mut [PollFd::new(cgroup.events(), PollFlags::PRI)], Some(&pause));
            cgroup.kill();
        }
        cgroup.remove();
    }
}
