//! The process as a whole: forks, the interpreter's exit, and calls that wait meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Grows in each child of a fork, so that one read tells whether a session is of this process.
static GENERATION: AtomicUsize = AtomicUsize::new(0);
/// The interpreter ends: nothing may begin to wait any more.
static EXITS: AtomicBool = AtomicBool::new(false);
/// Calls that wait without the GIL and will want it back, and callbacks that run.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The generation of this process.
pub(crate) fn generation() -> usize {
    GENERATION.load(Ordering::Relaxed)
}

/// Counts a call that waits, so that the exit can wait for it: a thread that wants the GIL of an interpreter
/// which is no more is killed on the spot, in the midst of our frames.
pub(crate) struct Waiting {
    generation: usize,
}

impl Waiting {
    /// `None` where the interpreter is about to end.
    pub(crate) fn begin() -> Option<Self> {
        WAITING.fetch_add(1, Ordering::AcqRel);
        let this = Self { generation: generation() };
        (!EXITS.load(Ordering::Acquire)).then_some(this)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A child of a fork counts anew.
        if self.generation == generation() {
            WAITING.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Called in each child of a fork: the sessions of its parent are not its own.
#[pyfunction]
pub(crate) fn has_forked() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    WAITING.store(0, Ordering::Release);
    crate::logs::forget();
}

/// Called before a fork: after the last session it waits for the library's threads, a moment at most.
#[pyfunction]
pub(crate) fn settle(py: Python<'_>) {
    py.detach(coordha::session::settle);
}

/// Called when the interpreter ends: from now on no call waits.
#[pyfunction]
pub(crate) fn begin_exit() {
    EXITS.store(true, Ordering::Release);
}

/// Waits at most `timeout` seconds for the calls that still wait; says whether none does any more.
#[pyfunction]
pub(crate) fn wait_for_calls(py: Python<'_>, timeout: f64) -> PyResult<bool> {
    let limit = crate::convert::seconds(py, Some(timeout))?.unwrap_or_default();
    Ok(py.detach(|| {
        let begun = Instant::now();
        while WAITING.load(Ordering::Acquire) > 0 {
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }))
}
