//! Messages that are lost, late or double, and nodes that are cut off or stopped.

use coordha::election::{Event, Reason};

use crate::world::clock::{MS, SECOND};
use crate::world::fault::Fault;
use crate::world::message::Kind;
use crate::world::network::{Act, Filter, Way};
use crate::world::script::{in_many_worlds, sessions};

fn cut(node: usize, up: Way, down: Way) -> Fault {
    Fault::Cut { node, up, down }
}

#[test]
fn f11_winner_whose_reply_was_lost_becomes_active() {
    in_many_worlds(sessions(2), |world| {
        let fault = world.inject(Fault::Filter(Filter {
            node: Some(1),
            requests: false,
            kind: Some(Kind::Campaign),
            act: Act::Lose,
        }));
        let owned = world.roles[0].owners.len();
        world.kill(0);
        world.wait("its campaign has committed", |world| world.roles[0].owners.len() > owned);
        let (won, _) = world.roles[0].owners[owned];
        world.wait("it is active", |world| world.is_active(1));
        assert_eq!(world.token(1), won, "by that very campaign{}", world.story());
        assert_eq!(world.roles[0].owners.len(), owned + 1);
        world.undo(fault);
    });
}

#[test]
fn f12_campaign_that_arrives_twice_starts_one_term() {
    in_many_worlds(sessions(2), |world| {
        world.inject(Fault::Filter(Filter {
            node: Some(1),
            requests: true,
            kind: Some(Kind::Campaign),
            act: Act::Double(20 * MS),
        }));
        let owned = world.roles[0].owners.len();
        world.kill(0);
        world.wait("it is active", |world| world.is_active(1));
        let token = world.token(1);
        world.stays("it is one term", 3 * SECOND, |world| world.token(1) == token);
        assert_eq!(world.roles[0].owners.len(), owned + 1);
        assert_eq!(world.roles[0].campaigns, 1, "the second came and was refused{}", world.story());
    });
}

#[test]
fn f13_partitioned_active_fences_first() {
    in_many_worlds(sessions(3), |world| {
        let key = world.roles[0].keys.active.clone();
        let token = world.token(0);
        world.inject(cut(0, Way::Lost, Way::Lost));
        world.wait("it has fenced itself", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        let kept = world.store.get(&key).map(|kv| kv.mod_revision);
        assert_eq!(kept, Some(token), "before the store could end its lease{}", world.story());
        assert!(world.active(0).is_none());
        world.wait("another is active", |world| world.active(0).is_some());
    });
}

#[test]
fn f14_partitioned_standby_says_so_and_recovers_by_itself() {
    in_many_worlds(sessions(2), |world| {
        let token = world.token(0);
        let fault = world.inject(cut(1, Way::Lost, Way::Lost));
        world.wait("it says that it is cut off", |world| {
            world.times(1, |event| matches!(event, Event::Degraded(_))) > 0
        });
        world.run_for(8 * SECOND);
        world.undo(fault);
        let healed = world.now;
        world.wait("it has recovered", |world| {
            world.said(1, |event| matches!(event, Event::Recovered)).is_some_and(|at| at >= healed)
        });
        world.wait("it stands by", |world| world.is_standby(1));
        assert_eq!(world.token(0), token);
    });
}

#[test]
fn f16_active_that_hears_no_reply_fences_although_the_store_renews() {
    in_many_worlds(sessions(2), |world| {
        let began = world.now;
        world.inject(cut(0, Way::Open, Way::Lost));
        world.wait("it has fenced itself", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        assert!(world.roles[0].renewed > began, "its renewals went on to commit{}", world.story());
        world.wait("another is active", |world| world.is_active(1));
    });
}

#[test]
fn f25_suspended_active_finds_its_deadline_passed_when_it_wakes() {
    in_many_worlds(sessions(2), |world| {
        let fault = world.inject(Fault::Suspend(0));
        world.wait("the other is active", |world| world.is_active(1));
        world.run_for(8 * SECOND);
        world.undo(fault);
        let woke = world.now;
        world.wait("it has noticed", |world| world.end_of_term(0).is_some());
        assert_eq!(world.now, woke, "at once{}", world.story());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        world.stays("it stays out", 2 * SECOND, |world| !world.is_active(0));
    });
}

#[test]
fn f23_active_stopped_past_its_hold_time_is_not_active_when_it_goes_on() {
    in_many_worlds(sessions(2), |world| {
        let token = world.token(0);
        let fault = world.inject(Fault::Freeze(0));
        world.wait("the other is active", |world| world.is_active(1));
        // Its threads read the clock before anything else, and find the deadline passed.
        assert!(!world.nodes[0].holds(world.now));
        world.undo(fault);
        world.run_until(SECOND, |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        // A write that it sent before it was stopped arrives late.
        let (data, proc) = (b"data/rootcoord", world.nodes[0].proc);
        let before = world.store.get(data).cloned();
        world.guarded_write(0, proc, token);
        assert_eq!(world.store.get(data).cloned(), before, "and is refused{}", world.story());
    });
}

#[test]
fn f31_store_that_is_gone_for_a_minute_fences_the_active_and_is_not_flooded() {
    in_many_worlds(sessions(3), |world| {
        let fault = world.inject(Fault::Silence);
        let began = world.now;
        world.wait("it has fenced itself", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::Expired));
        world.stays("nobody is active", 60 * SECOND, |world| (0..3).all(|at| !world.is_active(at)));
        for at in 0..3 {
            let sent = world.sent_since(at, began, |_| true);
            assert!(sent < 60 * 12, "n{at} has sent {sent} requests in a minute{}", world.story());
        }
        world.undo(fault);
        world.wait("one is active", |world| world.active(0).is_some());
    });
}
