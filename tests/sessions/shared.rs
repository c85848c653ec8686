//! Sessions that share one server ID and one lease.

use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::session::{Event, EventKind, Reason, Role, Session, Until};
use tempfile::TempDir;

use crate::counted::Lab;
use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::world::{PATIENCE, activate, config, expect, leave, short, stop, with};

const SESSIONS: &str = "by-dev/meta/session/";

/// A coordinator that shares; all have one address.
fn shared(lab: &Lab, role: &str) -> Config {
    let config = with(config(&lab.url, 1), keys::ROLE, role);
    with(config, keys::SESSION_SHARED, "true")
}

fn auto(lab: &Lab, role: &str) -> Config {
    with(shared(lab, role), keys::ACTIVATION_AUTO, "true")
}

fn lab() -> (TempDir, Lab) {
    let directory = tempfile::tempdir().unwrap();
    let lab = Lab::local(directory.path());
    (directory, lab)
}

fn active_key(role: &str) -> String {
    format!("{SESSIONS}{role}")
}

fn member_key(session: &Session) -> String {
    let (role, id) = (session.role_name(), session.server_id());
    format!("{SESSIONS}{role}-{id}")
}

/// All events that wait now.
fn waiting(session: &Session) -> Vec<Event> {
    std::iter::from_fn(|| session.next_event(Some(Duration::ZERO)).ok()).collect()
}

fn one_of_two_roles_stops(lab: &Lab) {
    let [first, second] = ["datacoord", "indexcoord"].map(|role| lab.start(&short(shared(lab, role))));
    let old = activate(&first);
    let token = activate(&second);
    assert!(first.server_id() > 0);
    assert_eq!(first.server_id(), second.server_id());
    let lease = lab.lease(&active_key("datacoord"));
    assert_ne!(lease, 0);
    for key in [active_key("indexcoord"), member_key(&first), member_key(&second)] {
        assert_eq!(lab.lease(&key), lease, "{key}");
    }
    stop(&first);
    assert_eq!(lab.keys(&active_key("datacoord")), Vec::<String>::new(), "what it had is gone");
    assert_eq!((lab.grants(), lab.revoked()), (1, vec![]));
    // Longer than the time to live: the other one's keepalives carry the lease.
    let term = "by-dev/meta/ha/indexcoord/term";
    let renewed = until("the term record", || lab.get(term)).version;
    until("renewals for longer than the lease would last", || (lab.get(term)?.version > renewed + 14).then_some(()));
    assert!(second.holds(token) && second.is_active());
    let ended = |event: &Event| matches!(event.kind(), EventKind::TermEnded | EventKind::Deactivate);
    let events = waiting(&second);
    assert!(!events.iter().any(ended), "{events:?}");
    let mut txn = second.txn(token);
    txn.put_leased("app/a", "1").commit(None).unwrap();
    assert_eq!(lab.lease("app/a"), lease);
    let again = lab.start(&short(shared(lab, "datacoord")));
    assert!(activate(&again) > old);
    assert_eq!(again.server_id(), second.server_id());
    assert_eq!(lab.lease(&active_key("datacoord")), lease);
    stop(&second);
    assert!(again.is_active());
    assert_eq!((lab.grants(), lab.revoked()), (1, vec![]));
    stop(&again);
    assert_eq!((lab.grants(), lab.revoked()), (1, vec![lease]));
    assert_eq!(lab.keys(SESSIONS), [format!("{SESSIONS}id")]);
    assert!(lab.get("app/a").is_none());
}

#[test]
fn f05_a_lease_of_two_roles_lives_until_the_last_one_has_left() {
    let (_directory, lab) = lab();
    one_of_two_roles_stops(&lab);
}

#[test]
fn f05_a_lease_of_two_roles_lives_until_the_last_one_has_left_on_etcd_too() {
    let etcd = Etcd::start();
    one_of_two_roles_stops(&Lab::etcd(etcd.endpoint(0)));
}

