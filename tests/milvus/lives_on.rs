//! A Milvus holder that is cut off acts for a while after its key is gone: what the takeover delay is for.

use coordha::config::keys;

use crate::ours::Ours;
use crate::peer::{Peer, address};
use crate::place::{Arena, FAMILIES, Family, Place, of};
use crate::support::proxy::Proxy;

/// Each release, and a delay in ms that covers what it may still do: three questions of 10 s with their pauses, or one more
/// time to live; and 15 s for a busy machine.
const DELAYS: [(&str, &str); 2] = [("2.4.0", "50000"), ("2.6.7", "30000")];

/// It is active behind a proxy, ours stands by.
fn pair(arena: &Arena<'_>, delay: Option<&str>) -> (Proxy, Peer, Ours, i64) {
    let proxy = Proxy::start(arena.etcd.endpoint(0));
    let peer = Peer::start(arena, 1, &["--active-standby", "--endpoints", &proxy.address()], |_| {});
    let revision = peer.active();
    let delay = delay.map(|delay| (keys::ELECTION_MILVUS_TAKEOVER_DELAY_MS, delay));
    let ours = arena.ours_with(1, &Vec::from_iter(delay));
    ours.sees(peer.id(), &address(1));
    (proxy, peer, ours, revision)
}

#[test]
fn f45_with_the_takeover_delay_a_milvus_holder_that_was_cut_off_has_ended_before_we_begin() {
    let Some(place) = Place::start("f45, takeover delay") else { return };
    place.each(&DELAYS.map(|(release, _)| of(release)), |arena| {
        let delay = DELAYS.into_iter().find(|(release, _)| *release == arena.release);
        let (proxy, peer, ours, revision) = pair(arena, delay.map(|(_, delay)| delay));
        proxy.black_hole();
        ours.blocked_by_milvus();
        assert!(ours.active_after(0) > revision);
        assert_eq!(peer.lines.of("exit").len(), 1, "it may still act");
        assert_eq!(peer.exit_code(), arena.family.lost_code);
        ours.stop();
    });
}

#[test]
fn without_the_delay_a_milvus_holder_that_was_cut_off_may_still_act_when_we_begin() {
    let Some(place) = Place::start("no takeover delay") else { return };
    place.each(&[of("2.4.0")], |arena| {
        let (proxy, peer, ours, revision) = pair(arena, None);
        proxy.black_hole();
        assert!(ours.active_after(0) > revision);
        assert!(peer.lines.of("exit").is_empty());
        peer.kill();
        ours.stop();
    });
}

#[test]
fn f45_a_milvus_holder_whose_keepalives_are_lost_is_followed_and_ends_as_its_release_does() {
    let Some(place) = Place::start("f45, keepalives lost") else { return };
    // The others take as long as above.
    let families: Vec<Family> = FAMILIES.into_iter().filter(|family| !family.minds_its_key).collect();
    place.each(&families, |arena| {
        let mut peer = arena.peer(1);
        let revision = peer.active();
        let ours = arena.ours(1);
        ours.sees(peer.id(), &address(1));
        peer.tell("stop-keepalive");
        assert!(ours.active_after(0) > revision);
        // Some see their keepalives unanswered, some ask for their lease for one more time to live.
        assert_eq!(peer.exit_code(), arena.family.lost_code);
        ours.stop();
    });
}
