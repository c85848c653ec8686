//! Guarded transactions: they commit while the term that they belong to lasts, and never after.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::Instrument;

use super::outbox::Outbox;
use crate::driver::{Driver, Held};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{Compare, KeyRange, KeyValue, Op, OpReply, Revision, StoreError, Target, Txn, TxnReply};

/// Most operations and compares of one transaction.
const MAX_OPERATIONS: usize = 100;
/// Most bytes of one transaction, over all keys and values.
const MAX_BYTES: usize = 1 << 20;
/// Longest key.
const MAX_KEY: usize = 4096;
/// How much longer than its limit a transaction may take before its thread gives up on a runtime that is held up.
const SLACK: Duration = Duration::from_millis(500);

/// A transaction of one term, made by [`Session::txn`](super::Session::txn). The compare that fences it is added
/// by the library.
///
/// Keys are absolute bytes, 1 to 4,096 of them; at most 100 operations and compares and 1 MiB in all. The
/// library's own keys, under `<root>/session/` and `<root>/ha/`, are refused, and so is a key that is written
/// twice. The first error of a call sticks, and `commit` gives it. Single use.
///
/// What `commit` says:
///
/// | Result | Meaning |
/// |---|---|
/// | `Ok` | committed; what was read is in the reply |
/// | [`ErrorKind::Fenced`] | the term is over; nothing was written |
/// | [`ErrorKind::CompareFailed`] | a compare of the caller's own failed; nothing was written (1) |
/// | [`ErrorKind::Unavailable`] | never sent; nothing was written |
/// | [`ErrorKind::UnknownOutcome`] | sent, and no answer: it may commit even later, though never after the term |
///
/// (1) [`TxnBuilder::results`] then has the present values of the keys that were compared.
///
/// So let a transaction compare a key that it also writes, and send it again after an unknown outcome: if it
/// commits, the first one never will. Without a write, a transaction proves its state at some instant of the
/// call, not now.
///
/// ```
/// # use std::time::Duration;
/// # use coordha::config::keys;
/// # use coordha::session::{Session, Until};
/// # let directory = tempfile::tempdir().unwrap();
/// # let session = Session::builder()
/// #     .set(keys::ROLE, "allocator")
/// #     .set(keys::ADDRESS, "127.0.0.1:7000")
/// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
/// #     .set(keys::ACTIVATION_AUTO, true)
/// #     .start()?;
/// session.wait(Until::Active, Some(Duration::from_secs(30)))?;
/// let token = session.fencing_token();
/// session.txn(token).if_revision("app/next", 0).put("app/next", "2").commit(None)?;
/// let read = session.txn(token).get("app/next").commit(None)?;
/// assert_eq!(read.kvs[0].value, b"2");
/// # session.stop(None)?;
/// # Ok::<(), coordha::error::Error>(())
/// ```
#[derive(Debug)]
pub struct TxnBuilder {
    driver: Arc<Driver>,
    outbox: Arc<Outbox>,
    token: Revision,
    compares: Vec<Compare>,
    ops: Vec<Planned>,
    bytes: usize,
    error: Option<Error>,
    used: bool,
    /// Reads that the library has put before the caller's.
    own_reads: usize,
    results: TxnResults,
    _held: Held,
}

impl Drop for TxnBuilder {
    fn drop(&mut self) {
        if self.driver.refuse_child().is_err() {
            // As with the session itself: what the last one would wait for does not exist in a forked child.
            std::mem::forget(Arc::clone(&self.driver));
        }
    }
}

/// An operation, and whether the session's lease is to be put into it.
#[derive(Debug)]
struct Planned {
    op: Op,
    leased: bool,
}

/// What the store answers.
pub(super) type Answered = std::result::Result<TxnReply, StoreError>;

/// What a transaction read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResults {
    /// The store's revision when the transaction was applied; its own, where it wrote. 0: it was not applied.
    pub revision: Revision,
    /// The keys that were read, in the order of the reads; after a failed compare, the keys that were compared, as they
    /// are now. A key that is absent is not among them.
    pub kvs: Vec<KeyValue>,
}

