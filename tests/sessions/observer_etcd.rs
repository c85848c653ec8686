//! Observers on a real etcd, and with the network between them at fault.

use std::time::Duration;

use coordha::error::ErrorKind;
use coordha::session::{Observer, Session};

use crate::observer::{by_watch_alone, config, next, read_up_to};
use crate::support::etcd::Etcd;
use crate::support::proxy::Proxy;
use crate::support::wait::until;
use crate::world::{self, activate, stop};

fn url(endpoint: &str) -> String {
    format!("etcd://{endpoint}")
}

fn observe(endpoint: &str) -> Observer {
    Observer::start(&config(&url(endpoint))).unwrap()
}

fn start(endpoint: &str, port: u16) -> Session {
    Session::start(&world::config(&url(endpoint), port), None).unwrap()
}

/// The revision of the store.
fn revision(etcd: &Etcd) -> String {
    let status = etcd.ctl(&["endpoint", "status", "-w", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status[0]["Status"]["header"]["revision"].to_string()
}

#[test]
fn an_observer_registers_nothing_and_follows_three_terms() {
    let etcd = Etcd::start();
    let observer = observe(&etcd.endpoint(0));
    assert_eq!(next(&observer).address(), None);
    assert_eq!(etcd.ctl(&["get", "--prefix", "", "--keys-only"]).trim(), "");
    assert_eq!(etcd.ctl(&["lease", "list"]).trim(), "found 0 leases");
    for port in 1..4 {
        let session = start(&etcd.endpoint(0), port);
        let token = activate(&session);
        let event = next(&observer);
        assert_eq!((event.token(), event.server_id()), (token, session.server_id()));
        stop(&session);
        assert_eq!(next(&observer).address(), None);
    }
}

#[test]
fn observers_and_sessions_of_a_process_use_one_connection() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let observers: Vec<_> = (0..5).map(|_| observe(&proxy.address())).collect();
    let session = start(&proxy.address(), 1);
    let token = activate(&session);
    for observer in &observers {
        read_up_to(observer, token);
    }
    assert_eq!(proxy.accepted(), 1);
    stop(&session);
}

#[test]
fn terms_that_passed_while_the_network_was_down_and_were_compacted_are_made_up_for() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let observer = observe(&proxy.address());
    assert_eq!(next(&observer).address(), None);
    proxy.cut();
    for port in 1..4 {
        let session = start(&etcd.endpoint(0), port);
        activate(&session);
        stop(&session);
    }
    let session = start(&etcd.endpoint(0), 4);
    let token = activate(&session);
    etcd.ctl(&["compact", &revision(&etcd)]);
    proxy.forward();
    let event = next(&observer);
    assert_eq!((event.address(), event.token()), (Some("127.0.0.1:4"), token));
    stop(&session);
    assert_eq!(next(&observer).address(), None);
}

#[test]
fn an_observer_that_is_cut_off_without_notice_is_told_the_newest_afterwards() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let observer = observe(&proxy.address());
    assert_eq!(next(&observer).address(), None);
    proxy.black_hole();
    let session = start(&etcd.endpoint(0), 1);
    let token = activate(&session);
    proxy.forward();
    assert_eq!(next(&observer).token(), token);
    stop(&session);
}

#[test]
fn an_etcd_that_was_restarted_is_followed_again() {
    let mut etcd = Etcd::start();
    let observer = observe(&etcd.endpoint(0));
    next(&observer);
    etcd.stop(0);
    etcd.restart(0);
    etcd.wait_healthy(0);
    let session = start(&etcd.endpoint(0), 1);
    let token = activate(&session);
    assert_eq!(next(&observer).token(), token);
    stop(&session);
}

#[test]
fn an_etcd_that_wants_a_password_says_why_nobody_is_known() {
    let etcd = Etcd::builder().root_password("secret").start();
    let observer = observe(&etcd.endpoint(0));
    let kind = until("the refusal", || {
        let kind = observer.current().unwrap_err().kind();
        (kind != ErrorKind::Unavailable).then_some(kind)
    });
    assert!(matches!(kind, ErrorKind::Auth | ErrorKind::Permission), "{}", kind.name());
}

/// Cuts a session off from its role as a kill does: its lease ends, and it is never told to go.
fn lose_lease(etcd: &Etcd, session: Session) {
    let active = etcd.ctl(&["get", "by-dev/meta/session/rootcoord", "-w", "json"]);
    let active: serde_json::Value = serde_json::from_str(&active).unwrap();
    let lease = active["kvs"][0]["lease"].as_i64().unwrap();
    etcd.ctl(&["lease", "revoke", &format!("{lease:x}")]);
    stop(&session);
}

