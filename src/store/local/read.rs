//! The thread that reads: it answers reads, feeds the watches, and looks whose leases are to be ended.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Shared;
use super::bell::drain;
use super::history::State;
use super::host::Holder;
use super::lease;
use super::queue::{Answer, Failure, Job, Request};
use super::txn;
use super::watch::{Watch, Watches};
use crate::host::process::Life;
use crate::kv::StoreError;

/// How often to look without having been woken, in case a ring was missed: its ringer may have died just before.
const LOOK: Duration = Duration::from_millis(500);

/// The same where the kernel gives no inotify descriptor.
const LOOK_WITHOUT_BELL: Duration = Duration::from_millis(20);

/// Most processes whose death is seen at once; of further ones only the leases' time counts.
const MOST_HOLDERS: usize = 256;

/// What came in for the reader.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) reads: VecDeque<Job>,
    pub(super) watches: Vec<Watch>,
}

pub(super) struct Reader {
    /// `None` after it has failed. The first field, so that it is closed before the rest is dropped.
    connection: Option<Connection>,
    shared: Arc<Shared>,
    bell: Option<OwnedFd>,
    watches: Watches,
    holders: BTreeMap<Holder, Life>,
    /// The count of lease changes at which `holders` was read.
    lease_changes: Option<i64>,
    next_end: Option<i64>,
    /// The newest revision seen.
    revision: i64,
    /// The last failure, so that the same one is logged once.
    failure: Option<StoreError>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, connection: Connection) -> rusqlite::Result<Self> {
        let bell = shared.bell.listen();
        if let Err(error) = &bell {
            tracing::warn!(
                %error,
                "no inotify for the local store (see fs.inotify.max_user_instances): it looks every {LOOK_WITHOUT_BELL:?}"
            );
        }
        Ok(Self {
            connection: Some(prepare(connection)?),
            bell: bell.ok(),
            watches: Watches::new(shared.alarm.clone()),
            holders: BTreeMap::new(),
            lease_changes: None,
            next_end: None,
            revision: 0,
            failure: None,
            shared,
        })
    }

    /// Works until the store is dropped.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopped() {
            let mut inbox = self.shared.take_inbox();
            for watch in inbox.watches.drain(..) {
                self.watches.add(watch);
            }
            let retry = match self.pass(&mut inbox.reads) {
                Ok(()) => {
                    self.failure = None;
                    None
                }
                Err(error) => Some(self.give_up(error, inbox.reads)),
            };
            self.ask_for_chores();
            self.sleep(retry);
        }
    }

    /// One look at the store: everything in one transaction.
    fn pass(&mut self, reads: &mut VecDeque<Job>) -> Result<(), PassError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => prepare(self.shared.place.reconnect()?)?,
        };
        self.shared.place.check()?;
        connection.execute_batch("BEGIN")?;
        let state = State::load(&connection)?;
        self.shared.check_boot(&state)?;
        if state.revision < self.revision {
            return Err(PassError::Store(StoreError::Regressed(format!(
                "the revision of {} went back from {} to {}: it was restored from a copy",
                self.shared.place.directory().display(),
                self.revision,
                state.revision
            ))));
        }
        self.revision = state.revision;
        self.next_end = lease::next_end(&connection)?;
        while let Some(job) = reads.pop_front() {
            self.read(&connection, &state, job)?;
        }
        self.watches.feed(&connection, &state)?;
        if self.lease_changes != Some(state.lease_changes) {
            self.look_for_holders(&connection)?;
            self.lease_changes = Some(state.lease_changes);
        }
        connection.execute_batch("COMMIT")?;
        self.connection = Some(connection);
        Ok(())
    }

    fn read(&self, connection: &Connection, state: &State, job: Job) -> Result<(), PassError> {
        // The keys of a lease that is over must not be seen; only the writer can end it.
        let now_ms = self.shared.host.now_ms();
        if self.next_end.is_some_and(|end| end <= now_ms) {
            self.shared.queue.push(job);
            return Ok(());
        }
        if !job.begin() {
            return Ok(());
        }
        let Request::Txn(request) = &job.request else {
            job.answer(Err(StoreError::Invalid("not a read".into())));
            return Ok(());
        };
        match txn::apply(connection, &mut state.clone(), request) {
            Ok(reply) => job.answer(Ok(Answer::Txn(reply))),
            Err(Failure::Refused(error)) => job.answer(Err(error)),
            Err(Failure::Database(error)) => {
                job.answer(Err(self.shared.place.store_error(&error)));
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Ends what waits with the error. Returns when to look again.
    fn give_up(&mut self, error: PassError, reads: VecDeque<Job>) -> Duration {
        let error = match error {
            PassError::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                self.shared.put_back(reads);
                return Duration::from_millis(2);
            }
            PassError::Sql(error) => self.shared.place.store_error(&error),
            PassError::Store(error) => error,
        };
        self.watches.fail(&error);
        for job in reads {
            if job.begin() {
                job.answer(Err(error.clone()));
            }
        }
        if self.failure.as_ref() != Some(&error) {
            tracing::warn!(error = ?error, "the local store cannot be read");
            self.failure = Some(error);
        }
        // A new connection starts from what is there.
        (self.lease_changes, self.next_end) = (None, None);
        LOOK
    }

    fn look_for_holders(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut before = std::mem::take(&mut self.holders);
        let holders = lease::holders(connection)?;
        for holder in holders {
            if holder == self.shared.host.me || self.holders.len() == MOST_HOLDERS {
                continue;
            }
            let life = before.remove(&holder).unwrap_or_else(|| self.shared.host.life(&holder));
            self.holders.insert(holder, life);
        }
        Ok(())
    }

    /// Has the writer end the leases that are over, and those of the dead. What it does not manage is asked again.
    fn ask_for_chores(&self) {
        let now_ms = self.shared.host.now_ms();
        let expired = self.next_end.is_some_and(|end| end <= now_ms);
        let dead = || self.holders.iter().filter(|(_, life)| matches!(life, Life::Dead)).map(|(holder, _)| *holder);
        if expired || dead().next().is_some() {
            self.shared.queue.ask(|chores| {
                chores.expired |= expired;
                chores.dead.extend(dead());
            });
        }
    }

    /// Sleeps until something happened, a lease ends, or it is time to look again.
    fn sleep(&mut self, retry: Option<Duration>) {
        let timeout = self.timeout(retry).map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut fds = vec![PollFd::new(self.shared.alarm.fd(), PollFlags::IN)];
        fds.extend(self.bell.iter().map(|bell| PollFd::new(bell, PollFlags::IN)));
        let first_holder = fds.len();
        fds.extend(self.holders.values().filter_map(|life| match life {
            Life::Alive(pidfd) => Some(PollFd::new(pidfd, PollFlags::IN)),
            _ => None,
        }));
        // An interrupted or failed poll is a look too many.
        let _ = poll(&mut fds, timeout.as_ref());
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut died = ready[first_holder..].iter();
        for life in self.holders.values_mut() {
            if matches!(life, Life::Alive(_)) && died.next() == Some(&true) {
                *life = Life::Dead;
            }
        }
        drain(self.shared.alarm.fd());
        self.bell.iter().for_each(drain);
    }

    fn timeout(&self, retry: Option<Duration>) -> Option<Duration> {
        if retry.is_some() {
            return retry;
        }
        let look = if self.bell.is_none() {
            Some(LOOK_WITHOUT_BELL)
        } else if self.watches.is_empty() && self.next_end.is_none() {
            None
        } else {
            Some(LOOK)
        };
        // One that is over is being ended, and the bell will ring.
        let end = self.next_end.and_then(|end| {
            let left_ms = u64::try_from(end - self.shared.host.now_ms()).ok()?;
            (left_ms > 0).then(|| Duration::from_millis(left_ms))
        });
        [look, end].into_iter().flatten().min()
    }
}

/// Sets a connection up for reading. It waits only for what lasts a moment, such as the recovery of the log after a crash.
fn prepare(mut connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "query_only", true)?;
    connection.busy_handler(Some(|attempt| {
        thread::sleep(Duration::from_millis(1));
        attempt < 100
    }))?;
    Ok(connection)
}

/// Why a look failed.
enum PassError {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for PassError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for PassError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
