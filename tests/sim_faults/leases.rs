//! Leases that end too early, or are not what they seem.

use coordha::election::{Event, Reason};

use crate::world::clock::{MS, SECOND};
use crate::world::fault::Fault;
use crate::world::message::Kind;
use crate::world::network::{Act, Filter};
use crate::world::script::{in_many_worlds, sessions};

fn registered(event: &Event) -> bool {
    matches!(event, Event::Registered { .. })
}

#[test]
fn f08_standby_whose_lease_is_revoked_registers_again() {
    in_many_worlds(sessions(3), |world| {
        let (lease, times) = (world.nodes[1].lease, world.times(1, registered));
        let token = world.token(0);
        world.inject(Fault::RevokeLease(1));
        world.wait("it has registered again", |world| world.times(1, registered) > times);
        assert_ne!(world.nodes[1].lease, lease);
        let key = world.member_key(1);
        let found = world.store.get(&key).map(|kv| kv.lease);
        assert_eq!(found, Some(world.nodes[1].lease));
        assert_eq!(world.token(0), token, "the active one is not concerned");
    });
}

#[test]
fn f09_standby_whose_lease_was_revoked_takes_over() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::RevokeLease(1));
        world.kill(0);
        world.wait_for("it is active", 8 * SECOND, |world| world.is_active(1));
    });
}

#[test]
fn f10_lease_that_ends_during_a_campaign_wins_nothing() {
    in_many_worlds(sessions(2), |world| {
        let fault = world.inject(Fault::Filter(Filter {
            node: Some(1),
            requests: true,
            kind: Some(Kind::Campaign),
            act: Act::Delay(150 * MS),
        }));
        world.kill(0);
        world.wait("the campaign is under way", |world| world.is_under_way(1, Kind::Campaign));
        let lease = world.nodes[1].lease;
        world.inject(Fault::RevokeLease(1));
        world.wait("the campaign has arrived", |world| !world.is_under_way(1, Kind::Campaign));
        assert_eq!(world.token(1), 0);
        assert!(world.store.get(&world.roles[0].keys.active.clone()).is_none_or(|kv| kv.lease != lease));
        world.undo(fault);
        world.wait_for("it wins with a new lease", 8 * SECOND, |world| world.is_active(1));
        assert_ne!(world.nodes[1].lease, lease);
        let active = world.store.get(&world.roles[0].keys.active);
        assert_eq!(active.map(|kv| kv.lease), Some(world.nodes[1].lease));
    });
}

#[test]
fn f32_deposed_leader_that_answers_keepalives_keeps_nobody_active() {
    in_many_worlds(sessions(3), |world| {
        let token = world.token(0);
        world.inject(Fault::Deposed(0));
        world.wait("another is active", |world| world.active(0).is_some_and(|at| at != 0));
        let ended = world.said(0, |event| matches!(event, Event::TermEnded { token: of, .. } if *of == token));
        assert!(ended.is_some(), "the old term ended first{}", world.story());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        world.stays("it stays out", 9 * SECOND, |world| !world.is_active(0));
    });
}

#[test]
fn f65_member_with_a_huge_hold_time_holds_nobody_up() {
    let mut nodes = sessions(2);
    nodes[0].hold = 1000 * SECOND;
    in_many_worlds(nodes, |world| {
        let ttl = world.nodes[0].config.ttl;
        world.kill(0);
        let took = world.wait("the other is active", |world| world.is_active(1));
        let limit = world.nodes[1].clock.span(ttl / 5 * 4 / 4 * 5);
        assert!(took < limit + 200 * MS, "{took} ns{}", world.story());
    });
}

#[test]
fn f66_lost_replies_to_keepalives_end_the_term_for_good() {
    in_many_worlds(sessions(2), |world| {
        let token = world.token(0);
        world.inject(Fault::Filter(Filter {
            node: Some(0),
            requests: false,
            kind: Some(Kind::KeepAlive),
            act: Act::Lose,
        }));
        world.wait("the term has ended", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        let ended = world.now;
        world.wait("a new term has begun", |world| world.active(0).is_some());
        assert!(world.roles[0].token > token);
        // It was released: nobody had to wait for the hold time.
        assert!(world.now - ended < SECOND, "{}", world.story());
    });
}

#[test]
fn f67_holder_whose_lease_is_revoked_marks_its_term_released() {
    in_many_worlds(sessions(2), |world| {
        let revoked = world.now;
        world.inject(Fault::RevokeLease(0));
        world.wait("the term has ended", |world| world.end_of_term(0).is_some());
        world.wait("a new term has begun", |world| world.active(0).is_some());
        assert!(world.now - revoked < 500 * MS, "nobody waited for the hold time{}", world.story());
    });
}

#[test]
fn f67_revoke_that_overtakes_the_release_holds_nobody_up() {
    let mut nodes = sessions(2);
    nodes[0].app.leave = 400 * MS;
    in_many_worlds(nodes, |world| {
        world.stop(0);
        world.run_for(100 * MS);
        world.inject(Fault::RevokeLease(0));
        world.wait("the term has ended", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::LeaseLost));
        let took = world.wait("the other is active", |world| world.is_active(1));
        // The application leaves after 400 ms, and only then the record is marked.
        assert!(took < 800 * MS, "{took} ns{}", world.story());
        world.wait("it has ended", |world| !world.nodes[0].is_alive());
    });
}
