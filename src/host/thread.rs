//! Threads that take no asynchronous signal: those belong to the application's threads.

use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::error::{Error, ErrorKind, Result};

/// Signals that report a fault of the very thread, or that a profiler sends to it: never blocked.
const LEFT: [Signal; 8] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGABRT,
    Signal::SIGPROF,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

fn asynchronous() -> SigSet {
    let mut set = SigSet::all();
    for signal in LEFT {
        set.remove(signal);
    }
    set
}

/// Does `work` with these signals blocked, so that the threads it starts never have them open, not even at first.
pub(crate) fn blocked<T>(work: impl FnOnce() -> T) -> T {
    let before = asynchronous().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let done = work();
    if let Ok(before) = before {
        // Fails for a wrong argument only.
        let _ = before.thread_set_mask();
    }
    done
}

/// Starts a thread that has them blocked. At most 15 bytes of the name are seen from outside.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    blocked(|| Builder::new().name(name.to_owned()).spawn(work))
        .map_err(|e| Error::new(ErrorKind::Resources, format!("no thread {name}: {e}")))
}

/// Blocks them for the calling thread, for good.
pub(crate) fn block_here() {
    let _ = asynchronous().thread_block();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_them_blocked_and_the_one_that_starts_it_keeps_its_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = spawn("masked", move || sender.send(SigSet::thread_get_mask().unwrap()).unwrap()).unwrap();
        thread.join().unwrap();
        let inside = receiver.recv().unwrap();
        for blocked in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGALRM, Signal::SIGUSR1, Signal::SIGCHLD] {
            assert!(inside.contains(blocked), "{blocked}");
        }
        assert!(LEFT.iter().all(|&signal| !inside.contains(signal)));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
