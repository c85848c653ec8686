//! From start to end: registering, standing by, winning, leaving, resigning, and all that goes wrong at these.

use std::time::Duration;

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Role, Session, Until, activation_failed};

use crate::support::wait::until;
use crate::world::{PATIENCE, Place, activate, expect, leave, short, stop, with};

#[test]
fn a_new_priority_is_written_and_makes_its_session_the_next_one() {
    let place = Place::new();
    let (active, token) = place.active(1);
    // It ranks behind the other one, and leaves it this much time, on a busy machine too.
    let first = Session::start(&with(place.config(2), keys::ELECTION_RANK_STEP_MS, "5000"), None).unwrap();
    expect(&first, EventKind::Standby);
    let second = place.standby(3);
    for refused in [-1001, 1001, i32::MIN] {
        let error = second.set_priority(refused).unwrap_err();
        assert_eq!((error.kind(), error.detail("key")), (ErrorKind::InvalidArgument, Some(keys::PRIORITY)));
    }
    second.set_priority(1000).unwrap();
    active.set_priority(-1000).unwrap();
    let written = |session: &Session, priority: i32| {
        let member = format!("by-dev/meta/session/rootcoord-{}", session.server_id());
        let wanted = format!("\"Priority\":{priority},");
        until("the record with the priority", || {
            let read = active.txn(token).get_prefix("by-dev/", 0).commit(None).unwrap();
            let record = read.kvs.into_iter().find(|kv| kv.key == member.as_bytes()).unwrap();
            String::from_utf8_lossy(&record.value).contains(&wanted).then_some(())
        });
    };
    written(&second, 1000);
    written(&active, -1000);
    assert!(active.holds(token));
    stop(&active);
    assert!(activate(&second) > token);
    assert_eq!(first.role(), Role::Standby);
    stop(&second);
    activate(&first);
    stop(&first);
    assert_eq!(first.set_priority(1).unwrap_err().kind(), ErrorKind::Ended);
}

#[test]
fn a_session_registers_stands_by_activates_and_is_active_only_after_ready() {
    let place = Place::new();
    let session = place.start(1);
    let registered = expect(&session, EventKind::Registered);
    assert!(registered.server_id() > 0 && registered.ttl_ms() >= 36_000);
    assert_eq!(registered.role_name(), "rootcoord");
    assert_eq!(session.server_id(), registered.server_id());

    let activate = expect(&session, EventKind::Activate);
    let token = activate.token();
    assert!(activate.remaining_ms() > 0 && activate.remaining_ms() <= 12_000);
    assert_eq!(session.role(), Role::Activating);
    assert_eq!((session.is_active(), session.holds(token), session.is_ending(token)), (false, true, false));
    assert_eq!(session.fencing_token(), token);

    session.activation_done(token, Ok(())).unwrap();
    assert_eq!((session.is_active(), session.role()), (true, Role::Active));
    assert!(session.remaining() > Duration::ZERO);
    assert_eq!(session.active_key(), b"by-dev/meta/session/rootcoord");
    let holder = until("the session sees its own key", || session.holder());
    assert_eq!((holder.token, holder.address.as_str()), (token, "127.0.0.1:1"));
    assert_eq!(session.holder_event().server_id(), session.server_id());

    session.request_stop();
    assert!(!session.is_active() && session.holds(token) && session.is_ending(token));
    let leaving = expect(&session, EventKind::Deactivate);
    assert_eq!((leaving.reason(), leaving.held()), (Some(Reason::Stop), true));
    session.deactivation_done(token).unwrap();
    assert!(!session.holds(token));
    expect(&session, EventKind::TermEnded);
    let ended = expect(&session, EventKind::Ended);
    assert!(ended.error().is_none());
    assert_eq!((session.role(), session.fencing_token()), (Role::Ended, 0));
    assert_eq!(session.next_event(Some(PATIENCE)).unwrap_err().kind(), ErrorKind::Ended);
}

#[test]
fn f02_a_standby_takes_over_when_the_active_one_stops_with_a_greater_token() {
    let place = Place::new();
    let (first, old) = place.active(1);
    let second = place.standby(2);
    let holder = second.holder().unwrap();
    assert_eq!((holder.token, holder.server_id), (old, first.server_id()));
    stop(&first);
    let new = activate(&second);
    assert!(new > old);
    assert!(second.is_active() && second.holds(new) && !second.holds(old));
    stop(&second);
}

