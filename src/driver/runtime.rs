//! What all sessions of a process share: the async runtime, the clock thread, the calling threads, the
//! connections. It begins with the first session and ends with the last.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};
use crate::host::{ForkCheck, thread};
use crate::store::Store;

use super::fence::Fence;
use super::group::Group;
use super::pool::Pool;
use super::threads;

/// Threads that drive the connections. Two: one that is held up must not stop the other.
const WORKERS: usize = 2;
/// How long the end waits for the runtime's threads.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Most log lines waiting for a slow receiver; beyond it the newest are dropped.
const LOG_LINES: usize = 4096;

static CURRENT: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// How many shared parts have not ended to the last thread, those on their way out included.
static LEFT: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
static HELD: AtomicUsize = AtomicUsize::new(0);

/// The shared parts. Kept alive by the sessions.
pub(crate) struct Shared {
    runtime: Option<Runtime>,
    handle: Handle,
    pub(super) fence: Fence,
    pool: Pool,
    log: Arc<LogLane>,
    stores: Mutex<Vec<OpenStore>>,
    groups: Mutex<Vec<Weak<Group>>>,
    /// Whether each shares server ID and lease.
    started: Mutex<BTreeMap<SessionName, bool>>,
    /// How many use it that are no sessions.
    pub(super) guests: AtomicUsize,
    process: u32,
    fork: ForkCheck,
}

/// What tells two sessions of a process apart: store, root, role, address.
pub(crate) type SessionName = [String; 4];

struct OpenStore {
    options: Box<dyn Any + Send>,
    store: Weak<dyn Store>,
}

/// Log lines, written in order by one calling thread at a time.
#[derive(Default)]
struct LogLane {
    state: Mutex<(VecDeque<Line>, bool)>,
}

type Line = Box<dyn FnOnce() + Send>;

impl Shared {
    /// The shared parts of this process, begun where there are none.
    ///
    /// Errors: [`ErrorKind::Resources`]; [`ErrorKind::Forked`] in a child whose parent had sessions at the fork.
    pub(crate) fn of_process() -> Result<Arc<Self>> {
        let mut current = lock(&CURRENT);
        if let Some(shared) = current.upgrade() {
            if shared.fork.in_child() {
                // Its threads do not exist here, and to drop it would wait for them.
                std::mem::forget(shared);
                return Err(Error::new(ErrorKind::Forked, "the process that this one was forked from has sessions"));
            }
            return Ok(shared);
        }
        let shared = Arc::new(Self::begin()?);
        *current = Arc::downgrade(&shared);
        Ok(shared)
    }

    fn begin() -> Result<Self> {
        let fork = ForkCheck::new()?;
        let fence = Fence::start()?;
        let runtime = thread::blocked(|| {
            Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .thread_name("coordha-io")
                .on_thread_start(threads::enter)
                .enable_all()
                .build()
        })
        .map_err(|e| Error::new(ErrorKind::Resources, format!("no async runtime: {e}")))?;
        *lock(&LEFT) += 1;
        Ok(Self {
            handle: runtime.handle().clone(),
            pool: Pool::new(runtime.handle().clone()),
            runtime: Some(runtime),
            fence,
            log: Arc::default(),
            stores: Mutex::default(),
            groups: Mutex::default(),
            started: Mutex::default(),
            guests: AtomicUsize::new(0),
            process: std::process::id(),
            fork,
        })
    }

    /// The async runtime.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The process that it lives in.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Whether this is still that process.
    pub(crate) fn fork(&self) -> &ForkCheck {
        &self.fork
    }

