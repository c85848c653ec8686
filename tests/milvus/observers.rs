//! Observers of ours, which clients go by, next to Milvus.

use coordha::session::{Event, Observer};

use crate::lines::PATIENCE;
use crate::peer::address;
use crate::place::{FAMILIES, Place};

/// Reads until this session is shown, and checks that tokens grow on the way.
fn read_up_to(observer: &Observer, id: i64, last: &mut i64) -> Event {
    loop {
        let event = observer.next_event(Some(PATIENCE)).unwrap();
        if event.holder().is_some() {
            assert!(event.token() > *last, "{} after {last}", event.text());
            *last = event.token();
            if event.server_id() == id {
                return event;
            }
        }
    }
}

#[test]
fn f43_observers_follow_a_milvus_holder_that_restarts_on_its_address() {
    let Some(place) = Place::start("f43") else { return };
    place.each(&FAMILIES, |arena| {
        let observer = Observer::start(&arena.config(1, &[])).unwrap();
        let mut last = 0;
        for _ in 0..2 {
            let peer = arena.peer(1);
            let revision = peer.active();
            let event = read_up_to(&observer, peer.id(), &mut last);
            assert_eq!((event.address(), event.token()), (Some(address(1).as_str()), revision));
            peer.kill();
        }
        // And one of ours after it, then Milvus again.
        let ours = arena.ours(1);
        let token = ours.active_after(0);
        assert_eq!(read_up_to(&observer, ours.id(), &mut last).token(), token);
        let peer = arena.peer(1);
        peer.lines.nth("standby", 1);
        ours.stop();
        let revision = peer.active();
        assert_eq!(read_up_to(&observer, peer.id(), &mut last).token(), revision);
        peer.stop();
    });
}
