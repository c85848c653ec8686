//! Configuration.
//!
//! A configuration is a set of keys with text values. Every key has a default but two: a role
//! and an address must be given. Times are whole numbers of milliseconds, booleans are true and
//! false. A wrong key or value is refused at once, and the error names the key, the value and
//! what is allowed; ha_config_check() looks at all of them together, as ha_session_start() does
//! before it starts anything.
//!
//! ```c
//! ha_config *c = ha_config_new();
//! ha_config_set(c, HA_KEY_ROLE, "rootcoord", NULL);
//! ha_config_set(c, HA_KEY_ADDRESS, "10.0.0.5:53100", NULL);
//! ha_config_set(c, HA_KEY_STORE_URL, "etcd://10.0.0.1,10.0.0.2,10.0.0.3", NULL);
//! ha_config_set(c, HA_KEY_ACTIVE_STANDBY_ENABLED, "true", NULL);
//! ```
//!
//! A value may come from four places. The highest counts, whatever the order of the calls:
//!
//! 1. ha_config_set(): the program insists;
//! 2. ha_config_load_env(): the environment;
//! 3. ha_config_load_yaml(): a file;
//! 4. ha_config_set_default(): the program proposes;
//!
//! else the key's default. A file holds the keys below the map `coordha:`, as maps in maps or with
//! dots; what stands beside that map is left to others. An empty value, `~` and null mean off.
//!
//! ```yaml
//! coordha:
//!   role: rootcoord
//!   store:
//!     url: etcd://10.0.0.1,10.0.0.2,10.0.0.3
//!   lease.ttl_ms: 60000
//! ```
//!
//! In the environment the same is COORDHA_ROLE, COORDHA_STORE_URL and COORDHA_LEASE_TTL_MS. What
//! is below `coordha:` and is no key, is an error, and so is a variable with the prefix COORDHA_
//! that is none, but for COORDHA_LOG and for what Kubernetes sets for a service whose name begins
//! with "coordha" (COORDHA_PORT=tcp://..., COORDHA_SERVICE_HOST and so on).
//!
//! With HA_DIALECT_MILVUS instead of HA_DIALECT_NATIVE both read Milvus's names too, so that a
//! program can be configured by the files and variables of a Milvus beside it. ha_config_dump() says
//! what counts, and where it comes from.
//!
//! ha_session_start() copies it, so it may be changed, used for another session, or freed. One
//! thread at a time; the functions that take it as `const` may be called from many at once.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::boundary::{Handle, act, ask, ask_about, give, guard, plain, string, take};
use super::callbacks::Caller;
use super::text::c_string;
use super::types::{HaConfig, HaError};
use crate::config::{Config, Dialect, Format, keys, not_utf8};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Callbacks, Observer, Session};

/// This library's own names. A file: the keys below the map `coordha:`. The environment: COORDHA_
/// and the key in capitals, dots as `_`.
pub const HA_DIALECT_NATIVE: i32 = 0;

/// Milvus's names too, for its coordinators and what stands beside them: docs/CONFIGURATION.md has
/// the list. Capitals and the signs `/`, `_` and `.` do not count. A file: milvus.yaml, in which the
/// map `coordha:` may stand too. The environment: any variable whose name comes to such a key, also
/// after MILVUS_CONF_ (ROOT_COORD_ENABLE_ACTIVE_STANDBY). What means nothing here is left alone;
/// Milvus's configuration centre in etcd is not read.
pub const HA_DIALECT_MILVUS: i32 = 1;

/// ha_config_dump(): a line a key, `lease.ttl_ms = 60000    # file, coordha.yaml:3`.
pub const HA_DUMP_TEXT: i32 = 0;
/// ha_config_dump(): a JSON array of objects with the texts `key`, `value`, `source` and `place`.
pub const HA_DUMP_JSON: i32 = 1;

/// What is behind a `ha_config`.
#[derive(Default)]
pub(super) struct ConfigValue {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    config: Config,
    /// Values that were lent, until the next change.
    lent: BTreeMap<String, CString>,
}

