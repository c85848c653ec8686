//! The loop that joins the session with the command.

mod duty;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use coordha::error::Error;
use coordha::session::{EventKind, Reason, Session};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid};

use super::cgroup::Cgroup;
use super::child::{Child, Death, Stage};
use super::clock::{self, Instant, Timer};
use super::guardian::Guardian;
use super::http::Board;
use super::restart::{Backoff, Restart};
use super::say;
use super::tell::{Activation, Tell};
use crate::exit::{FAILED, Failure};

/// How soon what should be gone is looked for again.
const SOON: Duration = Duration::from_millis(5);
/// Signals to stop within this time are one: a terminal sends its own to a whole group, and whoever started the group passes
/// it on.
const SAME_STOP: Duration = Duration::from_millis(500);

/// What is to be done, by the command line.
pub(super) struct Plan {
    pub(super) command: Vec<OsString>,
    pub(super) standby: Option<Vec<OsString>>,
    pub(super) warm: bool,
    pub(super) tells: Vec<Tell>,
    pub(super) ready_url: Option<String>,
    pub(super) stop_signal: Signal,
    pub(super) grace: Duration,
    pub(super) ready_within: Duration,
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

    /// What is said of a command that is not ready in time.
    fn not_ready(&self) -> String {
        format!("the command was not ready within activation.timeout_ms, {} ms", self.ready_within.as_millis())
    }
}

/// The term at work.
struct Term {
    token: i64,
    ready: bool,
    /// By when it must be.
    ready_by: Instant,
    /// It was not. The role is held until nothing of the command lives, and the session is told then.
    is_late: bool,
    ending: bool,
    /// The session waits to be told that nothing of it runs. It asks once in each term, maybe after the end is known here.
    is_asked: bool,
}

