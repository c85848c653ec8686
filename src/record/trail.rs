//! Which Milvus processes may act for a role although the active key is free, as far as records tell.

use std::collections::BTreeMap;

use super::{Active, Keys, Member, Record};
use crate::kv::{Compare, KeyValue, Revision, TxnReply};

/// The trail of Milvus holders. Who held the active key last is known where the watch has shown it all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trail {
    /// The Milvus holders that were seen and have not ended since, by server ID, with their addresses.
    pub(crate) holders: BTreeMap<i64, String>,
    /// The watch began when nobody held the key, and has shown no holder since: it will not tell who was the last.
    pub(crate) start: bool,
    /// A read at this revision showed that nobody holds the key, and the watch has not come so far; 0: it has.
    pub(crate) doubt: Revision,
    /// A write of this session's is newer than that: when the watch shows it, it has come so far.
    pub(crate) asked: bool,
    /// A session of an old coordinator, which stands in the way of a mixcoord.
    pub(crate) old: Option<Vec<u8>>,
}

impl Trail {
    /// Takes in a read of the whole role. `gap`: it shows more than the watch has, and nobody who holds the active key.
    pub(crate) fn read(&mut self, keys: &Keys, reply: &TxnReply, gap: bool) {
        self.old = keys.old.iter().find(|key| reply.kvs().any(|kv| kv.key == **key)).cloned();
        if gap {
            (self.doubt, self.asked) = (reply.revision, false);
        }
    }

    /// A watch begins behind the newest read: what was in doubt up to there it will not show.
    pub(crate) fn watch_begins(&mut self) {
        self.start |= self.doubt > 0;
        self.end_doubt();
    }

    /// Takes in that the watch, which shows all changes of the role's keys in their order, has come up to a revision;
    /// and what it shows there of the active key, though a read may have shown something newer. Answers whether a Milvus
    /// process held it.
    pub(crate) fn watched(&mut self, revision: Revision, put: Option<&KeyValue>) -> bool {
        if revision >= self.doubt {
            self.end_doubt();
        }
        let record = put.and_then(|kv| Record::decode(&kv.value).ok());
        let lease = put.map_or(0, |kv| kv.lease);
        self.start &= record.is_none() || lease == 0;
        let milvus = record.filter(Record::is_milvus);
        milvus.map(|record| self.holders.insert(record.server_id, record.address)).is_some()
    }

    /// Takes in the active key where it has changed, by whatever showed it.
    pub(crate) fn follow(&mut self, active: Option<&Active>, members: &BTreeMap<i64, Member>) {
        // Whether that is gone as well, the next transaction will tell.
        self.old = None;
        let Some(Active { lease, record: Some(record), .. }) = active else { return };
        // Where the key of one was deleted and another took it, both may act; so may one after which a campaign
        // committed that had been under way all the while.
        self.holders.retain(|id, _| members.get(id).is_some_and(Member::may_be_milvus));
        if record.is_milvus() {
            self.holders.insert(record.server_id, record.address.clone());
        }
        if *lease != 0 {
            self.start = false;
            self.end_doubt();
        }
    }

    pub(crate) fn end_doubt(&mut self) {
        (self.doubt, self.asked) = (0, false);
    }

    /// Takes in a write by this session of one of the role's keys.
    pub(crate) fn wrote(&mut self, revision: Revision) {
        self.asked |= self.doubt > 0 && revision >= self.doubt;
    }

    /// A Milvus member that may act for the role: a past holder, or any where the last holder is not known.
    pub(crate) fn suspect(&self, members: &BTreeMap<i64, Member>) -> Option<(i64, String)> {
        self.find(members, self.start || self.doubt > 0)
    }

    /// One that may act for the role whatever the watch will show.
    pub(crate) fn known_suspect(&self, members: &BTreeMap<i64, Member>) -> Option<(i64, String)> {
        self.find(members, self.start)
    }

    /// Whether a doubt alone stands in the way, and no write has asked the watch yet.
    pub(crate) fn asks(&self, members: &BTreeMap<i64, Member>) -> bool {
        !self.asked && self.known_suspect(members).is_none() && self.suspect(members).is_some()
    }

    fn find(&self, members: &BTreeMap<i64, Member>, any: bool) -> Option<(i64, String)> {
        let (id, member) = members.iter().find(|(id, member)| {
            (member.may_be_milvus() && self.holders.contains_key(*id)) || (any && member.is_milvus())
        })?;
        let address = member.record.as_ref().map(|record| record.address.clone());
        Some((*id, address.or_else(|| self.holders.get(id).cloned()).unwrap_or_default()))
    }

    /// What a transaction that starts a term compares: that all these are as they were seen, and not in the way.
    pub(crate) fn compares(&self, keys: &Keys, members: &BTreeMap<i64, Member>) -> Vec<Compare> {
        // A member key that a stranger's put has taken the lease from stands for ever.
        let seen = |id: &i64| members.get(id).map_or(0, |member| member.revision);
        let old = keys.old.iter().map(|key| Compare::create_revision(key.clone(), 0));
        let holders = self.holders.keys().map(|id| Compare::mod_revision(keys.member(*id), seen(id)));
        old.chain(holders).collect()
    }
}
