//! The disk: full, damaged, taken away.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use coordha::error::ErrorKind;
use coordha::kv::{KeyRange, StoreError, WatchItem};
use coordha::store::Store;
use coordha::store::local::LocalStore;
use tempfile::TempDir;
use tokio::process::Command;

use super::child::{Child, own_binary, say};
use super::{LIMIT, database, item, open, put, read, revision, try_put, watch};

#[tokio::test]
async fn full_disk_is_an_error_that_names_the_directory_and_passes() {
    let directory = TempDir::new().unwrap();
    // In a mount namespace of its own, so that the kernel cleans up.
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"")
        .arg(directory.path())
        .arg(own_binary());
    let mut child = Child::start_by(shell, "fill", directory.path());
    if child.line().await.is_none() {
        return child.skip("mounting a small disk").await;
    }
    child.expect("done").await;
}

/// The child's part of the test above; `directory` is a file system of 4 MiB.
pub(crate) async fn fill(directory: &Path) {
    say("mounted");
    let store = open(&directory.join("store"));
    let names_the_directory = |why: &str| {
        assert!(why.contains(directory.to_str().unwrap()), "{why}");
    };
    let value = "x".repeat(20_000);
    let mut done = 0;
    let full = loop {
        match try_put(&store, &format!("k/{done:05}"), &value).await {
            Ok(_) => done += 1,
            Err(error) => break error,
        }
    };
    assert!(done > 0);
    let StoreError::NoSpace(why) = &full else {
        panic!("no space is left, but: {full:?}");
    };
    names_the_directory(why);
    // What was answered is there, and can be read meanwhile. What was refused is not.
    assert_eq!(read(&store, KeyRange::prefix("k/")).await.len(), done);
    fs::write(directory.join("rest"), vec![0; 4 << 20]).unwrap_err();
    let unopened = LocalStore::open(directory.join("other"), LIMIT).map(drop);
    let error = unopened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    names_the_directory(error.message());

    let remount = Command::new("mount").args(["-o", "remount,size=16m"]).arg(directory).status();
    assert!(remount.await.unwrap().success());
    put(&store, &format!("k/{done:05}"), &value).await;
    assert_eq!(read(&store, KeyRange::prefix("k/")).await.len(), done + 1);
    put(&open(&directory.join("other")), "k", "x").await;
    say("done");
}

#[tokio::test]
async fn damaged_database_is_an_error_that_names_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("coordha.db");
    fs::write(&file, "this is no database, and long enough to be seen as none".repeat(100)).unwrap();
    let error = LocalStore::open(directory.path(), LIMIT).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(file.to_str().unwrap()), "{error}");
    assert_eq!(error.detail("key"), Some("store.url"));
}

#[tokio::test]
async fn damage_that_is_found_later_is_an_error_that_names_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("coordha.db");
    let store = open(directory.path());
    for n in 0..60 {
        put(&store, &format!("k/{n}"), &"x".repeat(1_000)).await;
    }
    drop(store);
    database(directory.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    // All pages but the first, which has the schema, and the one of `meta`.
    let meta: u32 = database(directory.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'", [], |row| row.get(0))
        .unwrap();
    let pages = fs::metadata(&file).unwrap().len() / 4_096;
    let bytes = fs::OpenOptions::new().write(true).open(&file).unwrap();
    for page in (1..pages).filter(|page| page + 1 != u64::from(meta)) {
        bytes.write_all_at(&[0xa5; 4_096], page * 4_096).unwrap();
    }
    let store = open(directory.path());
    let answers =
        [store.range(KeyRange::prefix("k/"), 0, LIMIT).await.map(drop), try_put(&store, "k/1", "y").await.map(drop)];
    for answer in answers {
        assert!(matches!(&answer, Err(StoreError::Corrupt(why)) if why.contains(file.to_str().unwrap())), "{answer:?}");
    }
}

#[tokio::test]
async fn store_whose_revision_went_back_says_that_it_was_restored() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let before = put(&store, "k", "x").await;
    let mut stream = watch(&store, before + 1).await;
    assert_eq!(revision(&store).await, before);
    database(directory.path()).execute("UPDATE meta SET revision = revision - 1", []).unwrap();
    let answer = store.range(KeyRange::key("k"), 0, LIMIT).await;
    assert!(matches!(answer, Err(StoreError::Regressed(_))), "{answer:?}");
    assert!(matches!(item(&mut stream).await, WatchItem::Failed(StoreError::Regressed(_))));
}

#[tokio::test]
async fn store_whose_files_were_replaced_is_not_used_any_more() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    put(&store, "k", "x").await;
    let mut stream = watch(&store, 2).await;
    assert!(matches!(item(&mut stream).await, WatchItem::Events(_)));
    for file in ["coordha.db", "coordha.db-wal", "coordha.db-shm"] {
        let from = directory.path().join(file);
        fs::rename(&from, from.with_extension("away")).unwrap();
    }
    let new = open(directory.path());
    put(&new, "k", "new").await;
    for _ in 0..2 {
        let refused = try_put(&store, "k", "old").await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("replaced")), "{refused:?}");
    }
    assert!(matches!(item(&mut stream).await, WatchItem::Failed(StoreError::Unavailable(_))));
    assert_eq!(read(&new, KeyRange::key("k")).await[0].value, b"new");
}
