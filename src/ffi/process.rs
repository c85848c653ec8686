//! Which process this is, for one memory read: a child of `fork` must never take its parent's
//! sessions for its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// A page that `fork` wipes: it holds the tag of the process that wrote it, so a child reads 0.
/// `None` where the kernel has no such pages; the PID, one system call, is the tag then.
static PAGE: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

/// The newest tag that this process or one of its ancestors has had. It survives `fork`, so no
/// tag comes twice.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// Sessions of this process, or of the parent when it forked.
static SESSIONS: AtomicUsize = AtomicUsize::new(0);

fn page() -> Option<&'static AtomicU64> {
    *PAGE.get_or_init(map_page)
}

fn map_page() -> Option<&'static AtomicU64> {
    let size = rustix::param::page_size();
    // SAFETY: a new private mapping at an address of the kernel's choice touches no memory that is in use.
    let start =
        unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
            .ok()?;
    // SAFETY: the range is the mapping made above, which nothing else knows of.
    unsafe { madvise(start, size, Advice::LinuxWipeOnFork) }.ok()?;
    // SAFETY: the mapping is readable, writable, zeroed, aligned to a page, and never unmapped.
    Some(unsafe { &*start.cast::<AtomicU64>() })
}

/// The tag of this process; 0 in a child of `fork` that has not begun anew.
pub(super) fn tag() -> u64 {
    match PAGE.get() {
        Some(Some(page)) => page.load(Ordering::Relaxed),
        Some(None) => u64::from(rustix::process::getpid().as_raw_pid().unsigned_abs()),
        None => 0,
    }
}

/// The tag for a handle made now. In a child of `fork` it begins anew, unless the parent had a
/// session.
pub(super) fn claim() -> Option<u64> {
    let Some(page) = page() else {
        return claim_by_pid();
    };
    let tag = page.load(Ordering::Acquire);
    if tag != 0 {
        return Some(tag);
    }
    if SESSIONS.load(Ordering::Relaxed) != 0 {
        return None;
    }
    let new = NEWEST.fetch_add(1, Ordering::Relaxed) + 1;
    match page.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(new),
        Err(other) => Some(other),
    }
}

fn claim_by_pid() -> Option<u64> {
    let pid = tag();
    let before = NEWEST.load(Ordering::Relaxed);
    if before != pid && SESSIONS.load(Ordering::Relaxed) != 0 {
        return None;
    }
    NEWEST.store(pid, Ordering::Relaxed);
    Some(pid)
}

/// Counts a session of this process for as long as it lives.
pub(super) struct Counted(());

impl Counted {
    pub(super) fn new() -> Self {
        SESSIONS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        SESSIONS.fetch_sub(1, Ordering::Relaxed);
    }
}
