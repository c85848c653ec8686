//! What an event loop waits for: futures that it polls itself, on its own thread, when a descriptor tells it to.
//!
//! So no thread of the library needs the GIL, and none is held for something that waits.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use crate::error::forked;
use crate::process;

/// What a future gives, made into an object with the GIL.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// The operations of one event loop that can go on, and the descriptor that tells of them.
#[pyclass(frozen, module = "coordha._coordha")]
pub(crate) struct Wakeups {
    inner: Arc<Inner>,
}

struct Inner {
    fd: OwnedFd,
    ready: Mutex<Vec<u64>>,
}

struct WakeOne {
    number: u64,
    inner: Arc<Inner>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for WakeOne {
    fn wake(self: Arc<Self>) {
        lock(&self.inner.ready).push(self.number);
        // It can only fail where the count is full, and then it is readable already.
        let _ = rustix::io::write(&self.inner.fd, &1_u64.to_ne_bytes());
    }
}

#[pymethods]
impl Wakeups {
    #[new]
    fn new() -> PyResult<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        Ok(Self { inner: Arc::new(Inner { fd, ready: Mutex::default() }) })
    }

    /// The descriptor: readable while an operation can go on.
    fn fileno(&self) -> i32 {
        self.inner.fd.as_raw_fd()
    }

    /// The numbers of the operations that can go on.
    fn drain(&self) -> Vec<u64> {
        let _ = rustix::io::read(&self.inner.fd, &mut [0; 8]);
        std::mem::take(&mut *lock(&self.inner.ready))
    }
}

/// Something that is going on; dropping it leaves it alone.
#[pyclass(frozen, module = "coordha._coordha")]
pub(crate) struct Operation {
    future: Mutex<Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>>,
    generation: usize,
}

impl Operation {
    pub(crate) fn new(future: impl Future<Output = Outcome> + Send + 'static) -> Self {
        Self { future: Mutex::new(Some(Box::pin(future))), generation: process::generation() }
    }
}

#[pymethods]
impl Operation {
    /// Its result in a tuple, or `None` where `wakeups` will give `number` later. Raises what it failed with.
    fn poll(&self, py: Python<'_>, wakeups: &Wakeups, number: u64) -> PyResult<Option<(Py<PyAny>,)>> {
        if self.generation != process::generation() {
            return Err(forked(py));
        }
        let mut future = lock(&self.future);
        let Some(running) = future.as_mut() else {
            return Ok(None);
        };
        let waker = Waker::from(Arc::new(WakeOne { number, inner: Arc::clone(&wakeups.inner) }));
        let Poll::Ready(outcome) = running.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return Ok(None);
        };
        *future = None;
        drop(future);
        outcome(py).map(|value| Some((value,)))
    }
}
