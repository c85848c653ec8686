//! The rules that join keys, and the typed result.

use std::net::SocketAddr;
use std::time::Duration;

use coordha::config::{Config, StoreUrl, keys};
use coordha::election::{Process, Settings};
use coordha::error::{Error, ErrorKind};

use super::{complete, set_all};

#[test]
fn check_names_every_missing_key_at_once() {
    let error = Config::new().check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigMissing);
    assert_eq!(error.detail("key"), Some(keys::ROLE));
    assert!(
        error.message().starts_with("2 errors: role is required"),
        "{error}"
    );
    assert!(error.message().contains("; address is required"), "{error}");
    assert_eq!(Config::new().resolve().unwrap_err(), error);
    complete().check().unwrap();
}

/// Pairs to set, the kind of the error (`None`: allowed), what its message names.
type Rule<'a> = (&'a [(&'a str, &'a str)], Option<ErrorKind>, &'a [&'a str]);

#[test]
fn values_that_contradict_each_other_are_refused_together() {
    use ErrorKind::{ConfigConflict as Conflict, ConfigMissing as Missing};
    const CA: (&str, &str) = (keys::STORE_ETCD_TLS_CA, "ca.pem");
    const CERT: (&str, &str) = (keys::STORE_ETCD_TLS_CERT, "c.pem");
    const KEY: (&str, &str) = (keys::STORE_ETCD_TLS_KEY, "k.pem");
    const ON: (&str, &str) = (keys::STORE_ETCD_TLS_ENABLED, "true");
    const NO: (&str, &str) = (keys::STORE_ETCD_TLS_ENABLED, "false");
    let table: &[Rule<'_>] = &[
        (&[(keys::LEASE_TTL_MS, "10000")], None, &[]),
        (
            &[(keys::LEASE_TTL_MS, "9999")],
            Some(Conflict),
            &[
                "lease.ttl_ms = \"9999\"",
                "election.hold_ms = \"5000\"",
                "twice",
            ],
        ),
        (
            &[(keys::ELECTION_HOLD_MS, "30001")],
            Some(Conflict),
            &["\"60000\"", "\"30001\""],
        ),
        (&[(keys::ELECTION_HOLD_MS, "30000")], None, &[]),
        (
            &[(keys::STORE_ETCD_USER, "root")],
            Some(Conflict),
            &["store.etcd.user = \"root\"", "store.etcd.password = \"\""],
        ),
        (
            &[(keys::STORE_ETCD_PASSWORD, "s3cret")],
            Some(Conflict),
            &["store.etcd.password = \"***\"", "store.etcd.user = \"\""],
        ),
        (
            &[
                (keys::STORE_ETCD_USER, "root"),
                (keys::STORE_ETCD_PASSWORD, "s3cret"),
            ],
            None,
            &[],
        ),
        (
            &[
                (keys::STORE_ETCD_USER, "root"),
                (keys::STORE_ETCD_PASSWORD, ""),
            ],
            Some(Conflict),
            &["both or neither"],
        ),
        (&[ON, CA], None, &[]),
        (&[ON], Some(Missing), &["store.etcd.tls.ca"]),
        (&[ON, CA, CERT, KEY], None, &[]),
        (
            &[ON, CA, CERT],
            Some(Conflict),
            &["c.pem", "store.etcd.tls.key"],
        ),
        (
            &[ON, CA, KEY],
            Some(Conflict),
            &["k.pem", "store.etcd.tls.cert"],
        ),
        (
            &[CA],
            Some(Conflict),
            &["ca.pem", "store.etcd.tls.enabled must be set"],
        ),
        (
            &[(keys::STORE_ETCD_TLS_MIN_VERSION, "1.3")],
            Some(Conflict),
            &["store.etcd.tls.min_version = \"1.3\""],
        ),
        (
            &[(keys::STORE_ETCD_TLS_SERVER_NAME, "etcd")],
            Some(Conflict),
            &["store.etcd.tls.server_name"],
        ),
        (&[(keys::STORE_ETCD_TLS_CA, "")], None, &[]),
        (&[NO, CA, CERT, KEY], None, &[]),
        (
            &[(keys::ROLE, "mixcoord"), (keys::RECORD_VERSION, "2.5.9")],
            Some(Conflict),
            &["\"2.5.9\"", "mixcoord", "2.6.0-dev"],
        ),
        (
            &[
                (keys::ROLE, "mixcoord"),
                (keys::RECORD_VERSION, "2.6.0-dev"),
            ],
            None,
            &[],
        ),
        (&[(keys::ROLE, "mixcoord")], None, &[]),
        (&[(keys::RECORD_VERSION, "2.2.3-pre+dev")], None, &[]),
    ];
    for (pairs, kind, names) in table {
        let mut config = complete();
        set_all(&mut config, pairs);
        let error = config.check().err();
        assert_eq!(
            error.as_ref().map(Error::kind),
            *kind,
            "{pairs:?}: {error:?}"
        );
        assert_eq!(config.resolve().err(), error, "{pairs:?}");
        let Some(error) = error else { continue };
        assert!(error.detail("key").is_some() && error.detail("allowed").is_some());
        assert!(!error.message().contains("s3cret"));
        for name in *names {
            assert!(
                error.message().contains(name),
                "{name:?} is not in: {error}"
            );
        }
    }
}

