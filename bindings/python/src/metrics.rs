//! The metrics of the process.

use pyo3::prelude::*;

/// All metrics of this process, as Prometheus text: serve it at ``/metrics`` with the content type
/// ``text/plain; version=0.0.4; charset=utf-8``.
///
/// From any thread; it waits for no network. Sessions and observers are in it while they have not ended.
#[pyfunction]
pub(crate) fn metrics_text(py: Python<'_>) -> String {
    py.detach(coordha::metrics::text)
}
