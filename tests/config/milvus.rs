//! Milvus's configuration: its own names, files and variables, and how they meet ours. Names are spelled here as its users do.

use std::ffi::OsString;
use std::time::Duration;

use coordha::config::milvus::{Form, NAMES, Name};
use coordha::config::{Config, Dialect, Format, Resolved, StoreUrl, keys};
use coordha::error::{Error, ErrorKind, Result};
use tempfile::TempDir;

/// The parts of a milvus.yaml that a coordinator of it reads, and some that it does not.
const FILE: &str = "
# Related configuration of etcd.
etcd:
  endpoints: etcd-0:2379,etcd-1:2379
  rootPath: by-dev # The root path where data is stored in etcd
  metaSubPath: meta
  kvSubPath: kv
  log:
    level: info
    path: stdout
  ssl:
    enabled: true
    tlsCert: /path/to/client.pem
    tlsKey: /path/to/client.key
    tlsCACert: /path/to/ca.pem
    tlsMinVersion: 1.3
  requestTimeout: 10000
  use:
    embed: false
  auth:
    enabled: true
    userName: milvus
    password: geheim
metastore:
  type: etcd
rootCoord:
  dmlChannelNum: 16
  enableActiveStandby: true
  port: 53100
  grpc: {serverMaxSendSize: 536870912, list: [{a: 1}, b]}
dataCoord:
  enableActiveStandby: false
  ip: 10.0.0.7
  port: 13333
proxy:
  port: 19530
common:
  session:
    ttl: 30
    retryTimes: 30
  anchors: &anchor {x: 1}
  more: *anchor
";

pub(crate) fn from_file(role: &str, text: &str) -> Result<Config> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("milvus.yaml");
    std::fs::write(&path, text).unwrap();
    let mut config = Config::new();
    config.set(keys::ROLE, role)?;
    config.load_yaml(path, Dialect::Milvus).map(|()| config)
}

pub(crate) fn add_env(config: &mut Config, variables: &[(&str, &str)]) -> Result<()> {
    let variables = variables.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    config.load_env_from(variables, Dialect::Milvus)
}

pub(crate) fn from_env(role: &str, variables: &[(&str, &str)]) -> Result<Config> {
    let mut config = Config::new();
    config.set(keys::ROLE, role)?;
    add_env(&mut config, variables).map(|()| config)
}

