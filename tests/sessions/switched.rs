//! A local store with switches: transactions of the application that fail or lose their answer, and calls that hold up
//! the thread they run on.

use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coordha::kv::{KeyRange, LeaseId, LeaseReply, Op, RangeReply, Revision, StoreError, Txn, TxnReply};
use coordha::store::local::LocalStore;
use coordha::store::{Health, Store, WatchStream};

/// What becomes of a transaction that writes below `app/`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It is not sent.
    Refuse,
    /// It is done, and its answer is lost.
    LoseReply,
    /// No answer comes, ever.
    Never,
}

pub(crate) struct Switched {
    inner: LocalStore,
    fault: Mutex<Fault>,
    blocked: Mutex<Blocked>,
    changed: Condvar,
}

#[derive(Default)]
struct Blocked {
    on: bool,
    threads: usize,
}

impl Switched {
    pub(crate) fn open(directory: &Path) -> Self {
        Self {
            inner: LocalStore::open(directory, Duration::from_secs(30)).unwrap(),
            fault: Mutex::new(Fault::None),
            blocked: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// From now on each call holds up the runtime's thread that makes it, until `false` is said.
    pub(crate) fn block(&self, on: bool) {
        self.blocked.lock().unwrap().on = on;
        self.changed.notify_all();
    }

    /// How many threads are held up.
    pub(crate) fn held_up(&self) -> usize {
        self.blocked.lock().unwrap().threads
    }

    fn hold_up(&self) {
        let mut blocked = self.blocked.lock().unwrap();
        blocked.threads += 1;
        // A test that fails must not hold up the others of its process for ever.
        blocked = self.changed.wait_timeout_while(blocked, Duration::from_secs(60), |blocked| blocked.on).unwrap().0;
        blocked.threads -= 1;
    }
}

fn is_applications(txn: &Txn) -> bool {
    txn.success.iter().any(|op| matches!(op, Op::Put { key, .. } if key.starts_with(b"app/")))
}

#[async_trait]
impl Store for Switched {
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.hold_up();
        self.inner.grant(ttl, limit).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.hold_up();
        self.inner.keepalive(lease, limit).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
        self.hold_up();
        self.inner.revoke(lease, limit).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError> {
        self.hold_up();
        self.inner.range(range, max, limit).await
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
        self.hold_up();
        let fault = *self.fault.lock().unwrap();
        if !is_applications(&txn) || fault == Fault::None {
            return self.inner.txn(txn, limit).await;
        }
        if fault == Fault::Refuse {
            return Err(StoreError::Unavailable("switched off".into()));
        }
        if fault == Fault::Never {
            std::future::pending::<()>().await;
        }
        self.inner.txn(txn, limit).await?;
        Err(StoreError::Unknown("the answer is lost".into()))
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError> {
        self.inner.watch(ranges, from, limit).await
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}
