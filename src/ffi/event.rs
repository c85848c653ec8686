//! Events.
//!
//! What happens to a session is told as events, in order: to your callbacks, or one by one from
//! ha_session_next_event().
//!
//! | Kind         | What it says                           | Carries, beside role and time     |
//! |--------------|----------------------------------------|-----------------------------------|
//! | REGISTERED   | a server ID and a lease were taken     | server_id, ttl_ms                 |
//! | STANDBY      | standing by                            | the holder, if known              |
//! | ACTIVATE *   | the term is won: get ready             | token, remaining_ms               |
//! | ACTIVE *     | you said "ready"                       | token, remaining_ms               |
//! | JEOPARDY     | half the hold time without a renewal   | token, remaining_ms               |
//! | SAFE         | renewed again after that               | token, remaining_ms               |
//! | DEACTIVATE * | leave: drain where held, else clean up | token, reason, held, error if any |
//! | TERM_ENDED * | the role is gone                       | token, reason, error if any       |
//! | HOLDER       | who is active now; server ID 0: nobody | server_id, address, token         |
//! | DEGRADED     | the store fails or refuses             | error, with detail "endpoint"     |
//! | RECOVERED    | it answers again                       |                                   |
//! | BLOCKED      | contending is held back                | reason, holder and key if known   |
//! | FOREIGN      | a key in the store cannot be read      | key, error                        |
//! | TXN_DONE *   | a submitted transaction is done        | tag, txn, error if any            |
//! | ENDED *      | the session is over: the last event    | error; none after an orderly stop |
//!
//! For an exclusive session HOLDER says who is in the way.
//!
//! Every ACTIVATE is followed by exactly one DEACTIVATE and one TERM_ENDED, also after a failed
//! activation. TERM_ENDED comes before or after DEACTIVATE is answered: it is the instant at
//! which the role is gone, and nothing of that term may act any more.
//!
//! Kinds with * are never dropped. Of the others at most events.queue wait unread; then the
//! oldest goes, and the next event delivered says in ha_event_missed() how many went. No slow
//! reader ever delays a renewal.
//!
//! What a kind does not carry is 0, false or NULL. Strings of an event live as long as the
//! event.

use std::ffi::{CString, c_char};
use std::os::fd::AsRawFd;

use super::boundary::{
    Failure, Handle, Owned, act, ask, ask_number, give, guard, limit, plain, pointer, required, take, write,
};
use super::error::ErrorValue;
use super::text::{Name, c_string, names};
use super::txn::TxnValue;
use super::types::{HaError, HaEvent, HaSession, HaTxn};
use crate::error::ErrorKind;
use crate::session::{Event, EventKind};

/// A server ID and a lease were taken.
pub const HA_EVENT_REGISTERED: i32 = 1;
/// Standing by.
pub const HA_EVENT_STANDBY: i32 = 2;
/// The term is won: get ready, and say so with ha_session_activation_done() where you pull
/// events.
pub const HA_EVENT_ACTIVATE: i32 = 10;
/// "Ready" was said: ha_session_is_active() is true.
pub const HA_EVENT_ACTIVE: i32 = 11;
/// Half of the hold time passed without a renewal; the role is still held.
pub const HA_EVENT_JEOPARDY: i32 = 12;
/// Renewed again after a jeopardy.
pub const HA_EVENT_SAFE: i32 = 13;
/// Leave, and say so with ha_session_deactivation_done() where you pull events.
pub const HA_EVENT_DEACTIVATE: i32 = 14;
/// The role is gone: nothing of that term may act any more.
pub const HA_EVENT_TERM_ENDED: i32 = 15;
/// Who is active now.
pub const HA_EVENT_HOLDER: i32 = 20;
/// The store cannot be reached, or refuses.
pub const HA_EVENT_DEGRADED: i32 = 21;
/// The store answers again.
pub const HA_EVENT_RECOVERED: i32 = 22;
/// Contending is held back.
pub const HA_EVENT_BLOCKED: i32 = 23;
/// A key of the library's or of a stranger's cannot be read.
pub const HA_EVENT_FOREIGN: i32 = 24;
/// A submitted transaction is done.
pub const HA_EVENT_TXN_DONE: i32 = 30;
/// The session is over.
pub const HA_EVENT_ENDED: i32 = 99;

