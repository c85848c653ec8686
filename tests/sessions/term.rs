//! The term body: what its return, its errors and its panics mean, and how a term that is lost ends it.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordha::config::{Config, keys};
use coordha::error::{Error, ErrorKind};
use coordha::kv::{Op, Txn};
use coordha::session::{
    Answer, BodyResult, Callbacks, Event, EventKind, Reason, Role, Session, Term, Until, activation_failed,
};
use coordha::store::Store;
use coordha::store::local::LocalStore;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::logs::Lines;
use crate::support::wait::until;
use crate::world::{PATIENCE, Place, activate, expect, stop, with};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn start(config: &Config) -> Session {
    Session::start(config, None).unwrap()
}

/// Waits for the end of what must end.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("it goes on for ever")
}

/// An ordinary term, in which somebody stops the session.
async fn serve_and_stop(term: Term) -> BodyResult {
    term.ready()?;
    term.session().request_stop();
    term.ending().await;
    Ok(())
}

/// A session whose first term goes as told, and whose second is an ordinary one. All events.
async fn two_terms<F>(config: &Config, first: impl FnOnce(Term) -> F) -> Vec<Event>
where
    F: Future<Output = BodyResult>,
{
    let session = start(config);
    let (mut first, mut told) = (Some(first), Vec::new());
    let body = |term: Term| {
        let first = first.take().map(|first| first(term.clone()));
        async move {
            match first {
                Some(first) => first.await,
                None => serve_and_stop(term).await,
            }
        }
    };
    soon(session.run_with(body, |event| told.push(event))).await.unwrap();
    told
}

fn kept(told: &[Event]) -> Vec<EventKind> {
    told.iter().map(Event::kind).filter(|kind| kind.is_kept()).collect()
}

/// How the first term ended, of two of which the second was as all are.
#[track_caller]
fn first_end<'a>(told: &'a [Event], first: &[EventKind]) -> &'a Event {
    use EventKind::{Activate, Active, Deactivate, Ended, TermEnded};
    assert_eq!(kept(told), [first, &[Activate, Active, Deactivate, TermEnded, Ended]].concat());
    told.iter().find(|event| event.kind() == Deactivate).unwrap()
}

/// The words and the number of a failed activation.
#[track_caller]
fn failure(told: &[Event]) -> (&str, &str) {
    let end = first_end(told, &[EventKind::Activate, EventKind::TermEnded, EventKind::Deactivate]);
    assert_eq!((end.reason(), end.held()), (Some(Reason::ActivationFailed), false));
    let error = end.error().unwrap();
    (error.message(), error.detail("code").unwrap())
}

#[track_caller]
fn assert_resigned(told: &[Event]) {
    use EventKind::{Activate, Active, Deactivate, TermEnded};
    let end = first_end(told, &[Activate, Active, Deactivate, TermEnded]);
    assert_eq!((end.reason(), end.held(), end.error()), (Some(Reason::Resign), true, None));
}

#[tokio::test]
async fn a_body_is_ready_serves_drains_and_run_returns_with_the_session() {
    let place = Place::new();
    let session = start(&place.config(1));
    let mut told = Vec::new();
    let body = |term: Term| async move {
        let session = term.session();
        assert_eq!((session.is_active(), term.held(), term.is_ending()), (false, true, false));
        assert_eq!((session.fencing_token(), term.reason()), (term.token(), None));
        term.ready()?;
        assert!(session.is_active());
        assert_eq!(term.ready().unwrap_err().kind(), ErrorKind::State);
        term.txn().put("app/a", "1").commit_async(None).await?;
        session.request_stop();
        term.ending().await;
        assert_eq!((term.held(), term.is_ending(), term.reason()), (true, true, Some(Reason::Stop)));
        term.txn().put("app/a", "2").commit_async(None).await?;
        Ok(())
    };
    soon(session.run_with(body, |event| told.push(event))).await.unwrap();
    use EventKind::{Activate, Active, Deactivate, Ended, TermEnded};
    assert_eq!(kept(&told), [Activate, Active, Deactivate, TermEnded, Ended]);
    assert_eq!(soon(session.run(serve_and_stop)).await.unwrap_err().kind(), ErrorKind::Ended);
}

