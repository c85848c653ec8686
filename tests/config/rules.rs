//! The rules that join keys, and the typed result. Keys are spelled here as users spell them: a renamed key fails.

use std::net::SocketAddr;
use std::time::Duration;

use coordha::config::{Config, Resolved, StoreUrl};
use coordha::election::{Process, Settings};
use coordha::error::{Error, ErrorKind};

use super::{complete, set_all};

/// Sets `key=value` pairs, between spaces or line ends.
fn set(config: &mut Config, text: &str) {
    let pairs: Vec<(&str, &str)> =
        text.split_whitespace().map(|pair| pair.split_once('=').expect("key=value")).collect();
    set_all(config, &pairs);
}

fn resolved(text: &str) -> Resolved {
    let mut config = complete();
    set(&mut config, text);
    config.resolve().expect("an allowed configuration")
}

#[test]
fn check_names_every_missing_key_at_once() {
    let error = Config::new().check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigMissing);
    assert_eq!(error.detail("key"), Some("role"));
    let message = error.message();
    assert!(message.starts_with("2 errors: role is required"), "{message}");
    assert!(message.contains("; address is required"), "{message}");
    assert_eq!(Config::new().resolve().unwrap_err(), error);
    complete().check().unwrap();
}

/// What is set, and how the error begins: its kind, and the keys with their values and places.
const TOGETHER: &str = r#"
lease.ttl_ms=10000 => allowed
lease.ttl_ms=9999 => CONFIG_CONFLICT lease.ttl_ms = "9999" (program), election.hold_ms = "5000" (default): lease.ttl_ms must be
election.hold_ms=30000 => allowed
election.hold_ms=30001 => CONFIG_CONFLICT lease.ttl_ms = "60000" (default), election.hold_ms = "30001" (program): lease.ttl_ms must be
lease.ttl_ms=2000 election.hold_ms=1000 => allowed

store.etcd.user=root store.etcd.password=s3cret => allowed
store.etcd.user=root => CONFIG_CONFLICT store.etcd.user = "root" (program), store.etcd.password = "" (default): store.etcd.user and
store.etcd.password=s3cret => CONFIG_CONFLICT store.etcd.user = "" (default), store.etcd.password = "***" (program): store.etcd.user and
store.etcd.user=root store.etcd.password= => CONFIG_CONFLICT store.etcd.user = "root" (program), store.etcd.password = "" (program):

store.etcd.tls.enabled=true store.etcd.tls.ca=ca.pem => allowed
store.etcd.tls.enabled=true => CONFIG_MISSING store.etcd.tls.ca = "" (default), store.etcd.tls.enabled = "true" (program): store.etcd.tls.enabled = true needs
store.etcd.tls.enabled=true store.etcd.tls.ca=ca.pem store.etcd.tls.cert=c.pem store.etcd.tls.key=k.pem => allowed
store.etcd.tls.enabled=true store.etcd.tls.ca=ca.pem store.etcd.tls.cert=c.pem => CONFIG_CONFLICT store.etcd.tls.cert = "c.pem" (program), store.etcd.tls.key = "" (default):
store.etcd.tls.enabled=true store.etcd.tls.ca=ca.pem store.etcd.tls.key=k.pem => CONFIG_CONFLICT store.etcd.tls.cert = "" (default), store.etcd.tls.key = "k.pem" (program):
store.etcd.tls.ca=ca.pem => CONFIG_CONFLICT store.etcd.tls.ca = "ca.pem" (program): store.etcd.tls.enabled must be set
store.etcd.tls.min_version=1.3 => CONFIG_CONFLICT store.etcd.tls.min_version = "1.3" (program): store.etcd.tls.enabled must be set
store.etcd.tls.server_name=etcd => CONFIG_CONFLICT store.etcd.tls.server_name = "etcd" (program): store.etcd.tls.enabled must be set
store.etcd.tls.cert=c.pem store.etcd.tls.key=k.pem => CONFIG_CONFLICT store.etcd.tls.cert = "c.pem" (program), store.etcd.tls.key = "k.pem" (program):
store.etcd.tls.ca= => allowed
store.etcd.tls.enabled=false store.etcd.tls.ca=ca.pem store.etcd.tls.min_version=1.3 => allowed

