//! What the metrics say of sessions: each of these has a role of its own, as the metrics are those of the whole process.

use std::sync::Arc;

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::metrics::text;
use coordha::session::{EventKind, Observer, Session, Until};

use crate::support::etcd::Etcd;
use crate::support::proxy::Proxy;
use crate::support::wait::until;
use crate::watched::{Mode, Watched};
use crate::world::{self, PATIENCE, Place, activate, expect, short, stop, with};

/// The value of a role's series; `more` are further labels. `None`: there is none.
fn value(role: &str, name: &str, more: &str) -> Option<f64> {
    let labels = [format!("role=\"{role}\""), "root=\"by-dev/meta\"".into()];
    let mut labels = labels.join(",");
    if let Some((label, value)) = more.split_once('=') {
        labels += &format!(",{label}=\"{value}\"");
    }
    let start = format!("coordha_{name}{{{labels}}} ");
    text().lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

fn wait_for(role: &str, name: &str, more: &str, enough: f64) {
    until(name, || value(role, name, more).filter(|value| *value >= enough));
}

#[test]
fn renewals_and_transactions_are_counted_by_their_outcome() {
    let role = "counted";
    let place = Place::new();
    let session = Session::start(&with(place.config(1), keys::ROLE, role), None).unwrap();
    let token = activate(&session);
    assert_eq!(value(role, "session_hold_seconds", ""), Some(12.0));
    assert_eq!(value(role, "session_lease_ttl_seconds", ""), Some(36.0));
    session.txn(token).put("app/x", "1").commit(None).unwrap();
    session.txn(token).put("app/x", "2").commit(None).unwrap();
    let failed = session.txn(token).if_value("app/x", "1").put("app/x", "3").commit(None);
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::CompareFailed);
    assert_eq!(session.txn(token - 1).put("app/x", "4").commit(None).unwrap_err().kind(), ErrorKind::Fenced);
    let outcomes = ["committed", "compare_failed", "fenced", "unavailable"];
    let counts = outcomes.map(|outcome| value(role, "transactions_total", &format!("outcome={outcome}")));
    assert_eq!(counts, [Some(2.0), Some(1.0), Some(1.0), Some(0.0)]);
    wait_for(role, "renewals_total", "outcome=ok", 2.0);
    assert!(value(role, "renewal_duration_seconds_count", "").unwrap() >= 2.0);
    assert_eq!(value(role, "renewals_total", "outcome=failed"), Some(0.0));
    assert_eq!(value(role, "activation_duration_seconds_count", ""), Some(1.0));
    stop(&session);
    assert_eq!(value(role, "drain_duration_seconds_count", ""), Some(1.0));
}

#[test]
fn an_activation_that_fails_is_counted_and_then_blocks() {
    let role = "failing";
    let place = Place::new();
    let config = with(with(place.config(1), keys::ROLE, role), keys::ACTIVATION_BACKOFF_MS, "30000");
    let session = Session::start(&config, None).unwrap();
    let token = expect(&session, EventKind::Activate).token();
    session.activation_done(token, Err(coordha::session::activation_failed(10001, "no disk"))).unwrap();
    session.deactivation_done(token).unwrap();
    expect(&session, EventKind::Blocked);
    for name in ["activations_failed_total", "terms_ended_total"] {
        assert_eq!(value(role, name, "reason=activation_failed"), Some(1.0), "{name}");
        assert_eq!(value(role, name, "reason=activation_timeout"), Some(0.0), "{name}");
    }
    until("it is back as a standby", || value(role, "session_state", "state=standby").filter(|count| *count == 1.0));
    assert_eq!(value(role, "session_blocked", "reason=backoff"), Some(1.0));
    session.pause().unwrap();
    until("paused", || value(role, "session_blocked", "reason=paused").filter(|count| *count == 1.0));
    stop(&session);
    assert_eq!(value(role, "session_blocked", "reason=paused"), None, "gone with the session");
}

#[test]
fn what_a_silent_watch_hid_is_counted_and_so_is_the_next_watch() {
    let role = "hidden";
    let place = Place::new();
    let store = Arc::new(Watched::open(place.path(), Mode::Silent));
    let config = |port| with(place.config(port), keys::ROLE, role);
    let standby = Session::start_on(store, &with(config(1), keys::ELECTION_PAUSED, "true"), None).unwrap();
    expect(&standby, EventKind::Standby);
    assert_eq!(value(role, "watch_gaps_total", ""), Some(0.0));
    // Each of its renewals is hidden, up to the next read.
    let active = Session::start(&short(config(2)), None).unwrap();
    activate(&active);
    wait_for(role, "watch_gaps_total", "", 2.0);
    wait_for(role, "watch_restarts_total", "", 1.0);
    stop(&active);
    stop(&standby);
}