#[test]
fn check_tells_several_contradictions_in_one_error() {
    let mut config = complete();
    set_all(
        &mut config,
        &[
            (keys::LEASE_TTL_MS, "2000"),
            (keys::STORE_ETCD_USER, "root"),
            (keys::STORE_ETCD_TLS_CERT, "c.pem"),
        ],
    );
    let error = config.check().unwrap_err();
    assert!(error.message().starts_with("4 errors: "), "{error}");
    for key in [
        keys::LEASE_TTL_MS,
        keys::STORE_ETCD_USER,
        keys::STORE_ETCD_TLS_KEY,
        keys::STORE_ETCD_TLS_ENABLED,
    ] {
        assert!(error.message().contains(key), "{key}: {error}");
    }
    assert_eq!(error.detail("key"), Some(keys::LEASE_TTL_MS));
}

#[test]
fn settings_carry_every_value() {
    let mut config = Config::new();
    set_all(
        &mut config,
        &[
            (keys::ROLE, "mixcoord"),
            (keys::ADDRESS, "[0:0::1]:22125"),
            (keys::ROOT, "/prod//meta/"),
            (keys::ACTIVE_STANDBY_ENABLED, "true"),
            (keys::PRIORITY, "-7"),
            (keys::RECORD_VERSION, "2.6.15"),
            (keys::ACTIVATION_AUTO, "true"),
            (keys::ACTIVATION_TIMEOUT_MS, "101"),
            (keys::ACTIVATION_BACKOFF_MS, "102"),
            (keys::DEACTIVATION_TIMEOUT_MS, "103"),
            (keys::RELEASE_TIMEOUT_MS, "104"),
            (keys::LEASE_TTL_MS, "10001"),
            (keys::ELECTION_HOLD_MS, "501"),
            (keys::ELECTION_REREAD_MS, "502"),
            (keys::ELECTION_RANK_STEP_MS, "11"),
            (keys::ELECTION_PAUSED, "true"),
            (keys::EXCLUSIVE_WAIT_MS, "0"),
            (keys::STORE_REQUEST_TIMEOUT_MS, "105"),
        ],
    );
    let ms = Duration::from_millis;
    let process = Process {
        boot_id: "b".into(),
        pid_namespace: 1,
        time_namespace: 2,
        pid: 3,
        start_time: 4,
    };
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
        exclusive_wait: Some(Duration::ZERO),
        process: Some(process.clone()),
    };
    let resolved = config.resolve().unwrap();
    assert_eq!(
        resolved.settings("h1".into(), 42, Some(process.clone())),
        expected
    );
    set_all(
        &mut config,
        &[
            (keys::ELECTION_SAME_HOST_PROOF, "false"),
            (keys::EXCLUSIVE_WAIT_MS, "-1"),
        ],
    );
    let settings = config
        .resolve()
        .unwrap()
        .settings("h1".into(), 42, Some(process));
    assert_eq!((settings.process, settings.exclusive_wait), (None, None));
}

