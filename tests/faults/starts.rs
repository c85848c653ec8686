//! First starts, and stores that were restored.

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::session::EventKind;

use crate::leases::long_hold;
use crate::place::{Place, TERM_KEY};
use crate::referee::boot_ns;
use crate::support::wait::until;

#[test]
fn f74_the_first_session_of_a_new_store_is_active_at_once() {
    let place = Place::start();
    let a = place.coordinator("A", &long_hold(place.config(1)));
    // By the hold time it would be 75 s, more than the test waits.
    a.active_after(0);
    place.everyone_can_win(vec![a]);
}

#[test]
fn f74_the_first_session_of_a_compacted_store_waits_for_whoever_may_have_been_there() {
    let place = Place::start();
    let revision = ["1", "2", "3"].map(|value| {
        let text = place.etcd.ctl(&["put", "app/other", value, "--write-out=json"]);
        let reply: serde_json::Value = serde_json::from_str(&text).unwrap();
        reply["header"]["revision"].as_i64().unwrap()
    })[2];
    place.etcd.ctl(&["compact", &revision.to_string()]);
    let mut config = place.config(1);
    config.set(keys::ELECTION_HOLD_MS, "4000").unwrap();
    let started = boot_ns();
    let a = place.coordinator("A", &config);
    let record = until("the vacant record", || place.value(TERM_KEY).filter(|record| record.contains("\"vacant\"")));
    assert!(record.contains("\"HoldMs\":4000"), "{record}");
    let (_, won) = a.nth(EventKind::Activate, 1);
    let waited = won.at_ms() - started / 1_000_000;
    assert!(waited >= 5_000, "{waited} ms");
    place.everyone_can_win(vec![a]);
}

#[test]
fn f33_a_store_that_was_restored_to_an_earlier_revision_is_refused() {
    let mut place = Place::start();
    place.etcd.ctl(&["put", "app/other", "x"]);
    let backup = place.etcd.backup(0);
    let (a, b, token) = place.pair();
    place.etcd.restore(0, &backup);
    place.etcd.wait_healthy(0);
    for session in [&a, &b] {
        let (_, ended) = session.nth(EventKind::Ended, 1);
        let error = ended.error().expect("an error");
        assert_eq!(error.kind(), ErrorKind::Regressed, "{}", ended.text());
    }
    assert!(!a.session.holds(token));
    assert_eq!(b.count(EventKind::Activate), 0);
    drop((a, b));
    // All were ended, as the documentation asks: a new one may win, and its token may be an old one.
    let c = place.apart("C", &place.config(3));
    c.active_after(0);
    c.stop();
    place.judge();
}
