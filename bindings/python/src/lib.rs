//! The native part of the Python package `coordha`: what must be quick, must not hold the GIL, or speaks with the library.
//!
//! The package in `python/coordha` makes of it what a Python program uses. Nothing here runs before the first session is
//! started, and no thread of the library ever waits for the GIL but those that call callbacks.

mod blocking;
mod callbacks;
mod config;
mod convert;
mod error;
mod event;
mod logs;
mod metrics;
mod observer;
mod operation;
mod process;
mod session;
mod txn;

/// The native part of `coordha`; no program uses it directly.
///
/// What it shares between threads has locks of its own, which are held neither over a wait nor over code of Python's.
#[pyo3::pymodule(gil_used = false)]
mod _coordha {
    #[pymodule_export]
    use super::config::Config;
    #[pymodule_export]
    use super::event::{Event, Holder};
    #[pymodule_export]
    use super::logs::{next_logs, set_log_level, wake_logs};
    #[pymodule_export]
    use super::metrics::metrics_text;
    #[pymodule_export]
    use super::observer::ObserverBase;
    #[pymodule_export]
    use super::operation::{Operation, Wakeups};
    #[pymodule_export]
    use super::process::{begin_exit, has_forked, settle, wait_for_calls};
    #[pymodule_export]
    use super::session::SessionBase;
    #[pymodule_export]
    use super::txn::{KeyValue, TxnBase, TxnResults};

    /// The version of the library.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
