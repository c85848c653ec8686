//! The callback front end: what is called, in what order, and what the answers do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{Answer, Callbacks, Event, EventKind, Reason, Session, Until};

use crate::support::wait::until;
use crate::world::{PATIENCE, Place, activate, short, stop, with};

type Told = (EventKind, Revision);
type Act = Box<dyn FnMut(&Session, &Event) -> Answer + Send>;

/// Tells the test of every call, and says so when it is dropped.
struct Recorder {
    told: Sender<Told>,
    dropped: Sender<()>,
    inside: AtomicBool,
    on_activate: Act,
    on_deactivate: Act,
    on_event: Act,
}

struct Calls {
    told: Receiver<Told>,
    dropped: Receiver<()>,
}

fn recorder() -> (Recorder, Calls) {
    let (told, calls) = channel();
    let (dropped, drops) = channel();
    let recorder = Recorder {
        told,
        dropped,
        inside: AtomicBool::new(false),
        on_activate: Box::new(|_, _| Answer::Done),
        on_deactivate: Box::new(|_, _| Answer::Done),
        on_event: Box::new(|_, _| Answer::Done),
    };
    (recorder, Calls { told: calls, dropped: drops })
}

impl Recorder {
    fn enter(&self, event: &Event) {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "two callbacks at once");
        self.told.send((event.kind(), event.token())).unwrap();
    }

    fn leave(&self) {
        self.inside.store(false, Ordering::SeqCst);
    }
}

impl Callbacks for Recorder {
    fn on_activate(&mut self, session: &Session, event: &Event) -> Answer {
        self.enter(event);
        self.leave();
        (self.on_activate)(session, event)
    }

    fn on_deactivate(&mut self, session: &Session, event: &Event) -> Answer {
        self.enter(event);
        self.leave();
        (self.on_deactivate)(session, event)
    }

    fn on_event(&mut self, session: &Session, event: &Event) {
        self.enter(event);
        self.leave();
        let _ = (self.on_event)(session, event);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.dropped.send(());
    }
}

impl Calls {
    /// Waits for the next call of this kind.
    fn expect(&self, kind: EventKind) -> Revision {
        loop {
            let told = self.told.recv_timeout(PATIENCE);
            let (told, token) = told.unwrap_or_else(|_| panic!("no {}", kind.name()));
            if told == kind {
                return token;
            }
        }
    }

    fn expect_dropped_once(&self) {
        self.dropped.recv_timeout(PATIENCE).unwrap();
        assert!(self.dropped.recv_timeout(PATIENCE).is_err(), "the sender is gone with it");
    }
}

fn start(config: &Config, recorder: Recorder) -> Session {
    Session::start(config, Some(Box::new(recorder))).unwrap()
}

#[test]
fn a_term_is_called_in_order_and_the_callbacks_are_dropped_after_the_last_call() {
    let place = Place::new();
    let (recorder, calls) = recorder();
    let session = start(&place.config(1), recorder);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    session.stop(Some(PATIENCE)).unwrap();
    calls.expect_dropped_once();
    let kept: Vec<_> = calls.told.try_iter().filter(|(kind, _)| kind.is_kept()).collect();
    let token = kept[0].1;
    assert!(token > 0);
    let expected = [
        (EventKind::Activate, token),
        (EventKind::Active, token),
        (EventKind::Deactivate, token),
        (EventKind::TermEnded, token),
        (EventKind::Ended, 0),
    ];
    assert_eq!(kept, expected);
    assert_eq!(session.next_event(Some(PATIENCE)).unwrap_err().kind(), ErrorKind::State);
    assert_eq!(session.event_fd().unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn callbacks_of_a_start_that_fails_are_dropped_before_it_returns() {
    let (recorder, calls) = recorder();
    let error = Session::start(&Config::new(), Some(Box::new(recorder))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigMissing);
    calls.dropped.try_recv().unwrap();
}

#[test]
fn pending_answers_are_given_later() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    recorder.on_activate = Box::new(|_, _| Answer::Pending);
    recorder.on_deactivate = Box::new(|_, _| Answer::Pending);
    let session = start(&place.config(1), recorder);
    let token = calls.expect(EventKind::Activate);
    let early = session.wait(Until::Active, Some(Duration::ZERO)).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Timeout);
    session.activation_done(token, Ok(())).unwrap();
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    session.request_stop();
    calls.expect(EventKind::Deactivate);
    assert!(session.holds(token));
    session.deactivation_done(token).unwrap();
    session.wait(Until::Ended, Some(PATIENCE)).unwrap();
}

#[test]
fn f39_an_activation_that_panics_has_failed_and_the_session_contends_again() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let mut first = true;
    recorder.on_activate = Box::new(move |_, _| {
        assert!(!std::mem::take(&mut first), "a defect of the application");
        Answer::Done
    });
    recorder.on_deactivate = Box::new(|_, _| panic!("another one"));
    recorder.on_event = Box::new(|_, _| panic!("and another"));
    let session = start(&place.config(1), recorder);
    let failed = calls.expect(EventKind::Activate);
    assert_eq!(calls.expect(EventKind::TermEnded), failed);
    assert_eq!(calls.expect(EventKind::Deactivate), failed);
    assert!(calls.expect(EventKind::Activate) > failed);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    session.stop(Some(PATIENCE)).unwrap();
    calls.expect_dropped_once();
}

