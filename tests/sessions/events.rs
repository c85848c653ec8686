//! The pull front end: the queue, its overflow, and the descriptor.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use coordha::config::keys;
use coordha::error::ErrorKind;
use coordha::session::{EventKind, Reason, Session, Until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::world::{PATIENCE, Place, activate, expect, leave, stop, with};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn is_readable(fd: BorrowedFd<'_>, wait: Duration) -> bool {
    let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let limit = Timespec::try_from(wait).unwrap();
    poll(&mut ready, Some(&limit)).unwrap() == 1
}

#[test]
fn a_full_queue_drops_the_oldest_that_may_go_and_says_how_many() {
    let place = Place::new();
    let config = with(place.config(1), keys::EVENTS_QUEUE, "16");
    let session = Session::start(&config, None).unwrap();
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    let token = expect(&session, EventKind::Activate).token();
    session.activation_done(token, Ok(())).unwrap();
    session.request_stop();
    session.deactivation_done(token).unwrap();
    session.wait(Until::Ended, Some(PATIENCE)).unwrap();
    let terms: Vec<_> = std::iter::from_fn(|| session.next_event(NOW).ok()).collect();
    assert!(terms.iter().all(|event| event.missed() == 0));

    // A standby, so that each change of mind is one event that may be dropped.
    let (active, _) = place.active(2);
    let standby = Session::start(&config, None).unwrap();
    expect(&standby, EventKind::Standby);
    for _ in 0..50 {
        standby.pause().unwrap();
        standby.resume().unwrap();
    }
    let first = standby.next_event(NOW).unwrap();
    assert_eq!(first.reason(), Some(Reason::Paused));
    assert!(first.missed() >= 34, "missed {}", first.missed());
    let rest: Vec<_> = std::iter::from_fn(|| standby.next_event(NOW).ok()).collect();
    assert_eq!(rest.len(), 15);
    assert!(rest.iter().all(|event| event.missed() == 0));
    stop(&standby);
    stop(&active);
}

#[test]
fn the_events_of_a_term_are_never_dropped() {
    let place = Place::new();
    let config = with(place.config(1), keys::EVENTS_QUEUE, "16");
    let session = Session::start(&config, None).unwrap();
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    let token = crate::support::wait::until("a term", || Some(session.fencing_token()).filter(|token| *token != 0));
    session.activation_done(token, Ok(())).unwrap();
    session.resign(Duration::ZERO).unwrap();
    session.deactivation_done(token).unwrap();
    for _ in 0..50 {
        session.pause().unwrap();
        session.resume().unwrap();
    }
    session.pause().unwrap();
    session.stop(Some(PATIENCE)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| session.next_event(NOW).ok()).collect();
    let kept: Vec<_> = events.iter().filter(|event| event.kind().is_kept()).collect();
    let kinds: Vec<_> = kept.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds[..4], [EventKind::Activate, EventKind::Active, EventKind::Deactivate, EventKind::TermEnded]);
    assert_eq!(*kinds.last().unwrap(), EventKind::Ended);
    assert!(events.iter().map(|event| event.missed()).sum::<u64>() > 0);
    assert_eq!(events.len() - kept.len(), 16);
}

#[test]
fn the_descriptor_is_readable_while_an_event_waits_and_for_ever_after_the_end() {
    let place = Place::new();
    let session = place.start(1);
    let fd = session.event_fd().unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&EventKind::Activate) {
        assert!(is_readable(fd, PATIENCE));
        // Reading from it loses nothing.
        let _ = rustix::io::read(fd, &mut [0; 8]);
        seen.push(session.next_event(NOW).unwrap().kind());
    }
    let token = session.fencing_token();
    session.activation_done(token, Ok(())).unwrap();
    assert!(is_readable(fd, Duration::ZERO));
    // The last that comes by itself: the watch shows it its own key.
    if !seen.contains(&EventKind::Holder) {
        expect(&session, EventKind::Holder);
    }
    while session.next_event(NOW).is_ok() {}
    assert!(!is_readable(fd, Duration::ZERO), "nothing waits");
    session.request_stop();
    assert!(is_readable(fd, PATIENCE));
    leave(&session);
    for _ in 0..3 {
        assert!(is_readable(fd, Duration::ZERO));
        assert_eq!(session.next_event(NOW).unwrap_err().kind(), ErrorKind::Ended);
        let _ = rustix::io::read(fd, &mut [0; 8]);
    }
}

#[test]
fn a_descriptor_made_late_knows_what_waits_and_that_all_is_over() {
    let place = Place::new();
    let session = place.start(1);
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    assert!(is_readable(session.event_fd().unwrap(), Duration::ZERO));
    session.close();

    let session = place.start(2);
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    session.request_stop();
    leave(&session);
    assert!(is_readable(session.event_fd().unwrap(), Duration::ZERO));
}

#[test]
fn each_event_goes_to_one_of_many_readers_and_all_learn_of_the_end() {
    let place = Place::new();
    let session = place.start(1);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let session = session.clone();
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                loop {
                    match session.next_event(Some(PATIENCE)) {
                        Ok(event) => {
                            let token = event.token();
                            match event.kind() {
                                EventKind::Activate => {
                                    session.activation_done(token, Ok(())).unwrap();
                                }
                                EventKind::Active => session.request_stop(),
                                EventKind::Deactivate => session.deactivation_done(token).unwrap(),
                                _ => {}
                            }
                            seen.push(event.kind());
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Ended);
                            return seen;
                        }
                    }
                }
            })
        })
        .collect();
    let mut seen: Vec<_> = readers.into_iter().flat_map(|r| r.join().unwrap()).collect();
    seen.retain(|kind| kind.is_kept());
    seen.sort_by_key(|kind| kind.code());
    assert_eq!(
        seen,
        [EventKind::Activate, EventKind::Active, EventKind::Deactivate, EventKind::TermEnded, EventKind::Ended]
    );
}

#[test]
fn an_event_tells_itself_in_one_line() {
    let place = Place::new();
    let session = place.start(1);
    let registered = expect(&session, EventKind::Registered);
    let id = session.server_id();
    assert_eq!(registered.text(), format!("rootcoord REGISTERED server_id={id} ttl_ms=36000"));
    assert!(registered.at_ms() > 0);
    let token = activate(&session);
    session.request_stop();
    let leaving = expect(&session, EventKind::Deactivate);
    assert_eq!(leaving.text(), format!("rootcoord DEACTIVATE token={token} held=true reason=STOP"));
    leave(&session);
}
