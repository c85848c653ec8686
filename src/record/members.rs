//! The sessions of a role, as far as their records tell: who holds it, the members' order, which of them are Milvus's.

use std::collections::BTreeMap;

use super::Record;
use crate::kv::{KeyValue, LeaseId, Revision};

/// The active key, where it exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Active {
    pub(crate) revision: Revision,
    pub(crate) lease: LeaseId,
    /// `None`: it does not decode.
    pub(crate) record: Option<Record>,
}

impl Active {
    /// Whether it says who holds the role. Nobody does without a lease.
    pub(crate) fn is_held(&self) -> bool {
        self.lease != 0 && self.record.is_some()
    }

    /// Whether it is of this session.
    pub(crate) fn is_of(&self, session_id: u128) -> bool {
        self.record.as_ref().is_some_and(|record| record.is_of(session_id))
    }

    /// Whether it names a Milvus process.
    pub(crate) fn is_milvus(&self) -> bool {
        self.record.as_ref().is_some_and(Record::is_milvus)
    }

    /// Whether a Milvus process holds it.
    pub(crate) fn is_held_by_milvus(&self) -> bool {
        self.is_held() && self.is_milvus()
    }
}

/// A member key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) created: Revision,
    pub(crate) revision: Revision,
    pub(crate) lease: LeaseId,
    /// `None`: it does not decode.
    pub(crate) record: Option<Record>,
}

impl Member {
    pub(crate) fn new(kv: &KeyValue, record: Option<Record>) -> Self {
        Self { created: kv.create_revision, revision: kv.mod_revision, lease: kv.lease, record }
    }

    /// Whether a living Milvus process wrote it. One without a lease goes with nobody.
    pub(crate) fn is_milvus(&self) -> bool {
        self.lease != 0 && self.record.as_ref().is_some_and(Record::is_milvus)
    }

    /// Whether it may be of the Milvus process that has its server ID, readable or not.
    pub(crate) fn may_be_milvus(&self) -> bool {
        self.lease != 0 && self.record.as_ref().is_none_or(Record::is_milvus)
    }
}

/// The members that may be Milvus's, by server ID and revision: what a read shows to be new there may be a trace of a holder.
pub(crate) fn milvus_revisions(members: &BTreeMap<i64, Member>) -> Vec<(i64, Revision)> {
    let milvus = members.iter().filter(|(_, member)| member.may_be_milvus());
    milvus.map(|(id, member)| (*id, member.revision)).collect()
}

/// How many members stand before `own` in the order of campaigning: higher priority, then older member key. Milvus's are
/// not counted, they campaign at once; nor those whose member key may have outlived them: the `last` holders, and one
/// whose address a younger member has taken. An exclusive session has no member key, and waits for nobody.
pub(crate) fn rank(members: &BTreeMap<i64, Member>, own: i64, last: [Option<i64>; 2]) -> u32 {
    let place = |member: &Member| {
        let ours = member.record.as_ref()?.coordha.as_ref()?;
        Some((-i64::from(ours.priority), member.created))
    };
    let Some(mine) = members.get(&own).and_then(place) else { return 0 };
    let address = |member: &'_ Member| Some(member.record.as_ref()?.address.clone());
    let mut newest = BTreeMap::new();
    for member in members.values() {
        let created = newest.entry(address(member)).or_insert(0);
        *created = member.created.max(*created);
    }
    let before = |(id, member): &(&i64, &Member)| {
        **id != own
            && !last.contains(&Some(**id))
            && place(member).is_some_and(|place| place < mine)
            && newest.get(&address(member)) == Some(&member.created)
    };
    u32::try_from(members.iter().filter(before).count()).unwrap_or(u32::MAX)
}
