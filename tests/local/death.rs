//! Leases end without anybody's help: when their holder dies, when their time is over, and with the boot of the host.

use std::time::Duration;

use coordha::kv::{KeyRange, Op, StoreError, WatchEvent, WatchItem};
use coordha::store::Store;
use tempfile::TempDir;
use tokio::process::Command;

use super::child::{Child, own_binary};
use super::{LIMIT, database, item, open, put, read, revision, watch, writing};

/// The only change that comes next.
async fn next_deletion(stream: &mut coordha::store::WatchStream) -> (Vec<u8>, i64) {
    match item(stream).await {
        WatchItem::Events(events) => match &events[..] {
            [WatchEvent::Delete { key, revision }] => (key.clone(), *revision),
            other => panic!("one deletion was due, not {other:?}"),
        },
        other => panic!("events were due, not {other:?}"),
    }
}

#[tokio::test]
async fn key_of_a_killed_holder_goes_and_those_of_others_stay() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let (mut first, mut second) =
        (Child::start("hold first", directory.path()), Child::start("hold second", directory.path()));
    first.expect("held").await;
    second.expect("held").await;
    let last = revision(&store).await;
    let mut stream = watch(&store, last + 1).await;
    first.kill();
    // The child is a zombie all this time: nobody has waited for it.
    let (key, at) = next_deletion(&mut stream).await;
    assert_eq!((key.as_slice(), at), (b"first".as_slice(), last + 1));
    let left = read(&store, KeyRange::prefix("")).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, b"second");
    second.kill();
    let (key, at) = next_deletion(&mut stream).await;
    assert_eq!((key.as_slice(), at), (b"second".as_slice(), last + 2));
}

#[tokio::test]
async fn holder_that_died_unseen_is_cleaned_up_after() {
    let directory = TempDir::new().unwrap();
    let mut holder = Child::start("hold k", directory.path());
    holder.expect("held").await;
    holder.kill();
    holder.end().await;
    let store = open(directory.path());
    let mut stream = watch(&store, 1).await;
    let WatchItem::Events(mut events) = item(&mut stream).await else {
        panic!("events were due");
    };
    assert!(matches!(&events[0], WatchEvent::Put(kv) if kv.key == b"k"));
    if events.len() == 1 {
        events.push(WatchEvent::Delete { key: b"k".to_vec(), revision: next_deletion(&mut stream).await.1 });
    }
    assert!(matches!(&events[1], WatchEvent::Delete { key, revision: 3 } if key == b"k"));
}

#[tokio::test]
async fn killed_holder_of_many_leases_loses_each_in_a_revision_of_its_own() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut holder = Child::start("hold k", directory.path());
    holder.expect("held").await;
    // As if it had more of them.
    database(directory.path())
        .execute_batch(
            "INSERT INTO lease SELECT id + 1, ttl_ms, ends_ms, pid, start, pid_ns, time_ns FROM lease;
             INSERT INTO kv SELECT CAST('l' AS BLOB), value, 2, 2, 1, lease + 1 FROM kv;",
        )
        .unwrap();
    let last = revision(&store).await;
    let mut stream = watch(&store, last + 1).await;
    holder.kill();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let WatchItem::Events(events) = item(&mut stream).await else {
            panic!("events were due");
        };
        seen.extend(events.iter().map(WatchEvent::revision));
    }
    assert_eq!(seen, [last + 1, last + 2]);
}

#[tokio::test]
async fn lease_that_is_over_is_not_read_even_where_nobody_has_ended_it() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let other = database(directory.path());
    // It is over, and the lock is taken, so that it cannot be ended. The store may have ended it in between.
    let lease = super::wait::until_async("a lease that is over", async || {
        let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
        store.txn(writing(vec![Op::put("k", "x", lease)]), LIMIT).await.unwrap();
        other.execute("UPDATE lease SET ends_ms = 1", []).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let left: i64 = other.query_row("SELECT count(*) FROM lease", [], |row| row.get(0)).unwrap();
        if left == 0 {
            other.execute_batch("ROLLBACK").unwrap();
        }
        (left > 0).then_some(lease)
    })
    .await;
    let limit = Duration::from_millis(300);
    let unread = store.range(KeyRange::key("k"), 0, limit).await;
    assert!(matches!(unread, Err(StoreError::Unavailable(_))), "{unread:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(read(&store, KeyRange::key("k")).await, []);
    let gone = store.keepalive(lease, LIMIT).await.unwrap();
    assert_eq!(gone.ttl_ms, 0, "a late keepalive does not revive it");
}

#[tokio::test]
async fn leases_of_an_earlier_boot_are_over() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
    let leased = vec![Op::put("leased", "x", lease), Op::put("free", "x", 0)];
    let last = store.txn(writing(leased), LIMIT).await.unwrap().revision;
    drop(store);
    let earlier = "UPDATE meta SET boot = 'an earlier one'";
    database(directory.path()).execute(earlier, []).unwrap();
    let store = open(directory.path());
    let left = read(&store, KeyRange::prefix("")).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, b"free");
    assert_eq!(revision(&store).await, last + 1);
    assert_eq!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
}

#[tokio::test]
async fn second_host_on_the_same_files_is_noticed() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut stream = watch(&store, 1).await;
    let other = "UPDATE meta SET boot = 'of another host'";
    database(directory.path()).execute(other, []).unwrap();
    let refused = store.txn(writing(vec![Op::put("k", "x", 0)]), LIMIT).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("another host")), "{refused:?}");
    assert!(matches!(item(&mut stream).await, WatchItem::Failed(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn clock_of_another_time_namespace_ends_no_lease_early() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
    let leased = writing(vec![Op::put("ours", "x", lease)]);
    store.txn(leased, LIMIT).await.unwrap();
    // A million seconds ahead of ours.
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--time", "--boottime", "1000000"]).arg(own_binary());
    let mut holder = Child::start_by(elsewhere, "hold theirs", directory.path());
    match holder.line().await {
        Some(said) => assert_eq!(said, "held"),
        None => return holder.skip("a time namespace").await,
    }
    let last = revision(&store).await;
    let names = read(&store, KeyRange::prefix("")).await;
    assert_eq!(names.len(), 2, "{names:?}");
    assert_ne!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
    // Its death can be proven all the same.
    let mut stream = watch(&store, last + 1).await;
    holder.kill();
    let (key, _) = next_deletion(&mut stream).await;
    assert_eq!(key, b"theirs");
}

#[tokio::test]
async fn keepalive_by_another_process_counts() {
    let directory = TempDir::new().unwrap();
    let (store, other) = (open(directory.path()), open(directory.path()));
    let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
    let ends = || -> i64 {
        let ends = "SELECT ends_ms FROM lease";
        let row = database(directory.path()).query_row(ends, [], |row| row.get(0));
        row.unwrap()
    };
    let before = ends();
    put(&store, "time passes", "").await;
    super::wait::until_async("the keepalive moves the end", async || {
        other.keepalive(lease, LIMIT).await.unwrap();
        (ends() > before).then_some(())
    })
    .await;
}
