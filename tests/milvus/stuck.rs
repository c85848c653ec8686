//! Milvus processes that hang, and those whose parent tidies up after them.

use coordha::kv::Revision;
use coordha::session::EventKind;

use crate::child::Child;
use crate::ours::Ours;
use crate::peer::{Peer, address};
use crate::place::{Arena, FAMILIES, Family, Place, of};

/// A Milvus coordinator that stands by, and then hangs.
fn hung_standby(arena: &Arena<'_>, number: u16) -> Peer {
    let mut peer = arena.peer(number);
    peer.lines.nth_with("standby", &format!("role={}", arena.role), 1);
    peer.hang(arena.family);
    peer
}

/// The Milvus coordinator is active, and one of ours that stands by has seen it.
fn serves_and_is_seen(arena: &Arena<'_>, peer: &Peer) -> (Ours, Revision) {
    let revision = peer.active();
    peer.lines.nth("serving", 1);
    let ours = arena.ours(1);
    ours.nth(EventKind::Standby, 1);
    assert_eq!(ours.sees(peer.id(), &address(1)), revision);
    (ours, revision)
}

/// It is active and hangs, ours stands by.
fn hung_holder(arena: &Arena<'_>) -> (Peer, Ours, Revision) {
    let mut peer = arena.peer(1);
    let (ours, revision) = serves_and_is_seen(arena, &peer);
    peer.hang(arena.family);
    (peer, ours, revision)
}