pub(crate) fn resolved(config: &Config) -> Resolved {
    config.resolve().unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.message().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_file_of_milvus_configures_a_coordinator() {
    let config = resolved(&from_file("datacoord", FILE).unwrap());
    let endpoints = vec!["etcd-0:2379".into(), "etcd-1:2379".into()];
    assert_eq!(config.store.url, StoreUrl::Etcd { endpoints });
    assert_eq!((config.root.as_str(), config.address.as_str()), ("by-dev/meta", "10.0.0.7:13333"));
    assert!(!config.active_standby);
    assert_eq!((config.ttl, config.exclusive_wait), (Duration::from_secs(30), None));
    assert_eq!(config.exclusive_wait_floor, Duration::from_secs(81));
    assert_eq!(config.store.request_timeout, Duration::from_secs(10));
    let login = config.store.etcd.login.unwrap();
    assert_eq!((login.user.as_str(), login.password.reveal()), ("milvus", "geheim"));
    let tls = config.store.etcd.tls.unwrap();
    assert_eq!((tls.ca.to_str(), tls.only_1_3), (Some("/path/to/ca.pem"), true));
    assert!(tls.identity.is_some());
}

#[test]
fn each_coordinator_has_its_own_switch_and_port() {
    let config = from_file("rootcoord", FILE).unwrap();
    assert!(resolved(&config).active_standby);
    assert_eq!(config.get(keys::ADDRESS).unwrap(), ":53100");
    // A role of one's own has neither.
    let mut own = from_file("scheduler", FILE).unwrap();
    assert_eq!(own.get(keys::ADDRESS), None);
    own.set(keys::ADDRESS, "10.0.0.9:1").unwrap();
    assert!(!resolved(&own).active_standby);
}

#[test]
fn the_environment_counts_more_than_the_file_key_by_key() {
    let mut config = from_file("rootcoord", FILE).unwrap();
    add_env(&mut config, &[("ETCD_ROOT_PATH", "prod"), ("ROOT_COORD_IP", "10.1.1.1"), ("ETCD_ENDPOINTS", "e:1")])
        .unwrap();
    assert_eq!(config.get(keys::ROOT).unwrap(), "prod/meta");
    assert_eq!(config.get(keys::ADDRESS).unwrap(), "10.1.1.1:53100");
    assert_eq!(config.get(keys::STORE_URL).unwrap(), "etcd://e:1");
    // Our own key in the environment counts more than Milvus's in the file, and the program more than both.
    add_env(&mut config, &[("COORDHA_ROOT", "ours")]).unwrap();
    assert_eq!(config.get(keys::ROOT).unwrap(), "ours");
    config.set(keys::ROOT, "the/program").unwrap();
    assert_eq!(config.get(keys::ROOT).unwrap(), "the/program");
}

#[test]
fn one_source_says_one_thing_under_both_names() {
    let text = format!("{FILE}\ncoordha: {{root: by-dev/meta}}\n");
    assert_eq!(from_file("rootcoord", &text).unwrap().get(keys::ROOT).unwrap(), "by-dev/meta");
    let text = format!("{FILE}\ncoordha: {{root: other, lease.ttl_ms: 60000}}\n");
    let config = from_file("rootcoord", &text).unwrap();
    let error = config.check().unwrap_err();
    says(&error, ErrorKind::ConfigConflict, &["root = \"other\"", "\"by-dev/meta\"", "lease.ttl_ms", "milvus.yaml:5"]);
    assert_eq!(config.get(keys::ROOT), None);
}

/// Each begins with keys of ours, which the file does not have.
#[test]
fn rules_that_join_keys_tell_the_places_and_milvus_names() {
    for (text, words) in [
        (
            "common:\n  session:\n    ttl: 5",
            [
                "lease.ttl_ms = \"5000\" (common.session.ttl, /",
                "milvus.yaml:4), election.hold_ms = \"5000\" (default): ",
            ],
        ),
        (
            "etcd: {ssl: {enabled: true}}",
            [
                "store.etcd.tls.ca = \"\" (default; in Milvus's words etcd.ssl.tlsCACert), store.etcd.tls.enabled = ",
                "\"true\" (etcd.ssl.enabled, /",
            ],
        ),
        (
            "etcd: {auth: {enabled: true, userName: root}}",
            [
                "store.etcd.user = \"root\" (etcd.auth.userName, /",
                "milvus.yaml:2), store.etcd.password = \"\" (default; in Milvus's words etcd.auth.password): ",
            ],
        ),
        (
            "etcd: {auth: {enabled: true, password: geheim}}",
            [
                "store.etcd.user = \"\" (default; in Milvus's words etcd.auth.userName), store.etcd.password = \"***\" ",
                "(etcd.auth.password, /",
            ],
        ),
        (
            "coordha: {store.etcd.tls.cert: c.pem, store.etcd.tls.enabled: false}\netcd: {ssl: {tlsKey: ''}}",
            ["store.etcd.tls.cert = \"c.pem\" (/", "milvus.yaml:2), store.etcd.tls.key = \"\" (etcd.ssl.tlsKey, /"],
        ),
    ] {
        let error = from_file("rootcoord", &format!("rootCoord: {{port: 1}}\n{text}")).unwrap().check().unwrap_err();
        says(&error, error.kind(), &words);
    }
    let config = from_env("rootcoord", &[("COMMON_SESSION_TTL", "5"), ("ROOT_COORD_PORT", "1")]).unwrap();
    let words = ["lease.ttl_ms = \"5000\" (common.session.ttl, environment variable COMMON_SESSION_TTL), "];
    says(&config.check().unwrap_err(), ErrorKind::ConfigConflict, &words);
}

#[test]
fn what_both_names_say_differently_is_told_once() {
    let text = "coordha: {lease.ttl_ms: 20000}\ncommon: {session: {ttl: 15}}\nrootCoord: {port: 1}";
    let error = from_file("rootcoord", text).unwrap().check().unwrap_err();
    let words =
        ["milvus.yaml:1), \"15000\" (common.session.ttl, /", "milvus.yaml:2): must be the same under both names"];
    says(&error, ErrorKind::ConfigConflict, &words);
    assert!(error.message().starts_with("lease.ttl_ms = \"20000\" (/"), "no number of errors: {error}");
    // What two keys of Milvus's make, each with its place.
    let text = "coordha: {root: a}\netcd:\n  rootPath: b\n  metaSubPath: c\nrootCoord: {port: 1}";
    let error = from_file("rootcoord", text).unwrap().check().unwrap_err();
    let words = ["\"b/c\" (etcd.rootPath, /", "milvus.yaml:3; etcd.metaSubPath, /", "milvus.yaml:4): must be the same"];
    says(&error, ErrorKind::ConfigConflict, &words);
}

#[test]
fn what_kubernetes_sets_for_a_service_is_no_port() {
    let links = [("ROOTCOORD_PORT", "tcp://10.3.240.7:53100"), ("ROOTCOORD_SERVICE_HOST", "10.3.240.7")];
    let config = from_env("rootcoord", &links).unwrap();
    assert_eq!(config.get(keys::ADDRESS), None);
    let error = from_env("rootcoord", &[("ROOTCOORD_PORT", "x")]).unwrap_err();
    says(&error, ErrorKind::ConfigValue, &["environment variable ROOTCOORD_PORT", "rootCoord.port", "1 to 65535"]);
}

#[test]
fn two_variables_that_are_one_key_must_agree() {
    let same = [("ETCD_ROOT_PATH", "a"), ("ETCD_ROOTPATH", "a")];
    assert_eq!(from_env("rootcoord", &same).unwrap().get(keys::ROOT).unwrap(), "a/meta");
    let error = from_env("rootcoord", &[("ETCD_ROOT_PATH", "a"), ("ETCD_ROOTPATH", "b")]).unwrap_err();
    says(&error, ErrorKind::ConfigConflict, &["ETCD_ROOT_PATH", "ETCD_ROOTPATH", "etcd.rootPath"]);
}

#[test]
fn endpoints_may_be_a_list_and_have_a_scheme() {
    for text in
        ["etcd: {endpoints: [a:1, b:2]}", "etcd: {endpoints: 'a:1,b:2'}", "etcd: {endpoints: 'http://a:1,http://b:2'}"]
    {
        assert_eq!(from_file("rootcoord", text).unwrap().get(keys::STORE_URL).unwrap(), "etcd://a:1,b:2", "{text}");
    }
    for text in ["etcd: {endpoints: [{a: 1}]}", "etcd: {endpoints: ''}", "x: &x a\netcd: {endpoints: *x}"] {
        says(&from_file("rootcoord", text).unwrap_err(), ErrorKind::ConfigValue, &["etcd.endpoints", "milvus.yaml:"]);
    }
}

#[test]
fn a_login_counts_only_where_it_is_on() {
    let text = "etcd: {auth: {enabled: false, userName: u, password: p}}\nrootCoord: {port: 1}";
    assert!(resolved(&from_file("rootcoord", text).unwrap()).store.etcd.login.is_none());
    let text = "etcd: {auth: {enabled: true, userName: u}}\nrootCoord: {port: 1}";
    says(
        &from_file("rootcoord", text).unwrap().check().unwrap_err(),
        ErrorKind::ConfigConflict,
        &["store.etcd.password"],
    );
}

#[test]
fn a_host_without_a_port_is_not_enough() {
    let config = from_file("rootcoord", "rootCoord: {ip: 10.0.0.1}").unwrap();
    let error = config.check().unwrap_err();
    says(&error, ErrorKind::ConfigMissing, &["rootCoord.port", "rootCoord.ip"]);
    assert_eq!(error.detail("key"), Some("rootCoord.port"));
}

/// A value that each form refuses.
fn bad(name: &Name) -> Option<&'static str> {
    match name.form {
        Form::Switch => Some("maybe"),
        Form::Endpoints => Some("a:b:c"),
        Form::Number { .. } => Some("-5"),
        Form::TlsVersion => Some("1.4"),
        Form::Host => Some("a b"),
        // Refused only if nothing overrules it, when all values are checked together.
        Form::Off => None,
        // A control character is in no text.
        _ => Some("a\u{7}b"),
    }
}

