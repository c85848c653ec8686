//! Being registered: a server ID, a lease, and the member key; and the end of all three.

use std::time::Duration;

use super::Election;
use super::io::{Event, Reason, Role, StoreRequest, Time};
use super::request::{Kind, Lane, Pending, Source, pause};
use crate::error::{Error, ErrorKind};
use crate::kv::{Compare, KeyRange, LeaseId, LeaseReply, Op, Revision, Txn, TxnReply};
use crate::record::{Member, Record, encode, millis};

/// The session's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    /// As granted, or as the last keepalive said.
    pub(super) ttl: Duration,
    /// When the grant, or the last keepalive that was answered, was sent.
    pub(super) kept: Time,
    /// When the next keepalive is due.
    pub(super) next: Time,
}

impl Election {
    pub(super) fn lease_is(&self, id: LeaseId) -> bool {
        self.lease.is_some_and(|lease| lease.id == id)
    }

    /// H of a term of this session's: at most 0.8 of the lease's time to live.
    pub(super) fn own_hold(&self) -> Duration {
        let longest = self.lease.map_or(self.settings.ttl, |lease| lease.ttl) * 4 / 5;
        Duration::from_millis(millis(self.settings.hold.min(longest)))
    }

    /// Until when a term may be acted in, as far as the lease goes.
    pub(super) fn lease_end(&self) -> Time {
        self.lease.map_or(Time(0), |lease| lease.kept + lease.ttl * 4 / 5)
    }

    pub(super) fn record(&self, lease: &Lease) -> Record {
        self.settings.record(self.server_id, lease.id, lease.ttl, self.own_hold())
    }

    pub(super) fn drive_lease(&mut self, now: Time) {
        if self.is_busy(Lane::Lease) || self.end_by.is_some() {
            return;
        }
        // Keepalives that are not answered for so long: whether the lease lives cannot be known.
        if let Some(lease) = self.lease
            && self.due(now, lease.kept + lease.ttl)
        {
            self.lease_lost(now);
        }
        let lease = self.lease;
        match lease {
            None if !self.is_leaving() && self.due(now, self.lease_after) => {
                let ttl = self.settings.ttl;
                self.send(now, Kind::Grant, StoreRequest::Grant { ttl });
            }
            Some(lease) if self.due(now, lease.next) => {
                self.send(now, Kind::KeepAlive(lease.id), StoreRequest::KeepAlive { lease: lease.id });
            }
            _ => {}
        }
    }

    pub(super) fn granted(&mut self, now: Time, pending: &Pending, reply: LeaseReply) {
        self.recovered(Source::Lease);
        let ttl = Duration::from_millis(reply.ttl_ms);
        self.lease = Some(Lease { id: reply.lease, ttl, kept: pending.sent, next: now + ttl / 5 });
    }

    pub(super) fn kept_alive(&mut self, now: Time, pending: &Pending, reply: LeaseReply) {
        if pending.kind != Kind::KeepAlive(reply.lease) || !self.lease_is(reply.lease) {
            return;
        }
        if reply.ttl_ms == 0 {
            self.lease_lost(now);
        } else if let Some(lease) = &mut self.lease {
            lease.ttl = Duration::from_millis(reply.ttl_ms);
            lease.kept = lease.kept.max(pending.sent);
            lease.next = pending.sent + lease.ttl / 5;
            self.lost_leases = 0;
            self.recovered(Source::Lease);
        }
    }

    pub(super) fn lease_failed(&mut self, now: Time, kind: Kind) {
        let retry = (self.settings.hold / 8).clamp(Duration::from_millis(20), Duration::from_secs(1));
        match (kind, &mut self.lease) {
            (Kind::KeepAlive(_), Some(lease)) => lease.next = now + retry.min(lease.ttl / 5),
            _ => self.lease_after = now + pause(3),
        }
    }

    /// The lease is gone, and with it the keys. A new one is taken; nothing is tried again with the old one.
    pub(super) fn lease_lost(&mut self, now: Time) {
        // What came meanwhile may forbid to register anew.
        (self.lease, self.registered, self.admitted) = (None, false, self.keys.newer.is_empty());
        // One that goes as soon as it is granted is not answered grant for grant.
        if self.lost_leases > 0 {
            self.lease_after = now + pause(self.lost_leases);
        }
        self.lost_leases += 1;
        self.lose(now, Reason::LeaseLost, None);
    }

    /// Sends what is missing to be registered. False: nothing is, or it cannot be sent yet.
    pub(super) fn register(&mut self, now: Time) -> bool {
        if self.server_id == 0 || !self.admitted {
            if self.awaits_id || !self.due(now, self.op_after) {
                return false;
            }
            let reads = self.keys.at_start().map(|key| Op::read(KeyRange::key(key.clone())));
            self.read(now, Kind::ReadId, reads.collect());
            return true;
        }
        let Some(lease) = self.lease else { return false };
        let missing = self.view.known > 0 && !self.view.members.contains_key(&self.server_id);
        let (own, asks) = (self.own_member(), self.view.trail.asks(&self.view.members));
        let seen = own.map_or(0, |(_, revision)| revision);
        let stale = own.is_some_and(|(record, _)| asks || record.priority() != self.settings.priority);
        if !self.settings.active_standby {
            self.set_registered(&lease);
            return false;
        }
        if (self.registered && !missing && !stale) || !self.due(now, self.op_after) {
            return false;
        }
        let key = self.keys.member(self.server_id);
        let put = Op::put(key.clone(), encode(&self.record(&lease)), lease.id);
        self.write_if(now, Kind::Register(lease.id), vec![Compare::mod_revision(key, seen)], vec![put]);
        true
    }

