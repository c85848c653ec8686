//! Which Milvus processes may act for a role although the active key is free, as far as records tell.

use std::collections::BTreeMap;

use super::{Active, Keys, Member};
use crate::kv::{Compare, TxnReply};

/// The trail of Milvus holders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trail {
    /// The Milvus holders that were seen and have not ended since, by server ID, with their addresses.
    pub(crate) holders: BTreeMap<i64, String>,
    /// Who held the active key last is known. Where a read shows it gone it is not: others may have held it since.
    pub(crate) known: bool,
    /// A session of an old coordinator, which stands in the way of a mixcoord.
    pub(crate) old: Option<Vec<u8>>,
}

impl Trail {
    /// Takes in a read of the whole role, which showed who holds the active key, or did not.
    pub(crate) fn read(&mut self, keys: &Keys, reply: &TxnReply, held: bool) {
        self.old = keys.old.iter().find(|key| reply.kvs().any(|kv| kv.key == **key)).cloned();
        self.known &= held;
    }

    /// Takes in a change of the active key.
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
        self.known |= *lease != 0;
    }

    /// A Milvus member that may act for the role: a past holder, or any where the last holder is not known.
    pub(crate) fn suspect(&self, members: &BTreeMap<i64, Member>) -> Option<(i64, String)> {
        let (id, member) = members.iter().find(|(id, member)| {
            (member.may_be_milvus() && self.holders.contains_key(*id)) || (!self.known && member.is_milvus())
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