impl TxnBuilder {
    pub(super) fn new(driver: Arc<Driver>, outbox: Arc<Outbox>, token: Revision) -> Self {
        Self {
            driver,
            outbox,
            token,
            compares: Vec::new(),
            ops: Vec::new(),
            bytes: 0,
            error: None,
            used: false,
            own_reads: 0,
            results: TxnResults::default(),
            _held: Held::new(),
        }
    }

    /// The term it belongs to.
    pub fn token(&self) -> Revision {
        self.token
    }

    /// Only if the revision of the key's last write is `revision`; 0: only if the key is absent.
    pub fn if_revision(&mut self, key: impl Into<Vec<u8>>, revision: Revision) -> &mut Self {
        if revision < 0 {
            return self.refuse(invalid(format!("revision {revision}: not negative")));
        }
        self.compare(Compare::mod_revision(key, revision))
    }

    /// Only if the key's value is `value`; an absent key equals no value.
    pub fn if_value(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.compare(Compare::value(key, value))
    }

    /// Writes a value that stays.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::put(key, value, 0), false)
    }

    /// Writes a value that goes with the session's lease, which outlives the term.
    pub fn put_leased(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::put(key, value, 0), true)
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::delete(key), false)
    }

    /// Deletes all keys that begin with `prefix`.
    pub fn delete_prefix(&mut self, prefix: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::Delete(KeyRange::prefix(prefix)), false)
    }

    /// Reads a key.
    pub fn get(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.op(Op::read(KeyRange::key(key)), false)
    }

    /// Reads all keys that begin with `prefix`, in order, at most `limit` of them (0: all).
    pub fn get_prefix(&mut self, prefix: impl Into<Vec<u8>>, limit: i64) -> &mut Self {
        if limit < 0 {
            return self.refuse(invalid(format!("limit {limit}: not negative")));
        }
        let range = KeyRange::prefix(prefix);
        self.op(Op::Range { range, limit }, false)
    }

    /// Sends it and waits for the answer, at most `limit` and never longer than `store.request_timeout_ms`
    /// (`None`: just that). Allowed in callbacks.
    ///
    /// # Errors
    /// See the table on [`TxnBuilder`]; what the store refuses (4xx); [`ErrorKind::Timeout`] where `limit` is
    /// zero, as nothing is sent then; [`ErrorKind::State`] where it was committed before; and what was wrong
    /// with a key, value or number.
    pub fn commit(&mut self, limit: Option<Duration>) -> Result<TxnResults> {
        let (txn, limit) = self.prepare(limit)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        self.send(txn, limit, move |reply| {
            // The caller may have given up.
            let _ = sender.send(reply);
        });
        let reply = receiver.recv_timeout(limit + SLACK);
        self.conclude(reply.unwrap_or_else(|_| Err(no_answer())))
    }

    /// [`TxnBuilder::commit`] for async code under any runtime. Dropping it does not take the transaction back: its
    /// outcome is then unknown.
    ///
    /// # Errors
    /// As [`TxnBuilder::commit`].
    pub async fn commit_async(&mut self, limit: Option<Duration>) -> Result<TxnResults> {
        let (txn, limit) = self.prepare(limit)?;
        let (sender, receiver) = oneshot::channel();
        self.send(txn, limit, move |reply| {
            let _ = sender.send(reply);
        });
        let reply = receiver.await;
        self.conclude(reply.unwrap_or_else(|_| Err(no_answer())))
    }

    /// What was read, also after [`ErrorKind::CompareFailed`]; empty before `commit` and after any other error.
    pub fn results(&self) -> &TxnResults {
        &self.results
    }

    pub(super) fn refuse_child(&self) -> Result<()> {
        self.driver.refuse_child()
    }

    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The term that guards it, and how many reads the library has put before the caller's.
    pub(super) fn guarded(&self) -> (Revision, usize) {
        (self.token, self.own_reads)
    }

    fn refuse(&mut self, error: Error) -> &mut Self {
        self.error.get_or_insert(error);
        self
    }

    fn compare(&mut self, compare: Compare) -> &mut Self {
        let value = match &compare.target {
            Target::Value(value) => value.len(),
            _ => 0,
        };
        let fits = self
            .check_key(&compare.key, self.reserved(&compare.key))
            .and_then(|()| self.check_size(compare.key.len() + value));
        match fits {
            Ok(()) => self.compares.push(compare),
            Err(error) => return self.refuse(error),
        }
        self
    }

    fn op(&mut self, op: Op, leased: bool) -> &mut Self {
        let (range, value) = match &op {
            Op::Put { key, value, .. } => (KeyRange::key(key.as_slice()), value.len()),
            Op::Delete(range) | Op::Range { range, .. } => (range.clone(), 0),
        };
        let reserved = if op.writes() {
            self.reserved_prefixes().iter().any(|prefix| overlap(&KeyRange::prefix(prefix.as_slice()), &range))
        } else {
            self.reserved(&range.start)
        };
        let fits = self
            .check_key(&range.start, reserved)
            .and_then(|()| self.check_twice(&op, &range))
            .and_then(|()| self.check_size(range.start.len() + value));
        match fits {
            Ok(()) => self.ops.push(Planned { op, leased }),
            Err(error) => return self.refuse(error),
        }
        self
    }

    fn check_key(&self, key: &[u8], reserved: bool) -> Result<()> {
        if key.is_empty() {
            return Err(invalid("an empty key".into()));
        }
        if key.len() > MAX_KEY {
            let bytes = key.len();
            return Err(too_large(format!("a key of {bytes} bytes"), "1 to 4096 bytes"));
        }
        if reserved {
            let key = key.escape_ascii().to_string();
            let message = format!("{key}: the keys of the library itself are not to be touched");
            return Err(invalid(message).with("key", key));
        }
        Ok(())
    }

    fn check_twice(&self, op: &Op, range: &KeyRange) -> Result<()> {
        let written = self.ops.iter().filter_map(|planned| match &planned.op {
            Op::Put { key, .. } => Some(KeyRange::key(key.as_slice())),
            Op::Delete(range) => Some(range.clone()),
            Op::Range { .. } => None,
        });
        if op.writes() && written.into_iter().any(|before| overlap(&before, range)) {
            let key = range.start.escape_ascii().to_string();
            return Err(invalid(format!("{key} would be written twice")).with("key", key));
        }
        Ok(())
    }

    fn check_size(&mut self, bytes: usize) -> Result<()> {
        if self.compares.len() + self.ops.len() >= MAX_OPERATIONS {
            return Err(too_large("another operation or compare".into(), "100 of both"));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            let bytes = self.bytes;
            return Err(too_large(format!("{bytes} bytes of keys and values"), "1 MiB"));
        }
        Ok(())
    }

    fn reserved_prefixes(&self) -> [Vec<u8>; 2] {
        let root = self.driver.root();
        [format!("{root}/session/").into(), format!("{root}/ha/").into()]
    }

    fn reserved(&self, key: &[u8]) -> bool {
        self.reserved_prefixes().iter().any(|prefix| key.starts_with(prefix))
    }

    /// The transaction with its guard, and how long it may take. Everything that can be known to fail does so here.
    pub(super) fn prepare(&mut self, limit: Option<Duration>) -> Result<(Txn, Duration)> {
        self.refuse_child()?;
        if std::mem::replace(&mut self.used, true) {
            return Err(Error::new(ErrorKind::State, "the transaction was committed before"));
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let longest = self.driver.request_timeout();
        let limit = limit.map_or(longest, |limit| limit.min(longest));
        if limit.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "no time to send it in"));
        }
        if !self.driver.published().holds(self.token) {
            self.driver.count_txn(Err(ErrorKind::Fenced));
            return Err(fenced(self.token));
        }
        let lease = self.driver.lease();
        if lease == 0 && self.ops.iter().any(|planned| planned.leased) {
            return Err(StoreError::LeaseNotFound.into());
        }
        let active = self.driver.active_key();
        let mut txn = Txn {
            compares: vec![Compare::mod_revision(active, self.token)],
            success: Vec::with_capacity(self.ops.len()),
            failure: vec![Op::read(KeyRange::key(active))],
        };
        for Planned { mut op, leased } in self.ops.drain(..) {
            if let (Op::Put { lease: with, .. }, true) = (&mut op, leased) {
                *with = lease;
            }
            txn.success.push(op);
        }
        if txn.success.is_empty() {
            // Compares alone may be answered from a stale member.
            txn.success.push(Op::read(KeyRange::key(active)));
            self.own_reads = 1;
        }
        let mut compared: Vec<&[u8]> = Vec::new();
        for compare in &self.compares {
            if !compared.contains(&compare.key.as_slice()) {
                compared.push(&compare.key);
                txn.failure.push(Op::read(KeyRange::key(compare.key.as_slice())));
            }
        }
        txn.compares.append(&mut self.compares);
        Ok((txn, limit))
    }

    pub(super) fn send(&self, txn: Txn, limit: Duration, answer: impl FnOnce(Answered) + Send + 'static) {
        let (driver, token) = (Arc::clone(&self.driver), self.token);
        let work = async move {
            let reply = driver.store().txn(txn, limit).await;
            driver.count_txn(outcome(&reply, token));
            answer(reply);
        };
        let span = tracing::Span::clone(self.driver.span());
        self.driver.shared().handle().spawn(work.instrument(span));
    }

    fn conclude(&mut self, reply: Answered) -> Result<TxnResults> {
        let (results, result) = TxnResults::read(reply, self.token, self.own_reads);
        self.results = results;
        result.map(|()| self.results.clone())
    }
}

