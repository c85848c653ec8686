//! Next to Milvus sessions.

use coordha::election::{Event, Reason};
use coordha::kv::Revision;

use crate::world::World;
use crate::world::clock::{MS, SECOND};
use crate::world::config::NodeConfig;
use crate::world::fault::{Fault, Which};
use crate::world::milvus::{End, Milvus, Release, longest_linger};
use crate::world::script::{in_many_empty_worlds, in_many_worlds, sessions};

fn blocked(event: &Event) -> bool {
    matches!(event, Event::Blocked { reason: Reason::MilvusHolder, .. })
}

/// The key that stood in the way when a session said so last.
fn blocking_key(world: &World, at: usize) -> String {
    let mut events = world.nodes[at].events.iter().rev();
    let key = events.find_map(|(_, event)| match event {
        Event::Blocked { key: Some(key), .. } => Some(key.clone()),
        _ => None,
    });
    String::from_utf8(key.unwrap_or_default()).unwrap()
}

fn term(world: &World) -> Revision {
    world.store.get(&world.roles[0].keys.term).map_or(0, |kv| kv.mod_revision)
}

/// A Milvus session leads.
fn milvus_leads(world: &mut World, milvus: Milvus) -> u64 {
    let fault = world.inject(Fault::MilvusSession(milvus));
    world.wait("a Milvus session leads", |world| world.milvus().any(|milvus| milvus.acts(world.now)));
    fault
}

fn start_all(world: &mut World) {
    for at in 0..world.nodes.len() {
        world.start(at);
    }
    world.wait("all stand by", |world| (0..world.nodes.len()).all(|at| world.is_standby(at)));
}

fn nobody_is_active(world: &World) -> bool {
    (0..world.nodes.len()).all(|at| world.token(at) == 0)
}

#[test]
fn f51_milvus_holder_that_lost_its_key_alone_is_waited_for() {
    in_many_empty_worlds(sessions(2), |world| {
        let mut milvus = Milvus::new(Release::Heedless, 3000);
        milvus.end = Some((4 * SECOND, End::KeyDeleted));
        let fault = milvus_leads(world, milvus);
        let id = world.milvus().next().map(Milvus::server_id);
        start_all(world);
        world.wait("both say so", |world| world.times(0, blocked) > 0 && world.times(1, blocked) > 0);
        assert_eq!(blocking_key(world, 0), format!("by-dev/meta/session/rootcoord-{}", id.unwrap()));
        world.stays("nobody takes the role", 10 * SECOND, nobody_is_active);
        world.undo(fault);
        world.wait_for("one is active", 5 * SECOND, |world| world.active(0).is_some());
    });
}

#[test]
fn f51_session_that_never_saw_the_holder_suspects_each_milvus_member() {
    in_many_empty_worlds(sessions(1), |world| {
        let fault = milvus_leads(world, Milvus::new(Release::Heedless, 3000));
        world.inject(Fault::Delete(Which::Active));
        world.start(0);
        world.wait("it says so", |world| world.times(0, blocked) > 0);
        world.stays("it does not take the role", 5 * SECOND, nobody_is_active);
        world.undo(fault);
        world.wait_for("it is active", 5 * SECOND, |world| world.is_active(0));
    });
}

#[test]
fn f51_session_that_saw_nothing_for_a_while_suspects_each_milvus_member() {
    in_many_worlds(sessions(2), |world| {
        // The standby is cut off while the holder ends and a Milvus session takes the role and loses its key.
        let cut = world.inject(Fault::Cut {
            node: 1,
            up: crate::world::network::Way::Lost,
            down: crate::world::network::Way::Lost,
        });
        world.stop(0);
        world.wait("the key is gone", |world| world.store.get(&world.roles[0].keys.active).is_none());
        let fault = milvus_leads(world, Milvus::new(Release::Heedless, 3000));
        world.inject(Fault::Delete(Which::Active));
        world.undo(cut);
        world.wait("it says so", |world| world.times(1, blocked) > 0);
        world.stays("it does not take the role", 5 * SECOND, nobody_is_active);
        world.undo(fault);
        world.wait_for("it is active", 5 * SECOND, |world| world.is_active(1));
    });
}

#[test]
fn f51_role_is_left_alone_for_the_delay_after_a_milvus_holder() {
    let nodes = vec![NodeConfig { milvus_takeover_delay: 3 * SECOND, ..NodeConfig::default() }; 2];
    in_many_empty_worlds(nodes, |world| {
        let mut milvus = Milvus::new(Release::Watching, 3000);
        milvus.end = Some((4 * SECOND, End::LeaseRevoked));
        milvus.lingers = longest_linger(3 * SECOND);
        milvus_leads(world, milvus);
        start_all(world);
        world.wait("they say so", |world| world.times(0, blocked) > 0 && world.times(1, blocked) > 0);
        assert_eq!(blocking_key(world, 0), "by-dev/meta/session/rootcoord");
        let acts = |world: &World| world.milvus().any(|milvus| milvus.acts(world.now));
        assert!(acts(world), "it acts on{}", world.story());
        world.wait("one is active", |world| world.active(0).is_some());
        assert!(!acts(world), "not any more{}", world.story());
    });
}

