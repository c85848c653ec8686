//! The records that wait, and the thread that delivers them: never the thread that logs, which may hold a lock or
//! have a renewal to send.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Map;

use super::layer::unix_ms;
use super::{Receiver, Record};
use crate::driver::spawn_thread;
use crate::error::ErrorKind;
use crate::ffi::boundary::{plain, pointer};
use crate::ffi::log::{HA_LOG_DEBUG, HA_LOG_ERROR, HA_LOG_INFO, HA_LOG_OFF, HA_LOG_TRACE, HA_LOG_WARN, LogRecordValue};
use crate::ffi::process;
use crate::ffi::types::HaLogRecord;

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
    match std::env::var("COORDHA_LOG").as_deref() {
        Ok("off") => HA_LOG_OFF,
        Ok("error") => HA_LOG_ERROR,
        Ok("info") => HA_LOG_INFO,
        Ok("debug") => HA_LOG_DEBUG,
        Ok("trace") => HA_LOG_TRACE,
        _ => HA_LOG_WARN,
    }
}

pub(super) fn set_receiver(receiver: Option<Receiver>) -> Result<(), ErrorKind> {
    if !BEGUN.load(Ordering::Relaxed) {
        return Err(ErrorKind::Unsupported);
    }
    let queue = queue().ok_or(ErrorKind::Forked)?;
    let level = receiver.as_ref().map_or_else(stderr_level, |receiver| receiver.level);
    let here = DELIVERS.get();
    let mut state = queue.lock();
    let until = state.pushed;
    while !here && state.delivered < until {
        state = queue.wait(state);
    }
    let before = std::mem::replace(&mut state.receiver, receiver.map(Arc::new));
    LEVEL.store(level, Ordering::Relaxed);
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
    if !state.has_thread {
        state.has_thread = spawn_thread("coordha-log", || queue.deliver()).is_ok();
        if !state.has_thread {
            // Nobody will ever take them: so nobody may wait for it either.
            state.delivered = state.pushed;
            state.dropped += state.waiting.len() as u64;
            state.waiting.clear();
        }
    }
    queue.changed.notify_all();
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: delivers what there is, waits a while for more, ends.
    fn deliver(&self) {
        DELIVERS.set(true);
        let mut state = self.lock();
        loop {
            if let Some(record) = state.next() {
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
            if waited.timed_out() && state.waiting.is_empty() {
                state.has_thread = false;
                return;
            }
        }
    }
}

impl State {
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
