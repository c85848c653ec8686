//! One role, as it is shown: who is active, who stands by, what the term record says.

use std::collections::BTreeMap;

use serde::Serialize;

use super::LeaseLeft;
use super::chance::{self, Chance};
use super::old_roles::OldKeys;
use crate::kv::{KeyValue, LeaseId, Revision};
use crate::record::{Record, TermRecord};
use crate::store::etcd::digits;

/// Who wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A session of this library.
    Coordha,
    /// A Milvus process, or who writes as one.
    Milvus,
}

impl Kind {
    /// `coordha` or `milvus`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordha => "coordha",
            Self::Milvus => "milvus",
        }
    }
}

/// A session, by its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// The key of the record.
    pub key: String,
    /// The role, by that key.
    pub role: String,
    /// The record is that of the active key.
    pub is_active: bool,
    /// Who wrote it.
    pub kind: Kind,
    /// `ServerID`.
    pub server_id: i64,
    /// `Address`.
    pub address: String,
    /// `HostName`; empty: not said.
    pub host_name: String,
    /// `Version`.
    pub version: String,
    /// `Stopping`.
    pub stopping: bool,
    /// The lease that the key goes with; 0: none.
    #[serde(serialize_with = "digits")]
    pub lease: LeaseId,
    /// `LeaseID` in the record; 0: not said.
    #[serde(serialize_with = "digits")]
    pub record_lease: LeaseId,
    /// How long that lease has left; `None`: not known.
    pub lease_left: Option<LeaseLeft>,
    /// Revision at which the key came to be.
    pub create_revision: Revision,
    /// Revision of its last write; of an active key, the fencing token.
    pub mod_revision: Revision,
    /// What only this library's sessions say: higher is tried first.
    pub priority: Option<i32>,
    /// What only this library's sessions say: the hold time, in ms.
    pub hold_ms: Option<u64>,
    /// What only this library's sessions say: the lease's time to live that was asked for, in ms.
    pub ttl_ms: Option<u64>,
}

impl SessionView {
    pub(super) fn new(
        key: String,
        role: &str,
        is_active: bool,
        kv: &KeyValue,
        record: Record,
        lease_left: Option<LeaseLeft>,
    ) -> Self {
        let ours = record.coordha.as_ref();
        Self {
            key,
            role: role.to_owned(),
            is_active,
            kind: if ours.is_some() { Kind::Coordha } else { Kind::Milvus },
            server_id: record.server_id,
            priority: ours.map(|ours| ours.priority),
            hold_ms: ours.map(|ours| ours.hold_ms),
            ttl_ms: ours.map(|ours| ours.ttl_ms),
            address: record.address,
            host_name: record.host_name,
            version: record.version,
            stopping: record.stopping,
            lease: kv.lease,
            record_lease: record.lease_id,
            lease_left,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
        }
    }
}

/// A key that cannot be read as what its name says, or whose name says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stranger {
    /// The key.
    pub key: String,
    /// What is wrong.
    pub why: String,
    /// Its lease; 0: none.
    #[serde(serialize_with = "digits")]
    pub lease: LeaseId,
    /// Revision of its last write.
    pub mod_revision: Revision,
}

impl Stranger {
    pub(super) fn new(key: String, why: String, kv: &KeyValue) -> Self {
        Self { key, why, lease: kv.lease, mod_revision: kv.mod_revision }
    }
}

/// What a term record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenure {
    /// Its holder may act.
    Held,
    /// It ended in order: nobody acts.
    Released,
    /// Written where there was none.
    Vacant,
}

/// The term record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TermView {
    /// What it says.
    pub tenure: Tenure,
    /// The fencing token of the term; 0 in a vacant one.
    pub token: Revision,
    /// Hold time, in ms.
    pub hold_ms: u64,
    /// How often it was renewed.
    pub renewals: u64,
    /// Of which session.
    pub server_id: i64,
    /// The process that alone acts for the role, where it says so.
    pub pid: Option<u32>,
    /// Revision of its last write.
    pub mod_revision: Revision,
    /// It is of the term of the active key.
    pub is_current: bool,
    /// How long it has lasted, by its renewals, in ms: a quarter of the hold time each. About.
    pub lasted_ms: u64,
}

/// A session that stands by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandbyView {
    /// Its record.
    #[serde(flatten)]
    pub session: SessionView,
    /// How many of this library's sessions are tried before it; `None`: a Milvus session, which has no rank.
    pub rank: Option<u32>,
    /// Whether it could win now.
    pub chance: Chance,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleView {
    /// Its name.
    pub role: String,
    /// The revision at which it was seen.
    pub revision: Revision,
    /// Who is active: the record of the active key.
    pub active: Option<SessionView>,
    /// The term record, where it is there and can be read.
    pub term: Option<TermView>,
    /// Who stands by, in the order in which they are tried.
    pub standbys: Vec<StandbyView>,
    /// Keys of the role that cannot be read.
    pub strangers: Vec<Stranger>,
}

