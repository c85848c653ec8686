//! Next to Milvus sessions, which are played by plain puts on a lease.

use std::time::{Duration, Instant};

use coordha::config::{Config, keys};
use coordha::session::{EventKind, Observer, Reason};

use crate::coordinator::{Coordinator, PATIENCE};
use crate::leases::long_hold;
use crate::place::{ACTIVE_KEY, Place};
use crate::referee::boot_ns;
use crate::support::wait::until;

const ADDRESS: &str = "10.0.9.9:53100";

/// A Milvus session.
struct Milvus<'a> {
    place: &'a Place,
    id: i64,
    /// In hexadecimal, as etcdctl wants it.
    lease: String,
}

impl<'a> Milvus<'a> {
    /// One that stands by: its member key goes with a lease that nobody keeps alive.
    fn start(place: &'a Place, id: i64, ttl_s: u32) -> Self {
        let granted = place.etcd.ctl(&["lease", "grant", &ttl_s.to_string()]);
        let lease = granted.split_whitespace().nth(1).expect("a lease").to_owned();
        let milvus = Self { place, id, lease };
        milvus.put(&milvus.member_key());
        milvus
    }

    /// One that leads.
    fn lead(place: &'a Place, id: i64, ttl_s: u32) -> Self {
        let milvus = Self::start(place, id, ttl_s);
        milvus.put(ACTIVE_KEY);
        milvus
    }

    fn member_key(&self) -> String {
        format!("{ACTIVE_KEY}-{}", self.id)
    }

    fn put(&self, key: &str) {
        let lease = i64::from_str_radix(&self.lease, 16).unwrap();
        let record = serde_json::json!({
            "ServerID": self.id, "ServerName": "rootcoord", "Address": ADDRESS, "Exclusive": true, "TriggerKill": true,
            "Version": "2.5.27", "IndexEngineVersion": {}, "ScalarIndexEngineVersion": {}, "LeaseID": lease, "HostName": "m",
        });
        self.place.etcd.ctl(&["put", &format!("--lease={}", self.lease), key, &record.to_string()]);
    }

    /// It ends: its lease is revoked.
    fn end(self) {
        self.place.etcd.ctl(&["lease", "revoke", &self.lease]);
    }
}

fn exclusive(mut config: Config) -> Config {
    config.set(keys::ACTIVE_STANDBY_ENABLED, "false").unwrap();
    config
}

/// Waits until it says that a Milvus process stands in the way, and gives the key.
fn blocked(coordinator: &Coordinator) -> String {
    coordinator.until("BLOCKED by a Milvus holder", |events| {
        let mut reasons = events.iter().filter(|(_, event)| event.reason() == Some(Reason::MilvusHolder));
        reasons.find_map(|(_, event)| Some(String::from_utf8(event.key()?.to_vec()).unwrap()))
    })
}

fn is_named(coordinator: &Coordinator, id: i64) -> i64 {
    coordinator.until("the holder", |events| {
        let mut named = events.iter().filter(|(_, event)| event.kind() != EventKind::Registered);
        named.find(|(_, event)| event.server_id() == id).map(|(_, event)| event.token())
    })
}

#[test]
fn f43_a_milvus_holder_that_restarts_on_its_address_is_told_by_the_newer_token() {
    let place = Place::start();
    let first = Milvus::lead(&place, 9001, 300);
    let a = place.coordinator("A", &place.config(1));
    let observer = Observer::start(&place.config(2)).unwrap();
    let observed = |id: i64| loop {
        let event = observer.next_event(Some(PATIENCE)).unwrap();
        if event.server_id() == id {
            assert_eq!(event.address(), Some(ADDRESS));
            return event.token();
        }
    };
    let tokens = [is_named(&a, 9001), observed(9001)];
    assert_eq!(tokens[0], tokens[1]);
    first.end();
    let second = Milvus::lead(&place, 9002, 300);
    let newer = [is_named(&a, 9002), observed(9002)];
    assert_eq!(newer[0], newer[1]);
    assert!(newer[0] > tokens[0], "{newer:?} after {tokens:?}");
    second.end();
    place.everyone_can_win(vec![a]);
}

