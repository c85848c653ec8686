//! Keys that somebody deletes or writes over.

use coordha::election::{Event, Reason, Role};
use coordha::error::ErrorKind;
use coordha::kv::Revision;

use crate::world::World;
use crate::world::clock::{MS, Ns, SECOND};
use crate::world::config::NodeConfig;
use crate::world::fault::{Fault, Which};
use crate::world::message::Kind;
use crate::world::network::{Act, Filter, Way};
use crate::world::script::{in_many_empty_worlds, in_many_worlds, sessions};

fn foreign(event: &Event) -> bool {
    matches!(event, Event::Foreign { .. })
}

/// The revision of the term record; 0: it is absent.
fn term(world: &World) -> Revision {
    world.store.get(&world.roles[0].keys.term).map_or(0, |kv| kv.mod_revision)
}

/// 1.25 × H of a session, by its own clock.
fn wait_of(world: &World, at: usize) -> Ns {
    let node = &world.nodes[at];
    node.clock.span(node.config.hold / 4 * 5)
}

#[test]
fn f40_active_whose_key_is_deleted_steps_down_at_once() {
    in_many_worlds(sessions(3), |world| {
        let began = world.now;
        world.inject(Fault::Delete(Which::Active));
        let took = world.wait("it has stepped down", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::KeyDeleted));
        assert!(took < 20 * MS, "{took} ns{}", world.story());
        world.wait("one is active", |world| world.active(0).is_some());
        world.run_for(2 * SECOND);
        let campaigns = |at| world.sent_since(at, began, |kind| kind == Kind::Campaign);
        let all: usize = (0..3).map(campaigns).sum();
        assert!(all <= 3, "{all} campaigns: a race{}", world.story());
        assert_eq!(world.roles[0].terms, 2);
    });
}

#[test]
fn f42_roles_whose_names_begin_alike_do_not_see_each_other() {
    let of = |role| NodeConfig { role, ..NodeConfig::default() };
    let nodes = vec![of("data"), of("datacoord"), of("data"), of("datacoord")];
    in_many_worlds(nodes, |world| {
        let tokens = (world.token(0), world.token(1));
        assert!(tokens.0 != 0 && tokens.1 != 0, "both roles are held{}", world.story());
        let events = world.nodes[1].events.len() + world.nodes[3].events.len();
        world.kill(0);
        world.wait("the other of the role is active", |world| world.is_active(2));
        world.run_for(3 * SECOND);
        assert_eq!(world.token(1), tokens.1);
        let now = world.nodes[1].events.len() + world.nodes[3].events.len();
        assert_eq!(now, events, "the other role heard nothing of it{}", world.story());
    });
}

#[test]
fn f46_server_id_that_is_no_number_is_a_clear_error() {
    in_many_empty_worlds(sessions(1), |world| {
        world.inject(Fault::Put { which: Which::Id, text: "seven", ttl_ms: 0 });
        world.start(0);
        world.wait("it has ended", |world| world.nodes[0].ended.is_some());
        let error = world.nodes[0].ended.clone().flatten().expect("there is an error");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.detail("key"), Some("by-dev/meta/session/id"));
        assert_eq!(error.detail("value"), Some("seven"));
        let sent = world.sent_since(0, 0, |_| true);
        assert!(sent <= 5, "{sent} requests{}", world.story());
        world.inject(Fault::Delete(Which::Id));
    });
}