    /// The member key of this server ID, where it is this session's: its record and its revision.
    fn own_member(&self) -> Option<(&Record, Revision)> {
        let member = self.view.members.get(&self.server_id)?;
        let record = member.record.as_ref().filter(|record| record.is_of(self.settings.session_id))?;
        Some((record, member.revision))
    }

    pub(super) fn register_answered(&mut self, now: Time, pending: &Pending, id: LeaseId, reply: &TxnReply) {
        let Some(lease) = self.lease.filter(|lease| lease.id == id) else { return };
        if reply.succeeded {
            let (revision, record) = (reply.revision, Some(self.record(&lease)));
            // One that was there was written over, and keeps its place in the order.
            let created = self.view.members.get(&self.server_id).map_or(revision, |member| member.created);
            self.view.members.insert(self.server_id, Member { created, revision, lease: id, record });
            self.set_registered(&lease);
            self.view.trail.wrote(revision);
            #[cfg(feature = "testkit")]
            self.answer_flaw();
            return;
        }
        self.take_in(now, pending, reply);
        match self.own_member().map(|(record, _)| record.lease_id == id) {
            Some(true) => self.set_registered(&lease),
            // Another session has this ID: IDs repeat after a restore. Take the next one.
            None if self.view.members.contains_key(&self.server_id) => self.server_id = 0,
            _ => {}
        }
    }

    fn set_registered(&mut self, lease: &Lease) {
        if !std::mem::replace(&mut self.registered, true) {
            self.tell(Event::Registered { server_id: self.server_id, ttl: lease.ttl });
        }
    }

    /// Takes the next server ID, where it has none and may be here: the number read, by a write that compares that very text.
    pub(super) fn id_read(&mut self, now: Time, reply: &TxnReply) {
        let newer = reply.kvs().find(|kv| self.keys.newer.contains(&kv.key));
        self.fatal = newer.map(|kv| self.settings.beside_mixcoord(&kv.key)).or(self.fatal.take());
        self.admitted = newer.is_none();
        if !self.admitted || self.server_id != 0 {
            return;
        }
        let key = self.keys.id.clone();
        let value = reply.kvs().next().map(|kv| String::from_utf8_lossy(&kv.value).into_owned());
        let id = self.keys.parse_id(value.as_deref());
        let Ok(id) = id.map_err(|error| self.fatal = Some(error)) else { return };
        let compare = match value {
            None => Compare::version(key.clone(), 0),
            Some(text) => Compare::value(key.clone(), text),
        };
        let success = vec![Op::put(key, (id + 1).to_string(), 0)];
        let txn = Txn { compares: vec![compare], success, ..Txn::default() };
        self.send(now, Kind::TakeId(id), StoreRequest::Txn(txn));
    }

    /// Another session took the number. Many that start at once would mostly be in each other's way, so each waits for
    /// some part, its own, of up to 2 ms and doubling to 1 s.
    pub(super) fn id_missed(&mut self, now: Time) {
        self.misses += 1;
        // Mixed, so that session IDs that are alike wait differently, and each waits differently every time.
        let id = (self.settings.session_id ^ self.settings.session_id >> 64) as u64;
        let mixed = id.wrapping_add(self.misses.into()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.op_after = now + Duration::from_millis(1 + mixed % (1 << self.misses.min(10)));
    }

    pub(super) fn end_by(&mut self, now: Time) -> Time {
        *self.end_by.get_or_insert(now + self.settings.release_timeout)
    }

    /// The end: when no term is left behind, the lease is revoked, and all is over. It never takes longer than the release limit.
    pub(super) fn finish(&mut self, now: Time) {
        let end_by = self.end_by(now);
        let in_time = !self.due(now, end_by);
        if in_time && (self.is_busy(Lane::Lease) || (self.uncertain && self.fatal.is_none())) {
            return;
        }
        if let Some(lease) = self.lease.filter(|_| in_time) {
            if self.due(now, self.lease_after) {
                let lease = lease.id;
                self.send(now, Kind::Revoke(lease), StoreRequest::Revoke { lease });
            }
            return;
        }
        let unconfirmed = self.lease.is_some() || self.uncertain;
        let error = self.fatal.take().or_else(|| {
            unconfirmed.then(|| Error::new(ErrorKind::Unavailable, "left, but the store has not confirmed the release"))
        });
        self.pending.clear();
        self.watch = None;
        self.wake = None;
        self.told_role = Role::Ended;
        self.tell(Event::Ended(error));
    }
}
