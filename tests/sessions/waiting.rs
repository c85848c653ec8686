//! Waiting, in threads and in async code under another runtime or none.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use coordha::error::ErrorKind;
use coordha::session::{EventKind, Role, Session, Until};

use crate::support::wait::until;
use crate::world::{PATIENCE, Place, activate, expect, leave, stop};

/// Does this in a thread of its own, and fails where that goes on for ever.
fn ends(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(work);
    until("its end", || thread.is_finished().then_some(()));
    thread.join().unwrap();
}

/// The smallest runtime there is: nothing of tokio's is about.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        std::thread::park();
    }
}

async fn one_term(session: &Session) {
    let mut events = session.events();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        match event.kind() {
            EventKind::Activate => session.activation_done(event.token(), Ok(())).unwrap(),
            EventKind::Active => {
                session.wait_async(Until::Active, None).await.unwrap();
                let mut txn = session.txn(event.token());
                txn.put("app/key", "value").commit_async(None).await.unwrap();
                session.request_stop();
            }
            EventKind::Deactivate => session.deactivation_done(event.token()).unwrap(),
            _ => {}
        }
        seen.push(event.kind());
    }
    assert_eq!(seen.last(), Some(&EventKind::Ended));
    assert_eq!(session.event().await.unwrap_err().kind(), ErrorKind::Ended);
    session.wait_async(Until::Ended, Some(PATIENCE)).await.unwrap();
    session.stop_async(None).await.unwrap();
}

#[test]
fn async_code_works_without_any_runtime() {
    ends(|| {
        let place = Place::new();
        let session = place.start(1);
        block_on(one_term(&session));
    });
}

#[test]
fn async_code_works_under_a_runtime_of_the_callers_that_also_drops_the_session() {
    ends(|| {
        let place = Place::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let session = place.start(1);
            one_term(&session).await;
            drop(session);
            let session = place.start(1);
            session.close();
        });
    });
}

#[test]
fn async_waits_keep_their_limit() {
    let place = Place::new();
    let (active, _) = place.active(1);
    let standby = place.standby(2);
    let limit = Some(Duration::from_millis(20));
    let (waiting, stopped) = (standby.clone(), active.clone());
    ends(move || {
        let error = block_on(waiting.wait_async(Until::Active, limit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        stopped.request_stop();
        let error = block_on(stopped.stop_async(limit)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    });
    leave(&active);
    stop_next(&standby);
}

fn stop_next(standby: &Session) {
    activate(standby);
    stop(standby);
}

#[test]
fn a_dropped_wait_for_an_event_loses_none() {
    let place = Place::new();
    let session = place.standby_alone();
    let waker = Waker::noop();
    for _ in 0..10 {
        let mut next = pin!(session.event());
        let _ = next.as_mut().poll(&mut Context::from_waker(waker));
    }
    session.stop(Some(PATIENCE)).unwrap();
    assert_eq!(leave(&session).kind(), EventKind::Ended);
}

impl Place {
    /// A paused session that has told all it has to tell.
    fn standby_alone(&self) -> Session {
        let config = crate::world::with(self.config(1), coordha::config::keys::ELECTION_PAUSED, "true");
        let session = Session::start(&config, None).unwrap();
        expect(&session, EventKind::Blocked);
        while session.next_event(Some(Duration::ZERO)).is_ok() {}
        session
    }
}

#[test]
fn every_state_can_be_waited_for() {
    let place = Place::new();
    let session = place.start(1);
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    // No term is held yet, or it is held and not asked to end.
    let waiter = {
        let session = session.clone();
        std::thread::spawn(move || session.wait(Until::Active, Some(PATIENCE)))
    };
    let token = activate(&session);
    waiter.join().unwrap().unwrap();
    let error = session.wait(Until::TermEnding, Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let waiter = {
        let session = session.clone();
        std::thread::spawn(move || {
            session.wait(Until::TermEnding, Some(PATIENCE)).unwrap();
            session.is_ending(token)
        })
    };
    let ended = {
        let session = session.clone();
        std::thread::spawn(move || session.wait(Until::Ended, Some(PATIENCE)))
    };
    session.request_stop();
    assert!(waiter.join().unwrap());
    leave(&session);
    ended.join().unwrap().unwrap();
    let error = session.wait(Until::Active, Some(PATIENCE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ended);
    session.wait(Until::Registered, Some(PATIENCE)).unwrap();
    session.wait(Until::TermEnding, Some(PATIENCE)).unwrap();
    assert_eq!(session.role(), Role::Ended);
}
