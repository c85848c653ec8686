//! Applications that do not get ready.

use coordha::election::{Event, Reason, Request};
use coordha::error::ErrorKind;

use crate::world::clock::{MS, SECOND};
use crate::world::config::{AppConfig, NodeConfig};
use crate::world::fault::Fault;
use crate::world::script::{in_many_empty_worlds, sessions};

fn activate(event: &Event) -> bool {
    matches!(event, Event::Activate { .. })
}

#[test]
fn f37_hung_activation_steps_down_and_another_tries() {
    let mut nodes = sessions(3);
    nodes[0].app.hangs = 1000;
    in_many_empty_worlds(nodes, |world| {
        world.start(0);
        world.wait("it is told to activate", |world| world.times(0, activate) > 0);
        world.start(1);
        world.start(2);
        world.wait("another is active", |world| world.active(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::ActivationTimeout));
        assert_eq!(world.times(0, |event| matches!(event, Event::Active { .. })), 0);
    });
}

#[test]
fn f38_lease_lost_during_activation_cancels_it() {
    let mut nodes = sessions(2);
    nodes[0].app.activate = 2 * SECOND;
    in_many_empty_worlds(nodes, |world| {
        world.start(0);
        world.wait("it is told to activate", |world| world.times(0, activate) > 0);
        let token = world.token(0);
        world.run_for(500 * MS);
        world.inject(Fault::RevokeLease(0));
        let took = world.wait("it is told to leave", |world| {
            world.times(0, |event| matches!(event, Event::Deactivate { held: false, .. })) > 0
        });
        assert!(took < 100 * MS, "{took} ns{}", world.story());
        let ready = Request::ActivationDone { token, result: Ok(()) };
        let late = world.ask(0, ready).map_err(|error| error.kind());
        assert_eq!(late, Err(ErrorKind::Fenced));
        assert_eq!(world.times(0, |event| matches!(event, Event::Active { .. })), 0);
        world.start(1);
        world.wait("one is active", |world| world.active(0).is_some());
    });
}

#[test]
fn f39_failed_activation_burns_its_token_and_contends_again() {
    in_many_empty_worlds(sessions(1), |world| {
        let app = AppConfig { fails: 1000, ..AppConfig::default() };
        let fault = world.inject(Fault::App { node: 0, app });
        world.start(0);
        world.wait("the activation has failed", |world| world.end_of_term(0).is_some());
        assert_eq!(world.end_of_term(0), Some(Reason::ActivationFailed));
        let (failed, burned) = (world.now, world.roles[0].token);
        assert_eq!(world.token(0), 0);
        world.undo(fault);
        world.wait("it is active", |world| world.is_active(0));
        assert!(world.token(0) > burned, "{}", world.story());
        let backoff = world.nodes[0].clock.span(world.nodes[0].config.activation_backoff);
        assert!(world.now - failed >= backoff, "it has paused{}", world.story());
    });
}

#[test]
fn f72_activation_that_always_fails_on_rank_0_leaves_the_role_to_rank_1() {
    let mut nodes = sessions(3);
    nodes[0] =
        NodeConfig { priority: 10, app: AppConfig { fails: 1000, ..AppConfig::default() }, ..NodeConfig::default() };
    in_many_empty_worlds(nodes, |world| {
        world.start(0);
        world.wait("it has failed once", |world| world.end_of_term(0).is_some());
        world.start(1);
        world.start(2);
        world.wait_for("another is active", 10 * SECOND, |world| world.active(0).is_some());
        let tries = world.times(0, activate);
        assert!(tries <= 3, "{tries} tries of the first{}", world.story());
        let active = world.active(0);
        world.stays("the other stays active", 20 * SECOND, |world| world.active(0) == active);
    });
}
