//! The mixed coordinator of 2.6.8 and later: four keys, and one that is never deleted.

use crate::place::{Arena, Place, of};
use crate::support::wait::until;

const OLD: [&str; 3] = ["rootcoord", "datacoord", "querycoord"];

/// The value and the revision of a key, as etcdctl shows them.
fn state(arena: &Arena<'_>, key: &str) -> serde_json::Value {
    let text = arena.etcd.ctl(&["get", "-w", "json", &arena.key(key)]);
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["kvs"][0].clone()
}

#[test]
fn our_mixcoord_is_never_free_to_milvus_and_writes_no_key_of_its_own() {
    let Some(place) = Place::start("mixcoord") else { return };
    place.each(&[of("2.6.15"), of("3.0.0-beta")], |arena| {
        let ours = arena.ours(1);
        let token = ours.active_after(0);
        let mut peer = arena.peer(1);
        peer.lines.nth("standby", 1);
        until("its campaign", || (peer.campaigns() > 0).then_some(()));
        // Before each it looks for each of the old coordinators.
        until("three listings a campaign", || (peer.listings() == 3 * peer.campaigns()).then_some(()));
        for key in OLD.into_iter().chain(["version"]) {
            assert_eq!(arena.value(&arena.key(key)), None, "{key}");
        }
        assert!(ours.session.holds(token) && !peer.is_active());
        ours.stop();
        let revision = peer.active();
        assert_eq!(arena.value(&arena.key("version")).unwrap(), arena.release);
        let version = state(arena, "version");
        let ours = arena.ours(2);
        assert_eq!(ours.sees(peer.id(), &crate::peer::address(1)), revision);
        peer.stop();
        ours.active_after(revision);
        assert_eq!(state(arena, "version"), version);
        for key in OLD {
            assert_eq!(arena.value(&arena.key(key)), None, "{key}");
        }
        ours.stop();
    });
}

#[test]
fn our_mixcoord_does_not_begin_while_an_old_coordinator_is_active() {
    let Some(place) = Place::start("mixcoord, old coordinators") else { return };
    for role in OLD {
        let mut arena = place.arena(of("2.6.15"));
        arena.root = format!("{role}/meta");
        let old = arena.with(role, "2.4.0").peer(1);
        old.active();
        let ours = arena.ours(1);
        ours.blocked_by_milvus();
        ours.was_never_active();
        old.stop();
        ours.active_after(0);
        ours.stop();
    }
}

#[test]
fn a_milvus_mixcoord_waits_for_an_old_coordinator_beside_ours() {
    let Some(place) = Place::start("mixcoord, polling") else { return };
    let arena = place.arena(of("2.6.15"));
    let first = arena.peer(1);
    let revision = first.active();
    // Its copies are old sessions to the next one, which never comes to a campaign.
    let mut second = arena.peer(2);
    let ours = arena.ours(1);
    assert_eq!(ours.sees(first.id(), &crate::peer::address(1)), revision);
    assert_eq!(second.campaigns(), 0);
    ours.was_never_active();
    first.stop();
    let holder = until("the next holder", || arena.holder());
    if holder == ours.id() {
        let token = ours.active_after(0);
        ours.stop();
        assert!(second.active() > token);
    } else {
        assert_eq!(holder, second.id());
        second.active();
    }
    second.stop();
}

#[test]
fn a_store_that_a_later_release_has_been_at_is_refused_by_milvus_and_used_by_us() {
    let Some(place) = Place::start("mixcoord, version") else { return };
    let arena = place.arena(of("2.6.15"));
    arena.etcd.ctl(&["put", &arena.key("version"), "2.7.0"]);
    let version = state(&arena, "version");
    assert_eq!(arena.peer(1).exit_code(), 2);
    let ours = arena.ours(1);
    ours.active_after(0);
    assert_eq!(state(&arena, "version"), version);
    ours.stop();
}
