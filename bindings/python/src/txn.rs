//! Guarded transactions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coordha::error::{Error, ErrorKind, Result};
use coordha::kv::KeyValue as CoreKeyValue;
use coordha::session::{TxnBuilder, TxnResults as CoreResults};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::blocking;
use crate::convert::{Bytes, seconds};
use crate::error::{forked, to_python};
use crate::operation::Operation;
use crate::process;
use crate::session::SessionBase;

/// A transaction of one term; the compare that fences it is added by the library.
#[pyclass(frozen, subclass, module = "coordha._coordha")]
pub(crate) struct TxnBase {
    /// `None` once it is on its way.
    builder: Mutex<Option<TxnBuilder>>,
    token: i64,
    generation: usize,
}

impl TxnBase {
    fn lock(&self) -> MutexGuard<'_, Option<TxnBuilder>> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, py: Python<'_>) -> PyResult<TxnBuilder> {
        if self.generation != process::generation() {
            return Err(forked(py));
        }
        // No lock is held while an exception is made: that runs code of Python's.
        let builder = self.lock().take();
        builder.ok_or_else(|| committed_before(py))
    }
}

/// Adds to a transaction, and gives it back.
fn add<'py>(
    txn: Bound<'py, TxnBase>,
    add: impl FnOnce(&mut TxnBuilder) -> &mut TxnBuilder,
) -> PyResult<Bound<'py, TxnBase>> {
    let is_open = txn.get().lock().as_mut().map(add).is_some();
    if is_open { Ok(txn) } else { Err(committed_before(txn.py())) }
}

fn committed_before(py: Python<'_>) -> PyErr {
    to_python(py, &Error::new(ErrorKind::State, "the transaction was committed before"))
}

/// What a commit gives to the program. A failed compare brings the present values.
fn conclude(py: Python<'_>, committed: Result<CoreResults>, builder: &TxnBuilder) -> PyResult<Py<PyAny>> {
    let error = match committed {
        Ok(results) => return Ok(Py::new(py, TxnResults(results))?.into_any()),
        Err(error) => error,
    };
    let exception = to_python(py, &error);
    if error.kind() == ErrorKind::CompareFailed {
        exception.value(py).setattr("results", TxnResults(builder.results().clone()))?;
    }
    Err(exception)
}

#[pymethods]
impl TxnBase {
    #[new]
    fn new(py: Python<'_>, session: &SessionBase, token: i64) -> PyResult<Self> {
        let builder = session.live(py)?.txn(token);
        Ok(Self { builder: Mutex::new(Some(builder)), token, generation: process::generation() })
    }

    /// The term it belongs to.
    #[getter]
    fn token(&self) -> i64 {
        self.token
    }

    /// Only if the revision of the key's last write is `revision`; 0: only if the key is absent.
    fn if_revision(slf: Bound<'_, Self>, key: Bytes, revision: i64) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.if_revision(key.0, revision))
    }

    /// Only if the key's value is `value`; an absent key equals no value.
    fn if_value(slf: Bound<'_, Self>, key: Bytes, value: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.if_value(key.0, value.0))
    }

    /// Writes a value that stays.
    fn put(slf: Bound<'_, Self>, key: Bytes, value: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.put(key.0, value.0))
    }

    /// Writes a value that goes with the session's lease, which outlives the term.
    fn put_leased(slf: Bound<'_, Self>, key: Bytes, value: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.put_leased(key.0, value.0))
    }

    /// Deletes a key.
    fn delete(slf: Bound<'_, Self>, key: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.delete(key.0))
    }

    /// Deletes all keys that begin with `prefix`.
    fn delete_prefix(slf: Bound<'_, Self>, prefix: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.delete_prefix(prefix.0))
    }

    /// Reads a key.
    fn get(slf: Bound<'_, Self>, key: Bytes) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.get(key.0))
    }

    /// Reads all keys that begin with `prefix`, in order, at most `limit` of them (0: all).
    #[pyo3(signature = (prefix, limit = 0))]
    fn get_prefix(slf: Bound<'_, Self>, prefix: Bytes, limit: i64) -> PyResult<Bound<'_, Self>> {
        add(slf, |txn| txn.get_prefix(prefix.0, limit))
    }

    #[pyo3(signature = (timeout = None))]
    fn _commit(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = seconds(py, timeout)?;
        let mut builder = self.take(py)?;
        let committed = blocking::wait(py, builder.commit_async(limit))?;
        conclude(py, committed, &builder)
    }

    #[pyo3(signature = (timeout = None))]
    fn _commit_operation(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Operation> {
        let limit = seconds(py, timeout)?;
        let mut builder = self.take(py)?;
        Ok(Operation::new(async move {
            let committed = builder.commit_async(limit).await;
            Box::new(move |py: Python<'_>| conclude(py, committed, &builder)) as _
        }))
    }
}

/// What a transaction read.
#[pyclass(frozen, module = "coordha")]
pub(crate) struct TxnResults(CoreResults);

#[pymethods]
impl TxnResults {
    /// The store's revision when the transaction was applied; its own, where it wrote.
    #[getter]
    fn revision(&self) -> i64 {
        self.0.revision
    }

    /// The keys that were read, in the order of the reads; after a failed compare those that were compared, as they are
    /// now. A key that is absent is not among them.
    #[getter]
    fn kvs(&self) -> Vec<KeyValue> {
        self.0.kvs.iter().cloned().map(KeyValue).collect()
    }

    fn __repr__(&self) -> String {
        format!("<coordha.TxnResults revision={} kvs={:?}>", self.0.revision, self.0.kvs)
    }
}

/// A key with its value.
#[pyclass(frozen, module = "coordha")]
pub(crate) struct KeyValue(CoreKeyValue);

#[pymethods]
impl KeyValue {
    /// The key.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.key)
    }

    /// The value.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.value)
    }

    /// The revision of the key's last write.
    #[getter]
    fn mod_revision(&self) -> i64 {
        self.0.mod_revision
    }

    fn __repr__(&self) -> String {
        format!("<coordha.KeyValue {:?}>", self.0)
    }
}
