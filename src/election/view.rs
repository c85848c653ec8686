//! What a session has seen of its role in the store. It only ever moves on: what shows an older revision of a key
//! than one already seen is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::io::{Event, Holder, Time};
use crate::error::Error;
use crate::kv::{KeyValue, Revision, TxnReply, WatchEvent};
use crate::record::{Active, Keys, Member, Record, TermRecord, Trail, milvus_revisions, rank, unreadable};

/// The term record, where it exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) revision: Revision,
    /// When this revision of it was first seen.
    pub(super) seen: Time,
    /// `None`: it does not decode, which counts as vacant.
    pub(super) record: Option<TermRecord>,
}

/// All that has been seen, and up to which revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The newest revision of the store that anything has shown.
    pub(super) newest: Revision,
    /// Up to which revision the role's range is known whole; 0: it was not read yet.
    pub(super) known: Revision,
    /// Up to which revision the active key is known.
    pub(super) active_known: Revision,
    pub(super) active: Option<Active>,
    /// Up to which revision the term record is known.
    pub(super) term_known: Revision,
    pub(super) term: Option<Term>,
    /// By server ID.
    pub(super) members: BTreeMap<i64, Member>,
    /// Who of Milvus may act though the active key is free.
    pub(super) trail: Trail,
    /// When a Milvus holder was last in the way, or may have been.
    pub(super) milvus_seen: Option<Time>,
    /// The longest hold time in any record read.
    pub(super) longest_hold: Duration,
    /// Keys reported as unreadable, until they can be read or are gone.
    foreign: BTreeSet<Vec<u8>>,
    /// What the user has to be told of it.
    pub(super) told: Vec<Event>,
}

impl View {
    /// Takes in a read of the role's range and the term record, whole, at one revision. Answers whether anything in it was news.
    pub(super) fn read(&mut self, keys: &Keys, reply: &TxnReply, seen: Time) -> bool {
        self.newest = self.newest.max(reply.revision);
        self.mark_milvus(seen);
        let ahead = reply.revision > self.known.max(self.active_known);
        let was_held = self.known == 0 || self.active.is_some();
        let before = (self.active.as_ref().map(|a| a.revision), self.term.as_ref().map(|t| t.revision));
        let mut others = false;
        if reply.revision >= self.known {
            self.known = reply.revision;
            let known = std::mem::take(&mut self.members);
            for kv in reply.kvs() {
                self.put_member(keys, kv);
            }
            others = milvus_revisions(&known) != milvus_revisions(&self.members);
            let present: BTreeSet<&[u8]> = reply.kvs().map(|kv| kv.key.as_slice()).collect();
            self.foreign.retain(|key| present.contains(key.as_slice()));
        }
        let find = |key: &[u8]| reply.kvs().find(|kv| kv.key == key);
        self.set_active(keys, reply.revision, find(&keys.active));
        self.set_term(keys, reply.revision, find(&keys.term), seen);
        // A stranger's put over a key that somebody held in between hides who it was, as its absence does.
        let same = before.0.is_some() && before.0 == self.active.as_ref().map(|a| a.revision);
        let shown = same || self.active.as_ref().is_some_and(Active::is_held);
        self.trail.read(keys, reply, ahead && !shown);
        let news = before != (self.active.as_ref().map(|a| a.revision), self.term.as_ref().map(|t| t.revision));
        // What the watch has not told of may be that somebody held the key, too.
        if (was_held || others || news) && !shown {
            self.milvus_seen = Some(seen);
        }
        news
    }

    /// Takes in one event of the watch.
    pub(super) fn event(&mut self, keys: &Keys, event: &WatchEvent, seen: Time) {
        let revision = event.revision();
        self.newest = self.newest.max(revision);
        self.mark_milvus(seen);
        let kv = match event {
            WatchEvent::Put(kv) => Some(kv),
            WatchEvent::Delete { key, .. } => {
                self.foreign.remove(key);
                None
            }
        };
        if event.key() == keys.term {
            self.set_term(keys, revision, kv, seen);
            return;
        }
        let active = event.key() == keys.active;
        if self.trail.watched(revision, kv.filter(|_| active)) {
            self.milvus_seen = Some(seen);
        }
        if active {
            self.set_active(keys, revision, kv);
        } else if revision >= self.known {
            // A read from before, which comes later, must not undo it.
            self.known = revision;
            match (keys.member_id(event.key()), kv) {
                (Some(id), None) => drop(self.members.remove(&id)),
                (_, Some(kv)) => self.put_member(keys, kv),
                (None, None) => {}
            }
        }
    }

