//! Transactions and the revisions that they make.

use super::{Lab, apply, delete, holds, key, put, read, refused, revision, txn};
use crate::kv::{Compare, KeyRange, Op, OpReply, StoreError, Txn};

/// Each of the four targets of a compare holds exactly where it equals.
pub async fn every_compare_target_decides_the_branch(lab: &dyn Lab) {
    let store = &*lab.client();
    let created = put(store, "k", "one").await;
    let modified = put(store, "k", "two").await;
    let rows = [
        (Compare::mod_revision("k", modified), true),
        (Compare::mod_revision("k", created), false),
        (Compare::mod_revision("k", 0), false),
        (Compare::create_revision("k", created), true),
        (Compare::create_revision("k", modified), false),
        (Compare::create_revision("k", 0), false),
        (Compare::version("k", 2), true),
        (Compare::version("k", 1), false),
        (Compare::version("k", 0), false),
        (Compare::value("k", "two"), true),
        (Compare::value("k", "one"), false),
        (Compare::value("k", ""), false),
        (Compare::value("k", "two and more"), false),
    ];
    for (compare, expected) in rows {
        assert_eq!(holds(store, compare.clone()).await, expected, "{compare:?}");
    }
}

/// An absent key has revisions and version 0, and no value: not even the empty one.
pub async fn absent_key_compares_as_zero_and_equals_no_value(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "empty", "").await;
    put(store, "gone", "value").await;
    delete(store, "gone").await;
    for absent in ["never", "gone"] {
        let rows = [
            (Compare::mod_revision(absent, 0), true),
            (Compare::create_revision(absent, 0), true),
            (Compare::version(absent, 0), true),
            (Compare::mod_revision(absent, 1), false),
            (Compare::create_revision(absent, 1), false),
            (Compare::version(absent, 1), false),
            (Compare::value(absent, ""), false),
            (Compare::value(absent, "value"), false),
        ];
        for (compare, expected) in rows {
            assert_eq!(holds(store, compare.clone()).await, expected, "{compare:?}");
        }
    }
    assert!(holds(store, Compare::value("empty", "")).await);
}

/// All compares must hold.
pub async fn one_compare_that_fails_is_enough(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "a", "1").await;
    let guarded = |b_version| Txn {
        compares: vec![Compare::version("a", 1), Compare::version("b", b_version)],
        success: vec![Op::put("done", "yes", 0)],
        failure: vec![],
    };
    let reply = txn(store, guarded(7)).await;
    assert!(!reply.succeeded);
    assert_eq!(reply.replies, []);
    assert_eq!(key(store, "done").await, None);
    let reply = txn(store, guarded(0)).await;
    assert!(reply.succeeded);
    assert_eq!(reply.replies, [OpReply::Put]);
}

/// Where a compare fails, the other branch is done, and its replies come back.
pub async fn failing_branch_writes_and_answers(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = put(store, "holder", "a").await;
    let request = Txn {
        compares: vec![Compare::create_revision("holder", 0)],
        success: vec![Op::put("holder", "b", 0)],
        failure: vec![Op::put("loser", "b", 0), Op::read(KeyRange::key("holder")), Op::delete("nothing")],
    };
    let reply = txn(store, request).await;
    assert!(!reply.succeeded);
    assert_eq!(reply.revision, before + 1, "the branch that was done has written");
    let [OpReply::Put, OpReply::Range { kvs, more: false }, OpReply::Delete { deleted: 0 }] = reply.replies.as_slice()
    else {
        panic!("one reply for each operation, in order: {reply:?}");
    };
    assert_eq!(kvs[0].value, b"a");
    assert_eq!(reply.kvs().count(), 1);
    assert_eq!(key(store, "loser").await.map(|kv| kv.mod_revision), Some(before + 1));
}

/// All writes of a transaction carry its one revision.
pub async fn writes_of_one_transaction_share_one_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = put(store, "old", "x").await;
    let writes = vec![Op::put("a", "1", 0), Op::delete("old"), Op::put("b", "2", 0), Op::put("c", "3", 0)];
    let reply = apply(store, writes).await;
    assert_eq!(reply.revision, before + 1);
    let kvs = read(store, KeyRange::prefix("")).await;
    assert_eq!(kvs.len(), 3);
    for kv in kvs {
        assert_eq!((kv.create_revision, kv.mod_revision), (before + 1, before + 1), "{kv:?}");
    }
    assert_eq!(revision(store).await, before + 1);
}

/// A read sees what stands before it in its branch, and nothing that stands behind it.
pub async fn operations_of_a_branch_are_done_in_order(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "k/old", "x").await;
    let all = || Op::read(KeyRange::prefix("k/"));
    let reply = apply(store, vec![all(), Op::put("k/new", "y", 0), all(), Op::delete("k/old"), all()]).await;
    let seen: Vec<_> = reply
        .replies
        .iter()
        .filter_map(|reply| match reply {
            OpReply::Range { kvs, .. } => Some(super::names(kvs)),
            _ => None,
        })
        .collect();
    assert_eq!(seen[0], ["k/old"]);
    assert_eq!(seen[1], ["k/new", "k/old"]);
    assert_eq!(seen[2], ["k/new"]);
}

/// A key is written once in a branch, or the transaction is refused and nothing is written.
pub async fn key_written_twice_in_a_branch_is_refused(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = put(store, "k", "one").await;
    let twice = [
        vec![Op::put("k", "two", 0), Op::put("k", "three", 0)],
        vec![Op::put("k", "two", 0), Op::delete("k")],
        vec![Op::Delete(KeyRange::prefix("k")), Op::put("k", "two", 0)],
    ];
    for ops in twice {
        for in_success in [true, false] {
            let mut request = Txn::default();
            if in_success {
                request.success.clone_from(&ops);
            } else {
                request.failure.clone_from(&ops);
            }
            let error = refused(store, request).await;
            assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
        }
    }
    let kv = key(store, "k").await.expect("it is still there");
    assert_eq!((kv.mod_revision, kv.value), (before, b"one".to_vec()));
    assert_eq!(revision(store).await, before);
}

