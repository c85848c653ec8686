//! Reads.

use super::{LIMIT, Lab, apply, delete, names, put, read, revision};
use crate::kv::{KeyRange, Op, OpReply};

/// Keys are ordered by their bytes.
pub async fn keys_come_in_byte_order(lab: &dyn Lab) {
    let store = &*lab.client();
    for name in ["k/b", "k/a10", "k/a9", "k/", "k/B", "k/a"] {
        put(store, name, "x").await;
    }
    let kvs = read(store, KeyRange::prefix("k/")).await;
    assert_eq!(names(&kvs), ["k/", "k/B", "k/a", "k/a10", "k/a9", "k/b"]);
}

/// With a limit the first keys come, and `more` says whether others exist; in a transaction as well.
pub async fn limit_cuts_the_range_and_says_so(lab: &dyn Lab) {
    let store = &*lab.client();
    for name in ["k/1", "k/2", "k/3", "l"] {
        put(store, name, "x").await;
    }
    for (limit, count, more) in [(1, 1, true), (2, 2, true), (3, 3, false), (4, 3, false), (0, 3, false)] {
        let reply = store.range(KeyRange::prefix("k/"), limit, LIMIT).await.expect("the read is answered");
        assert_eq!((reply.kvs.len(), reply.more), (count, more), "limit {limit}");
        assert_eq!(names(&reply.kvs), ["k/1", "k/2", "k/3"][..count]);
        let range = KeyRange::prefix("k/");
        let in_txn = apply(store, vec![Op::Range { range, limit }]).await;
        let kvs = reply.kvs;
        assert_eq!(in_txn.replies, [OpReply::Range { kvs, more }], "limit {limit}");
    }
}

/// `data` and `datacoord`, `a` and `a\xff`: a prefix or range has its own keys and no others.
pub async fn prefix_reads_that_prefix_alone(lab: &dyn Lab) {
    let store = &*lab.client();
    let keys: [&[u8]; 7] = [b"data", b"data-1", b"data.", b"datacoord", b"datb", b"\xff\xff", b"\xff\xffz"];
    for name in keys {
        apply(store, vec![Op::put(name, "x", 0)]).await;
    }
    let rows: [(KeyRange, &[&str]); 6] = [
        (KeyRange::key("data"), &["data"]),
        (KeyRange::range("data", "data."), &["data", "data-1"]),
        (KeyRange::prefix("data"), &["data", "data-1", "data.", "datacoord"]),
        (KeyRange::prefix("data-"), &["data-1"]),
        (KeyRange::prefix(b"\xff\xff".to_vec()), &[r"\xff\xff", r"\xff\xffz"]),
        (KeyRange::range("data", "data"), &[]),
    ];
    for (range, expected) in rows {
        assert_eq!(names(&read(store, range.clone()).await), expected, "{range:?}");
    }
}

/// `[key, "\0")` reads from the key to the last one, and the empty prefix reads all.
pub async fn range_without_end_reads_to_the_last_key(lab: &dyn Lab) {
    let store = &*lab.client();
    for name in ["a", "b", "c"] {
        put(store, name, "x").await;
    }
    let to_the_end = KeyRange::range("b", b"\0".to_vec());
    assert_eq!(names(&read(store, to_the_end).await), ["b", "c"]);
    assert_eq!(names(&read(store, KeyRange::prefix("")).await), ["a", "b", "c"]);
}

/// What is absent, or was deleted, is not returned.
pub async fn absent_key_is_an_empty_range(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "k", "x").await;
    delete(store, "k").await;
    assert_eq!(read(store, KeyRange::key("k")).await, []);
    assert_eq!(read(store, KeyRange::key("never")).await, []);
    assert_eq!(read(store, KeyRange::prefix("")).await, []);
}

/// Keys and values are bytes, not text.
pub async fn bytes_come_back_unchanged(lab: &dyn Lab) {
    let store = &*lab.client();
    let bytes: Vec<u8> = (0..=255).collect();
    for name in [bytes.clone(), vec![0xff], vec![1, 0], vec![0]] {
        apply(store, vec![Op::put(name.clone(), bytes.clone(), 0)]).await;
        let kvs = read(store, KeyRange::key(name.clone())).await;
        assert_eq!((&kvs[0].key, &kvs[0].value), (&name, &bytes));
    }
}

/// A reply may be larger than what transports allow by default (4 MiB).
pub async fn big_range_comes_whole(lab: &dyn Lab) {
    let store = &*lab.client();
    let value = vec![b'v'; 250_000];
    for n in 0..24 {
        apply(store, vec![Op::put(format!("big/{n:02}"), value.clone(), 0)]).await;
    }
    let kvs = read(store, KeyRange::prefix("big/")).await;
    assert_eq!(kvs.len(), 24);
    assert!(kvs.iter().all(|kv| kv.value == value));
}

/// A read carries the revision of the store, not that of the key.
pub async fn read_carries_the_revision_of_the_store(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "k", "x").await;
    let last = put(store, "other", "x").await;
    let reply = store.range(KeyRange::key("k"), 0, LIMIT).await.expect("the read is answered");
    assert_eq!(reply.revision, last);
    assert_eq!(reply.kvs[0].mod_revision, last - 1);
    assert_eq!(revision(store).await, last);
}