#[tokio::test]
async fn a_return_before_ready_is_a_failed_activation() {
    let place = Place::new();
    let told = two_terms(&place.config(1), async |_| Ok(())).await;
    assert_eq!(failure(&told), ("the term's body returned before it was ready", "303"));
}

#[tokio::test]
async fn an_error_before_ready_is_a_failed_activation_by_its_words_and_its_number() {
    let place = Place::new();
    let told = two_terms(&place.config(1), async |_| Err("no disk".into())).await;
    assert_eq!(failure(&told), ("no disk", "303"));
    let told = two_terms(&place.config(1), async |_| Err(activation_failed(10001, "no disk").into())).await;
    assert_eq!(failure(&told), ("no disk", "10001"));
    let told = two_terms(&place.config(1), async |_| Err(Error::new(ErrorKind::Auth, "who are you?").into())).await;
    assert_eq!(failure(&told), ("who are you?", "402"));
}

#[tokio::test]
async fn a_panic_before_ready_is_a_failed_activation() {
    let place = Place::new();
    let told = two_terms(&place.config(1), async |_| panic!("boom")).await;
    assert_eq!(failure(&told), ("the term's body panicked: boom", "303"));
    // Before there is a future at all.
    let told = two_terms(&place.config(1), |_| -> std::future::Ready<BodyResult> { panic!("bang") }).await;
    assert_eq!(failure(&told), ("the term's body panicked: bang", "303"));
}

#[tokio::test]
async fn a_return_after_ready_resigns_without_a_word() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = with(place.config(1), keys::ROLE, "returningcoord");
    let told = two_terms(&config, async |term| Ok(term.ready()?)).await;
    assert_resigned(&told);
    assert_eq!(errors(&lines, "returningcoord"), <[&str; 0]>::default());
}

/// What was logged as an error for a role.
fn errors(lines: &Lines, role: &str) -> Vec<String> {
    lines.of(role).into_iter().filter(|line| line.contains("ERROR")).collect()
}

#[tokio::test]
async fn an_error_after_ready_resigns_and_is_logged_once() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = with(place.config(1), keys::ROLE, "failingcoord");
    let told = two_terms(&config, async |term| {
        term.ready()?;
        Err("boom".into())
    });
    assert_resigned(&told.await);
    let [error] = &errors(&lines, "failingcoord")[..] else { panic!("{lines:?}") };
    assert!(error.contains("the term's body failed: boom"), "{error}");
}

#[tokio::test]
async fn a_panic_after_ready_resigns_and_is_logged_once() {
    let lines = Lines::of_process();
    let place = Place::new();
    let config = with(place.config(1), keys::ROLE, "panickingcoord");
    let told = two_terms(&config, async |term| {
        term.ready()?;
        panic!("boom")
    });
    assert_resigned(&told.await);
    let [error] = &errors(&lines, "panickingcoord")[..] else { panic!("{lines:?}") };
    assert!(error.contains("the application panicked: boom"), "{error}");
}

/// One term that is stopped, drains, and ends like this; what was logged as an error.
async fn drained(role: &str, end: BodyResult) -> Vec<String> {
    let lines = Lines::of_process();
    let place = Place::new();
    let session = start(&with(place.config(1), keys::ROLE, role));
    let mut end = Some(end);
    let body = |term: Term| {
        let end = end.take().unwrap();
        async move {
            term.ready()?;
            term.session().request_stop();
            term.ending().await;
            end
        }
    };
    let mut told = Vec::new();
    soon(session.run_with(body, |event| told.push(event))).await.unwrap();
    let ends: Vec<_> = told.iter().filter_map(|event| event.reason().map(|reason| (event.kind(), reason))).collect();
    assert_eq!(ends, [(EventKind::Deactivate, Reason::Stop), (EventKind::TermEnded, Reason::Stop)]);
    errors(&lines, role)
}

#[tokio::test]
async fn an_error_of_a_drain_is_logged_once_and_the_term_ends_in_order() {
    let logged = drained("drainingcoord", Err("boom".into())).await;
    assert!(logged.len() == 1 && logged[0].contains("the term's body failed: boom"), "{logged:?}");
}

#[tokio::test]
async fn late_work_that_meets_the_end_of_its_term_is_no_news() {
    let late = Error::new(ErrorKind::Fenced, "too late");
    assert_eq!(drained("latecoord", Err(late.clone().into())).await, <[&str; 0]>::default());
    let wrapped = anyhow::Error::from(late).context("the last write");
    assert_eq!(drained("laterecoord", Err(wrapped.into())).await, <[&str; 0]>::default());
}

