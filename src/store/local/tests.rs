//! What needs a look inside.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::queue::{Job, Request};
use super::*;
use crate::kv::Op;

const LIMIT: Duration = Duration::from_secs(60);

fn write() -> Txn {
    Txn { success: vec![Op::put("k", "x", 0)], ..Txn::default() }
}

fn read() -> Txn {
    Txn { success: vec![Op::read(KeyRange::key("k"))], ..Txn::default() }
}

#[tokio::test]
async fn forked_child_is_refused_everything_and_does_not_stop_the_threads() {
    let directory = TempDir::new().unwrap();
    let store = LocalStore::open(directory.path(), LIMIT).unwrap();
    // What a forked child would have: the same memory in another process.
    let forked = LocalStore { shared: store.shared.clone(), process: Pid::INIT };
    let answers = [
        forked.txn(write(), LIMIT).await.map(drop),
        forked.txn(read(), LIMIT).await.map(drop),
        forked.range(KeyRange::key("k"), 0, LIMIT).await.map(drop),
        forked.grant(LIMIT, LIMIT).await.map(drop),
        forked.keepalive(1, LIMIT).await.map(drop),
        forked.revoke(1, LIMIT).await,
        forked.compact(1, LIMIT).await,
        forked.watch(vec![KeyRange::key("k")], 1, LIMIT).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(&answer, Err(StoreError::Invalid(why)) if why.contains("fork")), "{answer:?}");
    }
    drop(forked);
    store.txn(write(), LIMIT).await.unwrap();
}

#[tokio::test]
async fn threads_end_with_the_store_and_their_watches_with_them() {
    let directory = TempDir::new().unwrap();
    let store = LocalStore::open(directory.path(), LIMIT).unwrap();
    let mut watch = store.watch(vec![KeyRange::key("k")], 1, LIMIT).await.unwrap();
    assert!(timeout(LIMIT, watch.recv()).await.unwrap().is_some(), "it has started");
    let shared = store.shared.clone();
    drop(store);
    assert_eq!(timeout(LIMIT, watch.recv()).await.unwrap(), None);
    // Nobody takes it any more; it goes with what the threads share, when the last of them has ended.
    let (job, ticket) = Job::new(Request::Revoke(1), LIMIT);
    shared.queue.push(job);
    let left = Arc::downgrade(&shared);
    drop(shared);
    assert!(ticket.wait().await.is_err());
    assert_eq!(left.strong_count(), 0);
    // SQLite removes its log when the last connection is closed.
    assert!(!directory.path().join("coordha.db-wal").exists());
}

#[tokio::test]
async fn only_a_change_that_has_begun_is_left_open_at_its_limit() {
    let limit = Duration::from_millis(1);
    for (request, begin, open) in
        [(write(), true, true), (write(), false, false), (read(), true, false), (read(), false, false)]
    {
        let (job, ticket) = Job::new(Request::Txn(request), limit);
        assert!(!begin || job.begin());
        let error = ticket.wait().await.unwrap_err();
        assert_eq!(matches!(error, StoreError::Unknown(_)), open, "{error:?}");
        assert_eq!(matches!(error, StoreError::Unavailable(_)), !open, "{error:?}");
        assert!(begin || !job.begin(), "what was given up is not begun");
    }
}
