//! Requests under way, their limits, and the sorting of their answers.

use std::time::Duration;

use super::Election;
use super::flaw::flawed;
use super::io::{Event, Output, Reason, Reply, RequestId, StoreRequest, Time, WatchId};
use crate::error::{Error, ErrorKind};
use crate::kv::{Compare, KeyRange, LeaseId, Op, Revision, StoreError, Txn, TxnReply};
use crate::record::{TermRecord, encode};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    ReadId,
    TakeId(i64),
    Grant,
    KeepAlive(LeaseId),
    Revoke(LeaseId),
    Register(LeaseId),
    Read,
    Vacant,
    First(Revision),
    Acquire { hold: Duration, lease: LeaseId },
    Renew(Revision),
    Release(Revision),
    Mark,
}

/// At most one request of each lane is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Lease,
    Read,
    Operation,
}

/// What the trouble with the store is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Lease,
    Transactions,
    Watch,
}

impl Kind {
    pub(super) fn lane(self) -> Lane {
        match self {
            Self::Grant | Self::KeepAlive(_) | Self::Revoke(_) => Lane::Lease,
            Self::Read => Lane::Read,
            _ => Lane::Operation,
        }
    }
}

/// A request that was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) id: RequestId,
    pub(super) kind: Kind,
    pub(super) sent: Time,
    pub(super) expires: Time,
    /// The newest revision seen when it was sent: an answer from before that shows a restored store.
    pub(super) newest: Revision,
}

/// The pause before the next try after so many failures: 50 ms doubling to 3.2 s.
pub(super) fn pause(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(6))
}

impl Election {
    pub(super) fn is_busy(&self, lane: Lane) -> bool {
        self.pending.iter().any(|pending| pending.kind.lane() == lane)
    }

    /// Limit of what a term hangs on; the rest may take up to 1 s, as connecting does.
    fn limit(&self, kind: Kind) -> Duration {
        let quarter = self.own_hold() / 4;
        let limit = match kind {
            // The renewals wait behind it.
            Kind::Register(_) if self.term.is_some() => quarter,
            Kind::ReadId | Kind::TakeId(_) | Kind::Grant | Kind::Register(_) | Kind::First(_) => {
                quarter.max(Duration::from_secs(1))
            }
            _ => quarter,
        };
        limit.min(self.settings.request_timeout)
    }

    pub(super) fn send(&mut self, now: Time, kind: Kind, request: StoreRequest) {
        let (id, limit) = (RequestId(self.next_id), self.limit(kind));
        self.next_id += 1;
        let (expires, newest) = (now + limit, self.view.newest);
        self.pending.push(Pending { id, kind, sent: now, expires, newest });
        self.due(now, expires);
        self.out.push_back(Output::Send { id, request, limit });
    }

    /// Sends reads.
    pub(super) fn read(&mut self, now: Time, kind: Kind, reads: Vec<Op>) {
        self.send(now, kind, StoreRequest::Txn(Txn { success: reads, ..Txn::default() }));
    }

    /// Sends writes under a condition; where it does not hold, the answer shows the whole role.
    pub(super) fn write_if(&mut self, now: Time, kind: Kind, compares: Vec<Compare>, success: Vec<Op>) {
        let txn = Txn { compares, success, failure: self.read_all() };
        self.send(now, kind, StoreRequest::Txn(txn));
    }

    pub(super) fn put_term(&self, record: &TermRecord) -> Op {
        Op::put(self.keys.term.clone(), encode(record), 0)
    }

    /// Reads of all that is known of the role: what a failed transaction answers, and a re-read.
    pub(super) fn read_all(&self) -> Vec<Op> {
        let old = self.keys.old.iter().map(|key| KeyRange::key(key.clone()));
        [self.keys.role_range(), self.keys.term_range()].into_iter().chain(old).map(Op::read).collect()
    }

    /// Gives up on a request of this lane: its answer, whenever it comes, is not looked at.
    pub(super) fn abandon(&mut self, lane: Lane) {
        self.pending.retain(|pending| pending.kind.lane() != lane);
    }

    pub(super) fn expire_requests(&mut self, now: Time) {
        while let Some(at) = self.pending.iter().position(|pending| now >= pending.expires) {
            let pending = self.pending.remove(at);
            self.failed(now, &pending, StoreError::Unknown("no answer in time".into()));
        }
        for at in 0..self.pending.len() {
            self.due(now, self.pending[at].expires);
        }
    }

    pub(super) fn answered(&mut self, now: Time, id: RequestId, reply: Reply) {
        let Some(at) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let pending = self.pending.remove(at);
        match (pending.kind, reply) {
            (_, Reply::Lease(Err(e)) | Reply::Txn(Err(e)) | Reply::Revoked(Err(e)) | Reply::First(Err(e))) => {
                self.failed(now, &pending, e);
            }
            (Kind::Grant, Reply::Lease(Ok(lease))) => self.granted(now, &pending, lease),
            (Kind::KeepAlive(_), Reply::Lease(Ok(lease))) => self.kept_alive(now, &pending, lease),
            (Kind::Revoke(_), Reply::Revoked(Ok(()))) => self.lease = None,
            (Kind::First(vacant), Reply::First(Ok(first))) => {
                self.first = first.filter(|first| *first == vacant);
            }
            (_, Reply::Txn(Ok(reply))) => self.txn_answered(now, &pending, &reply),
            (_, Reply::Lease(Ok(_)) | Reply::Revoked(Ok(())) | Reply::First(Ok(_))) => {}
        }
    }

