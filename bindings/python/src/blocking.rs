//! Waiting without the GIL, and with an ear for Ctrl-C.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use coordha::error::{Error, ErrorKind, Result};
use coordha::session::{Event, Session};
use pyo3::prelude::*;

use crate::error::closed;
use crate::process::Waiting;

/// How long the main thread waits before it looks whether a signal has come: Python runs its handlers there alone.
const SLICE: Duration = Duration::from_millis(50);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether this is the thread that the process began with, which runs Python's signal handlers.
fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// Runs a future to its end on this thread. A handler of a signal that raises ends it.
pub(crate) fn wait<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let _waiting = Waiting::begin().ok_or_else(|| closed(py))?;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let is_main = is_main_thread();
    let mut future = pin!(future);
    loop {
        let ready = py.detach(|| {
            let mut context = Context::from_waker(&waker);
            loop {
                if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                    return Some(value);
                }
                if is_main {
                    thread::park_timeout(SLICE);
                    return None;
                }
                thread::park();
            }
        });
        match ready {
            Some(value) => return Ok(value),
            None => py.check_signals()?,
        }
    }
}

/// The next event, as `next` gives it within a limit; at most `limit` in all.
pub(crate) fn next(
    py: Python<'_>,
    limit: Option<Duration>,
    next: impl Fn(Option<Duration>) -> Result<Event> + Sync,
) -> PyResult<Result<Event>> {
    let _waiting = Waiting::begin().ok_or_else(|| closed(py))?;
    let begun = Instant::now();
    let is_main = is_main_thread();
    loop {
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        let slice = if is_main { Some(left.map_or(SLICE, |left| left.min(SLICE))) } else { left };
        let event = py.detach(|| next(slice));
        let is_over = left.is_some_and(|left| slice == Some(left));
        match event {
            Err(error) if error.kind() == ErrorKind::Timeout && !is_over => py.check_signals()?,
            event => return Ok(event),
        }
    }
}

/// Ends a session on a thread of its own, as it may take as long as a request; ready when it is over, after `done`.
pub(crate) async fn close(session: Session, done: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let thread = thread::Builder::new().name("coordha-close".into()).spawn(move || {
        session.close();
        done();
        drop(sender);
    });
    if thread.is_ok() {
        // It is told by the sender's end.
        let _ = receiver.await;
    }
}

/// The error of a call that cannot be, as the session was never started.
pub(crate) fn not_started() -> Error {
    Error::new(ErrorKind::State, "the session was not started: __init__ was not called")
}