    /// Takes in this session's own committed write of the active key.
    pub(super) fn wrote_active(&mut self, revision: Revision, active: Option<Active>) {
        self.newest = self.newest.max(revision);
        if revision > self.active_known {
            (self.active_known, self.active) = (revision, active);
            self.trail.follow(self.active.as_ref(), &self.members);
        }
    }

    /// Takes in this session's own committed write of the term record.
    pub(super) fn wrote_term(&mut self, revision: Revision, record: TermRecord, seen: Time) {
        self.newest = self.newest.max(revision);
        if revision > self.term_known {
            self.term_known = revision;
            self.term = Some(Term { revision, seen, record: Some(record) });
        }
    }

    fn set_active(&mut self, keys: &Keys, revision: Revision, kv: Option<&KeyValue>) {
        if revision <= self.active_known {
            return;
        }
        self.active_known = revision;
        if self.active.as_ref().map(|a| a.revision) == kv.map(|kv| kv.mod_revision) {
            return;
        }
        self.active = kv.map(|kv| Active {
            revision: kv.mod_revision,
            lease: kv.lease,
            record: self.decode(&keys.active, &kv.value),
        });
        self.trail.follow(self.active.as_ref(), &self.members);
    }

    fn set_term(&mut self, keys: &Keys, revision: Revision, kv: Option<&KeyValue>, seen: Time) {
        if revision <= self.term_known {
            return;
        }
        self.term_known = revision;
        if self.term.as_ref().map(|t| t.revision) == kv.map(|kv| kv.mod_revision) {
            return;
        }
        self.term = kv.map(|kv| {
            let record = TermRecord::decode(&kv.value);
            let record = self.report(&keys.term, record);
            if let Some(record) = &record {
                self.longest_hold = self.longest_hold.max(record.hold());
            }
            Term { revision: kv.mod_revision, seen, record }
        });
    }

    fn put_member(&mut self, keys: &Keys, kv: &KeyValue) {
        if let Some(id) = keys.member_id(&kv.key) {
            let record = self.decode(&kv.key, &kv.value);
            self.members.insert(id, Member::new(kv, record));
        }
    }

    fn decode(&mut self, key: &[u8], value: &[u8]) -> Option<Record> {
        let record = self.report(key, Record::decode(value))?;
        if let Some(ours) = &record.coordha {
            self.longest_hold = self.longest_hold.max(Duration::from_millis(ours.hold_ms));
        }
        Some(record)
    }

    /// Reports a key that cannot be read, once until it can be or is gone.
    fn report<T>(&mut self, key: &[u8], result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => {
                self.foreign.remove(key);
                Some(value)
            }
            Err(error) => {
                if self.foreign.insert(key.to_vec()) {
                    self.told.push(Event::Foreign { key: key.to_vec(), error: unreadable(key, &error) });
                }
                None
            }
        }
    }

    /// Who is active, where its record can be read.
    pub(super) fn holder(&self) -> Option<Holder> {
        self.active.as_ref().and_then(Holder::of)
    }

    /// The term record, where it can be read.
    pub(super) fn term_record(&self) -> Option<&TermRecord> {
        self.term.as_ref()?.record.as_ref()
    }

    /// Whether the term record is of the very term of this active key, so that its wait ends that term.
    pub(super) fn term_matches(&self, active: &Active) -> bool {
        let term = self.term.as_ref().and_then(|term| Some([term.record.as_ref()?.token, term.revision]));
        term.is_some_and(|either| either.contains(&active.revision))
    }

    /// How many members of ours stand before `own` in the order of campaigning.
    pub(super) fn rank(&self, own: i64) -> u32 {
        let last = [self.term_record().map(|r| r.server_id), self.holder().map(|h| h.server_id)];
        rank(&self.members, own, last)
    }
}
