//! Milvus's configuration as a source of values: its own names, in its own files and in the environment.
//!
//! Several of its keys can make one of ours, and each of them may stand in another place. So they are kept as they are, and
//! a key of ours is made from them when it is asked for.

mod forms;
mod names;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::forms::Form;
pub use self::names::{NAMES, Name};

use super::keys::{self, Key};
use super::{Config, Given, Source, Values, located, value};
use crate::error::{Error, ErrorKind, Result};

/// The row of a variable of the environment, which Milvus finds by its name without prefix, capitals and signs.
pub(super) fn by_variable(name: &str) -> Option<&'static Name> {
    let bare = name.strip_prefix("MILVUS_CONF_").unwrap_or(name);
    let lower = bare.to_lowercase();
    names::find(lower.strip_prefix("milvus.").unwrap_or(&lower))
}

/// The row of a key of a file.
#[cfg(feature = "yaml")]
pub(super) fn by_key(name: &str) -> Option<&'static Name> {
    names::find(name)
}

/// Whether keys of Milvus's are below this one of a file.
#[cfg(feature = "yaml")]
pub(super) fn is_above(name: &str) -> bool {
    names::is_above(name)
}

/// Takes in what null says at a place of a file.
#[cfg(feature = "yaml")]
pub(super) fn take_null(values: &mut Values, name: &'static Name, place: &str) -> Result<()> {
    name.form.of_null().map_or(Ok(()), |text| take(values, name, text, place))
}

/// Takes in a value that stands at a place. A second one in the same source must be the same.
pub(super) fn take(values: &mut Values, name: &'static Name, text: &str, place: &str) -> Result<()> {
    if text.is_empty() && name.form.may_be_empty() {
        return Ok(());
    }
    let shown = match name.form {
        _ if name.is_secret() => "***".to_owned(),
        Form::Endpoints => value::without_user(text),
        _ => value::visible(text),
    };
    let details = |error: Error| error.with("key", name.name).with("value", &shown).with("allowed", name.allowed());
    let text = name.form.read(text).map_err(|why| {
        let message = format!("{} = \"{shown}\": {why} (allowed: {})", name.name, name.allowed());
        details(Error::new(ErrorKind::ConfigValue, message))
    })?;
    if let Some(before) = values.get(name.name).filter(|before| before.text != text) {
        let message = format!("{} = \"{shown}\": {} says something else", name.name, before.place);
        return Err(details(Error::new(ErrorKind::ConfigConflict, message)));
    }
    if name.name.ends_with(".activeStandby.enabled") {
        let real = name.name.replace(".activeStandby.enabled", ".enableActiveStandby");
        tracing::warn!(
            "{place}: {} = {text} is read here as {real}, which is Milvus's key: no release of Milvus reads this spelling",
            name.name
        );
    }
    values.insert(name.name, Given::new(text, place));
    Ok(())
}

/// Milvus's files, the ones that count less first; all but the first may be missing. Without a folder: where Milvus looks.
pub(super) fn files(folder: Option<&Path>) -> [PathBuf; 3] {
    let named = || std::env::var_os("MILVUSCONF").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.map(Path::to_owned).or_else(named).unwrap_or_else(|| PathBuf::from("configs"));
    ["milvus.yaml", "default.yaml", "user.yaml"].map(|file| folder.join(file))
}

/// A value of Milvus's with the source that counts for it.
#[derive(Clone)]
struct Found {
    source: Source,
    given: Given,
}

impl Found {
    fn is_on(&self) -> bool {
        self.given.text == "true"
    }

    /// The same place with another text.
    fn saying(mut self, text: String) -> Self {
        self.given.text = text;
        self
    }
}

/// What Milvus's keys say of a key of ours, and in which source.
///
/// # Errors
/// Two of Milvus's keys contradict each other, make no value together, or one is missing.
pub(super) fn say(config: &Config, key: &Key) -> Result<Option<(Source, Given)>> {
    let found = match key.name {
        keys::ACTIVE_STANDBY_ENABLED => standby(config)?,
        keys::ADDRESS => address(config)?,
        keys::ROOT => root(config),
        keys::STORE_URL => store_url(config)?,
        keys::STORE_ETCD_USER => of_login(config, "etcd.auth.userName"),
        keys::STORE_ETCD_PASSWORD => of_login(config, "etcd.auth.password"),
        keys::LEASE_TTL_MS => find(config, "common.session.ttl").map(|found| number(found, |seconds| seconds * 1000)),
        // It says at least how long, which is no value of that key.
        keys::EXCLUSIVE_WAIT_MS => None,
        keys::STORE_REQUEST_TIMEOUT_MS => minute(config, "etcd.requestTimeout"),
        keys::STORE_ETCD_KEEPALIVE_MS => minute(config, "etcd.dialKeepAliveTime"),
        keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS => minute(config, "etcd.dialKeepAliveTimeout"),
        name => NAMES.iter().find(|row| row.sets == name).and_then(|row| find(config, row.name)),
    };
    // In the form in which our own values are kept.
    let Some(Found { source, given }) = found else { return Ok(None) };
    let text = value::check(key, &given.text).map_err(|error| located(&error, &given.place))?;
    Ok(Some((source, Given { text, ..given })))
}

