//! Plain data shared by every store: keys and values, compares, operations, transactions, watch events.
//!
//! The shapes follow etcd's API v3, which every store of this crate imitates.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A revision of the store: the number of changes it has ever committed. Grows with each transaction that writes.
pub type Revision = i64;

/// A lease, as the store names it. 0 is "no lease".
pub type LeaseId = i64;

/// One key with its value, as the store returns it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Revision at which the key came into being (after its last deletion).
    pub create_revision: Revision,
    /// Revision of the key's last write.
    pub mod_revision: Revision,
    /// Writes since it came into being; 1 after the first.
    pub version: i64,
    /// The lease that the key goes with; 0 for none.
    pub lease: LeaseId,
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}@{}", self.key.escape_ascii(), String::from_utf8_lossy(&self.value), self.mod_revision)?;
        if self.lease != 0 {
            write!(f, " lease {:x}", self.lease)?;
        }
        Ok(())
    }
}

/// A key, or the half-open range of keys `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The key, or the first key of the range.
    pub start: Vec<u8>,
    /// The first key beyond the range; `None` for the single key `start`.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// The single key `key`.
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        Self { start: key.into(), end: None }
    }

    /// All keys from `start` up to, and without, `end`.
    pub fn range(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// All keys that begin with `prefix`. An empty prefix, or one of `0xff` alone, has no end: `[prefix, "\0")` is
    /// etcd's way to say "to the end of the keys", and every store of this crate reads it so.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let start = prefix.into();
        let mut end = start.clone();
        while let Some(last) = end.last_mut() {
            if *last < 0xff {
                *last += 1;
                return Self::range(start, end);
            }
            end.pop();
        }
        Self::range(start, b"\0".to_vec())
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            None => key == self.start,
            Some(end) => key >= self.start.as_slice() && (end == b"\0" || key < end.as_slice()),
        }
    }
}

/// What a transaction compares of a key. All are tests for equality; a key that is absent has revisions and version 0
/// and no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Revision of the key's last write; 0: the key is absent.
    ModRevision(Revision),
    /// Revision at which the key came into being; 0: the key is absent.
    CreateRevision(Revision),
    /// Writes since the key came into being; 0: the key is absent.
    Version(i64),
    /// The value; an absent key equals no value, not even the empty one.
    Value(Vec<u8>),
}

/// One condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    /// The key compared.
    pub key: Vec<u8>,
    /// What it must equal.
    pub target: Target,
}

impl Compare {
    /// `mod_revision(key) == revision`.
    pub fn mod_revision(key: impl Into<Vec<u8>>, revision: Revision) -> Self {
        Self { key: key.into(), target: Target::ModRevision(revision) }
    }

    /// `create_revision(key) == revision`; 0: the key is absent.
    pub fn create_revision(key: impl Into<Vec<u8>>, revision: Revision) -> Self {
        Self { key: key.into(), target: Target::CreateRevision(revision) }
    }

    /// `version(key) == version`; 0: the key is absent.
    pub fn version(key: impl Into<Vec<u8>>, version: i64) -> Self {
        Self { key: key.into(), target: Target::Version(version) }
    }

    /// `value(key) == value`.
    pub fn value(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), target: Target::Value(value.into()) }
    }
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Writes a value; the key then goes with `lease` (0: with none, whatever it went with before).
    Put {
        /// The key.
        key: Vec<u8>,
        /// The new value.
        value: Vec<u8>,
        /// The lease it goes with; 0 for none. One that does not exist fails the whole transaction.
        lease: LeaseId,
    },
    /// Deletes the keys of a range.
    Delete(KeyRange),
    /// Reads the keys of a range, in order of the key, at most `limit` of them (0: all).
    Range {
        /// What is read.
        range: KeyRange,
        /// Most keys returned; 0 for all.
        limit: i64,
    },
}

impl Op {
    /// A put; `lease` 0 for none.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease }
    }

    /// Deletes one key.
    pub fn delete(key: impl Into<Vec<u8>>) -> Self {
        Self::Delete(KeyRange::key(key))
    }

    /// Reads a range whole.
    pub fn read(range: KeyRange) -> Self {
        Self::Range { range, limit: 0 }
    }

    /// Whether it changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Range { .. })
    }
}

