//! Requests on their way to the threads that own the database, and their answers.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::host::Holder;
use crate::kv::{LeaseId, LeaseReply, Revision, StoreError, Txn, TxnReply};

/// Most requests that wait. Only a store whose disk stands still has so many.
const MOST_WAITING: usize = 8_192;

/// What a caller asks for.
#[derive(Debug)]
pub(super) enum Request {
    Grant { id: LeaseId, ttl_ms: u64 },
    KeepAlive(LeaseId),
    Revoke(LeaseId),
    Txn(Txn),
    Compact(Revision),
}

impl Request {
    /// Whether its effect ends with this boot of the host anyway, so that its commit need not wait for the disk.
    fn is_volatile(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::KeepAlive(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Txn(txn) => super::txn::bytes(txn),
            _ => 0,
        }
    }
}

/// What a request brought.
#[derive(Debug)]
pub(super) enum Answer {
    Lease(LeaseReply),
    Txn(TxnReply),
    Done,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// This one request is refused, and has written nothing.
    Refused(StoreError),
    /// The database failed, so the whole transaction is lost.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const ABANDONED: u8 = 2;

/// A request that waits for its thread.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request,
    stage: Arc<AtomicU8>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Answer, StoreError>>,
}

impl Job {
    pub(super) fn new(request: Request, limit: Duration) -> (Self, Ticket) {
        let (answer, answered) = oneshot::channel();
        let stage = Arc::new(AtomicU8::new(WAITING));
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or(now + Duration::from_secs(86_400));
        let ticket = Ticket {
            changes: !matches!(&request, Request::Txn(txn) if !super::txn::writes(txn)),
            stage: stage.clone(),
            deadline,
            answered,
        };
        let job = Self { request, stage, deadline, answer };
        (job, ticket)
    }

    /// Takes it for good: from now on it may be done. `false`: its caller has given it up, so it must not be done.
    pub(super) fn begin(&self) -> bool {
        self.stage.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is_waiting(&self, now: Instant) -> bool {
        now < self.deadline && self.stage.load(Ordering::Acquire) == WAITING
    }

    pub(super) fn answer(self, answer: Result<Answer, StoreError>) {
        // A caller that is gone wants none.
        let _ = self.answer.send(answer);
    }
}

/// A caller's claim to the answer. Dropping it gives the request up, unless it has begun.
#[derive(Debug)]
pub(super) struct Ticket {
    changes: bool,
    stage: Arc<AtomicU8>,
    deadline: Instant,
    answered: oneshot::Receiver<Result<Answer, StoreError>>,
}

impl Ticket {
    /// Waits for the answer until the limit.
    pub(super) async fn wait(mut self) -> Result<Answer, StoreError> {
        let error = match tokio::time::timeout_at(self.deadline.into(), &mut self.answered).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => "the time limit is over, or the store closed",
            Err(_) => "no answer within the time limit",
        };
        if self.abandon() || !self.changes {
            Err(StoreError::Unavailable(error.into()))
        } else {
            Err(StoreError::Unknown(error.into()))
        }
    }

    fn abandon(&self) -> bool {
        self.stage.compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Work that nobody waits for. Whoever asks for it asks again where it is not done.
#[derive(Debug, Default)]
pub(super) struct Chores {
    /// End the leases whose time is over.
    pub(super) expired: bool,
    /// End the leases of these, who are dead.
    pub(super) dead: BTreeSet<Holder>,
}

impl Chores {
    pub(super) fn is_empty(&self) -> bool {
        !self.expired && self.dead.is_empty()
    }
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    chores: Chores,
    stopped: bool,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// What there is for the writer to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing but chores.
    Chores,
    /// Requests whose effect ends with this boot of the host.
    Volatile,
    /// Requests whose effect must outlive a power cut.
    Durable,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Job) {
        push(&mut self.lock().jobs, job);
        self.arrived.notify_one();
    }

    pub(super) fn ask(&self, ask: impl FnOnce(&mut Chores)) {
        ask(&mut self.lock().chores);
        self.arrived.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.arrived.notify_one();
    }

    /// Waits until there is something to do; `None`: the store is closed.
    pub(super) fn wait(&self) -> Option<Work> {
        let mut waiting = self.lock();
        loop {
            if waiting.stopped {
                return None;
            }
            let now = Instant::now();
            waiting.jobs.retain(|job| job.is_waiting(now));
            let volatile = waiting.jobs.iter().all(|job| job.request.is_volatile());
            match (waiting.jobs.is_empty(), waiting.chores.is_empty()) {
                (true, false) => return Some(Work::Chores),
                (false, true) if volatile => return Some(Work::Volatile),
                (false, _) => return Some(Work::Durable),
                (true, true) => {}
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it is worth to wait on for the lock: a request waits within its limit, or chores do.
    pub(super) fn has_patience(&self, waited: Duration) -> bool {
        const CHORES: Duration = Duration::from_millis(500);
        let waiting = self.lock();
        let now = Instant::now();
        !waiting.stopped
            && (waiting.jobs.iter().any(|job| job.is_waiting(now)) || (waited < CHORES && !waiting.chores.is_empty()))
    }

    /// Begins some of the jobs: the oldest, all of them volatile unless `durable`; no more once there are `most` of them,
    /// or so many bytes.
    pub(super) fn begin(&self, most: usize, most_bytes: usize, durable: bool) -> Vec<Job> {
        let mut waiting = self.lock();
        let (mut begun, mut bytes) = (Vec::new(), 0);
        let mut left = VecDeque::new();
        while let Some(job) = waiting.jobs.pop_front() {
            let full = begun.len() >= most || bytes >= most_bytes;
            if full || !(durable || job.request.is_volatile()) {
                left.push_back(job);
            } else if job.begin() {
                bytes += job.request.bytes();
                begun.push(job);
            }
        }
        waiting.jobs = left;
        begun
    }

    /// Whether one of these processes is to be cleaned up after.
    pub(super) fn names_dead(&self, holders: &[Holder]) -> bool {
        let waiting = self.lock();
        holders.iter().any(|holder| waiting.chores.dead.contains(holder))
    }

    pub(super) fn take_chores(&self) -> Chores {
        std::mem::take(&mut self.lock().chores)
    }
}

/// Appends to a queue that has a bound; where it is reached, refuses the job.
pub(super) fn push(jobs: &mut VecDeque<Job>, job: Job) {
    if jobs.len() >= MOST_WAITING {
        let now = Instant::now();
        jobs.retain(|job| job.is_waiting(now));
    }
    if jobs.len() < MOST_WAITING {
        jobs.push_back(job);
    } else if job.begin() {
        job.answer(Err(StoreError::Unavailable("too many requests wait already".into())));
    }
}
