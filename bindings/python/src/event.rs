//! Events, and who is active.

use coordha::election::Holder as CoreHolder;
use coordha::session::Event as CoreEvent;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use crate::convert::member;
use crate::error;

static KIND: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static REASON: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// One thing that a session tells. It outlives the session. What a kind lacks is 0 or None.
#[pyclass(frozen, module = "coordha")]
pub(crate) struct Event(pub(crate) CoreEvent);

#[pymethods]
impl Event {
    /// What it says.
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        member(py, &KIND, "EventKind", self.0.kind().code())
    }

    /// The role's name, such as "rootcoord".
    #[getter]
    fn role_name(&self) -> &str {
        self.0.role_name()
    }

    /// When it happened: ms on the host's clock that counts suspend (CLOCK_BOOTTIME).
    #[getter]
    fn at_ms(&self) -> i64 {
        self.0.at_ms()
    }

    /// How many events were dropped unread just before this one.
    #[getter]
    fn missed(&self) -> u64 {
        self.0.missed()
    }

    /// The fencing token of the term it is about; of HOLDER and STANDBY: the holder's. 0: none.
    #[getter]
    fn token(&self) -> i64 {
        self.0.token()
    }

    /// Why a term ends or has ended, or why contending is held back.
    #[getter]
    fn reason<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let code = self.0.reason().map(|reason| reason as i32);
        code.map(|code| member(py, &REASON, "Reason", code)).transpose()
    }

    /// DEACTIVATE: the role is still held, and renewed, until "left" is said. False for all others.
    #[getter]
    fn held(&self) -> bool {
        self.0.held()
    }

    /// Time from at_ms to the term's deadline as it was then, in ms; 0 where no term was held.
    #[getter]
    fn remaining_ms(&self) -> i64 {
        self.0.remaining_ms()
    }

    /// REGISTERED: the granted time to live in ms.
    #[getter]
    fn ttl_ms(&self) -> i64 {
        self.0.ttl_ms()
    }

    /// REGISTERED: the session's own server ID; where a holder is named: the holder's. 0: none.
    #[getter]
    fn server_id(&self) -> i64 {
        self.0.server_id()
    }

    /// Where clients reach the holder that it names.
    #[getter]
    fn address(&self) -> Option<&str> {
        self.0.address()
    }

    /// The holder that it names, if any.
    #[getter]
    fn holder(&self) -> Option<Holder> {
        self.0.holder().map(Holder::from)
    }

    /// FOREIGN: the key that cannot be read. BLOCKED by a Milvus holder: the key that stands in the way.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.key().map(|key| PyBytes::new(py, key))
    }

    /// What went wrong, if anything did: a coordha.Error.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.error().map(|error| error::exception(py, error)).transpose()
    }

    /// The event in one line of plain words, without its time.
    #[getter]
    fn text(&self) -> String {
        self.0.text()
    }

    fn __str__(&self) -> String {
        self.0.text()
    }

    fn __repr__(&self) -> String {
        format!("<coordha.Event {}>", self.0.text())
    }
}

/// Who is active.
#[pyclass(frozen, eq, hash, module = "coordha")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// Where clients reach it.
    #[pyo3(get)]
    address: String,
    /// Its server ID.
    #[pyo3(get)]
    server_id: i64,
    /// Its fencing token.
    #[pyo3(get)]
    token: i64,
}

impl From<&CoreHolder> for Holder {
    fn from(holder: &CoreHolder) -> Self {
        Self { address: holder.address.clone(), server_id: holder.server_id, token: holder.token }
    }
}

#[pymethods]
impl Holder {
    fn __repr__(&self) -> String {
        format!("Holder(address='{}', server_id={}, token={})", self.address, self.server_id, self.token)
    }
}
