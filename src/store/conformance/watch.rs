//! Watches.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LIMIT, Lab, Watched, apply, changes, delete, grant, put, revision};
use crate::kv::{KeyRange, KeyValue, Op, Revision, WatchEvent, WatchItem};

/// A watch from a revision that has passed shows all changes since, in order, then those to come.
pub async fn past_revision_shows_all_since(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "k", "0").await;
    let first = put(store, "k", "1").await;
    put(store, "other", "x").await;
    put(store, "k", "2").await;
    let mut watch = Watched::prefix(lab, store, "k", first).await;
    put(store, "k", "3").await;
    let seen = watch.changes(3).await;
    let expected = [first, first + 2, first + 3].map(|revision| ("k".to_owned(), revision));
    assert_eq!(seen, expected);
}

/// A watch from a revision to come shows nothing before that one.
pub async fn future_revision_shows_nothing_earlier(lab: &dyn Lab) {
    let store = &*lab.client();
    let last = put(store, "k", "0").await;
    let mut watch = Watched::prefix(lab, store, "k", last + 3).await;
    for value in ["1", "2", "3", "4"] {
        put(store, "k", value).await;
    }
    let seen = watch.changes(2).await;
    assert_eq!(seen, [("k".into(), last + 3), ("k".into(), last + 4)]);
}

/// All changes of one revision come in one item, in the order of the operations; both from the past and live.
pub async fn changes_of_one_revision_come_together(lab: &dyn Lab) {
    let store = &*lab.client();
    let writes = || vec![Op::put("k/b", "x", 0), Op::put("k/a", "x", 0), Op::put("k/c", "x", 0)];
    let first = apply(store, writes()).await.revision;
    let mut watch = Watched::prefix(lab, store, "k/", first).await;
    let expected = |revision: Revision| ["k/b", "k/a", "k/c"].map(|key| (key.to_owned(), revision));
    assert_eq!(changes(&watch.events().await), expected(first));
    let second = apply(store, writes()).await.revision;
    assert_eq!(changes(&watch.events().await), expected(second));
}

/// However many and large they are. Several revisions may share one item; none is split over two.
pub async fn big_revision_comes_in_one_item(lab: &dyn Lab) {
    let store = &*lab.client();
    let value = vec![b'v'; 40_000];
    let before = revision(store).await;
    let lease = grant(store, lab.min_ttl().max(Duration::from_secs(60))).await;
    for batch in 0..4 {
        let puts = (0..25).map(|n| Op::put(format!("k/{batch}/{n:02}"), value.clone(), lease));
        apply(store, puts.collect()).await;
    }
    let mut watch = Watched::prefix(lab, store, "k/", before + 1).await;
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");

    let mut seen = 0;
    while seen < 200 {
        let mut sizes = BTreeMap::new();
        for event in watch.events().await {
            *sizes.entry(event.revision()).or_insert(0) += 1;
        }
        for (revision, size) in sizes {
            let whole = if revision == before + 5 { 100 } else { 25 };
            assert_eq!(size, whole, "all of revision {revision}");
            seen += size;
        }
    }
    assert_eq!(seen, 200);
}

/// A watch shows its range alone.
pub async fn only_the_ranges_are_shown(lab: &dyn Lab) {
    let store = &*lab.client();
    let from = revision(store).await + 1;
    let mut one_key = Watched::start(lab, store, vec![KeyRange::key("data")], from).await;
    let range = KeyRange::range("data", "data.");
    let mut role = Watched::start(lab, store, vec![range], from).await;
    for name in ["dat", "data.", "datacoord", "data", "data-1", "datb", "data"] {
        put(store, name, "x").await;
    }
    assert_eq!(one_key.changes(2).await, [("data".into(), from + 3), ("data".into(), from + 6)]);
    let expected = [("data", 3), ("data-1", 4), ("data", 6)];
    assert_eq!(role.changes(3).await, expected.map(|(key, n)| (key.to_owned(), from + n)));
}

/// One watch may have several ranges; each is shown in order, and between them there is none.
pub async fn two_ranges_are_both_shown(lab: &dyn Lab) {
    let store = &*lab.client();
    let from = put(store, "a/0", "x").await;
    put(store, "b/0", "x").await;
    let ranges = vec![KeyRange::prefix("a/"), KeyRange::key("b/0")];
    let mut watch = Watched::start(lab, store, ranges, from).await;
    let both = vec![Op::put("a/1", "x", 0), Op::put("a/2", "x", 0), Op::put("b/0", "y", 0)];
    let third = apply(store, both).await.revision;
    put(store, "b/1", "x").await;
    let last = put(store, "a/3", "x").await;
    let seen = watch.changes(6).await;
    let of = |prefix: &str| -> Vec<_> {
        let matching = seen.iter().filter(|(key, _)| key.starts_with(prefix));
        matching.map(|(key, revision)| (key.as_str(), *revision)).collect()
    };
    assert_eq!(of("a/"), [("a/0", from), ("a/1", third), ("a/2", third), ("a/3", last)]);
    assert_eq!(of("b/"), [("b/0", from + 1), ("b/0", third)]);
}

