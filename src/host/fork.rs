//! Which side of a `fork` this is.

use forkguard::atfork::Guard;

use crate::error::{Error, ErrorKind, Result};

/// Tells the process that made it from all that are forked from it, for one read of memory: a system call for the PID
/// would cost more than the clock. Only a `fork` of the C library is seen, not a bare `clone`.
#[derive(Clone, Debug)]
pub(crate) struct ForkCheck(Guard);

impl ForkCheck {
    /// Error: [`ErrorKind::Resources`].
    pub(crate) fn new() -> Result<Self> {
        let guard = Guard::try_new();
        guard.map(Self).map_err(|e| Error::new(ErrorKind::Resources, format!("forks cannot be seen: {e}")))
    }

    /// Whether this process was forked from the one that made it.
    #[inline]
    pub(crate) fn in_child(&self) -> bool {
        self.0.clone().detected_fork()
    }

    /// Error: [`ErrorKind::Forked`] in such a child, which has no part in `what` was started.
    pub(crate) fn refuse_child(&self, what: &str) -> Result<()> {
        if !self.in_child() {
            return Ok(());
        }
        let why = format!("this process is a child of the one that started the {what}; it has no part in it");
        Err(Error::new(ErrorKind::Forked, why))
    }
}
