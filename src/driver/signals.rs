//! The library's threads take no asynchronous signal: those belong to the application's threads.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

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

/// Blocks them for the calling thread, for good.
pub(crate) fn block_here() {
    let _ = asynchronous().thread_block();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_started_inside_has_them_blocked_and_the_caller_keeps_its_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let inside = blocked(|| std::thread::spawn(|| SigSet::thread_get_mask().unwrap())).join().unwrap();
        assert!(inside.contains(Signal::SIGTERM) && inside.contains(Signal::SIGALRM));
        assert!(LEFT.iter().all(|&signal| !inside.contains(signal)));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
