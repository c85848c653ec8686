//! Threads for what the application does: callbacks and log lines. They are there only while there is
//! something to do, and are none of the async runtime's, so that slow work delays no keepalive.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::threads;

/// How long a thread with nothing to do waits for more.
const IDLE: Duration = Duration::from_millis(500);
/// Pause before a thread is asked for again.
const RETRY: Duration = Duration::from_millis(100);
/// How long the end of the pool waits for its threads.
const LAST_WAIT: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce() + Send>;

/// Starts a thread that does this; false: the system gives none.
type Start = Box<dyn Fn(Job) -> bool + Send + Sync>;

/// The threads. Dropping it lets them finish what is waiting.
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    start: Start,
    /// Where it waits for the next try.
    runtime: Handle,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// A thread was started and has not taken a job yet. One at a time: most jobs are short, and a burst of
    /// them needs no burst of threads.
    starting: bool,
    /// The system gave no thread, and is asked again soon.
    retrying: bool,
    quit: bool,
}

impl Pool {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self::starting_by(Box::new(|job| threads::spawn("coordha-call", job).is_ok()), runtime)
    }

    fn starting_by(start: Start, runtime: Handle) -> Self {
        Self { inner: Arc::new(Inner { start, runtime, state: Mutex::default(), changed: Condvar::new() }) }
    }

    /// Has a job done soon; where the system gives no thread for it, as soon as it gives one.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.inner.state();
        state.jobs.push_back(Box::new(job));
        self.inner.serve(&mut state);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        state.quit = true;
        self.inner.changed.notify_all();
        if !threads::may_wait() {
            return;
        }
        // Only a log receiver that hangs can still keep one busy here.
        let left = self.inner.changed.wait_timeout_while(state, LAST_WAIT, |s| s.threads > 0);
        drop(left.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that somebody takes the next job.
    fn serve(self: &Arc<Self>, state: &mut State) {
        if state.jobs.is_empty() || state.starting {
            return;
        }
        if state.idle > 0 {
            self.changed.notify_one();
            // With more jobs than idle threads, the woken one calls for another.
            return;
        }
        let inner = Arc::clone(self);
        if (self.start)(Box::new(move || inner.work())) {
            state.threads += 1;
            state.starting = true;
        } else if !std::mem::replace(&mut state.retrying, true) {
            // Those that are there may be busy for ever.
            self.retry();
        }
    }

    fn retry(self: &Arc<Self>) {
        let inner = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tracing::warn!("the system gives no thread for a callback, trying again");
            tokio::time::sleep(RETRY).await;
            if let Some(inner) = inner.upgrade() {
                let mut state = inner.state();
                state.retrying = false;
                inner.serve(&mut state);
            }
        });
    }

    fn work(self: Arc<Self>) {
        let mut state = self.state();
        state.starting = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                self.serve(&mut state);
                drop(state);
                // Panics are caught where the application is called; this one only keeps the thread.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.state();
                continue;
            }
            if state.quit {
                break;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, IDLE);
            let timed_out;
            (state, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            if timed_out.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn runtime() -> Handle {
        static RUNTIME: LazyLock<Runtime> =
            LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap());
        RUNTIME.handle().clone()
    }

    fn pool() -> Pool {
        Pool::new(runtime())
    }

    /// A pool whose second thread is refused once, and whose first one begins when the gate is opened.
    fn short_pool() -> (Pool, Sender<()>) {
        let (open, gate) = channel::<()>();
        let gate = Mutex::new(Some(gate));
        let asked = AtomicUsize::new(0);
        let start = move |job: Job| match asked.fetch_add(1, Ordering::Relaxed) {
            1 => false,
            _ => {
                let gate = gate.lock().unwrap().take();
                threads::spawn("short", move || {
                    if let Some(gate) = gate {
                        gate.recv().unwrap();
                    }
                    job();
                })
                .is_ok()
            }
        };
        (Pool::starting_by(Box::new(start), runtime()), open)
    }

    #[test]
    fn a_job_that_hangs_holds_up_no_other() {
        let pool = pool();
        let (release, hang) = channel::<()>();
        let (done, finished) = channel();
        pool.run(move || hang.recv().unwrap());
        for n in 0..100 {
            let done = done.clone();
            pool.run(move || done.send(n).unwrap());
        }
        let mut seen: Vec<i32> = (0..100).map(|_| finished.recv_timeout(PATIENCE).unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
        release.send(()).unwrap();
    }

    #[test]
    fn many_jobs_that_hang_all_get_a_thread() {
        let pool = pool();
        let (here, arrived) = channel();
        let mut releases = Vec::new();
        for _ in 0..20 {
            let (release, hang) = channel::<()>();
            let here = here.clone();
            releases.push(release);
            pool.run(move || {
                here.send(()).unwrap();
                // Until all the others are here as well, or the test has failed.
                let _ = hang.recv();
            });
        }
        for _ in 0..20 {
            arrived.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn a_job_that_gets_no_thread_is_done_later_though_those_that_are_there_hang() {
        for second_comes_late in [true, false] {
            let (pool, open) = short_pool();
            let (release, hang) = channel::<()>();
            let (done, finished) = channel();
            let begun = done.clone();
            pool.run(move || {
                begun.send("first").unwrap();
                hang.recv().unwrap();
            });
            if second_comes_late {
                open.send(()).unwrap();
                assert_eq!(finished.recv_timeout(PATIENCE), Ok("first"));
            }
            pool.run(move || done.send("second").unwrap());
            if !second_comes_late {
                open.send(()).unwrap();
                assert_eq!(finished.recv_timeout(PATIENCE), Ok("first"));
            }
            assert_eq!(finished.recv_timeout(PATIENCE), Ok("second"));
            release.send(()).unwrap();
        }
    }

    #[test]
    fn a_panic_leaves_the_pool_working() {
        let pool = pool();
        let (done, finished) = channel();
        pool.run(|| panic!("a defect"));
        pool.run(move || done.send(()).unwrap());
        finished.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn the_end_of_the_pool_finishes_what_waits_and_ends_the_threads() {
        let pool = pool();
        let (done, finished) = channel();
        for n in 0..50 {
            let done = done.clone();
            pool.run(move || done.send(n).unwrap());
        }
        let inner = Arc::clone(&pool.inner);
        drop(pool);
        assert_eq!(finished.try_iter().count(), 50);
        assert_eq!(inner.state().threads, 0);
    }

    #[test]
    fn a_thread_with_nothing_to_do_ends_by_itself() {
        let pool = pool();
        pool.run(|| {});
        let state = pool.inner.state();
        let waited = pool.inner.changed.wait_timeout_while(state, PATIENCE, |state| state.threads > 0).unwrap();
        assert!(!waited.1.timed_out());
    }
}
