//! The guardian: a second process, in a session of its own, that kills the command where `coordha run` cannot: because it was
//! killed itself, or because it was stopped, or starved, until the deadline of its role was near.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{PidfdFlags, getppid, pidfd_open, set_parent_process_death_signal, setsid};
use rustix::time::Timespec;

use super::cgroup::Cgroup;
use super::clock::{Instant, Timer, now, ns};
use super::exec;
use super::keeper::is_readable;
use crate::exit::{FAILED, Failure};

/// How long its end is waited for.
const LAST_WAIT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What the guardian is told: all of it each time. It repeats what it goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// The process group; 0: none.
    pub(super) group: i32,
    /// The parent of its first process; 0: none.
    pub(super) keeper: i32,
    /// When to kill it, unless told otherwise before; 0: never.
    pub(super) kill_at: Instant,
}

impl Charge {
    fn line(self) -> String {
        format!("{} {} {}\n", self.group, self.keeper, self.kill_at)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let group = words.next()?.parse().ok()?;
        let keeper = words.next()?.parse().ok()?;
        Some(Self { group, keeper, kill_at: words.next()?.parse().ok()? })
    }
}

/// Charges as they come through a pipe.
#[derive(Default)]
struct Charges {
    unread: Vec<u8>,
}

impl Charges {
    /// The newest whole one, where there is one, and whether more can come.
    fn read(&mut self, fd: BorrowedFd<'_>) -> (Option<Charge>, bool) {
        let mut buffer = [0; 4096];
        let open = loop {
            match rustix::io::read(fd, &mut buffer) {
                Ok(0) => break false,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => break error == rustix::io::Errno::AGAIN,
            }
        };
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else { return (None, open) };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        (String::from_utf8_lossy(&lines).lines().rev().find_map(Charge::parse), open)
    }
}

/// The guardian, as `coordha run` sees it.
pub(super) struct Guardian {
    process: Process,
    orders: Option<ChildStdin>,
    answers: Option<ChildStdout>,
    heard: Charges,
    told: Charge,
    /// When it was told the first thing that it has not repeated yet.
    unanswered: Option<Instant>,
    has_answered: bool,
}

impl Guardian {
    pub(super) fn start(cgroup: Option<&Cgroup>) -> io::Result<Self> {
        let mut command = Command::new(exec::program()?);
        command.args(["__guard", "--parent", &std::process::id().to_string()]);
        if let Some(cgroup) = cgroup {
            command.arg("--cgroup").arg(cgroup.directory());
        }
        let mut process = command.arg0("coordha").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        if let (Some(orders), Some(answers)) = (&orders, &answers) {
            fcntl_setfl(orders, OFlags::NONBLOCK)?;
            fcntl_setfl(answers, OFlags::NONBLOCK)?;
        }
        let (heard, told) = (Charges::default(), Charge::default());
        Ok(Self { process, orders, answers, heard, told, unanswered: None, has_answered: false })
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    /// Returns once it is written where the guardian will find it whatever becomes of this process.
    pub(super) fn tell(&mut self, charge: Charge) -> io::Result<()> {
        if charge == self.told {
            return Ok(());
        }
        // Counted from a try that fails, too: a full pipe is one that nobody reads.
        self.unanswered.get_or_insert_with(now);
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        // One write of a few bytes is never torn.
        orders.write_all(charge.line().as_bytes())?;
        self.told = charge;
        Ok(())
    }

    /// What it has said to go by since this was asked last.
    pub(super) fn hear(&mut self) -> Option<Charge> {
        let charge = self.heard.read(self.answers.as_ref()?.as_fd()).0?;
        self.has_answered = true;
        self.unanswered = (charge != self.told).then(now);
        Some(charge)
    }

    /// When it counts as stopped or hung, unless it is heard of before. A new one may take longer, as it must start.
    pub(super) fn silent_at(&self, hold: Duration) -> Option<Instant> {
        let patience = if self.has_answered { (hold / 4).max(Duration::from_millis(100)) } else { hold };
        self.unanswered.map(|since| since.saturating_add(ns(patience)))
    }

    /// Lets it be counted anew.
    pub(super) fn excuse(&mut self) {
        self.unanswered = None;
    }

    /// Ends one that is of no use any more, so that it acts by nothing that it was told. To be reaped by the caller.
    pub(super) fn discard(&self) {
        let _ = nix::sys::signal::kill(self.pid(), Signal::SIGKILL);
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
    let _ = rustix::thread::set_name(c"coordha-guard");
    // Whoever asks everything to end means `coordha run`, and its command through it.
    let _ = SigSet::all().thread_block();
    // Out of the reach of what is sent to the group of a terminal.
    setsid().map_err(|e| failed(e.into()))?;
    // Whoever has stopped it: it must see `coordha run` dead.
    set_parent_process_death_signal(Some(rustix::process::Signal::CONT)).map_err(|e| failed(e.into()))?;
    let cgroup = args.cgroup.as_deref().map(Cgroup::open).transpose().map_err(failed)?;
    let parent = i32::try_from(args.parent).ok().and_then(rustix::process::Pid::from_raw);
    let pidfd = parent.filter(|_| getppid() == parent).map(|parent| pidfd_open(parent, PidfdFlags::empty()));
    let timer = Timer::new().map_err(|e| failed(e.into()))?;
    let mut watch = Watch { cgroup, charge: Charge::default(), heard: Charges::default() };
    let (stdin, stdout) = (io::stdin(), io::stdout());
    fcntl_setfl(&stdin, OFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
    // A pipe of its own, so nobody else is concerned.
    fcntl_setfl(&stdout, OFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
    loop {
        let parent_lives = matches!(&pidfd, Some(Ok(pidfd)) if !is_readable(pidfd));
        // After the look at the parent: what it said last is read, too.
        let open = watch.read(stdin.as_fd(), stdout.as_fd());
        if !parent_lives || !open {
            watch.end();
            return Ok(ExitCode::SUCCESS);
        }
        if watch.charge.kill_at != 0 && now() >= watch.charge.kill_at {
            watch.kill();
            watch.charge.kill_at = 0;
            say("the guardian has killed the command: its role was not renewed in time");
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

/// In a thread of its own: whoever has stderr may not read it, and nothing here may wait for that.
fn say(text: &'static str) {
    let _ = std::thread::Builder::new().spawn(move || writeln!(io::stderr(), "coordha: {text}"));
}

struct Watch {
    cgroup: Option<Cgroup>,
    charge: Charge,
    heard: Charges,
}

impl Watch {
    /// Takes in what was said, and repeats it; false: nobody will say more.
    fn read(&mut self, orders: BorrowedFd<'_>, answers: BorrowedFd<'_>) -> bool {
        let (charge, open) = self.heard.read(orders);
        if let Some(charge) = charge {
            self.charge = charge;
            // A full pipe: as many answers are there to be read.
            let _ = rustix::io::write(answers, charge.line().as_bytes());
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
        if self.charge.keeper > 1 {
            // It kills what has left the group, unless somebody has stopped it.
            let _ = nix::sys::signal::kill(Pid::from_raw(self.charge.keeper), Signal::SIGCONT);
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
