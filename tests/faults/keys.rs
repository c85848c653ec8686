//! Keys and leases that somebody else takes away or writes over.

use coordha::session::{EventKind, Reason, Role};

use crate::place::{ACTIVE_KEY, Place};
use crate::support::wait::until;

#[test]
fn f08_a_standby_whose_lease_is_revoked_registers_again() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    let lease = place.lease(&b);
    place.etcd.ctl(&["lease", "revoke", &lease]);
    b.nth(EventKind::Registered, 2);
    until("B stands by again", || {
        (b.session.role() == Role::Standby).then_some(())
    });
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
