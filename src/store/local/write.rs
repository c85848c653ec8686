//! The thread that writes. What waits is committed together, so that many callers share one wait for the disk; each
//! keeps a revision of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::Shared;
use super::history::{self, State};
use super::lease;
use super::queue::{Answer, Failure, Job, Request, Work};
use super::txn;
use crate::kv::{LeaseReply, StoreError};

/// Most requests in one commit, so that no other process waits long for the lock.
const MOST_TOGETHER: usize = 256;
const BYTES_TOGETHER: usize = 2 << 20;

/// SQLite empties its log when nobody reads or writes for a moment. Where it has outgrown this, the moment is made.
const LOG_BYTES: u64 = 16 << 20;

/// How long to wait for readers then, and how long to leave it where one does not go away (a process that is stopped).
const LOG_PATIENCE: Duration = Duration::from_millis(50);
const LOG_PAUSE: Duration = Duration::from_secs(5);

/// Pause after a commit where other processes wait for the lock: a few of their attempts.
const TURN: Duration = Duration::from_micros(300);

pub(super) struct Writer {
    /// `None` after it has failed. The first field, so that it is closed before the rest is dropped.
    connection: Option<Connection>,
    shared: Arc<Shared>,
    /// Whether commits of the connection wait for the disk.
    durable: bool,
    /// Whether the connection is emptying the log.
    emptying: Arc<AtomicBool>,
    /// When it last tried to and could not.
    not_emptied: Option<Instant>,
    /// The last failure, so that the same one is logged once.
    failure: Option<StoreError>,
}