#[tokio::test]
async fn a_stop_while_it_loads_makes_ready_too_late() {
    let lines = Lines::of_process();
    let place = Place::new();
    let session = start(&with(place.config(1), keys::ROLE, "loadingcoord"));
    let body = |term: Term| async move {
        term.session().request_stop();
        term.ending().await;
        let late = term.ready().unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Fenced);
        Err(late.into())
    };
    let mut told = Vec::new();
    soon(session.run_with(body, |event| told.push(event))).await.unwrap();
    use EventKind::{Activate, Deactivate, Ended, TermEnded};
    assert_eq!(kept(&told), [Activate, Deactivate, TermEnded, Ended]);
    assert_eq!(errors(&lines, "loadingcoord"), <[&str; 0]>::default());
}

/// Notes the session's state when it is dropped.
struct Witness {
    session: Session,
    seen: Arc<Mutex<Vec<Role>>>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.seen.lock().unwrap().push(self.session.role());
    }
}

/// A session whose first term is lost by `lose` while its body waits for ever.
pub(crate) async fn a_lost_term_drops_the_body(config: &Config, lose: impl AsyncFnOnce(&Session)) {
    let seen = Arc::<Mutex<Vec<Role>>>::default();
    let mut lose = Some(lose);
    let told = two_terms(config, |term| {
        let witness = Witness { session: term.session().clone(), seen: Arc::clone(&seen) };
        let lose = lose.take().unwrap();
        async move {
            term.ready()?;
            // Owned by the body: they end with it.
            let beside = Rc::new(witness);
            lose(&beside.session).await;
            std::future::pending::<()>().await;
            unreachable!("it is dropped here, {beside:p}");
        }
    })
    .await;
    use EventKind::{Activate, Active, Deactivate, TermEnded};
    let end = first_end(&told, &[Activate, Active, TermEnded, Deactivate]);
    assert_eq!((end.reason(), end.held()), (Some(Reason::KeyDeleted), false));
    // "Left" was said after it: else the state would be STANDBY or later.
    assert_eq!(*seen.lock().unwrap(), [Role::Deactivating]);
}

