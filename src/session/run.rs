//! The term body: code of the application that runs once a term, and what its end means to the session.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::callbacks::{activation_failed, log_panic};
use super::{Event, EventKind, Session, Term};
use crate::driver::panic_text;
use crate::error::{Error, ErrorKind, Result};

/// What the body of a term returns. Its error is any error, or any text: `?` makes it.
pub type BodyResult = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Session {
    /// Calls `body` once for each term, with one term after another, and returns once the session has ended.
    ///
    /// The body gets ready, says so by [`Term::ready`], works until [`Term::ending`] returns, drains while
    /// [`Term::held`], and returns. That it has returned means that nothing of the term runs any more: until then this
    /// session does not contend again.
    ///
    /// | The body | means |
    /// |---|---|
    /// | returns, fails or panics before `ready` | a failed activation, by its words: the term is given up, and contended for again after a pause |
    /// | returns after `ready`, not asked | it resigns: released in order, contended for again after `activation.backoff_ms` |
    /// | fails or panics after `ready`, not asked | the same, logged once as an error |
    /// | returns after it was asked | it has left |
    /// | fails or panics after it was asked | it has left; logged once, but for [`ErrorKind::Fenced`] |
    ///
    /// Once the role is lost the body's future is dropped at its next await, and what it owns is dropped with it. Tasks that
    /// it has spawned are its own to end: let it own them (`tokio::task::JoinSet`, whose drop aborts each at its next await, a
    /// moment later maybe: so let them ask [`Term::held`] before they act), and wait for them before it returns.
    ///
    /// The body is polled by the task that polls this future, on any runtime, and need not be `Send`; where it is, so is
    /// this future, and may be spawned. A body that blocks its thread should ask [`Term::is_ending`] now and then.
    /// **Dropping** this future drops the body's, which means the same as a return; then somebody else must serve the
    /// session, or end it.
    ///
    /// The events' error of a failed activation has a number in the detail `code`: that of an [`Error`] of the crate, above all one of
    /// [`activation_failed`], else 303.
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{Reason, Session};
    /// # let directory = tempfile::tempdir()?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let session = Session::builder()
    ///     .set(keys::ROLE, "rootcoord")
    ///     .set(keys::ADDRESS, "127.0.0.1:53100")
    ///     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    ///     .start()?;
    /// session
    ///     .run(|term| async move {
    ///         let done = term.txn().put("app/config", "loaded").commit_async(None).await?; // an error: a failed activation
    ///         term.ready()?; // from now on session.is_active() is true
    ///         assert!(term.session().is_active() && done.revision > term.token());
    ///         term.session().request_stop(); // somebody asks it to end
    ///         term.ending().await;
    ///         assert!(term.held() && term.reason() == Some(Reason::Stop)); // drain: finish what runs
    ///         Ok(()) // nothing of this term runs any more
    ///     })
    ///     .await?;
    /// assert!(!session.is_active());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The error that ended the session; [`ErrorKind::Ended`] where it had ended before; [`ErrorKind::State`] with callbacks, with
    /// `activation.auto` (the library answers by itself), and while another body serves the session.
    pub fn run<B, F>(&self, body: B) -> impl Future<Output = Result<()>> + use<B, F>
    where
        B: FnMut(Term) -> F,
        F: Future<Output = BodyResult>,
    {
        let session = self.clone();
        async move { session.serve(body, |_| ()).await }
    }

    /// [`Session::run`] that tells every event, in order, on the same task. Between two events the body goes on, so
    /// `on_event` must not wait; whoever wants to may send the events elsewhere. A panic of it is logged.
    ///
    /// While a body serves the session nobody else is given events: [`Session::next_event`] and [`Session::event`] say
    /// [`ErrorKind::State`].
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{EventKind, Session};
    /// # let directory = tempfile::tempdir()?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let session = Session::builder()
    /// #     .set(keys::ROLE, "rootcoord")
    /// #     .set(keys::ADDRESS, "127.0.0.1:53100")
    /// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    /// #     .start()?;
    /// let mut told = Vec::new();
    /// let body = |term: coordha::session::Term| async move {
    ///     term.ready()?;
    ///     term.session().request_stop();
    ///     Ok(())
    /// };
    /// session.run_with(body, |event| told.push(event.kind())).await?;
    /// assert_eq!(told.last(), Some(&EventKind::Ended));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_with<B, F, H>(&self, body: B, on_event: H) -> impl Future<Output = Result<()>> + use<B, F, H>
    where
        B: FnMut(Term) -> F,
        F: Future<Output = BodyResult>,
        H: FnMut(Event),
    {
        let session = self.clone();
        async move { session.serve(body, on_event).await }
    }

    async fn serve<B, F>(&self, mut body: B, on_event: impl FnMut(Event)) -> Result<()>
    where
        B: FnMut(Term) -> F,
        F: Future<Output = BodyResult>,
    {
        let _turn = Turn::take(self)?;
        let mut reader = Reader { session: self, on_event, end: None };
        loop {
            let (kind, token) = reader.next().await?;
            match kind {
                EventKind::Activate => {
                    let term = Term::new(self.clone(), token);
                    match Serving::begin(term, &mut body) {
                        Ok(serving) => serving.live(&mut reader).await,
                        Err((term, outcome)) => say_end(&term, outcome),
                    }
                }
                // Of a term that began before; refused where its body has said it.
                EventKind::Deactivate => drop(self.deactivation_done(token)),
                _ => {}
            }
            if let Some(end) = reader.end.take() {
                return end;
            }
        }
    }
}

/// The one place that a body may have at a session.
struct Turn<'a>(&'a Session);

