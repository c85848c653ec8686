//! Whole sessions on a real etcd, and with the network between them at fault.

use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Session, Until};

use crate::support::etcd::{Etcd, Version};
use crate::support::ports::Port;
use crate::support::proxy::Proxy;
use crate::support::wait::until;
use crate::takeover;
use crate::term;
use crate::world::{PATIENCE, activate, config, expect, leave, short, stop, with};

fn url(endpoint: &str) -> String {
    format!("etcd://{endpoint}")
}

/// A coordinator whose hold time a test may wait for.
fn quick(endpoint: &str, port: u16) -> Config {
    short(config(&url(endpoint), port))
}

fn start(config: &Config) -> Session {
    Session::start(config, None).unwrap()
}

fn one_life_of_two_coordinators(version: Version) {
    let etcd = Etcd::builder().version(version).start();
    let endpoint = etcd.endpoint(0);
    let first = start(&config(&url(&endpoint), 1));
    let old = activate(&first);
    let second = start(&config(&url(&endpoint), 2));
    let standby = expect(&second, EventKind::Standby);
    assert_eq!((standby.token(), standby.address()), (old, Some("127.0.0.1:1")));
    first.txn(old).if_revision("app/a", 0).put("app/a", "1").commit(None).unwrap();
    stop(&first);
    let new = activate(&second);
    assert!(new > old);
    let late = first.txn(old).put("app/a", "late").commit(None).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Fenced);
    let read = second.txn(new).get("app/a").commit(None).unwrap();
    assert_eq!(read.kvs[0].value, b"1");
    second.resign(Duration::ZERO).unwrap();
    let leaving = expect(&second, EventKind::Deactivate);
    second.deactivation_done(leaving.token()).unwrap();
    assert!(activate(&second) > new);
    stop(&second);
    let left = etcd.ctl(&["get", "--prefix", "--keys-only", "by-dev/meta/session/rootcoord"]);
    assert_eq!(left.trim(), "", "no key is left behind");
}

#[test]
fn two_coordinators_live_on_etcd_3_4() {
    one_life_of_two_coordinators(Version::V3_4);
}

#[test]
fn two_coordinators_live_on_etcd_3_6() {
    one_life_of_two_coordinators(Version::V3_6);
}

#[test]
fn f01_a_killed_process_is_followed_at_once_on_etcd_too() {
    let etcd = Etcd::start();
    takeover::a_killed_process_is_followed(&url(&etcd.endpoint(0)));
}

#[test]
fn a_new_priority_is_written_to_etcd_and_makes_its_session_the_next_one() {
    let etcd = Etcd::start();
    let url = url(&etcd.endpoint(0));
    let active = start(&config(&url, 1));
    let token = activate(&active);
    // The first ranks behind the second, and leaves it this much time, on a busy machine too.
    let first = start(&with(config(&url, 2), keys::ELECTION_RANK_STEP_MS, "5000"));
    let second = start(&config(&url, 3));
    for session in [&first, &second] {
        expect(session, EventKind::Standby);
    }
    second.set_priority(7).unwrap();
    let member = format!("by-dev/meta/session/rootcoord-{}", second.server_id());
    until("the record with the priority", || etcd.ctl(&["get", &member]).contains("\"Priority\":7,").then_some(()));
    stop(&active);
    assert!(activate(&second) > token);
    stop(&second);
    activate(&first);
    stop(&first);
}

#[tokio::test]
async fn a_term_body_is_dropped_where_its_key_is_deleted_on_etcd_too() {
    let etcd = Etcd::start();
    term::a_lost_term_drops_the_body(&config(&url(&etcd.endpoint(0)), 1), async |_| {
        etcd.ctl(&["del", "by-dev/meta/session/rootcoord"]);
    })
    .await;
}

#[test]
fn all_sessions_of_a_process_use_one_connection() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let sessions: Vec<_> = (1..21)
        .map(|n| {
            let config = config(&url(&proxy.address()), n);
            let config = with(config, keys::ROLE, &format!("role{n}"));
            start(&with(config, keys::ACTIVATION_AUTO, "true"))
        })
        .collect();
    for session in &sessions {
        session.wait(Until::Active, Some(PATIENCE)).unwrap();
    }
    assert_eq!(proxy.accepted(), 1);
    for session in &sessions {
        session.request_stop();
    }
    for session in &sessions {
        session.stop(Some(PATIENCE)).unwrap();
    }
}

#[test]
fn an_etcd_that_is_not_there_is_told_and_neither_hangs_the_start_nor_the_stop() {
    // Taken, and listened to by nobody.
    let port = Port::take();
    let session = start(&config(&url(&port.address()), 1));
    let degraded = expect(&session, EventKind::Degraded);
    let error = degraded.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.detail("endpoint"), Some(port.address().as_str()));
    session.request_stop();
    leave(&session);
}

#[test]
fn f13_a_partitioned_active_fences_before_another_acts() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let first = start(&quick(&proxy.address(), 1));
    let old = activate(&first);
    let proof = keys::ELECTION_SAME_HOST_PROOF;
    let second = start(&with(quick(&etcd.endpoint(0), 2), proof, "false"));
    expect(&second, EventKind::Standby);
    proxy.black_hole();
    let new = expect(&second, EventKind::Activate).token();
    assert!(new > old);
    assert!(!first.holds(old) && !first.is_active());
    let ended = expect(&first, EventKind::TermEnded);
    assert_eq!((ended.token(), ended.reason()), (old, Some(Reason::Expired)));
    second.activation_done(new, Ok(())).unwrap();
    proxy.forward();
    first.deactivation_done(old).unwrap();
    expect(&first, EventKind::Recovered);
    stop(&second);
    assert!(activate(&first) > new);
    stop(&first);
}

#[test]
fn f16_an_active_whose_replies_are_lost_fences_although_the_server_renews() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let session = start(&quick(&proxy.address(), 1));
    let token = activate(&session);
    proxy.drop_replies();
    expect(&session, EventKind::Jeopardy);
    let ended = expect(&session, EventKind::TermEnded);
    assert_eq!((ended.token(), ended.reason()), (token, Some(Reason::Expired)));
    session.deactivation_done(token).unwrap();
    proxy.forward();
    assert!(activate(&session) > token);
    stop(&session);
}

#[test]
fn f40_a_key_that_is_deleted_by_hand_ends_the_term_at_once() {
    let etcd = Etcd::start();
    let session = start(&config(&url(&etcd.endpoint(0)), 1));
    let token = activate(&session);
    etcd.ctl(&["del", "by-dev/meta/session/rootcoord"]);
    let ended = expect(&session, EventKind::TermEnded);
    assert_eq!((ended.token(), ended.reason()), (token, Some(Reason::KeyDeleted)));
    assert!(!session.holds(token));
    session.deactivation_done(token).unwrap();
    assert!(activate(&session) > token);
    stop(&session);
}

#[test]
fn a_stop_whose_release_etcd_does_not_confirm_says_so() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let config = with(quick(&proxy.address(), 1), keys::ACTIVATION_AUTO, "true");
    let session = start(&with(config, keys::RELEASE_TIMEOUT_MS, "300"));
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    proxy.black_hole();
    let error = session.stop(Some(PATIENCE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
