//! A panic inside each export, made on purpose: it must come out as that function's failure value, and end the session.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::boundary::{give, plain};
use super::callbacks::HaCallbacks;
use super::log::LogRecordValue;
use super::logging::Record;
use super::types::{HaConfig, HaError, HaEvent, HaLogRecord, HaObserver, HaSession, HaTxn};
use super::{config::*, error::*, event::*, log::*, metrics::*, observer::*, role::*, session::*, txn::*, version::*};

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// The boundary calls it in front of the body of each export.
pub(super) fn panic_if_armed() {
    if ARMED.replace(false) {
        panic!("made on purpose");
    }
}

/// Has the next export called on this thread panic.
fn armed<R>(call: impl FnOnce() -> R) -> R {
    ARMED.set(true);
    let answer = call();
    assert!(!ARMED.replace(false), "the export did not reach its body");
    answer
}

/// How long a test waits for what must come.
const PATIENCE_MS: i64 = 60_000;

/// One of each handle, alive.
struct Handles {
    config: *mut HaConfig,
    session: *mut HaSession,
    event: *mut HaEvent,
    txn: *mut HaTxn,
    observer: *mut HaObserver,
    error: *mut HaError,
    record: *mut HaLogRecord,
    _folder: tempfile::TempDir,
}

/// A session on a store of its own, in a folder that goes with it.
fn config(folder: &tempfile::TempDir, auto: bool) -> *mut HaConfig {
    let url = format!("local:{}", folder.path().display());
    let config = ha_config_new();
    let values = [
        ("role", "testrole"),
        ("address", "a:1"),
        ("store.url", &url),
        ("election.hold_ms", "5000"),
        ("activation.auto", if auto { "true" } else { "false" }),
    ];
    for (key, value) in values {
        let (key, value) = (CString::new(key).unwrap(), CString::new(value).unwrap());
        // SAFETY: a live handle and strings that outlive the call.
        let status = unsafe { ha_config_set(config, key.as_ptr(), value.as_ptr(), null_mut()) };
        assert_eq!(status, HA_OK);
    }
    config
}

fn start(config: *mut HaConfig) -> *mut HaSession {
    let mut session = null_mut();
    // SAFETY: a live handle, and places that may be written.
    let status = unsafe { ha_session_start(config, null(), &mut session, null_mut()) };
    assert_eq!(status, HA_OK);
    session
}

impl Handles {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder, true);
        let session = start(config);
        let (mut event, mut txn, mut observer, mut error) = (null_mut(), null_mut(), null_mut(), null_mut());
        // SAFETY: live handles, and places that may be written.
        unsafe {
            assert_eq!(ha_session_holder(session, &mut event, null_mut()), HA_OK);
            assert_eq!(ha_txn_new(session, 1, &mut txn, null_mut()), HA_OK);
            assert_eq!(ha_observer_start(config, &mut observer, null_mut()), HA_OK);
            let status = ha_config_set(config, c"no".as_ptr(), c"".as_ptr(), &mut error);
            assert_eq!(status, HA_ERR_CONFIG_KEY);
        }
        let record = give(plain::<HaLogRecord>(LogRecordValue::new(&Record {
            level: HA_LOG_INFO,
            target: "coordha",
            message: String::new(),
            unix_ms: 1,
            fields: serde_json::Map::new(),
        })));
        Self { config, session, event, txn, observer, error, record, _folder: folder }
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: made in `new`, given up here.
        unsafe {
            ha_txn_free(self.txn);
            ha_observer_free(self.observer);
            ha_event_free(self.event);
            ha_error_free(self.error);
            ha_log_record_free(self.record);
            ha_session_free(self.session);
            ha_config_free(self.config);
        }
    }
}

