//! A Milvus coordinator is active, and ours stands by.

use coordha::session::EventKind;

use crate::peer::address;
use crate::place::{Arena, FAMILIES, Family, Place, of};
use crate::support::wait::until;
use crate::{ours::Ours, peer::Peer};

/// It is active, ours stands by and knows it, with the revision of its key.
fn pair(arena: &Arena<'_>) -> (Peer, Ours, i64) {
    let peer = arena.peer(1);
    let revision = peer.active();
    let ours = arena.ours(1);
    ours.nth(EventKind::Standby, 1);
    assert_eq!(ours.sees(peer.id(), &address(1)), revision);
    (peer, ours, revision)
}

#[test]
fn f45_a_milvus_holder_that_is_killed_is_followed_when_its_lease_is_over() {
    let Some(place) = Place::start("f45, killed") else { return };
    place.each(&FAMILIES, |arena| {
        let (peer, ours, revision) = pair(arena);
        let member = arena.member_key(peer.id());
        peer.kill();
        assert!(ours.active_after(0) > revision);
        assert_eq!(arena.value(&member), None);
        assert_eq!(arena.holder(), Some(ours.id()));
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_leaves_is_followed() {
    let Some(place) = Place::start("f45, leaving") else { return };
    place.each(&FAMILIES, |arena| {
        let (peer, ours, revision) = pair(arena);
        peer.stop();
        assert!(ours.active_after(0) > revision);
        assert_eq!(arena.holder(), Some(ours.id()));
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_loses_its_lease_is_followed_and_ends_as_its_release_does() {
    let Some(place) = Place::start("f45, lease lost") else { return };
    place.each(&FAMILIES, |arena| {
        let (peer, ours, revision) = pair(arena);
        arena.revoke(&peer.lease());
        assert!(ours.active_after(0) > revision);
        assert_eq!(peer.exit_code(), arena.family.lost_code);
        assert_eq!(arena.holder(), Some(ours.id()));
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_without_its_member_key_is_followed_when_it_leaves() {
    let Some(place) = Place::start("f45, member key deleted") else { return };
    place.each(&FAMILIES, |arena| {
        let (mut peer, ours, revision) = pair(arena);
        arena.delete(&arena.member_key(peer.id()));
        // It has not noticed: it answers, and holds its key.
        peer.campaigns();
        assert_eq!(arena.holder(), Some(peer.id()));
        ours.was_never_active();
        peer.stop();
        assert!(ours.active_after(0) > revision);
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_ends_when_its_active_key_is_deleted_is_followed_when_its_lease_is_over() {
    let Some(place) = Place::start("f45, active key deleted") else { return };
    let families: Vec<Family> = FAMILIES.into_iter().filter(|family| family.minds_its_key).collect();
    place.each(&families, |arena| {
        let (peer, ours, revision) = pair(arena);
        let member = arena.member_key(peer.id());
        arena.delete(&arena.active_key());
        let blocked = ours.blocked_by_milvus();
        assert_eq!(blocked.server_id(), peer.id());
        assert_eq!(peer.exit_code(), arena.family.lost_code);
        assert!(ours.active_after(0) > revision);
        // It left its lease to run out, and its member key with it.
        assert_eq!(arena.value(&member), None);
        ours.stop();
    });
}

#[test]
fn f51_a_milvus_holder_that_goes_on_without_its_active_key_is_waited_for() {
    let Some(place) = Place::start("f51") else { return };
    let families = [of("2.2.3"), of("2.6.7"), of("2.6.15"), of("3.0.0-beta")];
    place.each(&families, |arena| {
        let (mut peer, ours, revision) = pair(arena);
        arena.delete(&arena.active_key());
        let blocked = ours.blocked_by_milvus();
        assert_eq!((blocked.server_id(), blocked.address()), (peer.id(), Some(address(1).as_str())));
        let member = arena.member_key(peer.id());
        assert_eq!(blocked.key(), Some(member.as_bytes()));
        // One that starts only now cannot know who held the key, and waits as well.
        let late = arena.ours(2);
        late.blocked_by_milvus();
        peer.campaigns();
        assert!(peer.lines.of("lost").is_empty());
        assert_eq!(arena.value(&arena.active_key()), None);
        for ours in [&ours, &late] {
            ours.was_never_active();
        }
        // Or it might be the first to see the old coordinators' keys go.
        late.stop();
        peer.kill();
        assert!(ours.active_after(0) > revision);
        assert_eq!(arena.value(&member), None);
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_whose_key_is_overwritten_does_not_mind_and_is_waited_for() {
    let Some(place) = Place::start("f45, overwritten") else { return };
    place.each(&FAMILIES, |arena| {
        let (mut peer, ours, revision) = pair(arena);
        let key = arena.active_key();
        let record = arena.value(&key).unwrap();
        arena.etcd.ctl(&["put", &key, &record]);
        // The key has no lease any more, but its member key has.
        ours.blocked_by_milvus();
        peer.campaigns();
        ours.was_never_active();
        let member = arena.member_key(peer.id());
        peer.kill();
        assert!(ours.active_after(0) > revision);
        assert_eq!(arena.value(&member), None);
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_that_marks_itself_as_stopping_stays_the_holder() {
    let Some(place) = Place::start("f45, stopping") else { return };
    place.each(&FAMILIES, |arena| {
        let (mut peer, ours, revision) = pair(arena);
        // A second write of its active key, which coordinators never make and nodes do.
        peer.tell("going-stop");
        peer.lines.nth("done", 1);
        let newer = until("the newer revision", || {
            let seen = ours.sees(peer.id(), &address(1));
            (seen > revision).then_some(seen)
        });
        ours.was_never_active();
        peer.stop();
        assert!(ours.active_after(0) > newer);
        ours.stop();
    });
}