#[test]
fn f51_mixcoord_waits_for_sessions_of_the_old_coordinators() {
    let nodes = vec![NodeConfig { role: "mixcoord", ..NodeConfig::default() }; 2];
    in_many_empty_worlds(nodes, |world| {
        let fault = world.inject(Fault::OldSession { ttl_ms: 1000 });
        world.run_for(20 * MS);
        start_all(world);
        world.wait("they say so", |world| world.times(0, blocked) > 0 && world.times(1, blocked) > 0);
        assert_eq!(blocking_key(world, 0), "by-dev/meta/session/datacoord");
        let began = world.now;
        world.stays("nobody takes the role", 5 * SECOND, nobody_is_active);
        let sent = world.sent_since(0, began, |_| true);
        assert!(sent < 20, "{sent} requests in 5 s{}", world.story());
        world.undo(fault);
        world.wait_for("one is active", 5 * SECOND, |world| world.active(0).is_some());
    });
}

/// Whether the term record is written again right after a takeover.
fn is_renewed_at_once(world: &mut World) -> bool {
    world.kill(0);
    world.wait("the other is active", |world| world.is_active(1));
    let token = world.token(1);
    world.run_for(10 * MS);
    term(world) > token
}

#[test]
fn f52_takeover_before_a_milvus_standby_is_followed_by_one_more_write() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::MilvusSession(Milvus::new(Release::Watching, 3000)));
        world.wait("it stands by", |world| world.milvus().any(|milvus| milvus.server_id() != 0));
        world.run_for(20 * MS);
        assert!(is_renewed_at_once(world), "{}", world.story());
    });
    in_many_worlds(sessions(2), |world| assert!(!is_renewed_at_once(world), "there is no need{}", world.story()));
}

#[test]
fn f53_lease_that_a_milvus_process_finds_in_the_record_and_revokes_is_an_ordinary_loss() {
    in_many_worlds(sessions(2), |world| {
        let active = world.store.get(&world.roles[0].keys.active).cloned().expect("the active key");
        let record: serde_json::Value = serde_json::from_slice(&active.value).unwrap();
        let lease = record["LeaseID"].as_i64().expect("a lease");
        assert_eq!(lease, world.nodes[0].lease);
        let times = world.times(0, |event| matches!(event, Event::Registered { .. }));
        world.inject(Fault::RevokeLease(0));
        let fault = world.inject(Fault::MilvusSession(Milvus::new(Release::Watching, 3000)));
        world.wait("it has stepped down", |world| world.end_of_term(0).is_some());
        world.wait("it has registered again", |world| {
            world.times(0, |event| matches!(event, Event::Registered { .. })) > times
        });
        assert_ne!(world.nodes[0].lease, lease);
        world.run_for(SECOND);
        world.undo(fault);
        world.wait_for("one is active", 5 * SECOND, |world| world.active(0).is_some());
    });
}

#[test]
fn f53_keys_that_a_milvus_process_deletes_are_an_ordinary_loss() {
    in_many_worlds(sessions(3), |world| {
        for which in [Which::Active, Which::Member(0), Which::Member(1), Which::Member(2)] {
            world.inject(Fault::Delete(which));
        }
        world.wait("it has stepped down", |world| world.end_of_term(0).is_some());
        world.wait("all are registered again", |world| {
            (0..3).all(|at| world.store.get(&world.member_key(at)).is_some())
        });
        world.wait_for("one is active", 5 * SECOND, |world| world.active(0).is_some());
    });
}

#[test]
fn f55_exclusive_session_restarted_within_its_time_to_live_takes_the_role() {
    let nodes = vec![NodeConfig { active_standby: false, ..NodeConfig::default() }];
    in_many_empty_worlds(nodes, |world| {
        world.start(0);
        world.wait("it is active", |world| world.is_active(0));
        world.run_for(SECOND);
        world.kill(0);
        world.start(0);
        world.wait_for("it is active again", 5 * SECOND, |world| world.is_active(0));
    });
}

#[test]
fn f55_exclusive_session_names_a_dead_milvus_holder_and_outwaits_its_lease() {
    let nodes = vec![NodeConfig { active_standby: false, ..NodeConfig::default() }];
    in_many_empty_worlds(nodes, |world| {
        let mut milvus = Milvus::new(Release::Watching, 60_000);
        milvus.end = Some((0, End::Killed));
        milvus_leads(world, milvus);
        let id = world.milvus().next().map(Milvus::server_id).unwrap();
        world.start(0);
        let named = |event: &Event| matches!(event, Event::Holder(Some(holder)) if holder.server_id == id);
        world.wait_for("it names the holder", SECOND, |world| world.times(0, named) > 0);
        // Longer than its own time to live and 5 s.
        world.wait_for("it is active", 70 * SECOND, |world| world.is_active(0));
    });
}
