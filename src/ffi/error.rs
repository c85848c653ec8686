//! Status codes and errors.
//!
//! A function that can fail returns a status code: HA_OK, or a reason from the list below, the
//! numbers in families with room to grow. Most take `ha_error **err` as well, for the reason in
//! words and in details; pass NULL where the code is enough. `*err` is always written: NULL on
//! success, else an error that is yours to free.
//!
//! ```c
//! ha_error *err;
//! if (ha_config_set(c, HA_KEY_LEASE_TTL_MS, ttl, &err) != HA_OK) {
//!     fprintf(stderr, "%s\n", ha_error_message(err));
//!     ha_error_free(err);
//! }
//! ```
//!
//! Errors are plain data: they belong to no thread and no session, and outlive both. "Retriable"
//! says that the same call may succeed later; "fatal" that a session which meets it in a call or in
//! HA_EVENT_ENDED is over; what HA_EVENT_FOREIGN and HA_EVENT_DEGRADED carry ends nothing.

use std::ffi::{CString, c_char};

use super::boundary::{Handle, ask, ask_about, ask_number, guard, take};
use super::text::{Name, c_string, names};
use super::types::HaError;
use crate::error::{Error, ErrorKind};

/// Success. It will always be 0.
pub const HA_OK: i32 = 0;
/// Returned by your callback, never by the library: the answer comes later, by
/// ha_session_activation_done() or ha_session_deactivation_done().
pub const HA_PENDING: i32 = 1;
/// NULL was given where none may be.
pub const HA_ERR_NULL: i32 = 101;
/// An argument is not of the allowed form, or a handle is of another type.
pub const HA_ERR_INVALID_ARGUMENT: i32 = 102;
/// Not possible in the session's present state.
pub const HA_ERR_STATE: i32 = 103;
/// The handle was closed. Only the bindings of other languages give it.
pub const HA_ERR_CLOSED: i32 = 104;
/// The time limit passed; nothing else happened. Retriable.
pub const HA_ERR_TIMEOUT: i32 = 105;
/// Not allowed in a callback of the same session: it would wait for itself.
pub const HA_ERR_IN_CALLBACK: i32 = 106;
/// This process is a child of `fork`; the session belongs to its parent.
pub const HA_ERR_FORKED: i32 = 107;
/// This build or version of the library cannot do it.
pub const HA_ERR_UNSUPPORTED: i32 = 108;
/// Too much is waiting already. Retriable.
pub const HA_ERR_BUSY: i32 = 109;
/// The session has ended, or its ENDED event was read.
pub const HA_ERR_ENDED: i32 = 110;
/// This process has a session with the same role and address already.
pub const HA_ERR_ALREADY_STARTED: i32 = 111;
/// No such configuration key.
pub const HA_ERR_CONFIG_KEY: i32 = 201;
/// The value is not allowed; details "key", "value", "allowed".
pub const HA_ERR_CONFIG_VALUE: i32 = 202;
/// A required key has no value; detail "key".
pub const HA_ERR_CONFIG_MISSING: i32 = 203;
/// Two values contradict each other; detail "key".
pub const HA_ERR_CONFIG_CONFLICT: i32 = 204;
/// A configuration file cannot be read.
pub const HA_ERR_CONFIG_FILE: i32 = 205;
/// The term is over: nothing was written. Also a late or repeated acknowledgement.
pub const HA_ERR_FENCED: i32 = 301;
/// Another session holds the role (exclusive sessions); details "holder_address",
/// "holder_server_id". Fatal.
pub const HA_ERR_ROLE_HELD: i32 = 302;
/// The application's activation failed; detail "code": the number that it gave.
pub const HA_ERR_ACTIVATION_FAILED: i32 = 303;
/// No session can take the role over. Retriable.
pub const HA_ERR_NO_TARGET: i32 = 304;
/// A compare of your own failed: nothing was written; the present values are in the results.
pub const HA_ERR_COMPARE_FAILED: i32 = 321;
/// Sent, and no answer came: it may have been done, or be done even later, but never after the
/// term.
pub const HA_ERR_UNKNOWN_OUTCOME: i32 = 322;
/// More operations or bytes than a transaction may have.
pub const HA_ERR_TOO_LARGE: i32 = 323;
/// The store cannot be reached; nothing was sent, or the release at the end is unconfirmed.
/// Retriable.
pub const HA_ERR_UNAVAILABLE: i32 = 401;
/// The store refused the user or the password.
pub const HA_ERR_AUTH: i32 = 402;
/// The store's user may not do it.
pub const HA_ERR_PERMISSION: i32 = 403;
/// TLS could not be set up.
pub const HA_ERR_TLS: i32 = 404;
/// The store has no space left; nothing was written. Retriable.
pub const HA_ERR_NO_SPACE: i32 = 405;
/// The store's revision went back, as after a restore from a backup. Fatal.
pub const HA_ERR_REGRESSED: i32 = 406;
/// A key of this library holds garbage; detail "key". Fatal.
pub const HA_ERR_CORRUPT: i32 = 407;
/// The store's version cannot be used. Fatal.
pub const HA_ERR_STORE_VERSION: i32 = 408;
/// A defect of this library, caught. The session that met it is lost and deactivates.
pub const HA_ERR_INTERNAL: i32 = 901;
/// The system gave no thread, descriptor or memory. Retriable.
pub const HA_ERR_RESOURCES: i32 = 902;
/// The first code that is yours: what a failed activation of yours returns, from here up, is
/// never one of the library.
pub const HA_ERR_APPLICATION: i32 = 10000;

