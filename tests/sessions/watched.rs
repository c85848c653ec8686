//! A local store whose watches can be switched: what they show is lost, late, or compacted away.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use coordha::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, Revision, StoreError, Txn, TxnReply, WatchItem};
use coordha::store::local::LocalStore;
use coordha::store::{Health, Store, WatchStream};
use tokio::sync::mpsc;

/// What becomes of a watch that is begun, and of a read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All is well.
    Whole,
    /// A watch stands and never shows anything.
    Silent,
    /// What is to be watched is gone already.
    Compacted,
    /// A watch breaks at once.
    Broken,
    /// No answer to a read, and no watch.
    Gone,
    /// The store shows a revision that it had long ago.
    Restored,
}

pub(crate) struct Watched {
    inner: LocalStore,
    mode: Mutex<Mode>,
    /// Silent watches, kept open.
    silent: Mutex<Vec<mpsc::Sender<WatchItem>>>,
    watches: AtomicUsize,
    reads: AtomicUsize,
}

impl Watched {
    pub(crate) fn open(directory: &Path, mode: Mode) -> Self {
        Self {
            inner: LocalStore::open(directory, Duration::from_secs(30)).unwrap(),
            mode: Mutex::new(mode),
            silent: Mutex::default(),
            watches: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    /// How many watches were begun while all was well.
    pub(crate) fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }

    /// How many reads were asked for.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Watched {
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.inner.grant(ttl, limit).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.inner.keepalive(lease, limit).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
        self.inner.revoke(lease, limit).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let mut reply = self.inner.range(range, max, limit).await?;
        match self.mode() {
            Mode::Gone => return Err(StoreError::Unknown("switched off".into())),
            Mode::Restored => reply.revision = 1,
            _ => {}
        }
        Ok(reply)
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
        self.inner.txn(txn, limit).await
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError> {
        let (sender, receiver) = mpsc::channel(2);
        let item = match self.mode() {
            Mode::Whole | Mode::Restored => {
                self.watches.fetch_add(1, Ordering::SeqCst);
                return self.inner.watch(ranges, from, limit).await;
            }
            Mode::Gone => return Err(StoreError::Unavailable("switched off".into())),
            Mode::Silent => WatchItem::Started,
            Mode::Compacted => WatchItem::Compacted { revision: from + 1 },
            Mode::Broken => WatchItem::Failed(StoreError::Unavailable("switched off".into())),
        };
        sender.try_send(item).unwrap();
        if self.mode() == Mode::Silent {
            self.silent.lock().unwrap().push(sender);
        }
        Ok(receiver)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}
