//! Holding a term, and every way in which it ends.
//!
//! A term that was asked to end, or whose deadline has passed, is burned: neither it nor an older one is ever used again.

use std::time::Duration;

use super::Election;
use super::flaw::flawed;
use super::io::{Event, Reason, Time};
use super::request::{Kind, Lane, Pending};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{Compare, Revision};

/// No back-off is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// A term of this session's, from its start until the application has left it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) token: Revision,
    /// H of this term.
    pub(super) hold: Duration,
    pub(super) renewals: u64,
    /// When the last acquisition or renewal that committed was sent; `None`: found by a read, and not renewed since.
    pub(super) renewed: Option<Time>,
    /// When the next renewal is due.
    pub(super) next: Time,
    pub(super) jeopardy: bool,
    pub(super) stage: Stage,
}

/// How far a term has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Owned, and not acted in before a renewal commits; given up after `until`.
    Found { until: Time },
    /// The application gets ready.
    Activating { until: Time },
    /// The application is ready.
    Active,
    /// Asked to end, and held until the application has left; no contending for `pause` after it.
    Draining { reason: Reason, until: Time, pause: Duration },
    /// Over, and the application has not left it yet; `tidy`: that is no longer waited for before it is released.
    Gone { until: Time, tidy: bool },
}

impl Term {
    /// Whether the session owns the role by it.
    pub(super) fn is_held(&self) -> bool {
        !matches!(self.stage, Stage::Gone { .. })
    }

    /// Whether the application may act in it, up to the deadline.
    pub(super) fn acts(&self) -> bool {
        self.is_held() && !matches!(self.stage, Stage::Found { .. })
    }
}

impl Election {
    /// The instant at which the term is over whatever happens: so long after the *sending* of the last write that
    /// committed and of the last keepalive that was answered as each of them is good for.
    pub(super) fn deadline(&self, term: &Term) -> Time {
        let lease_end = self.lease_end();
        match term.renewed {
            Some(_) if flawed!(self, KeepaliveAlone) => lease_end,
            Some(renewed) => lease_end.min(renewed + term.hold),
            None => Time(0),
        }
    }

    pub(super) fn burn(&mut self, token: Revision) {
        self.burned = self.burned.max(token);
        self.abandon(Lane::Operation);
        (self.op_after, self.op_failures) = (Time(0), 0);
    }

    pub(super) fn check_deadline(&mut self, now: Time) {
        if let Some(term) = self.term.as_ref().filter(|term| term.acts()) {
            let deadline = self.deadline(term);
            if self.due(now, deadline) {
                self.lose(now, Reason::Expired, None);
            }
        }
    }

    /// The limits of the stages, and the warning half-way to the deadline.
    pub(super) fn check_term(&mut self, now: Time) {
        self.check_deadline(now);
        let Some(term) = self.term.clone() else { return };
        match term.stage {
            Stage::Found { until } if self.due(now, until) => {
                self.burn(term.token);
                self.term = None;
            }
            Stage::Activating { until } if self.due(now, until) => {
                let error = Error::new(ErrorKind::ActivationFailed, "the activation took too long");
                self.activation_failed(now, Reason::ActivationTimeout, error);
            }
            Stage::Draining { until, .. } if self.due(now, until) => self.drained(now, false),
            Stage::Gone { until, tidy: false } if self.due(now, until) => {
                self.set_stage(Stage::Gone { until, tidy: true });
            }
            _ => {}
        }
        let Some(term) = self.term.as_ref().filter(|term| term.acts()) else { return };
        let (half, was) = (self.deadline(term).before(term.hold / 2), term.jeopardy);
        let (token, jeopardy) = (term.token, self.due(now, half));
        if let Some(term) = self.term.as_mut().filter(|_| jeopardy != was) {
            term.jeopardy = jeopardy;
            self.tell(if jeopardy { Event::Jeopardy { token } } else { Event::Safe { token } });
        }
    }

