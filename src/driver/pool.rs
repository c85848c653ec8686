//! Threads for what the application does: callbacks and log lines. They are there only while there is
//! something to do, and are none of the async runtime's, so that slow work delays no keepalive.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::threads;

/// How long a thread with nothing to do waits for more.
const IDLE: Duration = Duration::from_millis(500);
/// How long the end of the pool waits for its threads.
const LAST_WAIT: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce() + Send>;

/// The threads. Dropping it lets them finish what is waiting.
pub(crate) struct Pool {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
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
    quit: bool,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default() }
    }

    /// Has a job done soon. False: it waits, and the system gives no thread to do it; then [`Pool::retry`] later.
    #[must_use]
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.inner.state();
        state.jobs.push_back(Box::new(job));
        self.inner.serve(&mut state)
    }

    /// Tries again to have the waiting jobs done. As [`Pool::run`].
    #[must_use]
    pub(crate) fn retry(&self) -> bool {
        self.inner.serve(&mut self.inner.state())
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

    /// Sees to it that somebody takes the next job. False: nobody will.
    fn serve(self: &Arc<Self>, state: &mut State) -> bool {
        if state.jobs.is_empty() || state.starting {
            return true;
        }
        if state.idle > 0 {
            self.changed.notify_one();
            // With more jobs than idle threads, the woken one calls for another.
            return true;
        }
        let inner = Arc::clone(self);
        if threads::spawn("coordha-call", move || inner.work()).is_err() {
            return state.threads > 0;
        }
        state.threads += 1;
        state.starting = true;
        true
    }

    fn work(self: Arc<Self>) {
        let mut state = self.state();
        state.starting = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                // Where no thread starts, the next call asks for one again.
                let _ = self.serve(&mut state);
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
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_job_that_hangs_holds_up_no_other() {
        let pool = Pool::new();
        let (release, hang) = channel::<()>();
        let (done, finished) = channel();
        assert!(pool.run(move || hang.recv().unwrap()));
        for n in 0..100 {
            let done = done.clone();
            assert!(pool.run(move || done.send(n).unwrap()));
        }
        let mut seen: Vec<i32> = (0..100).map(|_| finished.recv_timeout(PATIENCE).unwrap()).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
        release.send(()).unwrap();
    }

    #[test]
    fn many_jobs_that_hang_all_get_a_thread() {
        let pool = Pool::new();
        let all_here = Arc::new(std::sync::Barrier::new(20));
        for _ in 0..19 {
            let all_here = Arc::clone(&all_here);
            assert!(pool.run(move || {
                all_here.wait();
            }));
        }
        all_here.wait();
    }

    #[test]
    fn a_panic_leaves_the_pool_working() {
        let pool = Pool::new();
        let (done, finished) = channel();
        assert!(pool.run(|| panic!("a defect")));
        assert!(pool.run(move || done.send(()).unwrap()));
        finished.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn the_end_of_the_pool_finishes_what_waits_and_ends_the_threads() {
        let pool = Pool::new();
        let (done, finished) = channel();
        for n in 0..50 {
            let done = done.clone();
            assert!(pool.run(move || done.send(n).unwrap()));
        }
        let inner = Arc::clone(&pool.inner);
        drop(pool);
        assert_eq!(finished.try_iter().count(), 50);
        assert_eq!(inner.state().threads, 0);
    }

    #[test]
    fn a_thread_with_nothing_to_do_ends_by_itself() {
        let pool = Pool::new();
        assert!(pool.run(|| {}));
        let state = pool.inner.state();
        let waited = pool.inner.changed.wait_timeout_while(state, PATIENCE, |state| state.threads > 0).unwrap();
        assert!(!waited.1.timed_out());
    }
}
