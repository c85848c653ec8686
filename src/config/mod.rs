//! The configuration of a session: keys and values as text, checked, then resolved into typed settings.
//!
//! [`keys`] has one row per key; `docs/CONFIGURATION.md` is made from the same rows.
//!
//! A value may come from four places. The highest counts, whatever the order of the calls: what the program insists on
//! ([`Config::set`]), the environment ([`Config::load_env`]), a file ([`Config::load_yaml`]), what the program proposes
//! ([`Config::set_default`]); else the key's default.
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
pub mod milvus;

mod address;
mod check;
mod dump;
mod env;
#[cfg(not(feature = "yaml"))]
mod no_yaml;
mod resolved;
mod url;
mod value;
#[cfg(feature = "yaml")]
mod yaml;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use self::dump::Format;
#[cfg(feature = "cli")]
pub use self::resolved::InspectorOptions;
pub use self::resolved::{
    EtcdOptions, LogFormat, Login, ObserverOptions, Resolved, Secret, StoreOptions, TlsIdentity, TlsOptions,
};
pub use self::url::StoreUrl;
pub use self::yaml::YamlFile;

use self::check::problems;
use self::keys::{DefaultValue, Key, Kind};
#[cfg(not(feature = "yaml"))]
use self::no_yaml as yaml;
use self::value::Why;
use crate::error::{Error, ErrorKind, Result};

/// The configuration of a session. A plain value: nothing is started, read or connected by it.
///
/// A call that fails leaves it unchanged.
#[derive(Clone, Default)]
pub struct Config {
    /// By [`Source`].
    sources: [Values; 4],
    /// By Milvus's names, as far as they mean something here; of file and environment.
    milvus: [Values; 2],
}

/// Values by key, each in the form in which it is used.
type Values = BTreeMap<&'static str, Given>;

/// A value that was given.
#[derive(Clone, Default)]
struct Given {
    text: String,
    /// The variable, or the file and line.
    place: String,
    /// The keys of Milvus's that say it, each with its place; empty: our own key does.
    in_milvus: String,
}

impl Given {
    fn new(text: String, place: impl Into<String>) -> Self {
        Self { text, place: place.into(), in_milvus: String::new() }
    }

    /// The place, with the key of Milvus's that stands there.
    fn whence(&self) -> &str {
        if self.in_milvus.is_empty() { &self.place } else { &self.in_milvus }
    }
}

/// Where values come from, the one that counts most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Program,
    Environment,
    File,
    Proposal,
}

impl Source {
    const ALL: [Self; 4] = [Self::Program, Self::Environment, Self::File, Self::Proposal];
}