#[test]
fn f51_a_milvus_holder_that_lost_its_key_alone_is_waited_for() {
    let place = Place::start();
    let milvus = Milvus::lead(&place, 9001, 300);
    let (a, b) = (place.coordinator("A", &place.config(1)), place.coordinator("B", &place.config(2)));
    for session in [&a, &b] {
        is_named(session, 9001);
    }
    place.etcd.ctl(&["del", ACTIVE_KEY]);
    for session in [&a, &b] {
        assert_eq!(blocked(session), milvus.member_key());
    }
    // One that starts now has never seen the holder.
    let c = place.coordinator("C", &place.config(3));
    assert_eq!(blocked(&c), milvus.member_key());
    let ended = boot_ns() / 1_000_000;
    milvus.end();
    let all = [&a, &b, &c];
    let winner = all[place.winner(&all)];
    let (_, won) = winner.nth(EventKind::Activate, 1);
    assert!(won.at_ms() >= ended, "before the Milvus process had ended");
    place.everyone_can_win(vec![a, b, c]);
}

#[test]
fn f52_a_takeover_before_a_milvus_standby_is_followed_by_one_more_write() {
    let place = Place::start();
    let milvus = Milvus::start(&place, 9001, 300);
    let config = |number| {
        let mut config = long_hold(place.config(number));
        // A read that shows no holder would leave it open who was the last one.
        config.set(keys::ELECTION_REREAD_MS, "60000").unwrap();
        config
    };
    milvus.put(ACTIVE_KEY);
    let a = place.coordinator("A", &config(1));
    is_named(&a, 9001);
    milvus.end();
    let token = a.active_after(0);
    let standby = Milvus::start(&place, 9002, 300);
    let b = place.coordinator("B", &config(2));
    b.nth(EventKind::Standby, 1);
    a.stop();
    let began = Instant::now();
    assert!(b.active_after(token) > token);
    until("a renewal", || (place.renewals() > 0).then_some(()));
    // The next one in its order comes after a quarter of the hold time, 15 s.
    assert!(began.elapsed() < Duration::from_secs(14));
    standby.end();
    place.everyone_can_win(vec![b]);
}

#[test]
fn f53_a_lease_revoked_through_the_record_is_an_ordinary_loss() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    let record: serde_json::Value = serde_json::from_str(&place.value(ACTIVE_KEY).unwrap()).unwrap();
    let lease = record["LeaseID"].as_i64().expect("LeaseID");
    place.etcd.ctl(&["lease", "revoke", &format!("{lease:x}")]);
    a.term_ended(token);
    a.nth(EventKind::Registered, 2);
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f53_deleted_keys_of_all_sessions_are_an_ordinary_loss() {
    let place = Place::start();
    let (a, b, token) = place.pair();
    let members = [Place::member_key(&a), Place::member_key(&b)];
    place.etcd.ctl(&["del", "--prefix", ACTIVE_KEY]);
    a.term_ended(token);
    for member in members {
        until("the member key is back", || place.value(&member));
    }
    place.everyone_can_win(vec![a, b]);
}

#[test]
fn f55_an_exclusive_session_restarted_within_its_time_to_live_takes_the_role() {
    let place = Place::start();
    let mut a = place.child("A", 1, &[(keys::ACTIVE_STANDBY_ENABLED, "false")]);
    let token = a.active_after(0);
    a.kill();
    let again = place.coordinator("A again", &exclusive(place.config(1)));
    again.active_after(token);
    drop(a);
    place.everyone_can_win(vec![again]);
}

#[test]
fn f55_an_exclusive_session_names_a_dead_milvus_holder_and_waits_for_its_lease() {
    let place = Place::start();
    let milvus = Milvus::lead(&place, 9001, 8);
    let a = place.coordinator("A", &exclusive(place.config(1)));
    is_named(&a, milvus.id);
    a.active_after(0);
    place.everyone_can_win(vec![a]);
}