/// An atomic transaction: where all compares hold, `success` is done, else `failure`.
///
/// A key may be written once in a branch. One with neither a write nor a [`Op::Range`] in it may be answered from a
/// stale member by etcd, so a store refuses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Txn {
    /// The conditions, all of which must hold.
    pub compares: Vec<Compare>,
    /// Done where they hold.
    pub success: Vec<Op>,
    /// Done where one does not.
    pub failure: Vec<Op>,
}

/// What one operation returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OpReply {
    /// A put was done.
    Put,
    /// So many keys were deleted.
    Delete {
        /// Keys deleted.
        deleted: i64,
    },
    /// The keys read.
    Range {
        /// The keys, in order.
        kvs: Vec<KeyValue>,
        /// More keys of the range exist beyond the limit.
        more: bool,
    },
}

/// What a transaction returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnReply {
    /// The store's revision when the transaction was applied; its own revision, where it wrote.
    pub revision: Revision,
    /// Whether all compares held, so that `success` was done.
    pub succeeded: bool,
    /// One reply for each operation of the branch that was done.
    pub replies: Vec<OpReply>,
}

impl TxnReply {
    /// All keys that were read, over all operations.
    pub fn kvs(&self) -> impl Iterator<Item = &KeyValue> {
        self.replies.iter().flat_map(|reply| match reply {
            OpReply::Range { kvs, .. } => kvs.as_slice(),
            _ => &[],
        })
    }
}

/// What a read returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RangeReply {
    /// The store's revision when it was read.
    pub revision: Revision,
    /// The keys, in order.
    pub kvs: Vec<KeyValue>,
    /// More keys of the range exist beyond the limit.
    pub more: bool,
}

/// A lease that was granted or kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseReply {
    /// The lease.
    pub lease: LeaseId,
    /// Time to live that the store gave it, in ms: it may be more than was asked for. 0: the lease is gone.
    pub ttl_ms: u64,
}

/// One change that a watch shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchEvent {
    /// A key was written.
    Put(KeyValue),
    /// A key was deleted, by a client or with its lease.
    Delete {
        /// The key.
        key: Vec<u8>,
        /// The revision of the deletion.
        revision: Revision,
    },
}

impl WatchEvent {
    /// The key that changed.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put(kv) => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(kv) => kv.mod_revision,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoreError {
    /// It was never sent, or certainly not done: the store cannot be reached, has no leader, or is busy.
    Unavailable(String),
    /// It was sent and no answer came: it may have been done, or be done later.
    Unknown(String),
    /// The lease does not exist; nothing was done.
    LeaseNotFound,
    /// The store refused the user or password.
    Auth(String),
    /// The user may not do it.
    Permission(String),
    /// TLS could not be set up with this endpoint.
    Tls(String),
    /// The store has no space left; nothing was done.
    NoSpace(String),
    /// It has more operations or bytes than the store takes; nothing was done.
    TooLarge(String),
    /// The store's own data is damaged; nothing was done.
    Corrupt(String),
    /// The store's revision went back: it was restored from a copy. Nothing was done.
    Regressed(String),
    /// The request itself is not allowed (a defect of the caller), or the store answered what it never should.
    Invalid(String),
}

/// What a watch brings next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchItem {
    /// The watch stands: what is committed from its first revision on will be shown.
    Started,
    /// Changes, in order; all changes of one revision come in one item.
    Events(Vec<WatchEvent>),
    /// The revision asked for is gone: read again, then watch from there. The watch is over.
    Compacted {
        /// The lowest revision that can still be watched.
        revision: Revision,
    },
    /// The watch is over: the connection broke, or the store ended it.
    Failed(StoreError),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, message) = match error {
            StoreError::Unavailable(m) => (ErrorKind::Unavailable, m),
            StoreError::Unknown(m) => (ErrorKind::UnknownOutcome, m),
            StoreError::LeaseNotFound => (ErrorKind::Fenced, "the session's lease is gone".into()),
            StoreError::Auth(m) => (ErrorKind::Auth, m),
            StoreError::Permission(m) => (ErrorKind::Permission, m),
            StoreError::Tls(m) => (ErrorKind::Tls, m),
            StoreError::NoSpace(m) => (ErrorKind::NoSpace, m),
            StoreError::TooLarge(m) => (ErrorKind::TooLarge, m),
            StoreError::Corrupt(m) => (ErrorKind::Corrupt, m),
            StoreError::Regressed(m) => (ErrorKind::Regressed, m),
            StoreError::Invalid(m) => (ErrorKind::Internal, m),
        };
        Self::new(kind, message)
    }
}
