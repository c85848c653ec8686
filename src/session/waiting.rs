//! All that waits: for the next event, for a state, for the end. Each for threads and for async code.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::outbox::timed_out;
use super::{Event, Session, callbacks};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

/// What [`Session::wait`] waits for. The numbers are those of the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Until {
    /// A server ID and a lease are taken.
    Registered = 1,
    /// The session is active, or has been since the call.
    Active = 2,
    /// The term that is held at the call was asked to end, or is over; at once where none is held.
    TermEnding = 3,
    /// The session is over, and the last callback has returned.
    Ended = 4,
}

/// What [`Session::wait`] started from.
#[derive(Clone, Copy)]
struct Start {
    token: Revision,
    activations: u64,
}

impl Session {
    /// The next event; each goes to one caller. Waits for at most `limit` (zero: not at all).
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{EventKind, Session};
    /// # let directory = tempfile::tempdir()?;
    /// # let session = Session::builder()
    /// #     .set(keys::ROLE, "rootcoord")
    /// #     .set(keys::ADDRESS, "127.0.0.1:53100")
    /// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    /// #     .start()?;
    /// # let limit = std::time::Duration::from_secs(30);
    /// loop {
    ///     let event = session.next_event(Some(limit))?;
    ///     println!("{}", event.text());
    ///     match event.kind() {
    ///         EventKind::Activate => session.activation_done(event.token(), Ok(()))?,
    ///         EventKind::Active => session.request_stop(), // or serve, on other threads, until it is told to leave
    ///         EventKind::Deactivate => session.deactivation_done(event.token())?,
    ///         EventKind::Ended => break,
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`]; [`ErrorKind::Ended`] for ever once `Ended` was read; [`ErrorKind::State`] with
    /// callbacks, and while a body serves the session ([`Session::run`]).
    pub fn next_event(&self, limit: Option<Duration>) -> Result<Event> {
        self.pulled()?;
        self.outbox.wait(limit, || self.pull())?
    }

    /// The next event, for async code under any runtime. Dropping it loses no event.
    ///
    /// # Errors
    /// As [`Session::next_event`], but for the time-out.
    pub async fn event(&self) -> Result<Event> {
        self.pulled()?;
        self.outbox.wait_async(|| self.pull()).await
    }

    /// All events as a stream, which ends after `Ended`. With callbacks or a body it ends at once.
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{EventKind, Session};
    /// # let directory = tempfile::tempdir()?;
    /// # let session = Session::builder()
    /// #     .set(keys::ROLE, "rootcoord")
    /// #     .set(keys::ADDRESS, "127.0.0.1:53100")
    /// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    /// #     .start()?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let mut events = session.events();
    /// while let Some(event) = events.next().await {
    ///     match event.kind() {
    ///         EventKind::Activate => session.activation_done(event.token(), Ok(()))?,
    ///         EventKind::Active => session.request_stop(), // or serve, in other tasks, until it is told to leave
    ///         EventKind::Deactivate => session.deactivation_done(event.token())?,
    ///         _ => println!("{}", event.text()),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn events(&self) -> Events {
        let session = self.clone();
        Events { next: Box::pin(next(session)) }
    }

    /// Waits until the session is so far.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`]; [`ErrorKind::InCallback`] in a callback of this session; the error that ended
    /// the session, or [`ErrorKind::Ended`] where it ended in order and something else was waited for.
    pub fn wait(&self, until: Until, limit: Option<Duration>) -> Result<()> {
        self.not_in_callback()?;
        let start = self.start_of_wait();
        self.outbox.wait(limit, || self.reached(until, start))?
    }

    /// [`Session::wait`] for async code under any runtime.
    ///
    /// # Errors
    /// As [`Session::wait`].
    pub async fn wait_async(&self, until: Until, limit: Option<Duration>) -> Result<()> {
        self.not_in_callback()?;
        let start = self.start_of_wait();
        let reached = self.outbox.wait_async(|| self.reached(until, start));
        self.at_most(limit, reached).await?
    }

    /// [`Session::request_stop`], then waits until all is over: the role released, and no callback runs or will.
    /// Without callbacks another thread must go on reading and answering events.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`]: over, but the store did not confirm the release; [`ErrorKind::Timeout`]: it goes on
    /// behind, call again; [`ErrorKind::InCallback`] in a callback of this session: nothing was done.
    pub fn stop(&self, limit: Option<Duration>) -> Result<()> {
        self.not_in_callback()?;
        self.request_stop();
        self.outbox.wait(limit, || self.stopped())?
    }

    /// [`Session::stop`] for async code under any runtime.
    ///
    /// # Errors
    /// As [`Session::stop`].
    pub async fn stop_async(&self, limit: Option<Duration>) -> Result<()> {
        self.not_in_callback()?;
        self.request_stop();
        let stopped = self.outbox.wait_async(|| self.stopped());
        self.at_most(limit, stopped).await?
    }

    /// Ends the session for good, and waits as long as that makes sense: not at all after `Ended`; else it is
    /// a [`Session::stop`] of at most `deactivation.timeout_ms + release.timeout_ms`. In a callback, or past
    /// that limit, it fences, lets the role go and returns; the callbacks are dropped when all is over.
    /// Without callbacks nobody can answer any more, so it waits for the release alone.
    pub fn close(self) {
        if self.driver.refuse_child().is_err() {
            return;
        }
        let limit = self.outbox.end_limit;
        if !self.outbox.has_callbacks {
            self.outbox.deafen();
            self.driver.let_go();
        }
        if self.stop(Some(limit)).is_err() {
            self.driver.let_go();
        }
    }

    /// The next event, for whoever may have it.
    fn pull(&self) -> Option<Result<Event>> {
        if self.outbox.has_body.load(Ordering::Acquire) {
            return Some(Err(Error::new(ErrorKind::State, "a body serves the session: it is told the events")));
        }
        self.outbox.take().transpose()
    }

    fn not_in_callback(&self) -> Result<()> {
        self.driver.refuse_child()?;
        if callbacks::is_calling(&self.outbox) {
            return Err(Error::new(
                ErrorKind::InCallback,
                "it would wait for the callback that it is called in; use request_stop",
            ));
        }
        Ok(())
    }

    fn start_of_wait(&self) -> Start {
        Start { token: self.fencing_token(), activations: self.outbox.progress().activations }
    }

    fn reached(&self, until: Until, start: Start) -> Option<Result<()>> {
        let progress = self.outbox.progress();
        let reached = match until {
            Until::Registered => progress.registered,
            Until::Active => self.is_active() || progress.activations > start.activations,
            Until::TermEnding => self.is_ending(start.token),
            Until::Ended => false,
        };
        if reached {
            return Some(Ok(()));
        }
        match progress.ended? {
            _ if until == Until::Ended && !progress.finished => None,
            Some(error) => Some(Err(error)),
            None if until == Until::Ended => Some(Ok(())),
            None => Some(Err(Error::new(ErrorKind::Ended, "the session has ended"))),
        }
    }

    fn stopped(&self) -> Option<Result<()>> {
        let progress = self.outbox.progress();
        match progress.ended.filter(|_| progress.finished)? {
            Some(error) if error.kind() == ErrorKind::Unavailable => Some(Err(error)),
            _ => Some(Ok(())),
        }
    }

    /// Limits async work by a timer of the library's own runtime, so that it works under any other.
    async fn at_most<T>(&self, limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T> {
        let Some(limit) = limit else {
            return Ok(work.await);
        };
        let timer = {
            let _inside = self.driver.shared().handle().enter();
            tokio::time::timeout(limit, work)
        };
        timer.await.map_err(|_| timed_out())
    }
}

/// All events of a session, as a stream: see [`Session::events`]. It is a handle of the session like any other.
pub struct Events {
    next: Pin<Box<dyn Future<Output = (Session, Option<Event>)> + Send + Sync>>,
}

async fn next(session: Session) -> (Session, Option<Event>) {
    let event = session.event().await.ok();
    (session, event)
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let (session, event) = std::task::ready!(self.next.as_mut().poll(context));
        self.next = Box::pin(next(session));
        Poll::Ready(event)
    }
}

impl Events {
    /// The next event; `None` after `Ended`.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
