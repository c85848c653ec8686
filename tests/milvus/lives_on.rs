//! A Milvus holder may act for a while after its key is gone: what the takeover delay is for.

use crate::place::{Place, of};

/// Each release, and a delay in ms that covers what it may still do: three questions of 10 s with their pauses, or one more
/// time to live; and a second or two for a busy machine.
const DELAYS: [(&str, &str); 2] = [("2.4.0", "35000"), ("2.6.7", "6000")];

#[test]
fn f45_with_the_takeover_delay_a_milvus_holder_that_was_cut_off_has_ended_before_we_begin() {
    let Some(place) = Place::start("f45, takeover delay") else { return };
    place.each(&DELAYS.map(|(release, _)| of(release)), |arena| {
        let (_, delay) = DELAYS.into_iter().find(|(release, _)| *release == arena.release).unwrap();
        let mut peer = arena.peer(1);
        let revision = peer.active();
        let ours = arena.ours_with(1, &[("election.milvus_takeover_delay_ms", delay)]);
        ours.sees(peer.id(), &crate::peer::address(1));
        peer.tell("stop-keepalive");
        ours.blocked_by_milvus();
        assert!(ours.active_after(0) > revision);
        assert_eq!(peer.lines.of("exit").len(), 1, "it may still act");
        ours.stop();
    });
}

#[test]
fn without_the_delay_a_milvus_holder_that_was_cut_off_may_still_act_when_we_begin() {
    let Some(place) = Place::start("no takeover delay") else { return };
    place.each(&[of("2.4.0")], |arena| {
        let mut peer = arena.peer(1);
        let revision = peer.active();
        let ours = arena.ours(1);
        ours.sees(peer.id(), &crate::peer::address(1));
        peer.tell("stop-keepalive");
        assert!(ours.active_after(0) > revision);
        assert!(peer.lines.of("exit").is_empty());
        peer.kill();
        ours.stop();
    });
}
