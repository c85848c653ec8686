//! The configuration as its users meet it: every key with good and bad values, the rules that join keys, the typed result.

mod milvus;
mod milvus_files;
mod milvus_properties;
mod milvus_switch;
mod milvus_values;
mod properties;
mod rules;
mod sources;
mod tables;

use std::collections::BTreeSet;

use coordha::config::Config;
use coordha::config::keys::{self, DefaultValue, KEYS, Key, Kind};
use coordha::error::{Error, ErrorKind};

use self::tables::{bad_values, good_values};

/// A configuration with all that is required.
fn complete() -> Config {
    with(&[(keys::ROLE, "rootcoord"), (keys::ADDRESS, "10.0.0.5:53100")])
}

fn with(pairs: &[(&str, &str)]) -> Config {
    let mut config = Config::new();
    set_all(&mut config, pairs);
    config
}

fn set_all(config: &mut Config, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        if let Err(error) = config.set(key, value) {
            panic!("{key} = {value:?}: {error}");
        }
    }
}

/// Sets a value that must be refused, and checks what every such error must tell.
fn refused(key: &Key, value: &str) -> Error {
    let mut config = Config::new();
    let error = match config.set(key.name, value) {
        Err(error) => error,
        Ok(()) => panic!("{} = {value:?} was accepted", key.name),
    };
    let message = error.message();
    assert_eq!(error.kind(), ErrorKind::ConfigValue, "{message}");
    assert_eq!(error.detail("key"), Some(key.name));
    assert_eq!(error.detail("allowed"), Some(key.allowed().as_str()));
    assert!(message.starts_with(key.name), "{message}");
    assert!(message.contains(&key.allowed()), "{message}");
    let shown = error.detail("value").expect("the value");
    assert!(message.contains(shown), "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    match key.is_secret() {
        true => assert_eq!(shown, "***"),
        false => assert!(value.contains('@') || faithful(value, shown), "{value:?} is shown as {shown:?}"),
    }
    assert_eq!(config.get(key.name), Config::new().get(key.name), "a refused value changed something");
    error
}

/// Whether a value is shown as it is, but for what cannot be seen and what is too long.
fn faithful(value: &str, shown: &str) -> bool {
    let visible = |c: &char| c.is_ascii_alphanumeric();
    let wanted = value.chars().take(200).filter(visible);
    let mut found = shown.chars();
    wanted.into_iter().all(|c| found.any(|f| f == c))
}

fn row(name: &str) -> &'static Key {
    keys::find(name).unwrap_or_else(|| panic!("no key {name}"))
}

fn accepted(key: &Key, value: &str) -> String {
    let mut config = Config::new();
    set_all(&mut config, &[(key.name, value)]);
    config.get(key.name).expect("a value that was set")
}

#[test]
fn every_key_refuses_bad_values_and_says_why() {
    for key in KEYS {
        for value in bad_values(key.kind) {
            refused(key, &value);
        }
        for (good, _) in good_values(key.kind) {
            for value in [format!("{good}\0"), format!("\0{good}"), format!("{good}\n"), format!("\u{1b}[31m{good}")] {
                let error = refused(key, &value);
                assert!(error.message().contains("control character"), "{error}");
            }
            for value in [format!(" {good}"), format!("{good} "), format!("\u{3000}{good}")] {
                if !key.is_secret() {
                    refused(key, &value);
                }
            }
        }
    }
}

#[test]
fn every_key_accepts_good_values_and_gives_them_back_as_used() {
    for key in KEYS {
        for (value, used) in good_values(key.kind) {
            assert_eq!(accepted(key, &value), used, "{} = {value:?}", key.name);
        }
    }
}

