//! Three members of etcd, some of which are killed or frozen.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use coordha::config::{Config, keys};
use coordha::session::{EventKind, Reason};

use crate::faulty::Faulty;
use crate::place::Place;
use crate::support::etcd::Etcd;
use crate::support::wait::until;

fn three() -> Place {
    Place::with(Etcd::builder().members(3))
}

/// Over, with the wait for it, well before an outage of 5 s or a storm of 4 s is.
pub(crate) fn short_hold(mut config: Config) -> Config {
    config.set(keys::ELECTION_HOLD_MS, "2000").unwrap();
    config
}

/// The outage itself lasts so long: there is no event to wait for.
fn outage_of(seconds: u64) {
    let start = Instant::now();
    until("the outage has lasted", || (start.elapsed() >= Duration::from_secs(seconds)).then_some(()));
}

#[test]
fn f28_a_holder_keeps_the_role_when_the_leader_of_etcd_is_killed() {
    let mut place = three();
    let leader = place.etcd.leader();
    // The leader first, so that the holder talks to it.
    let mut endpoints = place.etcd.endpoints();
    endpoints.swap(0, leader);
    let a = place.coordinator("A", &place.config_at(1, &endpoints));
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config_at(2, &endpoints));
    b.nth(EventKind::Standby, 1);
    place.etcd.kill(leader);
    place.etcd.leader_other_than(leader);
    // The first write may be what notices that the connection broke.
    until("A writes through another member", || a.write(token, "app/a").ok());
    place.etcd.restart(leader);
    place.etcd.wait_healthy(leader);
    place.wait_for_renewals(3);
    assert!(a.session.holds(token) && a.session.is_active());
    assert_eq!(a.count(EventKind::TermEnded), 0);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f31_a_lost_quorum_fences_the_holder_and_is_not_asked_in_a_hot_loop() {
    let mut place = three();
    let stores = [(); 2].map(|()| Faulty::new(&place.etcd.endpoints()));
    let a = place.coordinator_on("A", &stores[0], &place.config(1));
    let token = a.active_after(0);
    let b = place.coordinator_on("B", &stores[1], &place.config(2));
    b.nth(EventKind::Standby, 1);
    let calls = || stores.each_ref().map(|s| s.counts.calls.load(Ordering::SeqCst));
    let down = [1, 2];
    down.iter().for_each(|member| place.etcd.kill(*member));
    assert_eq!(a.term_ended(token), Reason::Expired);
    let before = calls();
    let seconds = 60;
    // In halves: nothing is waited for longer than a minute.
    (0..2).for_each(|_| outage_of(seconds / 2));
    for (before, after) in before.into_iter().zip(calls()) {
        let calls = after - before;
        assert!(calls <= 20 * seconds as usize, "{calls} calls in {seconds} s");
    }
    down.iter().for_each(|member| place.etcd.restart(*member));
    down.iter().for_each(|member| place.etcd.wait_healthy(*member));
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f32_a_frozen_leader_of_etcd_makes_no_two_active() {
    let place = three();
    let leader = place.etcd.leader();
    let mut endpoints = place.etcd.endpoints();
    endpoints.swap(0, leader);
    let a = place.coordinator("A", &short_hold(place.config_at(1, &endpoints)));
    a.active_after(0);
    endpoints.rotate_left(1);
    let b = place.coordinator("B", &short_hold(place.config_at(2, &endpoints)));
    b.nth(EventKind::Standby, 1);
    place.etcd.pause(leader);
    outage_of(5);
    place.etcd.resume(leader);
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}