impl State {
    fn change(&mut self, change: impl FnOnce(&mut Config) -> Result<()>) -> Result<()> {
        change(&mut self.config)?;
        self.lent.clear();
        Ok(())
    }
}

impl ConfigValue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a session with a copy of it.
    pub(super) fn start(&self, caller: Option<Caller>) -> Result<Session> {
        let config = self.lock().config.clone();
        let auto = config.get(keys::ACTIVATION_AUTO).as_deref() == Some("true");
        let callbacks = match caller {
            None => None,
            Some(caller) if caller.functions.on_activate.is_none() && !auto => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "on_activate is NULL, which needs activation.auto = true",
                ));
            }
            Some(caller) => Some(Box::new(caller) as Box<dyn Callbacks>),
        };
        Session::start(&config, callbacks)
    }

    /// Starts an observer with a copy of it.
    pub(super) fn observe(&self) -> Result<Observer> {
        let config = self.lock().config.clone();
        Observer::start(&config)
    }
}

impl Handle for HaConfig {
    type Value = ConfigValue;
    const TAG: u64 = u64::from_le_bytes(*b"haconfig");
}

/// Makes a configuration in which every key has its default.
///
/// @return Yours until ha_config_free(). NULL where the library met a defect of its own.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_config_new() -> *mut HaConfig {
    guard(|| give(plain::<HaConfig>(ConfigValue::default())))
}

/// Sets a key. The value is checked at once, by itself; on failure nothing changes.
///
/// @param config the configuration
/// @param key    HA_KEY_*
/// @param value  copied
/// @param err    set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_CONFIG_KEY: no such key; HA_ERR_CONFIG_VALUE: the value is not allowed, or
///         not UTF-8; HA_ERR_INVALID_ARGUMENT: the key is not UTF-8; HA_ERR_NULL. What is said of a
///         secret is its key, never the value.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_set(
    config: *mut HaConfig,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(config, err, |config| {
            let (key, value) = key_and_value(key, value)?;
            config.lock().change(|config| config.set(key, value))
        })
    }
}

/// Proposes a value, which file and environment may overrule. Else as ha_config_set().
///
/// @param config the configuration
/// @param key    HA_KEY_*
/// @param value  copied
/// @param err    set to why it failed, which is yours to free; or NULL
/// @return HA_OK; as ha_config_set() HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE,
///         HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_set_default(
    config: *mut HaConfig,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(config, err, |config| {
            let (key, value) = key_and_value(key, value)?;
            config.lock().change(|config| config.set_default(key, value))
        })
    }
}

/// Loads a YAML file of at most 1 MiB; of several, the one loaded last counts, key by key.
///
/// @param config  the configuration
/// @param path    the file; NULL, with HA_DIALECT_MILVUS alone: milvus.yaml, and default.yaml and
///                user.yaml where they are there, in the folder that the variable MILVUSCONF names,
///                else in `configs`
/// @param dialect HA_DIALECT_NATIVE or HA_DIALECT_MILVUS
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_CONFIG_FILE: it cannot be read, is no YAML of one document, or has no map
///         `coordha:`; HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE: something in it is wrong;
///         HA_ERR_CONFIG_CONFLICT: a key stands in it twice; HA_ERR_UNSUPPORTED: a build without
///         ha_has_feature("yaml"), or a dialect of a later version; HA_ERR_INVALID_ARGUMENT;
///         HA_ERR_NULL. The error names the file and the line; several problems come in one error,
///         whose code and details are those of the first.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_load_yaml(
    config: *mut HaConfig,
    path: *const c_char,
    dialect: i32,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(config, err, |config| {
            let dialect = read_dialect(dialect)?;
            if path.is_null() && dialect == Dialect::Milvus {
                return config.lock().change(|config| config.load_milvus(None));
            }
            let path = string(path, "path")?;
            config.lock().change(|config| config.load_yaml(path, dialect))
        })
    }
}

