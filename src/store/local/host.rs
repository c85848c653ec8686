//! The host as this process sees it: a clock that all its processes share, the process itself, and proof of the death
//! of another one.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

use crate::error::{Error, ErrorKind, Result};

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

/// What can be said about the life of a holder.
#[derive(Debug)]
pub(super) enum Life {
    /// It is dead: proven.
    Dead,
    /// It lives. The descriptor becomes readable when it dies.
    Alive(OwnedFd),
    /// Nothing can be proven from here; only the time to live of its leases counts.
    Unknown,
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
    /// Whether the PIDs in `/proc` are those of this process's namespace.
    proc_is_ours: bool,
}

impl Host {
    /// Reads it from `/proc`.
    pub(super) fn look() -> Result<Self> {
        let pid = getpid().as_raw_pid();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(|error| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the local store tells boots apart by /proc/sys/kernel/random/boot_id: {error}"),
            )
        })?;
        Ok(Self {
            boot: boot.trim().to_owned(),
            me: Holder {
                pid: pid.into(),
                start: start_time("self").unwrap_or(0),
                pid_ns: namespace("pid"),
                time_ns: namespace("time"),
            },
            clock_offset_ms: clock_offset_ms()?,
            proc_is_ours: fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str() == pid.to_string().as_str()),
        })
    }

    /// The host's time since boot in ms, suspend included. The same for all processes, whatever their time namespace.
    pub(super) fn now_ms(&self) -> i64 {
        let now = clock_gettime(ClockId::Boottime);
        now.tv_sec * 1_000 + now.tv_nsec / 1_000_000 - self.clock_offset_ms
    }

    /// Whether `holder` is dead. Proof is: no process has its PID, or one has that was started at another time. That
    /// the descriptor becomes readable later proves it too, even where the PID was taken by somebody else meanwhile.
    pub(super) fn life(&self, holder: &Holder) -> Life {
        if holder.pid_ns == 0 || holder.pid_ns != self.me.pid_ns {
            return Life::Unknown;
        }
        let Some(pid) = i32::try_from(holder.pid).ok().and_then(Pid::from_raw) else {
            return Life::Unknown;
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(_) if self.was_replaced(holder) => Life::Dead,
            Ok(pidfd) => Life::Alive(pidfd),
            Err(Errno::SRCH) => Life::Dead,
            Err(_) => Life::Unknown,
        }
    }

    /// Whether the PID of `holder` belongs to a process that was started at another time.
    fn was_replaced(&self, holder: &Holder) -> bool {
        if !self.proc_is_ours || holder.start == 0 || holder.time_ns != self.me.time_ns {
            return false;
        }
        start_time(&holder.pid.to_string()).is_some_and(|start| start != holder.start)
    }
}

/// Field 22 of `/proc/<process>/stat`. The name before it may itself hold blanks and brackets.
fn start_time(process: &str) -> Option<i64> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Inode of a namespace of this process; 0 where it cannot be read.
fn namespace(kind: &str) -> i64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |meta| meta.ino().cast_signed())
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
    if namespace("time") != namespace("time_for_children") {
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
#[cfg(feature = "capi")]
pub(super) fn settle(limit: std::time::Duration) {
    drop(ENDED.wait_timeout_while(lock_threads(), limit, |threads| *threads > 0));
}

/// Starts a thread that takes no signal of the process's: they are the program's, not this library's.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let mut blocked = SigSet::all();
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGABRT,
        Signal::SIGTRAP,
        Signal::SIGSYS,
        Signal::SIGPROF,
    ] {
        blocked.remove(fault);
    }
    let counted = Counted::new();
    let body = move || {
        let _counted = counted;
        body();
    };
    // A new thread inherits the mask of the one that starts it.
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(io::Error::from);
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    let restored = before.and_then(|mask| mask.thread_set_mask().map_err(io::Error::from));
    started
        .map(drop)
        .and(restored)
        .map_err(|error| Error::new(ErrorKind::Resources, format!("cannot start thread {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn child() -> (Child, Holder) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let host = Host::look().unwrap();
        let pid = child.id();
        let holder = Holder { pid: pid.into(), start: start_time(&pid.to_string()).unwrap(), ..host.me };
        (child, holder)
    }

    #[test]
    fn killed_process_makes_its_descriptor_readable_before_it_is_reaped() {
        let host = Host::look().unwrap();
        let (mut child, holder) = child();
        let Life::Alive(pidfd) = host.life(&holder) else {
            panic!("it lives");
        };
        child.kill().unwrap();
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1);
        child.wait().unwrap();
        assert!(matches!(host.life(&holder), Life::Dead), "its PID is free");
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
            assert!(matches!(host.life(&elsewhere), Life::Unknown));
        }
    }

    #[test]
    fn started_thread_blocks_the_signals_of_the_program() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let before = SigSet::thread_get_mask().unwrap();
        spawn("masked", move || {
            sender.send(SigSet::thread_get_mask().unwrap()).unwrap();
        })
        .unwrap();
        let mask = receiver.recv().unwrap();
        for blocked in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGCHLD] {
            assert!(mask.contains(blocked), "{blocked}");
        }
        for open in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGABRT, Signal::SIGPROF] {
            assert!(!mask.contains(open), "{open}");
        }
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