#[test]
fn f05_a_hundred_roles_need_one_lease_and_one_server_id() {
    let (_directory, lab) = lab();
    let sessions: Vec<_> = (0..100).map(|n| lab.start(&auto(&lab, &format!("role{n}")))).collect();
    for session in &sessions {
        session.wait(Until::Active, Some(PATIENCE)).unwrap();
        assert_eq!(session.server_id(), 1);
    }
    let lease = lab.lease(&active_key("role7"));
    for session in &sessions {
        session.request_stop();
    }
    for session in &sessions {
        session.stop(Some(PATIENCE)).unwrap();
    }
    assert_eq!((lab.grants(), lab.revoked()), (1, vec![lease]));
    assert_eq!(lab.keys(SESSIONS), [format!("{SESSIONS}id")]);
}

#[test]
fn a_shared_lease_that_is_revoked_ends_all_terms_and_all_go_on_with_one_new_lease() {
    let (_directory, lab) = lab();
    let roles = ["datacoord", "indexcoord", "querycoord"];
    let sessions = roles.map(|role| lab.start(&shared(&lab, role)));
    let tokens = sessions.each_ref().map(activate);
    let old = lab.lease(&active_key(roles[0]));
    lab.revoke(old);
    for (session, token) in sessions.iter().zip(tokens) {
        let ended = expect(session, EventKind::TermEnded);
        assert_eq!((ended.token(), ended.reason()), (token, Some(Reason::LeaseLost)));
        assert!(!session.holds(token));
        session.deactivation_done(token).unwrap();
    }
    for (session, token) in sessions.iter().zip(tokens) {
        assert!(activate(session) > token);
        assert_eq!(session.server_id(), 1);
    }
    let leases = roles.map(|role| lab.lease(&active_key(role)));
    assert!(leases[0] != old && leases.iter().all(|lease| *lease == leases[0]));
    assert_eq!(lab.grants(), 2);
    sessions.iter().for_each(stop);
    assert_eq!(lab.revoked(), [leases[0]]);
}

#[test]
fn the_next_session_takes_the_server_id_when_the_first_one_stops_before_it_has_it() {
    let (_directory, lab) = lab();
    lab.store.ids.send_replace(false);
    let [first, second, third] = ["datacoord", "indexcoord", "querycoord"].map(|role| lab.start(&shared(&lab, role)));
    // One that only waits for the others answers as any other does.
    second.pause().unwrap();
    second.resume().unwrap();
    assert_eq!(second.activation_done(1, Ok(())).unwrap_err().kind(), ErrorKind::Fenced);
    stop(&third);
    stop(&first);
    assert_eq!((second.role(), second.server_id()), (Role::Starting, 0));
    lab.store.ids.send_replace(true);
    activate(&second);
    assert_eq!(second.server_id(), 1);
    assert_eq!(lab.get("by-dev/meta/session/id").unwrap().value, b"2");
    stop(&second);
    assert_eq!(lab.grants(), 1);
}

