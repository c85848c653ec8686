//! The clock thread: one a process, while it has sessions. It steps each session whose time has come itself,
//! so that neither a starved runtime nor a slow callback delays the end of a term. Its timer counts suspend,
//! so it fires at wake-up.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::errno::Errno;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::election::Time;
use crate::error::{Error, ErrorKind, Result};

use super::{clock, threads};

/// What the clock thread works for.
pub(crate) trait Timed: Send + Sync {
    /// Its time has come, or a stop is pending. Must be quick; a panic is caught.
    fn due(self: Arc<Self>);

    /// Whether a stop was requested that it has not seen yet.
    fn stop_pending(&self) -> bool;
}

/// The clock thread, ended when this is dropped.
pub(crate) struct Fence {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

/// Names a session to the clock thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimedId(u64);

struct Clock {
    timer: OwnedFd,
    wake: OwnedFd,
    quit: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sessions: BTreeMap<TimedId, Entry>,
    times: BTreeSet<(Time, TimedId)>,
    /// What the timer is set to.
    set: Option<Time>,
    last_id: u64,
}

struct Entry {
    at: Option<Time>,
    timed: Arc<dyn Timed>,
}

impl Fence {
    pub(crate) fn start() -> Result<Self> {
        let clock = Arc::new(Clock::new()?);
        let thread = threads::spawn("coordha-clock", {
            let clock = Arc::clone(&clock);
            move || clock.run()
        })?;
        Ok(Self { clock, thread: Some(thread) })
    }

    /// Takes a session in. It is kept alive until [`Fence::remove`].
    pub(crate) fn add(&self, timed: Arc<dyn Timed>) -> TimedId {
        let mut table = self.clock.table();
        table.last_id += 1;
        let id = TimedId(table.last_id);
        table.sessions.insert(id, Entry { at: None, timed });
        id
    }

    /// Lets a session go. It is dropped by the caller, outside all locks.
    pub(crate) fn remove(&self, id: TimedId) -> Option<Arc<dyn Timed>> {
        let mut table = self.clock.table();
        let entry = table.sessions.remove(&id)?;
        if let Some(at) = entry.at {
            table.times.remove(&(at, id));
        }
        Some(entry.timed)
    }

    /// Sets when the session is due next, in place of what was set before.
    pub(crate) fn arm(&self, id: TimedId, at: Option<Time>) {
        let mut table = self.clock.table();
        let Some(entry) = table.sessions.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut entry.at, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            table.times.remove(&(before, id));
        }
        if let Some(at) = at {
            table.times.insert((at, id));
        }
        self.clock.set_timer(&mut table);
    }

    /// Makes the thread look for sessions that are to stop. One write, which leaves `errno` as it is: safe in a signal
    /// handler.
    pub(crate) fn wake(&self) {
        self.clock.wake();
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.clock.quit.store(true, Ordering::Release);
        self.clock.wake();
        if let Some(thread) = self.thread.take()
            && threads::may_wait()
        {
            // The thread's own panics are caught, so there is nothing to report.
            let _ = thread.join();
        }
    }
}