unsafe extern "C" fn count(counter: *mut c_void) {
    // SAFETY: the tests below hand out counters that outlive the session.
    unsafe { &*counter.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn ignore(_: *mut c_void, _: *const HaLogRecord) {}

/// Which exports were tried.
struct Tried(Mutex<Vec<&'static str>>);

impl Tried {
    fn is<R: PartialEq + std::fmt::Debug>(&self, name: &'static str, call: impl FnOnce() -> R, failure: R) {
        assert_eq!(armed(call), failure, "{name}");
        self.0.lock().unwrap().push(name);
    }
}

/// `try_all!(tried: failure => name(arguments) …)`: the failure value of each.
macro_rules! try_all {
    ($tried:ident: $($failure:expr => $($name:ident($($argument:expr),*))*;)*) => {$($(
        $tried.is(stringify!($name), || {
            #[allow(unused_unsafe, reason = "some exports are safe")]
            // SAFETY: live handles of the right type, strings that outlive the call, places that may be written.
            unsafe { $name($($argument),*) }
        }, $failure);
    )*)*};
}

fn try_sessions_and_transactions(h: &Handles, tried: &Tried) {
    let bytes = c"bytes".as_ptr().cast();
    let (mut session, mut event, mut txn) = (null_mut(), null_mut(), null_mut());
    try_all!(tried:
        HA_ERR_INTERNAL =>
            ha_session_start(h.config, null(), &mut session, null_mut())
            ha_session_wait(h.session, HA_UNTIL_ENDED, HA_FOREVER, null_mut())
            ha_session_activation_done(h.session, 1, HA_OK, null(), null_mut())
            ha_session_deactivation_done(h.session, 1, null_mut())
            ha_session_request_stop(h.session)
            ha_session_stop(h.session, HA_FOREVER, null_mut())
            ha_session_resign(h.session, 0)
            ha_session_set_priority(h.session, 0)
            ha_session_pause(h.session)
            ha_session_resume(h.session)
            ha_session_holder(h.session, &mut event, null_mut())
            ha_session_next_event(h.session, HA_FOREVER, &mut event)
            ha_txn_new(h.session, 1, &mut txn, null_mut())
            ha_txn_commit(h.txn, HA_FOREVER, null_mut())
            ha_txn_submit(h.txn, 1, HA_FOREVER, null_mut());
        -1 => ha_session_event_fd(h.session);
        0 => ha_session_role(h.session);
        0_i64 =>
            ha_session_fencing_token(h.session)
            ha_session_remaining_ms(h.session)
            ha_session_server_id(h.session)
            ha_txn_revision(h.txn)
            ha_txn_mod_revision(h.txn, 0);
        0_usize => ha_txn_count(h.txn);
        false => ha_session_is_active(h.session) ha_session_holds(h.session, 1);
        true => ha_session_is_ending(h.session, 1);
        null() =>
            ha_session_active_key(h.session)
            ha_txn_key(h.txn, 0, null_mut())
            ha_txn_value(h.txn, 0, null_mut());
        () =>
            ha_txn_if_revision(h.txn, bytes, 5, 0)
            ha_txn_if_value(h.txn, bytes, 5, bytes, 5)
            ha_txn_put(h.txn, bytes, 5, bytes, 5)
            ha_txn_put_leased(h.txn, bytes, 5, bytes, 5)
            ha_txn_delete(h.txn, bytes, 5)
            ha_txn_delete_prefix(h.txn, bytes, 5)
            ha_txn_get(h.txn, bytes, 5)
            ha_txn_get_prefix(h.txn, bytes, 5, 0)
            ha_session_free(h.session)
            ha_txn_free(h.txn);
    );
    assert!(session.is_null() && event.is_null() && txn.is_null());
}

fn try_observers(h: &Handles, tried: &Tried) {
    let (mut observer, mut event) = (null_mut(), null_mut());
    try_all!(tried:
        HA_ERR_INTERNAL =>
            ha_observer_start(h.config, &mut observer, null_mut())
            ha_observer_current(h.observer, &mut event, null_mut())
            ha_observer_next(h.observer, HA_FOREVER, &mut event)
            ha_observer_request_stop(h.observer)
            ha_observer_count_missed(h.observer);
        -1 => ha_observer_event_fd(h.observer);
        () => ha_observer_free(h.observer);
    );
    assert!(observer.is_null() && event.is_null());
}

fn try_plain_data(h: &Handles, tried: &Tried) {
    let (name, mut record) = (c"name".as_ptr(), null_mut());
    try_all!(tried:
        HA_ERR_INTERNAL =>
            ha_config_set(h.config, name, name, null_mut())
            ha_config_set_default(h.config, name, name, null_mut())
            ha_config_load_yaml(h.config, name, HA_DIALECT_NATIVE, null_mut())
            ha_config_load_env(h.config, HA_DIALECT_NATIVE, null_mut())
            ha_config_check(h.config, null_mut())
            ha_log_set_callback(HA_LOG_OFF, Some(ignore), null_mut(), None)
            ha_log_next(HA_FOREVER, &mut record);
        -1 => ha_log_event_fd();
        0 =>
            ha_version_number()
            ha_error_code(h.error)
            ha_event_kind(h.event)
            ha_event_reason(h.event)
            ha_log_record_level(h.record);
        0_i64 =>
            ha_event_token(h.event)
            ha_event_remaining_ms(h.event)
            ha_event_ttl_ms(h.event)
            ha_event_at_ms(h.event)
            ha_event_server_id(h.event)
            ha_log_record_unix_ms(h.record);
        0_u64 => ha_event_missed(h.event) ha_event_tag(h.event);
        false =>
            ha_has_feature(name)
            ha_error_is_retriable(h.error)
            ha_error_is_fatal(h.error)
            ha_event_held(h.event);
        null() =>
            ha_version_string()
            ha_status_name(0)
            ha_error_name(h.error)
            ha_error_message(h.error)
            ha_error_detail(h.error, name)
            ha_config_get(h.config, name)
            ha_event_kind_name(h.event)
            ha_event_address(h.event)
            ha_event_role_name(h.event)
            ha_event_key(h.event)
            ha_event_text(h.event)
            ha_event_error(h.event)
            ha_event_txn(h.event)
            ha_log_record_target(h.record)
            ha_log_record_message(h.record)
            ha_log_record_fields_json(h.record);
        null_mut() => ha_config_new();
        null_mut() => ha_config_dump(h.config, HA_DUMP_TEXT) ha_metrics_text();
        () =>
            ha_config_free(h.config)
            ha_error_free(h.error)
            ha_event_free(h.event)
            ha_log_record_free(h.record)
            ha_string_free(null_mut());
    );
}

#[test]
fn every_export_answers_a_panic_with_its_failure_value() {
    let handles = Handles::new();
    let tried = Tried(Mutex::default());
    try_sessions_and_transactions(&handles, &tried);
    try_observers(&handles, &tried);
    try_plain_data(&handles, &tried);
    let mut tried = tried.0.into_inner().unwrap();
    tried.sort_unstable();
    let all: Vec<&str> = include_str!("../../tests/ffi/symbols.txt").lines().collect();
    assert_eq!(tried, all);
}

/// Reads on to the event of this kind; gives its reason and its error's code.
fn next_of(session: *mut HaSession, kind: i32) -> (i32, i32) {
    loop {
        let mut event = null_mut();
        // SAFETY: a live handle, and a place that may be written; the event is freed once.
        unsafe {
            assert_eq!(ha_session_next_event(session, PATIENCE_MS, &mut event), HA_OK);
            let found = (ha_event_reason(event), ha_error_code(ha_event_error(event)));
            let is_it = ha_event_kind(event) == kind;
            ha_event_free(event);
            if is_it {
                return found;
            }
        }
    }
}

#[test]
fn a_panic_in_a_call_ends_the_term_and_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, false);
    let session = start(config);
    next_of(session, HA_EVENT_ACTIVATE);
    // SAFETY: live handles, and places that may be written.
    unsafe {
        let token = ha_session_fencing_token(session);
        let ready = ha_session_activation_done(session, token, HA_OK, null(), null_mut());
        assert_eq!(ready, HA_OK);
        assert!(ha_session_is_active(session));

        let mut error = null_mut();
        let status = armed(|| ha_session_stop(session, HA_FOREVER, &mut error));
        assert_eq!((status, ha_error_code(error)), (HA_ERR_INTERNAL, HA_ERR_INTERNAL));
        let words = CStr::from_ptr(ha_error_message(error)).to_str().unwrap();
        assert!(words.contains("made on purpose"), "{words}");
        ha_error_free(error);

        assert!(!ha_session_is_active(session) && !ha_session_holds(session, token));
        let (reason, code) = next_of(session, HA_EVENT_DEACTIVATE);
        assert_eq!((reason, code), (HA_REASON_INTERNAL, HA_ERR_INTERNAL));
        assert_eq!(ha_session_deactivation_done(session, token, null_mut()), HA_OK);
        assert_eq!(next_of(session, HA_EVENT_ENDED).1, HA_ERR_INTERNAL);
        ha_session_free(session);
        ha_config_free(config);
    }
}

#[test]
fn a_panic_in_a_transaction_ends_its_session() {
    let h = Handles::new();
    // SAFETY: live handles.
    unsafe {
        assert_eq!(armed(|| ha_txn_commit(h.txn, HA_FOREVER, null_mut())), HA_ERR_INTERNAL);
        let ended = ha_session_wait(h.session, HA_UNTIL_ENDED, PATIENCE_MS, null_mut());
        assert_eq!(ended, HA_ERR_INTERNAL);
    }
}

#[test]
fn a_panic_in_a_start_runs_destroy() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder, true);
    let destroyed = AtomicUsize::new(0);
    let callbacks = HaCallbacks {
        struct_size: size_of::<HaCallbacks>(),
        on_activate: None,
        on_deactivate: None,
        on_event: None,
        user_data: (&raw const destroyed).cast_mut().cast(),
        destroy: Some(count),
    };
    let mut session = null_mut();
    // SAFETY: live handles, and places that may be written; the counter outlives the call.
    unsafe {
        let status = armed(|| ha_session_start(config, &callbacks, &mut session, null_mut()));
        assert_eq!(status, HA_ERR_INTERNAL);
        ha_config_free(config);
    }
    assert!(session.is_null());
    assert_eq!(destroyed.into_inner(), 1);
}

