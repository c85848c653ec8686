//! Counts what the core does: `src/metrics` knows no election.

use std::sync::Arc;
use std::time::Duration;

use super::Driver;
use crate::election::{Election, Event, Reason, Reply, Role, Settings, StoreRequest, Time};
use crate::error::ErrorKind;
use crate::kv::{Compare, Op, Revision};
use crate::metrics::{Happened, Live, Reasons, Sample, SessionCounts};

/// The name of a reason, as logs show it: `EXPIRED`.
pub fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Stop => "STOP",
        Reason::Resign => "RESIGN",
        Reason::Expired => "EXPIRED",
        Reason::Superseded => "SUPERSEDED",
        Reason::KeyDeleted => "KEY_DELETED",
        Reason::LeaseLost => "LEASE_LOST",
        Reason::Regressed => "REGRESSED",
        Reason::Internal => "INTERNAL",
        Reason::ActivationFailed => "ACTIVATION_FAILED",
        Reason::ActivationTimeout => "ACTIVATION_TIMEOUT",
        Reason::Paused => "PAUSED",
        Reason::CallbackBusy => "CALLBACK_BUSY",
        Reason::Backoff => "BACKOFF",
        Reason::MilvusHolder => "MILVUS_HOLDER",
    }
}

/// The series that are there from the start, at zero.
const REASONS: Reasons = Reasons {
    ending: &[
        "STOP",
        "RESIGN",
        "EXPIRED",
        "SUPERSEDED",
        "KEY_DELETED",
        "LEASE_LOST",
        "REGRESSED",
        "INTERNAL",
        "ACTIVATION_FAILED",
        "ACTIVATION_TIMEOUT",
    ],
    failing: &["ACTIVATION_FAILED", "ACTIVATION_TIMEOUT"],
    blocking: &["PAUSED", "CALLBACK_BUSY", "BACKOFF", "MILVUS_HOLDER"],
    outcomes: &[
        COMMITTED,
        ErrorKind::Fenced.name(),
        ErrorKind::CompareFailed.name(),
        ErrorKind::UnknownOutcome.name(),
        ErrorKind::Unavailable.name(),
    ],
};

/// The outcome of a transaction that was done.
const COMMITTED: &str = "COMMITTED";

/// What the core was like after the last step. Under the core's lock.
#[derive(Debug)]
pub(super) struct Meter {
    counts: Arc<SessionCounts>,
    activated: Option<Time>,
    asked: Option<Time>,
    blocked: Option<Reason>,
    gaps: u32,
    lost_leases: u32,
    holder: Revision,
    members: usize,
    watched: bool,
}

/// What a session is counted by.
pub(super) fn counts(settings: &Settings) -> Arc<SessionCounts> {
    Arc::new(SessionCounts::new(&settings.role, &settings.root, settings.hold, settings.active_standby, &REASONS))
}

impl Meter {
    pub(super) fn new(counts: Arc<SessionCounts>) -> Self {
        Self {
            counts,
            activated: None,
            asked: None,
            blocked: None,
            gaps: 0,
            lost_leases: 0,
            holder: 0,
            members: 0,
            watched: false,
        }
    }

    /// After each step of the core: for what it tells nobody.
    pub(super) fn step(&mut self, election: &Election) {
        let blocked = election.told_blocked.as_ref().map(|(reason, _)| *reason);
        let (gaps, lost_leases) = (election.silent, election.lost_leases);
        if blocked != self.blocked {
            self.counts.count(Happened::Blocked(blocked.map(reason_name)));
        }
        if gaps > self.gaps {
            self.counts.count(Happened::WatchGap);
        }
        if lost_leases > self.lost_leases {
            self.counts.count(Happened::LeaseLost);
        }
        (self.blocked, self.gaps, self.lost_leases) = (blocked, gaps, lost_leases);
        let (holder, members) = election.seen();
        if holder != self.holder {
            self.counts.count(Happened::Holder(holder));
        }
        if members != self.members {
            self.counts.count(Happened::Members(members));
        }
        (self.holder, self.members) = (holder, members);
    }

    pub(super) fn told(&mut self, now: Time, event: &Event) {
        let happened = match event {
            Event::Registered { ttl, .. } => Happened::LeaseTtl(*ttl),
            Event::Activate { .. } => {
                self.activated = Some(now);
                Happened::TermBegun
            }
            Event::Active { .. } => match self.activated.take() {
                Some(since) => Happened::Activated(now.since(since)),
                None => return,
            },
            Event::Jeopardy { .. } => Happened::Jeopardy,
            Event::Deactivate { .. } => {
                self.asked = Some(now);
                return;
            }
            Event::TermEnded { reason, .. } => {
                if matches!(reason, Reason::ActivationFailed | Reason::ActivationTimeout) {
                    self.counts.count(Happened::ActivationFailed(reason_name(*reason)));
                }
                Happened::TermEnded(reason_name(*reason))
            }
            Event::Degraded(_) => Happened::Degraded(true),
            Event::Recovered => Happened::Degraded(false),
            Event::Foreign { .. } => Happened::Foreign,
            Event::Standby(_) | Event::Safe { .. } | Event::Holder(_) | Event::Blocked { .. } | Event::Ended(_) => {
                return;
            }
        };
        self.counts.count(happened);
    }

    /// "Left" was said.
    pub(super) fn left(&mut self, now: Time) {
        if let Some(since) = self.asked.take() {
            self.counts.count(Happened::Drained(now.since(since)));
        }
    }

    pub(super) fn watch_begins(&mut self) {
        if std::mem::replace(&mut self.watched, true) {
            self.counts.count(Happened::WatchRestarted);
        }
    }
}

impl Driver {
    /// What it is counted by.
    pub(crate) fn counts(&self) -> &SessionCounts {
        &self.counts
    }

    /// A transaction of the application's has this outcome.
    pub(crate) fn count_txn(&self, result: Result<(), ErrorKind>) {
        self.counts.count(Happened::Transaction(result.map_or_else(ErrorKind::name, |()| COMMITTED)));
    }

    /// Whether a request renews the term that is held.
    pub(super) fn renews(&self, request: &StoreRequest) -> bool {
        let token = self.published.fencing_token();
        matches!(request, StoreRequest::Txn(txn) if token != 0
            && txn.compares == [Compare::mod_revision(self.active_key.clone(), token)]
            && matches!(txn.success[..], [Op::Put { .. }]))
    }
}

/// How a renewal was answered.
pub(super) fn renewed(reply: &Reply, after: Duration) -> Happened {
    match reply {
        Reply::Txn(Ok(reply)) if reply.succeeded => Happened::Renewed(after),
        _ => Happened::RenewalFailed,
    }
}

impl Live for Driver {
    fn sample(&self) -> Option<Sample> {
        let published = &self.published;
        let state = match published.role() {
            Role::Starting => "starting",
            Role::Standby => "standby",
            Role::Activating => "activating",
            Role::Active => "active",
            Role::Deactivating => "deactivating",
            Role::Ended => return None,
        };
        Some(Sample::Session {
            counts: Arc::clone(&self.counts),
            state,
            active: published.is_active(),
            token: published.fencing_token(),
            remaining: published.remaining(),
        })
    }
}
