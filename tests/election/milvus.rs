//! Next to Milvus.

use std::time::Duration;

use coordha::election::{Event, Reason, Role, Settings, StoreRequest};
use coordha::error::ErrorKind;
use coordha::kv::Op;

use crate::world::{Fate, MS, World, settings};
use crate::{ACTIVE, acquisition, pair};

fn record(id: i64) -> String {
    format!(r#"{{"ServerID":{id},"ServerName":"rootcoord","Address":"m{id}:1","Version":"2.5.0","LeaseID":1}}"#)
}

/// A Milvus process registers with an endless lease, which is answered.
fn milvus_registers(world: &mut World, id: i64) -> i64 {
    let lease = world.store.grant(1_000_000_000).unwrap().lease;
    world.write(Op::put(format!("{ACTIVE}-{id}"), record(id), lease));
    lease
}

fn blocking_keys(world: &World, node: usize) -> Vec<String> {
    let key = |event: &Event| match event {
        Event::Blocked { reason: Reason::MilvusHolder, key: Some(key), .. } => String::from_utf8(key.clone()).ok(),
        _ => None,
    };
    world.nodes[node].log.iter().filter_map(key).collect()
}

fn member(world: &World, node: usize) -> String {
    format!("{ACTIVE}-{}", world.status(node).server_id)
}

/// How often a node has written its member key.
fn registrations(world: &World, node: usize) -> usize {
    let member = member(world, node).into_bytes();
    let writes = |request: &&StoreRequest| {
        matches!(request, StoreRequest::Txn(txn)
            if matches!(txn.success.as_slice(), [Op::Put { key, .. }] if *key == member))
    };
    world.nodes[node].sent.iter().filter(writes).count()
}

/// The standby does not hear of the end of the other's term before it reads of it: the watch comes `late`.
fn read_before_the_watch(world: &mut World, a: usize, b: usize, late: Duration) {
    world.nodes[b].watch_silent = true;
    world.kill(a);
    world.revoke_lease_of(a);
    world.until("the read", |w| !w.nodes[b].sent.is_empty() && w.nodes[b].core.holder().is_none());
    world.pass(late);
    world.nodes[b].watch_silent = false;
}

#[test]
fn a_stuck_milvus_standby_is_in_nobodys_way_though_a_read_was_quicker_than_the_watch() {
    let (mut world, a, b) = pair();
    milvus_registers(&mut world, 99);
    world.pass(1000 * MS);
    let before = registrations(&world, b);
    read_before_the_watch(&mut world, a, b, 500 * MS);
    assert!(!world.holds(b), "it cannot know who held the role last");
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 1500 * MS, "{took:?}");
    // The one write that asks the watch.
    assert_eq!(registrations(&world, b) - before, 1);
}

#[test]
fn a_milvus_holder_that_a_read_does_not_show_is_waited_for_when_the_watch_does() {
    let (mut world, a, b) = pair();
    let lease = milvus_registers(&mut world, 99);
    world.pass(1000 * MS);
    world.nodes[b].watch_silent = true;
    world.kill(a);
    world.revoke_lease_of(a);
    world.write(Op::put(ACTIVE, record(99), lease));
    world.write(Op::delete(ACTIVE));
    world.until("the read", |w| w.nodes[b].core.holder().is_none());
    world.pass(2000 * MS);
    assert!(!world.holds(b));
    world.nodes[b].watch_silent = false;
    world.pass(20_000 * MS);
    assert!(!world.holds(b), "it is known by now, and lives");
    assert_eq!(blocking_keys(&world, b).last(), Some(&format!("{ACTIVE}-99")));
    world.store.revoke(lease);
    world.until("takeover", |w| w.holds(b));
}

#[test]
fn a_doubt_that_comes_again_and_again_does_not_restart_the_takeover_delay() {
    let mut world = World::new();
    let delay = |n| Settings { milvus_takeover_delay: 10_000 * MS, reread: 1000 * MS, ..settings(n) };
    let lease = milvus_registers(&mut world, 98);
    world.write(Op::put(ACTIVE, record(98), lease));
    let a = world.start(delay(1));
    world.until("standby", |w| w.status(a).role == Role::Standby);
    milvus_registers(&mut world, 99);
    world.pass(1000 * MS);
    world.store.revoke(lease);
    let took = world.until("active", |w| w.holds(a));
    assert!(took > 9900 * MS && took < 11_500 * MS, "{took:?}");
}

