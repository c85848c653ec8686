//! Leases that end too soon, or whose keeping is not answered.

use std::sync::atomic::Ordering;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Role};

use crate::coordinator::Manner;
use crate::faulty::{Faulty, Target};
use crate::place::{ACTIVE_KEY, Place, TERM_KEY};
use crate::support::wait::until;

/// A lease whose end a test can wait for.
fn short_lease(mut config: Config) -> Config {
    config.set(keys::LEASE_TTL_MS, "8000").unwrap();
    config.set(keys::ELECTION_HOLD_MS, "4000").unwrap();
    config
}

/// A hold time that nobody can have waited for before a test gives up.
pub(crate) fn long_hold(mut config: Config) -> Config {
    config.set(keys::LEASE_TTL_MS, "300000").unwrap();
    config.set(keys::ELECTION_HOLD_MS, "60000").unwrap();
    config
}

fn held_record(place: &Place) -> bool {
    place.value(TERM_KEY).is_some_and(|record| record.contains("\"held\""))
}

#[test]
fn f09_a_standby_whose_lease_was_revoked_takes_over_from_a_killed_holder() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    place.etcd.ctl(&["lease", "revoke", &place.lease(&b)]);
    b.nth(EventKind::Registered, 2);
    a.kill();
    b.active_after(token);
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f10_a_lease_that_expires_during_a_campaign_wins_nothing() {
    let place = Place::start();
    let a = place.coordinator("A", &place.config(1));
    let token = a.active_after(0);
    let store = Faulty::new(&place.etcd.endpoints());
    let b = place.coordinator_on("B", &store, &short_lease(place.config(2)));
    b.nth(EventKind::Standby, 1);
    let (member, lease) = (Place::member_key(&b), place.lease(&b));
    store.set(|faults| faults.hold = Some(Target::Acquire));
    a.stop();
    until("a campaign under way", || (store.counts.held.load(Ordering::SeqCst) > 0).then_some(()));
    store.set(|faults| faults.drop_keepalives = true);
    until("the lease has expired", || (!place.lease_lives(&lease)).then_some(()));
    store.set(|faults| {
        faults.drop_keepalives = false;
        faults.hold = None;
    });
    let new = b.active_after(token);
    b.nth(EventKind::Registered, 2);
    assert!(place.value(&member).is_some());
    let active = place.value(ACTIVE_KEY).unwrap();
    let active: serde_json::Value = serde_json::from_str(&active).unwrap();
    let its_lease = format!("{:x}", active["LeaseID"].as_i64().unwrap());
    assert_ne!(its_lease, lease);
    assert!(place.lease_lives(&its_lease) && b.session.holds(new));
    // Of all that were sent, those of the dead lease have started no term.
    assert_eq!(*store.committed.lock().unwrap(), [new]);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f65_a_hold_time_of_1000_s_holds_nobody_up() {
    let place = Place::start();
    let huge = "1000000";
    let refused = place.config(9).set(keys::ELECTION_HOLD_MS, huge).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConfigValue);
    // So no member of ours can say so; one of another make can.
    let mut a = place.child("A", 1, &[]);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    a.kill();
    let mut record = place.term_record().unwrap();
    record["HoldMs"] = 1_000_000.into();
    place.etcd.ctl(&["put", TERM_KEY, &record.to_string()]);
    b.nth(EventKind::Foreign, 1);
    b.active_after(token);
    drop(a);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f66_a_holder_whose_keepalives_are_never_answered_ends_its_term_for_good() {
    let place = Place::start();
    let store = Faulty::new(&place.etcd.endpoints());
    let a = place.coordinator_on("A", &store, &short_lease(place.config(1)));
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let (lease, renewals) = (place.lease(&a), place.renewals());
    store.set(|faults| faults.lose_keepalive_replies = true);
    until("a renewal beside a keepalive without reply", || {
        let lost = store.counts.lost_replies.load(Ordering::SeqCst);
        (lost > 0 && place.renewals() > renewals).then_some(())
    });
    assert_eq!(a.term_ended(token), Reason::Expired);
    assert!(!a.session.holds(token) && place.lease_lives(&lease));
    place.winner(&[&a, &b]);
    store.set(|faults| faults.lose_keepalive_replies = false);
    let terms = a.events(EventKind::Activate);
    assert_eq!(terms.iter().filter(|term| term.token() == token).count(), 1);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f67_a_holder_whose_lease_is_revoked_marks_its_record_released_once_it_has_left() {
    let place = Place::start();
    let a = place.coordinator_of("A", &long_hold(place.config(1)), Manner::NeverLeaves);
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    place.etcd.ctl(&["lease", "revoke", &place.lease(&a)]);
    let reason = a.term_ended(token);
    assert!(matches!(reason, Reason::KeyDeleted | Reason::LeaseLost), "{reason:?}");
    b.until("B sees that nobody is active", |events| {
        let mut holders = events.iter().filter(|(_, e)| e.kind() == EventKind::Holder);
        holders.any(|(_, e)| e.server_id() == 0).then_some(())
    });
    assert!(held_record(&place) && b.session.role() == Role::Standby);
    a.behave(Manner::Prompt);
    a.session.deactivation_done(token).unwrap();
    // The hold time alone is 60 s, and 75 would be waited for.
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f67_a_release_that_the_revoke_overtakes_makes_nobody_wait() {
    let place = Place::start();
    let store = Faulty::new(&place.etcd.endpoints());
    let a = place.coordinator_on("A", &store, &long_hold(place.config(1)));
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    store.set(|faults| faults.hold = Some(Target::Release));
    a.session.resign(std::time::Duration::ZERO).unwrap();
    until("a release under way", || (store.counts.held.load(Ordering::SeqCst) > 0).then_some(()));
    place.etcd.ctl(&["lease", "revoke", &place.lease(&a)]);
    assert!(held_record(&place));
    store.set(|faults| faults.hold = None);
    // As above: 75 s are more than the test waits.
    b.active_after(token);
    place.everyone_can_win(vec![a, b]);
}
