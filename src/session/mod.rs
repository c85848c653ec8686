//! The public API: a [`Session`] stands in the election of one role, an [`Observer`] looks on.

mod bell;
mod builder;
mod callbacks;
mod event;
mod log;
mod observer;
mod outbox;
mod run;
mod start;
pub(crate) mod stores;
mod submit;
mod term;
mod txn;
mod waiting;

#[cfg(feature = "capi")]
pub(crate) use self::bell::Bell;
pub use self::builder::SessionBuilder;
pub use self::callbacks::{Answer, Callbacks, activation_failed};
pub use self::event::{Event, EventKind};
pub use self::observer::{HolderEvents, Observer};
pub use self::run::BodyResult;
pub use self::submit::TxnDone;
pub use self::term::Term;
pub use self::txn::{TxnBuilder, TxnResults};
pub use self::waiting::{Events, Until};

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::outbox::Outbox;
pub use crate::driver::reason_name;
use crate::driver::{Driver, Held};
use crate::election::Request;
pub use crate::election::{Holder, Reason, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;

/// After the last session or observer of this process: waits until their threads have ended, a moment at most, so that the child of a
/// `fork` right after it may have sessions of its own. Does not wait while there are any, nor on a thread of the library.
pub fn settle() {
    crate::driver::settle();
}

/// A session in the election of one role.
///
/// A handle: clones are the same session, and everything may be called from many threads at once. Limits of time are
/// [`Duration`]s, `None` meaning "for ever".
///
/// **Three front ends.** [`Session::run`] runs a body of the application's once a term, for async code. With [`Callbacks`]
/// the library calls the application on a thread of its own. Or the application pulls events
/// ([`Session::next_event`], [`Session::event`], [`Session::events`]) and answers ACTIVATE with
/// [`Session::activation_done`], DEACTIVATE with [`Session::deactivation_done`]. Every ACTIVATE is followed
/// by exactly one DEACTIVATE and one TERM_ENDED.
///
/// **Dropping** the last handle without [`Session::stop`] before ends the session behind the caller's back:
/// with callbacks as [`Session::request_stop`] does; without, nobody is left to answer, so the role is let go
/// at once. It does not wait.
///
/// **In a forked child** the session is the parent's alone: [`Session::is_active`] and [`Session::holds`] are false,
/// what can fail fails with [`ErrorKind::Forked`], and dropping does nothing. A child made by a bare `clone` or by
/// `_Fork`, past the C library's `fork`, must not use it at all.
pub struct Session {
    driver: Arc<Driver>,
    outbox: Arc<Outbox>,
    /// `None` for the one that callbacks are given: it does not keep the session going.
    counted: Option<Held>,
}

impl Session {
    /// Builds a session from configuration keys and values.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// The first handle, which the outbox has counted.
    fn first(driver: Arc<Driver>, outbox: Arc<Outbox>) -> Self {
        Self { driver, outbox, counted: Some(Held::new()) }
    }

    fn lent(driver: Arc<Driver>, outbox: &Arc<Outbox>) -> Self {
        Self { driver, outbox: Arc::clone(outbox), counted: None }
    }

    /// May new work be taken? True between "ready" and the end of a term, while its deadline lies ahead. No
    /// lock, no system call but the clock.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.driver.published().is_active()
    }

    /// May this step of work, begun in term `token`, still act? True while the role is held in that very
    /// term, also while it is activated or drained. No lock.
    #[inline]
    pub fn holds(&self, token: Revision) -> bool {
        self.driver.published().holds(token)
    }

    /// Should the work of term `token` wind up? True from a request to stop or resign on, and for any term
    /// but the current one. No lock.
    #[inline]
    pub fn is_ending(&self, token: Revision) -> bool {
        self.driver.published().is_ending(token)
    }

    /// The fencing token of the term that is held; 0: none is. No lock.
    #[inline]
    pub fn fencing_token(&self) -> Revision {
        self.driver.published().fencing_token()
    }

    /// Time until the held term is over if nothing renews it; zero where none is held. No lock.
    #[inline]
    pub fn remaining(&self) -> Duration {
        self.driver.published().remaining()
    }

    /// [`Session::remaining`] in whole ms.
    #[inline]
    pub fn remaining_ms(&self) -> i64 {
        i64::try_from(self.remaining().as_millis()).unwrap_or(i64::MAX)
    }

    /// The state of the session. No lock.
    #[inline]
    pub fn role(&self) -> Role {
        self.driver.published().role()
    }

    /// The server ID; 0 before it is known, then constant. No lock.
    #[inline]
    pub fn server_id(&self) -> i64 {
        self.driver.published().server_id()
    }

    /// The role's name, such as `rootcoord`.
    pub fn role_name(&self) -> &str {
        &self.outbox.role_name
    }

    /// The active key. A client of its own for the store gets the library's fence by comparing this key's mod
    /// revision with the token.
    pub fn active_key(&self) -> &[u8] {
        self.driver.active_key()
    }

    /// Who is active, as far as this session knows: for the answers of a standby.
    pub fn holder(&self) -> Option<Holder> {
        self.driver.holder()
    }

    /// [`Session::holder`] as an event of the kind [`EventKind::Holder`].
    pub fn holder_event(&self) -> Event {
        let holder = crate::election::Event::Holder(self.holder());
        Event::now(Arc::clone(&self.outbox.role_name), holder)
    }

    /// The process that started the session.
    pub fn process_id(&self) -> u32 {
        self.driver.shared().process()
    }

    /// A descriptor to poll: readable while an event waits and for ever after `Ended`, with a new edge at
    /// each arrival. Wait for it, then call [`Session::next_event`] with a limit of zero until it says
    /// [`ErrorKind::Timeout`]. Made at the first call, owned by the session, never to be closed; reading from
    /// it loses nothing. Non-blocking, close-on-exec.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`]; [`ErrorKind::State`] with callbacks.
    pub fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        self.pulled()?;
        self.outbox.event_fd()
    }

    /// Says "ready" (`Ok`), or that the activation failed ([`activation_failed`]).
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{EventKind, Session, activation_failed};
    /// # let directory = tempfile::tempdir()?;
    /// # let session = Session::builder()
    /// #     .set(keys::ROLE, "rootcoord")
    /// #     .set(keys::ADDRESS, "127.0.0.1:53100")
    /// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    /// #     .set(keys::ACTIVATION_BACKOFF_MS, 1)
    /// #     .start()?;
    /// # let mut full = true;
    /// # let mut load = || if std::mem::take(&mut full) { Err("the disk is full") } else { Ok(()) };
    /// while let Ok(event) = session.next_event(None) {
    ///     match event.kind() {
    ///         EventKind::Activate => {
    ///             let loaded = load().map_err(|why| activation_failed(10001, why));
    ///             session.activation_done(event.token(), loaded)?;
    ///         }
    ///         EventKind::Deactivate => {
    ///             session.deactivation_done(event.token())?;
    ///             if let Some(failed) = event.error() {
    ///                 assert_eq!((failed.message(), failed.detail("code")), ("the disk is full", Some("10001")));
    ///             }
    ///         }
    ///         EventKind::Active => session.request_stop(), // the second time it was loaded
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] where the term is over or was asked to end; [`ErrorKind::State`] where it is
    /// active already; [`ErrorKind::Ended`].
    pub fn activation_done(&self, token: Revision, result: Result<()>) -> Result<()> {
        self.driver.request(Request::ActivationDone { token, result })
    }

    /// Says "left": nothing of that term runs any more.
    ///
    /// ```
    /// # use coordha::config::keys;
    /// # use coordha::session::{EventKind, Reason, Session};
    /// # let directory = tempfile::tempdir()?;
    /// # let session = Session::builder()
    /// #     .set(keys::ROLE, "rootcoord")
    /// #     .set(keys::ADDRESS, "127.0.0.1:53100")
    /// #     .set(keys::STORE_URL, format!("local:{}", directory.path().display()))
    /// #     .start()?;
    /// while let Ok(event) = session.next_event(None) {
    ///     let token = event.token();
    ///     match event.kind() {
    ///         EventKind::Activate => session.activation_done(token, Ok(()))?,
    ///         EventKind::Active => session.request_stop(),
    ///         EventKind::Deactivate => {
    ///             assert!(event.held() && event.reason() == Some(Reason::Stop)); // so finish what runs
    ///             assert!(session.holds(token) && !session.is_active());
    ///             session.deactivation_done(token)?;
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`] where it was said already, or of another term; [`ErrorKind::State`] while activating or
    /// active; [`ErrorKind::Ended`].
    pub fn deactivation_done(&self, token: Revision) -> Result<()> {
        self.driver.request(Request::DeactivationDone { token })
    }

    /// Leaves for ever: drain, release, end of the lease, `Ended`. Returns at once; `is_active` is false when it has
    /// returned. Twice is harmless. From any thread, any callback, and a signal handler: it is one store and one write.
    pub fn request_stop(&self) {
        self.driver.request_stop();
    }

    /// Steps down and stays standby: drain, release, and contend again after `standby` (zero: after
    /// `activation.backoff_ms`). Returns at once.
    ///
    /// The pause begins when the term is over, and is never shorter than the others need to take their turns:
    /// `election.hold_ms` / 4, and `election.rank_step_ms` for each session of the role and once more. Where no role is
    /// held, it begins at once, as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Ended`].
    pub fn resign(&self, standby: Duration) -> Result<()> {
        self.driver.request(Request::Resign { standby })
    }

    /// Does not contend any more; a held role is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Ended`].
    pub fn pause(&self) -> Result<()> {
        self.driver.request(Request::Pause)
    }

    /// Contends again.
    ///
    /// # Errors
    /// [`ErrorKind::Ended`].
    pub fn resume(&self) -> Result<()> {
        self.driver.request(Request::Resume)
    }

    /// From now on the session has this priority, -1000 to 1000, in place of [`keys::PRIORITY`](crate::config::keys::PRIORITY):
    /// of several standbys the one with the highest is tried first. Its record in the store is written anew, which
    /// takes a moment; a held role is kept. Of no effect in exclusive mode.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] outside that range; [`ErrorKind::Ended`].
    pub fn set_priority(&self, priority: i32) -> Result<()> {
        crate::config::check_priority(priority)?;
        self.driver.request(Request::SetPriority(priority))
    }

    /// Begins a transaction that commits while the term `token` lasts, and never after. Take the token when the work
    /// begins, not when it writes, or work begun in an old term writes with the right of a new one.
    pub fn txn(&self, token: Revision) -> TxnBuilder {
        TxnBuilder::new(Arc::clone(&self.driver), Arc::clone(&self.outbox), token)
    }

    /// A panic was caught in a call on it: the role is lost, and the session ends.
    #[cfg(feature = "capi")]
    pub(crate) fn fail(&self) {
        self.driver.fail("a call has panicked");
    }

    fn pulled(&self) -> Result<()> {
        self.driver.refuse_child()?;
        if self.outbox.has_callbacks {
            return Err(Error::new(
                ErrorKind::State,
                "the session was started with callbacks: they are given the events",
            ));
        }
        Ok(())
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        self.outbox.users.fetch_add(1, Ordering::AcqRel);
        Self::first(Arc::clone(&self.driver), Arc::clone(&self.outbox))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.driver.refuse_child().is_err() {
            // The threads that its end would wait for do not exist, and its locks may never open.
            std::mem::forget(Arc::clone(&self.driver));
            return;
        }
        if self.counted.is_none() || self.outbox.users.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if self.outbox.has_callbacks {
            self.driver.request_stop();
        } else {
            self.outbox.deafen();
            self.driver.let_go();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role_name", &self.role_name())
            .field("role", &self.role())
            .field("server_id", &self.server_id())
            .field("fencing_token", &self.fencing_token())
            .finish_non_exhaustive()
    }
}
