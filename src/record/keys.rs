//! The names of the keys that one role uses. They are Milvus's under `session/`, ours under `ha/`.

use std::iter;

use crate::error::{Error, ErrorKind, Result};
use crate::kv::KeyRange;

/// The keys of a role below a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Keys {
    /// The next server ID.
    pub(crate) id: Vec<u8>,
    /// The active key.
    pub(crate) active: Vec<u8>,
    /// The term record.
    pub(crate) term: Vec<u8>,
    /// Milvus's keys that must be absent where a term of this role begins: those of the coordinators that a mixcoord
    /// stands for. Never written.
    pub(crate) old: Vec<Vec<u8>>,
    /// Milvus's keys that must be absent where a session of this role starts: those of a mixcoord, which a key of an old
    /// coordinator keeps from starting.
    pub(crate) newer: Vec<Vec<u8>>,
}

impl Keys {
    pub(crate) fn new(root: &str, role: &str) -> Self {
        let (old, newer): (&[&str], &[&str]) = match role {
            "mixcoord" => (&["rootcoord", "datacoord", "querycoord"], &[]),
            "rootcoord" | "datacoord" | "querycoord" | "indexcoord" => (&[], &["mixcoord", "version"]),
            _ => (&[], &[]),
        };
        let below = |names: &[&str]| names.iter().map(|name| format!("{root}/session/{name}").into_bytes()).collect();
        Self {
            id: format!("{root}/session/id").into_bytes(),
            active: format!("{root}/session/{role}").into_bytes(),
            term: format!("{root}/ha/{role}/term").into_bytes(),
            old: below(old),
            newer: below(newer),
        }
    }

    /// What a session reads before it writes anything.
    pub(crate) fn at_start(&self) -> impl Iterator<Item = &Vec<u8>> {
        iter::once(&self.id).chain(&self.newer)
    }

    /// The member key of a session.
    pub(crate) fn member(&self, server_id: i64) -> Vec<u8> {
        let mut key = self.active.clone();
        key.extend_from_slice(format!("-{server_id}").as_bytes());
        key
    }

    /// The next server ID, by the value of its key; where there is none it is 1.
    pub(crate) fn parse_id(&self, value: Option<&str>) -> Result<i64> {
        let id = value.map_or(Ok(1), str::parse::<i64>).ok();
        id.filter(|id| (1..i64::MAX).contains(id)).ok_or_else(|| {
            let (key, value) = (self.id.escape_ascii().to_string(), value.unwrap_or_default());
            let message = format!("{key} holds {value:?}, not a number from 1 on");
            let error = Error::new(ErrorKind::Corrupt, message).with("key", key).with("value", value);
            error.with("allowed", "a decimal number from 1 on")
        })
    }

    /// The server ID in a member key; `None` for any other key, such as one of the role `<role>-x`.
    pub(crate) fn member_id(&self, key: &[u8]) -> Option<i64> {
        let digits = key.strip_prefix(self.active.as_slice())?.strip_prefix(b"-")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// `[<role>, <role>.)`: the active key and the member keys. `data` and `datacoord` do not see each other.
    pub(crate) fn role_range(&self) -> KeyRange {
        let mut end = self.active.clone();
        end.push(b'.');
        KeyRange::range(self.active.clone(), end)
    }

    /// The term record alone.
    pub(crate) fn term_range(&self) -> KeyRange {
        KeyRange::key(self.term.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_sees_its_own_keys_only() {
        let keys = Keys::new("by-dev/meta", "data");
        assert_eq!(keys.member_id(b"by-dev/meta/session/data-15"), Some(15));
        for other in ["data", "data-", "data-x", "datacoord-15", "data-1x", "data-99999999999999999999"] {
            let key = format!("by-dev/meta/session/{other}");
            assert_eq!(keys.member_id(key.as_bytes()), None, "{other}");
        }
        assert!(keys.role_range().contains(b"by-dev/meta/session/data-15"));
        assert!(!keys.role_range().contains(b"by-dev/meta/session/datacoord"));
    }
}