#[test]
fn f45_a_milvus_standby_that_hangs_changes_nothing_for_ours_and_can_win_when_it_goes_on() {
    let Some(place) = Place::start("f45, a hung standby") else { return };
    place.each(&FAMILIES, |arena| {
        let mut first = Child::start(arena, 1, &[], |_| {});
        let token = first.active();
        let mut peer = hung_standby(arena, 1);
        let second = arena.ours(2);
        second.sees(first.id(), "127.0.0.1:1");
        first.kill();
        let newer = second.active_after(token);
        assert!(arena.value(&arena.member_key(peer.id())).is_some());
        assert!(!peer.is_active() && second.session.holds(newer));
        second.stop();
        peer.order("go-on");
        assert!(peer.active() > newer);
        peer.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_ours_saw_go_is_followed_past_a_milvus_standby_that_hangs() {
    let Some(place) = Place::start("f45, a hung standby and a holder's end") else { return };
    // Of the copies that others write only a read shows that they are gone.
    let families: Vec<_> = FAMILIES.into_iter().filter(|family| !copies_its_record(family)).collect();
    place.each(&families, |arena| {
        let holder = arena.peer(1);
        let revision = holder.active();
        let mut standby = hung_standby(arena, 2);
        let ours = arena.ours(1);
        assert_eq!(ours.sees(holder.id(), &address(1)), revision);
        holder.kill();
        let token = ours.active_after(revision);
        assert!(arena.value(&arena.member_key(standby.id())).is_some());
        // It goes on, and finds the role held.
        standby.order("go-on");
        assert!(ours.session.holds(token) && !standby.is_active());
        ours.stop();
        assert!(standby.active() > token);
        standby.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_hangs_stays_the_holder_while_its_lease_is_kept_alive() {
    let Some(place) = Place::start("f45, a hung holder") else { return };
    place.each(&FAMILIES, |arena| {
        let (peer, ours, revision) = hung_holder(arena);
        assert_eq!(arena.holder(), Some(peer.id()));
        ours.was_never_active();
        // Even a release that ends when its key is deleted does not hear of it now.
        arena.delete(&arena.active_key());
        let blocked = ours.blocked_by_milvus();
        assert_eq!(blocked.server_id(), peer.id());
        assert!(peer.lines.of("key-deleted").is_empty() && peer.lines.of("exit").is_empty());
        ours.was_never_active();
        peer.kill();
        assert!(ours.active_after(0) > revision);
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_hangs_without_keepalives_is_followed_and_ends_when_it_goes_on() {
    let Some(place) = Place::start("f45, a hung holder without keepalives") else { return };
    place.each(&FAMILIES, |arena| {
        let (mut peer, ours, revision) = hung_holder(arena);
        peer.order("stop-keepalive");
        let token = ours.active_after(0);
        assert!(token > revision);
        // It still believes to be active, and hears nothing.
        assert!(peer.lines.of("lost").is_empty() && peer.lines.of("exit").is_empty());
        peer.order("resume-keepalive");
        peer.order("go-on");
        assert_eq!(peer.exit_code(), arena.family.lost_code);
        assert!(ours.session.holds(token));
        assert_eq!(arena.holder(), Some(ours.id()));
        ours.stop();
    });
}

/// The releases whose parent deletes the keys of its dead child.
fn cleaners() -> [Family; 6] {
    ["2.4.0", "2.5.4", "2.6.6", "2.6.7", "2.6.15", "3.0.0-beta"].map(of)
}

/// One below a parent, with a lease that outlasts the test, or at least its first steps.
fn below_a_parent(arena: &Arena<'_>, ttl: &str) -> Peer {
    Peer::start(arena, 1, &["--active-standby", "--run-with-subprocess", "--ttl", ttl], |_| {})
}

#[test]
fn f45_a_milvus_holder_whose_parent_deletes_its_keys_is_followed_before_its_lease_is_over() {
    let Some(place) = Place::start("f45, cleaned by a parent") else { return };
    let families: Vec<_> = cleaners().into_iter().filter(|family| !copies_its_record(family)).collect();
    place.each(&families, |arena| {
        let peer = below_a_parent(arena, "600");
        let (ours, revision) = serves_and_is_seen(arena, &peer);
        let (member, lease) = (arena.member_key(peer.id()), peer.lease());
        peer.kill_subprocess();
        assert!(ours.active_after(0) > revision);
        assert_eq!(arena.value(&member), None);
        let left = arena.etcd.ctl(&["lease", "timetolive", &lease]);
        assert!(left.contains("granted with TTL(600s)"), "{left}");
        // That its child was killed is not in its own exit code.
        assert_eq!(peer.exit_code(), 0);
        ours.stop();
    });
}

/// From 2.6.8 on the old coordinators' keys hold copies, which no parent deletes. Ours finds by reading that they are gone.
fn copies_its_record(family: &Family) -> bool {
    ["2.6.15", "3.0.0-beta"].contains(&family.release)
}

#[test]
fn f45_copies_of_a_milvus_holders_record_that_its_parent_leaves_are_waited_for() {
    let Some(place) = Place::start("f45, copies left by a parent") else { return };
    let families: Vec<_> = cleaners().into_iter().filter(copies_its_record).collect();
    place.each(&families, |arena| {
        let peer = below_a_parent(arena, "600");
        let (ours, revision) = serves_and_is_seen(arena, &peer);
        let (member, lease) = (arena.member_key(peer.id()), peer.lease());
        peer.kill_subprocess();
        assert_eq!(peer.exit_code(), 0);
        assert_eq!((arena.value(&arena.active_key()), arena.value(&member)), (None, None));
        ours.blocked_by_milvus();
        assert!(arena.value(&arena.key("rootcoord")).is_some());
        ours.was_never_active();
        // As at the end of its time.
        arena.revoke(&lease);
        assert!(ours.active_after(0) > revision);
        ours.stop();
    });
}

#[test]
fn f45_a_dead_milvus_standby_is_left_to_its_lease_by_its_parent_and_is_in_nobodys_way() {
    let Some(place) = Place::start("f45, a standby below a parent") else { return };
    place.each(&cleaners(), |arena| {
        let first = Child::start(arena, 1, &[], |_| {});
        let token = first.active();
        let second = arena.ours(2);
        second.sees(first.id(), "127.0.0.1:1");
        let peer = below_a_parent(arena, "600");
        let member = arena.member_key(peer.id());
        peer.kill_subprocess();
        assert_eq!(peer.exit_code(), 0);
        // It has never served, so its parent knows of no key.
        assert!(arena.value(&member).is_some());
        first.leave();
        assert!(second.active_after(token) > token);
        assert!(arena.value(&member).is_some());
        second.stop();
    });
}