#[test]
fn f46_hundred_starters_get_different_server_ids() {
    let mut world = World::new(crate::world::config::WorldConfig { nodes: sessions(100), ..Default::default() }, None);
    world.start_all();
    world.wait("all are registered", |world| {
        world.nodes.iter().all(|node| matches!(node.status.role, Role::Standby | Role::Active))
    });
    let mut ids: Vec<_> = world.nodes.iter().map(|node| node.status.server_id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
    world.assert_sound();
}

#[test]
fn f54_records_that_cannot_be_read_are_reported_and_stall_nobody() {
    in_many_worlds(sessions(3), |world| {
        let texts = ["no json", "[]", r#"{"ServerID":"one"}"#, r#"{"Version":"two"}"#];
        for (number, text) in texts.into_iter().enumerate() {
            let key = format!("by-dev/meta/session/rootcoord-{}", 900 + number);
            world.stranger_puts(key.into(), text.as_bytes(), 0);
        }
        world.inject(Fault::Put { which: Which::Member(1), text: "no json", ttl_ms: 0 });
        world.wait("each is reported once", |world| world.times(2, foreign) == 5);
        world.kill(0);
        world.wait_for("another is active", 6 * SECOND, |world| world.active(0).is_some());
        assert_eq!(world.times(2, foreign), 5, "and not again{}", world.story());
    });
}

#[test]
fn f59_deleted_term_record_is_written_again_by_the_next_renewal() {
    in_many_worlds(sessions(3), |world| {
        let token = world.token(0);
        world.inject(Fault::Delete(Which::Term));
        let deleted = world.now;
        world.wait("it is there again", |world| term(world) != 0);
        world.wait("it is renewed", |world| world.roles[0].renewed > deleted);
        world.stays("the same term goes on", 5 * SECOND, |world| world.token(0) == token);
        assert_eq!(world.end_of_term(0), None);
    });
}

#[test]
fn f61_session_that_starts_where_all_was_wiped_waits() {
    in_many_worlds(sessions(1), |world| {
        // The holder does not hear of it, and acts on up to its deadline.
        world.nodes[0].up = Way::Lost;
        world.nodes[0].down = Way::Lost;
        world.inject(Fault::Delete(Which::Everything));
        let config = world.config.nodes[0].clone();
        let newcomer = world.add_node(config);
        world.start(newcomer);
        world.wait("a vacant record is written", |world| term(world) != 0);
        let vacant = world.now;
        world.wait("the newcomer is active", |world| world.is_active(newcomer));
        assert!(world.now >= vacant + wait_of(world, newcomer), "{}", world.story());
        world.nodes[0].up = Way::Open;
        world.nodes[0].down = Way::Open;
    });
}

#[test]
fn f62_wait_begins_with_the_vacant_record_not_with_the_last_renewal_seen() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::WatchLate { node: 1, by: 400 * MS });
        let renewed = world.roles[0].renewed;
        world.wait("it has renewed", |world| world.roles[0].renewed > renewed);
        world.inject(Fault::Cut { node: 0, up: Way::Lost, down: Way::Open });
        world.inject(Fault::Delete(Which::Term));
        world.inject(Fault::Delete(Which::Active));
        world.nodes[0].down = Way::Lost;
        world.wait("a vacant record is written", |world| term(world) != 0);
        let vacant = world.now;
        world.wait("the other is active", |world| world.is_active(1));
        assert!(world.now >= vacant + wait_of(world, 1), "{}", world.story());
    });
}

#[test]
fn f63_absence_is_no_revision_that_a_campaign_could_compare() {
    let mut nodes = sessions(3);
    nodes[1].priority = 1;
    // Enough for the first in rank to be first whatever the clocks.
    nodes[2].rank_step = 500 * MS;
    in_many_worlds(nodes, |world| {
        // The campaign of one standby takes long; the other wins meanwhile, and then all is wiped.
        let late = world.inject(Fault::Filter(Filter {
            node: Some(1),
            requests: true,
            kind: Some(Kind::Campaign),
            act: Act::Delay(2 * SECOND),
        }));
        world.kill(0);
        world.inject(Fault::Delete(Which::Active));
        world.wait("its campaign is under way", |world| world.is_under_way(1, Kind::Campaign));
        world.wait("the other has won", |world| world.is_active(2));
        assert!(world.is_under_way(1, Kind::Campaign));
        world.undo(late);
        let owned = world.roles[0].owners.len();
        // The winner does not hear of it.
        world.inject(Fault::Cut { node: 2, up: Way::Lost, down: Way::Lost });
        world.wait("it is about to arrive", |world| world.is_next(1, Kind::Campaign));
        world.inject(Fault::Delete(Which::Everything));
        world.wait("it has arrived", |world| !world.is_under_way(1, Kind::Campaign));
        assert_eq!(world.roles[0].owners.len(), owned, "and is refused{}", world.story());
    });
}

#[test]
fn f68_active_steps_down_when_a_stranger_puts_its_key() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::Put { which: Which::Active, text: "mine now", ttl_ms: 0 });
        let took = world.wait("it has stepped down", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Superseded));
        assert!(took < 20 * MS, "{took} ns{}", world.story());
        world.wait("it is reported", |world| world.times(1, foreign) > 0);
        world.wait_for("one is active", 3 * SECOND, |world| world.active(0).is_some());
    });
}

#[test]
fn f73_garbage_in_the_term_record_is_mended_by_the_next_renewal() {
    in_many_worlds(sessions(2), |world| {
        let token = world.token(0);
        world.inject(Fault::Put { which: Which::Term, text: "garbage", ttl_ms: 0 });
        let written = world.now;
        world.wait("it is reported", |world| world.times(1, foreign) > 0);
        world.wait_for("it is renewed", SECOND, |world| world.roles[0].renewed > written);
        world.stays("the same term goes on", 5 * SECOND, |world| world.token(0) == token);
    });
}

#[test]
fn f73_garbage_in_the_term_record_of_a_dead_holder_counts_as_vacant() {
    in_many_worlds(sessions(2), |world| {
        world.kill(0);
        world.inject(Fault::Put { which: Which::Term, text: "garbage", ttl_ms: 0 });
        let written = world.now;
        world.wait_for("the other is active", 8 * SECOND, |world| world.is_active(1));
        assert!(world.now >= written + wait_of(world, 1), "it has waited{}", world.story());
    });
}
