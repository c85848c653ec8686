//! What is too much: for the disk, for a request, for a connection.

use std::sync::Arc;

use coordha::kv::{KeyRange, Op, StoreError, Txn, WatchItem};
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore, TlsOptions, TlsVersion};
use tokio::task::JoinSet;

use crate::support::certs::Authority;
use crate::support::etcd::{Etcd, Version};
use crate::{LIMIT, get, next, put, store};

fn big_put(key: &str, bytes: usize) -> Txn {
    Txn { success: vec![Op::put(key, vec![b'v'; bytes], 0)], ..Txn::default() }
}

/// Only where the alarm was on before a request was sent is it certain that nothing of it was done; a write that crosses
/// the limit may be done and refused in one.
#[tokio::test]
async fn full_store_says_so_and_recovers() {
    for version in [Version::V3_4, Version::V3_6, Version::V3_7] {
        let etcd = Etcd::builder().version(version).quota_bytes(4 << 20).start();
        let store = store(etcd.endpoints());
        let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
        put(&store, "small").await;
        let full = loop {
            match store.txn(big_put("big", 500_000), LIMIT).await {
                Ok(_) => {}
                Err(StoreError::Unknown(why)) => assert!(why.contains("space"), "{why}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StoreError::NoSpace(_)), "{full:?}");
        let before = get(&store, "big").await;
        let error = store.txn(big_put("big", 1), LIMIT).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "{error:?}");
        assert_eq!(get(&store, "big").await, before, "nothing was done");
        let error = store.grant(LIMIT, LIMIT).await.unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "{error:?}");

        assert_ne!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
        let delete = Txn { success: vec![Op::delete("big")], ..Txn::default() };
        let revision = store.txn(delete, LIMIT).await.unwrap().revision;
        etcd.ctl(&["compact", "--physical", &revision.to_string()]);
        etcd.ctl(&["defrag"]);
        etcd.ctl(&["alarm", "disarm"]);
        put(&store, "small").await;
    }
}

#[tokio::test]
async fn request_that_is_too_large_is_refused() {
    for version in [Version::V3_4, Version::V3_6, Version::V3_7] {
        let etcd = Etcd::builder().version(version).start();
        let store = store(etcd.endpoints());
        for bytes in [2_000_000, 20_000_000] {
            let error = store.txn(big_put("k", bytes), LIMIT).await.unwrap_err();
            assert!(matches!(error, StoreError::TooLarge(_)), "{bytes}: {error:?}");
        }
        let many = Txn { success: (0..129).map(|n| Op::put(n.to_string(), "x", 0)).collect(), ..Txn::default() };
        let error = store.txn(many, LIMIT).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge(_)), "{error:?}");
        put(&store, "k").await;
    }
}

/// With TLS, etcd before 3.4.28 and 3.5.10 takes 250 streams of a connection, whatever it was told.
#[tokio::test]
async fn thousand_sessions_fit_into_the_streams_of_one_connection() {
    let authority = Authority::new();
    let etcd = Etcd::builder().tls(&authority).start();
    let mut options = EtcdOptions::new(etcd.endpoints());
    options.tls = Some(TlsOptions {
        ca: authority.cert.clone(),
        cert: None,
        key: None,
        server_name: None,
        min_version: TlsVersion::V1_2,
    });
    let store = Arc::new(EtcdStore::new(&options).unwrap());
    let mut sessions = JoinSet::new();
    for n in 0..1_000 {
        let store = store.clone();
        sessions.spawn(async move {
            let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
            let ranges = vec![KeyRange::key("shared"), KeyRange::key(format!("own/{n}"))];
            let mut watch = store.watch(ranges, 1, LIMIT).await.unwrap();
            assert_eq!(next(&mut watch).await, WatchItem::Started);
            assert_ne!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
            watch
        });
    }
    let mut watches = sessions.join_all().await;
    let revision = put(&store, "shared").await;
    for watch in &mut watches {
        assert_eq!(crate::changes(watch).await, [revision]);
    }
}
