//! Sequences of C calls: any order, NULL, handles of other types, strange strings, terms that are none. The rules of the
//! header are kept (nothing is used after it was freed); all else is allowed.
//!
//! It checks what the header says of every call: a code and an error that fit, NULL and handles of other types refused, and
//! of a session that its answers agree.

#![no_main]

mod sessions;
mod world;

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};

use arbitrary::Arbitrary;
use coordha::ffi::config::*;
use coordha::ffi::error::*;
use coordha::ffi::event::*;
use coordha::ffi::log::*;
use coordha::ffi::observer::*;
use coordha::ffi::txn::*;
use coordha::ffi::version::ha_has_feature;
use libfuzzer_sys::fuzz_target;
use world::{Kind, World};

/// Which handle: 0 is NULL, from 224 on any, else one of the right type.
type Who = u8;

/// A string of C's; `None` is NULL.
type Text<'a> = Option<&'a [u8]>;

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Bytes<'a> {
    Some(&'a [u8]),
    /// NULL, of a length.
    Null(bool),
    /// Longer than anything can be.
    TooLong,
}

#[derive(Arbitrary, Debug)]
enum Build {
    IfRevision(i64),
    IfValue,
    Put,
    PutLeased,
    Delete,
    DeletePrefix,
    Get,
    GetPrefix(i64),
}