impl Clock {
    fn new() -> Result<Self> {
        Ok(Self {
            timer: timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
                .map_err(|e| no_resources("timer", e))?,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
                .map_err(|e| no_resources("event descriptor", e))?,
            quit: AtomicBool::new(false),
            table: Mutex::default(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let errno = Errno::last_raw();
        // Full: then the thread is woken already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        Errno::set_raw(errno);
    }

    /// Sets the timer to the earliest time, where that is not set already. A later one needs no call: the thread finds
    /// nothing to do then, and sets it anew.
    fn set_timer(&self, table: &mut Table) {
        let Some(&(first, _)) = table.times.first() else {
            return;
        };
        if table.set.is_some_and(|set| set <= first) {
            return;
        }
        table.set = Some(first);
        // All zero would switch the timer off.
        let ns = first.0.max(1);
        let value = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (ns % 1_000_000_000) as _,
            },
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value).is_err() {
            table.set = None;
            self.wake();
        }
    }

    fn run(&self) {
        while !self.quit.load(Ordering::Acquire) {
            let mut ready = [
                PollFd::from_borrowed_fd(self.timer.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
            ];
            if poll(&mut ready, None).is_err() {
                continue;
            }
            let woken = take_count(&self.wake);
            take_count(&self.timer);
            for timed in self.take_due(woken) {
                // One session's defect must not keep the others from their deadlines.
                let _ = catch_unwind(AssertUnwindSafe(|| timed.due()));
            }
        }
    }

    fn take_due(&self, woken: bool) -> Vec<Arc<dyn Timed>> {
        let now = clock::now();
        let mut table = self.table();
        let mut due = Vec::new();
        while let Some(&(at, id)) = table.times.first()
            && at <= now
        {
            table.times.pop_first();
            if let Some(entry) = table.sessions.get_mut(&id) {
                entry.at = None;
                due.push(Arc::clone(&entry.timed));
            }
        }
        if woken {
            let stopping = table.sessions.values().filter(|e| e.timed.stop_pending());
            due.extend(stopping.map(|entry| Arc::clone(&entry.timed)));
        }
        table.set = None;
        self.set_timer(&mut table);
        due
    }
}

/// Empties a counter; whether there was anything in it.
fn take_count(fd: &OwnedFd) -> bool {
    let mut count = [0; 8];
    rustix::io::read(fd, &mut count).is_ok()
}

fn no_resources(what: &str, errno: rustix::io::Errno) -> Error {
    Error::new(ErrorKind::Resources, format!("no {what} for the clock thread: {errno}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Who was stepped, and when.
    type Step = (&'static str, Time);

    struct Probe {
        name: &'static str,
        told: Mutex<Sender<Step>>,
        stop: AtomicBool,
        panics: bool,
    }

    impl Timed for Probe {
        fn due(self: Arc<Self>) {
            self.stop.store(false, Ordering::Release);
            self.told.lock().unwrap().send((self.name, clock::now())).unwrap();
            assert!(!self.panics, "a defect");
        }

        fn stop_pending(&self) -> bool {
            self.stop.load(Ordering::Acquire)
        }
    }

    fn fence() -> (Fence, Sender<Step>, Receiver<Step>) {
        let (sender, receiver) = channel();
        (Fence::start().unwrap(), sender, receiver)
    }

    fn probe(name: &'static str, told: &Sender<Step>, panics: bool) -> Arc<Probe> {
        Arc::new(Probe { name, told: Mutex::new(told.clone()), stop: AtomicBool::new(false), panics })
    }

    fn soon(ms: u64) -> Option<Time> {
        Some(clock::now() + Duration::from_millis(ms))
    }

    #[test]
    fn sessions_are_stepped_in_the_order_of_their_times_and_never_too_early() {
        let (fence, sender, receiver) = fence();
        let late = fence.add(probe("late", &sender, false));
        let early = fence.add(probe("early", &sender, false));
        // The thread that arms them may be held up in between.
        let (late_at, early_at) = (soon(3_000), soon(20));
        fence.arm(late, late_at);
        fence.arm(early, early_at);
        for (name, at) in [("early", early_at), ("late", late_at)] {
            let (told, when) = receiver.recv_timeout(PATIENCE).unwrap();
            assert_eq!(told, name);
            assert!(Some(when) >= at);
        }
    }

    #[test]
    fn a_time_may_be_moved_both_ways_and_taken_back() {
        let (fence, sender, receiver) = fence();
        let moved = fence.add(probe("moved", &sender, false));
        let never = fence.add(probe("never", &sender, false));
        let last = fence.add(probe("last", &sender, false));
        fence.arm(moved, soon(3_600_000));
        fence.arm(moved, soon(1));
        fence.arm(never, soon(3_000));
        fence.arm(never, None);
        fence.arm(last, soon(10));
        fence.arm(last, soon(4_000));
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, "moved");
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, "last");
    }

    #[test]
    fn a_panic_in_one_session_leaves_the_others_their_time() {
        let (fence, sender, receiver) = fence();
        let bad = fence.add(probe("bad", &sender, true));
        let good = fence.add(probe("good", &sender, false));
        fence.arm(bad, soon(0));
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, "bad");
        fence.arm(good, soon(0));
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, "good");
    }

    #[test]
    fn a_requested_stop_is_seen_without_any_time_set() {
        let (fence, sender, receiver) = fence();
        let stopped = probe("stopped", &sender, false);
        fence.add(Arc::<Probe>::clone(&stopped));
        fence.add(probe("other", &sender, false));
        stopped.stop.store(true, Ordering::Release);
        fence.wake();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().0, "stopped");
    }

    /// What a signal handler interrupts must find its `errno` again.
    #[test]
    fn a_wake_up_that_fails_leaves_errno_alone() {
        let clock = Clock::new().unwrap();
        rustix::io::write(&clock.wake, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        let refused = rustix::io::write(&clock.wake, &1u64.to_ne_bytes()).unwrap_err();
        assert_eq!(refused, rustix::io::Errno::AGAIN);
        Errno::set_raw(Errno::EINTR as i32);
        clock.wake();
        assert_eq!(Errno::last(), Errno::EINTR);
    }

    #[test]
    fn a_removed_session_is_let_go_and_not_stepped() {
        let (fence, sender, receiver) = fence();
        let gone = probe("gone", &sender, false);
        let id = fence.add(Arc::<Probe>::clone(&gone));
        fence.arm(id, soon(0));
        receiver.recv_timeout(PATIENCE).unwrap();
        fence.arm(id, soon(3_600_000));
        fence.remove(id);
        fence.arm(id, soon(0));
        drop((fence, sender));
        assert_eq!(Arc::strong_count(&gone), 1);
        assert!(receiver.try_recv().is_err());
    }
}