#[test]
fn a_session_that_starts_when_nobody_holds_the_role_suspects_each_milvus_member() {
    let mut world = World::new();
    let lease = milvus_registers(&mut world, 99);
    let a = world.start(settings(1));
    world.until("it says so", |w| blocking_keys(w, 0) == [format!("{ACTIVE}-99")]);
    let before = registrations(&world, a);
    world.pass(20_000 * MS);
    assert!(!world.holds(a));
    assert_eq!(registrations(&world, a), before, "no write helps");
    world.store.revoke(lease);
    world.until("active", |w| w.holds(a));
}

#[test]
fn a_session_of_an_old_coordinators_role_does_not_start_beside_a_mixcoord() {
    for role in ["rootcoord", "datacoord", "querycoord", "indexcoord"] {
        for key in ["by-dev/meta/session/mixcoord", "by-dev/meta/session/version"] {
            for active_standby in [true, false] {
                let mut world = World::new();
                world.write(Op::put(key, "2.6.8", 0));
                let a = world.start(Settings { role: role.into(), active_standby, ..settings(1) });
                world.until("ended", |w| w.status(a).role == Role::Ended);
                let Some(Event::Ended(Some(error))) = world.nodes[a].log.last() else {
                    panic!("{:?}", world.nodes[a].log);
                };
                assert_eq!(error.kind(), ErrorKind::ConfigValue);
                assert_eq!((error.detail("key"), error.detail("value")), (Some("role"), Some(role)));
                assert!(error.detail("allowed").is_some_and(|allowed| allowed.starts_with("mixcoord")));
                assert!(error.message().contains(key), "{error}");
                let writes = world.nodes[a].sent.iter().any(|request| match request {
                    StoreRequest::Txn(txn) => txn.success.iter().any(Op::writes),
                    _ => false,
                });
                assert!(!writes && world.store.leases().count() == 0);
            }
        }
    }
}

#[test]
fn a_session_that_shares_a_server_id_does_not_start_beside_a_mixcoord_either() {
    let mut world = World::new();
    world.write(Op::put("by-dev/meta/session/mixcoord", "{}", 0));
    let a = world.start_with(settings(1), |core| core.await_server_id());
    world.pass(100 * MS);
    let now = world.now;
    world.nodes[a].core.adopt_server_id(now, 7);
    world.drain(a);
    world.until("ended", |w| w.status(a).role == Role::Ended);
    assert!(world.store.get(format!("{ACTIVE}-7").as_bytes()).is_none());
    assert_eq!(world.store.leases().count(), 0);
}

