//! `ForceActiveStandby`: a data coordinator of 2.3.1 to 2.5.x that was activated makes its second session, the index
//! coordinator's, active by force.

use coordha::session::{EventKind, Reason};

use crate::peer::{Peer, address};
use crate::place::{Place, of};

#[test]
fn f53_one_of_ours_that_is_driven_out_by_its_lease_registers_again_and_stands_by() {
    let Some(place) = Place::start("f53") else { return };
    place.each(&[of("2.4.0"), of("2.5.4")], |arena| {
        let index = arena.with("indexcoord", arena.release);
        let ours = index.ours(1);
        let token = ours.active_after(0);
        let peer = Peer::start(&arena.with("datacoord", arena.release), 1, &["--active-standby"], |_| {});
        // The data coordinator's own campaign, then the index coordinator's by force.
        let line = peer.lines.nth("active", 2);
        assert_eq!(crate::lines::value(&line, "role"), "indexcoord");
        assert!(peer.lines.of("drove")[0].contains("lease="));
        let revision = crate::lines::number(&line, "rev");
        let reason = ours.term_ended(token);
        assert!(matches!(reason, Reason::LeaseLost | Reason::KeyDeleted | Reason::Superseded), "{reason:?}");
        assert!(!ours.session.holds(token));
        ours.nth(EventKind::Registered, 2);
        assert_eq!(ours.sees(peer.id(), &address(1)), revision);
        peer.stop();
        ours.active_after(revision);
        ours.stop();
    });
}

#[test]
fn f53_a_member_of_ours_outlives_the_force_used_on_another_one() {
    let Some(place) = Place::start("f53, members") else { return };
    place.each(&[of("2.4.0")], |arena| {
        let index = arena.with("indexcoord", arena.release);
        let (first, second) = (index.ours(1), index.ours(2));
        assert_ne!(first.id(), second.id());
        let peer = Peer::start(&arena.with("datacoord", arena.release), 1, &["--active-standby"], |_| {});
        peer.lines.nth("active", 2);
        peer.stop();
        // Who is active now is theirs to settle; both are registered, and each can win.
        let winner = crate::support::wait::until("one of ours to be active", || {
            [&first, &second].into_iter().position(|ours| ours.session.is_active())
        });
        let (winner, other) = if winner == 0 { (first, second) } else { (second, first) };
        let token = winner.session.fencing_token();
        winner.stop();
        other.active_after(token);
        other.stop();
    });
}
