//! The store for the processes of one host, without a server: a directory with a SQLite database in it.
//!
//! # How it works
//!
//! - A process has two threads for a store, however many sessions use it: one writes, one reads and watches. What
//!   waits to be written is committed together.
//! - **Durable.** A reply to a change means that it is on the disk: it outlives `kill -9` at any instant, and a power cut.
//!   Only leases are not waited for, as a power cut ends them anyway.
//! - **Leases** are on the host's clock since boot, which counts suspend. Whatever process touches the store ends those
//!   that are over; no reader sees a key of such a one. After a reboot all leases of the earlier boot are over, as no
//!   process of it lives. The smallest time to live is [`LocalStore::MIN_TTL`].
//! - **Death.** A lease also ends when the process that it was granted to is dead: the others hold a pidfd of it, see its
//!   death at once, and delete its keys. They must be in its PID namespace; over namespaces (containers that
//!   share a directory) only its time to live counts.
//! - **Wake-up.** Who has committed reads a byte of the file `coordha.bell`, which inotify tells the others. Where the
//!   kernel gives no inotify descriptor, they look every 20 ms.
//! - **Bounds.** The newest 10,000 revisions can be watched from, as long as their keys and values take no more than
//!   64 MiB. SQLite's log has 4 MiB mostly, and is emptied where it has grown to 16 MiB.
//!
//! # What it cannot do
//!
//! - Hosts cannot share it: network file systems are refused.
//! - A process that is stopped (`SIGSTOP`) in the middle of a commit holds the database's lock, and nobody can
//!   write until it goes on or dies. Commits take 0.1 to 10 ms, so this is rare; a term ends in time all the same.
//! - After `fork` the child cannot use it: every call is refused there. The parent is not affected.
//! - The files must not be removed or replaced while a process uses them; each such process then refuses.

mod bell;
mod connect;
mod history;
mod host;
mod lease;
mod queue;
mod read;
#[cfg(test)]
mod tests;
mod txn;
mod watch;
mod write;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
use rustix::process::{Pid, getpid};

use self::bell::{Alarm, Bell};
use self::connect::Place;
use self::history::State;
use self::host::Host;
use self::queue::{Answer, Job, Queue, Request};
use self::read::{Inbox, Reader};
use self::watch::Watch;
use self::write::Writer;
use super::{Health, Store, WatchStream};
use crate::error::{Error, ErrorKind, Result};
use crate::kv::{KeyRange, LeaseId, LeaseReply, Op, OpReply, RangeReply, Revision, StoreError, Txn, TxnReply};

/// A store in a directory of this host. See the module's page.
pub struct LocalStore {
    shared: Arc<Shared>,
    process: Pid,
}

/// What the callers and the two threads share.
struct Shared {
    place: Place,
    host: Host,
    bell: Bell,
    alarm: Arc<Alarm>,
    queue: Queue,
    inbox: Mutex<Inbox>,
    stopped: AtomicBool,
}

impl LocalStore {
    /// The smallest time to live of a lease.
    pub const MIN_TTL: Duration = Duration::from_millis(lease::SMALLEST_TTL_MS);