fn find(config: &Config, name: &str) -> Option<Found> {
    [Source::Environment, Source::File].into_iter().find_map(|source| {
        let given = config.milvus_values(source).get(name)?.clone();
        let in_milvus = format!("{name}, {}", given.place);
        Some(Found { source, given: Given { in_milvus, ..given } })
    })
}

/// Milvus's key for one of ours that nothing sets, in a configuration that has keys of Milvus's.
pub(super) fn name_of(config: &Config, key: &str) -> Option<&'static str> {
    let has_any = config.milvus.iter().any(|values| !values.is_empty());
    let row = NAMES.iter().find(|row| row.sets == key && row.form != Form::Switch);
    row.filter(|_| has_any).map(|row| row.name)
}

/// Two that make one value: it stands in the higher of their sources.
fn joined(
    one: Option<Found>,
    other: Option<Found>,
    text: impl FnOnce(&str, &str) -> String,
    or: [&str; 2],
) -> Option<Found> {
    let said = |found: &Option<Found>, or: &str| found.as_ref().map_or(or.to_owned(), |found| found.given.text.clone());
    let text = text(&said(&one, or[0]), &said(&other, or[1]));
    let found = match (one, other) {
        (Some(one), Some(other)) => {
            let place = format!("{}, {}", one.given.place, other.given.place);
            let in_milvus = format!("{}; {}", one.given.in_milvus, other.given.in_milvus);
            Found { source: one.source.min(other.source), given: Given { text: String::new(), place, in_milvus } }
        }
        (one, other) => one.or(other)?,
    };
    Some(found.saying(text))
}

/// As Go's `path.Join` of the two.
fn root(config: &Config) -> Option<Found> {
    let parts = (find(config, "etcd.rootPath"), find(config, "etcd.metaSubPath"));
    let text = |one: &str, other: &str| match (one, other) {
        ("", only) | (only, "") => only.to_owned(),
        _ => format!("{one}/{other}"),
    };
    joined(parts.0, parts.1, text, ["by-dev", "meta"])
}

/// User or password, where Milvus uses them.
fn of_login(config: &Config, name: &str) -> Option<Found> {
    find(config, "etcd.auth.enabled").filter(Found::is_on)?;
    find(config, name)
}

fn number(found: Found, convert: impl FnOnce(i64) -> i64) -> Found {
    let number = found.given.text.parse().map(convert).unwrap_or_default();
    found.saying(number.to_string())
}

/// Milliseconds, at most a minute.
fn minute(config: &Config, name: &str) -> Option<Found> {
    find(config, name).map(|found| number(found, |ms| ms.min(60_000)))
}

/// How long so many tries of Milvus's take as `common.session.retryTimes` has them: its pauses are 200 ms and double up to
/// 3 s. A small number must not make a restart fail that waits for the lease of the process before it.
pub(super) fn exclusive_wait_floor(config: &Config) -> Duration {
    const LONGEST_MS: i64 = 600_000;
    let tries = find(config, "common.session.retryTimes").and_then(|found| found.given.text.parse().ok()).unwrap_or(0);
    let tries = i64::min(tries, LONGEST_MS / 200);
    let pauses_ms: i64 = (0..tries).map(|nth| if nth < 4 { 200 << nth } else { 3000 }).sum();
    Duration::from_millis(pauses_ms.clamp(0, LONGEST_MS).unsigned_abs())
}

/// The same in words, with the place where it stands; `None`: nothing is said.
pub(super) fn exclusive_wait_place(config: &Config) -> Option<String> {
    let place = find(config, "common.session.retryTimes")?.given.place;
    Some(format!("at least {} ms by common.session.retryTimes, {place}", exclusive_wait_floor(config).as_millis()))
}

