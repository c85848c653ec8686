//! The records that wait, and the thread that delivers them: never the thread that logs, which may hold a lock or
//! have a renewal to send.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Map;

use super::layer::unix_ms;
use super::{Receiver, Record};
use crate::driver::{now, spawn_thread};
use crate::error::ErrorKind;
use crate::ffi::boundary::{plain, pointer};
use crate::ffi::log::{HA_LOG_DEBUG, HA_LOG_ERROR, HA_LOG_INFO, HA_LOG_OFF, HA_LOG_TRACE, HA_LOG_WARN, LogRecordValue};
use crate::ffi::process;
use crate::ffi::types::HaLogRecord;
use crate::session::Bell;

/// Most records that wait.
const MOST: usize = 1024;

/// How long the thread waits for another record before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// This is the log of the process.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The level from which on records are wanted.
static LEVEL: AtomicI32 = AtomicI32::new(HA_LOG_OFF);

/// The queue of this process. A child of `fork` makes its own: a thread that is not there may hold the lock of this one.
static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// This thread is delivering.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

struct Queue {
    /// The one whose thread it is.
    process: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Record>,
    dropped: u64,
    pushed: u64,
    delivered: u64,
    has_thread: bool,
    is_delivering: bool,
    receiver: Option<Arc<Receiver>>,
    /// The program fetches them by itself.
    is_pulled: bool,
    bell: Option<Bell>,
}

/// The queue of this process; `None` in a child of `fork` whose parent had sessions.
fn queue() -> Option<&'static Queue> {
    let known = QUEUE.load(Ordering::Acquire);
    // SAFETY: what was stored here was leaked from a box and lives for ever.
    if let Some(queue) = unsafe { known.as_ref() }
        && queue.process == process::tag()
    {
        return Some(queue);
    }
    let new =
        Box::into_raw(Box::new(Queue { process: process::claim()?, state: Mutex::default(), changed: Condvar::new() }));
    match QUEUE.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // Without a receiver, whatever that of the parent wanted.
            LEVEL.store(stderr_level(), Ordering::Relaxed);
            // SAFETY: leaked above, so it lives for ever.
            Some(unsafe { &*new })
        }
        Err(other) => {
            // SAFETY: made above and published to nobody.
            drop(unsafe { Box::from_raw(new) });
            // SAFETY: another thread of this process has stored it, leaked from a box.
            unsafe { other.as_ref() }
        }
    }
}

/// Whether a record of this level is wanted by anybody.
pub(super) fn wants(level: i32) -> bool {
    level <= LEVEL.load(Ordering::Relaxed) && !DELIVERS.get()
}

/// Begins with stderr.
pub(super) fn begin() {
    LEVEL.store(stderr_level(), Ordering::Relaxed);
    BEGUN.store(true, Ordering::Relaxed);
}

/// `COORDHA_LOG`, or warnings and errors.
fn stderr_level() -> i32 {
    level_of_environment().unwrap_or(HA_LOG_WARN)
}

fn level_of_environment() -> Option<i32> {
    match std::env::var("COORDHA_LOG").as_deref() {
        Ok("off") => Some(HA_LOG_OFF),
        Ok("error") => Some(HA_LOG_ERROR),
        Ok("warn") => Some(HA_LOG_WARN),
        Ok("info") => Some(HA_LOG_INFO),
        Ok("debug") => Some(HA_LOG_DEBUG),
        Ok("trace") => Some(HA_LOG_TRACE),
        _ => None,
    }
}

/// Replaces the receiver; `None`: stderr, or while records are fetched, from now on those of this level.
pub(super) fn set_receiver(receiver: Option<Receiver>, level: i32) -> Result<(), ErrorKind> {
    if !BEGUN.load(Ordering::Relaxed) {
        return Err(ErrorKind::Unsupported);
    }
    let queue = queue().ok_or(ErrorKind::Forked)?;
    let here = DELIVERS.get();
    let mut state = queue.lock();
    let until = state.pushed;
    while !here && !state.is_pulled && state.delivered < until {
        state = queue.wait(state);
    }
    if receiver.is_none() && state.is_pulled {
        LEVEL.store(level, Ordering::Relaxed);
        return Ok(());
    }
    let level = receiver.as_ref().map_or_else(stderr_level, |receiver| receiver.level);
    let before = std::mem::replace(&mut state.receiver, receiver.map(Arc::new));
    LEVEL.store(level, Ordering::Relaxed);
    if std::mem::replace(&mut state.is_pulled, false) {
        // What was not fetched goes to the receiver, and who waits for it is told.
        if !state.waiting.is_empty() {
            queue.need_thread(&mut state);
        }
        queue.changed.notify_all();
    }
    while !here && state.is_delivering {
        state = queue.wait(state);
    }
    drop(state);
    // The last share, unless it is the receiver that calls: `destroy` runs, and no lock is held.
    drop(before);
    Ok(())
}

/// Takes a record in. It is delivered on a thread of its own, which is started where there is none.
pub(super) fn push(record: Record) {
    let Some(queue) = queue() else {
        return;
    };
    let mut state = queue.lock();
    if state.waiting.len() >= MOST {
        state.dropped += 1;
        return;
    }
    state.waiting.push_back(record);
    state.pushed += 1;
    if !state.is_pulled {
        queue.need_thread(&mut state);
    } else if let Some(bell) = &state.bell {
        bell.ring();
    }
    queue.changed.notify_all();
}