    /// Ends the term at once where the store shows that the role is not this session's any more.
    pub(super) fn check_owner(&mut self, now: Time) {
        let Some(term) = self.term.as_ref().filter(|term| term.is_held()) else { return };
        let active = self.view.active.as_ref();
        if self.view.active_known <= term.token || active.is_some_and(|a| a.revision == term.token) {
            return;
        }
        let registered = self.view.members.contains_key(&self.server_id);
        let reason = match active {
            Some(_) => Reason::Superseded,
            None if self.settings.active_standby && !registered => Reason::LeaseLost,
            None => Reason::KeyDeleted,
        };
        self.lose(now, reason, None);
    }

    /// The term is over, from this instant.
    pub(super) fn lose(&mut self, now: Time, reason: Reason, error: Option<Error>) {
        let Some(term) = self.term.clone().filter(Term::is_held) else { return };
        let token = term.token;
        self.burn(token);
        // One that was taken away before it was renewed counts as a campaign that failed: a stranger who puts the
        // active key all the time is not answered put for put.
        self.missed(now);
        let until = match term.stage {
            Stage::Found { .. } => {
                self.term = None;
                return;
            }
            Stage::Draining { until, pause, .. } => {
                self.pause_for(now, pause);
                until
            }
            _ => now + self.settings.deactivation_timeout,
        };
        self.tell(Event::TermEnded { token, reason, error: error.clone() });
        if !matches!(term.stage, Stage::Draining { .. }) {
            self.tell(Event::Deactivate { token, reason, held: false, error });
        }
        if self.settings.auto {
            self.term = None;
        } else {
            self.set_stage(Stage::Gone { until, tidy: false });
        }
    }

    /// How far the term of this token has come, if it is the one at work.
    fn stage_of(&self, token: Revision) -> Option<&Stage> {
        self.term.as_ref().filter(|term| term.token == token).map(|term| &term.stage)
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(term) = &mut self.term {
            term.stage = stage;
        }
    }

    /// Starts the application in a term, unless its deadline has passed already: then it must be renewed first.
    pub(super) fn activate(&mut self, now: Time) {
        let Some(term) = self.term.as_ref().filter(|term| now < self.deadline(term)) else { return };
        let token = term.token;
        self.set_stage(Stage::Activating { until: now + self.settings.activation_timeout });
        self.tell(Event::Activate { token });
        if self.settings.auto {
            self.ready(token);
        }
    }

    fn ready(&mut self, token: Revision) {
        self.failed_activations = 0;
        self.set_stage(Stage::Active);
        self.tell(Event::Active { token });
    }

    pub(super) fn activation_done(&mut self, now: Time, token: Revision, result: Result<()>) -> Result<()> {
        match self.stage_of(token) {
            Some(Stage::Activating { .. }) => match result {
                Ok(()) => self.ready(token),
                Err(error) => self.activation_failed(now, Reason::ActivationFailed, error),
            },
            Some(Stage::Active) => return Err(Error::new(ErrorKind::State, "ready was said already")),
            _ => return Err(fenced(token)),
        }
        Ok(())
    }

    /// Burns the term, and leaves the turn to others for a while: longer than all of them need to take theirs.
    fn activation_failed(&mut self, now: Time, reason: Reason, error: Error) {
        let backoff = self.settings.activation_backoff * (1 << self.failed_activations.min(15));
        self.failed_activations += 1;
        self.pause_for(now, backoff.min(LONGEST_BACKOFF));
        self.lose(now, reason, Some(error));
    }

    fn pause_for(&mut self, now: Time, pause: Duration) {
        let members = u32::try_from(self.view.members.len()).unwrap_or(u32::MAX);
        let turns = self.settings.rank_step * (members + 1) + self.settings.hold / 4;
        self.contend_after = now + pause.max(turns);
    }

