//! The public API: a [`Session`] stands in the election of one role.

mod builder;
mod callbacks;
mod event;
mod txn;

pub use builder::{Options, SessionBuilder, StoreOptions};
pub use callbacks::{Answer, Callbacks, activation_failed};
pub use event::{Event, EventKind, reason_name};
pub use txn::{TxnBuilder, TxnResults};

use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

pub use crate::election::{Holder, Reason, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

/// What [`Session::wait`] waits for. The numbers are those of the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Until {
    /// A server ID and a lease are taken.
    Registered = 1,
    /// The session is active.
    Active = 2,
    /// The term that is held at the call was asked to end, or is over; at once where none is held.
    TermEnding = 3,
    /// The session is over.
    Ended = 4,
}

/// A session in the election of one role.
///
/// A handle: clones are the same session, and everything may be called from many threads at once. Limits of time are
/// [`Duration`]s, `None` meaning "for ever".
///
/// **Two front ends.** With [`Callbacks`] the library calls the application. Without, the application pulls events
/// ([`Session::next_event`], [`Session::event`], [`Session::events`]) and answers ACTIVATE with [`Session::activation_done`], DEACTIVATE with
/// [`Session::deactivation_done`]. Every ACTIVATE is followed by exactly one DEACTIVATE and one TERM_ENDED.
///
/// **Dropping** the last handle without [`Session::stop`] before ends the session behind the caller's back: with callbacks as
/// [`Session::request_stop`] does; without, nobody is left to answer, so the role is let go at once. It does not wait.
#[derive(Clone, Debug)]
pub struct Session {
    events: Arc<()>,
}

impl Session {
    /// Starts a session. Checks everything, and returns without waiting for the network: an unreachable store is an event
    /// (`Degraded`) and is tried again. Callbacks may run before this has returned.
    ///
    /// Errors: configuration (2xx; nothing is started), [`ErrorKind::AlreadyStarted`], [`ErrorKind::Resources`],
    /// [`ErrorKind::Forked`] in a child of a process that has sessions. `callbacks` is then dropped before this returns.
    pub fn start(options: Options, callbacks: Option<Box<dyn Callbacks>>) -> Result<Self> {
        let _ = (options, callbacks);
        Ok(Self {
            events: Arc::new(()),
        })
    }

    /// Builds a session from key and value pairs.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// May new work be taken? True between "ready" and the end of a term, while its deadline lies ahead. No lock, no system call but the clock.
    #[inline]
    pub fn is_active(&self) -> bool {
        false
    }

    /// May this step of work, begun in term `token`, still act? True while the role is held in that very term, also while it is
    /// activated or drained. No lock.
    #[inline]
    pub fn holds(&self, token: Revision) -> bool {
        let _ = token;
        false
    }

    /// Should the work of term `token` wind up? True from a request to stop or resign on, and for any term but the current one. No lock.
    #[inline]
    pub fn is_ending(&self, token: Revision) -> bool {
        let _ = token;
        true
    }

    /// The fencing token of the term that is held; 0: none is. No lock.
    #[inline]
    pub fn fencing_token(&self) -> Revision {
        0
    }

    /// Time until the held term is over if nothing renews it; zero where none is held. No lock.
    #[inline]
    pub fn remaining(&self) -> Duration {
        Duration::ZERO
    }

    /// [`Session::remaining`] in whole ms.
    #[inline]
    pub fn remaining_ms(&self) -> i64 {
        0
    }

    /// The state of the session. No lock.
    #[inline]
    pub fn role(&self) -> Role {
        Role::Starting
    }

    /// The server ID; 0 before it is known, then constant. No lock.
    #[inline]
    pub fn server_id(&self) -> i64 {
        0
    }

    /// The role's name, such as `rootcoord`.
    pub fn role_name(&self) -> &str {
        ""
    }

    /// The active key. A client of its own for the store gets the library's fence by comparing its mod revision with
    /// the token.
    pub fn active_key(&self) -> &[u8] {
        b""
    }

    /// Who is active, as far as this session knows: for the answers of a standby.
    pub fn holder(&self) -> Option<Holder> {
        None
    }

    /// [`Session::holder`] as an event of the kind `Holder`.
    pub fn holder_event(&self) -> Event {
        Event::new(
            "".into(),
            crate::election::Time(0),
            crate::election::Time(0),
            crate::election::Event::Holder(self.holder()),
        )
    }

    /// The next event; each goes to one caller. Waits for at most `limit` (zero: not at all).
    ///
    /// Errors: [`ErrorKind::Timeout`]; [`ErrorKind::Ended`] for ever once `Ended` was read; [`ErrorKind::State`] with callbacks.
    pub fn next_event(&self, limit: Option<Duration>) -> Result<Event> {
        let _ = limit;
        Err(Error::new(ErrorKind::Timeout, "no event"))
    }

