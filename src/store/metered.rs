//! A store whose requests are counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Health, Store, WatchStream};
use crate::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, Revision, StoreError, Txn, TxnReply};
use crate::metrics::StoreCounts;

struct Metered {
    store: Arc<dyn Store>,
    counts: StoreCounts,
}

/// The store, counted under this name; in a build without metrics the store itself.
pub(crate) fn metered(store: Arc<dyn Store>, name: &'static str) -> Arc<dyn Store> {
    if cfg!(feature = "metrics") { Arc::new(Metered { store, counts: StoreCounts::new(name) }) } else { store }
}

impl Metered {
    async fn count<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let sent = Instant::now();
        let result = request.await;
        let outcome = result.as_ref().map_or_else(outcome, |_| "ok");
        self.counts.request(operation, outcome, sent.elapsed());
        result
    }
}

fn outcome(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Unknown(_) => "unknown",
        StoreError::LeaseNotFound => "lease_not_found",
        StoreError::Auth(_) => "auth",
        StoreError::Permission(_) => "permission",
        StoreError::Tls(_) => "tls",
        StoreError::NoSpace(_) => "no_space",
        StoreError::TooLarge(_) => "too_large",
        StoreError::Corrupt(_) => "corrupt",
        StoreError::Regressed(_) => "regressed",
        StoreError::Invalid(_) => "invalid",
    }
}

#[async_trait]
impl Store for Metered {
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.count("grant", self.store.grant(ttl, limit)).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
        self.count("keepalive", self.store.keepalive(lease, limit)).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
        self.count("revoke", self.store.revoke(lease, limit)).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError> {
        self.count("range", self.store.range(range, max, limit)).await
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
        self.count("txn", self.store.txn(txn, limit)).await
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError> {
        self.count("watch", self.store.watch(ranges, from, limit)).await
    }

    fn health(&self) -> Health {
        self.store.health()
    }
}