    pub(super) fn deactivation_done(&mut self, now: Time, token: Revision) -> Result<()> {
        match self.stage_of(token) {
            Some(Stage::Draining { .. }) => self.drained(now, true),
            Some(Stage::Gone { .. }) => self.term = None,
            Some(Stage::Activating { .. } | Stage::Active) => {
                return Err(Error::new(ErrorKind::State, "the term was not asked to end"));
            }
            _ => return Err(fenced(token)),
        }
        Ok(())
    }

    /// Asks the application to leave; the role is held and renewed meanwhile. Without a term, only the pause counts.
    pub(super) fn drain(&mut self, now: Time, reason: Reason, pause: Duration) {
        let Some(term) = self.term.as_ref().filter(|term| term.is_held()) else {
            self.contend_after = self.contend_after.max(now + pause);
            return;
        };
        let token = term.token;
        match term.stage {
            Stage::Found { .. } => {
                self.burn(token);
                self.term = None;
                self.contend_after = now + pause;
            }
            Stage::Activating { .. } | Stage::Active => {
                let until = now + self.settings.deactivation_timeout;
                self.set_stage(Stage::Draining { reason, until, pause });
                self.tell(Event::Deactivate { token, reason, held: true, error: None });
                if self.settings.auto {
                    self.drained(now, true);
                }
            }
            _ => {}
        }
    }

    /// The application has left, or its limit has passed: from here on the session does not act, then it releases.
    fn drained(&mut self, now: Time, left: bool) {
        let Some(term) = self.term.take() else { return };
        let Stage::Draining { reason, until, pause } = term.stage else { return };
        #[cfg(feature = "testkit")]
        self.leave_flaw(&term);
        self.burn(term.token);
        self.tell(Event::TermEnded { token: term.token, reason, error: None });
        self.pause_for(now, pause);
        if !left {
            self.term = Some(Term { stage: Stage::Gone { until, tidy: true }, ..term });
        }
    }

    /// Renews the term where that is due. It has a write in it, so that it goes through the log of a cluster.
    pub(super) fn renew(&mut self, now: Time) -> bool {
        let next = self.term.as_ref().map(|term| term.next);
        let is_due = next.is_some_and(|next| self.due(now, next));
        let Some(term) = self.term.as_mut().filter(|_| is_due) else { return false };
        term.renewals += 1;
        term.next = now + term.hold / 4;
        let (token, hold, renewals) = (term.token, term.hold, term.renewals);
        let mut compares = vec![Compare::mod_revision(self.keys.active.clone(), token)];
        if flawed!(self, RenewWithoutCompare) {
            compares.clear();
        }
        let put = self.put_term(&self.term_record(token, hold, renewals));
        self.write_if(now, Kind::Renew(token), compares, vec![put]);
        true
    }

    pub(super) fn renewed(&mut self, now: Time, pending: &Pending, token: Revision, revision: Revision) {
        let sent = if flawed!(self, DeadlineFromReceive) { now } else { pending.sent };
        let Some(term) = self.term.as_mut().filter(|term| term.token == token && term.is_held()) else { return };
        term.renewed = term.renewed.max(Some(sent));
        let (hold, renewals, found) = (term.hold, term.renewals, !term.acts());
        // The first one may have been sent at once, and proves no more than the campaign did.
        if renewals > 1 {
            self.misses = 0;
        }
        let record = self.term_record(token, hold, renewals);
        self.view.wrote_term(revision, record, now);
        if found {
            self.activate(now);
        }
    }

    pub(super) fn renewal_failed(&mut self, now: Time, token: Revision) {
        let Some(term) = self.term.as_mut().filter(|term| term.token == token) else { return };
        term.next = term.next.min(now + (term.hold / 8).min(Duration::from_millis(250)));
    }
}

fn fenced(token: Revision) -> Error {
    Error::new(ErrorKind::Fenced, format!("the term of token {token} is over"))
}
