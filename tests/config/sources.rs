//! The four places that a value may come from: which counts, and what is wrong in a file and in the environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use coordha::config::keys::{self, KEYS};
use coordha::config::{Config, Dialect};
use coordha::error::{Error, ErrorKind, Result};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::tables::good_values;

/// A file with this text, in a folder that goes with it.
fn file(text: impl AsRef<[u8]>) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coordha.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn from_file(text: impl AsRef<[u8]>) -> Result<Config> {
    let (_folder, path) = file(text);
    let mut config = Config::new();
    config.load_yaml(&path, Dialect::Native).map(|()| config)
}

fn from_env(variables: &[(&str, &str)]) -> Result<Config> {
    let variables = variables.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    let mut config = Config::new();
    config.load_env_from(variables, Dialect::Native).map(|()| config)
}

#[test]
fn the_highest_source_counts_whatever_the_order_of_the_calls() {
    let (_folder, path) = file("coordha: {priority: 3}");
    let load: [&dyn Fn(&mut Config); 4] = [
        &|config| config.set(keys::PRIORITY, "1").unwrap(),
        &|config| config.load_env_from([("COORDHA_PRIORITY".into(), "2".into())], Dialect::Native).unwrap(),
        &|config| config.load_yaml(&path, Dialect::Native).unwrap(),
        &|config| config.set_default(keys::PRIORITY, "4").unwrap(),
    ];
    // Each set of sources, in both orders.
    for chosen in 0..16_u32 {
        let sources: Vec<usize> = (0..4).filter(|source| chosen & (1 << source) != 0).collect();
        let expected = sources.first().map_or("0".to_owned(), |source| (source + 1).to_string());
        let forwards = sources.clone();
        let backwards = sources.into_iter().rev().collect();
        for order in [forwards, backwards] {
            let mut config = Config::new();
            order.iter().for_each(|source| load[*source](&mut config));
            assert_eq!(config.get(keys::PRIORITY).unwrap(), expected, "{order:?}");
        }
    }
}

