//! The rules that join several keys.

use std::collections::BTreeSet;

use super::keys::{self, DefaultValue, KEYS, Key, rules};
use super::value::parse_version;
use super::{Config, Source};
use crate::error::{Error, ErrorKind, Result};

/// Everything that is wrong with the configuration, as one error. Of the required keys, some may be missing.
pub(super) fn check(config: &Config, may_miss: &[&str]) -> Result<()> {
    let mut found = missing(config, may_miss);
    found.extend(KEYS.iter().filter_map(|key| config.given(key).err()));
    let checks = [ttl_and_hold, user_and_password, cert_and_key, tls_switch, tls_ca, mixcoord_version];
    found.extend(checks.iter().filter_map(|check| check(config).err()));
    problems(found)
}

fn missing(config: &Config, may_miss: &[&str]) -> Vec<Error> {
    let is_required = |key: &&Key| key.default == DefaultValue::Required && !may_miss.contains(&key.name);
    let required = KEYS.iter().filter(is_required);
    required.filter_map(|key| config.effective(key.name).err()).collect()
}

fn ttl_and_hold(config: &Config) -> Result<()> {
    let ttl = config.number(keys::LEASE_TTL_MS)?;
    let hold = config.number(keys::ELECTION_HOLD_MS)?;
    if ttl >= 2 * hold {
        return Ok(());
    }
    Err(conflict(config, rules::TTL_AND_HOLD, &[keys::LEASE_TTL_MS, keys::ELECTION_HOLD_MS]))
}

fn user_and_password(config: &Config) -> Result<()> {
    both_or_neither(config, rules::USER_AND_PASSWORD, keys::STORE_ETCD_USER, keys::STORE_ETCD_PASSWORD)
}

fn cert_and_key(config: &Config) -> Result<()> {
    both_or_neither(config, rules::CERT_AND_KEY, keys::STORE_ETCD_TLS_CERT, keys::STORE_ETCD_TLS_KEY)
}

fn both_or_neither(config: &Config, rule: &'static str, one: &'static str, other: &'static str) -> Result<()> {
    if config.text(one)?.is_empty() == config.text(other)?.is_empty() {
        return Ok(());
    }
    Err(conflict(config, rule, &[one, other]))
}

/// A certificate that is named but never used is worse than an error; an explicit "off" is a decision. Under Milvus's names
/// there is no need of one: it has TLS off where nothing is said.
fn tls_switch(config: &Config) -> Result<()> {
    if config.is_set(keys::STORE_ETCD_TLS_ENABLED) {
        return Ok(());
    }
    let of_tls = [
        keys::STORE_ETCD_TLS_CA,
        keys::STORE_ETCD_TLS_CERT,
        keys::STORE_ETCD_TLS_KEY,
        keys::STORE_ETCD_TLS_SERVER_NAME,
        keys::STORE_ETCD_TLS_MIN_VERSION,
    ];
    let set: Vec<&'static str> = of_tls
        .into_iter()
        .filter(|key| config.is_own(key, Source::Proposal) && config.text(key).is_ok_and(|text| !text.is_empty()))
        .collect();
    if set.is_empty() {
        return Ok(());
    }
    Err(conflict(config, rules::TLS_SWITCH, &set))
}

fn tls_ca(config: &Config) -> Result<()> {
    if !config.bool(keys::STORE_ETCD_TLS_ENABLED)? || !config.text(keys::STORE_ETCD_TLS_CA)?.is_empty() {
        return Ok(());
    }
    let names = [keys::STORE_ETCD_TLS_CA, keys::STORE_ETCD_TLS_ENABLED];
    Err(problem(config, ErrorKind::ConfigMissing, rules::TLS_CA, &names))
}

fn mixcoord_version(config: &Config) -> Result<()> {
    let is_mixcoord = config.effective(keys::ROLE).is_ok_and(|role| role == "mixcoord");
    let is_recent = |text: &str| Ok(parse_version(text)? >= parse_version("2.6.0-dev")?);
    if !is_mixcoord || config.parsed(keys::RECORD_VERSION, is_recent)? {
        return Ok(());
    }
    Err(conflict(config, rules::MIXCOORD_VERSION, &[keys::RECORD_VERSION, keys::ROLE]))
}

fn conflict(config: &Config, rule: &'static str, names: &[&'static str]) -> Error {
    problem(config, ErrorKind::ConfigConflict, rule, names)
}

/// The error for a broken rule: the keys with their values and places, then the rule. Its details are of the first key.
fn problem(config: &Config, kind: ErrorKind, rule: &'static str, names: &[&'static str]) -> Error {
    let said = |name: &&str| format!("{name} = \"{}\" ({})", config.shown(name), config.whence(name));
    let said: Vec<String> = names.iter().map(said).collect();
    let error = Error::new(kind, format!("{}: {rule}", said.join(", "))).with("allowed", rule);
    match names.first() {
        Some(name) => error.with("key", name).with("value", config.shown(name)),
        None => error,
    }
}

/// One error of many: the kind and the details of the first, the words of all. What several of them say is said once.
pub(super) fn problems(problems: Vec<Error>) -> Result<()> {
    let Some(first) = problems.first() else {
        return Ok(());
    };
    let mut said = BTreeSet::new();
    let messages: Vec<&str> = problems.iter().map(Error::message).filter(|message| said.insert(*message)).collect();
    let message = match messages.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("{} errors: {}", many.len(), many.join("; ")),
    };
    let mut error = Error::new(first.kind(), message);
    for name in ["key", "value", "allowed"] {
        if let Some(detail) = first.detail(name) {
            error = error.with(name, detail);
        }
    }
    Err(error)
}
