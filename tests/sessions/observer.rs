//! Observers: who is active, told in order to those who stand in no election.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Event, EventKind, Observer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::wait::until;
use crate::term::soon;
use crate::watched::{Mode, Watched};
use crate::world::{PATIENCE, Place, activate, expect, stop, with};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// What an observer needs: no address.
pub(crate) fn config(url: &str) -> Config {
    let mut config = Config::new();
    for (key, value) in [(keys::ROLE, "rootcoord"), (keys::STORE_URL, url), (keys::ELECTION_REREAD_MS, "200")] {
        config.set(key, value).unwrap();
    }
    config
}

/// One that finds nothing by reading: a read after a pause of the machine would show the newest holder alone.
pub(crate) fn by_watch_alone(url: &str) -> Config {
    with(config(url), keys::ELECTION_REREAD_MS, "60000")
}

fn observe(place: &Place) -> Observer {
    Observer::start(&config(&place.url())).unwrap()
}

pub(crate) fn next(observer: &Observer) -> Event {
    let event = observer.next_event(Some(PATIENCE)).unwrap();
    assert_eq!((event.kind(), event.role_name()), (EventKind::Holder, "rootcoord"));
    event
}

/// Reads on to the holder with this token; nothing on the way is newer.
pub(crate) fn read_up_to(observer: &Observer, token: Revision) -> Event {
    loop {
        let event = next(observer);
        assert!(event.token() <= token, "{} before {token}", event.text());
        if event.token() == token {
            return event;
        }
    }
}

#[test]
fn each_of_three_terms_is_told_in_order_with_nobody_in_between() {
    let place = Place::new();
    let observer = observe(&place);
    let first = next(&observer);
    assert_eq!((first.address(), first.server_id(), first.token()), (None, 0, 0));
    assert_eq!(first.is_milvus(), None);
    let mut last = 0;
    for port in 1..4 {
        let (session, token) = place.active(port);
        assert!(token > last);
        let event = next(&observer);
        let address = format!("127.0.0.1:{port}");
        assert_eq!((event.address(), event.token()), (Some(address.as_str()), token));
        assert_eq!(event.is_milvus(), Some(false));
        assert_eq!((event.server_id(), event.missed()), (session.server_id(), 0));
        assert_eq!(observer.current().unwrap().token(), token);
        stop(&session);
        assert_eq!(next(&observer).address(), None);
        last = token;
    }
    assert_eq!(observer.next_event(NOW).unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(observer.current().unwrap().server_id(), 0);
}

#[test]
fn an_observer_that_comes_late_is_told_who_is_there() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let event = next(&observe(&place));
    assert_eq!((event.address(), event.token()), (Some("127.0.0.1:1"), token));
    stop(&session);
}

#[test]
fn f44_a_slow_reader_misses_what_is_past_and_not_what_is() {
    let place = Place::new();
    let observer = Observer::start(&by_watch_alone(&place.url())).unwrap();
    next(&observer);
    for port in 1..4 {
        let (session, _) = place.active(port);
        stop(&session);
    }
    let (session, token) = place.active(4);
    until("the last one is known", || (observer.current().ok()?.token() == token).then_some(()));
    let event = next(&observer);
    assert_eq!((event.address(), event.token()), (Some("127.0.0.1:4"), token));
    assert!(event.missed() > 0);
    assert_eq!(observer.next_event(NOW).unwrap_err().kind(), ErrorKind::Timeout);
    stop(&session);
}

/// Each mode of a watch that shows nothing of what happens.
fn is_found_by_reading(mode: Mode) {
    let place = Place::new();
    let store = Arc::new(Watched::open(place.path(), mode));
    let observer = Observer::start_on(Arc::clone(&store) as _, &config(&place.url())).unwrap();
    assert_eq!(next(&observer).address(), None);
    let (session, token) = place.active(1);
    assert_eq!(next(&observer).token(), token);
    stop(&session);
    assert_eq!(next(&observer).address(), None);
    store.set(Mode::Whole);
    let (session, token) = place.active(2);
    assert_eq!(next(&observer).token(), token);
    until("a watch is asked for again", || (store.watches() > 0 || mode == Mode::Silent).then_some(()));
    stop(&session);
}

#[test]
fn what_a_silent_watch_hides_is_found_by_reading() {
    is_found_by_reading(Mode::Silent);
}

#[test]
fn what_was_compacted_is_made_up_for_by_reading() {
    is_found_by_reading(Mode::Compacted);
}

#[test]
fn a_watch_that_breaks_is_made_up_for_by_reading() {
    is_found_by_reading(Mode::Broken);
}

#[test]
fn a_store_that_is_gone_and_back_is_followed_again() {
    let place = Place::new();
    let store = Arc::new(Watched::open(place.path(), Mode::Gone));
    let observer = Observer::start_on(Arc::clone(&store) as _, &config(&place.url())).unwrap();
    let reads = store.reads();
    until("it was tried several times", || (store.reads() > reads + 2).then_some(()));
    let error = observer.current().unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "switched off"));
    assert!(error.detail("endpoint").is_some());
    assert_eq!(observer.next_event(NOW).unwrap_err().kind(), ErrorKind::Timeout);
    let (session, token) = place.active(1);
    store.set(Mode::Whole);
    assert_eq!(next(&observer).token(), token);
    stop(&session);
}

