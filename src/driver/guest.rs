//! What uses the shared parts without being a session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::fence::{Timed, TimedId};
use super::runtime::Shared;
use crate::error::Result;

/// A share in the shared parts. While it lives the clock thread knows of its owner, and looks for a stop on [`Guest::wake`].
pub(crate) struct Guest {
    shared: Arc<Shared>,
    id: TimedId,
}

impl Guest {
    pub(crate) fn new(shared: Arc<Shared>, owner: Arc<dyn Timed>) -> Self {
        shared.guests.fetch_add(1, Ordering::AcqRel);
        let id = shared.fence.add(owner);
        Self { shared, id }
    }

    /// Makes the clock thread see a stop. One write: safe in a signal handler.
    pub(crate) fn wake(&self) {
        self.shared.fence.wake();
    }

    /// Whether this is a child of the process that made it. Safe in a signal handler.
    pub(crate) fn in_child(&self) -> bool {
        self.shared.fork().in_child()
    }

    /// Error: [`ErrorKind::Forked`](crate::error::ErrorKind::Forked) in a child of the process that made it.
    pub(crate) fn refuse_child(&self) -> Result<()> {
        self.shared.fork().refuse_child("observer")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.shared.guests.fetch_sub(1, Ordering::AcqRel);
        drop(self.shared.fence.remove(self.id));
    }
}
