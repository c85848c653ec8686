//! The metrics of a process that has sessions and observers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::metrics::{FAMILIES, Kind, text};
use coordha::session::{Observer, Session, Until};

const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

fn config(directory: &tempfile::TempDir, role: &str) -> Config {
    let mut config = Config::new();
    config.set(keys::ROLE, role).unwrap();
    config.set(keys::ADDRESS, "127.0.0.1:53100").unwrap();
    config.set(keys::STORE_URL, &format!("local:{}", directory.path().display())).unwrap();
    config.set(keys::ACTIVATION_AUTO, "true").unwrap();
    config
}

/// The value of one series of the text.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

fn of_role(text: &str, name: &str, role: &str) -> Option<f64> {
    value(text, &format!("{name}{{role=\"{role}\",root=\"by-dev/meta\"}}"))
}

#[test]
fn each_family_stands_in_the_list_with_its_words_and_its_labels() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory, "listed");
    let observer = Observer::start(&config).unwrap();
    let session = Session::start(&config, None).unwrap();
    session.wait(Until::Active, LIMIT).unwrap();
    let text = text();
    // For promtool: see tools/promtool.sh.
    if let Some(path) = std::env::var_os("COORDHA_METRICS_OUT") {
        std::fs::write(path, &text).unwrap();
    }
    let words = |line: &str, start: &str| {
        let (name, rest) = line.strip_prefix(start)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let help: BTreeMap<_, _> = text.lines().filter_map(|line| words(line, "# HELP ")).collect();
    let kind: BTreeMap<_, _> = text.lines().filter_map(|line| words(line, "# TYPE ")).collect();
    assert_eq!(help.len(), FAMILIES.len(), "{text}");
    for family in FAMILIES {
        assert_eq!(help[family.name], format!("{}.", family.help));
        let expected = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!(kind[family.name], expected);
        let series = text.lines().find(|line| {
            let rest = line.strip_prefix(family.name);
            rest.is_some_and(|rest| rest.starts_with(['{', '_']) && !rest.starts_with("_seconds"))
        });
        let series = series.unwrap_or_else(|| panic!("no series of {}: {text}", family.name));
        let labels = series.split_once('{').unwrap().1.split_once('}').unwrap().0;
        let labels: BTreeSet<_> = labels.split(',').map(|label| label.split_once('=').unwrap().0).collect();
        let labels: BTreeSet<_> = labels.into_iter().filter(|label| *label != "le").collect();
        assert_eq!(labels, family.labels.iter().copied().collect(), "{}", family.name);
    }
    drop(observer);
    session.stop(LIMIT).unwrap();
}

#[test]
fn an_active_session_shows_its_term() {
    let directory = tempfile::tempdir().unwrap();
    let session = Session::start(&config(&directory, "term"), None).unwrap();
    session.wait(Until::Active, LIMIT).unwrap();
    let token = session.fencing_token();
    let during = text();
    assert_eq!(of_role(&during, "coordha_session_active", "term"), Some(1.0), "{during}");
    assert_eq!(of_role(&during, "coordha_session_fencing_token", "term"), Some(token as f64));
    assert_eq!(of_role(&during, "coordha_session_holder_token", "term"), Some(token as f64));
    assert_eq!(of_role(&during, "coordha_session_active_standby", "term"), Some(0.0), "{during}");
    assert!(of_role(&during, "coordha_session_remaining_seconds", "term").unwrap() > 0.0);
    assert_eq!(of_role(&during, "coordha_terms_begun_total", "term"), Some(1.0));
    session.stop(LIMIT).unwrap();
    let after = text();
    assert_eq!(of_role(&after, "coordha_session_active", "term"), None, "gone with the session");
    assert_eq!(of_role(&after, "coordha_terms_begun_total", "term"), Some(1.0), "a counter stays");
    let stopped = "coordha_terms_ended_total{role=\"term\",root=\"by-dev/meta\",reason=\"stop\"}";
    assert_eq!((value(&during, stopped), value(&after, stopped)), (Some(0.0), Some(1.0)));
}

#[test]
fn behind_a_milvus_holder_a_session_shows_its_token_and_its_member_key() {
    let etcd = support::etcd::Etcd::start();
    let lease = etcd.ctl(&["lease", "grant", "60"]);
    let lease = format!("--lease={}", lease.split(' ').nth(1).unwrap());
    let record = r#"{"ServerID":15,"ServerName":"rootcoord","Address":"10.0.0.5:53100","Exclusive":true,"TriggerKill":true,"Version":"2.4.0"}"#;
    for key in ["rootcoord-15", "rootcoord"] {
        etcd.ctl(&["put", &format!("by-dev/meta/session/{key}"), record, &lease]);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory, "rootcoord");
    config.set(keys::STORE_URL, &format!("etcd://{}", etcd.endpoint(0))).unwrap();
    config.set(keys::ACTIVE_STANDBY_ENABLED, "true").unwrap();
    let session = Session::start(&config, None).unwrap();
    let token = support::wait::until("it knows the holder", || session.holder()).token;
    let shows = |token: i64| {
        support::wait::until("the metrics show it", || {
            let text = text();
            let shown = |name: &str| of_role(&text, name, "rootcoord");
            let both = [shown("coordha_session_holder_token"), shown("coordha_session_members")];
            (both == [Some(token as f64), Some(2.0)]).then_some(text)
        })
    };
    let during = shows(token);
    assert_eq!(of_role(&during, "coordha_session_active", "rootcoord"), Some(0.0));
    assert_eq!(of_role(&during, "coordha_session_fencing_token", "rootcoord"), Some(0.0));
    assert_eq!(of_role(&during, "coordha_session_active_standby", "rootcoord"), Some(1.0));
    // It may act on, so nobody takes the role.
    etcd.ctl(&["del", "by-dev/meta/session/rootcoord"]);
    shows(0);
    session.stop(LIMIT).unwrap();
}

/// The metrics that a file of `deploy/` names.
fn named(path: &str) -> BTreeSet<String> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(file).unwrap();
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let names = words.filter(|word| word.starts_with("coordha_"));
    let base = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let listed: BTreeSet<String> = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
    let (dashboard, alerts) = (named("deploy/grafana/coordha.json"), named("deploy/prometheus/alerts.yaml"));
    assert!(dashboard.len() > 15 && alerts.len() > 8, "{dashboard:?} {alerts:?}");
    for names in [&dashboard, &alerts, &named("deploy/prometheus/alerts_test.yaml")] {
        assert_eq!(names.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
