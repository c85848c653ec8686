//! Guarded transactions.
//!
//! A transaction on the store that commits while one term lasts, and never after: the library
//! adds the compare that fences it. The term is named when the transaction is made: take the
//! token when the work begins, not when it writes, or work begun in an old term writes with the
//! right of a new one.
//!
//! ```c
//! ha_txn *t;
//! ha_txn_new(session, token, &t, NULL);
//! ha_txn_if_revision(t, key, strlen(key), revision_when_read);
//! ha_txn_put(t, key, strlen(key), value, strlen(value));
//! int32_t status = ha_txn_commit(t, 1000, NULL);
//! ha_txn_free(t);
//! ```
//!
//! Keys are absolute, bytes with NUL allowed, 1 to 4096 of them; at most 100 operations and
//! compares and 1 MiB in all. Keys of the library's own, under `<root>/session/` and
//! `<root>/ha/`, are refused, and so is a key that is written twice. The first error of a
//! builder call sticks, and ha_txn_commit() or ha_txn_submit() gives it. Single use; one thread at
//! a time; ha_txn_commit() is allowed in callbacks.
//!
//! | ha_txn_commit() says   | Meaning                                                              |
//! |------------------------|----------------------------------------------------------------------|
//! | HA_OK                  | committed; what was read is in the results                           |
//! | HA_ERR_FENCED          | the term is over; nothing was written                                |
//! | HA_ERR_COMPARE_FAILED  | a compare of yours failed; nothing was written; the results have the |
//! |                        | present values                                                       |
//! | HA_ERR_UNAVAILABLE     | never sent; nothing was written                                      |
//! | HA_ERR_UNKNOWN_OUTCOME | sent, and no answer: it may be committed, or commit even later, but  |
//! |                        | never after the term                                                 |
//!
//! After HA_ERR_UNKNOWN_OUTCOME do not guess. Let a transaction compare a key that it also
//! writes, and send the same again: if the second commits, the first never will; if its compare
//! fails, read what is there: an operation ID in the value says whether the first did it. A
//! write without a compare may be repeated only where doing it twice does no harm.
//!
//! ha_txn_commit() waits for the answer. A program that pulls its events need not: ha_txn_submit()
//! returns at once, and the answer comes as an event of the kind HA_EVENT_TXN_DONE:
//!
//! ```c
//! ha_txn_submit(t, (uint64_t)(uintptr_t)request, 1000, NULL);
//! // and in the loop that reads the events:
//! case HA_EVENT_TXN_DONE:
//!     answer((struct request *)(uintptr_t)ha_event_tag(event), ha_event_error(event),
//!            ha_event_txn(event));
//! ```
//!
//! A transaction that only reads proves its state at some instant of the call, not now.
//!
//! **Fencing what is not in this store.** A thread that asked ha_session_holds() and was then
//! stopped for a while acts late, so what it writes to must compare:
//!
//! - *A client of your own for the same store*: compare `mod_revision(ha_session_active_key())
//!   == token` in its transactions.
//! - *SQL*: a row per role. On activation `UPDATE fence SET token = :t WHERE role = :r AND token
//!   <= :t`; no row changed: you are too late. Each later transaction begins with `SELECT token
//!   FROM fence WHERE role = :r FOR SHARE` and rolls back unless that is :t.
//! - *Object stores*: immutable objects with the token in the name, and the pointer to the
//!   current one in a guarded transaction.
//! - *Servers of your own*: send the token with each call; they refuse what is below the highest
//!   they have seen, kept durably.
//! - Where nothing can compare (a mail, a device): ha_session_holds() just before, and a pause
//!   may still fall in between.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::boundary::{Handle, act, ask, ask_number, bound, bytes, give, guard, limit, required, take, write};
use super::error::HA_OK;
use super::types::{HaError, HaSession, HaTxn};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::KeyValue;
use crate::session::{Session, TxnBuilder, TxnDone, TxnResults};

/// What is behind a `ha_txn`.
pub(super) struct TxnValue {
    /// `None`: it is done, and lent by an event.
    session: Option<Session>,
    state: Mutex<State>,
}

struct State {
    /// `None`: it is done.
    builder: Option<TxnBuilder>,
    /// The first argument that could not even be passed on.
    error: Option<Error>,
    revision: i64,
    rows: Vec<Row>,
}

/// A key that was read; key and value with a NUL behind, for C.
struct Row {
    key: Vec<u8>,
    value: Vec<u8>,
    mod_revision: i64,
}

impl Row {
    fn new(kv: &KeyValue) -> Self {
        let with_nul = |bytes: &[u8]| [bytes, b"\0"].concat();
        Self { key: with_nul(&kv.key), value: with_nul(&kv.value), mod_revision: kv.mod_revision }
    }
}