impl<'a> Turn<'a> {
    fn take(session: &'a Session) -> Result<Self> {
        session.pulled()?;
        if session.outbox.auto {
            return Err(Error::new(ErrorKind::State, "with activation.auto the library answers by itself"));
        }
        if session.outbox.has_body.swap(true, Ordering::AcqRel) {
            return Err(Error::new(ErrorKind::State, "the session has a body already"));
        }
        Ok(Self(session))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.outbox.has_body.store(false, Ordering::Release);
    }
}

/// Reads the events and hands them on.
struct Reader<'a, H> {
    session: &'a Session,
    on_event: H,
    /// `Ended` was read.
    end: Option<Result<()>>,
}

impl<H: FnMut(Event)> Reader<'_, H> {
    async fn next(&mut self) -> Result<(EventKind, i64)> {
        let outbox = &self.session.outbox;
        let event = outbox.wait_async(|| outbox.take().transpose()).await?;
        let (kind, token) = (event.kind(), event.token());
        if kind == EventKind::Ended {
            self.end = Some(event.error().cloned().map_or(Ok(()), Err));
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.on_event)(event))) {
            log_panic(self.session.role_name(), "on_event", &*panic);
        }
        Ok((kind, token))
    }
}

/// How a body has ended.
enum Outcome {
    Returned(BodyResult),
    /// Logged already.
    Panicked(String),
    /// Nobody waits for it any more: the term is lost, or the one who ran it is gone.
    Dropped,
}

/// A body at work. Dropped in mid-term, it ends its term in order.
struct Serving<F> {
    term: Term,
    body: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = BodyResult>> Serving<F> {
    fn begin(term: Term, body: &mut impl FnMut(Term) -> F) -> std::result::Result<Self, (Term, Outcome)> {
        if !term.held() {
            return Err((term, Outcome::Dropped));
        }
        let given = term.clone();
        match catch_unwind(AssertUnwindSafe(|| Box::pin(body(given)))) {
            Ok(body) => Ok(Self { term, body: Some(body) }),
            Err(panic) => {
                log_panic(term.session().role_name(), "the term's body", &*panic);
                Err((term, Outcome::Panicked(panic_text(&*panic))))
            }
        }
    }

    /// Drives the body to its end, and tells events meanwhile.
    async fn live(mut self, reader: &mut Reader<'_, impl FnMut(Event)>) {
        let term = self.term.clone();
        let outcome = loop {
            tokio::select! {
                biased;
                () = term.lost() => break Outcome::Dropped,
                outcome = self.outcome() => break outcome,
                event = reader.next() => if event.is_err() {
                    break Outcome::Dropped;
                },
            }
        };
        self.end(outcome);
    }

    async fn outcome(&mut self) -> Outcome {
        let Some(body) = &mut self.body else { return Outcome::Dropped };
        let polled = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        match polled.await {
            Ok(result) => Outcome::Returned(result),
            Err(panic) => {
                log_panic(self.term.session().role_name(), "the term's body", &*panic);
                Outcome::Panicked(panic_text(&*panic))
            }
        }
    }
}

impl<F> Serving<F> {
    /// First the future, with all that it owns; then the answer.
    fn end(&mut self, outcome: Outcome) {
        let Some(body) = self.body.take() else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(body))) {
            log_panic(self.term.session().role_name(), "dropping the term's body", &*panic);
        }
        say_end(&self.term, outcome);
    }
}

impl<F> Drop for Serving<F> {
    fn drop(&mut self) {
        self.end(Outcome::Dropped);
    }
}

/// Nothing of the term runs any more: says what that means, as the session's state has it.
fn say_end(term: &Term, outcome: Outcome) {
    let session = term.session();
    match session.activation_done(term.token(), Err(why_failed(&outcome))) {
        // The events tell of it.
        Ok(()) => {}
        // "Ready" was said, and nobody has asked it to end.
        Err(refused) if refused.kind() == ErrorKind::State => {
            report(term, &outcome, false);
            // Refused where it ends meanwhile.
            let _ = session.resign(Duration::ZERO);
        }
        Err(_) => report(term, &outcome, true),
    }
    // Refused where the session has ended.
    let _ = session.deactivation_done(term.token());
}

/// An activation that failed without a number of the application's.
fn failed(why: impl Into<String>) -> Error {
    activation_failed(ErrorKind::ActivationFailed.code(), why)
}

/// What a failed activation is told to have failed by.
fn why_failed(outcome: &Outcome) -> Error {
    match outcome {
        Outcome::Returned(Ok(())) => failed("the term's body returned before it was ready"),
        Outcome::Returned(Err(error)) => {
            let number = own_error(&**error).map(|own| {
                let number = own.detail("code").and_then(|number| number.parse().ok());
                number.unwrap_or(own.kind().code())
            });
            activation_failed(number.unwrap_or(ErrorKind::ActivationFailed.code()), format!("{error:#}"))
        }
        Outcome::Panicked(words) => failed(format!("the term's body panicked: {words}")),
        Outcome::Dropped => failed("the term's body was dropped before it was ready"),
    }
}

/// Logs an error that no event tells. Late work meets the end of its term by an error: that is no news.
fn report(term: &Term, outcome: &Outcome, late: bool) {
    let Outcome::Returned(Err(error)) = outcome else { return };
    let kind = own_error(&**error).map(Error::kind);
    if late && matches!(kind, Some(ErrorKind::Fenced | ErrorKind::Ended)) {
        return;
    }
    let (role, token) = (term.session().role_name(), term.token());
    tracing::error!(role, token, "the term's body failed: {error:#}");
}

/// The error of this crate that an error is, or comes from.
fn own_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}