    fn txn_answered(&mut self, now: Time, pending: &Pending, reply: &TxnReply) {
        if reply.revision < pending.newest {
            self.regressed(now, pending.newest, reply.revision);
            return;
        }
        self.view.newest = self.view.newest.max(reply.revision);
        // That the store takes writes is seen by a write, or does not matter where none waits to be tried again. A server ID
        // is read to be taken.
        let idle = self.op_after <= now && !self.is_busy(Lane::Operation);
        if pending.kind != Kind::ReadId && (pending.kind.lane() == Lane::Operation || self.op_failures == 0 || idle) {
            self.recovered(Source::Transactions);
            self.op_failures = 0;
        }
        match pending.kind {
            Kind::ReadId => self.id_read(now, reply),
            Kind::TakeId(id) if reply.succeeded => (self.server_id, self.misses) = (id, 0),
            Kind::TakeId(_) => self.id_missed(now),
            Kind::Register(lease) => self.register_answered(now, pending, lease, reply),
            Kind::Read => self.read_answered(now, pending, reply),
            Kind::Vacant if reply.succeeded => {
                let record = self.vacant_record();
                let seen = if flawed!(self, WaitFromRequest) { pending.sent } else { now };
                self.view.wrote_term(reply.revision, record, seen);
            }
            Kind::Acquire { hold, lease } if reply.succeeded => {
                self.acquired(now, pending, reply.revision, hold, lease)
            }
            Kind::Acquire { .. } => {
                self.missed(now);
                self.take_in(now, pending, reply);
            }
            Kind::Renew(token) if reply.succeeded => self.renewed(now, pending, token, reply.revision),
            Kind::Release(token) if reply.succeeded => self.released(now, token, reply.revision),
            Kind::Mark if reply.succeeded => self.marked(now, reply.revision),
            _ => {
                self.take_in(now, pending, reply);
            }
        }
    }

    /// Takes in a read of the whole role, from a re-read or a transaction whose compare failed.
    pub(super) fn take_in(&mut self, now: Time, pending: &Pending, reply: &TxnReply) -> bool {
        let seen = if flawed!(self, WaitFromRequest) { pending.sent } else { now };
        let news = self.view.read(&self.keys, reply, seen);
        self.tell_seen();
        self.check_owner(now);
        news
    }

    fn read_answered(&mut self, now: Time, pending: &Pending, reply: &TxnReply) {
        self.uncertain = false;
        self.read_after = now + self.settings.reread;
        let news = self.take_in(now, pending, reply);
        #[cfg(feature = "testkit")]
        self.reread_flaw(now);
        if self.watch.is_some() && news {
            self.silent += 1;
            if self.silent == 2 {
                let error = Error::new(ErrorKind::Unavailable, "the watch is silent");
                self.degrade(Source::Watch, error);
            }
        }
        if self.watch.is_none() || self.silent > 1 {
            let id = WatchId(self.next_id);
            self.next_id += 1;
            self.watch = Some(id);
            self.view.trail.watch_begins();
            self.out.push_back(Output::Watch { id, from: reply.revision + 1 });
        }
    }

    fn failed(&mut self, now: Time, pending: &Pending, error: StoreError) {
        let kind = pending.kind;
        if error == StoreError::LeaseNotFound {
            if matches!(kind, Kind::Register(lease) | Kind::Acquire { lease, .. } if self.lease_is(lease)) {
                self.lease_lost(now);
            }
            return;
        }
        if matches!(error, StoreError::Regressed(_)) {
            self.end_regressed(now, error.into());
            return;
        }
        let unknown = matches!(error, StoreError::Unknown(_));
        let source = match kind.lane() {
            Lane::Lease => Source::Lease,
            Lane::Read | Lane::Operation => Source::Transactions,
        };
        self.degrade(source, error.into());
        match kind.lane() {
            Lane::Lease => self.lease_failed(now, kind),
            Lane::Read => self.read_after = now + pause(1),
            Lane::Operation => {
                self.op_after = now + pause(self.op_failures);
                self.op_failures += 1;
            }
        }
        match kind {
            Kind::Renew(token) => self.renewal_failed(now, token),
            Kind::Acquire { .. } | Kind::Release(_) | Kind::Mark if unknown => {
                self.uncertain = true;
                // A read that is under way may show what was before.
                self.abandon(Lane::Read);
                self.read_after = now;
                if matches!(kind, Kind::Acquire { .. }) {
                    self.missed(now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn degrade(&mut self, source: Source, error: Error) {
        let error = match error.kind() {
            ErrorKind::UnknownOutcome => Error::new(ErrorKind::Unavailable, error.message()),
            _ => error,
        };
        let other = self.degraded.is_some_and(|(by, _)| by != source);
        if !other && self.degraded != Some((source, error.kind())) {
            self.degraded = Some((source, error.kind()));
            self.tell(Event::Degraded(error));
        }
    }

    /// Only what failed can recover: an answered transaction says nothing of keepalives that are not answered.
    pub(super) fn recovered(&mut self, source: Source) {
        if self.degraded.is_some_and(|(by, _)| by == source) {
            self.degraded = None;
            self.tell(Event::Recovered);
        }
    }

    /// The store went back: what was written since is gone, and tokens would repeat.
    fn regressed(&mut self, now: Time, seen: Revision, shown: Revision) {
        let message = format!("the store was restored: it shows revision {shown}, this session has seen {seen}");
        self.end_regressed(now, Error::new(ErrorKind::Regressed, message));
    }

    pub(super) fn end_regressed(&mut self, now: Time, error: Error) {
        self.lose(now, Reason::Regressed, Some(error.clone()));
        self.fatal = Some(error);
    }
}
