//! Transactions that are submitted: one event each, whatever becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Callbacks, Event, EventKind, Session, TxnDone, Until};

use crate::support::etcd::Etcd;
use crate::support::wait::until;
use crate::switched::{Fault, Switched};
use crate::world::{PATIENCE, Place, activate, config, expect, stop, with};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn next_done(session: &Session) -> TxnDone {
    let event = expect(session, EventKind::TxnDone);
    assert_eq!(event.tag(), event.txn().unwrap().tag);
    assert_eq!(event.error(), event.txn().unwrap().error.as_ref());
    event.txn().unwrap().clone()
}

fn kind(done: &TxnDone) -> Option<ErrorKind> {
    done.error.as_ref().map(|error| error.kind())
}

/// So many, each with a key of its own; all are told, each once.
fn many_are_each_told_once(session: &Session, token: Revision, count: u64) {
    for tag in 0..count {
        session
            .txn(token)
            .if_revision(format!("app/{tag}"), 0)
            .put(format!("app/{tag}"), "1")
            .submit(tag, None)
            .unwrap();
    }
    let mut revisions = BTreeMap::new();
    for _ in 0..count {
        let done = next_done(session);
        assert_eq!(kind(&done), None);
        assert!(done.results.revision > token);
        assert!(revisions.insert(done.tag, done.results.revision).is_none(), "twice: {}", done.tag);
    }
    let read = session.txn(token).get_prefix("app/", 0).commit(None).unwrap();
    for kv in read.kvs {
        let tag = std::str::from_utf8(&kv.key).unwrap().strip_prefix("app/").unwrap().parse().unwrap();
        assert_eq!(revisions.remove(&tag), Some(kv.mod_revision));
    }
    assert!(revisions.is_empty());
}

#[test]
fn each_is_told_once_with_its_own_tag() {
    let place = Place::new();
    let (session, token) = place.active(1);
    many_are_each_told_once(&session, token, 100);
    stop(&session);
}

#[test]
fn each_is_told_once_with_its_own_tag_on_etcd() {
    let etcd = Etcd::start();
    let session = Session::start(&config(&format!("etcd://{}", etcd.endpoint(0)), 1), None).unwrap();
    let token = activate(&session);
    many_are_each_told_once(&session, token, 1000);
    stop(&session);
}

#[test]
fn a_failed_compare_is_told_with_what_is_there() {
    let place = Place::new();
    let (session, token) = place.active(1);
    session.txn(token).put("app/a", "1").commit(None).unwrap();
    session.txn(token).if_revision("app/a", 0).put("app/a", "2").submit(7, None).unwrap();
    let done = next_done(&session);
    assert_eq!((done.tag, kind(&done)), (7, Some(ErrorKind::CompareFailed)));
    assert_eq!(done.results.kvs[0].value, b"1");
    session.txn(token).get("app/a").submit(7, None).unwrap();
    let event = expect(&session, EventKind::TxnDone);
    assert_eq!(event.txn().unwrap().results.kvs[0].value, b"1");
    assert!(event.text().starts_with("rootcoord TXN_DONE tag=7 revision="), "{}", event.text());
    assert!(event.detail().is_none() && event.holder().is_none() && event.token() == 0);
    stop(&session);
}

fn on_switched(fault: Fault) -> (tempfile::TempDir, Session, Revision) {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Switched::open(directory.path()));
    store.set(fault);
    // No limit passes before the end of the session.
    let config =
        with(config(&format!("local:{}", directory.path().display()), 1), keys::STORE_REQUEST_TIMEOUT_MS, "60000");
    let session = Session::start_on(store, &config, None).unwrap();
    let token = activate(&session);
    (directory, session, token)
}

#[test]
fn what_the_store_refused_or_did_not_answer_is_told_as_such() {
    for (fault, expected) in [(Fault::Refuse, ErrorKind::Unavailable), (Fault::LoseReply, ErrorKind::UnknownOutcome)] {
        let (_directory, session, token) = on_switched(fault);
        session.txn(token).put("app/a", "1").submit(1, None).unwrap();
        assert_eq!(kind(&next_done(&session)), Some(expected));
        stop(&session);
    }
}