#[test]
fn every_key_may_stand_in_a_file_and_in_the_environment() {
    for key in KEYS {
        let (value, used) = good_values(key.kind)[0].clone();
        let quoted = format!("'{}'", value.replace('\'', "''"));
        let nested = key.name.split('.').rev().fold(quoted.clone(), |inner, part| format!("{{{part}: {inner}}}"));
        for text in [format!("coordha: {nested}"), format!("coordha:\n  {}: {quoted}\n", key.name)] {
            let config = from_file(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(config.get(key.name).as_deref(), Some(used.as_str()), "{text}");
        }
        let config = from_env(&[(&format!("COORDHA_{}", key.constant), &value)]).unwrap();
        assert_eq!(config.get(key.name).as_deref(), Some(used.as_str()));
    }
}

#[test]
fn text_counts_as_it_is_written_and_what_is_beside_our_map_is_left_alone() {
    let config = from_file(
        "# a file of several programs
other: &anchor {coordha: {no: key}, list: [1, {2: 3}]}
? [a, list, as, key]
: *anchor
coordha: # ours
  role: rootcoord
  address: 10.0.0.5:53100
  record.version: 2.6.0
  store:
    url: 'etcd://a:1,b:2'
    request_timeout_ms: 250
    etcd:
      tls: {min_version: 1.3}
      user: ~
  lease:
    ttl_ms: \"60000\"
  activation: {auto: true}
last: !!str text
",
    )
    .unwrap();
    for (key, value) in [
        (keys::ROLE, "rootcoord"),
        (keys::ADDRESS, "10.0.0.5:53100"),
        (keys::RECORD_VERSION, "2.6.0"),
        (keys::STORE_URL, "etcd://a:1,b:2"),
        (keys::STORE_REQUEST_TIMEOUT_MS, "250"),
        (keys::STORE_ETCD_TLS_MIN_VERSION, "1.3"),
        (keys::STORE_ETCD_USER, ""),
        (keys::LEASE_TTL_MS, "60000"),
        (keys::ACTIVATION_AUTO, "true"),
    ] {
        assert_eq!(config.get(key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(from_file("coordha:\n").unwrap().get(keys::ROLE), None);
    assert_eq!(from_file("---\ncoordha: null\n...\n").unwrap().get(keys::ROLE), None);
}

#[test]
fn of_two_files_the_later_one_counts_key_by_key() {
    let (_first, first) = file("coordha: {role: one, priority: 1}");
    let (_second, second) = file("coordha: {priority: 2}");
    let mut config = Config::new();
    config.load_yaml(&first, Dialect::Native).unwrap();
    config.load_yaml(&second, Dialect::Native).unwrap();
    assert_eq!((config.get(keys::ROLE).unwrap(), config.get(keys::PRIORITY).unwrap()), ("one".into(), "2".into()));
    let nothing: [(OsString, OsString); 0] = [];
    config.load_env_from([("COORDHA_PRIORITY".into(), "3".into())], Dialect::Native).unwrap();
    config.load_env_from(nothing, Dialect::Native).unwrap();
    assert_eq!(config.get(keys::PRIORITY).unwrap(), "2", "the environment is as it was loaded last");
}

fn told(error: &Error) -> (ErrorKind, &str, Option<&str>) {
    (error.kind(), error.message(), error.detail("key"))
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    use ErrorKind::{ConfigConflict, ConfigFile, ConfigKey, ConfigValue};
    for (text, kind, line, words) in [
        ("", ConfigFile, 1, "no map `coordha:`"),
        ("other: 1\n", ConfigFile, 0, "no map `coordha:`"),
        ("- coordha", ConfigFile, 1, "not a map"),
        ("coordha: text", ConfigFile, 1, "`coordha:` is not a map"),
        ("coordha: [role]", ConfigFile, 1, "`coordha:` is not a map"),
        ("coordha: {role: a}\ncoordha: {}", ConfigFile, 2, "a second map"),
        ("coordha: {role: a}\n---\nx: y", ConfigFile, 2, "a second document"),
        ("coordha:\n  store:\n    url: [a, b]", ConfigFile, 3, "store.url is a list"),
        ("x: &a b\ncoordha:\n  role: *a", ConfigFile, 3, "role is an alias"),
        ("coordha:\n  [a]: b", ConfigFile, 2, "a key that is no text"),
        ("coordha:\n  role: 'a", ConfigFile, 2, "no YAML"),
        ("coordha:\n\trole: a", ConfigFile, 2, "no YAML"),
        ("coordha:\n  role: a\n  rolle: b", ConfigKey, 3, "did you mean role?"),
        ("coordha:\n  lease: {ttl: 1}", ConfigKey, 2, "did you mean lease.ttl_ms?"),
        ("coordha:\n  role: {a: b}", ConfigKey, 2, "\"role.a\" is not a configuration key"),
        ("coordha:\n  lease.ttl_ms: 60s", ConfigValue, 2, "lease.ttl_ms = \"60s\": not a whole number"),
        ("coordha:\n  activation: {auto: yes}", ConfigValue, 2, "neither true nor false"),
        ("coordha:\n  role: a\n  role: b", ConfigConflict, 3, "role stands in line 2 already"),
        ("coordha:\n  store: {url: 'local:/a'}\n  store.url: local:/b", ConfigConflict, 3, "line 2"),
    ] {
        let (_folder, path) = file(text);
        let error = Config::new().load_yaml(&path, Dialect::Native).unwrap_err();
        let place = if line > 0 { format!("{}:{line}: ", path.display()) } else { format!("{}:", path.display()) };
        assert_eq!(error.kind(), kind, "{text:?}: {error}");
        assert!(error.message().starts_with(&place) && error.message().contains(words), "{text:?}: {error}");
    }
    let deep = format!("coordha: {}", "{a: ".repeat(10_000));
    assert_eq!(from_file(deep).unwrap_err().kind(), ConfigFile);
    let long = format!("coordha: {{role: a}}\n#{}", " ".repeat(1 << 20));
    assert!(from_file(long).unwrap_err().message().contains("longer than 1 MiB"));
    assert!(from_file(b"coordha: \xff").unwrap_err().message().contains("not UTF-8"));
    let missing = Config::new().load_yaml(Path::new("/none/such.yaml"), Dialect::Native).unwrap_err();
    assert_eq!((missing.kind(), missing.detail("value")), (ConfigFile, Some("/none/such.yaml")));
}

#[test]
fn several_wrong_things_are_told_at_once_and_change_nothing_and_no_secret_is_shown() {
    let (_folder, path) = file("coordha:\n  role: a\n  nothing: 1\n  priority: x\n  passwort: geheim\n");
    let mut config = Config::new();
    let error = config.load_yaml(&path, Dialect::Native).unwrap_err();
    let (kind, message, key) = told(&error);
    assert_eq!((kind, key), (ErrorKind::ConfigKey, Some("nothing")));
    assert!(message.starts_with("3 errors: ") && message.contains("priority = \"x\""), "{message}");
    assert!(!message.contains("geheim"), "{message}");
    assert_eq!(config.get(keys::ROLE), None);
}

#[test]
fn what_is_wrong_in_the_environment_is_told_by_its_name() {
    let error = from_env(&[("COORDHA_LEASE_TTL", "5")]).unwrap_err();
    assert_eq!((error.kind(), error.detail("key")), (ErrorKind::ConfigKey, Some("COORDHA_LEASE_TTL")));
    let words = "environment variable COORDHA_LEASE_TTL: ";
    assert!(error.message().starts_with(words) && error.message().ends_with("did you mean lease.ttl_ms?"), "{error}");
    let error = from_env(&[("COORDHA_LEASE_TTL_MS", "60s")]).unwrap_err();
    assert_eq!((error.kind(), error.detail("key")), (ErrorKind::ConfigValue, Some(keys::LEASE_TTL_MS)));
    assert_eq!(
        (error.detail("value"), error.detail("allowed")),
        (Some("60s"), Some("a whole number of ms from 2000 to 300000"))
    );
    let error = from_env(&[("COORDHA_STORE_ETCD_PASSWORD", "ge\nheim"), ("COORDHA_ROLE", "A")]).unwrap_err();
    assert!(error.message().starts_with("2 errors: ") && !error.message().contains("heim"), "{error}");
    let garbled = OsString::from_vec(b"a\xff".to_vec());
    let error = Config::new().load_env_from([("COORDHA_ROLE".into(), garbled)], Dialect::Native).unwrap_err();
    assert!(error.message().contains("not UTF-8"), "{error}");
    let error = from_env(&[("COORDHA_ROL\u{1b}[2K", "x")]).unwrap_err();
    assert!(!error.message().contains('\u{1b}'), "{error}");
}

#[test]
fn what_kubernetes_sets_for_a_service_is_no_mistake_and_what_looks_like_it_is_one() {
    let config = from_env(&[
        ("PATH", "/bin"),
        ("coordha_role", "x"),
        ("COORDHA_LOG", "debug"),
        ("COORDHA_SERVICE_HOST", "10.0.0.1"),
        ("COORDHA_SERVICE_PORT", "2379"),
        ("COORDHA_SERVICE_PORT_CLIENT", "2379"),
        ("COORDHA_PORT", "tcp://10.0.0.1:2379"),
        ("COORDHA_PORT_2379_TCP", "tcp://10.0.0.1:2379"),
        ("COORDHA_PORT_2379_TCP_PROTO", "tcp"),
        ("COORDHA_PORT_2379_TCP_PORT", "2379"),
        ("COORDHA_PORT_2379_TCP_ADDR", "10.0.0.1"),
        ("COORDHA_STORE_URL_SERVICE_HOST", "fd00::1"),
        ("COORDHA_ETCD_PORT_53_UDP", "udp://10.0.0.1:53"),
        ("COORDHA_ROLE", "rootcoord"),
    ]);
    assert_eq!(config.unwrap().get(keys::ROLE).as_deref(), Some("rootcoord"));
    for (name, text) in [
        ("COORDHA_", ""),
        ("COORDHA_PORT", "53100"),
        ("COORDHA_SERVICE_HOST", "not an address"),
        ("COORDHA_SERVICE_PORT", "tcp"),
        ("COORDHA_SUPPORT", "tcp://a"),
        ("COORDHA_PORT_X_TCP", "tcp://a"),
        ("COORDHA_PORT_1_TCP_ADDR_X", "1"),
        ("COORDHA_role", "x"),
    ] {
        assert_eq!(from_env(&[(name, text)]).unwrap_err().kind(), ErrorKind::ConfigKey, "{name}={text}");
    }
}

#[test]
fn a_proposed_value_is_checked_like_any_other_and_counts_as_set_for_the_rules() {
    let mut config = Config::new();
    assert_eq!(config.set_default("rolle", "a").unwrap_err().kind(), ErrorKind::ConfigKey);
    assert_eq!(config.set_default(keys::PRIORITY, "a").unwrap_err().kind(), ErrorKind::ConfigValue);
    for (key, value) in [(keys::ROLE, "rootcoord"), (keys::ADDRESS, "a:1"), (keys::LEASE_TTL_MS, "4000")] {
        config.set_default(key, value).unwrap();
    }
    let error = config.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigConflict);
    config.load_env_from([("COORDHA_ELECTION_HOLD_MS".into(), "2000".into())], Dialect::Native).unwrap();
    assert_eq!(config.resolve().unwrap().role, "rootcoord");
    assert!(format!("{config:?}").contains("\"election.hold_ms\": \"2000\""), "{config:?}");
}

proptest! {
    #[test]
    fn no_file_and_no_variable_makes_it_panic(text in "(coordha:( |\n  ))?([a-z_.]{0,8}[:{}\\[\\]&*!|>'\"%@`, \n-]{0,4}){0,20}", bytes: Vec<u8>) {
        let _ = from_file(&text);
        let _ = from_file([b"coordha:\n  role: ".as_slice(), &bytes].concat());
        let name = OsString::from_vec([b"COORDHA_".as_slice(), &bytes].concat());
        let _ = Config::new().load_env_from([(name, OsString::from(text))], Dialect::Native);
    }
}
