//! What the library says, on its way to Python's `logging`: a bounded queue between its threads, which must not wait for the
//! GIL, and a thread of Python's.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::process;

/// Most records that wait; beyond it the newest are dropped, and counted.
const MOST: usize = 1024;
/// A queue for each generation of forked processes: a thread that is not there may hold the lock of the one before.
const GENERATIONS: usize = 64;

static QUEUES: [OnceLock<Queue>; GENERATIONS] = [const { OnceLock::new() }; GENERATIONS];
/// The level from which on records are wanted: 0 none, 1 errors ... 5 all.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// Level, target, message, ms since 1970, fields.
type Record = (u8, &'static str, String, i64, Vec<(String, String)>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Record>,
    dropped: u64,
    /// The thread that takes them shall come back, whether there are any or not.
    woken: bool,
}

impl Queue {
    fn of_this_process() -> &'static Self {
        QUEUES[process::generation().min(GENERATIONS - 1)].get_or_init(Self::default)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, record: Record) {
        let mut state = self.lock();
        if state.waiting.len() < MOST {
            state.waiting.push_back(record);
        } else {
            state.dropped += 1;
        }
        drop(state);
        self.changed.notify_one();
    }
}

/// Waits for records, without the GIL; gives all there are, and how many were dropped.
#[pyfunction]
pub(crate) fn next_logs(py: Python<'_>) -> (Vec<Record>, u64) {
    let queue = Queue::of_this_process();
    py.detach(|| {
        let idle = |state: &mut State| state.waiting.is_empty() && state.dropped == 0 && !state.woken;
        let waited = queue.changed.wait_while(queue.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.woken = false;
        (state.waiting.drain(..).collect(), std::mem::take(&mut state.dropped))
    })
}

/// Makes `next_logs` return.
#[pyfunction]
pub(crate) fn wake_logs() {
    let queue = Queue::of_this_process();
    queue.lock().woken = true;
    queue.changed.notify_one();
}

/// Says which records are wanted: 0 none, 1 errors, 2 warnings, 3 information, 4 for debugging, 5 all.
#[pyfunction]
pub(crate) fn set_log_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// In a child of a fork: nobody reads there before it starts a session of its own.
pub(crate) fn forget() {
    LEVEL.store(0, Ordering::Relaxed);
}

/// Takes what the library says from now on.
pub(crate) fn begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(ToQueue);
        // No other can be there: this copy of the library is the extension's own.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Makes records of what this library says; other libraries' words stay out.
struct ToQueue;

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "coordha" || target.starts_with("coordha::")
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ToQueue {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The wanted level changes.
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Spans of any level: an event is told with the fields of those that it is in.
        is_ours(metadata) && (metadata.is_span() || number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut all = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                all.named.extend(fields.named.iter().cloned());
            }
        }
        event.record(&mut all);
        let metadata = event.metadata();
        let record = (number(*metadata.level()), metadata.target(), all.message, unix_ms(), all.named);
        Queue::of_this_process().push(record);
    }
}

/// The wall clock, to stamp records and nothing else.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The fields of an event or span; the one called `message` apart.
#[derive(Default)]
struct Fields {
    message: String,
    named: Vec<(String, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.named.push((field.name().to_owned(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
