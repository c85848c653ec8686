//! Without standby: restarts on the same address, and seconds where one is active.

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason};

use crate::child::Child;
use crate::peer::{Peer, address};
use crate::place::{Arena, Family, Place, of};

const EXCLUSIVE: (&str, &str) = (keys::ACTIVE_STANDBY_ENABLED, "false");

/// From 2.6.8 on a Milvus coordinator always stands by.
fn families() -> [Family; 5] {
    ["2.2.3", "2.2.10", "2.4.0", "2.6.6", "2.6.7"].map(of)
}

/// The address of ours with this number, for a Milvus coordinator that takes its place.
fn peer_at(arena: &Arena<'_>, number: u16) -> Peer {
    Peer::start(arena, number, &["--address", &format!("127.0.0.1:{number}")], |_| {})
}

#[test]
fn f55_one_of_ours_that_was_killed_restarts_inside_its_lease() {
    let Some(place) = Place::start("f55, ours and ours") else { return };
    let arena = place.arena(of("2.4.0"));
    let mut first = Child::start(&arena, 1, &[EXCLUSIVE], |_| {});
    let token = first.active();
    first.kill();
    let second = Child::start(&arena, 1, &[EXCLUSIVE], |_| {});
    assert!(second.active() > token);
    assert!(second.lines.of("ENDED").is_empty());
}

#[test]
fn f55_one_of_ours_takes_the_place_of_a_killed_milvus_coordinator_on_its_address() {
    let Some(place) = Place::start("f55, Milvus and ours") else { return };
    place.each(&families(), |arena| {
        let peer = arena.exclusive_peer(1);
        let revision = peer.active();
        peer.kill();
        let its_address = address(1);
        let ours = arena.ours_with(1, &[EXCLUSIVE, (keys::ADDRESS, &its_address)]);
        assert!(ours.active_after(0) > revision);
        assert_eq!(ours.count(EventKind::Ended), 0);
        ours.stop();
    });
}

#[test]
fn f55_a_milvus_coordinator_takes_the_place_of_one_of_ours_that_was_killed_on_its_address() {
    let Some(place) = Place::start("f55, ours and Milvus") else { return };
    place.each(&families(), |arena| {
        let mut child = Child::start(arena, 1, &[EXCLUSIVE], |_| {});
        let token = child.active();
        child.kill();
        let peer = peer_at(arena, 1);
        assert!(peer.active() > token);
        // From 2.3.3 on without waiting for the lease.
        let purges = !arena.release.starts_with("2.2");
        assert_eq!(peer.lines.of("purged").len(), usize::from(purges));
        peer.stop();
    });
}

#[test]
fn f55_one_of_ours_that_is_purged_while_it_lives_steps_down() {
    let Some(place) = Place::start("f55, ours purged") else { return };
    let families = ["2.4.0", "2.6.6", "2.6.7"].map(of);
    place.each(&families, |arena| {
        let ours = arena.ours(1);
        let token = ours.active_after(0);
        // Two at one address cannot be, but records may say so.
        let peer = peer_at(arena, 1);
        peer.lines.nth("purged", 1);
        // It registers right after that, so ours may see both at once.
        let reason = ours.term_ended(token);
        assert!(matches!(reason, Reason::KeyDeleted | Reason::Superseded), "{reason:?}");
        assert!(!ours.session.holds(token));
        // It deletes whatever stands there, as long as that is ours, so both are in each other's way until one ends.
        peer.kill();
        ours.active_after(token);
        ours.stop();
    });
}

#[test]
fn an_exclusive_one_of_ours_names_the_milvus_holder_and_gives_up() {
    let Some(place) = Place::start("exclusive, Milvus active") else { return };
    place.each(&families(), |arena| {
        let peer = arena.exclusive_peer(1);
        peer.active();
        let ours = arena.ours_with(1, &[EXCLUSIVE, (keys::EXCLUSIVE_WAIT_MS, "500")]);
        let (kind, text) = ours.error().unwrap();
        assert_eq!(kind, ErrorKind::RoleHeld);
        assert!(text.contains(&address(1)), "{text}");
        assert_eq!(arena.holder(), Some(peer.id()));
        peer.stop();
    });
}

#[test]
fn an_exclusive_milvus_holder_whose_key_is_deleted_has_no_member_key_to_wait_for_and_may_act_on_beside_ours() {
    let Some(place) = Place::start("exclusive, its key deleted") else { return };
    place.each(&families(), |arena| {
        let mut peer = arena.exclusive_peer(1);
        let revision = peer.active();
        peer.lines.nth("serving", 1);
        let ours = arena.ours(1);
        assert_eq!(ours.sees(peer.id(), &address(1)), revision);
        assert_eq!(arena.value(&arena.member_key(peer.id())), None);
        arena.delete(&arena.active_key());
        let token = ours.active_after(revision);
        assert_eq!(ours.count(EventKind::Blocked), 0);
        if arena.family.minds_its_key {
            assert_eq!(peer.exit_code(), arena.family.lost_code);
        } else {
            // It answers, and has not given up.
            peer.campaigns();
            assert!(["key-deleted", "lost", "exit"].iter().all(|kind| peer.lines.of(kind).is_empty()));
            assert!(ours.session.holds(token));
            peer.kill();
        }
        ours.stop();
    });
}

#[test]
fn an_exclusive_milvus_coordinator_panics_where_one_of_ours_is_active() {
    let Some(place) = Place::start("exclusive, ours active") else { return };
    place.each(&families(), |arena| {
        let ours = arena.ours(1);
        let token = ours.active_after(0);
        let peer = Peer::start(arena, 2, &["--retry-times", "3"], |_| {});
        assert_eq!(peer.exit_code(), 2);
        assert!(ours.session.holds(token));
        ours.stop();
    });
}
