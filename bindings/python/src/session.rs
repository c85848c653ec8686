//! A session, without what waits: that differs between threads and event loops.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use coordha::error::{Error, ErrorKind, Result};
use coordha::session::{Role, Session, Until, activation_failed};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use crate::callbacks::{self, Application};
use crate::config::Config;
use crate::convert::{member, seconds};
use crate::error::{closed, forked, to_python};
use crate::event::{Event, Holder};
use crate::operation::{Operation, Outcome};
use crate::{blocking, logs, process};

static ROLE: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// What sessions for threads and for event loops have in common: all that does not wait.
#[pyclass(frozen, subclass, module = "coordha._coordha")]
pub(crate) struct SessionBase {
    facts: OnceLock<Facts>,
    slot: Arc<Slot>,
}

/// What is known from the start on.
struct Facts {
    generation: usize,
    /// The library itself says ready and left.
    is_auto: bool,
    has_callbacks: bool,
}

/// The session until it is closed: what a closed one leaves behind would keep the library's threads.
struct Slot {
    session: RwLock<Option<Session>>,
    stage: AtomicU8,
}

/// Nobody has closed it.
const OPEN: u8 = 0;
/// Its callbacks may still have to drain; without callbacks it is over for the program.
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;

impl Slot {
    fn read(&self) -> RwLockReadGuard<'_, Option<Session>> {
        self.session.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Session> {
        self.session.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl SessionBase {
    /// Asks what has an answer in every state; `or` that of a session that has ended. Never waits.
    #[inline]
    fn ask<T>(&self, or: T, ask: impl FnOnce(&Session) -> T) -> T {
        if self.facts.get().is_none_or(|facts| facts.generation != process::generation()) {
            return or;
        }
        // Locked only for the instants in which it is started and closed.
        self.slot.read().as_ref().map_or(or, ask)
    }

    /// The session, for calls: raises where it is closed or the parent's.
    pub(crate) fn live(&self, py: Python<'_>) -> PyResult<Session> {
        self.of_this_process(py)?;
        self.clone_of().ok_or_else(|| closed(py))
    }

    fn of_this_process(&self, py: Python<'_>) -> PyResult<&Facts> {
        let facts = self.facts.get().ok_or_else(|| to_python(py, &blocking::not_started()))?;
        if facts.generation == process::generation() { Ok(facts) } else { Err(forked(py)) }
    }

    /// A callback may be called before the start has returned.
    pub(crate) fn adopt(&self, session: &Session) {
        if self.slot.read().is_none() {
            let mut slot = self.slot.session.write().unwrap_or_else(PoisonError::into_inner);
            if slot.is_none() && self.slot.stage.load(Ordering::Acquire) != CLOSED {
                *slot = Some(session.clone());
            }
        }
    }

    fn clone_of(&self) -> Option<Session> {
        self.slot.read().clone()
    }

    /// What a call that has waited may give: after a close it says so.
    fn give<T>(&self, py: Python<'_>, result: Result<T>) -> PyResult<T> {
        result.map_err(|error| {
            let by_close = error.kind() == ErrorKind::Ended && self.closed();
            if by_close { closed(py) } else { to_python(py, &error) }
        })
    }

    /// Ends the session on a thread of its own; ready when it is over.
    fn close(&self, session: Session) -> impl Future<Output = ()> + Send + 'static {
        let slot = Arc::clone(&self.slot);
        blocking::close(session, move || {
            slot.stage.store(CLOSED, Ordering::Release);
            drop(slot.take());
        })
    }

    /// The session to be closed, where nobody has closed it before. With callbacks it stays usable, as they may have to drain.
    fn take_to_close(&self, py: Python<'_>) -> PyResult<Option<Session>> {
        if self.facts.get().is_none() {
            return Ok(None);
        }
        let facts = self.of_this_process(py)?;
        if self.slot.stage.compare_exchange(OPEN, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Ok(None);
        }
        Ok(if facts.has_callbacks { self.clone_of() } else { self.slot.take() })
    }
}

fn until(number: i32) -> PyResult<Until> {
    let all = [Until::Registered, Until::Active, Until::TermEnding, Until::Ended];
    let found = all.into_iter().find(|until| *until as i32 == number);
    found.ok_or_else(|| PyTypeError::new_err(format!("{number} is no coordha.Until")))
}

pub(crate) fn outcome<T: for<'py> IntoPyObject<'py> + Send + 'static>(result: Result<T>) -> Outcome {
    Box::new(move |py| {
        let value = result.map_err(|error| to_python(py, &error))?;
        value.into_py_any(py)
    })
}