#[test]
fn every_default_is_allowed_and_is_what_get_gives() {
    for key in KEYS {
        let default = Config::new().get(key.name);
        match key.default {
            DefaultValue::Required => assert_eq!(default, None, "{}", key.name),
            _ => assert_eq!(accepted(key, &default.clone().unwrap()), default.unwrap(), "{}", key.name),
        }
    }
    let version_of = |role| with(&[(keys::ROLE, role)]).get(keys::RECORD_VERSION).unwrap();
    assert_eq!(version_of("rootcoord"), "2.5.0");
    assert_eq!(version_of("mixcoord"), "2.6.0");
}

#[test]
fn rows_are_well_formed() {
    let mut names = BTreeSet::new();
    for key in KEYS {
        assert!(names.insert(key.name), "{} stands there twice", key.name);
        assert_eq!(key.constant, key.name.to_uppercase().replace('.', "_"));
        let is_time = key.name.ends_with("_ms");
        assert!(!is_time || matches!(key.kind, Kind::Number { .. }), "{}", key.name);
        for text in [key.text, &key.allowed(), &key.default_text()] {
            assert!(!text.contains("*/") && !text.contains("/*"), "{}: ends a comment in C", key.name);
            assert!(text.is_ascii(), "{}: {text}", key.name);
        }
    }
}

#[test]
fn c_header_block_defines_each_key_once_under_a_comment() {
    let block = keys::c_header_block();
    for key in KEYS {
        let line = format!(" */\n#define HA_KEY_{} \"{}\"\n", key.constant, key.name);
        assert_eq!(block.matches(&line).count(), 1, "{line}");
    }
    assert_eq!(block.matches("#define").count(), KEYS.len());
    assert_eq!(block.matches("/**\n").count(), KEYS.len());
    assert!(block.lines().all(|line| line.len() <= 110));
    assert!(block.contains("Required. Allowed: host:port"));
}

#[test]
fn unknown_key_names_the_nearest_one_and_hides_the_value() {
    let table = [
        ("rol", Some(keys::ROLE)),
        ("lease.ttl", Some(keys::LEASE_TTL_MS)),
        ("ttl_ms", Some(keys::LEASE_TTL_MS)),
        ("LEASE_TTL_MS", Some(keys::LEASE_TTL_MS)),
        ("COORDHA_ELECTION_HOLD_MS", Some(keys::ELECTION_HOLD_MS)),
        ("HA_KEY_STORE_URL", Some(keys::STORE_URL)),
        ("activestandby.enabled", Some(keys::ACTIVE_STANDBY_ENABLED)),
        ("store.etcd.pasword", Some(keys::STORE_ETCD_PASSWORD)),
        ("Role", Some(keys::ROLE)),
        ("role ", Some(keys::ROLE)),
        ("role\0", Some(keys::ROLE)),
        ("enabled", None),
        ("etcd.data.dir", None),
        ("", None),
        ("角色", None),
    ];
    for (key, nearest) in table {
        let error = Config::new().set(key, "s3cret").unwrap_err();
        let message = error.message();
        assert_eq!(error.kind(), ErrorKind::ConfigKey);
        assert!(!message.contains("s3cret") && !message.contains('\0'), "{message:?}");
        assert_eq!(error.detail("value"), Some("***"));
        assert!(message.contains(key.trim_end_matches('\0')), "{message}");
        assert!(error.detail("allowed").unwrap().contains(keys::ROLE));
        match nearest {
            Some(name) => assert!(message.ends_with(&format!("did you mean {name}?")), "{message}"),
            None => assert!(message.contains("allowed: role, address,"), "{message}"),
        }
        assert_eq!(Config::new().get(key), None);
    }
}

#[test]
fn keys_of_later_versions_are_refused_and_not_ignored() {
    for key in ["handover.timeout_ms", "log.path"] {
        assert_eq!(Config::new().set(key, "1").unwrap_err().kind(), ErrorKind::ConfigKey, "{key}");
    }
}

