//! The handles that are alive, and what the header says of every call.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use arbitrary::Arbitrary;
use coordha::ffi::config::*;
use coordha::ffi::error::*;
use coordha::ffi::event::*;
use coordha::ffi::log::*;
use coordha::ffi::observer::*;
use coordha::ffi::session::*;
use coordha::ffi::txn::*;
use coordha::ffi::types::HaError;
use tempfile::TempDir;

use crate::sessions::{Answers, Seen};

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Session,
    Observer,
    Txn,
    Event,
    Error,
    Record,
}

/// Most sessions and observers at once: each has a connection or a part of one.
const MOST: usize = 3;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder"));

/// User data of callbacks that `destroy` has not been called for yet.
static OWED: Mutex<u32> = Mutex::new(0);
static PAID: Condvar = Condvar::new();

#[derive(Default)]
pub(crate) struct World {
    alive: Vec<(Kind, *mut c_void)>,
    pub(crate) seen: BTreeMap<usize, Seen>,
    /// Transactions, and the sessions that they are of.
    pub(crate) owners: BTreeMap<usize, usize>,
    configs: u8,
}

/// Before the first run.
pub(crate) fn prepare() {
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("COORDHA_LOG", "off") };
    std::env::set_current_dir(FOLDER.path()).expect("a folder");
    // No defect of the library is to be caught and answered as INTERNAL: libFuzzer's hook, which is set, aborts.
}

/// A string that was lent: whole, and UTF-8.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    // SAFETY: NULL or a string of the library's.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8"))
}

unsafe extern "C" fn destroy(user_data: *mut c_void) {
    // SAFETY: made by `World::user_data`, and called once: a second time would be a double free.
    drop(unsafe { Box::from_raw(user_data.cast::<Answers>()) });
    *OWED.lock().expect("whole") -= 1;
    PAID.notify_all();
}

impl World {
    /// A handle, and whether it is of that type.
    pub(crate) fn pick<T>(&self, kind: Kind, who: u8) -> (*mut T, bool) {
        let any = who >= 224;
        let these: Vec<_> = self.alive.iter().filter(|(its, _)| any || *its == kind).collect();
        match these.get(usize::from(who).wrapping_sub(1) % these.len().max(1)) {
            Some((its, handle)) if who > 0 => (handle.cast(), *its == kind),
            _ => (null_mut(), false),
        }
    }

    /// Makes a call whose last argument is the error. Code and error must fit, and a handle that is none is refused.
    pub(crate) unsafe fn status(&mut self, right: bool, call: impl FnOnce(*mut *mut HaError) -> i32) -> i32 {
        // What the library has to overwrite.
        let mut err = std::ptr::dangling_mut::<HaError>();
        let untouched = err;
        let code = call(&mut err);
        // SAFETY: a static string.
        assert_ne!(unsafe { text(ha_status_name(code)) }, Some("UNKNOWN"), "{code}");
        assert_ne!(code, HA_ERR_INTERNAL);
        assert!(right || matches!(code, HA_ERR_NULL | HA_ERR_INVALID_ARGUMENT), "{code}");
        if err == untouched {
            // A call that takes no error.
            return code;
        }
        assert_eq!(err.is_null(), code == HA_OK);
        if !err.is_null() {
            // SAFETY: an error that was just given.
            unsafe {
                assert_eq!(ha_error_code(err), code);
                assert!(text(ha_error_message(err)).is_some_and(|message| !message.is_empty()));
            }
            self.keep(HA_OK, Kind::Error, err);
        }
        code
    }

    /// What a call gave: a handle on success, else NULL.
    pub(crate) fn keep<T>(&mut self, code: i32, kind: Kind, handle: *mut T) {
        assert_eq!(code == HA_OK, !handle.is_null());
        if code == HA_OK {
            self.alive.push((kind, handle.cast()));
            // Errors would pile up.
            if self.alive.len() > 100 {
                let at = self.alive.iter().position(|(kind, _)| *kind == Kind::Error);
                if let Some(at) = at {
                    let (kind, handle) = self.alive.remove(at);
                    // SAFETY: alive until now, and forgotten.
                    unsafe { Self::free_one(kind, handle) };
                }
            }
        }
    }

    pub(crate) fn forget<T>(&mut self, handle: *mut T) {
        self.alive.retain(|(_, its)| *its != handle.cast());
        self.seen.remove(&handle.addr());
    }

    pub(crate) fn is_full(&self, kind: Kind) -> bool {
        self.alive.iter().filter(|(its, _)| *its == kind).count() >= MOST
    }

    /// What a callback is given; `destroy` is owed from now on.
    pub(crate) fn user_data(&self, answers: &Answers) -> (*mut c_void, unsafe extern "C" fn(*mut c_void)) {
        *OWED.lock().expect("whole") += 1;
        (Box::into_raw(Box::new(answers.clone())).cast(), destroy)
    }