#[test]
fn a_mixcoord_does_not_spin_on_the_key_of_a_dead_one_beside_an_old_coordinator() {
    let mut world = World::new();
    let mixcoord = |n| Settings { role: "mixcoord".into(), ..settings(n) };
    let a = world.start(mixcoord(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(mixcoord(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.pass(5000 * MS);
    let old = "by-dev/meta/session/datacoord";
    world.write(Op::put(old, record(98), 0));
    world.kill(a);
    // Its key stands as long as its lease.
    let dead = world.store.get(b"by-dev/meta/session/mixcoord").unwrap().lease;
    world.fate = Box::new(|_, _| Fate::Answer);
    world.until("it says so", |w| blocking_keys(w, b) == [old]);
    let campaigns = |w: &World| {
        let campaign = |request: &&StoreRequest| {
            matches!(request, StoreRequest::Txn(txn) if txn.success.len() == 2
                && matches!(&txn.success[0], Op::Put { key, .. } if key == b"by-dev/meta/session/mixcoord"))
        };
        w.nodes[b].sent.iter().filter(campaign).count()
    };
    let sent = campaigns(&world);
    assert!(sent <= 1, "{sent} campaigns");
    world.pass(5000 * MS);
    assert!(world.store.leases().any(|lease| lease == dead) && !world.holds(b));
    assert_eq!(campaigns(&world), sent);
    world.write(Op::delete(old));
    world.until("active", |w| w.holds(b));
}

#[test]
fn a_standby_says_nothing_of_an_old_coordinator_while_the_holder_lives() {
    let mut world = World::new();
    let mixcoord = |n| Settings { role: "mixcoord".into(), ..settings(n) };
    let a = world.start(mixcoord(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(mixcoord(2));
    world.write(Op::put("by-dev/meta/session/rootcoord", record(98), 0));
    world.pass(20_000 * MS);
    assert!(world.holds(a) && blocking_keys(&world, b).is_empty());
    assert!(!world.nodes[b].sent.iter().any(acquisition));
}

/// Whoever of them has the role within the time, and when; the store changes all the time, and each watch is `late`.
fn taken_in_a_busy_store(world: &mut World, nodes: &[usize], late: u64, limit_s: u64) -> Option<Duration> {
    let start = world.now;
    for step in 0..limit_s * 100 {
        if step % 10 == 0 {
            world.write(Op::put("elsewhere", "x", 0));
        }
        for &node in nodes {
            world.nodes[node].watch_silent = step % (late / 10) != 0;
        }
        world.pass(10 * MS);
        if nodes.iter().any(|node| world.holds(*node)) {
            return Some(world.now.since(start));
        }
    }
    None
}

#[test]
fn standbys_whose_watch_is_late_do_not_restart_each_others_takeover_delay() {
    for late in [20, 200] {
        let mut world = World::new();
        let holder = milvus_registers(&mut world, 98);
        world.write(Op::put(ACTIVE, record(98), holder));
        let delay = Duration::from_secs(10);
        let of = |n| Settings { milvus_takeover_delay: delay, reread: Duration::from_secs(1), ..settings(n) };
        let nodes: Vec<usize> = (1..=2).map(|n| world.start(of(n))).collect();
        world.pass(2000 * MS);
        milvus_registers(&mut world, 99);
        world.pass(1000 * MS);
        world.store.revoke(holder);
        let took = taken_in_a_busy_store(&mut world, &nodes, late, 60).expect("nobody within a minute");
        assert!(took >= delay && took < delay + Duration::from_secs(5), "watch {late} ms late: {took:?}");
    }
}

#[test]
fn a_session_of_an_old_coordinators_role_that_lost_its_lease_does_not_register_beside_a_mixcoord() {
    let mut world = World::new();
    let node = world.start(settings(1));
    world.until("active", |w| w.holds(node));
    world.revoke_lease_of(node);
    world.write(Op::put("by-dev/meta/session/mixcoord", "{}", 0));
    world.until("its end", |w| w.status(node).role == Role::Ended);
    let Some(Event::Ended(Some(error))) = world.nodes[node].log.last() else {
        panic!("{:?}", world.nodes[node].log.last())
    };
    assert_eq!(error.kind(), ErrorKind::ConfigValue);
    assert!(world.store.get(ACTIVE.as_bytes()).is_none());
    assert!(world.store.get(member(&world, node).as_bytes()).is_none());
}

#[test]
fn who_stands_in_the_way_is_told_again_where_it_is_another_one() {
    let (mut world, a, b) = pair();
    milvus_registers(&mut world, 10);
    let lease = milvus_registers(&mut world, 15);
    world.pass(1000 * MS);
    // The one that held the role last is seen by the watch alone, which is late.
    world.nodes[b].watch_silent = true;
    world.kill(a);
    world.revoke_lease_of(a);
    world.write(Op::put(ACTIVE, record(15), lease));
    world.write(Op::delete(ACTIVE));
    world.until("the read", |w| w.nodes[b].core.holder().is_none());
    world.until("a guess", |w| !blocking_keys(w, b).is_empty());
    world.nodes[b].watch_silent = false;
    world.until("the holder is named", |w| blocking_keys(w, b).last() == Some(&format!("{ACTIVE}-15")));
    assert_eq!(blocking_keys(&world, b).len(), 2);
    assert!(!world.holds(b));
}
