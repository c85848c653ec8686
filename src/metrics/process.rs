//! The metrics of a process, and those of its children of `fork`, each of which begins with nothing.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::registry::Registry;

use super::count::Counts;
use super::{Live, sample};
use crate::host::ForkCheck;

static FIRST: OnceLock<Process> = OnceLock::new();

/// What is counted in one process, and whom to ask.
pub(super) struct Process {
    fork: ForkCheck,
    pub(super) counts: Counts,
    registry: Registry,
    live: Mutex<Vec<Weak<dyn Live>>>,
    /// That of a child: a lock of the parent's may have been closed at the fork for ever.
    child: OnceLock<Box<Self>>,
}

/// Of this process. `None`: forks cannot be seen, so nothing is counted.
pub(super) fn current() -> Option<&'static Process> {
    if FIRST.get().is_none() {
        // Made before it is put there: the cell is closed for an instant only.
        let _ = FIRST.set(Process::new()?);
    }
    let mut process = FIRST.get()?;
    while process.fork.in_child() {
        if process.child.get().is_none() {
            let _ = process.child.set(Box::new(Process::new()?));
        }
        process = process.child.get()?;
    }
    Some(process)
}

/// From now on it is asked at each call.
pub(crate) fn register(live: Weak<dyn Live>) {
    if let Some(process) = current() {
        let mut all = process.live();
        all.retain(|live| live.strong_count() > 0);
        all.push(live);
    }
}

impl Process {
    fn new() -> Option<Self> {
        let mut registry = Registry::default();
        let counts = Counts::new(&mut registry);
        let fork = ForkCheck::new().ok()?;
        Some(Self { fork, counts, registry, live: Mutex::default(), child: OnceLock::new() })
    }

    fn live(&self) -> MutexGuard<'_, Vec<Weak<dyn Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn text(&self) -> String {
        // Not under the lock: the last handle of something may end here.
        let live: Vec<_> = self.live().iter().filter_map(Weak::upgrade).collect();
        let samples: Vec<_> = live.iter().filter_map(|live| live.sample()).collect();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &sample::registry(samples));
        let _ = encode(&mut text, &self.registry);
        text
    }
}
