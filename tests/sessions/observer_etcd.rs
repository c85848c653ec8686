//! Observers on a real etcd, and with the network between them at fault.

use coordha::error::ErrorKind;
use coordha::session::{Observer, Session};

use crate::observer::{config, next, read_up_to};
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
