//! Sessions that end, in order or not.

use coordha::election::{Event, Reason};

use crate::world::clock::{MS, SECOND};
use crate::world::config::{AppConfig, NodeConfig};
use crate::world::fault::{Fault, Which};
use crate::world::message::Kind;
use crate::world::network::{Act, Filter};
use crate::world::script::{in_many_worlds, sessions};

#[test]
fn f01_killed_active_is_replaced() {
    in_many_worlds(sessions(3), |world| {
        world.kill(0);
        let took = world.wait("another is active", |world| world.active(0).is_some());
        let limit = world.nodes[1].config.ttl + SECOND;
        assert!(took <= limit, "{took} ns{}", world.story());
    });
}

#[test]
fn f01_killed_active_of_the_same_host_is_replaced_at_once() {
    let node = NodeConfig { host: Some(7), ..NodeConfig::default() };
    in_many_worlds(vec![node; 3], |world| {
        world.kill(0);
        let took = world.wait("another is active", |world| world.active(0).is_some());
        assert!(took < 100 * MS, "{took} ns{}", world.story());
    });
}

#[test]
fn f02_stopped_active_leaves_first_and_is_replaced_at_once() {
    let mut nodes = sessions(3);
    nodes[0].app.leave = 300 * MS;
    in_many_worlds(nodes, |world| {
        let asked = world.now;
        world.stop(0);
        world.wait("another is active", |world| world.active(0).is_some_and(|at| at != 0));
        let left = world.said(0, |event| matches!(event, Event::TermEnded { .. }));
        let left = left.expect("the term has ended");
        assert!(left >= asked + 300 * MS, "it drained{}", world.story());
        assert_eq!(world.end_of_term(0), Some(Reason::Stop));
        let began = world.active(0).and_then(|at| world.said(at, |event| matches!(event, Event::Activate { .. })));
        let gap = began.expect("it was told to activate") - left;
        // Two round trips of at most 4 ms, a watch notice, and the turns of the ranks.
        assert!(gap < 120 * MS, "{gap} ns{}", world.story());
        world.wait("it has ended", |world| !world.nodes[0].is_alive());
    });
}

#[test]
fn f04_stuck_deactivation_is_fenced_at_its_limit() {
    let mut nodes = sessions(3);
    nodes[0].app = AppConfig { stuck: 1000, ..AppConfig::default() };
    in_many_worlds(nodes, |world| {
        let asked = world.now;
        let token = world.token(0);
        world.resign(0, 0);
        world.wait("another is active", |world| world.active(0).is_some_and(|at| at != 0));
        let limit = world.nodes[0].clock.span(world.nodes[0].config.deactivation_timeout);
        let fenced = world.said(0, |event| matches!(event, Event::TermEnded { token: of, .. } if *of == token));
        let fenced = fenced.expect("the term has ended") + 1;
        assert!(fenced >= asked + limit, "the role was kept up to the limit{}", world.story());
        assert!(world.now < asked + limit + SECOND, "and no longer{}", world.story());
        // Until the application has left, the session does not contend.
        let winner = world.active(0).expect("one is active");
        world.kill(winner);
        world.stays("it does not contend", 5 * SECOND, |world| !world.is_active(0));
        let blocked = Event::Blocked { reason: Reason::CallbackBusy, holder: None, key: None };
        let busy = |event: &Event| matches!(event, Event::Blocked { reason: Reason::CallbackBusy, .. });
        assert!(world.times(0, busy) > 0, "{blocked:?} was said{}", world.story());
    });
}

#[test]
fn f07_stopped_standby_ends_promptly_and_takes_its_member_key_away() {
    in_many_worlds(sessions(3), |world| {
        let (key, token) = (world.member_key(1), world.token(0));
        assert!(world.store.get(&key).is_some());
        world.stop(1);
        let took = world.wait("it has ended", |world| !world.nodes[1].is_alive());
        assert!(took < 100 * MS, "{took} ns{}", world.story());
        assert_eq!(world.nodes[1].ended, Some(None));
        assert!(world.store.get(&key).is_none());
        assert_eq!(world.token(0), token);
    });
}

#[test]
fn f41_late_delete_does_not_touch_the_next_holder() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::Filter(Filter {
            node: Some(0),
            requests: true,
            kind: Some(Kind::Release),
            act: Act::Delay(4 * SECOND),
        }));
        world.resign(0, 60 * SECOND);
        world.wait("the delete is under way", |world| world.is_under_way(0, Kind::Release));
        // Nothing else of it goes out: only the late delete is left of the old term.
        world.kill(0);
        world.wait("the other is active", |world| world.is_active(1));
        assert!(world.is_under_way(0, Kind::Release), "it is still under way{}", world.story());
        let token = world.token(1);
        world.stays("the other is untouched", 6 * SECOND, |world| world.is_active(1) && world.token(1) == token);
        assert!(!world.is_under_way(0, Kind::Release), "it has arrived{}", world.story());
        let active = world.store.get(&world.roles[0].keys.active);
        assert_eq!(active.map(|kv| kv.mod_revision), Some(token));
    });
}

#[test]
fn f43_node_restarted_on_the_same_address_stands_by_and_sees_the_newer_token() {
    in_many_worlds(sessions(2), |world| {
        let old = world.token(0);
        world.kill(0);
        world.wait("the other is active", |world| world.is_active(1));
        world.start(0);
        world.wait("the old one stands by", |world| world.is_standby(0));
        let token = world.token(1);
        assert!(token > old);
        let newest = Event::Holder(world.nodes[0].election.as_ref().and_then(|election| election.holder()));
        assert!(matches!(&newest, Event::Holder(Some(holder)) if holder.token == token), "{newest:?}{}", world.story());
    });
}

#[test]
fn f68_stranger_who_puts_the_active_key_of_a_dead_holder_is_waited_for_once() {
    in_many_worlds(sessions(2), |world| {
        world.kill(0);
        world.inject(Fault::Put { which: Which::Active, text: "mine now", ttl_ms: 0 });
        world.wait("the stranger is reported", |world| {
            world.times(1, |event| matches!(event, Event::Foreign { .. })) > 0
        });
        world.wait_for("the other is active", 3 * SECOND, |world| world.is_active(1));
    });
}
