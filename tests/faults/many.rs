//! Many standbys at once.

use std::sync::atomic::Ordering;

use coordha::config::keys;
use coordha::session::EventKind;

use crate::coordinator::Coordinator;
use crate::faulty::Faulty;
use crate::place::Place;

#[test]
fn f22_two_hundred_standbys_send_at_most_three_campaigns() {
    let place = Place::start();
    let mut a = place.child("A", 999, &[]);
    let token = a.active_after(0);
    let store = Faulty::new(&place.etcd.endpoints());
    let standby = |number: u16| {
        let mut config = place.config(number);
        // As two hundred hosts would be, though they are one busy process here: each reads seldom what all the others
        // have written, and a step is longer than the process needs to step them all.
        config.set(keys::ELECTION_REREAD_MS, "10000").unwrap();
        config.set(keys::ELECTION_RANK_STEP_MS, "2000").unwrap();
        place.coordinator_on(&format!("{number}"), &store, &config)
    };
    let mut all: Vec<Coordinator> = (1..=200).map(standby).collect();
    for one in &all {
        one.nth(EventKind::Standby, 1);
    }
    assert_eq!(store.counts.acquisitions.load(Ordering::SeqCst), 0);
    a.kill();
    drop(a);
    let mut last = token;
    // Three takeovers: of a dead one, and of two that leave.
    for takeovers in 1..=3 {
        let winner = place.winner(&all.iter().collect::<Vec<_>>());
        let campaigns = store.counts.acquisitions.load(Ordering::SeqCst);
        assert!(campaigns <= 3 * takeovers, "{campaigns} campaigns in {takeovers} takeovers");
        let winner = all.remove(winner);
        assert!(winner.session.fencing_token() > last);
        last = winner.session.fencing_token();
        winner.stop();
    }
    for one in &all {
        one.session.request_stop();
    }
    for one in all {
        one.stop();
    }
    place.judge();
}
