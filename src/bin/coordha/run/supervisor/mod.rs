//! The loop that joins the session with the command.

mod duty;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coordha::error::Error;
use coordha::session::{EventKind, Session};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid};

use super::cgroup::Cgroup;
use super::child::{Child, Death, Stage};
use super::clock::{self, Instant, Timer};
use super::guardian::Guardian;
use super::http::Board;
use super::restart::{Backoff, Restart};
use super::say::Say;
use super::tell::{Activation, Tell};
use crate::exit::Failure;

/// How soon what should be gone is looked for again.
const SOON: Duration = Duration::from_millis(5);

/// What is to be done, by the command line.
pub(super) struct Plan {
    pub(super) command: Vec<OsString>,
    pub(super) standby: Option<Vec<OsString>>,
    pub(super) warm: bool,
    pub(super) tells: Vec<Tell>,
    pub(super) ready_url: Option<String>,
    pub(super) stop_signal: Signal,
    pub(super) grace: Duration,
    pub(super) restart: Restart,
    pub(super) backoff: Duration,
    pub(super) hold: Duration,
}

impl Plan {
    /// How long before its deadline a command that acts is killed: the time that takes.
    fn kill_margin(&self) -> Duration {
        (self.hold / 10).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }

    /// How long before that it is asked to stop. Half of the hold time is gone without a renewal by then, and a quarter more.
    fn stop_margin(&self) -> Duration {
        self.hold / 4
    }
}

/// The term at work.
struct Term {
    token: i64,
    ready: bool,
    ending: bool,
}

pub(super) struct Supervisor {
    plan: Plan,
    session: Session,
    board: Board,
    cgroup: Option<Cgroup>,
    guardian: Guardian,
    guardian_died: bool,
    /// Children that were there before, of whoever has become this program.
    inherited: Vec<Pid>,
    say: Say,
    signals: SignalFd,
    timer: Timer,
    wake: Arc<OwnedFd>,
    child: Option<Child>,
    term: Option<Term>,
    activation: Option<Activation>,
    backoff: Backoff,
    /// No program that stands by is started before.
    not_before: Instant,
    /// Nothing is, after one that could not be.
    not_armed_before: Instant,
    /// How often somebody asked to stop.
    stops: u32,
    /// The last end of the command, where nothing follows it.
    outcome: Option<Death>,
    ended: Option<Option<Error>>,
}

