//! The roles whose place a mixed coordinator of Milvus 2.6 takes. Their keys are in its way, but for the copies of the active one's own
//! record, which Milvus 2.6.8 and later puts there.

use super::role::{Kind, SessionView};
use super::snapshot::{Snapshot, shown};
use crate::record::{Keys, Record};

/// The roles whose place a mixed coordinator of Milvus 2.6 takes, and whose keys block it.
pub const OLD_ROLES: [&str; 3] = ["rootcoord", "datacoord", "querycoord"];

/// What is below the old roles' names.
#[derive(Debug, Default)]
pub(super) struct OldKeys {
    /// An active key that is no copy: every mixed coordinator waits for it.
    pub(super) active: Option<String>,
    /// A record that is no copy, under a name that begins so: Milvus lists by plain prefix, and its mixed coordinators wait for that too.
    pub(super) listed: Option<String>,
    /// The Milvus process whose copies are there: it has held the role, and no other one has since.
    pub(super) copied: Option<SessionView>,
}

impl SessionView {
    /// The Milvus process of which this is a copy under an old role's name, found among the sessions of a [`Snapshot`]; `None`: it is
    /// no copy.
    pub fn copied_from<'a>(&self, sessions: &'a [Self]) -> Option<&'a Self> {
        let may_be =
            self.is_active && self.kind == Kind::Milvus && self.lease != 0 && OLD_ROLES.contains(&self.role.as_str());
        let is_its = |of: &&Self| {
            let is_mixed = of.role == "mixcoord" && of.kind == Kind::Milvus;
            is_mixed && of.lease == self.lease && of.server_id == self.server_id
        };
        sessions.iter().find(is_its).filter(|_| may_be)
    }
}

impl Snapshot {
    pub(super) fn old_keys(&self) -> OldKeys {
        let sessions = self.sessions();
        let copies: Vec<_> =
            sessions.iter().filter_map(|session| Some((&session.key, session.copied_from(&sessions)?))).collect();
        let is_copy = |key: &[u8]| copies.iter().any(|(copy, _)| copy.as_bytes() == key);
        let active = OLD_ROLES.map(|old| Keys::new(self.root(), old).active);
        let mut listed = self.keys.values().filter(|kv| active.iter().any(|key| kv.key.starts_with(key)));
        OldKeys {
            active: active.iter().find(|key| self.keys.contains_key(*key) && !is_copy(key)).map(|key| shown(key)),
            listed: listed.find(|kv| !is_copy(&kv.key) && Record::decode(&kv.value).is_ok()).map(|kv| shown(&kv.key)),
            copied: copies.first().map(|(_, of)| (*of).clone()),
        }
    }
}