/// From now on records wait to be fetched. Error: `State` where there is a receiver.
fn pull(queue: &'static Queue) -> Result<MutexGuard<'static, State>, ErrorKind> {
    let mut state = queue.lock();
    if state.receiver.is_some() {
        return Err(ErrorKind::State);
    }
    if !std::mem::replace(&mut state.is_pulled, true) {
        LEVEL.store(level_of_environment().unwrap_or(HA_LOG_INFO), Ordering::Relaxed);
    }
    Ok(state)
}

fn queue_to_pull() -> Result<&'static Queue, ErrorKind> {
    if !BEGUN.load(Ordering::Relaxed) {
        return Err(ErrorKind::Unsupported);
    }
    queue().ok_or(ErrorKind::Forked)
}

/// Fetches a record; waits for one, at most `limit`.
pub(super) fn fetch(limit: Option<Duration>) -> Result<Record, ErrorKind> {
    let queue = queue_to_pull()?;
    let end = limit.map(|limit| now() + limit);
    let mut state = pull(queue)?;
    loop {
        if let Some(record) = state.fetch() {
            return Ok(record);
        }
        let left = end.map(|end| end.since(now()));
        state = match left {
            Some(left) if left.is_zero() => return Err(ErrorKind::Timeout),
            Some(left) => queue.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            None => queue.wait(state),
        };
        if !state.is_pulled {
            return Err(ErrorKind::State);
        }
    }
}

/// The descriptor that tells of records to be fetched.
pub(super) fn event_fd() -> Result<i32, ErrorKind> {
    let mut state = pull(queue_to_pull()?)?;
    if state.bell.is_none() {
        let bell = Bell::new().map_err(|error| error.kind())?;
        if !state.waiting.is_empty() || state.dropped > 0 {
            bell.ring();
        }
        state.bell = Some(bell);
    }
    state.bell.as_ref().map(|bell| bell.fd().as_raw_fd()).ok_or(ErrorKind::Resources)
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that delivers where there is none.
    fn need_thread(&'static self, state: &mut State) {
        if state.has_thread {
            return;
        }
        state.has_thread = spawn_thread("coordha-log", || self.deliver()).is_ok();
        if !state.has_thread {
            // Nobody will ever take them: so nobody may wait for it either.
            state.delivered = state.pushed;
            state.dropped += state.waiting.len() as u64;
            state.waiting.clear();
        }
    }

    /// The thread: delivers what there is, waits a while for more, ends.
    fn deliver(&self) {
        DELIVERS.set(true);
        let mut state = self.lock();
        loop {
            if let Some(record) = state.next_to_deliver() {
                let receiver = state.receiver.clone();
                state.is_delivering = true;
                drop(state);
                hand_over(&record, receiver.as_deref());
                drop(receiver);
                state = self.lock();
                state.is_delivering = false;
                self.changed.notify_all();
                continue;
            }
            let (guard, waited) = self.changed.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out() && (state.waiting.is_empty() || state.is_pulled) {
                state.has_thread = false;
                return;
            }
        }
    }
}

impl State {
    fn next_to_deliver(&mut self) -> Option<Record> {
        if self.is_pulled { None } else { self.next() }
    }

    /// The next record for who fetches them by itself.
    fn fetch(&mut self) -> Option<Record> {
        let record = self.next();
        if let Some(bell) = &self.bell {
            if self.waiting.is_empty() && self.dropped == 0 {
                bell.hush();
            } else {
                // Somebody may have read the descriptor empty.
                bell.ring();
            }
        }
        record
    }

    /// The next record to deliver: what waits, then how many were dropped.
    fn next(&mut self) -> Option<Record> {
        if let Some(record) = self.waiting.pop_front() {
            self.delivered += 1;
            return Some(record);
        }
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| Record {
            level: HA_LOG_WARN,
            target: module_path!(),
            message: "log records were dropped: the receiver is too slow".into(),
            unix_ms: unix_ms(),
            fields: Map::from_iter([("dropped".to_owned(), dropped.into())]),
        })
    }
}

fn hand_over(record: &Record, receiver: Option<&Receiver>) {
    match receiver {
        Some(receiver) if record.level <= receiver.level => {
            let lent = plain::<HaLogRecord>(LogRecordValue::new(record));
            // SAFETY: the caller's function; the record lives for the call.
            unsafe { (receiver.receive)(receiver.user_data.pointer(), pointer(&lent)) };
        }
        Some(_) => {}
        // Where stderr is closed there is nobody left to tell.
        None => drop(std::io::stderr().write_all(line(record).as_bytes())),
    }
}

fn line(record: &Record) -> String {
    let level = match record.level {
        HA_LOG_ERROR => "ERROR",
        HA_LOG_WARN => "WARN",
        HA_LOG_INFO => "INFO",
        HA_LOG_DEBUG => "DEBUG",
        _ => "TRACE",
    };
    let fields = if record.fields.is_empty() { String::new() } else { format!(" {}", record.fields_json()) };
    format!("{level} {}: {}{fields}\n", record.target, record.message)
}