pub(super) struct Supervisor {
    plan: Plan,
    session: Session,
    board: Board,
    cgroup: Option<Cgroup>,
    guardian: Guardian,
    guardian_died: bool,
    /// Until when the guardian has said to leave a command alone that acts: no longer is the role claimed.
    guarded_until: Instant,
    /// Children that were there before, of whoever has become this program.
    inherited: Vec<Pid>,
    signals: SignalFd,
    timer: Timer,
    child: Option<Child>,
    term: Option<Term>,
    activation: Option<Activation>,
    backoff: Backoff,
    standby_backoff: Backoff,
    /// No program that stands by is started before.
    not_before: Instant,
    /// Nothing is, after one that could not be.
    not_armed_before: Instant,
    /// How often somebody asked to stop.
    stops: u32,
    /// When that was first.
    stopped_at: Instant,
    /// The last end of the command, where nothing follows it.
    outcome: Option<Death>,
    ended: Option<Option<Error>>,
    /// Why it cannot go on.
    failure: Option<String>,
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
            standby_backoff: Backoff::new(plan.backoff),
            plan,
            session,
            board,
            cgroup,
            guardian,
            guardian_died: false,
            guarded_until: 0,
            inherited,
            signals: SignalFd::with_flags(mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            timer: Timer::new()?,
            child: None,
            term: None,
            activation: None,
            not_before: 0,
            not_armed_before: 0,
            stops: 0,
            stopped_at: 0,
            outcome: None,
            ended: None,
            failure: None,
        })
    }

    pub(super) fn run(mut self) -> Result<ExitCode, Failure> {
        loop {
            self.read_signals();
            self.reap();
            self.read_events();
            self.do_duty();
            self.board.has_turned();
            if self.ended.is_some() && self.child.is_none() {
                break;
            }
            self.wait();
        }
        self.guardian.dismiss();
        if let Some(why) = self.failure {
            return Err(Failure::new(FAILED, why));
        }
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
                self.asked_to_stop(clock::now());
            }
        }
        self.board.take_wake();
    }

    fn asked_to_stop(&mut self, now: Instant) {
        if self.stops == 0 {
            self.stopped_at = now;
            self.session.request_stop();
        } else if now < self.stopped_at + clock::ns(SAME_STOP) {
            return;
        }
        self.stops += 1;
        if self.stops == 2 {
            say::warn("asked to stop once more: the command is killed");
        }
    }

    /// Takes note of what has become of children.
    fn reap(&mut self) {
        if let Some(child) = self.child.as_ref().filter(|child| child.death.is_none())
            && let Some(pid) = child.group().and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw()))
        {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::Pid(pid), look), Ok(Some(_))) {
                child.kill_group();
            }
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            let pid = Pid::from_raw(pid.as_raw_nonzero().get());
            self.inherited.retain(|inherited| status.stopped() || *inherited != pid);
            if pid == self.guardian.pid() {
                self.guardian_died = !status.stopped();
            }
            if let Some(child) = &mut self.child {
                let was_dead = child.death.is_some();
                note(child, pid, status);
                if let (Some(death), false, true) = (child.death, was_dead, child.was_killed()) {
                    say::info(format!("the {} has ended: {death}", child.kind.name()));
                }
            }
        }
    }

    fn read_events(&mut self) {
        while let Ok(event) = self.session.next_event(Some(Duration::ZERO)) {
            match event.kind() {
                EventKind::Activate => {
                    let ready_by = clock::now().saturating_add(clock::ns(self.plan.ready_within));
                    let (ready, is_late, ending, is_asked) = (false, false, false, false);
                    self.term = Some(Term { token: event.token(), ready, ready_by, is_late, ending, is_asked });
                    self.board.facts().contends();
                }
                EventKind::Deactivate => {
                    if let Some(term) = self.term.as_mut().filter(|term| term.token == event.token()) {
                        (term.ending, term.is_asked) = (true, true);
                    }
                }
                EventKind::Degraded => {
                    self.board.facts().trouble = event.error().map(ToString::to_string);
                }
                EventKind::Recovered => self.board.facts().trouble = None,
                EventKind::Blocked => match event.reason() {
                    Some(Reason::Paused) => self.board.facts().paused = true,
                    Some(Reason::MilvusHolder) => self.board.facts().milvus_holder = true,
                    _ => {}
                },
                EventKind::Holder => self.board.facts().contends(),
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
            PollFd::new(self.board.wake(), PollFlags::IN),
        ];
        if let (Ok(events), None) = (&events, &self.ended) {
            fds.push(PollFd::from_borrowed_fd(events.as_fd(), PollFlags::IN));
        }
        if let Some(child) = &self.child {
            if !child.keeper_is_dead {
                fds.push(PollFd::new(&child.keeper_pidfd, PollFlags::IN));
            } else if let Some(cgroup) = &self.cgroup {
                fds.push(PollFd::new(cgroup.events(), PollFlags::PRI));
            }
        }
        // Whatever it returns, the next turn looks at everything.
        let _ = poll(&mut fds, None);
    }

    fn next_time(&self) -> Option<Instant> {
        let now = clock::now();
        let ready_by = self.term.as_ref().filter(|term| !term.ready && !term.ending).map(|term| term.ready_by);
        let Some(child) = &self.child else {
            return ready_by.into_iter().chain([self.not_armed_before]).filter(|at| *at > now).min();
        };
        let mut times: Vec<Instant> = self.guardian.silent_at(self.plan.hold).into_iter().chain(ready_by).collect();
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
            times.push(self.unguarded_at());
            times.retain(|at| *at > now);
        }
        times.into_iter().min()
    }

    /// When a command that acts is killed unless the guardian says before that it will leave it alone for longer.
    fn unguarded_at(&self) -> Instant {
        self.guarded_until.saturating_sub(clock::ns(self.plan.kill_margin() / 2))
    }

    /// When the term at work is over if nothing renews it; 0: it is over.
    fn deadline(&self, now: Instant) -> Instant {
        match &self.term {
            Some(term) if self.session.holds(term.token) => now + clock::ns(self.session.remaining()),
            _ => 0,
        }
    }
}

/// Takes note of what has become of a child, if it is of this one's.
fn note(child: &mut Child, pid: Pid, status: WaitStatus) {
    let death = death(status);
    if pid == child.keeper {
        if death.is_none() {
            if child.stage == Stage::Arming {
                child.stands_ready();
            }
            // Nothing of it may wait, however it was stopped.
            let _ = nix::sys::signal::kill(pid, Signal::SIGCONT);
            return;
        }
        child.keeper_is_dead = true;
        match child.group() {
            None => child.death = death,
            // Killed: the command must not go on without it.
            Some(_) if child.death.is_none() => child.kill_group(),
            Some(_) => {}
        }
    } else if child.group() == Some(pid) && death.is_some() {
        child.death = death;
    }
}

fn death(status: WaitStatus) -> Option<Death> {
    let exited = status.exit_status().map(Death::Exited);
    exited.or_else(|| status.terminating_signal().map(Death::Signalled))
}
