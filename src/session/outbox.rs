//! Between the driver and the application: the queue of events, and how far the session has come.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::bell::Bell;
use super::callbacks::{self, Callbacks};
use super::event::{Event, EventKind};
use super::log::Log;
use crate::config::Resolved;
use crate::driver::{self, Driver, Sink};
use crate::election::{self, Election, Reason, Status, Time};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::Revision;
use crate::metrics::Happened;

/// One session's side of the application.
pub(super) struct Outbox {
    pub(super) role_name: Arc<str>,
    log: Log,
    /// Most droppable events waiting.
    capacity: usize,
    /// Most transactions submitted whose events were not read.
    pub(super) inflight: usize,
    /// Ready and left are said by the core, so that its events hold nothing up.
    pub(super) auto: bool,
    /// How long the end may take.
    pub(super) end_limit: Duration,
    pub(super) has_callbacks: bool,
    /// A body serves the session: the events are its own.
    pub(super) has_body: AtomicBool,
    /// Taken by the thread that calls; dropped after the last call.
    pub(super) callbacks: Mutex<Option<Box<dyn Callbacks>>>,
    state: Mutex<State>,
    changed: Condvar,
    notify: Notify,
    bell: OnceLock<Bell>,
    /// Handles in the hands of the application.
    pub(super) users: AtomicUsize,
}

#[derive(Default)]
pub(super) struct State {
    /// Grows with every change.
    pub(super) version: u64,
    queue: VecDeque<Event>,
    /// How many of them may be dropped.
    droppable: usize,
    missed: u64,
    /// A thread is calling, or about to.
    calling: bool,
    /// Nobody will ever read.
    deaf: bool,
    pub(super) progress: Progress,
    /// Submitted transactions whose events were not read.
    pub(super) places: usize,
    /// Those still on their way, by number: their tags.
    pub(super) flights: BTreeMap<u64, u64>,
    pub(super) next_flight: u64,
}

/// How far the session has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) registered: bool,
    /// How often it has become active.
    pub(super) activations: u64,
    /// The last term that was told to end, and why.
    pub(super) ending: Option<Ending>,
    /// It has ended, by this error or in order.
    pub(super) ended: Option<Option<Error>>,
    /// It has ended, and the last callback has returned.
    pub(super) finished: bool,
}

/// Why a term ends.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) token: Revision,
    pub(super) reason: Reason,
    pub(super) error: Option<Error>,
}

impl Outbox {
    pub(super) fn new(resolved: &Resolved, callbacks: Option<Box<dyn Callbacks>>) -> Self {
        Self {
            role_name: resolved.role.as_str().into(),
            log: Log::new(resolved),
            capacity: resolved.events_queue,
            inflight: resolved.txn_inflight,
            auto: resolved.auto,
            end_limit: resolved.deactivation_timeout + resolved.release_timeout,
            has_callbacks: callbacks.is_some(),
            has_body: AtomicBool::new(false),
            callbacks: Mutex::new(callbacks),
            state: Mutex::default(),
            changed: Condvar::new(),
            notify: Notify::new(),
            bell: OnceLock::new(),
            // The one that the start gives.
            users: AtomicUsize::new(1),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn progress(&self) -> Progress {
        self.state().progress.clone()
    }

    /// Nobody reads any more: what waits goes, and so does what comes.
    pub(super) fn deafen(&self) {
        let mut state = self.state();
        state.deaf = true;
        let unread = std::mem::take(&mut state.queue);
        state.droppable = 0;
        drop(state);
        drop(unread);
    }

    /// The next event, if one waits. Error: [`ErrorKind::Ended`] once `Ended` was read.
    pub(super) fn take(&self) -> Result<Option<Event>> {
        let mut state = self.state();
        let Some(event) = self.pop(&mut state) else {
            if state.progress.ended.is_some() {
                return Err(Error::new(ErrorKind::Ended, "the session has ended"));
            }
            return Ok(None);
        };
        if let Some(bell) = self.bell.get()
            && state.progress.ended.is_none()
        {
            if state.queue.is_empty() {
                bell.hush();
            } else {
                // Somebody may have read the descriptor empty.
                bell.ring();
            }
        }
        Ok(Some(event))
    }

    /// The next event for the callbacks; `None`: the calling thread has nothing left to do.
    pub(super) fn take_to_call(&self) -> Option<Event> {
        let mut state = self.state();
        let event = self.pop(&mut state);
        state.calling = event.is_some();
        event
    }

    fn pop(&self, state: &mut State) -> Option<Event> {
        let mut event = state.queue.pop_front()?;
        if self.may_drop(&event) {
            state.droppable -= 1;
        }
        if event.kind() == EventKind::TxnDone {
            state.places -= 1;
        }
        event.set_missed(std::mem::take(&mut state.missed));
        Some(event)
    }

    /// The last callback has returned.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.progress.finished = true;
        state.version += 1;
        drop(state);
        self.tell_waiters();
    }

    /// The descriptor for pollers, made at the first call.
    pub(super) fn event_fd(&self) -> Result<BorrowedFd<'_>> {
        // Under the lock, so that no event arrives unrung meanwhile.
        let state = self.state();
        if let Some(bell) = self.bell.get() {
            return Ok(bell.fd());
        }
        let new = Bell::new()?;
        if state.progress.ended.is_some() {
            new.ring_for_ever();
        } else if !state.queue.is_empty() {
            new.ring();
        }
        Ok(self.bell.get_or_init(|| new).fd())
    }

