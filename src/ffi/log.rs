//! Logging.
//!
//! What the library has to say beside its events. Without a receiver, warnings and errors go to
//! stderr, a line each; the environment variable COORDHA_LOG sets another level for that: off,
//! error, warn, info, debug or trace.
//!
//! A receiver is called for one record at a time, on a thread of the library's own, never on
//! yours and never on one that renews a role: it may take its time, and may call any function of
//! this header. What it causes itself is not logged. Up to 1024 records wait; beyond that new
//! ones are dropped, and a record says how many.
//!
//! Or the program fetches the records by itself, with ha_log_next(), in its own thread or event
//! loop (ha_log_event_fd()). The first call of either begins that: from then on records wait for
//! it, up to the same 1024, and none goes to stderr. They are of level HA_LOG_INFO and above, or
//! of the level that COORDHA_LOG says; after that call, ha_log_set_callback() with NULL for the
//! receiver sets another one. A receiver ends it.

use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use super::boundary::{Handle, ask, ask_number, attempt, give, guard, limit, plain, required, take, write};
use super::callbacks::UserData;
use super::error::{HA_ERR_INVALID_ARGUMENT, HA_OK};
use super::event::Descriptor;
use super::logging::{self, Receiver, Record};
use super::text::c_string;
use super::types::HaLogRecord;
use crate::error::Error;

/// Nothing.
pub const HA_LOG_OFF: i32 = 0;
/// What somebody must look at.
pub const HA_LOG_ERROR: i32 = 1;
/// What somebody should know: the store cannot be reached, the role is in jeopardy or lost.
pub const HA_LOG_WARN: i32 = 2;
/// The course of things: registered, standing by, active.
pub const HA_LOG_INFO: i32 = 3;
/// For those who look for a fault.
pub const HA_LOG_DEBUG: i32 = 4;
/// Every step.
pub const HA_LOG_TRACE: i32 = 5;

/// Receives a log record, lent for the call.
pub type HaLogFn = Option<unsafe extern "C" fn(user_data: *mut c_void, record: *const HaLogRecord)>;

/// What is behind a `ha_log_record`.
pub(super) struct LogRecordValue {
    level: i32,
    target: CString,
    message: CString,
    unix_ms: i64,
    fields: CString,
}

impl LogRecordValue {
    pub(super) fn new(record: &Record) -> Self {
        Self {
            level: record.level,
            target: c_string(record.target),
            message: c_string(record.message.as_str()),
            unix_ms: record.unix_ms,
            fields: c_string(record.fields_json()),
        }
    }
}

impl Handle for HaLogRecord {
    type Value = LogRecordValue;
    const TAG: u64 = u64::from_le_bytes(*b"logrecrd");
}

/// Sets the receiver of log records, for the whole process, in place of the one before. Records
/// that wait go to the one before; when this returns, that one does not run and will not, and
/// its `destroy` has run. (Where a receiver calls this itself, `destroy` runs when that call has
/// returned.) A program that wants to see the last records before it exits takes its receiver
/// away.
///
/// @param level     HA_LOG_*: records of this level and above
/// @param receive   the receiver; or NULL: none, warnings and errors go to stderr again. While
///                  records are fetched by ha_log_next(), NULL only sets their level.
/// @param user_data yours, handed to every call; or NULL
/// @param destroy   called exactly once with `user_data`, after the last call, also where this
///                  function fails; or NULL
/// @return HA_OK; HA_ERR_INVALID_ARGUMENT: no such level; HA_ERR_UNSUPPORTED: this is a Rust
///         program whose log goes elsewhere; HA_ERR_FORKED: a child of `fork` whose parent has
///         sessions.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_set_callback(
    level: i32,
    receive: HaLogFn,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
) -> i32 {
    let user_data = Arc::new(UserData::new(user_data, destroy));
    guard(|| {
        if !(HA_LOG_OFF..=HA_LOG_TRACE).contains(&level) {
            return HA_ERR_INVALID_ARGUMENT;
        }
        let receiver = receive.map(|receive| Receiver { level, receive, user_data });
        match logging::set_receiver(receiver, level) {
            Ok(()) => HA_OK,
            Err(kind) => kind.code(),
        }
    })
}

/// Fetches the next log record. From any threads; each record goes to one of them.
///
/// @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
/// @param record     set to the record, which is yours until ha_log_record_free(); to NULL where
///                   there is none
/// @return HA_OK; HA_ERR_TIMEOUT; HA_ERR_STATE: there is a receiver, which is given the records;
///         HA_ERR_UNSUPPORTED: this is a Rust program whose log goes elsewhere;
///         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED: a child of `fork` whose parent has
///         sessions.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_next(timeout_ms: i64, record: *mut *mut HaLogRecord) -> i32 {
    // SAFETY: the argument is the caller's, as the header asks.
    unsafe {
        write(record, std::ptr::null_mut());
        attempt(std::ptr::null_mut(), || {
            required(record, "record")?;
            let limit = limit(timeout_ms)?;
            let next = logging::fetch(limit).map_err(|kind| Error::new(kind, "no log record"))?;
            write(record, give(plain::<HaLogRecord>(LogRecordValue::new(&next))));
            Ok(())
        })
    }
}

/// A descriptor for poll, epoll and event loops: readable while a log record waits, with a new
/// edge at each arrival. Wait for it, then call ha_log_next() with a limit of 0 until it says
/// HA_ERR_TIMEOUT.
///
/// It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
/// library's, to the end of the process.
///
/// @return -1 where there is none: there is a receiver, no descriptor was to be had, a Rust
///         program whose log goes elsewhere, a child of `fork` whose parent has sessions.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_log_event_fd() -> i32 {
    guard(|| Descriptor(logging::event_fd().unwrap_or(-1))).0
}

/// The level of a record, one of HA_LOG_*.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_level(record: *const HaLogRecord) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(record, |record| record.level) }
}

/// Which part of the library says it, such as "coordha::driver".
///
/// @return Lent: valid as long as the record. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_target(record: *const HaLogRecord) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(record, |record| record.target.as_ptr()) }
}

/// What it says, in one line. The wording may change.
///
/// @return Lent: valid as long as the record. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_message(record: *const HaLogRecord) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(record, |record| record.message.as_ptr()) }
}

/// When it was said: ms since 1970 on the wall clock, which is good for nothing but logs.
///
/// @return 0 for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_unix_ms(record: *const HaLogRecord) -> i64 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask_number(record, |record| record.unix_ms) }
}

/// The record's fields as a JSON object, such as `{"role":"rootcoord","token":71}`; `{}` where
/// it has none.
///
/// @return Lent: valid as long as the record. NULL for NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_fields_json(record: *const HaLogRecord) -> *const c_char {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe { ask(record, |record| record.fields.as_ptr()) }
}

/// Frees a record that ha_log_next() gave you. NULL is a no-op. Not for one that a receiver was
/// lent.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_log_record_free(record: *mut HaLogRecord) {
    // SAFETY: the caller gives the handle up.
    guard(|| drop(unsafe { take(record) }));
}

/// Frees a `char *` that a function returned as yours (ha_config_dump(),
/// ha_metrics_text()). NULL is a no-op. Strings
/// that are `const char *` are lent.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_string_free(string: *mut c_char) {
    // SAFETY: the caller gives up what `CString::into_raw` made.
    guard(|| unsafe {
        if !string.is_null() {
            drop(CString::from_raw(string));
        }
    });
}
