//! Kill -9 at any instant.

use std::collections::BTreeMap;

use coordha::kv::{KeyRange, Revision};
use tempfile::TempDir;

use super::child::Child;
use super::{database, open, put, read};

const WRITERS: usize = 4;
const KILLS: usize = 24;

#[tokio::test]
async fn killed_writers_lose_and_tear_nothing_and_leave_no_lock() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut answered = BTreeMap::new();
    let start = |life: usize| Child::start(&format!("write {life}"), directory.path());
    let mut writers: Vec<_> = (0..WRITERS).map(start).collect();
    for kill in 0..KILLS {
        let writer = &mut writers[kill % WRITERS];
        // They write without a pause, so this is at some instant of a transaction.
        for _ in 0..=(kill * 7) % 11 {
            note(&mut answered, &writer.line().await.expect("it writes"));
        }
        writer.kill();
        while let Some(line) = writer.line().await {
            note(&mut answered, &line);
        }
        put(&store, &format!("after/{kill}"), "no lock is left").await;
        *writer = start(WRITERS + kill);
    }
    for mut writer in writers {
        writer.kill();
        while let Some(line) = writer.line().await {
            note(&mut answered, &line);
        }
    }

    let halves = |kvs: Vec<coordha::kv::KeyValue>| -> BTreeMap<String, Revision> {
        let entry = |kv: coordha::kv::KeyValue| {
            let key = String::from_utf8(kv.key).unwrap();
            let (_, pair) = key.split_once('/').unwrap();
            (pair.to_owned(), kv.mod_revision)
        };
        kvs.into_iter().map(entry).collect()
    };
    let first = halves(read(&store, KeyRange::prefix("a/")).await);
    let second = halves(read(&store, KeyRange::prefix("b/")).await);
    assert_eq!(first, second, "no half of a transaction");
    for (pair, revision) in &answered {
        assert_eq!(first.get(pair), Some(revision), "{pair} was answered");
    }
    let others = halves(read(&store, KeyRange::prefix("after/")).await);
    let mut revisions: Vec<_> = first.values().chain(others.values()).copied().collect();
    revisions.sort_unstable();
    let dense: Vec<_> = (2..).take(revisions.len()).collect();
    assert_eq!(revisions, dense, "one revision each, and none left out");
    let sound: String = database(directory.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

fn note(answered: &mut BTreeMap<String, Revision>, line: &str) {
    let (pair, revision) = line.split_once(' ').unwrap();
    answered.insert(pair.to_owned(), revision.parse().unwrap());
}