    /// The store with these options: the one that is open already, else a new one. Opened inside the async runtime.
    pub(crate) fn store<O: PartialEq + Send + 'static>(
        &self,
        options: O,
        open: impl FnOnce(&O) -> Result<Arc<dyn Store>>,
    ) -> Result<Arc<dyn Store>> {
        let mut stores = lock(&self.stores);
        stores.retain(|open| open.store.strong_count() > 0);
        let same = |open: &&OpenStore| open.options.downcast_ref::<O>() == Some(&options);
        if let Some(store) = stores.iter().find(same).and_then(|open| open.store.upgrade()) {
            return Ok(store);
        }
        let _inside = self.handle.enter();
        let store = open(&options)?;
        stores.push(OpenStore { options: Box::new(options), store: Arc::downgrade(&store) });
        Ok(store)
    }

    /// The group of the sessions that share server ID and lease on this store, below this root, with this address.
    pub(super) fn group(&self, store: &Arc<dyn Store>, root: &str, address: &str) -> Arc<Group> {
        let mut groups = lock(&self.groups);
        groups.retain(|group| group.strong_count() > 0);
        let mut same = groups.iter().filter_map(Weak::upgrade);
        if let Some(group) = same.find(|group| group.is_for(store, root, address)) {
            return group;
        }
        let group = Arc::new(Group::new(store, root, address));
        groups.push(Arc::downgrade(&group));
        group
    }

    /// Takes a name until [`Shared::leave_name`]. A role may be taken twice with two addresses, unless both share.
    /// Error: [`ErrorKind::AlreadyStarted`].
    pub(crate) fn take_name(&self, name: &SessionName, shares: bool) -> Result<()> {
        let mut started = lock(&self.started);
        let taken = started
            .iter()
            .find(|(other, sharing)| other[..3] == name[..3] && (other[3] == name[3] || (shares && **sharing)));
        let Some(([_, _, role, address], _)) = taken else {
            started.insert(name.clone(), shares);
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::AlreadyStarted,
            format!("a session of role {role} with address {address} runs in this process already"),
        ))
    }

    /// Gives a name free again.
    pub(crate) fn leave_name(&self, name: &SessionName) {
        lock(&self.started).remove(name);
    }

    /// Has a job done on a calling thread.
    pub(crate) fn call(&self, job: impl FnOnce() + Send + 'static) {
        self.pool.run(job);
    }

    /// Writes a log line on a calling thread: a receiver that blocks must not hold up the clock thread.
    pub(crate) fn log(&self, line: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.log.state);
        let (lines, writing) = &mut *state;
        if lines.len() >= LOG_LINES {
            return;
        }
        lines.push_back(Box::new(line));
        if !std::mem::replace(writing, true) {
            drop(state);
            let log = Arc::clone(&self.log);
            self.call(move || log.write());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if threads::may_wait() {
            runtime.shutdown_timeout(LAST_WAIT);
        } else {
            runtime.shutdown_background();
        }
        *lock(&LEFT) -= 1;
        ENDED.notify_all();
    }
}

/// Counts what a program holds of a session, also of one that has ended: it keeps the shared parts.
#[derive(Debug)]
pub(crate) struct Held(());

impl Held {
    pub(crate) fn new() -> Self {
        HELD.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::AcqRel);
    }
}

/// After the last session or observer: waits until the shared parts have ended, a moment at most, so that a `fork` right after it
/// finds none. Does not wait while there are any or anything of theirs is held, nor on a thread of the library.
pub(crate) fn settle() {
    if HELD.load(Ordering::Acquire) > 0 {
        return;
    }
    let current = lock(&CURRENT).upgrade();
    let in_use =
        current.is_some_and(|shared| !lock(&shared.started).is_empty() || shared.guests.load(Ordering::Acquire) > 0);
    if in_use || !threads::may_wait() {
        return;
    }
    drop(ENDED.wait_timeout_while(lock(&LEFT), LAST_WAIT, |left| *left > 0));
    #[cfg(feature = "local")]
    crate::store::local::settle(LAST_WAIT);
}

impl LogLane {
    fn write(&self) {
        loop {
            let line = {
                let mut state = lock(&self.state);
                let Some(line) = state.0.pop_front() else {
                    state.1 = false;
                    return;
                };
                line
            };
            // A receiver that panics loses its line, not the ones behind it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(line));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