impl TxnValue {
    /// What an event lends of one that was submitted.
    pub(super) fn done(done: &TxnDone) -> Self {
        let mut state = State { builder: None, error: None, revision: 0, rows: Vec::new() };
        state.show(&done.results);
        Self { session: None, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn build(&mut self, add: impl FnOnce(&mut TxnBuilder) -> Result<()>) {
        if let (None, Some(builder)) = (&self.error, &mut self.builder) {
            self.error = add(builder).err();
        }
    }

    /// What was built, unless that was wrong.
    fn built(&mut self) -> Result<&mut TxnBuilder> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let done = || Error::new(ErrorKind::State, "the transaction is done");
        self.builder.as_mut().ok_or_else(done)
    }

    fn show(&mut self, results: &TxnResults) {
        self.revision = results.revision;
        self.rows = results.kvs.iter().map(Row::new).collect();
    }

    fn commit(&mut self, timeout_ms: i64) -> Result<()> {
        let builder = self.built()?;
        let result = builder.commit(limit(timeout_ms)?);
        let results = builder.results().clone();
        self.show(&results);
        result.map(|_| ())
    }
}

impl Handle for HaTxn {
    type Value = TxnValue;
    const TAG: u64 = u64::from_le_bytes(*b"ha_txn\0\0");

    fn spoil(value: &TxnValue) {
        if let Some(session) = &value.session {
            session.fail();
        }
    }
}

/// Begins a transaction of one term.
///
/// @param session the session
/// @param token   the term: ha_event_token() of its ACTIVATE, or ha_session_fencing_token() read
///                when the work began. One that is not held any more is no error here: the commit
///                says HA_ERR_FENCED.
/// @param txn     set to the transaction, which is yours until ha_txn_free(); to NULL on failure
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_new(
    session: *mut HaSession,
    token: i64,
    txn: *mut *mut HaTxn,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(txn, std::ptr::null_mut());
        act(session, err, |value| {
            required(txn, "txn")?;
            let session = value.get()?;
            let new = bound::<HaTxn>(|| TxnValue {
                session: Some(session.clone()),
                state: Mutex::new(State {
                    builder: Some(session.txn(token)),
                    error: None,
                    revision: 0,
                    rows: Vec::new(),
                }),
            })?;
            write(txn, give(new));
            Ok(())
        })
    }
}

/// Only if the key was last written at this revision.
///
/// @param txn      the transaction
/// @param key      the key
/// @param key_len  its length
/// @param revision ha_txn_mod_revision() of an earlier read; 0: only if the key is absent
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_if_revision(txn: *mut HaTxn, key: *const c_void, key_len: usize, revision: i64) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |value| {
            value.lock().build(|builder| {
                builder.if_revision(bytes(key, key_len, "key")?, revision);
                Ok(())
            });
        });
    }
}

/// Only if the key has this value. An absent key has none, not even the empty one.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_if_value(
    txn: *mut HaTxn,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.if_value(bytes(key, key_len, "key")?, bytes(value, value_len, "value")?);
                Ok(())
            });
        });
    }
}

/// Writes a value that stays.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_put(
    txn: *mut HaTxn,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.put(bytes(key, key_len, "key")?, bytes(value, value_len, "value")?);
                Ok(())
            });
        });
    }
}

/// Writes a value that goes away with the session's lease, which outlives the term.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_put_leased(
    txn: *mut HaTxn,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.put_leased(bytes(key, key_len, "key")?, bytes(value, value_len, "value")?);
                Ok(())
            });
        });
    }
}

/// Deletes a key. One that is absent is no error.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_delete(txn: *mut HaTxn, key: *const c_void, key_len: usize) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.delete(bytes(key, key_len, "key")?);
                Ok(())
            });
        });
    }
}

/// Deletes all keys that begin with a prefix.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_delete_prefix(txn: *mut HaTxn, prefix: *const c_void, prefix_len: usize) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.delete_prefix(bytes(prefix, prefix_len, "prefix")?);
                Ok(())
            });
        });
    }
}

/// Reads a key into the results.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_get(txn: *mut HaTxn, key: *const c_void, key_len: usize) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.get(bytes(key, key_len, "key")?);
                Ok(())
            });
        });
    }
}

/// Reads all keys that begin with a prefix into the results, in order of the key.
///
/// @param txn        the transaction
/// @param prefix     what the keys begin with
/// @param prefix_len its length
/// @param limit      at most so many; 0: all
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_get_prefix(txn: *mut HaTxn, prefix: *const c_void, prefix_len: usize, limit: i64) {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(txn, |txn| {
            txn.lock().build(|builder| {
                builder.get_prefix(bytes(prefix, prefix_len, "prefix")?, limit);
                Ok(())
            });
        });
    }
}

