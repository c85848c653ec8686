//! What a Milvus coordinator's sessions do by themselves, where the other tests would not show it.

use crate::lines::value;
use crate::place::{FAMILIES, Family, Place, of};

#[test]
fn a_data_coordinator_registers_its_second_session_first_and_guards_only_the_other_one() {
    let Some(place) = Place::start("a data coordinator's sessions") else { return };
    let arena = place.arena(of("2.5.4"));
    let mut peer = arena.peer(1);
    peer.lines.nth("active", 2);
    let roles = |kind| peer.lines.of(kind).iter().map(|line| value(line, "role").to_owned()).collect::<Vec<_>>();
    assert_eq!(roles("registered"), ["indexcoord", "datacoord"]);
    // What it does next it does only when both are active.
    assert_eq!(roles("active"), ["datacoord", "indexcoord"]);
    arena.delete(&arena.key("indexcoord"));
    peer.campaigns();
    assert!(peer.lines.of("key-deleted").is_empty());
    arena.delete(&arena.active_key());
    assert_eq!(peer.exit_code(), arena.family.lost_code);
}

#[test]
fn a_milvus_session_asks_for_its_lease_before_the_first_keepalive_from_2_6_7_on() {
    let Some(place) = Place::start("the first keepalive") else { return };
    place.each(&FAMILIES, |arena| {
        let mut peer = arena.peer(1);
        peer.active();
        if arena.family.asks_for_its_lease() {
            peer.lines.nth("time-to-live", 1);
        } else {
            peer.campaigns();
            assert!(peer.lines.of("time-to-live").is_empty());
        }
        peer.stop();
    });
}

#[test]
fn f45_a_milvus_holder_whose_activation_failed_keeps_the_role_and_is_followed_when_its_lease_ends() {
    let Some(place) = Place::start("f45, activation failed") else { return };
    let families: [Family; 2] = [of("2.2.3"), of("2.2.10")];
    place.each(&families, |arena| {
        let more = ["--active-standby", "--activation-fails"];
        let mut peer = crate::peer::Peer::start(arena, 1, &more, |_| {});
        let revision = peer.active();
        peer.lines.nth("activation-failed", 1);
        let ours = arena.ours(1);
        ours.sees(peer.id(), &crate::peer::address(1));
        ours.was_never_active();
        arena.revoke(&peer.lease());
        peer.lines.nth("lost", 1);
        assert!(ours.active_after(0) > revision);
        // Nobody in it was told: it lives on, without a key.
        peer.campaigns();
        assert!(peer.lines.of("exit").is_empty());
        peer.kill();
        ours.stop();
    });
}