#[test]
fn store_options_carry_every_value() {
    let mut config = complete();
    set_all(
        &mut config,
        &[
            (keys::STORE_URL, "etcd://a,[::1]:1"),
            (keys::STORE_ETCD_CONNECT_TIMEOUT_MS, "201"),
            (keys::STORE_ETCD_KEEPALIVE_MS, "202"),
            (keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS, "203"),
            (keys::STORE_ETCD_USER, "root"),
            (keys::STORE_ETCD_PASSWORD, " s3cret "),
            (keys::STORE_ETCD_TLS_ENABLED, "true"),
            (keys::STORE_ETCD_TLS_CA, "ca.pem"),
            (keys::STORE_ETCD_TLS_CERT, "c.pem"),
            (keys::STORE_ETCD_TLS_KEY, "k.pem"),
            (keys::STORE_ETCD_TLS_SERVER_NAME, "etcd"),
            (keys::STORE_ETCD_TLS_MIN_VERSION, "1.3"),
            (keys::EVENTS_QUEUE, "16"),
            (keys::LOG_STANDBY_MS, "0"),
        ],
    );
    let resolved = config.resolve().unwrap();
    let ms = Duration::from_millis;
    let store = resolved.store;
    assert_eq!(
        store.url,
        StoreUrl::Etcd {
            endpoints: vec!["a:2379".into(), "[::1]:1".into()]
        }
    );
    assert_eq!(store.request_timeout, ms(5000));
    let etcd = store.etcd;
    assert_eq!(
        (etcd.connect_timeout, etcd.keepalive, etcd.keepalive_timeout),
        (ms(201), ms(202), ms(203))
    );
    let login = etcd.login.unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.reveal()),
        ("root", " s3cret ")
    );
    let tls = etcd.tls.unwrap();
    let identity = tls.identity.unwrap();
    assert_eq!(
        (tls.ca, identity.cert, identity.key),
        ("ca.pem".into(), "c.pem".into(), "k.pem".into())
    );
    assert_eq!(
        (tls.server_name.as_deref(), tls.only_1_3),
        (Some("etcd"), true)
    );
    assert_eq!((resolved.events_queue, resolved.standby_log), (16, None));

    set_all(
        &mut config,
        &[
            (keys::STORE_URL, "local:/data/x"),
            (keys::STORE_ETCD_TLS_ENABLED, "false"),
        ],
    );
    let resolved = config.resolve().unwrap();
    assert_eq!(
        resolved.store.url,
        StoreUrl::Local {
            directory: "/data/x".into()
        }
    );
    assert_eq!(resolved.store.etcd.tls, None);
}

#[test]
fn ttl_is_asked_for_in_whole_seconds_rounded_up() {
    for (ms, seconds) in [("10000", 10), ("10001", 11), ("10999", 11), ("300000", 300)] {
        let mut config = complete();
        set_all(&mut config, &[(keys::LEASE_TTL_MS, ms)]);
        assert_eq!(
            config.resolve().unwrap().ttl,
            Duration::from_secs(seconds),
            "{ms}"
        );
    }
}

#[test]
fn an_empty_host_becomes_an_ip_of_this_host() {
    let mut config = complete();
    set_all(&mut config, &[(keys::ADDRESS, ":53100")]);
    let address = config.resolve().unwrap().address;
    let parsed: SocketAddr = address.parse().unwrap();
    assert_eq!(parsed.port(), 53100);
    assert_eq!(config.get(keys::ADDRESS).as_deref(), Some(":53100"));
}
