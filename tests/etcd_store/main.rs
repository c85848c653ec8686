//! What the etcd store does beyond the rules that all stores share: certificates, users, and members that fail.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod faults;
mod limits;
mod options;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use std::time::Duration;

use coordha::kv::{KeyRange, KeyValue, Op, Revision, StoreError, Txn, TxnReply, WatchItem};
use coordha::store::etcd::{EtcdOptions, EtcdStore};
use coordha::store::{Store, WatchStream};

/// Limit of a request that is to succeed.
const LIMIT: Duration = Duration::from_secs(20);

/// Limit of a request that is to run into it.
const SHORT: Duration = Duration::from_secs(2);

fn store(endpoints: Vec<String>) -> EtcdStore {
    EtcdStore::new(&EtcdOptions::new(endpoints)).unwrap()
}

fn put_txn(key: &str, value: &str) -> Txn {
    Txn { success: vec![Op::put(key, value, 0)], ..Txn::default() }
}

async fn try_put(store: &EtcdStore, key: &str, limit: Duration) -> Result<TxnReply, StoreError> {
    hangs_never(store.txn(put_txn(key, "x"), limit)).await
}

async fn put(store: &EtcdStore, key: &str) -> Revision {
    try_put(store, key, LIMIT).await.unwrap().revision
}

async fn get(store: &EtcdStore, key: &str) -> Option<KeyValue> {
    let reply = hangs_never(store.range(KeyRange::key(key), 0, LIMIT)).await;
    reply.unwrap().kvs.pop()
}

/// A watch of `prefix`, of which nothing has been read yet.
async fn watch(store: &EtcdStore, prefix: &str, from: Revision) -> WatchStream {
    let ranges = vec![KeyRange::prefix(prefix)];
    hangs_never(store.watch(ranges, from, LIMIT)).await.unwrap()
}

async fn next(watch: &mut WatchStream) -> WatchItem {
    hangs_never(watch.recv()).await.expect("the watch goes on")
}

/// The revisions of the next change or changes.
async fn changes(watch: &mut WatchStream) -> Vec<Revision> {
    match next(watch).await {
        WatchItem::Events(events) => events.iter().map(|event| event.revision()).collect(),
        other => panic!("events were due, not {other:?}"),
    }
}

/// A limit that no working call comes near: a hang fails the test.
async fn hangs_never<T>(call: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, call).await.expect("it hangs")
}