#[test]
fn f43_an_observer_on_etcd_is_told_the_newer_token_of_the_same_address() {
    let etcd = Etcd::start();
    let observer = observe(&etcd.endpoint(0));
    assert_eq!(next(&observer).address(), None);
    let before = start(&etcd.endpoint(0), 1);
    let token = activate(&before);
    assert_eq!(read_up_to(&observer, token).address(), Some("127.0.0.1:1"));
    lose_lease(&etcd, before);
    let after = start(&etcd.endpoint(0), 1);
    let newer = activate(&after);
    let event = read_up_to(&observer, newer);
    assert!(newer > token);
    assert_eq!((event.address(), event.server_id()), (Some("127.0.0.1:1"), after.server_id()));
    stop(&after);
}

#[test]
fn f44_a_slow_reader_on_etcd_is_told_the_newest_alone() {
    let etcd = Etcd::start();
    let observer = Observer::start(&by_watch_alone(&url(&etcd.endpoint(0)))).unwrap();
    next(&observer);
    for port in 1..3 {
        let session = start(&etcd.endpoint(0), port);
        activate(&session);
        stop(&session);
    }
    let session = start(&etcd.endpoint(0), 3);
    let token = activate(&session);
    until("the last one is known", || (observer.current().ok()?.token() == token).then_some(()));
    let event = next(&observer);
    // Two who came and went, and the third.
    assert_eq!((event.address(), event.token(), event.missed()), (Some("127.0.0.1:3"), token, 4));
    assert_eq!(observer.next_event(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::Timeout);
    stop(&session);
}

#[test]
fn holders_of_milvus_are_told_by_the_revision_of_their_key_in_one_order_with_ours() {
    let etcd = Etcd::start();
    let key = "by-dev/meta/session/rootcoord";
    let record = |port: u16, stopping: bool| {
        format!(
            r#"{{"ServerID":99,"ServerName":"rootcoord","Address":"10.0.9.9:{port}","Exclusive":true,"Stopping":{stopping},"TriggerKill":true,"Version":"2.4.0","IndexEngineVersion":{{}},"LeaseID":7,"HostName":"m"}}"#
        )
    };
    let observer = observe(&etcd.endpoint(0));
    assert_eq!(next(&observer).address(), None);
    let mut tokens = Vec::new();
    // Its record is written anew: the same holder, of a newer revision.
    for (port, stopping) in [(1, false), (1, true)] {
        etcd.ctl(&["put", key, &record(port, stopping)]);
        let event = next(&observer);
        assert_eq!((event.address(), event.server_id()), (Some("10.0.9.9:1"), 99));
        assert_eq!(event.token().to_string(), revision(&etcd));
        tokens.push(event.token());
    }
    etcd.ctl(&["del", key]);
    assert_eq!(next(&observer).address(), None);
    let session = start(&etcd.endpoint(0), 2);
    let token = activate(&session);
    tokens.push(read_up_to(&observer, token).token());
    stop(&session);
    assert_eq!(next(&observer).address(), None);
    etcd.ctl(&["put", key, &record(3, false)]);
    let event = next(&observer);
    assert_eq!(event.address(), Some("10.0.9.9:3"));
    tokens.push(event.token());
    assert!(tokens.is_sorted_by(|one, other| one < other), "{tokens:?}");
    assert_eq!(observer.current().unwrap().token(), event.token());
}

#[test]
fn an_observer_that_starts_beside_a_milvus_holder_is_told_it_and_what_was_compacted_is_no_matter() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let key = "by-dev/meta/session/rootcoord";
    let record = |port: u16| {
        format!(r#"{{"ServerID":{port},"ServerName":"rootcoord","Address":"10.0.9.9:{port}","Version":"2.5.4"}}"#)
    };
    etcd.ctl(&["put", key, &record(1)]);
    let observer = observe(&proxy.address());
    let first = next(&observer);
    assert_eq!((first.address(), first.server_id()), (Some("10.0.9.9:1"), 1));
    proxy.cut();
    for port in 2..5 {
        etcd.ctl(&["del", key]);
        etcd.ctl(&["put", key, &record(port)]);
    }
    etcd.ctl(&["compact", &revision(&etcd)]);
    proxy.forward();
    let event = next(&observer);
    assert_eq!((event.address(), event.token().to_string()), (Some("10.0.9.9:4"), revision(&etcd)));
}