#[tokio::test]
async fn a_lost_term_drops_the_body_before_left_is_said() {
    let place = Place::new();
    a_lost_term_drops_the_body(&place.config(1), async |session| {
        let store = LocalStore::open(place.path(), PATIENCE).unwrap();
        let delete = Txn { success: vec![Op::delete(session.active_key())], ..Txn::default() };
        store.txn(delete, PATIENCE).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_drain_that_hangs_is_dropped_at_the_limit() {
    let place = Place::new();
    let session = start(&with(place.config(1), keys::DEACTIVATION_TIMEOUT_MS, "100"));
    let (lost, is_lost) = oneshot::channel();
    let mut lost = Some(lost);
    let body = |term: Term| {
        let (lost, beside) = (lost.take(), term.clone());
        async move {
            term.ready()?;
            tokio::spawn(async move {
                beside.lost().await;
                lost.unwrap().send(beside.held()).unwrap();
            });
            term.session().request_stop();
            std::future::pending().await
        }
    };
    soon(session.run(body)).await.unwrap();
    assert!(!soon(is_lost).await.unwrap());
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_its_term_and_another_may_serve_the_next() {
    let place = Place::new();
    let session = start(&place.config(1));
    let (ready, is_ready) = oneshot::channel();
    let mut ready = Some(ready);
    let run = session.run(|term| {
        let ready = ready.take();
        async move {
            term.ready()?;
            ready.unwrap().send(term.token()).unwrap();
            std::future::pending().await
        }
    });
    let first = tokio::select! {
        _ = run => unreachable!("nobody stops it"),
        token = is_ready => token.unwrap(),
    };
    assert!(!session.is_active());
    let mut told = Vec::new();
    soon(session.run_with(serve_and_stop, |event| told.push(event))).await.unwrap();
    let left = told.iter().find(|event| event.kind() == EventKind::Deactivate).unwrap();
    assert_eq!((left.token(), left.reason()), (first, Some(Reason::Resign)));
    assert_eq!(told.iter().filter(|event| event.kind() == EventKind::Ended).count(), 1);
}

#[tokio::test]
async fn a_term_that_began_before_the_run_is_ended_and_the_next_one_served() {
    let place = Place::new();
    let (session, token) = place.active(1);
    session.resign(Duration::ZERO).unwrap();
    let mut told = Vec::new();
    soon(session.run_with(serve_and_stop, |event| told.push(event))).await.unwrap();
    assert_eq!(told[0].token(), token);
    assert!(told.iter().any(|event| event.kind() == EventKind::Active && event.token() > token));
}

#[tokio::test]
async fn a_body_is_alone_with_the_events() {
    let place = Place::new();
    let session = start(&place.config(1));
    let body = async |term: Term| {
        let session = term.session();
        assert_eq!(session.next_event(NOW).unwrap_err().kind(), ErrorKind::State);
        assert_eq!(session.event().await.unwrap_err().kind(), ErrorKind::State);
        assert!(session.events().next().await.is_none());
        assert_eq!(session.run(serve_and_stop).await.unwrap_err().kind(), ErrorKind::State);
        serve_and_stop(term).await
    };
    soon(session.run(body)).await.unwrap();
    assert_eq!(session.next_event(NOW).unwrap_err().kind(), ErrorKind::Ended);
}

struct Silent;
impl Callbacks for Silent {
    fn on_activate(&mut self, _: &Session, _: &Event) -> Answer {
        Answer::Done
    }
}

#[tokio::test]
async fn who_answers_already_needs_no_body() {
    let place = Place::new();
    let called = Session::start(&place.config(1), Some(Box::new(Silent))).unwrap();
    assert_eq!(called.run(serve_and_stop).await.unwrap_err().kind(), ErrorKind::State);
    let auto = start(&with(place.config(2), keys::ACTIVATION_AUTO, "true"));
    assert_eq!(auto.run(serve_and_stop).await.unwrap_err().kind(), ErrorKind::State);
    // Refused, it has taken nothing.
    auto.next_event(Some(PATIENCE)).unwrap();
}

#[tokio::test]
async fn a_run_may_be_spawned_and_keeps_its_session_going() {
    let place = Place::new();
    let session = start(&place.config(1));
    let run = tokio::spawn(session.run(serve_and_stop));
    drop(session);
    soon(run).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_of_who_is_told_does_no_harm() {
    let place = Place::new();
    let session = start(&place.config(1));
    let mut told = 0;
    let run = session.run_with(serve_and_stop, |_| {
        told += 1;
        panic!("boom");
    });
    soon(run).await.unwrap();
    assert!(told > 5);
}

#[tokio::test]
async fn run_says_what_ended_the_session() {
    let place = Place::new();
    let (holder, _) = place.active(1);
    let config = with(place.config(2), keys::ACTIVE_STANDBY_ENABLED, "false");
    let exclusive = start(&with(config, keys::EXCLUSIVE_WAIT_MS, "0"));
    let error = soon(exclusive.run(serve_and_stop)).await.unwrap_err();
    assert_eq!((error.kind(), error.detail("holder_address")), (ErrorKind::RoleHeld, Some("127.0.0.1:1")));
    stop(&holder);
}

#[test]
fn a_body_that_blocks_its_thread_learns_of_the_end_and_other_threads_stop_the_session() {
    let place = Place::new();
    let session = start(&place.config(1));
    let run = std::thread::spawn({
        let session = session.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(session.run(|term| async move {
                term.ready()?;
                term.session().wait(Until::TermEnding, Some(PATIENCE))?;
                assert!(term.is_ending() && term.held());
                Ok(())
            }))
        }
    });
    session.wait(Until::Active, Some(PATIENCE)).unwrap();
    session.stop(Some(PATIENCE)).unwrap();
    until("the end of the run", || run.is_finished().then_some(()));
    run.join().unwrap().unwrap();
}

#[test]
fn a_reader_of_events_is_served_again_after_the_run() {
    let place = Place::new();
    let session = start(&place.config(1));
    drop(session.run(serve_and_stop));
    let token = activate(&session);
    session.request_stop();
    assert_eq!(expect(&session, EventKind::Deactivate).token(), token);
    session.deactivation_done(token).unwrap();
    expect(&session, EventKind::Ended);
}
