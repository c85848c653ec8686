//! The configuration of a session: keys and values as text, checked, then resolved into typed settings.
//!
//! [`keys`] has one row per key; `docs/CONFIGURATION.md` is made from the same rows.
//!
//! ```
//! use coordha::config::{Config, keys};
//!
//! let mut config = Config::new();
//! config.set(keys::ROLE, "rootcoord")?;
//! config.set(keys::ADDRESS, "10.0.0.5:53100")?;
//! let error = config.set(keys::LEASE_TTL_MS, "60s").unwrap_err();
//! assert_eq!(
//!     error.message(),
//!     "lease.ttl_ms = \"60s\": not a whole number in plain digits \
//!      (allowed: a whole number of ms from 2000 to 300000)"
//! );
//! let resolved = config.resolve()?;
//! assert_eq!(resolved.ttl.as_secs(), 60);
//! # Ok::<(), coordha::error::Error>(())
//! ```

pub mod keys;

mod address;
mod check;
mod resolved;
mod url;
mod value;

use std::collections::BTreeMap;
use std::fmt;

pub use self::resolved::{EtcdOptions, Login, Resolved, Secret, StoreOptions, TlsIdentity, TlsOptions};
pub use self::url::StoreUrl;

use self::keys::{DefaultValue, Key, Kind};
use self::value::Why;
use crate::error::{Error, ErrorKind, Result};

/// The configuration of a session. A plain value: nothing is started, read or connected by it.
///
/// An error of [`Config::set`] leaves it unchanged.
#[derive(Clone, Default)]
pub struct Config {
    /// What the program has set, each in the form in which it is used. Other sources become maps beside this one, and
    /// [`Config::effective`], which alone knows the order, asks them in turn.
    set: BTreeMap<&'static str, String>,
}

impl Config {
    /// A configuration in which every key has its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key. The value is checked at once, by itself; [`Config::check`] checks all of them together.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigKey`]: there is no such key; the error names the nearest one, and hides the value, which might
    /// be a secret. [`ErrorKind::ConfigValue`]: the value is not allowed; the error names key, value and what is allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let row = keys::find(key).ok_or_else(|| unknown(key))?;
        let checked = value::check(row, value)?;
        self.set.insert(row.name, checked);
        Ok(())
    }

    /// The value that a key has now, set or by default, in the form in which it is used; empty: off. `None` where there is
    /// no such key, or it is required and not set.
    ///
    /// Secrets are given in plain text.
    pub fn get(&self, key: &str) -> Option<String> {
        self.effective(key).ok()
    }

    /// Checks all values together, without starting anything.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigMissing`] where a required key is not set, [`ErrorKind::ConfigConflict`] where two values contradict
    /// each other. Several problems are told in one error, whose kind and details are those of the first.
    pub fn check(&self) -> Result<()> {
        check::check(self)
    }

    /// The values in their types, after [`Config::check`].
    ///
    /// Where the host of [`keys::ADDRESS`] is empty, this looks up an IP address of this host.
    ///
    /// # Errors
    /// Those of [`Config::check`]; [`ErrorKind::Resources`] where the IP addresses cannot be listed.
    pub fn resolve(&self) -> Result<Resolved> {
        self.check()?;
        resolved::resolve(self)
    }

    fn effective(&self, key: &str) -> Result<String> {
        let row = keys::find(key).ok_or_else(|| unknown(key))?;
        if let Some(value) = self.set.get(row.name) {
            return Ok(value.clone());
        }
        match row.default {
            DefaultValue::Required => Err(missing(row)),
            DefaultValue::Value(value) => Ok(value.to_owned()),
            DefaultValue::ByRole { usual, except } => {
                let is_except = self.effective(keys::ROLE).is_ok_and(|role| role == except.0);
                Ok(if is_except { except.1 } else { usual }.to_owned())
            }
        }
    }

    fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(key)
    }

    /// The value as an error shows it.
    fn shown(&self, key: &str) -> String {
        match (keys::find(key), self.effective(key)) {
            // Whether a secret is there at all may be told.
            (Some(row), Ok(value)) if !value.is_empty() => value::shown(row, &value),
            _ => String::new(),
        }
    }

    fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> std::result::Result<T, Why>) -> Result<T> {
        let text = self.effective(key)?;
        let row = keys::find(key).ok_or_else(|| unknown(key))?;
        value::read(row, &text, parse)
    }

    fn text(&self, key: &str) -> Result<String> {
        self.effective(key)
    }

    fn bool(&self, key: &str) -> Result<bool> {
        self.parsed(key, value::parse_bool)
    }

    fn number(&self, key: &str) -> Result<i64> {
        let kind = keys::find(key).map_or(Kind::Text, |row| row.kind);
        self.parsed(key, |text| value::parse_number(kind, text))
    }
}

/// Shows what is set, without secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.set.keys().map(|key| (key, self.shown(key)))).finish()
    }
}

fn missing(row: &Key) -> Error {
    let allowed = row.allowed();
    let message = format!("{} is required and not set (allowed: {allowed})", row.name);
    Error::new(ErrorKind::ConfigMissing, message).with("key", row.name).with("allowed", allowed)
}

/// The error for a key that does not exist. The value stays out: it might be a password under a mistyped key.
fn unknown(key: &str) -> Error {
    let shown = value::visible(key);
    let names: Vec<&str> = keys::KEYS.iter().map(|row| row.name).collect();
    let hint = match nearest(key) {
        Some(name) => format!("; did you mean {name}?"),
        None => format!(" (allowed: {})", names.join(", ")),
    };
    let message = format!("\"{shown}\" is not a configuration key{hint}");
    Error::new(ErrorKind::ConfigKey, message).with("key", shown).with("value", "***").with("allowed", names.join(", "))
}

/// The key that was probably meant.
fn nearest(key: &str) -> Option<&'static str> {
    // Longer than any key can be by mistake; the comparison takes quadratic time.
    if key.chars().count() > 80 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], ".");
    let wanted = plain(key);
    let wanted = ["coordha.", "ha.key."].iter().find_map(|lead| wanted.strip_prefix(lead)).unwrap_or(&wanted);
    let names = || keys::KEYS.iter().map(|row| row.name);
    let ending = format!(".{wanted}");
    let mut endings = names().filter(|name| !wanted.is_empty() && plain(name).ends_with(&ending));
    if let (Some(name), None) = (endings.next(), endings.next()) {
        return Some(name);
    }
    names()
        .map(|name| (strsim::normalized_damerau_levenshtein(&plain(name), wanted), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