    /// The next event, for async code under any runtime. Dropping it loses no event. Errors as [`Session::next_event`], without the time-out.
    pub async fn event(&self) -> Result<Event> {
        self.next_event(None)
    }

    /// All events as a stream, which ends after `Ended`.
    pub fn events(&self) -> Events {
        Events {
            session: self.clone(),
        }
    }

    /// A descriptor to poll: readable while an event waits and for ever after `Ended`, with a new edge at each arrival.
    /// Wait for it, then call [`Session::next_event`] with a limit of zero until it says [`ErrorKind::Timeout`]. Owned by the session, never to be closed;
    /// reading from it loses nothing. Non-blocking, close-on-exec.
    ///
    /// Errors: [`ErrorKind::Resources`]; [`ErrorKind::State`] with callbacks.
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        Err(Error::new(ErrorKind::State, "no descriptor"))
    }

    /// Says "ready" (`Ok`), or that the activation failed ([`activation_failed`]).
    ///
    /// Errors: [`ErrorKind::Fenced`] where the term is over or was asked to end; [`ErrorKind::State`] where it is active already; [`ErrorKind::Ended`].
    pub fn activation_done(&self, token: Revision, result: Result<()>) -> Result<()> {
        let _ = (token, result);
        Ok(())
    }

    /// Says "left": nothing of that term runs any more.
    ///
    /// Errors: [`ErrorKind::Fenced`] where it was said already, or of another term; [`ErrorKind::State`] while activating or active; [`ErrorKind::Ended`].
    pub fn deactivation_done(&self, token: Revision) -> Result<()> {
        let _ = token;
        Ok(())
    }

    /// Leaves for ever: drain, release, end of the lease, `Ended`. Returns at once; `is_active` is false when it has
    /// returned. Twice is harmless. From any thread, any callback, and a signal handler: it is one store and one write.
    pub fn request_stop(&self) {}

    /// [`Session::request_stop`], then waits until all is over: the role released, and no callback runs or will.
    /// Without callbacks another thread must go on reading and answering events.
    ///
    /// Errors: [`ErrorKind::Unavailable`]: over, but the store did not confirm the release; [`ErrorKind::Timeout`]: it goes on behind, call
    /// again; [`ErrorKind::InCallback`]: nothing was done.
    pub fn stop(&self, limit: Option<Duration>) -> Result<()> {
        let _ = limit;
        Ok(())
    }

    /// [`Session::stop`] for async code under any runtime.
    pub async fn stop_async(&self, limit: Option<Duration>) -> Result<()> {
        self.stop(limit)
    }

    /// Ends the session and waits as long as it makes sense: at once after `Ended`; else a [`Session::stop`] of at most
    /// `deactivation.timeout_ms + release.timeout_ms`. In a callback, or past that limit, it fences, lets the role go and returns;
    /// the callbacks are dropped when all is over. Without callbacks nobody can answer any more, so it does not wait for the drain.
    pub fn close(self) {}

    /// Steps down and stays standby: drain, release, and contend again after `standby` (zero: after `activation.backoff_ms`).
    /// Returns at once. Where no role is held, it does nothing.
    ///
    /// Errors: [`ErrorKind::Ended`].
    pub fn resign(&self, standby: Duration) -> Result<()> {
        let _ = standby;
        Ok(())
    }

    /// Does not contend any more; a held role is kept. Errors: [`ErrorKind::Ended`].
    pub fn pause(&self) -> Result<()> {
        Ok(())
    }

    /// Contends again. Errors: [`ErrorKind::Ended`].
    pub fn resume(&self) -> Result<()> {
        Ok(())
    }

    /// Waits until the session is so far.
    ///
    /// Errors: [`ErrorKind::Timeout`]; [`ErrorKind::InCallback`]; the error that ended the session, or [`ErrorKind::Ended`] where it ended in order
    /// and something else was waited for.
    pub fn wait(&self, until: Until, limit: Option<Duration>) -> Result<()> {
        let _ = (until, limit);
        Ok(())
    }

    /// [`Session::wait`] for async code under any runtime.
    pub async fn wait_async(&self, until: Until, limit: Option<Duration>) -> Result<()> {
        self.wait(until, limit)
    }

    /// Begins a transaction that commits while the term `token` lasts, and never after. Take the token when the work
    /// begins, not when it writes, or work begun in an old term writes with the right of a new one.
    pub fn txn(&self, token: Revision) -> TxnBuilder {
        TxnBuilder::new(self.clone(), token)
    }

    /// The process that started the session (a fork's child must not use it).
    pub fn process_id(&self) -> u32 {
        std::process::id()
    }
}

/// All events of a session, as a stream: see [`Session::events`].
#[derive(Debug)]
pub struct Events {
    session: Session,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let _ = (context, &self.session.events);
        Poll::Pending
    }
}