#[test]
fn a_wrong_value_of_each_name_is_named_with_what_is_allowed() {
    let checked_later: Vec<&str> = NAMES.iter().filter(|name| bad(name).is_none()).map(|name| name.name).collect();
    assert_eq!(checked_later, ["etcd.use.embed"]);
    for (name, value) in NAMES.iter().filter_map(|name| Some((name, bad(name)?))) {
        let variable = name.name.replace('.', "_").to_uppercase();
        let error = from_env("rootcoord", &[(&variable, value)]).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &[name.name, &variable]);
        assert_eq!((error.detail("key"), error.detail("allowed")), (Some(name.name), Some(name.allowed().as_str())));
        assert_eq!(error.detail("value") == Some("***"), name.is_secret());
    }
}

#[test]
fn what_is_no_map_or_no_yaml_is_refused_and_an_empty_file_is_not() {
    for text in ["- a", "text", "a: [", "a: 1\n---\nb: 2"] {
        says(&from_file("rootcoord", text).unwrap_err(), ErrorKind::ConfigFile, &["milvus.yaml:"]);
    }
    for text in ["", "# nothing", "~", "a: 1"] {
        from_file("rootcoord", text).unwrap();
    }
}

#[test]
fn the_files_of_a_folder_are_read_in_milvus_order() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let load = || {
        let mut config = Config::new();
        config.load_milvus(Some(folder.path())).map(|()| config)
    };
    says(&load().unwrap_err(), ErrorKind::ConfigFile, &["milvus.yaml"]);
    write("milvus.yaml", "etcd: {rootPath: a, metaSubPath: b}");
    assert_eq!(load().unwrap().get(keys::ROOT).unwrap(), "a/b");
    write("user.yaml", "etcd: {rootPath: user}");
    write("default.yaml", "etcd: {rootPath: default, metaSubPath: c}");
    assert_eq!(load().unwrap().get(keys::ROOT).unwrap(), "user/c");
    write("user.yaml", "etcd: {endpoints: ''}");
    says(&load().unwrap_err(), ErrorKind::ConfigValue, &["user.yaml:1"]);
}