#[derive(Arbitrary, Debug)]
enum Call<'a> {
    Config { flags: u8 },
    Set { who: Who, key: u8, value: Text<'a>, proposed: bool },
    SetAny { who: Who, key: Text<'a>, value: Text<'a> },
    Yaml { who: Who, path: Text<'a>, dialect: i8 },
    Env { who: Who, dialect: i8 },
    Get { who: Who, key: Text<'a> },
    Check(Who),
    Start { who: Who, callbacks: Option<sessions::Answers>, no_place: bool },
    Ask { who: Who, deed: sessions::Deed },
    Txn { who: Who, term: i8 },
    Build { who: Who, build: Build, key: Bytes<'a>, value: Bytes<'a> },
    Commit { who: Who, wait: u8 },
    Submit { who: Who, tag: u64, wait: u8 },
    Observe(Who),
    Observer { who: Who, what: u8 },
    Log { what: u8, level: i8 },
    Look { who: Who, index: u8, name: Text<'a> },
    Free { who: Who, kind: Kind },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// First a session is started, and the role won where that can be.
    begun: Option<u8>,
    calls: Vec<Call<'a>>,
}

/// Keys whose values make no call here wait for long, and name no place in the file system.
const KEYS: [&str; 17] = [
    "role",
    "address",
    "root",
    "priority",
    "record.version",
    "events.queue",
    "txn.inflight",
    "activation.auto",
    "active_standby.enabled",
    "session.shared",
    "election.paused",
    "election.same_host_proof",
    "election.hold_ms",
    "lease.ttl_ms",
    "activation.backoff_ms",
    "log.format",
    "log.standby_ms",
];

fn c_text(text: Text<'_>) -> Option<CString> {
    // Up to the first NUL, as C reads it.
    text.map(|text| CString::new(text.split(|byte| *byte == 0).next().unwrap_or_default()).expect("no NUL in it"))
}

fn c_pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

fn c_bytes(bytes: Bytes<'_>) -> (*const c_void, usize) {
    match bytes {
        Bytes::Some(bytes) => (bytes.as_ptr().cast(), bytes.len()),
        Bytes::Null(empty) => (null(), if empty { 0 } else { 5 }),
        Bytes::TooLong => ([0_u8; 1].as_ptr().cast(), usize::MAX),
    }
}

fn limit(wait: u8) -> i64 {
    [0, 1, 5, HA_FOREVER_FOR_COMMIT, -7][usize::from(wait) % 5]
}

/// A commit is limited by the store's own limit as well.
const HA_FOREVER_FOR_COMMIT: i64 = -1;

impl World {
    /// # Safety
    ///
    /// All handles of the world are alive.
    unsafe fn call(&mut self, call: &Call<'_>) {
        // SAFETY: handles are alive, of whatever type, or NULL; strings and places outlive each call.
        unsafe {
            match call {
                Call::Config { flags } => self.config(*flags),
                Call::Set { who, key, value, proposed } => {
                    let key = CString::new(KEYS[usize::from(*key) % KEYS.len()]).expect("a key");
                    let value = c_text(*value);
                    let (config, right) = self.pick(Kind::Config, *who);
                    let set = if *proposed { ha_config_set_default } else { ha_config_set };
                    let code = self.status(right, |err| set(config, key.as_ptr(), c_pointer(&value), err));
                    assert!(code != HA_OK || !ha_config_get(config, key.as_ptr()).is_null());
                }
                Call::SetAny { who, key, value } => {
                    let (key, value) = (c_text(*key), c_text(*value));
                    // A name of ours may stand for a place in the file system.
                    if key
                        .as_ref()
                        .and_then(|key| key.to_str().ok())
                        .is_some_and(|key| coordha::config::keys::find(key).is_some())
                    {
                        return;
                    }
                    let (config, right) = self.pick(Kind::Config, *who);
                    let code = self.status(right, |err| ha_config_set(config, c_pointer(&key), c_pointer(&value), err));
                    assert_ne!(code, HA_OK);
                }
                Call::Yaml { who, path, dialect } => {
                    let path = c_text(*path);
                    let (config, right) = self.pick(Kind::Config, *who);
                    self.status(right, |err| ha_config_load_yaml(config, c_pointer(&path), (*dialect).into(), err));
                }
                Call::Env { who, dialect } => {
                    let (config, right) = self.pick(Kind::Config, *who);
                    self.status(right, |err| ha_config_load_env(config, (*dialect).into(), err));
                }
                Call::Get { who, key } => {
                    let key = c_text(*key);
                    world::text(ha_config_get(self.pick(Kind::Config, *who).0, c_pointer(&key)));
                    ha_has_feature(c_pointer(&key));
                }
                Call::Check(who) => {
                    let (config, right) = self.pick(Kind::Config, *who);
                    self.status(right, |err| ha_config_check(config, err));
                }
                Call::Start { who, callbacks, no_place } => self.start(*who, callbacks.as_ref(), *no_place),
                Call::Ask { who, deed } => self.ask(*who, deed),
                Call::Txn { who, term } => {
                    let (session, right) = self.pick(Kind::Session, *who);
                    let token = self.term(session, *term);
                    let mut txn = null_mut();
                    let code = self.status(right, |err| ha_txn_new(session, token, &mut txn, err));
                    self.keep(code, Kind::Txn, txn);
                    self.owners.insert(txn.addr(), session.addr());
                }
                Call::Build { who, build, key, value } => self.build(*who, build, *key, *value),
                Call::Commit { who, wait } => {
                    let (txn, right) = self.pick(Kind::Txn, *who);
                    let code = self.status(right, |err| ha_txn_commit(txn, limit(*wait), err));
                    assert!(code != HA_OK || ha_txn_revision(txn) > 0);
                    // Single use.
                    let again = self.status(right, |err| ha_txn_commit(txn, limit(*wait), err));
                    assert_ne!(again, HA_OK);
                }
                Call::Submit { who, tag, wait } => self.submit(*who, *tag, limit(*wait)),
                Call::Observe(who) => {
                    let (config, right) = self.pick(Kind::Config, *who);
                    let mut observer = null_mut();
                    let code = self.status(right, |err| ha_observer_start(config, &mut observer, err));
                    self.keep(code, Kind::Observer, observer);
                }
                Call::Observer { who, what } => self.observer(*who, *what),
                Call::Log { what, level } => self.log(*what, (*level).into()),
                Call::Look { who, index, name } => {
                    let name = c_text(*name);
                    self.look(*who, usize::from(*index), c_pointer(&name));
                }
                Call::Free { who, kind } => self.free(*kind, *who),
            }
        }
    }

    unsafe fn build(&mut self, who: Who, build: &Build, key: Bytes<'_>, value: Bytes<'_>) {
        let txn = self.pick(Kind::Txn, who).0;
        let ((key, key_len), (value, value_len)) = (c_bytes(key), c_bytes(value));
        // SAFETY: as for `call`; a length that is too long is refused before anything is read.
        unsafe {
            match build {
                Build::IfRevision(revision) => ha_txn_if_revision(txn, key, key_len, *revision),
                Build::IfValue => ha_txn_if_value(txn, key, key_len, value, value_len),
                Build::Put => ha_txn_put(txn, key, key_len, value, value_len),
                Build::PutLeased => ha_txn_put_leased(txn, key, key_len, value, value_len),
                Build::Delete => ha_txn_delete(txn, key, key_len),
                Build::DeletePrefix => ha_txn_delete_prefix(txn, key, key_len),
                Build::Get => ha_txn_get(txn, key, key_len),
                Build::GetPrefix(limit) => ha_txn_get_prefix(txn, key, key_len, *limit),
            }
        }
    }

    unsafe fn observer(&mut self, who: Who, what: u8) {
        let (observer, right) = self.pick(Kind::Observer, who);
        let mut event = null_mut();
        // SAFETY: as for `call`.
        unsafe {
            match what % 5 {
                0 => {
                    let code = self.status(right, |err| ha_observer_current(observer, &mut event, err));
                    self.keep(code, Kind::Event, event);
                }
                1 => {
                    ha_observer_event_fd(observer);
                    self.status(right, |_| ha_observer_count_missed(observer));
                }
                2 => {
                    self.status(right, |_| ha_observer_request_stop(observer));
                    assert_ne!(ha_observer_next(observer, 0, &mut event), HA_OK);
                }
                wait => {
                    let code = self.status(right, |_| ha_observer_next(observer, i64::from(wait - 3) * 5, &mut event));
                    assert!(code != HA_OK || ha_event_kind(event) == HA_EVENT_HOLDER);
                    self.keep(code, Kind::Event, event);
                }
            }
        }
    }

    unsafe fn log(&mut self, what: u8, level: i32) {
        unsafe extern "C" fn receive(_: *mut c_void, record: *const coordha::ffi::types::HaLogRecord) {
            // SAFETY: lent for the call.
            unsafe { world::text(ha_log_record_message(record)) };
        }
        let mut record = null_mut();
        // SAFETY: as for `call`.
        unsafe {
            match what % 4 {
                0 => {
                    let code = ha_log_next(0, &mut record);
                    self.keep(code, Kind::Record, record);
                }
                1 => drop(ha_log_event_fd()),
                2 => drop(ha_log_set_callback(level, None, null_mut(), None)),
                _ => {
                    let (user_data, destroy) = self.user_data(&Default::default());
                    ha_log_set_callback(level, Some(receive), user_data, Some(destroy));
                }
            }
        }
    }
}

fuzz_target!(
    init: world::prepare(),
    |input: Input<'_>| {
        let mut world = World::default();
        let begun = input.begun.map(|flags| {
            let start = Call::Start { who: 1, callbacks: None, no_place: false };
            [Call::Config { flags }, start, Call::Ask { who: 1, deed: sessions::Deed::Lead }]
        });
        for call in begun.iter().flatten().chain(&input.calls).take(64) {
            // SAFETY: what the world has freed it has forgotten.
            unsafe { world.call(call) };
        }
        // SAFETY: as above.
        unsafe { world.end() };
    }
);
