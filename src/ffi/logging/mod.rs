//! Carries the library's `tracing` events to the receiver that C has set, or to stderr.

mod layer;
mod queue;

use std::ffi::c_void;
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::{Map, Value};
use tracing_subscriber::layer::SubscriberExt as _;

use super::callbacks::UserData;
use super::types::HaLogRecord;
use crate::error::ErrorKind;

/// One thing said.
pub(super) struct Record {
    pub(super) level: i32,
    pub(super) target: &'static str,
    pub(super) message: String,
    pub(super) unix_ms: i64,
    pub(super) fields: Map<String, Value>,
}

impl Record {
    pub(super) fn fields_json(&self) -> String {
        serde_json::to_string(&self.fields).unwrap_or_else(|_| "{}".into())
    }
}

/// Who receives, and from which level on.
pub(super) struct Receiver {
    pub(super) level: i32,
    pub(super) receive: unsafe extern "C" fn(user_data: *mut c_void, record: *const HaLogRecord),
    pub(super) user_data: Arc<UserData>,
}

/// Takes the process's `tracing` events, unless a Rust program has set a subscriber of its own already. Once a process.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(layer::ToQueue);
        // Refused where there is another: then the log is the program's.
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            queue::begin();
        }
    });
}

/// Replaces the receiver; `None`: stderr, or while records are fetched, from now on those of this level. Waits for the one
/// before, unless it is that one that calls.
pub(super) fn set_receiver(receiver: Option<Receiver>, level: i32) -> Result<(), ErrorKind> {
    install();
    queue::set_receiver(receiver, level)
}

/// Fetches the next record, which is then kept from stderr like all that follow.
pub(super) fn fetch(limit: Option<Duration>) -> Result<Record, ErrorKind> {
    install();
    queue::fetch(limit)
}

/// The descriptor that tells of records to be fetched.
pub(super) fn event_fd() -> Result<i32, ErrorKind> {
    install();
    queue::event_fd()
}