    fn may_drop(&self, event: &Event) -> bool {
        let kind = event.kind();
        !matches!(kind, EventKind::Ended | EventKind::TxnDone) && (self.auto || !kind.is_kept())
    }

    /// Whether another one had to go for it.
    pub(super) fn push(&self, state: &mut State, event: Event) -> bool {
        let before = state.missed;
        if state.deaf {
            return false;
        }
        if self.may_drop(&event) {
            if state.droppable >= self.capacity {
                let oldest = state.queue.iter().position(|event| self.may_drop(event));
                if let Some(at) = oldest {
                    state.queue.remove(at);
                    state.droppable -= 1;
                    state.missed += 1;
                }
            }
            state.droppable += 1;
        }
        state.queue.push_back(event);
        state.missed > before
    }

    /// Waits until `look` finds what it looks for, at most `limit`. Error: [`ErrorKind::Timeout`].
    pub(super) fn wait<T>(&self, limit: Option<Duration>, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let end = limit.map(|limit| driver::now() + limit);
        loop {
            let version = self.state().version;
            if let Some(found) = look() {
                return Ok(found);
            }
            let state = self.state();
            let unchanged = |state: &mut State| state.version == version;
            let Some(end) = end else {
                drop(self.changed.wait_while(state, unchanged));
                continue;
            };
            let left = end.since(driver::now());
            if left.is_zero() {
                return Err(timed_out());
            }
            drop(self.changed.wait_timeout_while(state, left, unchanged));
        }
    }

    /// [`Outbox::wait`] without a limit, for async code.
    pub(super) async fn wait_async<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.notify.notified());
            changed.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            changed.await;
        }
    }

    /// Rings the bell, if there is one, for what was pushed. Under the lock, so that it says what the queue says.
    pub(super) fn ring(&self, state: &State) {
        if let Some(bell) = self.bell.get() {
            if state.progress.ended.is_some() {
                bell.ring_for_ever();
            } else {
                bell.ring();
            }
        }
    }

    pub(super) fn tell_waiters(&self) {
        self.changed.notify_all();
        self.notify.notify_waiters();
    }
}

impl Sink for Outbox {
    fn event(self: Arc<Self>, driver: &Arc<Driver>, at: Time, status: &Status, event: election::Event) {
        let event = Event::new(Arc::clone(&self.role_name), at, status.deadline, event);
        self.log.event(driver, status.server_id, &event);
        let mut state = self.state();
        state.version += 1;
        match event.detail() {
            Some(election::Event::Registered { .. }) => state.progress.registered = true,
            Some(election::Event::Active { .. }) => state.progress.activations += 1,
            Some(election::Event::Deactivate { token, reason, error, .. }) => {
                state.progress.ending = Some(Ending { token: *token, reason: *reason, error: error.clone() });
            }
            Some(election::Event::Ended(error)) => {
                self.ground_all(&mut state);
                state.progress.ended = Some(error.clone());
                state.progress.finished = !self.has_callbacks;
            }
            _ => {}
        }
        if self.push(&mut state, event) {
            driver.counts().count(Happened::EventMissed);
        }
        self.ring(&state);
        let call = self.has_callbacks && !std::mem::replace(&mut state.calling, true);
        drop(state);
        self.tell_waiters();
        if call {
            let driver = Arc::clone(driver);
            Arc::clone(driver.shared()).call(move || callbacks::call_all(driver, &self));
        }
    }

    fn published(&self) {
        self.state().version += 1;
        self.tell_waiters();
    }

    fn still_standby(&self, driver: &Arc<Driver>, election: &Election) {
        self.log.still_standby(driver, &self.role_name, election);
    }
}

pub(super) fn timed_out() -> Error {
    Error::new(ErrorKind::Timeout, "the time limit has passed")
}