#[test]
fn f03_the_role_is_kept_and_renewed_until_the_application_has_left() {
    let place = Place::new();
    let config = with(short(place.config(1)), keys::DEACTIVATION_TIMEOUT_MS, "60000");
    let first = Session::start(&config, None).unwrap();
    let token = activate(&first);
    let second = place.standby(2);
    first.request_stop();
    expect(&first, EventKind::Deactivate);
    let mut before = first.remaining();
    let mut renewals = 0;
    until("the role is renewed while it is drained, for longer than a hold time", || {
        let now = first.remaining();
        renewals += u32::from(now > before);
        before = now;
        assert!(first.holds(token) && !first.is_active());
        (renewals == 6).then_some(())
    });
    assert_eq!(second.role(), Role::Standby);
    first.deactivation_done(token).unwrap();
    activate(&second);
    leave(&first);
    stop(&second);
}

#[test]
fn f04_an_application_that_never_leaves_is_fenced_at_the_limit() {
    let place = Place::new();
    let config = with(place.config(1), keys::DEACTIVATION_TIMEOUT_MS, "300");
    let first = Session::start(&config, None).unwrap();
    let token = activate(&first);
    let second = place.standby(2);
    first.resign(Duration::ZERO).unwrap();
    expect(&first, EventKind::Deactivate);
    assert_eq!(expect(&first, EventKind::TermEnded).reason(), Some(Reason::Resign));
    assert!(!first.holds(token));
    let blocked = expect(&first, EventKind::Blocked);
    assert_eq!(blocked.reason(), Some(Reason::CallbackBusy));
    activate(&second);
    // Only once it has left does it contend again.
    first.deactivation_done(token).unwrap();
    stop(&second);
    activate(&first);
    stop(&first);
}

#[test]
fn who_resigns_stands_by_and_comes_back() {
    let place = Place::new();
    let (first, token) = place.active(1);
    let second = place.standby(2);
    // Long enough for the other one to win meanwhile, on a busy machine too.
    first.resign(Duration::from_secs(5)).unwrap();
    assert!(!first.is_active() && first.is_ending(token));
    let leaving = expect(&first, EventKind::Deactivate);
    assert_eq!((leaving.reason(), leaving.held()), (Some(Reason::Resign), true));
    first.deactivation_done(token).unwrap();
    expect(&first, EventKind::Standby);
    activate(&second);
    stop(&second);
    assert!(activate(&first) > token);
    stop(&first);
}

#[test]
fn f72_a_failed_activation_gives_others_their_turn() {
    let place = Place::new();
    let first = place.start(1);
    let token = expect(&first, EventKind::Activate).token();
    let second = place.standby(2);
    let failure = activation_failed(10_007, "no disk");
    first.activation_done(token, Err(failure)).unwrap();
    assert!(!first.holds(token));
    let ended = expect(&first, EventKind::TermEnded);
    assert_eq!(ended.reason(), Some(Reason::ActivationFailed));
    let cleanup = expect(&first, EventKind::Deactivate);
    assert_eq!((cleanup.held(), cleanup.token()), (false, token));
    let error = cleanup.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::ActivationFailed);
    assert_eq!((error.message(), error.detail("code")), ("no disk", Some("10007")));
    first.deactivation_done(token).unwrap();
    assert!(activate(&second) > token);
    stop(&first);
    stop(&second);
}

#[test]
fn f37_an_activation_that_hangs_is_ended_at_its_limit() {
    let place = Place::new();
    let config = with(place.config(1), keys::ACTIVATION_TIMEOUT_MS, "200");
    let session = Session::start(&config, None).unwrap();
    let token = expect(&session, EventKind::Activate).token();
    let ended = expect(&session, EventKind::TermEnded);
    assert_eq!(ended.reason(), Some(Reason::ActivationTimeout));
    assert!(session.is_ending(token));
    let late = session.activation_done(token, Ok(())).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Fenced);
    leave_after_stop(&session);
}

fn leave_after_stop(session: &Session) {
    session.request_stop();
    leave(session);
}

#[test]
fn answers_that_are_late_early_or_doubled_change_nothing() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let kind = |result: coordha::error::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(session.activation_done(token, Ok(()))), ErrorKind::State);
    assert_eq!(kind(session.deactivation_done(token)), ErrorKind::State);
    assert_eq!(kind(session.activation_done(token + 1, Ok(()))), ErrorKind::Fenced);
    assert_eq!(kind(session.deactivation_done(token - 1)), ErrorKind::Fenced);
    session.request_stop();
    assert_eq!(kind(session.activation_done(token, Ok(()))), ErrorKind::Fenced);
    session.deactivation_done(token).unwrap();
    assert_ne!(kind(session.deactivation_done(token)), ErrorKind::State);
    session.wait(Until::Ended, Some(PATIENCE)).unwrap();
    assert_eq!(kind(session.deactivation_done(token)), ErrorKind::Ended);
    assert_eq!(kind(session.resign(Duration::ZERO)), ErrorKind::Ended);
    session.request_stop();
    session.stop(Some(Duration::ZERO)).unwrap();
}

