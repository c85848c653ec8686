//! The two records of a role: the member record, which is Milvus's session record with one field more, and the term
//! record, which is ours alone.

mod keys;
mod members;
mod trail;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::kv::{LeaseId, Revision};

pub(crate) use keys::Keys;
pub(crate) use members::{Active, Member, milvus_revisions, rank};
pub(crate) use trail::Trail;

/// No record may ask for a longer hold time: 0.8 of the longest lease.
const LONGEST_HOLD_MS: u64 = 240_000;

/// The value of the active key and of member keys. Field names are Milvus's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Record {
    #[serde(rename = "ServerID")]
    pub(crate) server_id: i64,
    pub(crate) server_name: String,
    pub(crate) address: String,
    pub(crate) exclusive: bool,
    /// Milvus's members set it; nothing here goes by it, and it is never written as true. It tells clients that a member
    /// which is still registered is about to go: a session that leaves drains as the holder, then releases at once, and
    /// its keys go in the same moment.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stopping: bool,
    pub(crate) trigger_kill: bool,
    pub(crate) version: String,
    #[serde(rename = "LeaseID")]
    pub(crate) lease_id: LeaseId,
    pub(crate) host_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coordha: Option<Ours>,
}

/// What only this library writes, under one name so that no later field of Milvus's can clash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Ours {
    #[serde(rename = "SessionID", with = "hex")]
    pub(crate) session_id: u128,
    pub(crate) priority: i32,
    pub(crate) hold_ms: u64,
    pub(crate) ttl_ms: u64,
}

impl Record {
    /// Reads a record as Milvus does: unknown fields are ignored, names match without regard to case.
    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let record: Self = decode(value)?;
        if !record.version.is_empty() && semver::Version::parse(&record.version).is_err() {
            return Err(garbage(format!("Version {:?} is not X.Y.Z", record.version)));
        }
        if record.coordha.as_ref().is_some_and(|ours| ours.hold_ms > LONGEST_HOLD_MS) {
            return Err(garbage(format!("HoldMs is above {LONGEST_HOLD_MS}")));
        }
        Ok(record)
    }

    /// Whether a Milvus process wrote it.
    pub(crate) fn is_milvus(&self) -> bool {
        self.coordha.is_none()
    }

    /// The priority of a session of ours; 0 for others.
    pub(crate) fn priority(&self) -> i32 {
        self.coordha.as_ref().map_or(0, |ours| ours.priority)
    }

    pub(crate) fn is_of(&self, session_id: u128) -> bool {
        self.coordha.as_ref().is_some_and(|ours| ours.session_id == session_id)
    }
}

/// A process, named so that its death can be proven by another one of the same host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Process {
    /// The boot of the kernel it runs under (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Inode of its PID namespace.
    pub pid_namespace: u64,
    /// Inode of its time namespace.
    pub time_namespace: u64,
    /// Its PID in that namespace.
    pub pid: u32,
    /// When it was started, in clock ticks since boot (`/proc/<pid>/stat`, field 22).
    pub start_time: u64,
    /// Where others act for it: they may outlive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Cgroup>,
}

/// A cgroup (v2), named so that another process of the same host can see whether anyone in it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cgroup {
    /// Its path, as `/proc/<pid>/cgroup` of its members says it.
    pub path: String,
    /// Inode of the cgroup namespace from which that is seen.
    pub namespace: u64,
    /// Inode of its directory, which no other cgroup of the same boot has.
    pub inode: u64,
}

impl Process {
    /// Whether both run where one can prove the other's death: same boot, PID namespace and time namespace.
    pub fn is_neighbour(&self, other: &Self) -> bool {
        self.boot_id == other.boot_id
            && self.pid_namespace == other.pid_namespace
            && self.time_namespace == other.time_namespace
    }
}

/// What the term record says of the term it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tenure {
    /// Its holder may act.
    Held,
    /// It ended in order: nobody acts.
    Released,
    /// Written where there was none: somebody may act by a renewal that nobody can see.
    #[default]
    Vacant,
}

/// The value of the term record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TermRecord {
    #[serde(rename = "State")]
    pub(crate) tenure: Tenure,
    /// The fencing token; 0 in the write that starts the term, whose own revision it is, and in a vacant record.
    pub(crate) token: Revision,
    pub(crate) hold_ms: u64,
    pub(crate) renewals: u64,
    #[serde(rename = "SessionID", with = "hex")]
    pub(crate) session_id: u128,
    #[serde(rename = "ServerID")]
    pub(crate) server_id: i64,
    /// The process that alone acts for the role, where its death may be taken for the end of the term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
}

impl TermRecord {
    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let record: Self = decode(value)?;
        if record.hold_ms > LONGEST_HOLD_MS {
            return Err(garbage(format!("HoldMs is above {LONGEST_HOLD_MS}")));
        }
        Ok(record)
    }

    pub(crate) fn is_held_by(&self, session_id: u128) -> bool {
        self.tenure == Tenure::Held && self.session_id == session_id
    }

    /// The record, found at this revision, as it is when its term has ended.
    pub(crate) fn released(&self, revision: Revision) -> Self {
        // The write that starts a term leaves the token out: its own revision it is.
        let token = if self.token == 0 { revision } else { self.token };
        Self { tenure: Tenure::Released, token, ..self.clone() }
    }

    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms)
    }
}

pub(crate) fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a key is skipped.
pub(crate) fn unreadable(key: &[u8], error: &Error) -> Error {
    let key = key.escape_ascii();
    Error::new(error.kind(), format!("{key} cannot be read: {error}")).with("key", key)
}

fn garbage(why: String) -> Error {
    Error::new(ErrorKind::Corrupt, why)
}

/// A JSON object whose names match without regard to case, as Go's `encoding/json` reads it.
fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T> {
    let object: Map<String, Value> =
        serde_json::from_slice(value).map_err(|e| garbage(format!("no JSON object: {e}")))?;
    serde_json::from_value(Value::Object(canonical(object))).map_err(|e| garbage(e.to_string()))
}

/// Renames what is a known field in another case; the exact name wins where both are there.
fn canonical(object: Map<String, Value>) -> Map<String, Value> {
    const NAMES: [&str; 18] = [
        "ServerID",
        "ServerName",
        "Address",
        "Exclusive",
        "Stopping",
        "TriggerKill",
        "Version",
        "LeaseID",
        "HostName",
        "Coordha",
        "SessionID",
        "Priority",
        "HoldMs",
        "TtlMs",
        "State",
        "Token",
        "Renewals",
        "Process",
    ];
    let mut result = Map::new();
    for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
        let known = NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name));
        let value = match value {
            Value::Object(inner) if known == Some(&"Coordha") => Value::Object(canonical(inner)),
            other => other,
        };
        match known {
            Some(known) if *known != name => {
                result.entry((*known).to_owned()).or_insert(value);
            }
            _ => {
                result.insert(name, value);
            }
        }
    }
    result
}

/// A session ID as 32 hexadecimal digits: JSON numbers do not hold 128 bits.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{id:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