#[test]
fn a_dump_tells_where_each_value_comes_from_and_no_secret() {
    let mut config = from_file("rootcoord", FILE).unwrap();
    add_env(&mut config, &[("COMMON_SESSION_TTL", "20"), ("COORDHA_PRIORITY", "3")]).unwrap();
    config.set_default(keys::EVENTS_QUEUE, "512").unwrap();
    let text = config.dump(Format::Text);
    let line = |key: &str| {
        let begin = format!("{key} = ");
        text.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{key}: {text}")).to_owned()
    };
    for (key, words) in [
        ("role", ["rootcoord", "# program"]),
        ("lease.ttl_ms", ["20000", "# environment, environment variable COMMON_SESSION_TTL"]),
        ("priority", ["3", "COORDHA_PRIORITY"]),
        ("root", ["by-dev/meta", "milvus.yaml:5"]),
        ("store.etcd.password", ["***", "# file"]),
        ("events.queue", ["512", "# proposal"]),
        ("record.version", ["2.5.0", "# default"]),
    ] {
        assert!(words.iter().all(|word| line(key).contains(word)), "{}", line(key));
    }
    assert!(!text.contains("geheim") && !config.dump(Format::Json).contains("geheim"));
    let json: serde_json::Value = serde_json::from_str(&config.dump(Format::Json)).unwrap();
    let all = json.as_array().unwrap();
    assert_eq!(all.len(), keys::KEYS.len());
    let ttl = all.iter().find(|line| line["key"] == "lease.ttl_ms").unwrap();
    assert_eq!((ttl["value"].as_str(), ttl["source"].as_str()), (Some("20000"), Some("environment")));
}

#[test]
fn a_mixed_coordinator_is_reached_where_the_root_coordinator_would_be() {
    let text = "mixCoord: {enableActiveStandby: true}\nrootCoord: {ip: 10.0.0.1, port: 53100}";
    assert_eq!(from_file("mixcoord", text).unwrap().get(keys::ADDRESS).unwrap(), "10.0.0.1:53100");
    let text = "mixCoord: {port: 22125}\nrootCoord: {ip: 10.0.0.1, port: 53100}";
    assert_eq!(from_file("mixcoord", text).unwrap().get(keys::ADDRESS).unwrap(), "10.0.0.1:22125");
}

#[test]
fn the_root_is_joined_as_go_joins_a_path() {
    for (root, meta, joined) in [
        ("by-dev", "meta", "by-dev/meta"),
        ("by-dev/", "/meta/", "by-dev/meta"),
        ("/by-dev", "meta", "/by-dev/meta"),
        ("''", "meta", "meta"),
        ("/", "meta", "/meta"),
        ("by-dev", "''", "by-dev"),
        ("a/b", "c//d", "a/b/c/d"),
    ] {
        let config = from_file("rootcoord", &format!("etcd: {{rootPath: {root}, metaSubPath: {meta}}}")).unwrap();
        assert_eq!(config.get(keys::ROOT).as_deref(), Some(joined), "{root}, {meta}");
    }
    let nothing = from_file("rootcoord", "etcd: {rootPath: '', metaSubPath: ''}\nrootCoord: {port: 1}").unwrap();
    says(&nothing.check().unwrap_err(), ErrorKind::ConfigValue, &["root = \"\"", "names nothing", "milvus.yaml:1"]);
    for root in ["..", "a/../b"] {
        let error = from_file("rootcoord", &format!("etcd: {{rootPath: {root}}}")).unwrap_err();
        says(&error, ErrorKind::ConfigValue, &["etcd.rootPath", "milvus.yaml:1"]);
    }
}
