//! Errors of the library become exceptions of `coordha._errors`.

use coordha::error::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The exception for an error.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    match exception(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

/// The exception for an error, as an object.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let details = PyDict::new(py);
    for (name, value) in error.details() {
        // The first of a name counts, as in C.
        if !details.contains(name)? {
            details.set_item(name, value)?;
        }
    }
    let kind = error.kind();
    let flags = (error.is_retriable(), error.is_fatal());
    MAKE.import(py, "coordha._errors", "make_error")?.call1((
        kind.code(),
        kind.name(),
        error.message(),
        details,
        flags.0,
        flags.1,
    ))
}

/// The exception for use after close.
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    to_python(py, &Error::new(ErrorKind::Closed, "it was closed"))
}

/// The exception for use in a child of fork.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let message = "the session is of the process that this one was forked from";
    to_python(py, &Error::new(ErrorKind::Forked, message))
}
