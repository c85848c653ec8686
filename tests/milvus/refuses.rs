//! What one of ours does not start beside, and what does not stop it.

use coordha::error::ErrorKind;
use coordha::session::EventKind;

use crate::place::{Arena, Place, of};
use crate::support::wait::until;

const OLD: [&str; 4] = ["rootcoord", "datacoord", "querycoord", "indexcoord"];

/// All keys below the root.
fn everything(arena: &Arena<'_>) -> String {
    arena.etcd.ctl(&["get", "--prefix", &format!("{}/", arena.root)])
}

/// How many leases there are.
fn leases(arena: &Arena<'_>) -> usize {
    arena.etcd.ctl(&["lease", "list"]).lines().count()
}

/// A session of each old coordinator's role ends with an error that names this key, and leaves nothing behind.
fn is_refused_beside(arena: &Arena<'_>, key: &str) {
    let before = (everything(arena), leases(arena));
    for role in OLD {
        for standby in ["true", "false"] {
            let old = arena.with(role, "2.4.0");
            let ours = old.ours_with(7, &[(coordha::config::keys::ACTIVE_STANDBY_ENABLED, standby)]);
            let ended = ours.nth(EventKind::Ended, 1);
            let error = ended.error().unwrap();
            assert_eq!(error.kind(), ErrorKind::ConfigValue, "{error}");
            assert_eq!((error.detail("key"), error.detail("value")), (Some("role"), Some(role)));
            assert!(error.message().contains(key) && error.message().contains("allowed: mixcoord"), "{error}");
            ours.was_never_active();
        }
    }
    assert_eq!((everything(arena), leases(arena)), before);
}

#[test]
fn one_of_ours_of_an_old_coordinators_role_does_not_start_beside_a_mixcoord() {
    let Some(place) = Place::start("old roles beside a mixcoord") else { return };
    let arena = place.arena(of("2.6.15"));
    let mixcoord = arena.peer(1);
    mixcoord.active();
    is_refused_beside(&arena, &arena.key("mixcoord"));
    mixcoord.stop();
    // It asks for that for 1 s; if in vain, its lease runs out.
    until("its keys are gone", || arena.value(&arena.active_key()).is_none().then_some(()));
    // It is never deleted.
    is_refused_beside(&arena, &arena.key("version"));
    arena.delete(&arena.key("version"));
    let ours = arena.with("rootcoord", "2.4.0").ours(8);
    ours.active_after(0);
    ours.stop();
}

#[test]
fn a_stuck_milvus_standby_is_in_nobodys_way_though_ours_has_read_that_nobody_holds_the_role() {
    let Some(place) = Place::start("a stuck standby") else { return };
    let arena = place.arena(of("2.4.0"));
    let (first, second) = (arena.ours(1), arena.ours(2));
    let active = until("an active one", || match (first.session.is_active(), second.session.is_active()) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    });
    let (active, standby) = if active { (first, second) } else { (second, first) };
    let standby_id = standby.id();
    standby.nth(EventKind::Standby, 1);
    let granted = arena.etcd.ctl(&["lease", "grant", "600"]);
    let lease = granted.split_whitespace().nth(1).unwrap().to_owned();
    let record = r#"{"ServerID":99,"ServerName":"querycoord","Address":"127.0.0.2:99","Version":"2.4.0"}"#;
    arena.etcd.ctl(&["put", "--lease", &lease, &arena.member_key(99), record]);
    standby.session.pause().unwrap();
    let version = || arena.etcd.ctl(&["get", "-w", "fields", &arena.member_key(standby_id)]);
    let before = version();
    active.stop();
    // What others write puts a read ahead of the watch. Then it asks the watch, by a write, who held the role last.
    let written = |text: &str| text.lines().find(|line| line.starts_with("\"ModRevision\"")).map(str::to_owned);
    until("its write", || {
        arena.etcd.ctl(&["put", "elsewhere", "x"]);
        (written(&version()) != written(&before)).then_some(())
    });
    standby.session.resume().unwrap();
    standby.active_after(0);
    standby.stop();
    arena.revoke(&lease);
}
