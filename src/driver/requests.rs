//! Carries out the requests of the core's on the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Driver, meter, now, step_weak};
use crate::election::{Input, Reply, RequestId, StoreRequest};
use crate::kv::{KeyRange, Revision, StoreError, WatchItem};
use crate::store::Store;

impl Driver {
    /// Sends a request, and steps with its answer.
    pub(super) fn send(self: &Arc<Self>, id: RequestId, request: StoreRequest, limit: Duration) {
        let (driver, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let member = self.member.clone();
        let renewal = self.renews(&request).then(|| (Arc::clone(&self.counts), now()));
        let work = async move {
            let reply = match member {
                Some(member) => member.perform(request, limit).await,
                None => perform(&*store, request, limit).await,
            };
            if let Some((counts, sent)) = renewal {
                counts.count(meter::renewed(&reply, now().since(sent)));
            }
            step_weak(&driver, Input::Reply { id, reply });
        };
        self.spawn(work);
    }
}

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
