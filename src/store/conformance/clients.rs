//! Several clients of one store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{LIMIT, Lab, Store, apply, delete, grant, key, put, put_leased, revision, txn};
use crate::kv::{Compare, KeyRange, Op, Txn};

/// What one client was answered, every other one reads from then on, as key, as revision and in its compares.
pub async fn answered_write_is_read_by_another_client(lab: &dyn Lab) {
    let (a, b) = (lab.client(), lab.client());
    for n in 0..20 {
        let value = n.to_string();
        let written = put(&*a, "k", &value).await;
        let kv = key(&*b, "k").await.expect("it was answered, so it is there");
        assert_eq!((kv.mod_revision, kv.value), (written, value.into_bytes()));
        let guarded = Txn {
            compares: vec![Compare::mod_revision("k", written)],
            success: vec![Op::delete("k")],
            failure: vec![],
        };
        assert!(txn(&*b, guarded).await.succeeded);
        assert_eq!(key(&*a, "k").await, None);
        assert_eq!(revision(&*a).await, written + 1);
    }
}

async fn increment(store: Arc<dyn Store>, times: u64) {
    let mut done = 0;
    while done < times {
        let seen = key(&*store, "counter").await.expect("the counter is there");
        let number: u64 = String::from_utf8_lossy(&seen.value).parse().expect("a number");
        let swap = Txn {
            compares: vec![Compare::mod_revision("counter", seen.mod_revision)],
            success: vec![Op::put("counter", (number + 1).to_string(), 0)],
            failure: vec![],
        };
        done += u64::from(txn(&*store, swap).await.succeeded);
    }
}

/// Compare-and-swap loses no increment, however many race.
pub async fn racing_increments_are_all_counted(lab: &dyn Lab) {
    const TIMES: u64 = 25;
    let store = lab.client();
    let first = put(&*store, "counter", "0").await;
    let mut racers = JoinSet::new();
    // Two of them share one client.
    for client in [store.clone(), store.clone(), lab.client(), lab.client()] {
        racers.spawn(increment(client, TIMES));
    }
    racers.join_all().await;
    let counter = key(&*store, "counter").await.expect("the counter is there");
    assert_eq!(counter.value, (4 * TIMES).to_string().into_bytes());
    assert_eq!(counter.mod_revision, first + 4 * TIMES as i64, "one revision each");
}

/// Of many that create a key where it is absent, one succeeds, and the others are shown its key.
pub async fn one_of_many_creates_a_key(lab: &dyn Lab) {
    let clients: Vec<_> = (0..4).map(|_| lab.client()).collect();
    for _ in 0..10 {
        let mut racers = JoinSet::new();
        for (n, client) in clients.iter().cloned().enumerate() {
            racers.spawn(async move {
                let create = Txn {
                    compares: vec![Compare::create_revision("k", 0)],
                    success: vec![Op::put("k", n.to_string(), 0)],
                    failure: vec![Op::read(KeyRange::key("k"))],
                };
                (n, txn(&*client, create).await)
            });
        }
        let replies = racers.join_all().await;
        let (winner, won) = replies.iter().find(|(_, reply)| reply.succeeded).expect("one succeeds");
        for (n, reply) in &replies {
            if n != winner {
                assert!(!reply.succeeded, "two have created it");
                let shown: Vec<_> = reply.kvs().collect();
                assert_eq!(shown[0].value, winner.to_string().into_bytes());
                assert_eq!(shown[0].create_revision, won.revision);
            }
        }
        delete(&*clients[0], "k").await;
    }
}

/// A lease belongs to the store, not to the client that was granted it.
pub async fn lease_of_one_client_is_known_to_another(lab: &dyn Lab) {
    let (a, b) = (lab.client(), lab.client());
    let lease = grant(&*a, lab.min_ttl().max(Duration::from_secs(20))).await;
    put_leased(&*b, "k", "x", lease).await;
    let kept = b.keepalive(lease, LIMIT).await.expect("the keepalive is answered");
    assert_ne!(kept.ttl_ms, 0);
    b.revoke(lease, LIMIT).await.expect("the lease is revoked");
    assert_eq!(key(&*a, "k").await, None);
    assert_eq!(a.keepalive(lease, LIMIT).await.map(|reply| reply.ttl_ms), Ok(0));
}

/// Where requests are answered, the health names what answered.
pub async fn health_names_an_endpoint(lab: &dyn Lab) {
    let store = lab.client();
    apply(&*store, vec![Op::put("k", "x", 0)]).await;
    assert_ne!(store.health().endpoint, "");
}