role=mixcoord => allowed
role=mixcoord record.version=2.6.0-dev => allowed
role=mixcoord record.version=3.0.0 => allowed
role=mixcoord record.version=2.5.9 => CONFIG_CONFLICT record.version = "2.5.9" (program), role = "mixcoord" (program): record.version must be
role=mixcoord record.version=2.6.0-alpha => CONFIG_CONFLICT record.version = "2.6.0-alpha" (program), role = "mixcoord" (program):
record.version=2.2.3-pre+dev => allowed
"#;

#[test]
fn values_that_contradict_each_other_are_refused_together() {
    for line in TOGETHER.lines().filter(|line| !line.is_empty()) {
        let (pairs, expected) = line.split_once(" => ").expect("an arrow");
        let mut config = complete();
        set(&mut config, pairs);
        let error = config.check().err();
        assert_eq!(config.resolve().err(), error, "{line}");
        let Some(error) = error else {
            assert_eq!(expected, "allowed", "{line}");
            continue;
        };
        let words = format!("{} {error}", error.kind().name());
        assert!(words.starts_with(expected), "{line}\n{words}");
        let detail = |name| error.detail(name).expect("a detail");
        let first = format!("{} = \"{}\"", detail("key"), detail("value"));
        assert!(error.message().starts_with(&first), "{error:?}");
        assert!(error.message().ends_with(detail("allowed")), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[test]
fn check_tells_several_contradictions_in_one_error() {
    let mut config = Config::new();
    let pairs = "lease.ttl_ms=2000 store.etcd.user=root store.etcd.tls.cert=c.pem address=a:1";
    set(&mut config, pairs);
    let error = config.check().unwrap_err();
    let message = error.message();
    assert!(message.starts_with("5 errors: role is required"), "{message}");
    for start in [
        "; lease.ttl_ms = \"2000\" (program), election.hold_ms = \"5000\" (default): lease.ttl_ms must be at least",
        "; store.etcd.user = \"root\" (program),",
        "; store.etcd.tls.cert = \"c.pem\" (program), store.etcd.tls.key = \"\" (default):",
        "; store.etcd.tls.cert = \"c.pem\" (program): store.etcd.tls.enabled",
    ] {
        assert!(message.contains(start), "{start}: {message}");
    }
    assert_eq!(error.kind(), ErrorKind::ConfigMissing);
    assert_eq!(error.detail("key"), Some("role"));
}

#[test]
fn every_error_of_the_rules_says_what_is_allowed() {
    let error: Error = Config::new().check().unwrap_err();
    let allowed = error.detail("allowed").expect("what is allowed");
    assert!(error.message().contains(allowed), "{error}");
}

/// A value other than the default for every key that the election core is told.
const EVERY_SETTING: &str = "
    role=mixcoord address=[0:0::1]:22125 root=/prod//meta/ active_standby.enabled=true priority=-7 record.version=2.6.15
    activation.auto=true activation.timeout_ms=101 activation.backoff_ms=102 deactivation.timeout_ms=103
    release.timeout_ms=104 lease.ttl_ms=10001 election.hold_ms=501 election.reread_ms=502 election.rank_step_ms=11
    election.paused=true election.milvus_takeover_delay_ms=106 exclusive.wait_ms=0 store.request_timeout_ms=105";

#[test]
fn settings_carry_every_value() {
    let ms = Duration::from_millis;
    let process =
        Process { boot_id: "b".into(), pid_namespace: 1, time_namespace: 2, pid: 3, start_time: 4, cgroup: None };
    let expected = Settings {
        role: "mixcoord".into(),
        root: "/prod/meta".into(),
        address: "[::1]:22125".into(),
        version: "2.6.15".into(),
        host_name: "h1".into(),
        session_id: 42,
        priority: -7,
        active_standby: true,
        paused: true,
        auto: true,
        hold: ms(501),
        ttl: ms(11_000),
        reread: ms(502),
        rank_step: ms(11),
        request_timeout: ms(105),
        activation_timeout: ms(101),
        activation_backoff: ms(102),
        deactivation_timeout: ms(103),
        release_timeout: ms(104),
        milvus_takeover_delay: ms(106),
        exclusive_wait: Some(Duration::ZERO),
        exclusive_wait_floor: Duration::ZERO,
        process: Some(process.clone()),
    };
    let settings = |text: &str| resolved(text).settings("h1".into(), 42, Some(process.clone()));
    assert_eq!(settings(EVERY_SETTING), expected);
    let settings = settings("election.same_host_proof=false exclusive.wait_ms=-1");
    assert_eq!((settings.process, settings.exclusive_wait), (None, None));
}

#[test]
fn store_options_carry_every_value() {
    let ms = Duration::from_millis;
    let etcd = "
        store.url=etcd://a,[::1]:1 store.etcd.connect_timeout_ms=201 store.etcd.keepalive_ms=202
        store.etcd.keepalive_timeout_ms=203 store.etcd.user=root store.etcd.password=s3cret store.etcd.tls.enabled=true
        store.etcd.tls.ca=ca.pem store.etcd.tls.cert=c.pem store.etcd.tls.key=k.pem store.etcd.tls.server_name=etcd
        store.etcd.tls.min_version=1.3";
    let store = resolved(etcd).store;
    let endpoints = vec!["a:2379".into(), "[::1]:1".into()];
    assert_eq!(store.url, StoreUrl::Etcd { endpoints });
    assert_eq!(store.request_timeout, ms(5000));
    let etcd = store.etcd;
    let times = (etcd.connect_timeout, etcd.keepalive, etcd.keepalive_timeout);
    assert_eq!(times, (ms(201), ms(202), ms(203)));
    let login = etcd.login.unwrap();
    assert_eq!((login.user.as_str(), login.password.reveal()), ("root", "s3cret"));
    let tls = etcd.tls.unwrap();
    let identity = tls.identity.unwrap();
    let files = (tls.ca, identity.cert, identity.key);
    assert_eq!(files, ("ca.pem".into(), "c.pem".into(), "k.pem".into()));
    assert_eq!((tls.server_name.as_deref(), tls.only_1_3), (Some("etcd"), true));
}

#[test]
fn defaults_are_plain_etcd_without_user() {
    let resolved = resolved("");
    let endpoints = vec!["localhost:2379".into()];
    assert_eq!(resolved.store.url, StoreUrl::Etcd { endpoints });
    assert_eq!((resolved.store.etcd.login, resolved.store.etcd.tls), (None, None));
    assert_eq!(resolved.events_queue, 256);
    assert_eq!(resolved.standby_log, Some(Duration::from_secs(10)));
    assert!(!resolved.active_standby && resolved.same_host_proof);
}

#[test]
fn local_directory_and_log_pause_are_read() {
    let resolved = resolved("store.url=local:/data/x events.queue=16 log.standby_ms=0");
    let directory = "/data/x".into();
    assert_eq!(resolved.store.url, StoreUrl::Local { directory });
    assert_eq!((resolved.events_queue, resolved.standby_log), (16, None));
}

#[test]
fn certificates_are_not_used_where_tls_is_switched_off() {
    let text = "store.etcd.tls.enabled=false store.etcd.tls.ca=ca.pem";
    assert_eq!(resolved(text).store.etcd.tls, None);
}

#[test]
fn ttl_is_asked_for_in_whole_seconds_rounded_up() {
    for (ms, seconds) in [(10_000, 10), (10_001, 11), (10_999, 11), (300_000, 300)] {
        let ttl = resolved(&format!("lease.ttl_ms={ms}")).ttl;
        assert_eq!(ttl, Duration::from_secs(seconds), "{ms}");
    }
}

#[test]
fn an_empty_host_becomes_an_ip_of_this_host() {
    let mut config = complete();
    set(&mut config, "address=:53100");
    let address: SocketAddr = config.resolve().unwrap().address.parse().unwrap();
    assert_eq!(address.port(), 53100);
    assert_eq!(config.get("address").as_deref(), Some(":53100"));
}
