//! The library's own threads: named, without asynchronous signals, and known as such.

use std::cell::Cell;
use std::thread::JoinHandle;

use crate::error::Result;
use crate::host::thread;

thread_local! {
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Starts a thread. At most 15 bytes of the name are seen from outside.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::spawn(name, move || {
        enter();
        work();
    })
}

/// Marks the calling thread as the library's.
pub(crate) fn enter() {
    OURS.set(true);
    thread::block_here();
}

/// Whether the calling thread may wait for the library's threads: it is none of them, and runs no async code.
pub(crate) fn may_wait() -> bool {
    !OURS.get() && tokio::runtime::Handle::try_current().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_threads_and_async_code_must_not_wait() {
        assert!(may_wait());
        let (sender, receiver) = std::sync::mpsc::channel();
        spawn("coordha-test", move || sender.send(may_wait()).unwrap()).unwrap().join().unwrap();
        assert!(!receiver.recv().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(!runtime.block_on(async { may_wait() }));
    }
}