/// Whose names a file or the environment uses. The numbers are those of the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Dialect {
    /// This library's own. A file: the keys below the map `coordha:`, as maps in maps or with dots
    /// (`lease: {ttl_ms: 60000}`, `lease.ttl_ms: 60000`). The environment: `COORDHA_` and the key in capitals, dots as `_`
    /// (`COORDHA_LEASE_TTL_MS`).
    Native = 0,
    /// Milvus's names too ([`milvus::NAMES`]), spelled and found as Milvus does it: capitals and the signs `/`, `_` and `.` do
    /// not count. A file: Milvus's own, in which the map `coordha:` may stand too. The environment: variables with any
    /// name that comes to a key, also after `MILVUS_CONF_` or `milvus.` (`ROOT_COORD_ENABLE_ACTIVE_STANDBY`). What means
    /// nothing here is left alone. Milvus's configuration centre in etcd is not read.
    Milvus = 1,
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
        self.put(Source::Program, key, value)
    }

    /// Proposes a value, which file and environment may overrule. Else as [`Config::set`].
    ///
    /// # Errors
    /// As [`Config::set`].
    pub fn set_default(&mut self, key: &str, value: &str) -> Result<()> {
        self.put(Source::Proposal, key, value)
    }

    fn put(&mut self, source: Source, key: &str, value: &str) -> Result<()> {
        let row = keys::find(key).ok_or_else(|| not_a_key(key))?;
        let text = value::check(row, value)?;
        self.values(source).insert(row.name, Given::new(text, ""));
        Ok(())
    }

    /// Loads a YAML file of at most 1 MiB. What stands beside the map `coordha:` is left to others, unless the dialect knows it;
    /// an empty value, `~` or `null` means off (under Milvus's names: not set). Of several files, the one loaded last counts, key by key.
    ///
    /// # Errors
    /// Each names the file and the line. [`ErrorKind::ConfigFile`]: it cannot be read, is no YAML of one document, or has
    /// no map `coordha:` (which only Milvus's dialect can do without); [`ErrorKind::ConfigKey`], [`ErrorKind::ConfigValue`]
    /// as for [`Config::set`]; [`ErrorKind::ConfigConflict`]: a key stands in it twice. Several problems are told in one
    /// error, whose kind and details are those of the first. [`ErrorKind::Unsupported`] in a build without the feature `yaml`.
    pub fn load_yaml(&mut self, path: impl AsRef<Path>, dialect: Dialect) -> Result<()> {
        self.load_file(&YamlFile::read(path)?, dialect)
    }

    /// [`Config::load_yaml`] with a file that was read before.
    ///
    /// # Errors
    /// As [`Config::load_yaml`].
    pub fn load_file(&mut self, file: &YamlFile, dialect: Dialect) -> Result<()> {
        let loaded = file.load(dialect)?;
        self.add_file(loaded);
        Ok(())
    }

    /// Loads the files that Milvus would read, in its dialect: `milvus.yaml`, and where they are there `default.yaml` and
    /// `user.yaml`, the later ones counting more. They are in this folder; `None`: where Milvus looks, in the folder that the
    /// variable `MILVUSCONF` names, else in `configs`.
    ///
    /// # Errors
    /// As [`Config::load_yaml`]; then nothing was loaded.
    pub fn load_milvus(&mut self, folder: Option<&Path>) -> Result<()> {
        let [first, others @ ..] = milvus::files(folder);
        let load = |path: &Path| YamlFile::read(path)?.load(Dialect::Milvus);
        let mut all = vec![load(&first)?];
        for path in others.iter().filter(|path| path.exists()) {
            all.push(load(path)?);
        }
        all.into_iter().for_each(|loaded| self.add_file(loaded));
        Ok(())
    }

    fn add_file(&mut self, loaded: Loaded) {
        self.values(Source::File).extend(loaded.own);
        self.milvus[Source::File as usize - 1].extend(loaded.milvus);
    }

    /// Loads the environment of the process as it is now, in place of what was loaded from it before.
    ///
    /// Variables with the prefix `COORDHA_` that are no keys are errors, but for `COORDHA_LOG` and for what Kubernetes
    /// sets for a service whose name begins with `coordha` (`COORDHA_PORT=tcp://…`, `COORDHA_SERVICE_HOST`, …).
    ///
    /// # Errors
    /// Each names the variable: [`ErrorKind::ConfigKey`], [`ErrorKind::ConfigValue`]; [`ErrorKind::ConfigConflict`]: two
    /// variables are one key of Milvus, and differ. Several problems are told in one error, whose kind and details are
    /// those of the first.
    pub fn load_env(&mut self, dialect: Dialect) -> Result<()> {
        self.load_env_from(std::env::vars_os(), dialect)
    }

    /// [`Config::load_env`] with these variables in place of the process's.
    ///
    /// # Errors
    /// As [`Config::load_env`].
    pub fn load_env_from(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        dialect: Dialect,
    ) -> Result<()> {
        let Loaded { own, milvus } = env::read(variables, dialect)?;
        *self.values(Source::Environment) = own;
        self.milvus[Source::Environment as usize - 1] = milvus;
        Ok(())
    }

    fn values(&mut self, source: Source) -> &mut Values {
        &mut self.sources[source as usize]
    }

    /// Those under Milvus's names; of file and environment alone.
    fn milvus_values(&self, source: Source) -> &Values {
        &self.milvus[source as usize - 1]
    }

    /// The value that a key has now, from the highest of its sources or by default, in the form in which it is used; empty: off. `None` where there is
    /// no such key, it is required and not set, or its sources contradict each other.
    ///
    /// Secrets are given in plain text.
    pub fn get(&self, key: &str) -> Option<String> {
        self.effective(key).ok()
    }

    /// Checks all values together, without starting anything.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigMissing`] where a required key is not set, [`ErrorKind::ConfigConflict`] where two values contradict
    /// each other, [`ErrorKind::ConfigValue`] where two of Milvus's make one that is not allowed. Several problems are told in one error, whose kind and details are those of the first.
    pub fn check(&self) -> Result<()> {
        check::check(self, &[])
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

    /// The values that an observer uses, in their types. All are checked as by [`Config::check`], but that
    /// [`keys::ADDRESS`] may be missing.
    ///
    /// # Errors
    /// Those of [`Config::check`].
    pub fn resolve_observer(&self) -> Result<ObserverOptions> {
        check::check(self, &[keys::ADDRESS])?;
        resolved::resolve_observer(self)
    }

    /// The values that looking into elections needs, in their types: as [`Config::resolve_observer`], but that the role may be
    /// missing too.
    ///
    /// # Errors
    /// Those of [`Config::check`].
    #[cfg(feature = "cli")]
    pub fn resolve_inspector(&self) -> Result<InspectorOptions> {
        check::check(self, &[keys::ADDRESS, keys::ROLE])?;
        resolved::resolve_inspector(self)
    }

    fn effective(&self, key: &str) -> Result<String> {
        let row = keys::find(key).ok_or_else(|| not_a_key(key))?;
        if let Some((_, given)) = self.given(row)? {
            return Ok(given.text);
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

    /// The value of the highest source that has one. In one source, our own key and Milvus's must say the same.
    fn given(&self, row: &Key) -> Result<Option<(Source, Given)>> {
        let milvus = milvus::say(self, row)?;
        for source in Source::ALL {
            let own = self.sources[source as usize].get(row.name);
            let theirs = milvus.as_ref().filter(|(found, _)| *found == source).map(|(_, given)| given);
            match (own, theirs) {
                (None, None) => {}
                (Some(own), Some(theirs)) if own.text != theirs.text => return Err(two_values(row, own, theirs)),
                (Some(given), _) | (None, Some(given)) => return Ok(Some((source, given.clone()))),
            }
        }
        Ok(None)
    }

    /// Whether a value under our own name stands in this source, or in one that counts more.
    fn is_own(&self, key: &str, source: Source) -> bool {
        Source::ALL.into_iter().filter(|other| *other <= source).any(|s| self.sources[s as usize].contains_key(key))
    }

    fn is_set(&self, key: &str) -> bool {
        keys::find(key).is_some_and(|row| self.given(row).is_ok_and(|given| given.is_some()))
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
        let row = keys::find(key).ok_or_else(|| not_a_key(key))?;
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
        let set = keys::KEYS.iter().filter(|row| self.is_set(row.name));
        f.debug_map().entries(set.map(|row| (row.name, self.shown(row.name)))).finish()
    }
}

/// The error for a value of this key that is no UTF-8; `text` is what can be read of it, and is not shown where it is a
/// secret, or might be.
#[cfg_attr(not(feature = "capi"), expect(dead_code, reason = "in Rust a text is UTF-8"))]
pub(crate) fn not_utf8(key: &str, text: &str) -> Error {
    keys::find(key).map_or_else(|| not_a_key(key), |row| value::not_utf8(row, text))
}

/// Whether a session may have this priority. Error: [`ErrorKind::InvalidArgument`].
pub(crate) fn check_priority(priority: i32) -> Result<()> {
    let Some(row) = keys::find(keys::PRIORITY) else {
        return Ok(());
    };
    let checked = value::check(row, &priority.to_string());
    checked.map(drop).map_err(|error| told_as(&error, ErrorKind::InvalidArgument, error.message()))
}

/// The error, as one of this kind and with these words.
fn told_as(error: &Error, kind: ErrorKind, message: impl Into<String>) -> Error {
    error.details().fold(Error::new(kind, message), |told, (name, detail)| told.with(name, detail))
}

/// The error, with the place where the wrong thing stands before its words.
fn located(error: &Error, place: &str) -> Error {
    told_as(error, error.kind(), format!("{place}: {}", error.message()))
}

/// What was read from a file or the environment.
#[derive(Default)]
struct Loaded {
    own: Values,
    /// By Milvus's names.
    milvus: Values,
}

fn two_values(row: &Key, own: &Given, theirs: &Given) -> Error {
    let [ours, milvus] = [own, theirs].map(|given| value::shown(row, &given.text));
    let rule = "must be the same under both names";
    let places = [own, theirs].map(Given::whence);
    let message = format!("{} = \"{ours}\" ({}), \"{milvus}\" ({}): {rule}", row.name, places[0], places[1]);
    let error = Error::new(ErrorKind::ConfigConflict, message).with("key", row.name).with("value", ours);
    error.with("allowed", rule)
}

fn missing(row: &Key) -> Error {
    let allowed = row.allowed();
    let message = format!("{} is required and not set (allowed: {allowed})", row.name);
    Error::new(ErrorKind::ConfigMissing, message).with("key", row.name).with("allowed", allowed)
}

/// The error for a key that does not exist. The value stays out: it might be a password under a mistyped key.
fn not_a_key(key: &str) -> Error {
    let shown = value::visible(key);
    let names: Vec<&str> = keys::KEYS.iter().map(|row| row.name).collect();
    let hint = match nearest_key(key) {
        Some(meant) => format!("; did you mean {}?", meant.name),
        None => format!(" (allowed: {})", names.join(", ")),
    };
    let message = format!("\"{shown}\" is not a configuration key{hint}");
    Error::new(ErrorKind::ConfigKey, message).with("key", shown).with("value", "***").with("allowed", names.join(", "))
}

/// The row of the key that was probably meant by a name that is none; `None` where nothing is near.
pub fn nearest_key(name: &str) -> Option<&'static Key> {
    // Longer than any key can be by mistake; the comparison takes quadratic time.
    if name.chars().count() > 80 {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], ".");
    let wanted = plain(name);
    let wanted = ["coordha.", "ha.key."].iter().find_map(|lead| wanted.strip_prefix(lead)).unwrap_or(&wanted);
    let ending = format!(".{wanted}");
    let mut endings = keys::KEYS.iter().filter(|key| !wanted.is_empty() && plain(key.name).ends_with(&ending));
    if let (Some(key), None) = (endings.next(), endings.next()) {
        return Some(key);
    }
    keys::KEYS
        .iter()
        .map(|key| (strsim::normalized_damerau_levenshtein(&plain(key.name), wanted), key))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}