impl RoleView {
    /// Whether the active one holds a term of this library's, which the term record names.
    pub fn has_term(&self) -> bool {
        self.active.is_some() && self.held().is_some()
    }

    /// The term record of the active one, while it is held.
    pub fn held(&self) -> Option<&TermView> {
        self.term.as_ref().filter(|term| term.is_current && term.tenure == Tenure::Held)
    }
}

/// What a role is made from.
pub(super) struct Seen<'a> {
    pub(super) role: &'a str,
    pub(super) revision: Revision,
    pub(super) active_key: Option<&'a KeyValue>,
    pub(super) active: Option<SessionView>,
    pub(super) term: Option<(&'a KeyValue, TermRecord)>,
    pub(super) sessions: Vec<SessionView>,
    pub(super) strangers: Vec<Stranger>,
    /// Of a mixed coordinator's role: what is below the old roles' names.
    pub(super) old: OldKeys,
    pub(super) takeover_delay_ms: u64,
}

pub(super) fn view(seen: Seen<'_>) -> RoleView {
    let term = seen.term.as_ref().map(|(kv, record)| term(kv, record, seen.active_key));
    let situation = chance::Situation {
        active_key: seen.active_key,
        active: seen.active.as_ref(),
        term: term.as_ref(),
        old: &seen.old,
        milvus: seen.sessions.iter().find(|session| session.kind == Kind::Milvus && session.lease != 0),
        takeover_delay_ms: seen.takeover_delay_ms,
    };
    let is_active = |session: &SessionView| {
        seen.active.as_ref().is_some_and(|active| {
            active.server_id == session.server_id && (active.lease == session.lease || active.lease == 0)
        })
    };
    let ranks = ranks(&seen.sessions, seen.active.as_ref(), term.as_ref());
    let standing = seen.sessions.iter().filter(|session| !is_active(session));
    let mut standbys: Vec<StandbyView> = standing
        .map(|session| {
            let rank = ranks.get(&session.server_id).copied();
            StandbyView { session: session.clone(), rank, chance: situation.chance(session, rank) }
        })
        .collect();
    standbys.sort_by_key(|standby| (standby.rank, standby.session.create_revision));
    RoleView {
        role: seen.role.to_owned(),
        revision: seen.revision,
        active: seen.active,
        term,
        standbys,
        strangers: seen.strangers,
    }
}

fn term(kv: &KeyValue, record: &TermRecord, active: Option<&KeyValue>) -> TermView {
    use crate::record::Tenure as Recorded;

    // The write that starts a term names no token: it is its own revision.
    let token = if record.token == 0 && record.tenure == Recorded::Held { kv.mod_revision } else { record.token };
    TermView {
        tenure: match record.tenure {
            Recorded::Held => Tenure::Held,
            Recorded::Released => Tenure::Released,
            Recorded::Vacant => Tenure::Vacant,
        },
        token,
        hold_ms: record.hold_ms,
        renewals: record.renewals,
        server_id: record.server_id,
        pid: record.process.as_ref().map(|process| process.pid),
        mod_revision: kv.mod_revision,
        is_current: active.is_some_and(|active| active.mod_revision == token),
        lasted_ms: record.renewals.saturating_mul(record.hold_ms / 4),
    }
}

/// The order in which the library's sessions are tried: higher priority, then older member key. The last holder is not
/// counted, nor one whose address a younger member has taken.
fn ranks(sessions: &[SessionView], active: Option<&SessionView>, term: Option<&TermView>) -> BTreeMap<i64, u32> {
    let mut newest = BTreeMap::new();
    for session in sessions {
        let created = newest.entry(session.address.as_str()).or_insert(0);
        *created = session.create_revision.max(*created);
    }
    let last = [term.map(|term| term.server_id), active.map(|active| active.server_id)];
    let counts = |session: &&SessionView| {
        session.kind == Kind::Coordha
            && !last.contains(&Some(session.server_id))
            && newest.get(session.address.as_str()) == Some(&session.create_revision)
    };
    let place = |session: &SessionView| (-i64::from(session.priority.unwrap_or(0)), session.create_revision);
    let counted: Vec<_> = sessions.iter().filter(counts).map(place).collect();
    let ours = sessions.iter().filter(|session| session.kind == Kind::Coordha);
    ours.map(|session| {
        let before = counted.iter().filter(|other| **other < place(session)).count();
        (session.server_id, u32::try_from(before).unwrap_or(u32::MAX))
    })
    .collect()
}