#[test]
fn those_that_were_not_answered_are_told_before_the_end() {
    let (_directory, session, token) = on_switched(Fault::Never);
    for tag in [3, 1, 2] {
        session.txn(token).put(format!("app/{tag}"), "1").submit(tag, None).unwrap();
    }
    session.request_stop();
    session.deactivation_done(token).unwrap();
    let mut told = Vec::new();
    loop {
        let event = session.next_event(Some(PATIENCE)).unwrap();
        match event.kind() {
            EventKind::TxnDone => {
                assert_eq!(event.error().unwrap().kind(), ErrorKind::UnknownOutcome);
                told.push(event.tag());
            }
            EventKind::Ended => break,
            _ => assert!(told.is_empty(), "{}", event.text()),
        }
    }
    assert_eq!(told, [3, 1, 2]);
    assert_eq!(session.next_event(NOW).unwrap_err().kind(), ErrorKind::Ended);
    let late = session.txn(token).put("app/a", "1").submit(4, None).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Ended);
}

#[test]
fn beyond_the_limit_it_is_busy_until_an_event_was_read() {
    let place = Place::new();
    let session = Session::start(&with(place.config(1), keys::TXN_INFLIGHT, "2"), None).unwrap();
    let token = activate(&session);
    for tag in 0..2 {
        session.txn(token).get("app/a").submit(tag, None).unwrap();
    }
    let mut third = session.txn(token);
    third.put("app/a", "1");
    let error = third.submit(2, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retriable());
    next_done(&session);
    third.submit(2, None).unwrap();
    assert_eq!(third.submit(2, None).unwrap_err().kind(), ErrorKind::Busy);
    next_done(&session);
    assert_eq!(third.submit(2, None).unwrap_err().kind(), ErrorKind::State);
    assert_eq!(kind(&next_done(&session)), None);
    // What was refused takes no place.
    for _ in 0..5 {
        assert_eq!(session.txn(token).get("").submit(3, None).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(session.txn(token).get("a").submit(3, NOW).unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(session.txn(token + 1).get("a").submit(3, None).unwrap_err().kind(), ErrorKind::Fenced);
    }
    session.txn(token).get("app/a").submit(4, None).unwrap();
    assert_eq!(next_done(&session).tag, 4);
    stop(&session);
}

#[test]
fn none_is_dropped_where_the_queue_is_full_and_the_library_answers_itself() {
    let place = Place::new();
    let config = with(with(place.config(1), keys::EVENTS_QUEUE, "16"), keys::ACTIVATION_AUTO, "true");
    let session = Session::start(&config, None).unwrap();
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    let token = session.fencing_token();
    for tag in 0..50 {
        session.txn(token).get("app/a").submit(tag, None).unwrap();
        session.pause().unwrap();
        session.resume().unwrap();
    }
    session.stop(Some(PATIENCE)).unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| session.next_event(NOW).ok()).collect();
    let mut tags: Vec<u64> = events.iter().filter(|e| e.kind() == EventKind::TxnDone).map(Event::tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..50).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap().kind(), EventKind::Ended);
}

struct Nothing;

impl Callbacks for Nothing {}

#[test]
fn a_session_with_callbacks_cannot_be_told_and_refuses() {
    let place = Place::new();
    let config: Config = place.config(1);
    let session = Session::start(&config, Some(Box::new(Nothing))).unwrap();
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    let mut txn = session.txn(session.fencing_token());
    assert_eq!(txn.put("app/a", "1").submit(1, None).unwrap_err().kind(), ErrorKind::State);
    txn.commit(None).unwrap();
    session.stop(Some(PATIENCE)).unwrap();
}

#[test]
fn the_descriptor_tells_of_each() {
    let place = Place::new();
    let (session, token) = place.active(1);
    // The last event that comes by itself is that the watch shows it its own key.
    until("the session sees itself", || session.holder().filter(|holder| holder.token == token));
    while session.next_event(NOW).is_ok() {}
    let fd = session.event_fd().unwrap();
    session.txn(token).get("app/a").submit(1, None).unwrap();
    let mut ready = [rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec::try_from(PATIENCE).unwrap();
    assert_eq!(rustix::event::poll(&mut ready, Some(&limit)).unwrap(), 1);
    assert_eq!(session.next_event(NOW).unwrap().tag(), 1);
    stop(&session);
}
