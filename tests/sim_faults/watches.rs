//! Watches that lie, and strangers and standbys in great numbers.

use coordha::election::Event;

use crate::world::World;
use crate::world::clock::{MS, Ns, SECOND};
use crate::world::config::{NodeConfig, WorldConfig};
use crate::world::fault::{Fault, WatchFault, Which};
use crate::world::message::Kind;
use crate::world::network::Way;
use crate::world::script::{in_many_empty_worlds, in_many_worlds, sessions};

#[test]
fn f18_deletion_that_no_watch_shows_is_found_by_a_read() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::Watch { node: 1, fault: WatchFault::Silent });
        world.stop(0);
        let took = world.wait("the other is active", |world| world.is_active(1));
        let reread = world.nodes[1].clock.span(world.nodes[1].config.reread);
        assert!(took < reread + SECOND, "{took} ns{}", world.story());
    });
}

#[test]
fn f18_one_change_that_the_watch_leaves_out_is_found_by_a_read() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::Pause(0));
        world.run_for(20 * MS);
        world.inject(Fault::Delete(Which::Term));
        world.inject(Fault::Watch { node: 1, fault: WatchFault::Skips });
        world.inject(Fault::Delete(Which::Active));
        world.wait("the other is active", |world| world.is_active(1));
    });
}

#[test]
fn f19_deletion_before_the_watch_stands_is_not_missed() {
    let mut nodes = sessions(2);
    // Only the watch can tell.
    nodes[1].reread = 600 * SECOND;
    in_many_empty_worlds(nodes, |world| {
        world.start(0);
        world.wait("the first is active", |world| world.is_active(0));
        world.start(1);
        world.wait("it has read and asks for its watch", |world| world.watch_is_under_way(1));
        world.kill(0);
        world.inject(Fault::Delete(Which::Active));
        assert!(world.watch_is_under_way(1), "the watch does not stand yet{}", world.story());
        world.wait("it knows", |world| world.times(1, |event| matches!(event, Event::Holder(None))) > 0);
        world.wait_for("it is active", 3 * SECOND, |world| world.is_active(1));
    });
}

#[test]
fn f20_watch_from_a_compacted_revision_reads_again_and_goes_on() {
    let mut nodes = sessions(2);
    nodes[1].reread = 600 * SECOND;
    in_many_worlds(nodes, |world| {
        world.inject(Fault::Watch { node: 1, fault: WatchFault::Cut });
        world.wait("it asks for its watch again", |world| world.watch_is_under_way(1));
        // It is held up, renewals go on, and what it asks for is compacted before it arrives.
        let fault = world.inject(Fault::Cut { node: 1, up: Way::Held, down: Way::Open });
        world.hold_watches(1);
        world.run_for(2 * SECOND);
        world.inject(Fault::Compact);
        let compacted = world.store.lowest_watchable();
        world.undo(fault);
        world.wait("it watches from later on", |world| {
            let watch = world.nodes[1].watch.as_ref();
            watch.is_some_and(|watch| !watch.silent && watch.next > compacted)
        });
        world.stop(0);
        world.wait_for("it sees the end of the term", SECOND, |world| world.is_active(1));
    });
}

#[test]
fn f21_hundred_puts_a_second_by_a_stranger_start_no_storm() {
    in_many_worlds(sessions(3), |world| {
        let began = world.now;
        let fault = world.inject(Fault::Storm);
        world.run_for(10 * SECOND);
        for at in 0..3 {
            let campaigns = world.sent_since(at, began, |kind| kind == Kind::Campaign);
            let all = world.sent_since(at, began, |_| true);
            assert!(campaigns <= 20, "n{at}: {campaigns} campaigns in 10 s{}", world.story());
            assert!(all <= 300, "n{at}: {all} requests in 10 s{}", world.story());
        }
        world.undo(fault);
        world.wait("one is active", |world| world.active(0).is_some());
    });
}

/// Kills the active one of so many; answers how long the takeover took.
fn takeover_among(count: usize) -> Ns {
    let config = WorldConfig { nodes: vec![NodeConfig::default(); count], ..WorldConfig::default() };
    let mut world = World::new(config, None);
    world.gather();
    world.run_for(3 * SECOND);
    world.roles[0].campaigns = 0;
    world.kill(0);
    let took = world.wait("another is active", |world| world.active(0).is_some());
    world.run_for(2 * SECOND);
    world.assert_sound();
    let role = &world.roles[0];
    let campaigns = role.last_campaigns + role.campaigns;
    assert!(campaigns <= 3, "{campaigns} campaigns among {count}");
    took
}

#[test]
fn f22_two_hundred_standbys_take_over_with_three_campaigns_and_no_slower() {
    let (few, many) = (takeover_among(3), takeover_among(201));
    assert!(many <= few + 100 * MS, "{few} ns with 2 standbys, {many} ns with 200");
}

#[test]
fn f22_two_hundred_standbys_take_an_orderly_end_over_with_three_campaigns() {
    let config = WorldConfig { nodes: vec![NodeConfig::default(); 201], ..WorldConfig::default() };
    let mut world = World::new(config, None);
    world.gather();
    world.roles[0].campaigns = 0;
    world.resign(0, 60 * SECOND);
    world.wait("another is active", |world| world.active(0).is_some_and(|at| at != 0));
    world.run_for(2 * SECOND);
    world.assert_sound();
    let campaigns = world.roles[0].last_campaigns + world.roles[0].campaigns;
    assert!(campaigns <= 3, "{campaigns} campaigns");
}