#[test]
fn a_failed_activation_carries_its_words_and_number() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (sender, errors) = channel();
    recorder.on_activate = Box::new(|_, _| Answer::Failed { code: 10_042, why: "no quorum of disks".into() });
    recorder.on_deactivate = Box::new(move |_, event| {
        sender.send((event.reason(), event.held(), event.error().cloned())).unwrap();
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    calls.expect(EventKind::Deactivate);
    let (reason, held, error) = errors.recv_timeout(PATIENCE).unwrap();
    assert_eq!((reason, held), (Some(Reason::ActivationFailed), false));
    let error = error.unwrap();
    assert_eq!((error.message(), error.detail("code")), ("no quorum of disks", Some("10042")));
    session.stop(Some(PATIENCE)).unwrap();
}

#[test]
fn a_callback_may_ask_for_the_stop_and_write_but_not_wait_for_its_own_session() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (sender, results) = channel();
    recorder.on_activate = Box::new(move |session, event| {
        let token = event.token();
        let kind = |result: coordha::error::Result<()>| result.unwrap_err().kind();
        let refused = [kind(session.stop(None)), kind(session.wait(Until::Ended, None))];
        assert!(session.holds(token) && !session.is_ending(token));
        let written = session.txn(token).put("app/loaded", "1").commit(None);
        session.request_stop();
        sender.send((refused, written.is_ok(), session.is_ending(token))).unwrap();
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    let (refused, written, ending) = results.recv_timeout(PATIENCE).unwrap();
    assert_eq!(refused, [ErrorKind::InCallback; 2]);
    assert!(written && ending);
    session.wait(Until::Ended, Some(PATIENCE)).unwrap();
    calls.expect_dropped_once();
}

#[test]
fn a_slow_activation_delays_no_renewal_and_can_be_called_off() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (called_off, seen) = channel();
    recorder.on_activate = Box::new(move |session, event| {
        until("the activation is called off", || session.is_ending(event.token()).then_some(()));
        called_off.send(session.holds(event.token())).unwrap();
        Answer::failed("called off")
    });
    let session = start(&short(place.config(1)), recorder);
    let token = calls.expect(EventKind::Activate);
    let (mut before, mut renewals) = (session.remaining(), 0);
    until("renewals during the activation, for longer than a hold time", || {
        let now = session.remaining();
        renewals += u32::from(now > before);
        before = now;
        assert!(session.holds(token));
        (renewals == 6).then_some(())
    });
    session.stop(Some(PATIENCE)).unwrap();
    assert!(seen.try_recv().unwrap(), "held until it was left");
    calls.expect_dropped_once();
}

#[test]
fn stop_says_that_it_goes_on_behind_and_may_be_called_again() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (release, blocked) = channel::<()>();
    recorder.on_deactivate = Box::new(move |_, _| {
        blocked.recv_timeout(PATIENCE).unwrap();
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    let error = session.stop(Some(Duration::from_millis(50))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    calls.expect(EventKind::Deactivate);
    release.send(()).unwrap();
    session.stop(Some(PATIENCE)).unwrap();
    calls.expect_dropped_once();
}

#[test]
fn closing_a_session_whose_callback_hangs_lets_the_role_go_and_returns() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (release, blocked) = channel::<()>();
    recorder.on_deactivate = Box::new(move |_, _| {
        blocked.recv_timeout(PATIENCE * 2).unwrap();
        Answer::Done
    });
    let mut config = with(place.config(1), keys::DEACTIVATION_TIMEOUT_MS, "100");
    config = with(config, keys::RELEASE_TIMEOUT_MS, "500");
    let session = start(&config, recorder);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    let second = place.standby(2);
    session.close();
    activate(&second);
    assert!(calls.dropped.try_recv().is_err(), "its callback still runs");
    release.send(()).unwrap();
    calls.expect(EventKind::Ended);
    calls.expect_dropped_once();
    stop(&second);
}

#[test]
fn a_session_may_be_closed_in_its_own_callback() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let (hand_over, handle) = channel::<Session>();
    recorder.on_event = Box::new(move |_, event| {
        if event.kind() == EventKind::Active {
            handle.recv_timeout(PATIENCE).unwrap().close();
        }
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    hand_over.send(session).unwrap();
    let token = calls.expect(EventKind::Activate);
    assert_eq!(calls.expect(EventKind::Deactivate), token);
    calls.expect(EventKind::Ended);
    calls.expect_dropped_once();
}

#[test]
fn a_handle_that_a_callback_clones_and_drops_ends_nothing() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    recorder.on_activate = Box::new(|session, _| {
        drop(session.clone());
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    assert!(!session.is_ending(session.fencing_token()));
    drop(session);
    calls.expect(EventKind::Ended);
    calls.expect_dropped_once();
}

#[test]
fn callbacks_that_keep_a_handle_do_not_keep_a_dropped_session_going() {
    let place = Place::new();
    let (mut recorder, calls) = recorder();
    let mut kept = Vec::new();
    recorder.on_activate = Box::new(move |session, _| {
        kept.push(session.clone());
        Answer::Done
    });
    let session = start(&place.config(1), recorder);
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    session.request_stop();
    drop(session);
    calls.expect(EventKind::Ended);
    calls.expect_dropped_once();
}
