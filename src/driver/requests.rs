//! Carries out one request of the core's on the store.

use std::time::Duration;

use tokio::time::timeout;

use crate::election::{Reply, StoreRequest};
use crate::kv::{KeyRange, Revision, StoreError, WatchItem};
use crate::store::Store;

/// Does the request. The store keeps the limit; the core does not rely on it.
pub(super) async fn perform(store: &dyn Store, request: StoreRequest, limit: Duration) -> Reply {
    match request {
        StoreRequest::Grant { ttl } => Reply::Lease(store.grant(ttl, limit).await),
        StoreRequest::KeepAlive { lease } => Reply::Lease(store.keepalive(lease, limit).await),
        StoreRequest::Revoke { lease } => Reply::Revoked(store.revoke(lease, limit).await),
        StoreRequest::Txn(txn) => Reply::Txn(store.txn(txn, limit).await),
        StoreRequest::First { key } => Reply::First(first(store, key, limit).await),
    }
}

async fn first(store: &dyn Store, key: Vec<u8>, limit: Duration) -> Result<Option<Revision>, StoreError> {
    let search = async {
        let mut watch = store.watch(vec![KeyRange::key(key)], 1, limit).await?;
        loop {
            match watch.recv().await {
                Some(WatchItem::Started) => {}
                Some(WatchItem::Events(events)) => {
                    if let Some(event) = events.first() {
                        return Ok(Some(event.revision()));
                    }
                }
                Some(WatchItem::Compacted { .. }) => return Ok(None),
                Some(WatchItem::Failed(error)) => return Err(error),
                None => return Err(StoreError::Unavailable("the store is gone".into())),
            }
        }
    };
    timeout(limit, search)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unknown("no answer to a watch of the whole history".into())))
}