/// Loads the environment of the process as it is now, in place of what was loaded from it before.
/// No other thread may change it meanwhile (setenv).
///
/// @param config  the configuration
/// @param dialect HA_DIALECT_NATIVE or HA_DIALECT_MILVUS
/// @param err     set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_CONFIG_KEY, HA_ERR_CONFIG_VALUE: a variable is wrong, and is named;
///         several problems come in one error, whose code and details are those of the first;
///         HA_ERR_UNSUPPORTED: a dialect of a later version; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_load_env(config: *mut HaConfig, dialect: i32, err: *mut *mut HaError) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        act(config, err, |config| {
            let dialect = read_dialect(dialect)?;
            config.lock().change(|config| config.load_env(dialect))
        })
    }
}

/// The key and the value of a call.
///
/// # Safety
///
/// Each is NULL or a NUL-terminated string that lives as long as the result is used.
unsafe fn key_and_value<'a>(key: *const c_char, value: *const c_char) -> Result<(&'a str, &'a str)> {
    // SAFETY: passed on from the caller.
    let (key, text) = unsafe { (string(key, "key")?, string(value, "value")) };
    let value = text.map_err(|error| match error.kind() {
        // SAFETY: `string` has found that it is not NULL, the caller that it is NUL-terminated.
        ErrorKind::InvalidArgument => not_utf8(key, &unsafe { CStr::from_ptr(value) }.to_string_lossy()),
        _ => error,
    })?;
    Ok((key, value))
}

fn read_dialect(number: i32) -> Result<Dialect> {
    match number {
        HA_DIALECT_NATIVE => Ok(Dialect::Native),
        HA_DIALECT_MILVUS => Ok(Dialect::Milvus),
        other => {
            let words = format!("dialect is {other}, which is none of HA_DIALECT_*");
            Err(Error::new(ErrorKind::InvalidArgument, words))
        }
    }
}

/// The value that a key has now, from the highest of its sources or by default. Secrets come in
/// plain text.
///
/// @param config the configuration
/// @param key    HA_KEY_*
/// @return Lent: valid until the next change of the configuration or ha_config_free(). Empty: off.
///         NULL where there is no such key, or it is required and not set.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_get(config: *const HaConfig, key: *const c_char) -> *const c_char {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask_about(config, key, |config, key| {
            let mut state = config.lock();
            let Some(value) = state.config.get(key) else {
                return std::ptr::null();
            };
            let lent = state.lent.entry(key.to_owned());
            lent.or_insert_with(|| c_string(value)).as_ptr()
        })
    }
}

/// Checks all values together, without starting anything.
///
/// @return HA_OK; HA_ERR_CONFIG_MISSING: a required key is not set; HA_ERR_CONFIG_CONFLICT: two
///         values contradict each other; HA_ERR_NULL. Several problems come in one error, whose
///         code and details are those of the first.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_check(config: *const HaConfig, err: *mut *mut HaError) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe { act(config, err, |config| config.lock().config.check()) }
}

/// All keys, each with the value that counts and where it comes from: the source (`program`,
/// `environment`, `file`, `proposal`, `default`; `missing`: it is required and not set; `conflict`:
/// its sources contradict each other) and the place. Secrets are shown as `***`; an empty value is
/// off.
///
/// @param config the configuration
/// @param format HA_DUMP_TEXT or HA_DUMP_JSON
/// @return Yours until ha_string_free(). NULL where the format is neither, or the handle is not one.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_dump(config: *const HaConfig, format: i32) -> *mut c_char {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        ask(config, |config| {
            let format = match format {
                HA_DUMP_TEXT => Format::Text,
                HA_DUMP_JSON => Format::Json,
                _ => return std::ptr::null_mut(),
            };
            c_string(config.lock().config.dump(format)).into_raw()
        })
    }
}

/// Frees a configuration. NULL is a no-op.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_config_free(config: *mut HaConfig) {
    // SAFETY: the caller gives the handle up.
    guard(|| drop(unsafe { take(config) }));
}
