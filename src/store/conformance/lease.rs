//! Leases and the keys that go with them.

use std::time::Duration;

use super::{LIMIT, Lab, Store, Watched, apply, changes, grant, key, put, put_leased, read, refused, revision};
use crate::kv::{KeyRange, LeaseId, Op, StoreError, Txn, WatchEvent, WatchItem};

/// A time to live that a slow machine does not overrun while the lease is in use.
fn ttl(lab: &dyn Lab) -> Duration {
    lab.min_ttl().max(Duration::from_secs(6))
}

/// One that is never granted.
const NO_LEASE: LeaseId = 0x7ead_beef;

async fn keepalive(store: &dyn Store, lease: LeaseId) -> u64 {
    let reply = store.keepalive(lease, LIMIT).await.expect("the keepalive is answered");
    assert_eq!(reply.lease, lease);
    reply.ttl_ms
}

/// A lease lives at least as long as was asked, and the reply says how long.
pub async fn granted_time_is_at_least_what_was_asked(lab: &dyn Lab) {
    let store = &*lab.client();
    let min_ms = lab.min_ttl().as_millis() as u64;
    for asked_ms in [1, 999, 1_000, 1_500, 7_001, 60_000] {
        let reply = store.grant(Duration::from_millis(asked_ms), LIMIT).await.expect("the lease is granted");
        assert!(reply.ttl_ms >= asked_ms, "{asked_ms} ms asked, {reply:?}");
        assert!(reply.ttl_ms >= min_ms, "smaller than the smallest: {reply:?}");
    }
}

/// No two leases are the same, whoever asks.
pub async fn leases_differ(lab: &dyn Lab) {
    let (a, b) = (lab.client(), lab.client());
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(grant(&*a, ttl(lab)).await);
        leases.push(grant(&*b, ttl(lab)).await);
    }
    leases.sort_unstable();
    leases.dedup();
    assert_eq!(leases.len(), 10);
}

/// Grants, keepalives, and the end of a lease without keys change no key.
pub async fn leases_add_no_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = put(store, "k", "x").await;
    let lease = grant(store, ttl(lab)).await;
    assert_ne!(keepalive(store, lease).await, 0);
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");
    assert_eq!(revision(store).await, before);
}

/// A keepalive prolongs: the kept lease is there when the other one has ended by itself. Unkept, it ends too.
pub async fn kept_lease_outlives_an_unkept_one(lab: &dyn Lab) {
    let store = &*lab.client();
    let kept = grant(store, ttl(lab)).await;
    let unkept = grant(store, ttl(lab)).await;
    let from = put_leased(store, "kept", "x", kept).await + 1;
    put_leased(store, "unkept", "x", unkept).await;
    let mut watch = Watched::prefix(lab, store, "", from + 1).await;

    let ended = loop {
        assert_ne!(keepalive(store, kept).await, 0, "it is kept");
        if let Ok(item) = watch.stream.try_recv() {
            break item;
        }
        lab.pass(ttl(lab) / 20).await;
    };
    let WatchItem::Events(events) = ended else {
        panic!("events were due, not {ended:?}");
    };
    assert!(matches!(&events[..], [WatchEvent::Delete { key, .. }] if key == b"unkept"), "{events:?}");
    assert!(key(store, "kept").await.is_some());

    let events = watch.events().await;
    assert!(matches!(&events[..], [WatchEvent::Delete { key, .. }] if key == b"kept"), "{events:?}");
    assert_eq!(keepalive(store, kept).await, 0, "it has ended");
}

/// A lease that nobody keeps ends by itself, also where its client is gone, and takes all its keys in one revision.
pub async fn unkept_lease_ends_with_all_its_keys(lab: &dyn Lab) {
    let (a, b) = (lab.client(), lab.client());
    let lease = grant(&*a, ttl(lab)).await;
    let last =
        apply(&*a, vec![Op::put("m/1", "x", lease), Op::put("m/2", "x", lease), Op::put("n", "x", 0)]).await.revision;
    drop(a);
    let mut watch = Watched::prefix(lab, &*b, "", last + 1).await;
    let events = watch.events().await;
    let mut seen = changes(&events);
    seen.sort();
    assert_eq!(seen, [("m/1".into(), last + 1), ("m/2".into(), last + 1)]);
    assert_eq!(super::names(&read(&*b, KeyRange::prefix("")).await), ["n"]);
    assert_eq!(keepalive(&*b, lease).await, 0);
}