/// The endpoints as a URL. A scheme that goes with TLS or without it must say what the switch says.
fn store_url(config: &Config) -> Result<Option<Found>> {
    let is_overruled = |found: &Found| config.is_own(keys::STORE_URL, found.source);
    let wrong = |name: &str, found: &Found, why: &str, allowed: &str| {
        let text = &found.given.text;
        let message = format!("{name} = \"{text}\" ({}): {why} (allowed: {allowed})", found.given.place);
        let error = Error::new(ErrorKind::ConfigValue, message).with("key", name).with("value", text);
        Err(error.with("allowed", allowed))
    };
    if let Some(embedded) = find(config, "etcd.use.embed").filter(|found| found.is_on() && !is_overruled(found)) {
        let why = "an embedded etcd is inside Milvus's process and ends with it, so no election can be held in it: run an \
                   etcd of its own, or name another store by store.url";
        return wrong("etcd.use.embed", &embedded, why, &Form::Off.allowed());
    }
    let Some(found) = find(config, "etcd.endpoints") else { return Ok(None) };
    let (mut endpoints, mut schemes) = (Vec::new(), Vec::new());
    for (scheme, endpoint) in found.given.text.split(',').map(forms::split_scheme) {
        schemes.push(scheme);
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    let tls = config.effective(keys::STORE_ETCD_TLS_ENABLED).ok();
    let (has, why, allowed) = match tls.as_deref() {
        Some("true") => ("http://", "etcd.ssl.enabled is on", "https:// or no scheme"),
        _ => ("https://", "etcd.ssl.enabled is off", "http:// or no scheme; or etcd.ssl.enabled on"),
    };
    if tls.is_some() && schemes.contains(&has) && !is_overruled(&found) {
        return wrong("etcd.endpoints", &found, why, allowed);
    }
    let url = format!("etcd://{}", endpoints.join(","));
    Ok(Some(found.saying(url)))
}

/// How Milvus spells the coordinator whose role is configured.
fn coordinator(config: &Config) -> Option<&'static str> {
    let role = config.effective(keys::ROLE).ok()?;
    names::COORDINATORS.iter().find(|(name, _)| *name == role).map(|(_, spelled)| *spelled)
}

fn address(config: &Config) -> Result<Option<Found>> {
    let Some(coordinator) = coordinator(config) else { return Ok(None) };
    let (ip, port) = (format!("{coordinator}.ip"), format!("{coordinator}.port"));
    // A mixed coordinator listens where the root coordinator would.
    let or_root = |name: &str, found: Option<Found>| {
        found.or_else(|| (coordinator == "mixCoord").then(|| find(config, name)).flatten())
    };
    let ip_found = or_root("rootCoord.ip", find(config, &ip));
    let port_found = or_root("rootCoord.port", find(config, &port));
    if port_found.is_none() && ip_found.as_ref().is_some_and(|ip| !ip.given.text.is_empty()) {
        let message = format!("{port} is required where {ip} is set (allowed: a whole number from 1 to 65535)");
        let error = Error::new(ErrorKind::ConfigMissing, message).with("key", port);
        return Err(error.with("allowed", "a whole number from 1 to 65535"));
    }
    let text = |ip: &str, port: &str| match ip.contains(':') {
        true => format!("[{ip}]:{port}"),
        false => format!("{ip}:{port}"),
    };
    Ok(if port_found.is_some() { joined(ip_found, port_found, text, ["", ""]) } else { None })
}

/// The switch of the coordinator whose role is configured. An index coordinator has one of its own in Milvus 2.2 alone, and a
/// mixed one that is off asks the root coordinator's.
fn standby(config: &Config) -> Result<Option<Found>> {
    let Some(coordinator) = coordinator(config) else { return Ok(None) };
    let own = switch(config, coordinator)?;
    match coordinator {
        "indexCoord" if own.is_none() => switch(config, "dataCoord"),
        "mixCoord" if !own.as_ref().is_some_and(Found::is_on) => Ok(switch(config, "rootCoord")?.or(own)),
        _ => Ok(own),
    }
}

/// Both spellings of a coordinator's switch. They must not differ, wherever they stand: Milvus would be in the mode that the
/// one says, and its users believe in the other.
fn switch(config: &Config, coordinator: &str) -> Result<Option<Found>> {
    let names = [format!("{coordinator}.enableActiveStandby"), format!("{coordinator}.activeStandby.enabled")];
    let [real, other] = [&names[0], &names[1]].map(|name| find(config, name));
    if let (Some(real), Some(other)) = (&real, &other)
        && real.given.text != other.given.text
    {
        let [real, other] = [&real.given, &other.given];
        let message = format!(
            "{} = {} ({}), {} = {} ({}): Milvus reads the first alone; make them equal, or remove the second",
            names[0], real.text, real.place, names[1], other.text, other.place
        );
        let error = Error::new(ErrorKind::ConfigConflict, message).with("key", &names[0]).with("value", &real.text);
        return Err(error.with("allowed", "the same value in both spellings"));
    }
    Ok(real.or(other))
}
