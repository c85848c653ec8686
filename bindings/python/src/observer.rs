//! Who is active, for those who stand in no election.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coordha::error::{ErrorKind, Result};
use coordha::session::{Event as CoreEvent, Observer};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::config::Config;
use crate::convert::seconds;
use crate::error::{closed, forked, to_python};
use crate::event::{Event, Holder};
use crate::operation::Operation;
use crate::{blocking, logs, process, session};

/// What observers for threads and for event loops have in common.
#[pyclass(frozen, subclass, module = "coordha._coordha")]
pub(crate) struct ObserverBase {
    /// `None` before it is started, and after it was closed.
    observer: Mutex<Option<Observer>>,
    generation: usize,
}

impl ObserverBase {
    fn lock(&self) -> MutexGuard<'_, Option<Observer>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, py: Python<'_>) -> PyResult<Observer> {
        if self.generation != process::generation() {
            return Err(forked(py));
        }
        // No lock is held while an exception is made: that runs code of Python's.
        let observer = self.lock().clone();
        observer.ok_or_else(|| closed(py))
    }

    /// What a call that has waited may give: after a close it says so.
    fn give(&self, py: Python<'_>, event: Result<CoreEvent>) -> PyResult<Event> {
        let by_close = |kind| kind == ErrorKind::Ended && self.lock().is_none();
        event.map(Event).map_err(|error| if by_close(error.kind()) { closed(py) } else { to_python(py, &error) })
    }
}

#[pymethods]
impl ObserverBase {
    #[new]
    #[pyo3(signature = (*_arguments, **_keys))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keys: Option<&Bound<'_, PyDict>>) -> Self {
        Self { observer: Mutex::default(), generation: process::generation() }
    }

    fn _start(&self, py: Python<'_>, config: Option<&Config>, keys: &Bound<'_, PyDict>) -> PyResult<()> {
        let config = Config::with(config, keys)?;
        logs::begin();
        let observer = py.detach(|| Observer::start(&config)).map_err(|error| to_python(py, &error))?;
        *self.lock() = Some(observer);
        Ok(())
    }

    /// The role's name, such as "rootcoord".
    #[getter]
    fn role_name(&self, py: Python<'_>) -> PyResult<String> {
        self.live(py).map(|observer| observer.role_name().to_owned())
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.lock().is_none()
    }

    /// Who is active, as far as is known now; None: nobody. Does not wait, and takes nothing from the events.
    ///
    /// Raises, where the store has not answered yet, why: UnavailableError, AuthError, PermissionError, TlsError;
    /// EndedError after request_stop; RegressedError, CorruptError: the store was restored from a backup, or is damaged;
    /// ClosedError; ForkedError.
    fn current(&self, py: Python<'_>) -> PyResult<Option<Holder>> {
        let current = self.live(py)?.current().map_err(|error| to_python(py, &error))?;
        Ok(current.holder().map(Holder::from))
    }

    /// The name of the role, where it runs in this process and nobody has closed it: then nobody should drop it.
    #[getter]
    fn _running(&self) -> Option<String> {
        let is_ours = self.generation == process::generation();
        is_ours.then(|| self.lock().as_ref().map(|observer| observer.role_name().to_owned())).flatten()
    }

    /// A descriptor to select on: readable while an event waits, and for ever after the end, with a new edge at each
    /// arrival. Wait for it, then call next_event(0) until it raises TimeoutError. Never to be closed: it is the
    /// observer's, up to close.
    ///
    /// Raises ResourcesError: no descriptor is to be had; ClosedError; ForkedError.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let observer = self.live(py)?;
        let fd = observer.event_fd().map_err(|error| to_python(py, &error))?;
        Ok(fd.as_raw_fd())
    }

    /// Ends it: whoever waits is woken, and no event is given out any more. Returns at once; twice, and after close, is
    /// harmless. From any thread and signal handler.
    fn request_stop(&self) {
        if let Some(observer) = self.lock().as_ref() {
            observer.request_stop();
        }
    }

    fn _next_event(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Event> {
        let limit = seconds(py, timeout)?;
        let observer = self.live(py)?;
        let event = blocking::next(py, limit, |limit| observer.next_event(limit))?;
        self.give(py, event)
    }

    fn _event_operation(&self, py: Python<'_>) -> PyResult<Operation> {
        let observer = self.live(py)?;
        Ok(Operation::new(async move { session::outcome(observer.event().await.map(Event)) }))
    }

    fn _close(&self, py: Python<'_>) {
        let observer = self.lock().take();
        if let Some(observer) = observer {
            observer.request_stop();
            // The last of a process ends the library's threads.
            py.detach(move || drop(observer));
        }
    }
}
