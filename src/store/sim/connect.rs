//! The [`Store`] trait over a [`SimState`], in the time of tokio's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{SimOptions, SimState};
use crate::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, Revision, StoreError, Txn, TxnReply, WatchItem};
use crate::store::{Health, Store, WatchStream};

/// Items that wait for a slow reader of a watch before the watch waits for it.
const WATCH_QUEUE: usize = 64;

/// One client of a simulated store; a clone is one more client of the same store.
///
/// Make it inside a tokio runtime. Where that runtime's clock is paused, leases live in virtual time.
#[derive(Clone, Debug)]
pub struct SimStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<SimState>,
    revision: watch::Sender<Revision>,
    began: Instant,
}

impl SimStore {
    /// An empty store.
    pub fn new(options: SimOptions) -> Self {
        let state = SimState::new(options);
        Self {
            shared: Arc::new(Shared {
                revision: watch::Sender::new(state.revision()),
                state: Mutex::new(state),
                began: Instant::now(),
            }),
        }
    }

    /// Looks at the store, or changes it behind its clients' backs; watches then show the change.
    pub fn with_state<T>(&self, act: impl FnOnce(&mut SimState) -> T) -> T {
        self.shared.step(act)
    }
}

impl Shared {
    fn step<T>(&self, act: impl FnOnce(&mut SimState) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        state.advance(now);
        let done = act(&mut state);
        let revision = state.revision();
        self.revision.send_if_modified(|seen| {
            let news = *seen != revision;
            *seen = revision;
            news
        });
        done
    }

    /// Shows changes until the watch is over or nobody reads it any more.
    async fn serve(&self, ranges: Vec<KeyRange>, mut next: Revision, items: mpsc::Sender<WatchItem>) {
        let mut news = self.revision.subscribe();
        if items.send(WatchItem::Started).await.is_err() {
            return;
        }
        loop {
            news.mark_unchanged();
            let (found, revision, expiry) = self.step(|state| {
                let found = state.events_since(next, &ranges);
                (found, state.revision(), state.next_expiry())
            });
            let shown = match found {
                Ok(shown) => shown,
                Err(revision) => {
                    let _ = items.send(WatchItem::Compacted { revision }).await;
                    return;
                }
            };
            for events in shown {
                if items.send(WatchItem::Events(events)).await.is_err() {
                    return;
                }
            }
            next = next.max(revision + 1);
            let expiry = expiry.map(|ns| self.began + Duration::from_nanos(ns));
            let expired = async {
                match expiry {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = expired => {}
                () = items.closed() => return,
            }
        }
    }
}

#[async_trait]
impl Store for SimStore {
    async fn grant(&self, ttl: Duration, _limit: Duration) -> Result<LeaseReply, StoreError> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.shared.step(|state| state.grant(ttl_ms))
    }

    async fn keepalive(&self, lease: LeaseId, _limit: Duration) -> Result<LeaseReply, StoreError> {
        Ok(self.shared.step(|state| state.keepalive(lease)))
    }

    async fn revoke(&self, lease: LeaseId, _limit: Duration) -> Result<(), StoreError> {
        self.shared.step(|state| state.revoke(lease));
        Ok(())
    }

    async fn range(&self, range: KeyRange, max: i64, _limit: Duration) -> Result<RangeReply, StoreError> {
        Ok(self.shared.step(|state| state.range(&range, max)))
    }

    async fn txn(&self, txn: Txn, _limit: Duration) -> Result<TxnReply, StoreError> {
        self.shared.step(|state| state.apply_txn(&txn))
    }

    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, _limit: Duration) -> Result<WatchStream, StoreError> {
        if from < 1 {
            return Err(StoreError::Invalid("a watch begins at revision 1 or later".into()));
        }
        let (items, stream) = mpsc::channel(WATCH_QUEUE);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.serve(ranges, from, items).await });
        Ok(stream)
    }

    fn health(&self) -> Health {
        Health { endpoint: "simulator".into(), version: None }
    }
}
