//! Ours is active, and a Milvus coordinator stands by.

use coordha::kv::Revision;
use coordha::session::{EventKind, Reason};
use rustix::process::Signal;

use crate::child::Child;
use crate::ours::Ours;
use crate::peer::{Peer, address};
use crate::place::{Arena, FAMILIES, Place};
use crate::support::wait::until;

/// Ours is active, with its token; it stands by.
fn pair(arena: &Arena<'_>) -> (Ours, Peer, Revision) {
    let ours = arena.ours(1);
    let token = ours.active_after(0);
    let peer = arena.peer(1);
    peer.lines.nth("standby", 1);
    (ours, peer, token)
}

/// Either may win where the key is gone; then the other one does.
fn each_can_win(arena: &Arena<'_>, ours: Ours, peer: Peer, token: Revision) {
    let holder = until("a holder", || arena.holder());
    if holder == peer.id() {
        let revision = peer.active();
        assert!(revision > token);
        assert_eq!(ours.sees(peer.id(), &address(1)), revision);
        peer.stop();
        assert!(ours.active_after(revision) > revision);
        ours.stop();
    } else {
        let token = ours.active_after(token);
        ours.stop();
        assert!(peer.active() > token);
        peer.stop();
    }
}

/// Our lease, in hexadecimal as etcdctl wants it.
fn lease(arena: &Arena<'_>, ours: &Ours) -> String {
    let record = arena.value(&arena.member_key(ours.id())).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    format!("{:x}", record["LeaseID"].as_i64().unwrap())
}

#[test]
fn f45_a_milvus_standby_follows_one_of_ours_that_is_killed() {
    let Some(place) = Place::start("f45, ours killed") else { return };
    place.each(&FAMILIES, |arena| {
        let mut child = Child::start(arena, 1, &[], |_| {});
        let token = child.active();
        let peer = arena.peer(1);
        peer.lines.nth("standby", 1);
        child.kill();
        let revision = peer.active();
        assert!(revision > token);
        let ours = arena.ours(1);
        assert_eq!(ours.sees(peer.id(), &address(1)), revision);
        peer.stop();
        ours.active_after(revision);
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_standby_follows_one_of_ours_that_leaves() {
    let Some(place) = Place::start("f45, ours leaving") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, peer, token) = pair(arena);
        assert!(!peer.is_active());
        ours.stop();
        assert!(peer.active() > token);
        assert_eq!(arena.holder(), Some(peer.id()));
        peer.stop();
    });
}

#[test]
fn f45_one_of_ours_that_loses_its_lease_next_to_a_milvus_standby_is_followed_and_comes_back() {
    let Some(place) = Place::start("f45, our lease lost") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, peer, token) = pair(arena);
        arena.revoke(&lease(arena, &ours));
        let reason = ours.term_ended(token);
        assert!(matches!(reason, Reason::LeaseLost | Reason::KeyDeleted), "{reason:?}");
        ours.nth(EventKind::Registered, 2);
        each_can_win(arena, ours, peer, token);
    });
}

#[test]
fn f45_one_of_ours_whose_active_key_is_deleted_next_to_a_milvus_standby_is_followed_and_comes_back() {
    let Some(place) = Place::start("f45, our active key deleted") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, peer, token) = pair(arena);
        arena.delete(&arena.active_key());
        let reason = ours.term_ended(token);
        assert!(matches!(reason, Reason::KeyDeleted | Reason::Superseded), "{reason:?}");
        each_can_win(arena, ours, peer, token);
    });
}

#[test]
fn f45_one_of_ours_whose_member_key_is_deleted_stays_active_next_to_a_milvus_standby() {
    let Some(place) = Place::start("f45, our member key deleted") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, peer, token) = pair(arena);
        let member = arena.member_key(ours.id());
        arena.delete(&member);
        until("the member key to be back", || arena.value(&member));
        assert!(ours.session.holds(token) && !peer.is_active());
        ours.stop();
        assert!(peer.active() > token);
        peer.stop();
    });
}

#[test]
fn f45_a_milvus_standby_that_lost_its_lease_never_wins_and_is_in_nobodys_way() {
    let Some(place) = Place::start("f45, its lease lost in standby") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, mut peer, token) = pair(arena);
        let tried = peer.campaigns();
        arena.revoke(&peer.lease());
        ours.stop();
        // Before another one has the key: a campaign that meets a holder does not mind that its own lease is gone.
        match arena.release {
            // Once the key is free it finds that its lease is gone: a panic.
            "2.6.6" => assert_eq!(peer.exit_code(), 2),
            "2.6.7" | "2.6.15" | "3.0.0-beta" => assert_eq!(peer.exit_code(), arena.family.lost_code),
            // It goes on for ever, and nobody is told.
            _ => {
                until("another campaign", || (peer.campaigns() > tried).then_some(()));
                next_one_wins(arena, token);
                assert!(!peer.is_active());
                return peer.kill();
            }
        }
        next_one_wins(arena, token);
    });
}

fn next_one_wins(arena: &Arena<'_>, token: Revision) {
    let ours = arena.ours(2);
    assert!(ours.active_after(token) > token);
    ours.stop();
}

#[test]
fn f45_a_milvus_standby_that_is_told_to_end_leaves_and_ours_stays_active() {
    let Some(place) = Place::start("f45, its standby leaving") else { return };
    place.each(&FAMILIES, |arena| {
        let (ours, peer, token) = pair(arena);
        let member = arena.member_key(peer.id());
        peer.signal(Signal::TERM);
        if ["2.2.3", "2.2.10", "2.3.1"].contains(&arena.release) {
            // Up to 2.3.13 it hears the second one.
            peer.lines.nth("signal", 1);
            peer.signal(Signal::TERM);
        }
        assert_eq!(peer.exit_code(), 0);
        // It asks for that for 1 s; if in vain, its lease runs out.
        until("its member key is gone", || arena.value(&member).is_none().then_some(()));
        assert!(ours.session.holds(token));
        ours.stop();
    });
}