#[test]
fn a_store_that_was_restored_ends_the_observer() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let store = Arc::new(Watched::open(place.path(), Mode::Whole));
    let observer = Observer::start_on(Arc::clone(&store) as _, &config(&place.url())).unwrap();
    let fd = observer.event_fd().unwrap();
    assert_eq!(next(&observer).token(), token);
    store.set(Mode::Restored);
    for _ in 0..2 {
        assert!(is_readable(fd, PATIENCE));
        let error = observer.next_event(Some(PATIENCE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Regressed);
    }
    assert_eq!(observer.current().unwrap_err().kind(), ErrorKind::Regressed);
    stop(&session);
}

fn is_readable(fd: BorrowedFd<'_>, wait: Duration) -> bool {
    let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let limit = Timespec::try_from(wait).unwrap();
    poll(&mut ready, Some(&limit)).unwrap() == 1
}

#[test]
fn the_descriptor_is_readable_while_an_event_waits_and_for_ever_after_a_stop() {
    let place = Place::new();
    let observer = observe(&place);
    let fd = observer.event_fd().unwrap();
    assert!(is_readable(fd, PATIENCE));
    next(&observer);
    assert!(!is_readable(fd, Duration::ZERO));
    let (session, _) = place.active(1);
    assert!(is_readable(fd, PATIENCE));
    next(&observer);
    observer.request_stop();
    for _ in 0..3 {
        assert!(is_readable(fd, PATIENCE));
        assert_eq!(observer.next_event(NOW).unwrap_err().kind(), ErrorKind::Ended);
        let _ = rustix::io::read(fd, &mut [0; 8]);
    }
    assert_eq!(observer.current().unwrap_err().kind(), ErrorKind::Ended);
    stop(&session);
}

#[test]
fn a_stop_wakes_who_waits() {
    let place = Place::new();
    let observer = observe(&place);
    next(&observer);
    let (sender, receiver) = mpsc::channel();
    let waiting = observer.clone();
    let reader = std::thread::spawn(move || {
        sender.send(()).unwrap();
        waiting.next_event(Some(PATIENCE))
    });
    receiver.recv().unwrap();
    observer.request_stop();
    observer.request_stop();
    assert_eq!(reader.join().unwrap().unwrap_err().kind(), ErrorKind::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_gives_each_holder_and_ends_with_a_stop() {
    let place = Place::new();
    let observer = observe(&place);
    let mut events = observer.events();
    assert_eq!(soon(events.next()).await.unwrap().address(), None);
    let session = place.start(1);
    let token = tokio::task::spawn_blocking({
        let session = session.clone();
        move || activate(&session)
    });
    let event = soon(events.next()).await.unwrap();
    assert_eq!(event.token(), token.await.unwrap());
    observer.request_stop();
    assert!(soon(events.next()).await.is_none());
    tokio::task::spawn_blocking(move || stop(&session)).await.unwrap();
}

#[test]
fn an_observer_goes_on_when_the_last_session_has_gone() {
    let place = Place::new();
    let (session, token) = place.active(1);
    let observer = observe(&place);
    assert_eq!(next(&observer).token(), token);
    stop(&session);
    session.close();
    assert_eq!(next(&observer).address(), None);
    let (session, token) = place.active(2);
    assert_eq!(next(&observer).token(), token);
    stop(&session);
}

#[test]
fn a_wrong_configuration_is_told_and_an_address_is_not_missed() {
    let place = Place::new();
    let mut config = Config::new();
    config.set(keys::STORE_URL, &place.url()).unwrap();
    let error = Observer::start(&config).unwrap_err();
    assert_eq!((error.kind(), error.detail("key")), (ErrorKind::ConfigMissing, Some(keys::ROLE)));
    assert!(!error.message().contains("address"), "{error}");
    config.set(keys::ROLE, "rootcoord").unwrap();
    config.set(keys::LEASE_TTL_MS, "2000").unwrap();
    let error = Observer::start(&config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigConflict);
    config.set(keys::LEASE_TTL_MS, "60000").unwrap();
    Observer::start(&config).unwrap();
}

#[test]
fn a_standby_and_an_observer_say_the_same() {
    let place = Place::new();
    let observer = observe(&place);
    let (first, _) = place.active(1);
    let second = place.standby(2);
    stop(&first);
    let token = activate(&second);
    assert_eq!(read_up_to(&observer, token).address(), Some("127.0.0.1:2"));
    let third = place.start(3);
    let standby = expect(&third, EventKind::Standby);
    let seen = observer.current().unwrap();
    assert_eq!((seen.address(), seen.token(), seen.server_id()), (standby.address(), token, standby.server_id()));
    third.request_stop();
    expect(&third, EventKind::Ended);
    stop(&second);
}