/// Sends the transaction and waits for the answer.
///
/// @param txn        the transaction
/// @param timeout_ms how long to wait, never longer than store.request_timeout_ms; HA_FOREVER: just
///                   that
/// @param err        set to why it failed, which is yours to free; or NULL
/// @return as in the table above, or HA_ERR_TOO_LARGE, HA_ERR_INVALID_ARGUMENT, HA_ERR_NULL: a
///         builder call or the limit was wrong, nothing was sent; HA_ERR_TIMEOUT: the limit was
///         0, nothing was sent, and the transaction is used up all the same; HA_ERR_STATE: it was
///         used up before; HA_ERR_AUTH, HA_ERR_PERMISSION, HA_ERR_TLS, HA_ERR_NO_SPACE: the store
///         refused it, nothing was written; HA_ERR_CORRUPT, HA_ERR_REGRESSED: the local database is
///         damaged or was restored, nothing was written; HA_ERR_INTERNAL: a defect of the library,
///         so whether it was written is unknown; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_commit(txn: *mut HaTxn, timeout_ms: i64, err: *mut *mut HaError) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { act(txn, err, |txn| txn.lock().commit(timeout_ms)) }
}

/// Sends the transaction and returns at once: its end is an event of the kind HA_EVENT_TXN_DONE,
/// exactly one, before HA_EVENT_ENDED, and never dropped. Only where you pull events.
///
/// The event has the tag (ha_event_tag()), the results (ha_event_txn()), and as its error what
/// ha_txn_commit() would have said, NULL for HA_OK. Where the session ends before the answer has
/// come, that is HA_ERR_UNKNOWN_OUTCOME. Events of several transactions come in the order of the
/// answers.
///
/// @param txn        on HA_OK it is the library's: do not use and do not free it any more. On
///                   failure nothing was sent, no event follows, and it stays yours to free.
/// @param tag        yours, such as a number or a pointer of a request; not looked at
/// @param timeout_ms how long the answer may take, never longer than store.request_timeout_ms;
///                   HA_FOREVER: just that
/// @param err        set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_BUSY: there are txn.inflight that were submitted and whose events were
///         not read; read some, and submit the same again; HA_ERR_STATE: the session has
///         callbacks, or it was sent before; HA_ERR_FENCED: the term is over already;
///         HA_ERR_ENDED; HA_ERR_TOO_LARGE, HA_ERR_INVALID_ARGUMENT, HA_ERR_NULL: a builder call
///         was wrong; HA_ERR_TIMEOUT: the limit was 0; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_submit(txn: *mut HaTxn, tag: u64, timeout_ms: i64, err: *mut *mut HaError) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks, who gives the handle up.
    unsafe {
        let status = act(txn, err, |txn| txn.lock().built()?.submit(tag, limit(timeout_ms)?));
        if status == HA_OK {
            guard(|| drop(take(txn)));
        }
        status
    }
}

/// The store's revision at which the transaction was applied; of every key that it wrote, the
/// new mod revision.
///
/// @return 0: it was not applied, as far as is known; also for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_revision(txn: *const HaTxn) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(txn, |txn| txn.lock().revision) }
}

/// How many keys are in the results: those that were read, in the order of the reads; after
/// HA_ERR_COMPARE_FAILED those that were compared, as they are now. A key that is absent is not
/// among them.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_count(txn: *const HaTxn) -> usize {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(txn, |txn| txn.lock().rows.len()) }
}

/// Lends a row's bytes, without the NUL behind them in the length.
///
/// # Safety
///
/// As for `ask`; `len` is NULL or may be written.
unsafe fn lend(txn: *const HaTxn, index: usize, len: *mut usize, part: impl FnOnce(&Row) -> &Vec<u8>) -> *const c_char {
    // SAFETY: passed on from the caller.
    unsafe {
        write(len, 0);
        ask(txn, |txn| match txn.lock().rows.get(index).map(part) {
            Some(bytes) => {
                write(len, bytes.len() - 1);
                bytes.as_ptr().cast()
            }
            None => std::ptr::null(),
        })
    }
}

/// A key of the results.
///
/// @param txn   the transaction
/// @param index from 0 to ha_txn_count() - 1
/// @param len   set to its length, 0 where there is none; or NULL
/// @return Lent: valid as long as the transaction. A NUL follows that `len` does not count. NULL
///         beyond the last one.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_key(txn: *const HaTxn, index: usize, len: *mut usize) -> *const c_char {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { lend(txn, index, len, |row| &row.key) }
}

/// A value of the results.
///
/// @param txn   the transaction
/// @param index from 0 to ha_txn_count() - 1
/// @param len   set to its length, 0 where there is none; or NULL
/// @return Lent: valid as long as the transaction. A NUL follows that `len` does not count. NULL
///         beyond the last one.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_value(txn: *const HaTxn, index: usize, len: *mut usize) -> *const c_char {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { lend(txn, index, len, |row| &row.value) }
}

/// The revision at which a key of the results was last written: what ha_txn_if_revision() takes.
///
/// @param txn   the transaction
/// @param index from 0 to ha_txn_count() - 1
/// @return 0 beyond the last one.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_mod_revision(txn: *const HaTxn, index: usize) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(txn, |txn| txn.lock().rows.get(index).map_or(0, |row| row.mod_revision)) }
}

/// Frees a transaction. One that was not committed is forgotten. NULL is a no-op. Not for one that
/// was submitted, nor for one that an event lends.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_txn_free(txn: *mut HaTxn) {
    // SAFETY: the caller gives the handle up.
    guard(|| drop(unsafe { take(txn) }));
}
