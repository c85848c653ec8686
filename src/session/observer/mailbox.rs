//! Between the watch and the application: the newest holder, read or not.

use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::driver::{self, Timed};
use crate::election::{self, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;
use crate::metrics::{Live, ObserverCounts, Sample};
use crate::session::Event;
use crate::session::bell::Bell;
use crate::session::outbox::timed_out;

/// Who is active, by the record of the active key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) holder: Holder,
    pub(super) is_milvus: bool,
}

/// The application's side of an observer.
pub(super) struct Mailbox {
    role_name: Arc<str>,
    root: String,
    counts: ObserverCounts,
    /// Set for ever by a request to stop.
    stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    notify: Notify,
    bell: OnceLock<Bell>,
}

#[derive(Default)]
struct State {
    /// The newest revision that anything has shown.
    newest: Revision,
    /// Up to which revision the holder is known; `None`: the store has not answered yet.
    known: Option<Revision>,
    seen: Option<Seen>,
    unread: Option<Event>,
    /// Why the store did not answer last.
    trouble: Option<Error>,
    /// Nothing follows what is unread.
    ended: Option<Error>,
}

impl Mailbox {
    pub(super) fn new(role: &str, root: &str) -> Self {
        Self {
            role_name: role.into(),
            root: root.to_owned(),
            counts: ObserverCounts::new(role, root),
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
            notify: Notify::new(),
            bell: OnceLock::new(),
        }
    }

    pub(super) fn role_name(&self) -> &str {
        &self.role_name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision that anything has shown.
    pub(super) fn newest(&self) -> Revision {
        self.state().newest
    }

    /// What the store showed at a revision. Whether it was news: what is older than what is known is dropped.
    pub(super) fn show(&self, revision: Revision, seen: Option<Seen>) -> bool {
        let mut state = self.state();
        state.newest = state.newest.max(revision);
        let first = state.known.is_none();
        if state.known.is_some_and(|known| revision <= known) {
            return false;
        }
        state.known = Some(revision);
        if !first && state.seen == seen {
            return false;
        }
        state.seen = seen;
        let mut event = self.event(&state);
        if let Some(before) = state.unread.take() {
            self.counts.missed();
            event.set_missed(before.missed() + 1);
        }
        state.unread = Some(event);
        self.tell(&state);
        true
    }

    fn event(&self, state: &State) -> Event {
        let holder = state.seen.as_ref().map(|seen| seen.holder.clone());
        let mut event = Event::now(Arc::clone(&self.role_name), election::Event::Holder(holder));
        event.set_milvus(state.seen.as_ref().map(|seen| seen.is_milvus));
        event
    }

    /// The store did not answer. Whether that is news.
    pub(super) fn fail(&self, error: Error) -> bool {
        self.state().trouble.replace(error).is_none()
    }

    /// The store answers. Whether that is news.
    pub(super) fn recover(&self) -> bool {
        self.state().trouble.take().is_some()
    }

    /// Counts an event that was taken and that nobody will look at.
    #[cfg(feature = "capi")]
    pub(super) fn count_missed(&self) {
        self.counts.missed();
    }

    /// Nothing more will come.
    pub(super) fn end(&self, error: Error) {
        let mut state = self.state();
        state.ended.get_or_insert(error);
        self.tell(&state);
    }

    /// Wakes whoever waits. Under the lock, so that the bell says what the state says.
    fn tell(&self, state: &State) {
        if let Some(bell) = self.bell.get() {
            if state.ended.is_some() {
                bell.ring_for_ever();
            } else {
                bell.ring();
            }
        }
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// From its return on nothing is given out. One store: safe in a signal handler.
    pub(super) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    fn refuse_after_end(&self, state: &State) -> Result<()> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(stopped());
        }
        match &state.ended {
            Some(error) if state.unread.is_none() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn take(&self, state: &mut State) -> Result<Option<Event>> {
        self.refuse_after_end(state)?;
        let event = state.unread.take();
        if let Some(bell) = self.bell.get()
            && state.ended.is_none()
        {
            bell.hush();
        }
        Ok(event)
    }

    pub(super) fn current(&self) -> Result<Event> {
        let state = self.state();
        self.refuse_after_end(&state)?;
        if state.known.is_none() {
            let nothing = || Error::new(ErrorKind::Unavailable, "the store has not answered yet");
            return Err(state.trouble.clone().unwrap_or_else(nothing));
        }
        Ok(self.event(&state))
    }

    /// Waits for what is unread, at most `limit`.
    pub(super) fn next(&self, limit: Option<Duration>) -> Result<Event> {
        let end = limit.map(|limit| driver::now() + limit);
        let mut state = self.state();
        loop {
            if let Some(event) = self.take(&mut state)? {
                return Ok(event);
            }
            let Some(end) = end else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.since(driver::now());
            if left.is_zero() {
                return Err(timed_out());
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// [`Mailbox::next`] without a limit, for async code.
    pub(super) async fn next_async(&self) -> Result<Event> {
        loop {
            let mut changed = pin!(self.notify.notified());
            changed.as_mut().enable();
            let taken = self.take(&mut self.state())?;
            if let Some(event) = taken {
                return Ok(event);
            }
            changed.await;
        }
    }

    /// The descriptor for pollers, made at the first call.
    pub(super) fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        // Under the lock, so that nothing arrives unrung meanwhile.
        let state = self.state();
        if let Some(bell) = self.bell.get() {
            return Ok(bell.fd());
        }
        let new = Bell::new()?;
        if state.ended.is_some() {
            new.ring_for_ever();
        } else if state.unread.is_some() {
            new.ring();
        }
        Ok(self.bell.get_or_init(|| new).fd())
    }
}

impl Live for Mailbox {
    fn sample(&self) -> Option<Sample> {
        let state = self.state();
        let ended = state.ended.is_some() || self.stopping.load(Ordering::Acquire);
        (!ended).then(|| Sample::Observer {
            role: self.role_name.to_string(),
            root: self.root.clone(),
            token: state.seen.as_ref().map_or(0, |seen| seen.holder.token),
            reachable: state.known.is_some() && state.trouble.is_none(),
        })
    }
}

impl Timed for Mailbox {
    fn due(self: Arc<Self>) {
        if self.stop_pending() {
            self.end(stopped());
        }
    }

    fn stop_pending(&self) -> bool {
        self.stopping.load(Ordering::Acquire) && self.state().ended.is_none()
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Ended, "the observer was stopped")
}