#[test]
fn reasons_name_what_to_do() {
    let table = [
        (keys::ADDRESS, "::1:80", "must be in brackets"),
        (keys::ADDRESS, "host", "port is missing"),
        (keys::ADDRESS, "0.0.0.0:80", "cannot reach"),
        (keys::ROLE, "rootcoordx", "those of rootcoord"),
        (keys::ROLE, "querynode", "node of Milvus"),
        (keys::STORE_URL, "etcd://a:1,", "endpoint 2: it is empty: a comma too many"),
        (keys::STORE_URL, "etcd://a:1, b:1", "endpoint 2: no spaces"),
        (keys::STORE_URL, "etcd://a,A:2379", "a:2379 is named twice"),
        (keys::STORE_URL, "etcd://", "no endpoint is named"),
        (keys::STORE_URL, "https://a:1", keys::STORE_ETCD_TLS_ENABLED),
        (keys::STORE_URL, "etcd://a:1/x", "nothing may follow the port"),
        (keys::STORE_URL, "etcd://u:p@a:1", keys::STORE_ETCD_USER),
        (keys::STORE_URL, "local:///a", "without //"),
        (keys::STORE_ETCD_TLS_MIN_VERSION, "1.0", "TLS 1.0 is no longer safe"),
        (keys::STORE_ETCD_TLS_MIN_VERSION, "1.1", "TLS 1.1 is no longer safe"),
        (keys::RECORD_VERSION, "v2.5.0", "leading v"),
        (keys::LEASE_TTL_MS, "1999", "too small"),
        (keys::LEASE_TTL_MS, "300001", "too large"),
        (keys::LEASE_TTL_MS, "60s", "not a whole number"),
        (keys::LEASE_TTL_MS, "060000", "leading zeros"),
        (keys::ROOT, &"a".repeat(1025), "longer than 1024"),
    ];
    for (key, value, reason) in table {
        let error = refused(row(key), value);
        assert!(error.message().contains(reason), "{error}");
    }
}

#[test]
fn password_in_the_url_is_hidden_too() {
    for value in ["etcd://root:s3cret@a:1", "https://root:s3cret@a:1", "root:s3cret@a:1", "etcd://root:s3@cret@a:1"] {
        let error = refused(row(keys::STORE_URL), value);
        assert!(!error.message().contains("cret"), "{error}");
        assert!(!error.detail("value").unwrap().contains("cret"));
        assert!(error.message().contains("***@a:1"), "{error}");
    }
}

#[test]
fn debug_hides_secrets() {
    let mut config = complete();
    set_all(&mut config, &[(keys::STORE_ETCD_USER, "root"), (keys::STORE_ETCD_PASSWORD, "s3cret")]);
    let text = format!("{config:?} {:?}", config.resolve().unwrap());
    assert!(text.contains("***") && text.contains("53100"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let refusal = refused(row(keys::STORE_ETCD_PASSWORD), "s3cret\n");
    assert!(!format!("{refusal:?}").contains("s3cret"));
}

#[test]
fn a_refused_value_leaves_the_one_before() {
    let mut config = with(&[(keys::LEASE_TTL_MS, "20000")]);
    config.set(keys::LEASE_TTL_MS, "1").unwrap_err();
    assert_eq!(config.get(keys::LEASE_TTL_MS).as_deref(), Some("20000"));
}

#[test]
fn copies_are_independent_and_threads_can_share_one() {
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    shareable::<Config>();
    let first = complete();
    let mut second = first.clone();
    set_all(&mut second, &[(keys::ROLE, "datacoord")]);
    assert_eq!(first.get(keys::ROLE).as_deref(), Some("rootcoord"));
}

/// The list of scenarios has a wrong value of every key, for every language.
#[test]
fn every_key_has_a_scenario() {
    let list = include_str!("../scenarios/scenarios.toml");
    let (_, rest) = list.split_once("name = \"bad_configuration\"").unwrap();
    let (steps, _) = rest.split_once("[[scenario]]").unwrap();
    for key in KEYS {
        assert!(steps.contains(&format!(" {}=", key.name)), "{}", key.name);
    }
}