#[test]
fn the_numbers_and_names_are_those_of_the_rust_api() {
    use crate::session::{EventKind as Kind, Reason, Role, Until};
    let reasons = [
        (HA_REASON_STOP, Reason::Stop),
        (HA_REASON_RESIGN, Reason::Resign),
        (HA_REASON_EXPIRED, Reason::Expired),
        (HA_REASON_SUPERSEDED, Reason::Superseded),
        (HA_REASON_KEY_DELETED, Reason::KeyDeleted),
        (HA_REASON_LEASE_LOST, Reason::LeaseLost),
        (HA_REASON_REGRESSED, Reason::Regressed),
        (HA_REASON_INTERNAL, Reason::Internal),
        (HA_REASON_ACTIVATION_FAILED, Reason::ActivationFailed),
        (HA_REASON_ACTIVATION_TIMEOUT, Reason::ActivationTimeout),
        (HA_REASON_PAUSED, Reason::Paused),
        (HA_REASON_CALLBACK_BUSY, Reason::CallbackBusy),
        (HA_REASON_BACKOFF, Reason::Backoff),
        (HA_REASON_MILVUS_HOLDER, Reason::MilvusHolder),
    ];
    assert!(reasons.iter().all(|(number, reason)| *number == *reason as i32));
    let roles = [
        (HA_ROLE_STARTING, Role::Starting),
        (HA_ROLE_STANDBY, Role::Standby),
        (HA_ROLE_ACTIVATING, Role::Activating),
        (HA_ROLE_ACTIVE, Role::Active),
        (HA_ROLE_DEACTIVATING, Role::Deactivating),
        (HA_ROLE_ENDED, Role::Ended),
    ];
    assert!(roles.iter().all(|(number, role)| *number == *role as i32));
    let untils = [
        (HA_UNTIL_REGISTERED, Until::Registered),
        (HA_UNTIL_ACTIVE, Until::Active),
        (HA_UNTIL_TERM_ENDING, Until::TermEnding),
        (HA_UNTIL_ENDED, Until::Ended),
    ];
    assert!(untils.iter().all(|(number, until)| *number == *until as i32));
    let kinds = [
        (HA_EVENT_REGISTERED, Kind::Registered),
        (HA_EVENT_STANDBY, Kind::Standby),
        (HA_EVENT_ACTIVATE, Kind::Activate),
        (HA_EVENT_ACTIVE, Kind::Active),
        (HA_EVENT_JEOPARDY, Kind::Jeopardy),
        (HA_EVENT_SAFE, Kind::Safe),
        (HA_EVENT_DEACTIVATE, Kind::Deactivate),
        (HA_EVENT_TERM_ENDED, Kind::TermEnded),
        (HA_EVENT_HOLDER, Kind::Holder),
        (HA_EVENT_DEGRADED, Kind::Degraded),
        (HA_EVENT_RECOVERED, Kind::Recovered),
        (HA_EVENT_BLOCKED, Kind::Blocked),
        (HA_EVENT_FOREIGN, Kind::Foreign),
        (HA_EVENT_TXN_DONE, Kind::TxnDone),
        (HA_EVENT_ENDED, Kind::Ended),
    ];
    for (number, kind) in kinds {
        // SAFETY: the names are static.
        let name = unsafe { CStr::from_ptr(kind_name(kind)) };
        assert_eq!((number, name.to_str().unwrap()), (kind.code(), kind.name()));
    }
    for kind in crate::error::ErrorKind::ALL {
        // SAFETY: the names are static.
        let name = unsafe { CStr::from_ptr(ha_status_name(kind.code())) };
        assert_eq!(name.to_str().unwrap(), kind.name());
    }
}
