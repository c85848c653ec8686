//! The callback front end: what the application is called for, and what it answers.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::outbox::Outbox;
use super::{Event, EventKind, Session};
use crate::driver::{Driver, panic_text};
use crate::election::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

thread_local! {
    /// The outbox whose callbacks this thread is calling; null: none.
    static CALLING: Cell<*const Outbox> = const { Cell::new(std::ptr::null()) };
}

/// What a callback answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// Done: "ready" from [`Callbacks::on_activate`], "left" from [`Callbacks::on_deactivate`].
    Done,
    /// The activation failed: the term is given up, and contended for again after a pause. From
    /// [`Callbacks::on_deactivate`] it means "left", as an end cannot fail.
    Failed {
        /// A number of the application's, 10000 and up, or one of [`ErrorKind`]'s; kept in the error as detail `code`.
        code: i32,
        /// What went wrong, in words.
        why: String,
    },
    /// Not done yet: [`Session::activation_done`] or [`Session::deactivation_done`] will say so.
    Pending,
}

impl Answer {
    /// A failed activation, in the application's words, without a number of its own.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { code: ErrorKind::ActivationFailed.code(), why: why.into() }
    }
}

impl<E: std::error::Error> From<std::result::Result<(), E>> for Answer {
    fn from(result: std::result::Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::failed(error.to_string()),
        }
    }
}

/// The error of a failed activation: [`ErrorKind::ActivationFailed`] with the detail `code`.
pub fn activation_failed(code: i32, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::ActivationFailed, why).with("code", code)
}

/// What a session calls. A session's callbacks run in order, never two at once, on a thread of the library's that
/// carries no other work: a slow one delays no keepalive. The thread may change from call to call.
///
/// The session given is the one that calls, also before [`Session::start`] has returned. [`Session::stop`]
/// and [`Session::wait`] on it are refused here ([`ErrorKind::InCallback`]); [`Session::request_stop`] and
/// transactions are allowed. A panic is caught: an activation that panicked has failed, a deactivation is
/// done.
///
/// The value is dropped exactly once, after the last call, on whatever thread that happens; where the start fails,
/// before it returns.
///
/// ```
/// # use coordha::config::keys;
/// # use coordha::session::{Answer, Callbacks, Event, Session, Until};
/// # let directory = tempfile::tempdir()?;
/// struct Coordinator;
///
/// impl Callbacks for Coordinator {
///     fn on_activate(&mut self, session: &Session, event: &Event) -> Answer {
///         let loaded = session.txn(event.token()).get("app/config").commit(None);
///         loaded.map(drop).into() // an error is a failed activation
///     }
///
///     fn on_deactivate(&mut self, _: &Session, event: &Event) -> Answer {
///         println!("leaving: {}", if event.held() { "finish what runs" } else { "the role is lost" });
///         Answer::Done
///     }
/// }
///
/// let session = Session::builder()
///     .set(keys::ROLE, "rootcoord")
///     .set(keys::ADDRESS, "127.0.0.1:53100")
///     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
///     .callbacks(Coordinator)
///     .start()?;
/// session.wait(Until::Active, None)?;
/// session.stop(None)?; // returns once on_deactivate has, and the role is released
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Callbacks: Send + 'static {
    /// The term is won: get ready. From [`Answer::Done`] on [`Session::is_active`] is true. Guarded transactions work
    /// already. Long work should look at [`Session::is_ending`] now and then, and give up where it says so.
    fn on_activate(&mut self, session: &Session, event: &Event) -> Answer {
        let _ = (session, event);
        Answer::Done
    }

    /// Leave: drain where [`Event::held`], else only clean up. Called once a term, after `on_activate` has returned,
    /// also after an activation that failed. [`Answer::Done`] says that nothing of this term runs any more.
    fn on_deactivate(&mut self, session: &Session, event: &Event) -> Answer {
        let _ = (session, event);
        Answer::Done
    }

    /// Anything else: see [`EventKind`](super::EventKind). The last one is `Ended`.
    fn on_event(&mut self, session: &Session, event: &Event) {
        let _ = (session, event);
    }
}

/// Whether the calling thread is in a callback of this session.
pub(super) fn is_calling(outbox: &Outbox) -> bool {
    std::ptr::eq(CALLING.get(), outbox)
}

/// Calls the application for every event that waits.
pub(super) fn call_all(driver: Arc<Driver>, outbox: &Arc<Outbox>) {
    let session = Session::lent(driver, outbox);
    let mut callbacks = outbox.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
    CALLING.set(Arc::as_ptr(outbox));
    let mut ended = false;
    while let Some(event) = outbox.take_to_call() {
        if let Some(callbacks) = callbacks.as_mut() {
            call(&mut **callbacks, &session, &event);
        }
        if event.kind() == EventKind::Ended {
            let last = callbacks.take();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(last))) {
                log_panic(event.role_name(), "dropping the callbacks", &*panic);
            }
            ended = true;
        }
    }
    CALLING.set(std::ptr::null());
    drop(callbacks);
    // First, so that who waits for the end holds the last share of the session, and ends the runtime's threads with it.
    drop(session);
    if ended {
        outbox.finish();
    }
}

fn call(callbacks: &mut dyn Callbacks, session: &Session, event: &Event) {
    match event.kind() {
        EventKind::Activate => {
            let answer = catch_unwind(AssertUnwindSafe(|| callbacks.on_activate(session, event)));
            let result = match answer {
                Ok(Answer::Pending) => return,
                Ok(Answer::Done) => Ok(()),
                Ok(Answer::Failed { code, why }) => Err(activation_failed(code, why)),
                Err(panic) => {
                    log_panic(event.role_name(), "on_activate", &*panic);
                    let why = format!("on_activate panicked: {}", panic_text(&*panic));
                    Err(activation_failed(ErrorKind::ActivationFailed.code(), why))
                }
            };
            answer_activation(session, event.token(), result);
        }
        EventKind::Deactivate => {
            let answer = catch_unwind(AssertUnwindSafe(|| callbacks.on_deactivate(session, event)));
            match answer {
                Ok(Answer::Pending) => return,
                Ok(Answer::Done) => {}
                Ok(Answer::Failed { code, why }) => {
                    tracing::warn!(role = event.role_name(), code, why, "on_deactivate failed");
                }
                Err(panic) => log_panic(event.role_name(), "on_deactivate", &*panic),
            }
            let token = event.token();
            // Refused where the limit has passed and the session has ended: there is nothing left to say.
            let _ = session.driver.request(Request::DeactivationDone { token });
        }
        _ => {
            let called = catch_unwind(AssertUnwindSafe(|| callbacks.on_event(session, event)));
            if let Err(panic) = called {
                log_panic(event.role_name(), "on_event", &*panic);
            }
        }
    }
}

fn answer_activation(session: &Session, token: Revision, result: Result<()>) {
    // Refused where the term has ended meanwhile, or the core said "ready" itself: DEACTIVATE follows, or it is said.
    let _ = session.driver.request(Request::ActivationDone { token, result });
}

pub(super) fn log_panic(role: &str, place: &str, panic: &(dyn Any + Send)) {
    let text = panic_text(panic);
    tracing::error!(role, place, "the application panicked: {text}");
}