impl TxnResults {
    /// What an answer says of a transaction that is guarded by this term, `own_reads` of whose reads are the library's.
    pub(super) fn read(reply: Answered, token: Revision, own_reads: usize) -> (Self, Result<()>) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return (Self::default(), Err(error.into())),
        };
        let mut reads = reply.replies.into_iter().map(|reply| match reply {
            OpReply::Range { kvs, .. } => kvs,
            OpReply::Put | OpReply::Delete { .. } => Vec::new(),
        });
        if reply.succeeded {
            reads.by_ref().take(own_reads).for_each(drop);
        } else {
            // The guard's own read is the first one of this branch.
            let guard = reads.next().unwrap_or_default();
            if guard.first().is_none_or(|kv| kv.mod_revision != token) {
                return (Self::default(), Err(fenced(token)));
            }
        }
        let results =
            Self { revision: if reply.succeeded { reply.revision } else { 0 }, kvs: reads.flatten().collect() };
        let failed =
            || Error::new(ErrorKind::CompareFailed, "a compare of the transaction failed; nothing was written");
        (results, if reply.succeeded { Ok(()) } else { Err(failed()) })
    }
}

/// What an answer says of a transaction that is guarded by this term, in short.
fn outcome(reply: &Answered, token: Revision) -> std::result::Result<(), ErrorKind> {
    match reply {
        Ok(reply) if reply.succeeded => Ok(()),
        Ok(reply) if reply.kvs().next().is_some_and(|guard| guard.mod_revision == token) => {
            Err(ErrorKind::CompareFailed)
        }
        Ok(_) => Err(ErrorKind::Fenced),
        Err(error) => Err(Error::from(error.clone()).kind()),
    }
}

fn fenced(token: Revision) -> Error {
    let message = format!("the term of token {token} is over; nothing was written");
    Error::new(ErrorKind::Fenced, message)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn too_large(what: String, allowed: &str) -> Error {
    let message = format!("{what}: more than a transaction may have (allowed: {allowed})");
    Error::new(ErrorKind::TooLarge, message).with("allowed", allowed)
}

pub(super) fn no_answer() -> StoreError {
    StoreError::Unknown("sent, and no answer came in time".into())
}

/// Whether some key lies in both.
fn overlap(one: &KeyRange, other: &KeyRange) -> bool {
    one.contains(&other.start) || other.contains(&one.start)
}
