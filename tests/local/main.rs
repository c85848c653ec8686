//! The local store among processes: their deaths, the disk, the time limits and the bounds.
//!
//! What every store must do is in the conformance suite (`tests/stores.rs`).

#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod child;
mod crash;
mod death;
mod disk;
mod limits;
mod open;
#[allow(dead_code, unreachable_pub, reason = "shared with other test binaries, which use other parts of it")]
#[path = "../support/wait.rs"]
mod wait;

use std::path::Path;
use std::time::Duration;

use coordha::kv::{KeyRange, KeyValue, Op, Revision, StoreError, Txn, TxnReply, WatchItem};
use coordha::store::local::LocalStore;
use coordha::store::{Store, WatchStream};

/// Limit of a request that is to succeed, and of a wait for an event.
const LIMIT: Duration = Duration::from_secs(60);

fn open(directory: &Path) -> LocalStore {
    LocalStore::open(directory, LIMIT).unwrap()
}

fn writing(ops: Vec<Op>) -> Txn {
    Txn { success: ops, ..Txn::default() }
}

async fn try_put(store: &LocalStore, key: &str, value: &str) -> Result<TxnReply, StoreError> {
    let put = writing(vec![Op::put(key, value, 0)]);
    store.txn(put, LIMIT).await
}

async fn put(store: &LocalStore, key: &str, value: &str) -> Revision {
    try_put(store, key, value).await.unwrap().revision
}

async fn read(store: &LocalStore, range: KeyRange) -> Vec<KeyValue> {
    store.range(range, 0, LIMIT).await.unwrap().kvs
}

async fn revision(store: &LocalStore) -> Revision {
    let reply = store.range(KeyRange::key("no such key"), 1, LIMIT).await;
    reply.unwrap().revision
}

/// A watch of all keys that stands.
async fn watch(store: &LocalStore, from: Revision) -> WatchStream {
    let ranges = vec![KeyRange::prefix("")];
    let mut stream = store.watch(ranges, from, LIMIT).await.unwrap();
    assert_eq!(item(&mut stream).await, WatchItem::Started);
    stream
}

async fn item(stream: &mut WatchStream) -> WatchItem {
    let item = tokio::time::timeout(LIMIT, stream.recv()).await;
    item.expect("the watch brings something").unwrap()
}

/// The database as SQLite alone sees it.
fn database(directory: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(directory.join("coordha.db")).unwrap()
}
