//! The network between a coordinator and etcd, and messages that it loses.

use std::sync::atomic::Ordering;
use std::time::Duration;

use coordha::kv::{Op, Txn};
use coordha::session::{EventKind, Reason, Role};
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore};

use crate::cluster::short_hold;
use crate::faulty::{Faulty, Target};
use crate::leases::long_hold;
use crate::place::{ACTIVE_KEY, Place};
use crate::support::proxy::Proxy;
use crate::support::wait::until;

#[test]
fn f11_a_win_whose_reply_is_lost_is_found_and_acted_on() {
    let place = Place::start();
    let a = place.coordinator("A", &place.config(1));
    let old = a.active_after(0);
    let store = Faulty::new(&place.etcd.endpoints());
    let b = place.coordinator_on("B", &store, &place.config(2));
    b.nth(EventKind::Standby, 1);
    store.set(|faults| faults.lose_reply_of = Some(Target::Acquire));
    a.stop();
    let token = b.active_after(old);
    assert_eq!(store.counts.lost_replies.load(Ordering::SeqCst), 1);
    assert_eq!(*store.committed.lock().unwrap(), [token]);
    assert_eq!(b.count(EventKind::Activate), 1);
    b.write(token, "app/a").unwrap();
    place.everyone_can_win(vec![b]);
}

#[test]
fn f13_a_partitioned_holder_fences_while_etcd_still_keeps_its_lease() {
    let place = Place::start();
    let proxy = Proxy::start(place.etcd.endpoint(0));
    let a = place.coordinator("A", &place.config_at(1, &[proxy.address()]));
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let lease = place.lease(&a);
    a.write(token, "app/a").unwrap();
    proxy.black_hole();
    assert_eq!(a.term_ended(token), Reason::Expired);
    assert!(place.lease_lives(&lease));
    assert!(!a.session.holds(token) && a.write(token, "app/a").is_err());
    let new = b.active_after(token);
    b.write(new, "app/a").unwrap();
    proxy.forward();
    a.nth(EventKind::Recovered, 1);
    until("A stands by", || (a.session.role() == Role::Standby).then_some(()));
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f14_a_partitioned_standby_says_so_and_recovers_by_itself() {
    let place = Place::start();
    let a = place.coordinator("A", &place.config(1));
    let token = a.active_after(0);
    let proxy = Proxy::start(place.etcd.endpoint(0));
    let b = place.coordinator("B", &place.config_at(2, &[proxy.address()]));
    b.nth(EventKind::Standby, 1);
    proxy.black_hole();
    b.nth(EventKind::Degraded, 1);
    assert!(a.session.holds(token));
    proxy.forward();
    b.nth(EventKind::Recovered, 1);
    assert!(a.session.holds(token));
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f16_a_holder_whose_replies_are_dropped_fences_although_etcd_renews() {
    let place = Place::start();
    let proxy = Proxy::start(place.etcd.endpoint(0));
    let a = place.coordinator("A", &place.config_at(1, &[proxy.address()]));
    let token = a.active_after(0);
    let b = place.coordinator("B", &place.config(2));
    b.nth(EventKind::Standby, 1);
    let (lease, renewals) = (place.lease(&a), place.renewals());
    proxy.drop_replies();
    until("a renewal whose reply is dropped", || {
        (proxy.vanished_reply_bytes() > 0 && place.renewals() > renewals).then_some(())
    });
    assert_eq!(a.term_ended(token), Reason::Expired);
    assert!(place.lease_lives(&lease));
    b.active_after(token);
    proxy.forward();
    a.nth(EventKind::Recovered, 1);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f18_a_deletion_that_no_watch_shows_is_found_by_reading_again() {
    let place = Place::start();
    let a = place.coordinator("A", &long_hold(place.config(1)));
    let token = a.active_after(0);
    let store = Faulty::new(&place.etcd.endpoints());
    let b = place.coordinator_on("B", &store, &long_hold(place.config(2)));
    b.nth(EventKind::Standby, 1);
    store.set(|faults| faults.hide_deletes = true);
    a.stop();
    // By the hold time it would be 75 s, more than the test waits.
    b.active_after(token);
    until("the watch had something to hide", || (store.counts.hidden.load(Ordering::SeqCst) > 0).then_some(()));
    store.set(|faults| faults.hide_deletes = false);
    place.everyone_can_win(vec![b]);
}

#[test]
fn f20_a_watch_whose_revision_is_compacted_shows_no_stale_holder() {
    let place = Place::start();
    let a = place.coordinator("A", &place.config(1));
    let old = a.active_after(0);
    let store = Faulty::new(&place.etcd.endpoints());
    let b = place.coordinator_on("B", &store, &place.config(2));
    b.nth(EventKind::Standby, 1);
    store.set(|faults| faults.hold_watches = true);
    until("the next watch waits", || (store.counts.held.load(Ordering::SeqCst) > 0).then_some(()));
    let revision = until("revisions go by", || {
        let text = place.etcd.ctl(&["put", "app/other", "x", "--write-out=json"]);
        let reply: serde_json::Value = serde_json::from_str(&text).unwrap();
        let revision = reply["header"]["revision"].as_i64();
        revision.filter(|revision| *revision >= old + 20)
    });
    place.etcd.ctl(&["compact", &revision.to_string()]);
    store.set(|faults| faults.hold_watches = false);
    until("the watch is told", || (store.counts.compacted.load(Ordering::SeqCst) > 0).then_some(()));
    let c = place.coordinator("C", &place.config(3));
    c.nth(EventKind::Standby, 1);
    a.stop();
    let winner = place.winner(&[&b, &c]);
    let new = [&b, &c][winner].session.fencing_token();
    assert!(new > old);
    until("B knows the new holder", || {
        let holder = b.session.holder();
        holder.is_some_and(|holder| holder.token >= new).then_some(())
    });
    place.everyone_can_win(vec![b, c]);
}

/// 100 puts a second, by a client that stands in no election.
fn storm(endpoints: &[String], puts: u32) {
    let options = EtcdOptions::new(endpoints);
    let record = r#"{"ServerID":99,"ServerName":"rootcoord","Address":"10.0.9.9:53100","Exclusive":true,"TriggerKill":true,"Version":"2.4.0","LeaseID":7,"HostName":"m"}"#;
    let work = async {
        let store = EtcdStore::new(&options).unwrap();
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..puts {
            beat.tick().await;
            let txn = Txn { success: vec![Op::put(ACTIVE_KEY, record, 0)], ..Txn::default() };
            store.txn(txn, Duration::from_secs(5)).await.unwrap();
        }
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work);
}

#[test]
fn f21_a_stranger_that_puts_the_active_key_100_times_a_second_starts_no_storm() {
    let place = Place::start();
    let stores = [(); 2].map(|()| Faulty::new(&place.etcd.endpoints()));
    let a = place.coordinator_on("A", &stores[0], &short_hold(place.config(1)));
    let token = a.active_after(0);
    let b = place.coordinator_on("B", &stores[1], &short_hold(place.config(2)));
    b.nth(EventKind::Standby, 1);
    let count = || -> usize {
        let counts = stores.iter().map(|store| &store.counts);
        counts.map(|c| c.acquisitions.load(Ordering::SeqCst)).sum()
    };
    let before = count();
    let puts = 400;
    storm(&place.etcd.endpoints(), puts);
    assert_eq!(a.term_ended(token), Reason::Superseded);
    let campaigns = count() - before;
    // One for each event would be hundreds.
    assert!(campaigns <= 40, "{campaigns} campaigns in {puts} puts");
    place.winner(&[&a, &b]);
    place.everyone_can_win(vec![a, b]);
}