/// The rule is for one branch: only one of the two is done.
pub async fn key_may_be_written_in_either_branch(lab: &dyn Lab) {
    let store = &*lab.client();
    let request = Txn {
        compares: vec![Compare::version("k", 0)],
        success: vec![Op::put("k", "first", 0)],
        failure: vec![Op::put("k", "again", 0)],
    };
    assert!(txn(store, request.clone()).await.succeeded);
    assert!(!txn(store, request).await.succeeded);
    assert_eq!(key(store, "k").await.map(|kv| kv.value), Some(b"again".to_vec()));
}

/// One with compares alone could be answered from a stale member, so it is refused.
pub async fn transaction_without_operation_is_refused(lab: &dyn Lab) {
    let store = &*lab.client();
    let bare = Txn { compares: vec![Compare::version("k", 0)], ..Txn::default() };
    for request in [bare, Txn::default()] {
        let error = refused(store, request).await;
        assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    }
}

/// 128 compares, and as many operations in a branch, are the most that etcd takes unless it is told otherwise.
pub async fn more_than_128_of_a_kind_are_too_many(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = revision(store).await;
    let compares = |count| (0..count).map(|n| Compare::version(format!("k/{n}"), 0)).collect();
    let puts = |count| (0..count).map(|n| Op::put(format!("k/{n}"), "value", 0)).collect();
    for request in [
        Txn { compares: compares(129), success: puts(1), failure: vec![] },
        Txn { success: puts(129), ..Txn::default() },
        Txn { success: puts(1), failure: puts(129), ..Txn::default() },
    ] {
        let error = refused(store, request).await;
        assert!(matches!(error, StoreError::TooLarge(_)), "{error:?}");
    }
    assert_eq!(revision(store).await, before);
    let most = Txn { compares: compares(128), success: puts(128), failure: puts(128) };
    assert_eq!(txn(store, most).await.replies.len(), 128);
}

/// No key is empty.
pub async fn empty_key_is_refused(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = revision(store).await;
    let request = Txn { success: vec![Op::put("", "value", 0)], ..Txn::default() };
    let error = refused(store, request).await;
    assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    assert_eq!(revision(store).await, before);
}

/// A delete says how many keys it took; of a range it takes all.
pub async fn deleted_keys_are_counted(lab: &dyn Lab) {
    let store = &*lab.client();
    for name in ["d/a", "d/b", "d/c", "e"] {
        put(store, name, "x").await;
    }
    let deletes = vec![
        Op::delete("d/a"),
        Op::Delete(KeyRange::prefix("d/")),
        Op::delete("d/a"),
        Op::Delete(KeyRange::range("d/", "d/zz")),
    ];
    let reply = apply(store, deletes).await;
    let expected = [1, 2, 0, 0].map(|deleted| OpReply::Delete { deleted });
    assert_eq!(reply.replies, expected);
    assert_eq!(super::names(&read(store, KeyRange::prefix("")).await), ["e"]);
}

/// A further write changes `mod_revision` and `version`, not `create_revision`.
pub async fn rewritten_key_keeps_its_creation_and_counts_versions(lab: &dyn Lab) {
    let store = &*lab.client();
    let created = put(store, "k", "same").await;
    for version in 2..=4 {
        let modified = put(store, "k", "same").await;
        let kv = key(store, "k").await.expect("it is there");
        assert_eq!(kv.create_revision, created);
        assert_eq!(kv.mod_revision, modified);
        assert_eq!(kv.version, version);
    }
}

/// After a deletion a key has a new creation, and version 1.
pub async fn deleted_key_begins_anew(lab: &dyn Lab) {
    let store = &*lab.client();
    put(store, "k", "one").await;
    put(store, "k", "two").await;
    let deleted = delete(store, "k").await;
    let created = put(store, "k", "three").await;
    assert_eq!(created, deleted + 1);
    let kv = key(store, "k").await.expect("it is there");
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (created, created, 1));
}

/// A write makes one revision, whatever it writes: the same value again, a deletion, or many keys.
pub async fn each_writing_transaction_adds_one_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let mut last = revision(store).await;
    let writes = [
        vec![Op::put("a", "1", 0)],
        vec![Op::put("a", "1", 0)],
        vec![Op::put("b", "1", 0), Op::put("c", "1", 0)],
        vec![Op::delete("a")],
        vec![Op::Delete(KeyRange::prefix(""))],
    ];
    for ops in writes {
        let reply = apply(store, ops.clone()).await;
        assert_eq!(reply.revision, last + 1, "{ops:?}");
        last = reply.revision;
    }
    assert_eq!(revision(store).await, last);
}

/// What changes nothing has the revision of the store in its reply, and adds none.
pub async fn reads_and_vain_deletes_add_no_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let last = put(store, "a", "1").await;
    let vain = [
        vec![Op::read(KeyRange::key("a"))],
        vec![Op::delete("no such key")],
        vec![Op::Delete(KeyRange::prefix("no such"))],
    ];
    for ops in vain {
        assert_eq!(apply(store, ops.clone()).await.revision, last, "{ops:?}");
    }
    let failing =
        Txn { compares: vec![Compare::version("a", 7)], success: vec![Op::put("a", "2", 0)], failure: vec![] };
    assert_eq!(txn(store, failing).await.revision, last);
    assert_eq!(revision(store).await, last);
}