#[test]
fn f07_a_standby_that_is_stopped_ends_at_once() {
    let place = Place::new();
    let (first, _) = place.active(1);
    let second = place.standby(2);
    second.stop(Some(PATIENCE)).unwrap();
    assert_eq!(second.role(), Role::Ended);
    let third = place.start(2);
    expect(&third, EventKind::Standby);
    stop(&third);
    stop(&first);
}

#[test]
fn a_paused_session_does_not_contend_and_a_resumed_one_does() {
    let place = Place::new();
    let config = with(place.config(1), keys::ELECTION_PAUSED, "true");
    let session = Session::start(&config, None).unwrap();
    let blocked = expect(&session, EventKind::Blocked);
    assert_eq!(blocked.reason(), Some(Reason::Paused));
    session.resume().unwrap();
    let token = activate(&session);
    session.pause().unwrap();
    assert!(session.holds(token) && session.is_active());
    stop(&session);
}

#[test]
fn an_exclusive_session_says_who_holds_the_role_and_fails() {
    let place = Place::new();
    let (first, token) = place.active(1);
    let mut config = with(place.config(2), keys::ACTIVE_STANDBY_ENABLED, "false");
    config = with(config, keys::EXCLUSIVE_WAIT_MS, "0");
    let second = Session::start(&config, None).unwrap();
    let holder = expect(&second, EventKind::Holder);
    assert_eq!((holder.token(), holder.address()), (token, Some("127.0.0.1:1")));
    let error = second.wait(Until::Active, Some(PATIENCE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RoleHeld);
    assert_eq!(error.detail("holder_address"), Some("127.0.0.1:1"));
    let error = second.wait(Until::Ended, Some(PATIENCE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RoleHeld);
    stop(&first);
}

#[test]
fn one_role_with_one_address_is_started_once_in_a_process() {
    let place = Place::new();
    let (first, _) = place.active(1);
    let error = Session::start(&place.config(1), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyStarted);
    let other_role = with(place.config(1), keys::ROLE, "querycoord");
    let second = Session::start(&other_role, None).unwrap();
    activate(&second);
    stop(&second);
    stop(&first);
    let again = place.start(1);
    activate(&again);
    stop(&again);
}

#[test]
fn the_last_handle_that_is_dropped_lets_the_role_go() {
    let place = Place::new();
    let (first, _) = place.active(1);
    let second = place.standby(2);
    let clone = first.clone();
    drop(first);
    assert!(clone.is_active());
    drop(clone);
    activate(&second);
    second.close();
}

#[test]
fn closing_does_not_wait_for_answers_that_nobody_can_give() {
    let place = Place::new();
    let config = with(place.config(1), keys::DEACTIVATION_TIMEOUT_MS, "3600000");
    let first = Session::start(&config, None).unwrap();
    activate(&first);
    let second = place.standby(2);
    first.close();
    activate(&second);
    second.close();
    // The role is free at once: closing has released it.
    let (third, _) = place.active(3);
    third.close();
}

#[test]
fn with_automatic_activation_nothing_need_be_said() {
    let place = Place::new();
    let config = with(place.config(1), keys::ACTIVATION_AUTO, "true");
    let session = Session::start(&config, None).unwrap();
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    assert!(session.is_active());
    session.stop(Some(PATIENCE)).unwrap();
    let kinds: Vec<_> = std::iter::from_fn(|| session.next_event(Some(PATIENCE)).ok())
        .map(|event| event.kind())
        .filter(|kind| kind.is_kept())
        .collect();
    assert_eq!(
        kinds,
        [EventKind::Activate, EventKind::Active, EventKind::Deactivate, EventKind::TermEnded, EventKind::Ended]
    );
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let error = Session::builder().set(keys::ROLE, "rootcoord").start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigMissing);
    let error = Session::builder().set("rôle", "x").set(keys::ROLE, "").start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigKey);
    let place = Place::new();
    let config = with(place.config(1), keys::STORE_URL, "local:/proc/nowhere");
    let error = Session::start(&config, None).unwrap_err();
    assert!(error.message().contains("store.url"), "{error}");
    // The name was not taken by the start that failed.
    let (session, _) = place.active(1);
    stop(&session);
}