/// A keepalive is for the full time that was granted.
pub async fn keepalive_answers_the_granted_time(lab: &dyn Lab) {
    let store = &*lab.client();
    let granted = store.grant(ttl(lab), LIMIT).await.expect("the lease is granted");
    for _ in 0..3 {
        assert_eq!(keepalive(store, granted.lease).await, granted.ttl_ms);
    }
}

/// That a lease is gone is an answer, not an error.
pub async fn keepalive_of_a_lease_that_is_gone_answers_zero(lab: &dyn Lab) {
    let store = &*lab.client();
    assert_eq!(keepalive(store, NO_LEASE).await, 0);
    let lease = grant(store, ttl(lab)).await;
    assert_ne!(keepalive(store, lease).await, 0);
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");
    assert_eq!(keepalive(store, lease).await, 0);
}

/// A revoke takes the keys of its lease, all in one revision, and no others.
pub async fn revoke_deletes_all_keys_in_one_revision(lab: &dyn Lab) {
    let store = &*lab.client();
    let (lease, other) = (grant(store, ttl(lab)).await, grant(store, ttl(lab)).await);
    put_leased(store, "k/1", "x", lease).await;
    put_leased(store, "k/2", "x", other).await;
    put_leased(store, "k/3", "x", lease).await;
    let last = put(store, "k/4", "x").await;
    let mut watch = Watched::prefix(lab, store, "k/", last + 1).await;
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");
    assert_eq!(super::names(&read(store, KeyRange::prefix("k/")).await), ["k/2", "k/4"]);
    assert_eq!(revision(store).await, last + 1);
    let mut seen = changes(&watch.events().await);
    seen.sort();
    assert_eq!(seen, [("k/1".into(), last + 1), ("k/3".into(), last + 1)]);
}

/// To revoke what is gone is fine.
pub async fn revoke_of_a_lease_that_is_gone_is_no_error(lab: &dyn Lab) {
    let store = &*lab.client();
    let lease = grant(store, ttl(lab)).await;
    for lease in [lease, lease, NO_LEASE] {
        assert_eq!(store.revoke(lease, LIMIT).await, Ok(()));
    }
}

/// A put with a lease that does not exist fails the transaction, and none of it is done.
pub async fn unknown_lease_fails_the_whole_transaction(lab: &dyn Lab) {
    let store = &*lab.client();
    let before = put(store, "old", "x").await;
    let request = Txn {
        success: vec![Op::put("first", "x", 0), Op::put("leased", "x", NO_LEASE), Op::delete("old")],
        ..Txn::default()
    };
    assert_eq!(refused(store, request).await, StoreError::LeaseNotFound);
    assert_eq!(super::names(&read(store, KeyRange::prefix("")).await), ["old"]);
    assert_eq!(revision(store).await, before);
}

/// So does one with a lease that has ended.
pub async fn revoked_lease_takes_no_key(lab: &dyn Lab) {
    let store = &*lab.client();
    let lease = grant(store, ttl(lab)).await;
    put_leased(store, "k", "x", lease).await;
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");
    let request = Txn { success: vec![Op::put("k", "y", lease)], ..Txn::default() };
    assert_eq!(refused(store, request).await, StoreError::LeaseNotFound);
    assert_eq!(key(store, "k").await, None);
}

/// A put without a lease takes the key off the one it had.
pub async fn put_without_lease_frees_the_key(lab: &dyn Lab) {
    let store = &*lab.client();
    let lease = grant(store, ttl(lab)).await;
    put_leased(store, "k", "x", lease).await;
    assert_eq!(key(store, "k").await.map(|kv| kv.lease), Some(lease));
    put(store, "k", "y").await;
    assert_eq!(key(store, "k").await.map(|kv| kv.lease), Some(0));
    store.revoke(lease, LIMIT).await.expect("the lease is revoked");
    assert!(key(store, "k").await.is_some());
}

/// A put with another lease moves the key to it.
pub async fn put_with_another_lease_moves_the_key(lab: &dyn Lab) {
    let store = &*lab.client();
    let (first, second) = (grant(store, ttl(lab)).await, grant(store, ttl(lab)).await);
    put_leased(store, "k", "x", first).await;
    put_leased(store, "k", "y", second).await;
    store.revoke(first, LIMIT).await.expect("the lease is revoked");
    assert_eq!(key(store, "k").await.map(|kv| kv.lease), Some(second));
    store.revoke(second, LIMIT).await.expect("the lease is revoked");
    assert_eq!(key(store, "k").await, None);
}