/// The session was stopped; the role is held while you drain.
pub const HA_REASON_STOP: i32 = 1;
/// It resigned; the role is held while you drain. (3 is kept for a handover.)
pub const HA_REASON_RESIGN: i32 = 2;
/// The deadline passed without a renewal.
pub const HA_REASON_EXPIRED: i32 = 10;
/// Another session owns the role.
pub const HA_REASON_SUPERSEDED: i32 = 11;
/// Somebody deleted the active key.
pub const HA_REASON_KEY_DELETED: i32 = 12;
/// The lease is gone.
pub const HA_REASON_LEASE_LOST: i32 = 13;
/// The store's revision went back, as after a restore from a backup.
pub const HA_REASON_REGRESSED: i32 = 14;
/// A defect of the library, caught.
pub const HA_REASON_INTERNAL: i32 = 15;
/// Your activation failed.
pub const HA_REASON_ACTIVATION_FAILED: i32 = 20;
/// Your activation took longer than activation.timeout_ms.
pub const HA_REASON_ACTIVATION_TIMEOUT: i32 = 21;
/// Blocked: election.paused, or ha_session_pause().
pub const HA_REASON_PAUSED: i32 = 40;
/// Blocked: the last term's DEACTIVATE is not answered yet.
pub const HA_REASON_CALLBACK_BUSY: i32 = 41;
/// Blocked: a pause after a failed activation or a resignation.
pub const HA_REASON_BACKOFF: i32 = 42;
/// Blocked: this session could take the role, but a Milvus process may still act for it: its
/// member key lives on though its active key is gone, or a session of an old coordinator keeps
/// a mixcoord away, or election.milvus_takeover_delay_ms is not over. ha_event_key() names the
/// key, server ID and address the process where they are known. It ends by itself when that
/// key is gone; where it never goes, end that process.
pub const HA_REASON_MILVUS_HOLDER: i32 = 43;

static NAMES: [(i32, Name); EventKind::ALL.len()] = names!(EventKind);

/// What is behind a `ha_event`.
pub(super) struct EventValue {
    event: Event,
    role_name: CString,
    address: Option<CString>,
    key: Option<CString>,
    error: Option<Owned<HaError>>,
    txn: Option<Owned<HaTxn>>,
    text: CString,
}

impl EventValue {
    pub(super) fn new(event: &Event) -> Self {
        Self {
            role_name: c_string(event.role_name()),
            address: event.address().map(c_string),
            key: event.key().map(|key| match std::str::from_utf8(key) {
                Ok(text) => c_string(text),
                Err(_) => c_string(key.escape_ascii().to_string()),
            }),
            error: event.error().map(|error| plain::<HaError>(ErrorValue::new(error))),
            txn: event.txn().map(|done| plain::<HaTxn>(TxnValue::done(done))),
            text: c_string(event.text()),
            event: event.clone(),
        }
    }
}

impl Handle for HaEvent {
    type Value = EventValue;
    const TAG: u64 = u64::from_le_bytes(*b"ha_event");
}

/// A descriptor; -1 where there is none.
pub(super) struct Descriptor(pub(super) i32);

impl Failure for Descriptor {
    fn failure(_: ErrorKind) -> Self {
        Self(-1)
    }
}

fn lent(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// The next event. From any threads; each event goes to one of them.
///
/// @param session    the session
/// @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
/// @param event      set to the event, which is yours until ha_event_free(); to NULL where there is
///                   none
/// @return HA_OK; HA_ERR_TIMEOUT; HA_ERR_ENDED for ever once HA_EVENT_ENDED was read;
///         HA_ERR_STATE: the session has callbacks; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL;
///         HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_next_event(
    session: *mut HaSession,
    timeout_ms: i64,
    event: *mut *mut HaEvent,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(event, std::ptr::null_mut());
        act(session, std::ptr::null_mut(), |value| {
            required(event, "event")?;
            let next = value.get()?.next_event(limit(timeout_ms)?)?;
            write(event, give(plain::<HaEvent>(EventValue::new(&next))));
            Ok(())
        })
    }
}

/// A descriptor for poll, epoll and event loops: readable while an event waits, and for ever
/// after HA_EVENT_ENDED, with a new edge at each arrival, so good for level and for edge. Wait
/// for it, then call ha_session_next_event() with a limit of 0 until it says HA_ERR_TIMEOUT.
///
/// It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
/// session's, up to ha_session_free(). Reading from it is allowed and loses no event.
///
/// @return -1 where there is none: the session has callbacks, no descriptor was to be had, NULL,
///         a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_session_event_fd(session: *mut HaSession) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    let descriptor = unsafe {
        ask(session, |value| {
            let descriptor = value.get().and_then(|session| session.event_fd());
            Descriptor(descriptor.map_or(-1, |fd| fd.as_raw_fd()))
        })
    };
    descriptor.0
}