static NAMES: [(i32, Name); ErrorKind::ALL.len()] = names!(ErrorKind);

/// What is behind a `ha_error`.
pub(super) struct ErrorValue {
    code: i32,
    retriable: bool,
    fatal: bool,
    message: CString,
    details: Vec<(String, CString)>,
}

impl ErrorValue {
    pub(super) fn new(error: &Error) -> Self {
        Self {
            code: error.kind().code(),
            retriable: error.is_retriable(),
            fatal: error.is_fatal(),
            message: c_string(error.message()),
            details: error.details().map(|(name, value)| (name.to_owned(), c_string(value))).collect(),
        }
    }
}

impl Handle for HaError {
    type Value = ErrorValue;
    const TAG: u64 = u64::from_le_bytes(*b"ha_error");
}

fn status_name(code: i32) -> *const c_char {
    match NAMES.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => name.as_ptr(),
        None if code == HA_OK => c"OK".as_ptr(),
        None if code == HA_PENDING => c"PENDING".as_ptr(),
        None if code >= HA_ERR_APPLICATION => c"APPLICATION".as_ptr(),
        None => c"UNKNOWN".as_ptr(),
    }
}

/// The status code of a failure in words, for messages.
pub(super) fn status_words(code: i32) -> String {
    match ErrorKind::ALL.iter().find(|kind| kind.code() == code) {
        Some(kind) => format!("{code} ({})", kind.name()),
        None => code.to_string(),
    }
}

/// The name of a status code without "HA_" or "HA_ERR_", such as "OK" or "FENCED".
///
/// @return Static: valid for ever, never freed. "APPLICATION" from HA_ERR_APPLICATION up,
///         "UNKNOWN" for what this version does not know. Any thread. Never fails.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_status_name(code: i32) -> *const c_char {
    guard(|| status_name(code))
}

/// The status code of an error: what the call that gave it returned.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_code(error: *const HaError) -> i32 {
    // SAFETY: a handle of the caller's, as the header asks.
    unsafe { ask_number(error, |error| error.code) }
}

/// The name of its status code, as by ha_status_name().
///
/// @return Static. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_name(error: *const HaError) -> *const c_char {
    // SAFETY: a handle of the caller's, as the header asks.
    unsafe { ask(error, |error| status_name(error.code)) }
}

/// What happened, in words for a person: it names the key, the value and what is allowed where a
/// value was wrong. The wording may change from version to version; programs read the code and
/// the details.
///
/// @return Lent: valid as long as the error. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_message(error: *const HaError) -> *const c_char {
    // SAFETY: a handle of the caller's, as the header asks.
    unsafe { ask(error, |error| error.message.as_ptr()) }
}

/// A detail for a program to read.
///
/// @param error the error
/// @param name  "key", "value", "allowed" (configuration, corrupt keys; "key" also: the argument
///              that is wrong), "holder_address", "holder_server_id" (HA_ERR_ROLE_HELD), "endpoint"
///              (the store), "code" (HA_ERR_ACTIVATION_FAILED: the number that your activation
///              failed with, in decimal)
/// @return Lent: valid as long as the error. NULL where it has no such detail.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_detail(error: *const HaError, name: *const c_char) -> *const c_char {
    // SAFETY: a handle and a string of the caller's, as the header asks.
    unsafe {
        ask_about(error, name, |error, name| {
            let detail = error.details.iter().find(|(known, _)| known == name);
            detail.map_or(std::ptr::null(), |(_, value)| value.as_ptr())
        })
    }
}

/// Whether the same call may succeed later with nothing changed but the time.
/// HA_ERR_UNKNOWN_OUTCOME is not retriable: see the section on transactions.
///
/// @return false also for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_is_retriable(error: *const HaError) -> bool {
    // SAFETY: a handle of the caller's, as the header asks.
    unsafe { ask(error, |error| error.retriable) }
}

/// Whether a session that meets it ends. Errors of HA_EVENT_FOREIGN and HA_EVENT_DEGRADED end none.
///
/// @return false also for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_is_fatal(error: *const HaError) -> bool {
    // SAFETY: a handle of the caller's, as the header asks.
    unsafe { ask(error, |error| error.fatal) }
}

/// Frees an error that was given to you through `err`. NULL is a no-op. Not for one that an
/// event lends.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_error_free(error: *mut HaError) {
    // SAFETY: the caller gives the handle up.
    guard(|| drop(unsafe { take(error) }));
}