#[test]
fn a_lost_lease_and_a_foreign_key_are_counted() {
    let role = "lost";
    let etcd = Etcd::start();
    let url = format!("etcd://{}", etcd.endpoint(0));
    let session = Session::start(&with(world::config(&url, 1), keys::ROLE, role), None).unwrap();
    activate(&session);
    let leases = etcd.ctl(&["lease", "list"]);
    etcd.ctl(&["lease", "revoke", leases.lines().last().unwrap().trim()]);
    let ended = expect(&session, EventKind::TermEnded);
    assert_eq!(ended.reason(), Some(coordha::session::Reason::LeaseLost));
    assert_eq!(value(role, "terms_ended_total", "reason=lease_lost"), Some(1.0));
    wait_for(role, "leases_lost_total", "", 1.0);
    etcd.ctl(&["put", &format!("by-dev/meta/session/{role}-77"), "no record"]);
    wait_for(role, "foreign_records_total", "", 1.0);
    stop(&session);
}

#[test]
fn trouble_with_the_store_is_shown_and_counted_with_the_move_to_another_endpoint() {
    let role = "troubled";
    let etcd = Etcd::start();
    let proxies = [Proxy::start(etcd.endpoint(0)), Proxy::start(etcd.endpoint(0))];
    let url = format!("etcd://{},{}", proxies[0].address(), proxies[1].address());
    let session = Session::start(&short(with(world::config(&url, 1), keys::ROLE, role)), None).unwrap();
    activate(&session);
    let switches = || {
        let text = text();
        let line = text.lines().find_map(|line| {
            line.strip_prefix("coordha_store_endpoint_switches_total{store=\"etcd\"} ")?.parse::<f64>().ok()
        });
        line.unwrap()
    };
    let before = switches();
    until("no trouble yet", || value(role, "session_degraded", "").filter(|count| *count == 0.0));
    proxies.iter().for_each(Proxy::black_hole);
    until("the trouble is shown", || value(role, "session_degraded", "").filter(|count| *count == 1.0));
    let ended = expect(&session, EventKind::TermEnded);
    let gauges = ["session_active", "session_fencing_token", "session_remaining_seconds"];
    assert_eq!(gauges.map(|name| value(role, name, "")), [Some(0.0); 3], "{}", ended.text());
    assert_eq!(value(role, "terms_ended_total", "reason=expired"), Some(1.0));
    wait_for(role, "renewals_total", "outcome=failed", 1.0);
    wait_for(role, "jeopardies_total", "", 1.0);
    until("another endpoint is tried", || (switches() > before).then_some(()));
    proxies.iter().for_each(Proxy::forward);
    until("it is over", || value(role, "session_degraded", "").filter(|count| *count == 0.0));
    let line = "coordha_store_requests_total{store=\"etcd\",operation=\"txn\",outcome=\"unknown\"} ";
    assert!(text().contains(line));
    stop(&session);
}

#[test]
fn dropped_events_and_unread_holders_are_counted() {
    let role = "unread";
    let place = Place::new();
    let config = |port| with(with(place.config(port), keys::EVENTS_QUEUE, "16"), keys::ROLE, role);
    let observer = Observer::start(&config(9)).unwrap();
    // Else it might see nobody before the active one.
    until("the observer knows nobody", || observer.current().ok());
    let active = Session::start(&config(1), None).unwrap();
    let token = activate(&active);
    let standby = Session::start(&config(2), None).unwrap();
    standby.wait(Until::Registered, Some(PATIENCE)).unwrap();
    expect(&standby, EventKind::Standby);
    for _ in 0..20 {
        standby.pause().unwrap();
        standby.resume().unwrap();
    }
    assert!(value(role, "events_missed_total", "").unwrap() >= 4.0);
    until("the observer knows", || value(role, "observer_token", "").filter(|seen| *seen == token as f64));
    assert_eq!(value(role, "observers", ""), Some(1.0));
    assert_eq!(value(role, "observer_reachable", ""), Some(1.0));
    assert!(value(role, "observer_events_missed_total", "").unwrap() >= 1.0);
    observer.request_stop();
    assert_eq!(value(role, "observers", ""), None);
    stop(&standby);
    stop(&active);
}

#[test]
fn a_text_is_made_while_sessions_come_and_go() {
    let place = Place::new();
    let role = "coming";
    let worker = std::thread::spawn({
        let config = with(with(place.config(1), keys::ROLE, role), keys::ACTIVATION_AUTO, "true");
        move || {
            for _ in 0..5 {
                let session = Session::start(&config, None).unwrap();
                session.wait(Until::Active, Some(PATIENCE)).unwrap();
                session.stop(Some(PATIENCE)).unwrap();
            }
        }
    });
    while !worker.is_finished() {
        let active = value(role, "session_active", "");
        assert!(active.is_none_or(|active| active <= 1.0), "{active:?}");
        std::thread::yield_now();
    }
    worker.join().unwrap();
    assert_eq!(value(role, "terms_begun_total", ""), Some(5.0));
}