/// Why a batch came to nothing.
enum Trouble {
    /// The lock was not to be had while anybody waited; nothing was begun.
    NoLock,
    /// It cannot be done; nothing was committed.
    Failed(StoreError),
    /// The commit failed half-way.
    Open(StoreError),
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, connection: Connection) -> rusqlite::Result<Self> {
        let mut writer = Self {
            shared,
            connection: None,
            durable: true,
            emptying: Arc::default(),
            not_emptied: None,
            failure: None,
        };
        writer.adopt(connection)?;
        Ok(writer)
    }

    /// Works until the store is dropped.
    pub(super) fn run(mut self) {
        while let Some(work) = self.shared.queue.wait() {
            self.work(&work);
        }
    }

    fn adopt(&mut self, mut connection: Connection) -> rusqlite::Result<()> {
        let (shared, emptying) = (self.shared.clone(), self.emptying.clone());
        let mut since = Instant::now();
        connection.busy_handler(Some(move |attempt| {
            if attempt == 0 {
                since = Instant::now();
                shared.bell.wait_for_lock(true);
            }
            thread::sleep(pause(attempt));
            if emptying.load(Ordering::Relaxed) {
                since.elapsed() < LOG_PATIENCE
            } else {
                shared.queue.has_patience(since.elapsed())
            }
        }))?;
        self.connection = Some(connection);
        self.durable = true;
        Ok(())
    }

    fn work(&mut self, work: &Work) {
        let mut jobs = Vec::new();
        let error = match self.attempt(work, &mut jobs) {
            Ok(()) => {
                self.failure = None;
                return;
            }
            Err(Trouble::NoLock) => return,
            Err(Trouble::Failed(error)) => {
                // Also those that were not begun yet: they would fail the same way.
                if jobs.is_empty() {
                    jobs = self.shared.queue.begin(usize::MAX, usize::MAX, true);
                }
                self.shared.queue.take_chores();
                error
            }
            Err(Trouble::Open(error)) => error,
        };
        for job in jobs {
            job.answer(Err(error.clone()));
        }
        if self.failure.as_ref() != Some(&error) {
            tracing::warn!(error = ?error, "the local store cannot be written");
            self.failure = Some(error);
        }
    }

    fn attempt(&mut self, work: &Work, jobs: &mut Vec<Job>) -> Result<(), Trouble> {
        if self.connection.is_none() {
            let reconnected =
                self.shared.place.reconnect().and_then(|connection| {
                    self.adopt(connection).map_err(|error| self.shared.place.store_error(&error))
                });
            reconnected.map_err(Trouble::Failed)?;
        }
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        let done = self.batch(&connection, work, jobs);
        let ended = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        self.shared.bell.wait_for_lock(false);
        // After other errors a new connection knows best what is there.
        let usable = matches!(done, Ok(()) | Err(Trouble::NoLock | Trouble::Failed(StoreError::NoSpace(_))));
        if ended && usable {
            self.connection = Some(connection);
        }
        done
    }

    fn batch(&mut self, connection: &Connection, work: &Work, jobs: &mut Vec<Job>) -> Result<(), Trouble> {
        let shared = self.shared.clone();
        let failed = |error| Trouble::Failed(shared.place.store_error(&error));
        if *work == Work::Chores && !self.is_chore_left(connection).map_err(failed)? {
            shared.queue.take_chores();
            return Ok(());
        }
        let mut state = self.begin(connection, *work != Work::Volatile)?;
        let before = state.clone();
        let now_ms = shared.host.now_ms();
        lease::end_expired(connection, &mut state, now_ms).map_err(failed)?;
        if self.durable {
            for holder in shared.queue.take_chores().dead {
                lease::end_of(connection, &mut state, &holder).map_err(failed)?;
            }
        }
        *jobs = shared.queue.begin(MOST_TOGETHER, BYTES_TOGETHER, self.durable);
        let mut answers = Vec::with_capacity(jobs.len());
        for job in &*jobs {
            answers.push(match self.execute(connection, &mut state, now_ms, &job.request) {
                Ok(answer) => Ok(answer),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Database(error)) => return Err(failed(error)),
            });
        }
        history::trim(connection, &mut state).map_err(failed)?;
        if state != before {
            state.save(connection).map_err(failed)?;
        }
        self.commit(connection)?;
        if state != before {
            shared.bell.ring();
        }
        for (job, answer) in jobs.drain(..).zip(answers) {
            job.answer(answer);
        }
        self.limit_log(connection);
        if shared.bell.others_wait() {
            thread::sleep(TURN);
        }
        Ok(())
    }

    /// Begins a transaction with the write lock held.
    fn begin(&mut self, connection: &Connection, durable: bool) -> Result<State, Trouble> {
        let shared = self.shared.clone();
        let failed = |error| Trouble::Failed(shared.place.store_error(&error));
        let mut durable = durable;
        loop {
            self.set_durable(connection, durable).map_err(failed)?;
            let begun = connection.execute_batch("BEGIN IMMEDIATE");
            shared.bell.wait_for_lock(false);
            match begun {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    return Err(Trouble::NoLock);
                }
                begun => begun.map_err(failed)?,
            }
            shared.place.check().map_err(Trouble::Failed)?;
            let state = State::load(connection).map_err(failed)?;
            shared.check_boot(&state).map_err(Trouble::Failed)?;
            // Keys that go with a lease are data; their end must reach the disk.
            let is_over = |end| end <= shared.host.now_ms();
            if durable || !lease::next_end(connection).map_err(failed)?.is_some_and(is_over) {
                return Ok(state);
            }
            connection.execute_batch("ROLLBACK").map_err(failed)?;
            durable = true;
        }
    }

    fn set_durable(&mut self, connection: &Connection, durable: bool) -> rusqlite::Result<()> {
        if self.durable != durable {
            let level = if durable { "full" } else { "normal" };
            connection.pragma_update(None, "synchronous", level)?;
            self.durable = durable;
        }
        Ok(())
    }

    fn is_chore_left(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let now_ms = self.shared.host.now_ms();
        if lease::next_end(connection)?.is_some_and(|end| end <= now_ms) {
            return Ok(true);
        }
        let holders = lease::holders(connection)?;
        Ok(self.shared.queue.names_dead(&holders))
    }

    fn execute(
        &self,
        connection: &Connection,
        state: &mut State,
        now_ms: i64,
        request: &Request,
    ) -> Result<Answer, Failure> {
        Ok(match request {
            Request::Grant { id, ttl_ms } => {
                lease::grant(connection, state, &self.shared.host, *id, *ttl_ms)?;
                Answer::Lease(LeaseReply { lease: *id, ttl_ms: *ttl_ms })
            }
            Request::KeepAlive(id) => {
                Answer::Lease(LeaseReply { lease: *id, ttl_ms: lease::keepalive(connection, now_ms, *id)? })
            }
            Request::Revoke(id) => {
                lease::end(connection, state, *id)?;
                Answer::Done
            }
            Request::Txn(request) => Answer::Txn(txn::apply(connection, state, request)?),
            Request::Compact(revision) if *revision > state.revision => {
                return Err(Failure::Refused(StoreError::Invalid(format!(
                    "revision {revision} is yet to come; the newest is {}",
                    state.revision
                ))));
            }
            Request::Compact(revision) => {
                history::compact(connection, state, *revision)?;
                Answer::Done
            }
        })
    }

    /// Keeps SQLite's log from growing for ever where there is never a moment without a reader or writer.
    fn limit_log(&mut self, connection: &Connection) {
        let failed = self.not_emptied.map(|when| when.elapsed());
        if failed.is_some_and(|ago| ago < LOG_PAUSE) || self.shared.place.log_bytes() <= LOG_BYTES {
            return;
        }
        self.emptying.store(true, Ordering::Relaxed);
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.emptying.store(false, Ordering::Relaxed);
        tracing::debug!(?busy, "SQLite's log is large, and was emptied unless busy");
        self.not_emptied = (busy != Ok(false)).then(Instant::now);
    }

    fn commit(&self, connection: &Connection) -> Result<(), Trouble> {
        connection.execute_batch("COMMIT").map_err(|error| {
            let meaning = self.shared.place.store_error(&error);
            match error.sqlite_error_code() {
                // The record that commits was not written.
                Some(ErrorCode::DiskFull) => Trouble::Failed(meaning),
                _ => Trouble::Open(StoreError::Unknown(format!("the commit failed half-way: {error}"))),
            }
        })
    }
}

/// How long to wait for the lock before the next attempt. It is held for as long as the disk takes, 0.1 to 10 ms.
fn pause(attempt: i32) -> Duration {
    Duration::from_micros(match attempt {
        ..50 => 100,
        50..250 => 250,
        250..1_000 => 1_000,
        _ => 5_000,
    })
}
