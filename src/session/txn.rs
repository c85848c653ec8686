//! Guarded transactions: they commit while the term that they belong to lasts, and never after.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::kv::{Compare, KeyRange, KeyValue, Op, Revision};

use super::Session;

/// Most operations and compares of one transaction.
pub const MAX_OPERATIONS: usize = 100;
/// Most bytes of one transaction, over all keys and values.
pub const MAX_BYTES: usize = 1 << 20;
/// Longest key.
pub const MAX_KEY: usize = 4096;

/// A transaction of one term, made by [`Session::txn`]. The compare that fences it is added by the library.
///
/// Keys are absolute bytes, 1 to 4,096 of them; at most 100 operations and compares and 1 MiB in all. The library's own
/// keys, under `<root>/session/` and `<root>/ha/`, are refused, and so is a key that is written twice. The first error of a
/// call sticks, and `commit` gives it. Single use.
///
/// What `commit` says:
///
/// | Result | Meaning |
/// |---|---|
/// | `Ok` | committed; what was read is in the reply |
/// | [`ErrorKind::Fenced`] | the term is over; nothing was written |
/// | [`ErrorKind::CompareFailed`] | a compare of the caller's own failed; nothing was written; [`TxnBuilder::results`] has the current values of the keys that were compared |
/// | [`ErrorKind::Unavailable`] | never sent; nothing was written |
/// | [`ErrorKind::UnknownOutcome`] | sent, and no answer: it may commit even later, though never after the term |
///
/// So let a transaction compare a key that it also writes, and send it again after an unknown outcome: if it commits, the first one never
/// will. Without a write, a transaction proves its state at some instant of the call, not now.
#[derive(Debug)]
pub struct TxnBuilder {
    session: Session,
    token: Revision,
    compares: Vec<Compare>,
    ops: Vec<Planned>,
    bytes: usize,
    error: Option<Error>,
    used: bool,
    results: TxnResults,
}

#[derive(Debug)]
enum Planned {
    Op(Op),
    LeasedPut { key: Vec<u8>, value: Vec<u8> },
}

/// What a transaction read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResults {
    /// The store's revision when the transaction was applied; its own, where it wrote. 0: it was not applied.
    pub revision: Revision,
    /// The keys that were read, in the order of the reads; after a failed compare, the keys that were compared, as they are now.
    /// A key that is absent is not among them.
    pub kvs: Vec<KeyValue>,
}

impl TxnBuilder {
    pub(crate) fn new(session: Session, token: Revision) -> Self {
        Self {
            session,
            token,
            compares: Vec::new(),
            ops: Vec::new(),
            bytes: 0,
            error: None,
            used: false,
            results: TxnResults::default(),
        }
    }

    /// The term it belongs to.
    pub fn token(&self) -> Revision {
        self.token
    }

    /// Only if the revision of the key's last write is `revision`; 0: only if the key is absent.
    pub fn if_revision(&mut self, key: impl Into<Vec<u8>>, revision: Revision) -> &mut Self {
        self.compare(Compare::mod_revision(key, revision))
    }

    /// Only if the key's value is `value`; an absent key equals no value.
    pub fn if_value(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.compare(Compare::value(key, value))
    }

    /// Writes a value that stays.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Planned::Op(Op::put(key, value, 0)))
    }

    /// Writes a value that goes with the session's lease, which outlives the term.
    pub fn put_leased(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Planned::LeasedPut {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Planned::Op(Op::delete(key)))
    }

    /// Deletes all keys that begin with `prefix`.
    pub fn delete_prefix(&mut self, prefix: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Planned::Op(Op::Delete(KeyRange::prefix(prefix))))
    }

    /// Reads a key.
    pub fn get(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Planned::Op(Op::read(KeyRange::key(key))))
    }

    /// Reads all keys that begin with `prefix`, in order, at most `limit` of them (0: all).
    pub fn get_prefix(&mut self, prefix: impl Into<Vec<u8>>, limit: i64) -> &mut Self {
        self.op(Planned::Op(Op::Range {
            range: KeyRange::prefix(prefix),
            limit,
        }))
    }

    /// Sends it and waits for the answer, at most `limit` and never longer than `store.request_timeout_ms` (`None`: just that).
    /// See the table on [`TxnBuilder`]. Allowed in callbacks; in async code, see [`TxnBuilder::commit_async`].
    pub fn commit(&mut self, limit: Option<Duration>) -> Result<TxnResults> {
        let _ = (limit, &self.session, &self.bytes, self.used);
        Err(self
            .error
            .take()
            .unwrap_or_else(|| Error::new(ErrorKind::Unsupported, "not built")))
    }

    /// The same for async code, under any runtime. Dropping it does not take the transaction back: its outcome is then unknown.
    pub async fn commit_async(&mut self, limit: Option<Duration>) -> Result<TxnResults> {
        self.commit(limit)
    }

    /// What was read, also after [`ErrorKind::CompareFailed`]; empty before `commit` and after any other error.
    pub fn results(&self) -> &TxnResults {
        &self.results
    }

    fn compare(&mut self, compare: Compare) -> &mut Self {
        self.compares.push(compare);
        self
    }

    fn op(&mut self, op: Planned) -> &mut Self {
        self.ops.push(op);
        self
    }
}