    /// A configuration that may start a session: on a store of this process alone, with short limits.
    pub(crate) unsafe fn config(&mut self, flags: u8) {
        let config = ha_config_new();
        let on = |bit: u8| if flags & bit != 0 { "true" } else { "false" };
        self.configs += 1;
        let (url, address) =
            (format!("local:{}", FOLDER.path().join("store").display()), format!("a:{}", self.configs));
        let values = [
            ("role", if flags & 1 != 0 { "one" } else { "two" }),
            ("address", &address),
            ("store.url", &url),
            ("active_standby.enabled", on(2)),
            ("activation.auto", on(4)),
            ("election.paused", on(8)),
            ("session.shared", on(16)),
            ("txn.inflight", if flags & 32 != 0 { "1" } else { "8" }),
            ("exclusive.wait_ms", if flags & 64 != 0 { "0" } else { "20" }),
            ("deactivation.timeout_ms", "20"),
            ("release.timeout_ms", "500"),
            ("activation.backoff_ms", "10"),
        ];
        for (key, value) in values {
            let (key, value) = (CString::new(key).expect("text"), CString::new(value).expect("text"));
            // SAFETY: a configuration that was just made.
            assert_eq!(unsafe { ha_config_set(config, key.as_ptr(), value.as_ptr(), null_mut()) }, HA_OK);
        }
        self.keep(HA_OK, Kind::Config, config);
    }

    /// Asks a handle everything that any handle can be asked.
    pub(crate) unsafe fn look(&mut self, who: u8, index: usize, name: *const c_char) {
        let any = |kind| self.pick::<c_void>(kind, who);
        // SAFETY: handles are alive, of whatever type.
        unsafe {
            let (error, right) = any(Kind::Error);
            assert_eq!(ha_error_code(error.cast()) != 0, right);
            assert_eq!(text(ha_error_name(error.cast())).is_some(), right);
            text(ha_error_detail(error.cast(), name));
            let both = ha_error_is_retriable(error.cast()) && ha_error_is_fatal(error.cast());
            assert!(!both);
            let (event, right) = any(Kind::Event);
            let event = event.cast();
            assert_eq!(ha_event_kind(event) != 0, right);
            for told in [ha_event_kind_name(event), ha_event_role_name(event), ha_event_text(event)] {
                assert_eq!(text(told).is_some(), right);
            }
            text(ha_event_address(event));
            text(ha_event_key(event));
            assert!(ha_event_token(event) >= 0 && ha_event_server_id(event) >= 0 && ha_event_remaining_ms(event) >= 0);
            let _ = (ha_event_reason(event), ha_event_held(event), ha_event_ttl_ms(event), ha_event_missed(event));
            let _ = (ha_event_at_ms(event), ha_event_tag(event), ha_error_code(ha_event_error(event)));
            rows(ha_event_txn(event), index);
            rows(any(Kind::Txn).0.cast(), index);
            let (record, right) = any(Kind::Record);
            let record = record.cast();
            for told in [ha_log_record_target(record), ha_log_record_message(record), ha_log_record_fields_json(record)]
            {
                assert_eq!(text(told).is_some(), right);
            }
            let _ = (ha_log_record_level(record), ha_log_record_unix_ms(record));
        }
    }

    /// Frees a handle by the function of a type, its own or another.
    pub(crate) unsafe fn free(&mut self, kind: Kind, who: u8) {
        let (handle, right) = self.pick::<c_void>(kind, who);
        if right {
            self.forget(handle);
        }
        // SAFETY: alive until now; one of another type is left alone.
        unsafe { Self::free_one(kind, handle) };
    }

    unsafe fn free_one(kind: Kind, handle: *mut c_void) {
        // SAFETY: the caller's.
        unsafe {
            match kind {
                Kind::Config => ha_config_free(handle.cast()),
                Kind::Session => ha_session_free(handle.cast()),
                Kind::Observer => ha_observer_free(handle.cast()),
                Kind::Txn => ha_txn_free(handle.cast()),
                Kind::Event => ha_event_free(handle.cast()),
                Kind::Error => ha_error_free(handle.cast()),
                Kind::Record => ha_log_record_free(handle.cast()),
            }
        }
    }

    /// Frees all, in the order in which it was made. Then every `destroy` has run, or will.
    pub(crate) unsafe fn end(&mut self) {
        for (kind, handle) in std::mem::take(&mut self.alive) {
            // SAFETY: alive until now.
            unsafe { Self::free_one(kind, handle) };
        }
        // SAFETY: takes the receiver away, if there is one.
        unsafe { ha_log_set_callback(HA_LOG_OFF, None, null_mut(), None) };
        let owed = OWED.lock().expect("whole");
        let (owed, _) = PAID.wait_timeout_while(owed, Duration::from_secs(15), |owed| *owed > 0).expect("whole");
        assert_eq!(*owed, 0, "a `destroy` was not called");
        drop(owed);
        coordha_fuzz::wait_for_threads();
    }
}

/// The results of a transaction, one beyond the last as well.
unsafe fn rows(txn: *const coordha::ffi::types::HaTxn, index: usize) {
    // SAFETY: a handle that is alive, of whatever type, or NULL.
    unsafe {
        let count = ha_txn_count(txn);
        for index in (0..count).chain([count + index]) {
            let (mut key_len, mut value_len) = (usize::MAX, usize::MAX);
            let (key, value) = (ha_txn_key(txn, index, &mut key_len), ha_txn_value(txn, index, &mut value_len));
            assert_eq!(index < count, !key.is_null() && !value.is_null());
            assert_eq!(index < count, ha_txn_mod_revision(txn, index) > 0);
            if index < count {
                for (start, len) in [(key, key_len), (value, value_len)] {
                    let whole = std::slice::from_raw_parts(start.cast::<u8>(), len + 1);
                    assert_eq!(whole.last(), Some(&0));
                }
            } else {
                assert_eq!((key_len, value_len), (0, 0));
            }
        }
    }
}
