//! What the store needs to know of its host: a clock that all its processes share, who this process is, and whether a
//! holder of leases is dead.

use std::fs;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::getpid;
use rustix::time::{ClockId, clock_gettime};

use crate::error::{Error, ErrorKind, Result};
use crate::host::process::{self, Life};
use crate::host::thread;

/// A process that leases were granted to, named so that its death can be proven. 0 stands for what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    /// Its PID, in its own PID namespace.
    pub(super) pid: i64,
    /// When it was started, in clock ticks since boot.
    pub(super) start: i64,
    /// Inode of its PID namespace.
    pub(super) pid_ns: i64,
    /// Inode of its time namespace.
    pub(super) time_ns: i64,
}

/// This process and its host.
#[derive(Debug)]
pub(super) struct Host {
    /// Which boot of the kernel this is.
    pub(super) boot: String,
    /// This process.
    pub(super) me: Holder,
    /// What this process's time namespace adds to the host's clock, in ms.
    clock_offset_ms: i64,
}

impl Host {
    /// Reads it from `/proc`.
    pub(super) fn look() -> Result<Self> {
        let boot = process::boot_id().map_err(|error| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the local store tells boots apart by /proc/sys/kernel/random/boot_id: {error}"),
            )
        })?;
        let known = |number: Option<u64>| number.map_or(0, u64::cast_signed);
        let me = Holder {
            pid: getpid().as_raw_pid().into(),
            start: known(process::start_time("self")),
            pid_ns: known(process::namespace("pid")),
            time_ns: known(process::namespace("time")),
        };
        Ok(Self { boot, me, clock_offset_ms: clock_offset_ms()? })
    }

    /// The host's time since boot in ms, suspend included. The same for all processes, whatever their time namespace.
    pub(super) fn now_ms(&self) -> i64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec * 1_000 + now.tv_nsec / 1_000_000 - self.clock_offset_ms
    }

    /// Whether `holder` is dead.
    pub(super) fn life(&self, holder: &Holder) -> Life {
        let pid = u32::try_from(holder.pid).ok().filter(|_| holder.pid_ns != 0 && holder.pid_ns == self.me.pid_ns);
        let Some(pid) = pid else {
            return Life::Unknown(Errno::INVAL);
        };
        let start = (holder.start != 0 && holder.time_ns == self.me.time_ns).then(|| holder.start.cast_unsigned());
        process::life(pid, start)
    }
}

fn clock_offset_ms() -> Result<i64> {
    let offsets = match fs::read_to_string("/proc/self/timens_offsets") {
        Ok(offsets) => offsets,
        // A kernel without time namespaces.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the local store needs /proc/self/timens_offsets: {error}"),
            ));
        }
    };
    // The file speaks of the namespace that children get.
    if process::namespace("time") != process::namespace("time_for_children") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the local store cannot be opened between unshare(CLONE_NEWTIME) and the next exec or fork: \
             this process's clock offset cannot be read",
        ));
    }
    let boottime = offsets.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.next()? == "boottime").then_some(())?;
        let seconds: i64 = fields.next()?.parse().ok()?;
        let nanos: i64 = fields.next()?.parse().ok()?;
        Some(seconds * 1_000 + nanos / 1_000_000)
    });
    Ok(boottime.unwrap_or(0))
}

/// Threads that have not ended yet, with their connections. A `fork` in between hands the child locks that nobody gives
/// back.
static THREADS: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// One of them.
struct Counted(());

impl Counted {
    fn new() -> Self {
        *lock_threads() += 1;
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *lock_threads() -= 1;
        ENDED.notify_all();
    }
}

fn lock_threads() -> MutexGuard<'static, usize> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the threads of stores that were dropped have ended, at most so long.
pub(super) fn settle(limit: std::time::Duration) {
    drop(ENDED.wait_timeout_while(lock_threads(), limit, |threads| *threads > 0));
}

/// Starts a thread that takes no signal of the process's, and is counted.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let counted = Counted::new();
    let body = move || {
        let _counted = counted;
        body();
    };
    thread::spawn(name, body).map(drop)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn child() -> (Child, Holder) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let host = Host::look().unwrap();
        let pid = child.id();
        let holder =
            Holder { pid: pid.into(), start: process::start_time(&pid.to_string()).unwrap().cast_signed(), ..host.me };
        (child, holder)
    }

    #[test]
    fn pid_of_another_start_time_proves_the_death() {
        let host = Host::look().unwrap();
        let (mut child, holder) = child();
        let earlier = Holder { start: holder.start - 1, ..holder };
        assert!(matches!(host.life(&earlier), Life::Dead));
        for unproven in [Holder { start: 0, ..earlier }, Holder { time_ns: holder.time_ns + 1, ..earlier }] {
            assert!(matches!(host.life(&unproven), Life::Alive(_)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn process_of_another_pid_namespace_is_never_proven_dead() {
        let host = Host::look().unwrap();
        let (mut child, holder) = child();
        child.kill().unwrap();
        child.wait().unwrap();
        for pid_ns in [0, holder.pid_ns + 1] {
            let elsewhere = Holder { pid_ns, ..holder };
            assert!(matches!(host.life(&elsewhere), Life::Unknown(_)));
        }
    }
}