    /// Opens the store in `directory`, and creates both where they are missing; the directory then belongs to its user
    /// alone (mode 0700). Blocks while another process does the same, at most for `limit`.
    ///
    /// # Errors
    ///
    /// Each names `store.url`, the path, and what is allowed: `CONFIG_VALUE` where the directory cannot be used,
    /// `CORRUPT` where the database is damaged, `STORE_VERSION` where another version of this library made it, `NO_SPACE`,
    /// `UNAVAILABLE` where it stayed locked; `RESOURCES` and `UNSUPPORTED` where the system lacks something.
    pub fn open(directory: impl AsRef<Path>, limit: Duration) -> Result<Self> {
        let host = Host::look()?;
        let (place, [mut writing, reading]) = Place::open(directory.as_ref(), limit)?;
        begin_boot(&mut writing, &host).map_err(|error| place.open_error(&error))?;
        let bell = Bell::open(&place.bell()).map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::StorageFull => ErrorKind::NoSpace,
                _ => ErrorKind::ConfigValue,
            };
            place.refusal(kind, "cannot open coordha.bell", &error)
        })?;
        let alarm = Alarm::new()
            .map_err(|error| Error::new(ErrorKind::Resources, format!("cannot make an eventfd: {error}")))?;
        let shared = Arc::new(Shared {
            place,
            host,
            bell,
            alarm,
            queue: Queue::default(),
            inbox: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let store = Self { shared: shared.clone(), process: getpid() };
        let sql = |error| shared.place.open_error(&error);
        let writer = Writer::new(shared.clone(), writing).map_err(sql)?;
        let reader = Reader::new(shared.clone(), reading).map_err(sql)?;
        // Dropping the store ends the one that was started.
        host::spawn("coordha-write", move || writer.run())?;
        host::spawn("coordha-read", move || reader.run())?;
        Ok(store)
    }

    /// Drops the history before `revision`, which is then the lowest one that can be watched. The store does that by
    /// itself as well, see the module's page.
    ///
    /// # Errors
    ///
    /// `Invalid` where the revision is yet to come, and what a transaction may fail with.
    pub async fn compact(&self, revision: Revision, limit: Duration) -> std::result::Result<(), StoreError> {
        self.write(Request::Compact(revision), limit).await.map(drop)
    }

    /// A connection of SQLite's must not be used in a process forked from the one that opened it, and its threads are
    /// not there.
    fn check_process(&self) -> std::result::Result<(), StoreError> {
        if getpid() == self.process {
            Ok(())
        } else {
            Err(StoreError::Invalid("the local store was opened before fork; open it again in the child".into()))
        }
    }

    async fn write(&self, request: Request, limit: Duration) -> std::result::Result<Answer, StoreError> {
        self.check_process()?;
        let (job, ticket) = Job::new(request, limit);
        self.shared.queue.push(job);
        ticket.wait().await
    }

    async fn lease(&self, request: Request, limit: Duration) -> std::result::Result<LeaseReply, StoreError> {
        match self.write(request, limit).await? {
            Answer::Lease(reply) => Ok(reply),
            _ => Err(unexpected()),
        }
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn grant(&self, ttl: Duration, limit: Duration) -> std::result::Result<LeaseReply, StoreError> {
        let ttl_ms = u64::try_from(ttl.as_nanos().div_ceil(1_000_000))
            .ok()
            .filter(|ttl_ms| *ttl_ms <= lease::LARGEST_TTL_MS)
            .ok_or_else(|| StoreError::Invalid(format!("time to live too large: {ttl:?}")))?
            .max(lease::SMALLEST_TTL_MS);
        let id = lease::new_id()?;
        self.lease(Request::Grant { id, ttl_ms }, limit).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> std::result::Result<LeaseReply, StoreError> {
        self.lease(Request::KeepAlive(lease), limit).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> std::result::Result<(), StoreError> {
        self.write(Request::Revoke(lease), limit).await.map(drop)
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> std::result::Result<RangeReply, StoreError> {
        let read = Txn { success: vec![Op::Range { range, limit: max }], ..Txn::default() };
        let reply = self.txn(read, limit).await?;
        match reply.replies.into_iter().next() {
            Some(OpReply::Range { kvs, more }) => Ok(RangeReply { revision: reply.revision, kvs, more }),
            _ => Err(unexpected()),
        }
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> std::result::Result<TxnReply, StoreError> {
        self.check_process()?;
        txn::check(&txn)?;
        let answer = if txn::writes(&txn) {
            self.write(Request::Txn(txn), limit).await?
        } else {
            let (job, ticket) = Job::new(Request::Txn(txn), limit);
            self.shared.read(job);
            ticket.wait().await?
        };
        match answer {
            Answer::Txn(reply) => Ok(reply),
            _ => Err(unexpected()),
        }
    }

    async fn watch(
        &self,
        ranges: Vec<KeyRange>,
        from: Revision,
        _limit: Duration,
    ) -> std::result::Result<WatchStream, StoreError> {
        self.check_process()?;
        if ranges.is_empty() || !ranges.iter().all(txn::is_named) || from < 1 {
            return Err(StoreError::Invalid(format!("no watch of {ranges:?} from revision {from}")));
        }
        let (watch, stream) = Watch::new(ranges, from);
        self.shared.lock_inbox().watches.push(watch);
        self.shared.alarm.raise();
        Ok(stream)
    }

    fn health(&self) -> Health {
        Health {
            endpoint: self.shared.place.directory().display().to_string(),
            version: Some(format!("SQLite {}", rusqlite::version())),
        }
    }
}

/// Waits until nothing is left in this process of the stores that were dropped, at most so long: before a `fork`, say.
pub(crate) fn settle(limit: Duration) {
    host::settle(limit);
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        // In a forked child the threads are not there, their locks may be held for ever, and the alarm is the parent's.
        if getpid() == self.process {
            self.shared.stopped.store(true, Ordering::Release);
            self.shared.queue.stop();
            self.shared.alarm.raise();
        }
    }
}

impl Shared {
    fn lock_inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, job: Job) {
        queue::push(&mut self.lock_inbox().reads, job);
        self.alarm.raise();
    }

    fn take_inbox(&self) -> Inbox {
        std::mem::take(&mut self.lock_inbox())
    }

    fn put_back(&self, reads: VecDeque<Job>) {
        self.lock_inbox().reads.extend(reads);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Fails where the leases are those of another boot: then another host uses these very files, or has since.
    fn check_boot(&self, state: &State) -> std::result::Result<(), StoreError> {
        if state.boot == self.host.boot {
            Ok(())
        } else {
            Err(StoreError::Unavailable(format!(
                "{} is in use by another host; only processes of one host can share it",
                self.place.directory().display()
            )))
        }
    }
}

fn begin_boot(connection: &mut Connection, host: &Host) -> rusqlite::Result<()> {
    if State::load(connection)?.boot == host.boot {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut state = State::load(&transaction)?;
    lease::begin_boot(&transaction, &mut state, host)?;
    state.save(&transaction)?;
    transaction.commit()
}

fn unexpected() -> StoreError {
    StoreError::Invalid("the answer is not to this request".into())
}