/// An event has the whole key as it was then; a deletion has its revision.
pub async fn deletes_are_shown_with_their_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let created = put(store, "k", "one").await;
    let modified = put(store, "k", "two").await;
    let deleted = delete(store, "k").await;
    let mut watch = Watched::prefix(lab, store, "k", modified).await;
    let mut seen = watch.events().await;
    while seen.len() < 2 {
        seen.extend(watch.events().await);
    }
    let expected = [
        WatchEvent::Put(KeyValue {
            key: b"k".to_vec(),
            value: b"two".to_vec(),
            create_revision: created,
            mod_revision: modified,
            version: 2,
            lease: 0,
        }),
        WatchEvent::Delete { key: b"k".to_vec(), revision: deleted },
    ];
    assert_eq!(seen, expected);
}

/// A watch from the revision after a read shows what another client wrote in between, and that only.
pub async fn change_between_a_read_and_its_watch_is_not_missed(lab: &dyn Lab) {
    let (a, b) = (lab.client(), lab.client());
    put(&*b, "k", "0").await;
    let read_at = revision(&*a).await;
    let missed = put(&*b, "k", "1").await;
    let mut watch = Watched::prefix(lab, &*a, "k", read_at + 1).await;
    let live = put(&*b, "k", "2").await;
    assert_eq!(watch.changes(2).await, [("k".into(), missed), ("k".into(), live)]);
}

/// A watch from a revision that was compacted ends, and names the lowest one that is left.
pub async fn compacted_revision_is_refused_with_the_lowest_left(lab: &dyn Lab) {
    let store = &*lab.client();
    let first = put(store, "k", "0").await;
    let lowest = first + 2;
    for value in ["1", "2", "3"] {
        put(store, "k", value).await;
    }
    lab.compact(lowest).await;
    for from in [1, first, lowest - 1] {
        let ranges = vec![KeyRange::prefix("k"), KeyRange::key("other")];
        let mut watch = Watched::open(lab, store, ranges, from).await;
        let mut item = watch.item().await;
        if item == WatchItem::Started {
            item = watch.item().await;
        }
        assert_eq!(item, WatchItem::Compacted { revision: lowest }, "from {from}");
        assert_eq!(watch.stream.recv().await, None, "that was the last item");
    }
}

/// From the lowest revision that is left, nothing is missing.
pub async fn lowest_revision_left_can_be_watched(lab: &dyn Lab) {
    let store = &*lab.client();
    let first = put(store, "k", "0").await;
    for value in ["1", "2", "3"] {
        put(store, "k", value).await;
    }
    lab.compact(first + 2).await;
    let mut watch = Watched::prefix(lab, store, "k", first + 2).await;
    assert_eq!(watch.changes(2).await, [("k".into(), first + 2), ("k".into(), first + 3)]);
}

/// A watch that has kept up is not disturbed by a compaction.
pub async fn compaction_leaves_a_running_watch_alone(lab: &dyn Lab) {
    let store = &*lab.client();
    let from = revision(store).await + 1;
    let mut watch = Watched::prefix(lab, store, "k", from).await;
    put(store, "k", "0").await;
    let last = put(store, "k", "1").await;
    assert_eq!(watch.changes(2).await.len(), 2);
    lab.compact(last).await;
    let next = put(store, "k", "2").await;
    assert_eq!(watch.changes(1).await, [("k".into(), next)]);
}

/// Dropping a watch ends it, and no other.
pub async fn dropped_watch_leaves_the_others_alone(lab: &dyn Lab) {
    let store = &*lab.client();
    let from = revision(store).await + 1;
    let mut kept = Watched::prefix(lab, store, "k", from).await;
    for n in 0..20 {
        let dropped = Watched::prefix(lab, store, "k", from).await;
        put(store, "k", "x").await;
        drop(dropped);
        assert_eq!(kept.changes(1).await, [("k".into(), from + n)]);
    }
}

/// A watch that nobody reads slows down neither requests nor other watches. It may end for that, but never skips.
pub async fn unread_watch_holds_up_nobody_and_skips_nothing(lab: &dyn Lab) {
    const WRITES: i64 = 600;
    let store = &*lab.client();
    let from = revision(store).await + 1;
    let mut unread = Watched::prefix(lab, store, "k", from).await;
    let mut read = Watched::prefix(lab, store, "k", from).await;
    for n in 0..WRITES {
        put(store, "k", "x").await;
        assert_eq!(read.changes(1).await, [("k".into(), from + n)]);
    }
    let mut next = from;
    while next < from + WRITES {
        match unread.item().await {
            WatchItem::Events(events) => {
                for event in events {
                    assert_eq!(event.revision(), next, "nothing is skipped");
                    next += 1;
                }
            }
            WatchItem::Failed(_) => return,
            other => panic!("not due: {other:?}"),
        }
    }
}

/// One client has room for the watches of many sessions.
pub async fn many_watches_see_every_change(lab: &dyn Lab) {
    let store = &*lab.client();
    let from = revision(store).await + 1;
    let mut watches = Vec::new();
    for n in 0..300 {
        let own = KeyRange::key(format!("own/{n}"));
        let ranges = vec![KeyRange::prefix("shared/"), own];
        watches.push(Watched::start(lab, store, ranges, from).await);
    }
    put(store, "shared/k", "x").await;
    put(store, "own/150", "x").await;
    for (n, watch) in watches.iter_mut().enumerate() {
        let mut expected = vec![("shared/k".to_owned(), from)];
        if n == 150 {
            expected.push(("own/150".to_owned(), from + 1));
        }
        // Between two ranges there is no order.
        let mut changes = watch.changes(expected.len()).await;
        changes.sort_by_key(|(_, revision)| *revision);
        assert_eq!(changes, expected, "watch {n}");
    }
}