#[test]
fn sessions_that_share_an_unreadable_server_id_end_each_by_itself() {
    let (_directory, lab) = lab();
    lab.put("by-dev/meta/session/id", "x");
    let sessions = ["datacoord", "indexcoord"].map(|role| lab.start(&shared(&lab, role)));
    for session in &sessions {
        let ended = leave(session);
        assert_eq!(ended.error().unwrap().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_session_that_finds_the_shared_server_id_taken_takes_one_of_its_own() {
    let (_directory, lab) = lab();
    let foreign = format!("{SESSIONS}indexcoord-1");
    lab.put(&foreign, "{\"ServerID\":1}");
    let [first, second] = ["datacoord", "indexcoord"].map(|role| {
        let session = lab.start(&shared(&lab, role));
        activate(&session);
        session
    });
    assert_eq!((first.server_id(), second.server_id()), (1, 2));
    let lease = lab.lease(&member_key(&first));
    assert_eq!(lab.lease(&member_key(&second)), lease);
    stop(&second);
    assert!(lab.get(&foreign).is_some(), "it is not its own");
    let third = lab.start(&shared(&lab, "querycoord"));
    activate(&third);
    assert_eq!(third.server_id(), 1);
    stop(&third);
    stop(&first);
    assert_eq!(lab.grants(), 1);
}

#[test]
fn a_role_whose_release_fails_leaves_no_active_key_on_the_lease_of_the_others() {
    let (_directory, lab) = lab();
    let stuck = with(auto(&lab, "datacoord"), keys::RELEASE_TIMEOUT_MS, "100");
    let (first, second) = (lab.start(&stuck), lab.start(&shared(&lab, "indexcoord")));
    first.wait(Until::Active, Some(PATIENCE)).unwrap();
    let token = activate(&second);
    *lab.store.unreleased.lock().unwrap() = Some(active_key("datacoord").into_bytes());
    first.request_stop();
    let ended = expect(&first, EventKind::Ended);
    assert_eq!(ended.error().unwrap().kind(), ErrorKind::Unavailable);
    until("its keys are gone", || lab.keys(&active_key("datacoord")).is_empty().then_some(()));
    assert!(second.holds(token));
    assert!(lab.revoked().is_empty());
    stop(&second);
}

#[test]
fn exclusive_sessions_share_too() {
    let (_directory, lab) = lab();
    let [first, second] = ["datacoord", "indexcoord"].map(|role| {
        let config = with(shared(&lab, role), keys::ACTIVE_STANDBY_ENABLED, "false");
        let session = lab.start(&config);
        activate(&session);
        session
    });
    assert_eq!(first.server_id(), second.server_id());
    let lease = lab.lease(&active_key("datacoord"));
    assert_eq!(lab.lease(&active_key("indexcoord")), lease);
    stop(&first);
    assert!(second.is_active());
    assert!(lab.get(&active_key("datacoord")).is_none());
    stop(&second);
    assert_eq!((lab.grants(), lab.revoked()), (1, vec![lease]));
}

#[test]
fn a_role_stands_once_among_those_that_share() {
    let (_directory, lab) = lab();
    let first = lab.start(&shared(&lab, "datacoord"));
    let elsewhere = with(shared(&lab, "datacoord"), keys::ADDRESS, "127.0.0.1:2");
    for config in [shared(&lab, "datacoord"), elsewhere.clone()] {
        let error = lab.try_start(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyStarted);
    }
    let alone = lab.start(&with(elsewhere, keys::SESSION_SHARED, "false"));
    let same = with(shared(&lab, "datacoord"), keys::SESSION_SHARED, "false");
    let error = lab.try_start(&same).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyStarted);
    stop(&alone);
    stop(&first);
    stop(&lab.start(&shared(&lab, "datacoord")));
}

#[test]
fn another_address_another_root_and_a_session_that_does_not_share_have_their_own() {
    let (_directory, lab) = lab();
    let configs = [
        shared(&lab, "datacoord"),
        with(shared(&lab, "indexcoord"), keys::ADDRESS, "127.0.0.1:2"),
        with(shared(&lab, "indexcoord"), keys::ROOT, "other"),
        with(shared(&lab, "querycoord"), keys::SESSION_SHARED, "false"),
    ];
    let sessions = configs.each_ref().map(|config| lab.start(config));
    for session in &sessions {
        activate(session);
    }
    assert_eq!(lab.grants(), 4);
    let mut leases: Vec<_> =
        sessions.iter().map(|session| lab.lease(&String::from_utf8_lossy(session.active_key()))).collect();
    leases.sort_unstable();
    leases.dedup();
    assert_eq!(leases.len(), 4);
    let mut ids = [&sessions[0], &sessions[1], &sessions[3]].map(Session::server_id);
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    sessions.iter().for_each(stop);
}
