//! A store that counts leases, and holds back or refuses some requests.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coordha::config::Config;
use coordha::kv::{KeyRange, KeyValue, LeaseId, LeaseReply, Op, RangeReply, Revision, StoreError, Txn, TxnReply};
use coordha::session::Session;
use coordha::store::etcd::{EtcdOptions, EtcdStore};
use coordha::store::local::LocalStore;
use coordha::store::{Health, Store, WatchStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(20);

/// The store, and the test's own way to it.
pub(crate) struct Lab {
    pub(crate) store: Arc<Counted>,
    /// Names the store.
    pub(crate) url: String,
    runtime: Runtime,
}

pub(crate) struct Counted {
    inner: Arc<dyn Store>,
    /// Leases that were given in time.
    pub(crate) grants: AtomicUsize,
    pub(crate) revoked: Mutex<Vec<LeaseId>>,
    /// Whether requests for a server ID are answered.
    pub(crate) ids: watch::Sender<bool>,
    /// A key that nobody can delete by comparing it alone, as a release does.
    pub(crate) unreleased: Mutex<Option<Vec<u8>>>,
}

impl Lab {
    pub(crate) fn local(directory: &Path) -> Self {
        let url = format!("local:{}", directory.display());
        Self::new(url, || Arc::new(LocalStore::open(directory, LIMIT).unwrap()))
    }

    pub(crate) fn etcd(endpoint: String) -> Self {
        let url = format!("etcd://{endpoint}");
        Self::new(url, || Arc::new(EtcdStore::new(&EtcdOptions::new([endpoint])).unwrap()))
    }

    fn new(url: String, open: impl FnOnce() -> Arc<dyn Store>) -> Self {
        let runtime = Runtime::new().unwrap();
        let inner = {
            let _inside = runtime.enter();
            open()
        };
        let store = Arc::new(Counted {
            inner,
            grants: AtomicUsize::new(0),
            revoked: Mutex::default(),
            ids: watch::Sender::new(true),
            unreleased: Mutex::default(),
        });
        Self { store, url, runtime }
    }

    pub(crate) fn start(&self, config: &Config) -> Session {
        self.try_start(config).unwrap()
    }

    pub(crate) fn try_start(&self, config: &Config) -> coordha::error::Result<Session> {
        let store: Arc<Counted> = Arc::clone(&self.store);
        Session::start_on(store, config, None)
    }

    pub(crate) fn grants(&self) -> usize {
        self.store.grants.load(Ordering::SeqCst)
    }

    /// Each once: a revoke that is not answered in time is sent again.
    pub(crate) fn revoked(&self) -> Vec<LeaseId> {
        let mut revoked = self.store.revoked.lock().unwrap().clone();
        revoked.dedup();
        revoked
    }

    pub(crate) fn get(&self, key: &str) -> Option<KeyValue> {
        let read = self.store.inner.range(KeyRange::key(key), 0, LIMIT);
        self.runtime.block_on(read).unwrap().kvs.pop()
    }

    /// The lease of a key that is there.
    pub(crate) fn lease(&self, key: &str) -> LeaseId {
        self.get(key).unwrap_or_else(|| panic!("no {key}")).lease
    }

    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let read = self.store.inner.range(KeyRange::prefix(prefix), 0, LIMIT);
        let found = self.runtime.block_on(read).unwrap().kvs;
        let name = |kv: KeyValue| String::from_utf8(kv.key).unwrap();
        found.into_iter().map(name).collect()
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        let txn = Txn { success: vec![Op::put(key, value, 0)], ..Txn::default() };
        self.runtime.block_on(self.store.inner.txn(txn, LIMIT)).unwrap();
    }

    pub(crate) fn revoke(&self, lease: LeaseId) {
        self.runtime.block_on(self.store.inner.revoke(lease, LIMIT)).unwrap();
    }
}

impl Counted {
    fn is_refused(&self, txn: &Txn) -> bool {
        let unreleased = self.unreleased.lock().unwrap();
        let deletes =
            |key: &Vec<u8>| txn.success.iter().any(|op| matches!(op, Op::Delete(range) if range.start == *key));
        txn.compares.len() == 1 && unreleased.as_ref().is_some_and(deletes)
    }
}

fn asks_for_an_id(txn: &Txn) -> bool {
    txn.success.iter().any(|op| match op {
        Op::Put { key, .. } => key.ends_with(b"/session/id"),
        Op::Range { range, .. } | Op::Delete(range) => range.start.ends_with(b"/session/id"),
    })
}

#[async_trait]
impl Store for Counted {
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        let granted = self.inner.grant(ttl, limit).await?;
        self.grants.fetch_add(1, Ordering::SeqCst);
        Ok(granted)
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.inner.keepalive(lease, limit).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
        self.revoked.lock().unwrap().push(lease);
        self.inner.revoke(lease, limit).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError> {
        self.inner.range(range, max, limit).await
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
        if asks_for_an_id(&txn) {
            let mut open = self.ids.subscribe();
            let _ = open.wait_for(|open| *open).await;
        }
        if self.is_refused(&txn) {
            return Err(StoreError::Unavailable("no release".into()));
        }
        self.inner.txn(txn, limit).await
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError> {
        self.inner.watch(ranges, from, limit).await
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}
