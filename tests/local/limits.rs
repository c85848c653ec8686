//! Time limits, and the bounds of what is kept.

use std::sync::Arc;
use std::time::Duration;

use coordha::kv::{KeyRange, Op, StoreError, WatchItem};
use coordha::store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{LIMIT, database, item, open, put, read, revision, watch, writing};

#[tokio::test]
async fn call_that_waits_for_the_lock_keeps_its_limit_and_is_not_done_later() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    put(&store, "k", "before").await;
    let other = database(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let limit = Duration::from_millis(200);
    let late = writing(vec![Op::put("late", "x", 0)]);
    let answers = [
        store.txn(late, limit).await.map(drop),
        store.grant(LIMIT, limit).await.map(drop),
        store.keepalive(7, limit).await.map(drop),
        store.revoke(7, limit).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    let kvs = read(&store, KeyRange::key("k")).await;
    assert_eq!(kvs[0].value, b"before", "reads need no lock");
    other.execute_batch("ROLLBACK").unwrap();
    put(&store, "k", "after").await;
    assert_eq!(read(&store, KeyRange::key("late")).await, []);
}

#[tokio::test]
async fn call_whose_caller_is_gone_is_not_done_later() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(directory.path()));
    let other = database(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let call = tokio::spawn({
        let store = store.clone();
        async move {
            let given_up = store.txn(writing(vec![Op::put("given up", "x", 0)]), LIMIT);
            tokio::pin!(given_up);
            // The first poll hands it over.
            assert!(futures_poll(given_up.as_mut()).await.is_none());
            begun.send(()).unwrap();
            given_up.await
        }
    });
    has_begun.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    other.execute_batch("ROLLBACK").unwrap();
    put(&store, "k", "x").await;
    assert_eq!(read(&store, KeyRange::key("given up")).await, []);
}

/// What the future has come to after one poll.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn transaction_beyond_etcds_bounds_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let many = (0..129).map(|n| Op::put(format!("k/{n}"), "x", 0)).collect();
    let large = vec![Op::put("k", vec![0; 1_572_864], 0)];
    for ops in [many, large] {
        let refused = store.txn(writing(ops), LIMIT).await;
        assert!(matches!(refused, Err(StoreError::TooLarge(_))), "{refused:?}");
    }
    assert_eq!(revision(&store).await, 1);
    let ttl = store.grant(Duration::MAX, LIMIT).await;
    assert!(matches!(ttl, Err(StoreError::Invalid(_))), "{ttl:?}");
}

#[tokio::test]
async fn history_keeps_the_newest_revisions() {
    const KEPT: i64 = 10_000;
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(directory.path()));
    for _ in 0..4 {
        put_many(&store, 3_000, 10).await;
    }
    let last = revision(&store).await;
    assert_eq!(last, 12_001);
    let mut early = store.watch(vec![KeyRange::key("k")], 1, LIMIT).await.unwrap();
    let WatchItem::Compacted { revision: lowest } = item(&mut early).await else {
        panic!("that revision is gone");
    };
    let kept = last - lowest + 1;
    assert!((KEPT..KEPT + 1_000).contains(&kept), "{kept} are kept");
    let mut stream = watch(&store, lowest).await;
    assert!(matches!(item(&mut stream).await, WatchItem::Events(events) if events[0].revision() == lowest));
}

#[tokio::test]
async fn history_of_large_values_is_bounded_by_its_bytes() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(directory.path()));
    put_many(&store, 80, 1 << 20).await;
    let bytes: i64 =
        database(directory.path()).query_row("SELECT sum(length(value)) FROM event", [], |row| row.get(0)).unwrap();
    assert!((32 << 20..=64 << 20).contains(&bytes), "{bytes}");
    let noted: i64 = database(directory.path())
        .query_row("SELECT history_bytes - (SELECT sum(length(key) + length(value)) FROM event) FROM meta", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(noted, 0, "what is noted is what is there");
    assert_eq!(read(&store, KeyRange::key("k/79")).await.len(), 1);
}

async fn put_many(store: &Arc<coordha::store::local::LocalStore>, count: usize, bytes: usize) {
    let mut puts = JoinSet::new();
    for n in 0..count {
        let store = store.clone();
        puts.spawn(async move { put(&store, &format!("k/{n}"), &"x".repeat(bytes)).await });
    }
    let mut revisions = puts.join_all().await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), count, "each has a revision of its own");
}