#[pymethods]
impl SessionBase {
    #[new]
    #[pyo3(signature = (*_arguments, **_keys))]
    fn new(_arguments: &Bound<'_, PyTuple>, _keys: Option<&Bound<'_, PyDict>>) -> Self {
        let slot = Slot { session: RwLock::default(), stage: AtomicU8::new(OPEN) };
        Self { facts: OnceLock::new(), slot: Arc::new(slot) }
    }

    /// Starts it; `callbacks` are on_activate, on_deactivate and on_event.
    fn _start(
        slf: &Bound<'_, Self>,
        config: Option<&Config>,
        keys: &Bound<'_, PyDict>,
        callbacks: Option<[Option<Py<PyAny>>; 3]>,
    ) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let config = Config::with(config, keys)?;
        let is_auto = config.get(coordha::config::keys::ACTIVATION_AUTO).is_some_and(|value| value == "true");
        let callbacks = match callbacks {
            Some([None, ..]) if !is_auto => {
                let message = "callbacks without on_activate need activation_auto";
                return Err(to_python(py, &Error::new(ErrorKind::InvalidArgument, message)));
            }
            Some([on_activate, on_deactivate, on_event]) => {
                let session = slf.clone().into_any().unbind();
                Some(Box::new(Application { session, on_activate, on_deactivate, on_event }) as _)
            }
            None => None,
        };
        let facts = Facts { generation: process::generation(), is_auto, has_callbacks: callbacks.is_some() };
        if this.facts.set(facts).is_err() {
            return Err(to_python(py, &Error::new(ErrorKind::State, "the session was started before")));
        }
        logs::begin();
        let session = py.detach(|| Session::start(&config, callbacks)).map_err(|error| to_python(py, &error))?;
        *this.slot.session.write().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(())
    }

    /// May new work be taken? True between "ready" and the end of a term, while its deadline lies ahead. Never waits.
    ///
    /// False after close, and in a child of fork.
    #[getter]
    fn is_active(&self) -> bool {
        self.ask(false, Session::is_active)
    }

    /// May this step of work, begun in term `token`, still act? True while the role is held in that very term,
    /// also while it is activated or drained. Never waits.
    fn holds(&self, token: i64) -> bool {
        self.ask(false, |session| session.holds(token))
    }

    /// Should the work of term `token` wind up? True from a request to stop or resign on, and for any term but
    /// the current one. Never waits.
    fn is_ending(&self, token: i64) -> bool {
        self.ask(true, |session| session.is_ending(token))
    }

    /// The fencing token of the term that is held; 0: none is. Never waits.
    #[getter]
    fn fencing_token(&self) -> i64 {
        self.ask(0, Session::fencing_token)
    }

    /// Time until the held term is over if nothing renews it, in ms; 0 where none is held. Never waits.
    #[getter]
    fn remaining_ms(&self) -> i64 {
        self.ask(0, Session::remaining_ms)
    }

    /// The state of the session. Never waits.
    #[getter]
    fn role<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let ended = Role::Ended as i32;
        member(py, &ROLE, "Role", self.ask(ended, |session| session.role() as i32))
    }

    /// The server ID; 0 before it is known, then constant.
    #[getter]
    fn server_id(&self) -> i64 {
        self.ask(0, Session::server_id)
    }

    /// The role's name, such as "rootcoord".
    #[getter]
    fn role_name(&self, py: Python<'_>) -> PyResult<String> {
        self.live(py).map(|session| session.role_name().to_owned())
    }

    /// The active key: another client of the store gets the library's fence by comparing its mod revision with the token.
    #[getter]
    fn active_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.live(py).map(|session| PyBytes::new(py, session.active_key()))
    }

    /// Who is active, as far as this session knows: for the answers of a standby. None: nobody, or unknown.
    #[getter]
    fn holder(&self, py: Python<'_>) -> PyResult<Option<Holder>> {
        self.live(py).map(|session| session.holder().as_ref().map(Holder::from))
    }

    /// Whether the library itself says ready and left.
    #[getter]
    fn _is_auto(&self) -> bool {
        self.facts.get().is_some_and(|facts| facts.is_auto)
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.slot.stage.load(Ordering::Acquire) != OPEN
    }

    /// The name of the role, where it runs in this process and nobody has closed it: then nobody should drop it.
    #[getter]
    fn _running(&self) -> Option<String> {
        let runs = |session: &Session| !self.closed() && session.role() != Role::Ended;
        self.ask(None, |session| runs(session).then(|| session.role_name().to_owned()))
    }

    /// A descriptor to select on: readable while an event waits, and for ever after ENDED. Never to be closed.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let session = self.live(py)?;
        let fd = session.event_fd().map_err(|error| to_python(py, &error))?;
        Ok(fd.as_raw_fd())
    }

    /// Says "ready", or with `failed` that the activation failed, and why; `code`: a number of the program's, 10000 and up.
    #[pyo3(signature = (token, *, failed = None, code = None))]
    fn activation_done(&self, py: Python<'_>, token: i64, failed: Option<&str>, code: Option<i32>) -> PyResult<()> {
        let code = code.unwrap_or(ErrorKind::ActivationFailed.code());
        let result = failed.map_or(Ok(()), |why| Err(activation_failed(code, why)));
        let session = self.live(py)?;
        py.detach(|| session.activation_done(token, result)).map_err(|error| to_python(py, &error))
    }

    /// Says "left": nothing of that term runs any more.
    fn deactivation_done(&self, py: Python<'_>, token: i64) -> PyResult<()> {
        let session = self.live(py)?;
        py.detach(|| session.deactivation_done(token)).map_err(|error| to_python(py, &error))
    }

    /// Leaves for ever: drain, release, end of the lease, ENDED. Returns at once; is_active is False when it has returned.
    /// Twice, and after close, is harmless. From any thread, callback and signal handler.
    fn request_stop(&self, py: Python<'_>) -> PyResult<()> {
        self.of_this_process(py)?;
        if let Some(session) = self.clone_of() {
            session.request_stop();
        }
        Ok(())
    }

    /// Steps down and stays standby: drain, release, and contend again after `standby` seconds (0: after
    /// activation_backoff_ms). Returns at once.
    #[pyo3(signature = (standby = 0.0))]
    fn resign(&self, py: Python<'_>, standby: f64) -> PyResult<()> {
        let standby = seconds(py, Some(standby))?.unwrap_or(Duration::MAX);
        let session = self.live(py)?;
        py.detach(|| session.resign(standby)).map_err(|error| to_python(py, &error))
    }

    /// Does not contend any more; a held role is kept.
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        let session = self.live(py)?;
        py.detach(|| session.pause()).map_err(|error| to_python(py, &error))
    }

    /// Contends again.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        let session = self.live(py)?;
        py.detach(|| session.resume()).map_err(|error| to_python(py, &error))
    }

    /// Changes its priority, from -1000 to 1000: of several standbys, the one with the highest is tried first.
    fn set_priority(&self, py: Python<'_>, priority: i32) -> PyResult<()> {
        let session = self.live(py)?;
        py.detach(|| session.set_priority(priority)).map_err(|error| to_python(py, &error))
    }

    fn _next_event(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Event> {
        let limit = seconds(py, timeout)?;
        let session = self.live(py)?;
        let event = blocking::next(py, limit, |limit| session.next_event(limit))?;
        self.give(py, event).map(Event)
    }

    fn _wait(&self, py: Python<'_>, until_what: i32, timeout: Option<f64>) -> PyResult<()> {
        let (limit, until) = (seconds(py, timeout)?, until(until_what)?);
        let session = self.live(py)?;
        let waited = blocking::wait(py, session.wait_async(until, limit))?;
        self.give(py, waited)
    }

    fn _stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let limit = seconds(py, timeout)?;
        let session = self.live(py)?;
        let stopped = blocking::wait(py, session.stop_async(limit))?;
        self.give(py, stopped)
    }

    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(session) = self.take_to_close(py)? else {
            return Ok(());
        };
        if callbacks::is_calling() {
            // Here the library must see by its thread that it is in a callback.
            py.detach(|| session.close());
            return Ok(());
        }
        blocking::wait(py, self.close(session))
    }

    fn _event_operation(&self, py: Python<'_>) -> PyResult<Operation> {
        let session = self.live(py)?;
        Ok(Operation::new(async move {
            let event = session.event().await;
            outcome(event.map(Event))
        }))
    }

    fn _wait_operation(&self, py: Python<'_>, until_what: i32, timeout: Option<f64>) -> PyResult<Operation> {
        let (limit, until) = (seconds(py, timeout)?, until(until_what)?);
        let session = self.live(py)?;
        Ok(Operation::new(async move { outcome(session.wait_async(until, limit).await) }))
    }

    fn _stop_operation(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let limit = seconds(py, timeout)?;
        let session = self.live(py)?;
        Ok(Operation::new(async move { outcome(session.stop_async(limit).await) }))
    }

    fn _close_operation(&self, py: Python<'_>) -> PyResult<Option<Operation>> {
        let session = self.take_to_close(py)?;
        let closing = session.map(|session| self.close(session));
        Ok(closing.map(|closing| {
            Operation::new(async move {
                closing.await;
                outcome(Ok(()))
            })
        }))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a session cannot be pickled: each process starts its own"))
    }
}
