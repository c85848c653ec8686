//! Keys and leases that somebody else takes away or writes over.

use std::time::{Duration, Instant};

use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Role};

use crate::coordinator::Coordinator;
use crate::place::{ACTIVE_KEY, HOLD_MS, Place, TERM_KEY};
use crate::support::wait::until;

#[test]
fn f08_a_standby_whose_lease_is_revoked_registers_again() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    let lease = place.lease(&b);
    place.etcd.ctl(&["lease", "revoke", &lease]);
    b.nth(EventKind::Registered, 2);
    until("B stands by again", || (b.session.role() == Role::Standby).then_some(()));
    assert_ne!(place.lease(&b), lease);
    assert!(a.session.holds(token));
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f40_a_deleted_active_key_makes_the_holder_step_down_at_once() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    place.etcd.ctl(&["del", ACTIVE_KEY]);
    assert_eq!(a.term_ended(token), Reason::KeyDeleted);
    assert!(!a.session.holds(token));
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f42_roles_whose_names_begin_alike_do_not_see_each_other() {
    let place = Place::start();
    let role = |number, role| {
        let mut config = place.config(number);
        config.set(coordha::config::keys::ROLE, role).unwrap();
        config
    };
    let data = place.coordinator("data", &role(1, "data"));
    let datacoord = place.apart("datacoord", &role(2, "datacoord"));
    data.active_after(0);
    let token = datacoord.active_after(0);
    let standby = place.coordinator("standby of data", &role(3, "data"));
    standby.nth(EventKind::Standby, 1);
    data.stop();
    standby.active_after(0);
    assert!(datacoord.session.holds(token));
    for event in datacoord.events(EventKind::Holder) {
        assert!(event.token() == token || event.server_id() == 0, "{}", event.text());
    }
    datacoord.stop();
    place.everyone_can_win(vec![standby]);
}

#[test]
fn f46_garbage_in_the_next_server_id_is_an_error_that_names_the_key() {
    let place = Place::start();
    place.etcd.ctl(&["put", "by-dev/meta/session/id", "many"]);
    let a = place.coordinator("A", &place.config(1));
    let (_, ended) = a.nth(EventKind::Ended, 1);
    let error = ended.error().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.detail("key"), Some("by-dev/meta/session/id"));
    place.etcd.ctl(&["del", "by-dev/meta/session/id"]);
    let b = place.coordinator("B", &place.config(2));
    b.active_after(0);
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f46_a_hundred_starters_take_a_hundred_server_ids() {
    let place = Place::start();
    let start = |number: u16| place.coordinator(&format!("{number}"), &place.config(number));
    let all: Vec<_> = (1..=100).map(start).collect();
    let id = |c: &Coordinator| c.nth(EventKind::Registered, 1).1.server_id();
    let ids: std::collections::BTreeSet<i64> = all.iter().map(id).collect();
    assert_eq!(ids.len(), 100);
    place.winner(&all.iter().collect::<Vec<_>>());
    for coordinator in all {
        coordinator.session.request_stop();
    }
}

#[test]
fn f54_strangers_records_are_reported_and_stall_nobody() {
    let place = Place::start();
    let (a, b, _) = place.pair();
    let stranger = format!("{ACTIVE_KEY}-999");
    for garbage in ["no JSON", r#"{"ServerID":"nine"}"#, r#"{"ServerID":9,"Version":"v1"}"#, "[]"] {
        let reported = b.count(EventKind::Foreign);
        place.etcd.ctl(&["put", &stranger, garbage]);
        let (_, event) = b.nth(EventKind::Foreign, reported + 1);
        assert_eq!(event.key(), Some(stranger.as_bytes()));
        let reported = b.count(EventKind::Foreign);
        place.etcd.ctl(&["del", &stranger]);
        assert_eq!(b.count(EventKind::Foreign), reported);
    }
    place.etcd.ctl(&["put", &stranger, "no JSON"]);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f59_a_deleted_term_record_comes_back_and_the_holder_stays() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    place.etcd.ctl(&["del", TERM_KEY]);
    let held = || place.value(TERM_KEY).filter(|record| record.contains("held"));
    until("the record is back", held);
    assert!(a.session.holds(token) && a.session.is_active());
    assert_eq!(a.count(EventKind::TermEnded), 0);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f61_a_wiped_role_is_waited_for_and_nobody_overlaps() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    place.etcd.ctl(&["del", "--prefix", "by-dev/meta/"]);
    let c = place.coordinator("C", &place.config(3));
    assert_eq!(a.term_ended(token), Reason::LeaseLost);
    place.winner(&[&a, &b, &c]);
    place.everyone_can_win(vec![a, b, c]);
}

#[test]
fn f68_an_active_key_without_a_lease_ends_the_term_and_is_taken_after_the_wait() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    let record = place.value(ACTIVE_KEY).unwrap();
    place.etcd.ctl(&["put", ACTIVE_KEY, &record]);
    assert_eq!(a.term_ended(token), Reason::Superseded);
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f73_a_garbled_term_record_is_mended_by_the_holder() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    place.etcd.ctl(&["put", TERM_KEY, "{{"]);
    let (_, event) = b.nth(EventKind::Foreign, 1);
    assert_eq!(event.key(), Some(TERM_KEY.as_bytes()));
    until("the record is mended", || place.value(TERM_KEY).filter(|record| record.contains("held")));
    assert!(a.session.holds(token));
    place.everyone_can_win(vec![a, b]);
}

/// A is killed, and right after that the key is written over.
fn after_a_kill(key: &str, value: impl FnOnce(&Place) -> String) {
    let place = Place::start();
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let value = value(&place);
    let start = Instant::now();
    // So the newest renewal is from after the start, however slowly A has renewed.
    place.wait_for_renewals(1);
    a.kill();
    place.etcd.ctl(&["put", key, &value]);
    b.active_after(token);
    let (active, _) = b.nth(EventKind::Active, 1);
    // No standby of ours may start sooner after a renewal than that.
    assert!(active.duration_since(start) >= Duration::from_millis(HOLD_MS));
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f68_an_active_key_without_a_lease_is_taken_after_the_wait_when_its_holder_is_dead() {
    after_a_kill(ACTIVE_KEY, |place| place.value(ACTIVE_KEY).unwrap());
}

#[test]
fn f73_a_garbled_term_record_of_a_dead_holder_counts_as_vacant() {
    after_a_kill(TERM_KEY, |_| "{{".to_owned());
}
