//! Values from Python and to it.

use std::time::Duration;

use coordha::error::{Error, ErrorKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyString, PyType};

use crate::error::to_python;

/// A time limit in seconds; `None`, and infinity: for ever.
pub(crate) fn seconds(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(seconds) = timeout else {
        return Ok(None);
    };
    if seconds == f64::INFINITY {
        return Ok(None);
    }
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| {
        let message = format!("{seconds}: not a time limit (allowed: seconds, not negative; None: for ever)");
        let allowed = "seconds, not negative; None: for ever";
        to_python(py, &Error::new(ErrorKind::InvalidArgument, message).with("value", seconds).with("allowed", allowed))
    })
}

/// Bytes, or text that stands for its UTF-8.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl FromPyObject<'_, '_> for Bytes {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self(bytes.as_bytes().to_vec()));
        }
        if let Ok(text) = value.cast::<PyString>() {
            return Ok(Self(text.to_cow()?.into_owned().into_bytes()));
        }
        if let Ok(bytes) = value.cast::<PyByteArray>() {
            return Ok(Self(bytes.to_vec()));
        }
        let found = value.get_type().name()?;
        Err(PyTypeError::new_err(format!("expected bytes or str, not {found}")))
    }
}

/// The member of an enumeration of `coordha._values`.
pub(crate) fn member<'py>(
    py: Python<'py>,
    class: &'static PyOnceLock<Py<PyType>>,
    name: &str,
    code: i32,
) -> PyResult<Bound<'py, PyAny>> {
    class.import(py, "coordha._values", name)?.call1((code,))
}