/// What the event says, one of HA_EVENT_*.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_kind(event: *const HaEvent) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.kind().code()) }
}

/// The name of its kind without "HA_EVENT_", such as "ACTIVATE".
///
/// @return Static: valid for ever. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_kind_name(event: *const HaEvent) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| kind_name(value.event.kind())) }
}

pub(super) fn kind_name(kind: EventKind) -> *const c_char {
    let name = NAMES.iter().find(|(number, _)| *number == kind.code());
    name.map_or(std::ptr::null(), |(_, name)| name.as_ptr())
}

/// The fencing token of the term that it is about; for STANDBY, HOLDER and BLOCKED the holder's.
///
/// @return 0 where it has none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_token(event: *const HaEvent) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.token()) }
}

/// Why the term ends or has ended, or why contending is held back: one of HA_REASON_*.
///
/// @return 0 where it has none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_reason(event: *const HaEvent) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.reason().map_or(0, |reason| reason as i32)) }
}

/// Whether the role is still held, and renewed, until you say "left" or deactivation.timeout_ms
/// has passed: drain. Else it is gone: only clean up.
///
/// @return false for every kind but DEACTIVATE, and for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_held(event: *const HaEvent) -> bool {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| value.event.held()) }
}

/// Time from the event to the term's deadline as it was then, in ms.
///
/// @return 0 where no term was held.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_remaining_ms(event: *const HaEvent) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.remaining_ms()) }
}

/// The time to live in ms that the store granted the lease; it may be more than was asked for.
///
/// @return 0 for every kind but REGISTERED, and for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_ttl_ms(event: *const HaEvent) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.ttl_ms()) }
}

/// When it happened: ms on the clock that counts suspend (CLOCK_BOOTTIME), which all processes
/// of a host share.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_at_ms(event: *const HaEvent) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.at_ms()) }
}

/// REGISTERED: the session's own server ID; where a holder is named: the holder's.
///
/// @return 0 where it has none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_server_id(event: *const HaEvent) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.server_id()) }
}

/// Where clients reach the holder that it names.
///
/// @return Lent: valid as long as the event. NULL where it names none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_address(event: *const HaEvent) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| lent(value.address.as_ref())) }
}

/// The name of the role, such as "rootcoord".
///
/// @return Lent: valid as long as the event. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_role_name(event: *const HaEvent) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| value.role_name.as_ptr()) }
}

/// FOREIGN: the key that cannot be read. BLOCKED by a Milvus holder: the key that stands in the
/// way. Bytes that are no text are escaped.
///
/// @return Lent: valid as long as the event. NULL where it names none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_key(event: *const HaEvent) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| lent(value.key.as_ref())) }
}

/// What went wrong.
///
/// @return Lent: valid as long as the event, not to be freed. NULL where nothing went wrong.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_error(event: *const HaEvent) -> *const HaError {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        ask(event, |value| {
            let error = value.error.as_ref();
            error.map_or(std::ptr::null(), |error| pointer::<HaError>(error).cast_const())
        })
    }
}

/// How many events were dropped unread just before this one.
///
/// @return 0: none; also for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_missed(event: *const HaEvent) -> u64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.missed()) }
}

/// TXN_DONE: the tag that the transaction was submitted with.
///
/// @return 0 where it has none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_tag(event: *const HaEvent) -> u64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(event, |value| value.event.tag()) }
}

/// TXN_DONE: the transaction with its results, for ha_txn_revision(), ha_txn_count() and so on. It
/// is another handle than the one that was submitted.
///
/// @return Lent: valid as long as the event, not to be freed. NULL where it has none.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_txn(event: *const HaEvent) -> *const HaTxn {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        ask(event, |value| {
            let txn = value.txn.as_ref();
            txn.map_or(std::ptr::null(), |txn| pointer::<HaTxn>(txn).cast_const())
        })
    }
}

/// The event in one line of plain words, without its time: for logs. The wording may change.
///
/// @return Lent: valid as long as the event. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_text(event: *const HaEvent) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(event, |value| value.text.as_ptr()) }
}

/// Frees an event that was given to you through a pointer of yours. NULL is a no-op. Not for one
/// that a callback was lent.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_event_free(event: *mut HaEvent) {
    // SAFETY: the caller gives the handle up.
    guard(|| drop(unsafe { take(event) }));
}
