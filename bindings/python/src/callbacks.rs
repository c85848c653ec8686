//! Callbacks into Python, on a thread of the library's that carries no other work.

use std::cell::Cell;
use std::time::Duration;

use coordha::error::ErrorKind;
use coordha::session::{Answer, Callbacks, Event as CoreEvent, Session};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::event::Event;
use crate::process::Waiting;
use crate::session::SessionBase;

thread_local! {
    /// This thread is in a callback.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is in a callback.
pub(crate) fn is_calling() -> bool {
    CALLING.get()
}

/// What the program is called for.
pub(crate) struct Application {
    pub(crate) session: Py<PyAny>,
    pub(crate) on_activate: Option<Py<PyAny>>,
    pub(crate) on_deactivate: Option<Py<PyAny>>,
    pub(crate) on_event: Option<Py<PyAny>>,
}

/// What a callback said: nothing, or "later".
enum Said {
    Done,
    Pending,
}

impl Application {
    /// Calls, and logs what is raised, once and with its traceback; then gives it in words.
    fn call(&self, callback: &Py<PyAny>, place: &str, session: &Session, event: &CoreEvent) -> Result<Said, String> {
        let Some(_waiting) = Waiting::begin() else {
            return Err("the interpreter ends".into());
        };
        let was_calling = CALLING.replace(true);
        let said = Python::try_attach(|py| {
            if let Ok(base) = self.session.bind(py).cast::<SessionBase>() {
                base.get().adopt(session);
            }
            let called =
                callback.bind(py).call1((&self.session, Event(event.clone()))).and_then(|value| read(&value, place));
            called.map_err(|error| report(py, place, event, &error))
        });
        CALLING.set(was_calling);
        said.unwrap_or_else(|| Err("the interpreter ends".into()))
    }
}

fn read(value: &Bound<'_, PyAny>, place: &str) -> PyResult<Said> {
    static PENDING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    if value.is_none() || place == "on_event" {
        return Ok(Said::Done);
    }
    if value.is(PENDING.import(py, "coordha._values", "PENDING")?) {
        return Ok(Said::Pending);
    }
    let found = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("{place} must return None or coordha.PENDING, not {found}")))
}

fn report(py: Python<'_>, place: &str, event: &CoreEvent, error: &PyErr) -> String {
    static REPORT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let reported = REPORT
        .import(py, "coordha._logging", "report")
        // As a value it has its traceback.
        .and_then(|report| report.call1((event.role_name(), place, error.clone_ref(py).into_value(py))));
    if let Err(failed) = reported {
        // Nobody else is left to tell it to.
        failed.write_unraisable(py, None);
    }
    error.to_string()
}

impl Callbacks for Application {
    fn on_activate(&mut self, session: &Session, event: &CoreEvent) -> Answer {
        let Some(callback) = &self.on_activate else {
            return Answer::Done;
        };
        match self.call(callback, "on_activate", session, event) {
            Ok(Said::Done) => Answer::Done,
            Ok(Said::Pending) => Answer::Pending,
            Err(why) => Answer::Failed { code: ErrorKind::ActivationFailed.code(), why },
        }
    }

    fn on_deactivate(&mut self, session: &Session, event: &CoreEvent) -> Answer {
        let said = self.on_deactivate.as_ref().map(|callback| self.call(callback, "on_deactivate", session, event));
        match said {
            Some(Ok(Said::Pending)) => Answer::Pending,
            _ => Answer::Done,
        }
    }

    fn on_event(&mut self, session: &Session, event: &CoreEvent) {
        let Some(callback) = &self.on_event else {
            return;
        };
        let failed = self.call(callback, "on_event", session, event).is_err();
        if failed && session.fencing_token() != 0 {
            // A program whose callbacks fail should not lead. Refused where the session has ended.
            let _ = session.resign(Duration::ZERO);
        }
    }
}