impl Supervisor {
    pub(super) fn new(
        plan: Plan,
        session: Session,
        board: Board,
        cgroup: Option<Cgroup>,
        guardian: Guardian,
        inherited: Vec<Pid>,
        mask: &SigSet,
    ) -> io::Result<Self> {
        Ok(Self {
            backoff: Backoff::new(plan.backoff),
            plan,
            session,
            board,
            cgroup,
            guardian,
            guardian_died: false,
            inherited,
            say: Say::start()?,
            signals: SignalFd::with_flags(mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            timer: Timer::new()?,
            wake: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            child: None,
            term: None,
            activation: None,
            not_before: 0,
            not_armed_before: 0,
            stops: 0,
            outcome: None,
            ended: None,
        })
    }

    pub(super) fn run(mut self) -> Result<ExitCode, Failure> {
        loop {
            self.read_signals();
            self.reap();
            self.read_events();
            self.do_duty();
            if self.ended.is_some() && self.child.is_none() {
                break;
            }
            self.wait();
        }
        self.guardian.dismiss();
        self.say.end();
        match (self.outcome, self.ended.flatten()) {
            (Some(death), _) => Ok(ExitCode::from(death.code())),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Ok(ExitCode::SUCCESS),
        }
    }

    /// Children that are not of the command.
    fn spared(&self) -> Vec<Pid> {
        std::iter::once(self.guardian.pid()).chain(self.inherited.iter().copied()).collect()
    }

    fn read_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                self.stops += 1;
                self.session.request_stop();
                if self.stops == 2 {
                    self.say.warn("asked to stop once more: the command is killed");
                }
            }
        }
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut count);
    }

    /// Takes note of what has become of children.
    fn reap(&mut self) {
        if let Some(child) = self.child.as_ref().filter(|child| child.death.is_none())
            && let Some(pid) = rustix::process::Pid::from_raw(child.pid.as_raw())
        {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::Pid(pid), look), Ok(Some(_))) {
                child.kill_group();
            }
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            let pid = pid.as_raw_nonzero().get();
            self.inherited.retain(|inherited| status.stopped() || inherited.as_raw() != pid);
            if pid == self.guardian.pid().as_raw() {
                self.guardian_died = !status.stopped();
            }
            if let Some(child) = self.child.as_mut().filter(|child| child.pid.as_raw() == pid) {
                match (death(status), child.stage) {
                    (Some(death), _) => child.death = Some(death),
                    (None, Stage::Arming) => child.stage = Stage::Armed,
                    _ => {}
                }
            }
        }
    }

    fn read_events(&mut self) {
        while let Ok(event) = self.session.next_event(Some(Duration::ZERO)) {
            match event.kind() {
                EventKind::Activate => self.term = Some(Term { token: event.token(), ready: false, ending: false }),
                EventKind::Deactivate => {
                    if let Some(term) = self.term.as_mut().filter(|term| term.token == event.token()) {
                        term.ending = true;
                    }
                }
                EventKind::Degraded => {
                    self.board.facts().trouble = event.error().map(ToString::to_string);
                }
                EventKind::Recovered => self.board.facts().trouble = None,
                EventKind::Ended => self.ended = Some(event.error().cloned()),
                _ => {}
            }
        }
    }

    /// Waits until something has happened, or must be done.
    fn wait(&self) {
        self.timer.set(self.next_time());
        let events = self.session.event_fd();
        let mut fds = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
            PollFd::new(&*self.wake, PollFlags::IN),
        ];
        if let (Ok(events), None) = (&events, &self.ended) {
            fds.push(PollFd::from_borrowed_fd(events.as_fd(), PollFlags::IN));
        }
        if let Some(child) = &self.child {
            if child.death.is_none() {
                fds.push(PollFd::new(&child.pidfd, PollFlags::IN));
            } else if let Some(cgroup) = &self.cgroup {
                fds.push(PollFd::new(cgroup.events(), PollFlags::PRI));
            }
        }
        // Whatever it returns, the next turn looks at everything.
        let _ = poll(&mut fds, None);
    }

    fn next_time(&self) -> Option<Instant> {
        let now = clock::now();
        let Some(child) = &self.child else {
            return Some(self.not_armed_before).filter(|at| *at > now);
        };
        let mut times = Vec::new();
        match child.stage {
            Stage::Killed => times.push(now + clock::ns(SOON)),
            Stage::Stopping { kill_at } => times.push(kill_at),
            Stage::Armed if self.not_before > now => times.push(self.not_before),
            _ => {}
        }
        if child.acts && child.stage != Stage::Killed {
            // Renewals have no event: the guardian must hear of them long before the old deadline.
            times.push(now + clock::ns(self.plan.hold / 8));
            let deadline = self.deadline(now);
            for margin in [self.plan.kill_margin(), self.plan.kill_margin() + self.plan.stop_margin()] {
                times.push(deadline.saturating_sub(clock::ns(margin)));
            }
            times.retain(|at| *at > now);
        }
        times.into_iter().min()
    }

    /// When the term at work is over if nothing renews it; 0: it is over.
    fn deadline(&self, now: Instant) -> Instant {
        match &self.term {
            Some(term) if self.session.holds(term.token) => now + clock::ns(self.session.remaining()),
            _ => 0,
        }
    }
}

fn death(status: WaitStatus) -> Option<Death> {
    let exited = status.exit_status().map(Death::Exited);
    exited.or_else(|| status.terminating_signal().map(Death::Signalled))
}
