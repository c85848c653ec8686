//! The keys below a root, at one revision, and what they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::LeaseLeft;
use super::old_roles::OldKeys;
use super::role::{self, RoleView, SessionView, Stranger};
use crate::kv::{KeyValue, LeaseId, Revision, TxnReply, WatchEvent};
use crate::record::{Keys, Record, TermRecord};

/// Milvus's nodes, which hold no election.
const NODES: [&str; 5] = ["proxy", "datanode", "querynode", "indexnode", "streamingnode"];

pub(super) type Leases = BTreeMap<LeaseId, LeaseLeft>;

/// What was read, or followed, of a role or of all roles.
#[derive(Clone, Debug)]
pub struct Snapshot {
    root: String,
    role: Option<String>,
    takeover_delay_ms: u64,
    /// The newest revision that is in it.
    revision: Revision,
    /// Up to here all of it is known: what a watch shows late is dropped.
    whole: Revision,
    pub(super) keys: BTreeMap<Vec<u8>, KeyValue>,
    pub(super) leases: Leases,
}

/// The counter of server IDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// Its key.
    pub key: String,
    /// The next server ID; `None`: no session was ever started, or it is no number.
    pub next: Option<i64>,
    /// What stands there in place of a number.
    pub garbage: Option<String>,
}

/// What a key is, by its name.
enum Place<'a> {
    Counter,
    /// Written by Milvus 2.6.8 and later.
    Version,
    Active(&'a str),
    Member(&'a str, i64),
    Term(&'a str),
    /// Of a role, and nothing that is looked at.
    Other,
    Foreign,
}

impl Snapshot {
    pub(super) fn new(root: &str, role: Option<&str>, takeover_delay_ms: u64, reply: &TxnReply) -> Self {
        Self {
            root: root.to_owned(),
            role: role.map(str::to_owned),
            takeover_delay_ms,
            revision: reply.revision,
            whole: reply.revision,
            keys: reply.kvs().map(|kv| (kv.key.clone(), kv.clone())).collect(),
            leases: Leases::new(),
        }
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The newest revision that is in it.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The lowest revision that a watch must begin at.
    pub(super) fn after(&self) -> Revision {
        self.whole + 1
    }

    /// Takes in what a watch has shown.
    pub(super) fn apply(&mut self, events: &[WatchEvent]) {
        for event in events.iter().filter(|event| event.revision() > self.whole) {
            self.revision = self.revision.max(event.revision());
            match event {
                WatchEvent::Put(kv) => drop(self.keys.insert(kv.key.clone(), kv.clone())),
                WatchEvent::Delete { key, .. } => drop(self.keys.remove(key)),
            }
        }
    }

    /// Whether an active key was deleted.
    pub(super) fn lost_active(&self, events: &[WatchEvent]) -> bool {
        events.iter().any(|event| match event {
            WatchEvent::Delete { key, .. } => matches!(self.place(key), Place::Active(_)),
            WatchEvent::Put(_) => false,
        })
    }

    fn place<'a>(&self, key: &'a [u8]) -> Place<'a> {
        let Some(rest) = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.root)) else {
            return Place::Foreign;
        };
        if let Some(rest) = rest.strip_prefix("/ha/") {
            return match rest.split_once('/') {
                Some((role, "term")) if is_name(role) => Place::Term(role),
                Some((role, _)) if is_name(role) || role.starts_with('.') => Place::Other,
                _ => Place::Foreign,
            };
        }
        match rest.strip_prefix("/session/") {
            Some("id") => Place::Counter,
            Some("version") => Place::Version,
            Some(name) if is_name(name) => Place::Active(name),
            Some(name) => match name.rsplit_once('-') {
                Some((role, id)) if is_name(role) && id.bytes().all(|b| b.is_ascii_digit()) => {
                    id.parse().map_or(Place::Foreign, |id| Place::Member(role, id))
                }
                _ => Place::Foreign,
            },
            None => Place::Foreign,
        }
    }

    /// The roles that have a key, sorted, without Milvus's nodes and what it puts under the old roles' names as copies; or the one
    /// that was asked for.
    pub fn role_names(&self) -> Vec<String> {
        if let Some(role) = &self.role {
            return vec![role.clone()];
        }
        let sessions = self.sessions();
        let copies: BTreeSet<&str> =
            sessions.iter().filter(|s| s.copied_from(&sessions).is_some()).map(|s| s.role.as_str()).collect();
        let named = self.keys.keys().filter_map(|key| match self.place(key) {
            Place::Active(role) if copies.contains(role) => None,
            Place::Active(role) | Place::Term(role) => Some(role),
            Place::Member(role, _) if !NODES.contains(&role) => Some(role),
            _ => None,
        });
        named.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Those roles.
    pub fn roles(&self) -> Vec<RoleView> {
        self.role_names().iter().map(|role| self.role(role)).collect()
    }

    /// One role, whatever it has.
    pub fn role(&self, role: &str) -> RoleView {
        let keys = Keys::new(&self.root, role);
        let members = self.keys.values().filter(|kv| keys.member_id(&kv.key).is_some());
        let sessions = members.filter_map(|kv| self.session(kv)).collect();
        let active_kv = self.keys.get(&keys.active);
        let active = active_kv.and_then(|kv| self.session(kv));
        let term = self.keys.get(&keys.term).and_then(|kv| Some((kv, TermRecord::decode(&kv.value).ok()?)));
        let own = |stranger: &Stranger| {
            let key = stranger.key.as_bytes();
            keys.role_range().contains(key) || key == keys.term
        };
        let seen = role::Seen {
            role,
            revision: self.revision,
            active_key: active_kv,
            active,
            term,
            sessions,
            strangers: self.strangers().into_iter().filter(own).collect(),
            old: if role == "mixcoord" { self.old_keys() } else { OldKeys::default() },
            takeover_delay_ms: self.takeover_delay_ms,
        };
        role::view(seen)
    }

    /// All sessions by their records: active and member keys of every role, Milvus's nodes too.
    pub fn sessions(&self) -> Vec<SessionView> {
        self.keys.values().filter_map(|kv| self.session(kv)).collect()
    }

    fn session(&self, kv: &KeyValue) -> Option<SessionView> {
        let (role, is_active) = match self.place(&kv.key) {
            Place::Active(role) => (role, true),
            Place::Member(role, _) => (role, false),
            _ => return None,
        };
        let record = Record::decode(&kv.value).ok()?;
        Some(SessionView::new(shown(&kv.key), role, is_active, kv, record, self.leases.get(&kv.lease).copied()))
    }

    /// Keys that nobody who stands in an election wrote, or that cannot be read.
    pub fn strangers(&self) -> Vec<Stranger> {
        self.keys.values().filter_map(|kv| Some(Stranger::new(shown(&kv.key), self.wrong(kv)?, kv))).collect()
    }

    fn wrong(&self, kv: &KeyValue) -> Option<String> {
        let why = |error: crate::error::Error| error.message().to_owned();
        match self.place(&kv.key) {
            Place::Foreign => Some("no key of an election has this name".into()),
            Place::Active(_) => Record::decode(&kv.value).err().map(why),
            Place::Member(_, id) => match Record::decode(&kv.value) {
                Ok(record) if record.server_id != id => {
                    Some(format!("its record is of server ID {}, not {id}", record.server_id))
                }
                Ok(_) => None,
                Err(error) => Some(why(error)),
            },
            Place::Term(_) => TermRecord::decode(&kv.value).err().map(why),
            Place::Counter | Place::Version | Place::Other => None,
        }
    }

    /// The counter of server IDs.
    pub fn counter(&self) -> Counter {
        let key = format!("{}/session/id", self.root);
        let text = self.keys.get(key.as_bytes()).map(|kv| String::from_utf8_lossy(&kv.value).into_owned());
        let next = text.as_deref().and_then(|text| text.parse().ok());
        let garbage = text.filter(|_| next.is_none());
        Counter { key, next, garbage }
    }
}

/// Whether it can be the name of a role, of ours or of Milvus.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn shown(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => key.escape_ascii().to_string(),
    }
}
