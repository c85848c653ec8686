//! Members that are dead, deaf, frozen or alone, and replies that are lost or late.

use std::net::TcpListener;
use std::time::Duration;

use coordha::kv::{LeaseId, StoreError, WatchItem};
use coordha::store::Store;
use coordha::store::etcd::EtcdStore;

use crate::support::etcd::{Etcd, Version};
use crate::support::ports::Port;
use crate::support::proxy::Proxy;
use crate::support::wait::{until, until_async};
use crate::{LIMIT, SHORT, changes, get, hangs_never, next, put, store, try_put, watch};

#[tokio::test]
async fn dead_endpoint_is_passed_over_in_the_same_call() {
    let etcd = Etcd::start();
    let dead = Port::take();
    let store = store(vec![dead.address(), etcd.endpoint(0)]);
    put(&store, "k").await;
    assert_eq!(store.health().endpoint, etcd.endpoint(0));
}

#[tokio::test]
async fn unreachable_cluster_is_an_error_that_names_the_endpoint() {
    let (one, two) = (Port::take(), Port::take());
    let store = store(vec![one.address(), two.address()]);
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    let StoreError::Unavailable(why) = &error else {
        panic!("{error:?}");
    };
    assert!(why.contains(&one.address()) && why.contains(&two.address()), "{why}");
    let error = hangs_never(store.watch(vec![coordha::kv::KeyRange::key("k")], 1, LIMIT)).await;
    assert!(matches!(error, Err(StoreError::Unavailable(_))), "{error:?}");
}

#[tokio::test]
async fn endpoint_that_never_answers_costs_one_limit_and_is_left() {
    let etcd = Etcd::start();
    // It takes connections, and nobody reads them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = deaf.local_addr().unwrap().to_string();
    let requests = 4;
    for request in 0..requests {
        let deaf = TcpListener::bind("127.0.0.1:0").map(|listener| (listener.local_addr(), listener));
        let (address, _listener) = deaf.unwrap();
        let store = store(vec![address.unwrap().to_string(), etcd.endpoint(0)]);
        let ranges = vec![coordha::kv::KeyRange::key("k")];
        let failed = match request {
            0 => hangs_never(store.grant(LIMIT, SHORT)).await.map(|_| ()),
            1 => hangs_never(store.keepalive(1, SHORT)).await.map(|_| ()),
            2 => try_put(&store, "k", SHORT).await.map(|_| ()),
            _ => hangs_never(store.watch(ranges, 1, SHORT)).await.map(|_| ()),
        };
        assert!(matches!(failed, Err(StoreError::Unknown(_))), "{request}: {failed:?}");
        put(&store, "k").await;
        assert_eq!(store.health().endpoint, etcd.endpoint(0));
    }
    assert_ne!(deaf, etcd.endpoint(0));
}

#[tokio::test]
async fn caller_in_a_hurry_moves_nobody_to_another_endpoint() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let store = store(vec![proxy.address(), etcd.endpoint(0)]);
    put(&store, "k").await;
    proxy.hold_requests();
    for _ in 0..3 {
        let hurried = try_put(&store, "k", Duration::from_millis(49)).await;
        assert!(matches!(hurried, Err(StoreError::Unknown(_))), "{hurried:?}");
        assert_eq!(store.health().endpoint, proxy.address());
    }
    let patient = try_put(&store, "k", SHORT).await;
    assert!(matches!(patient, Err(StoreError::Unknown(_))), "{patient:?}");
    assert_eq!(store.health().endpoint, etcd.endpoint(0));
}

#[tokio::test]
async fn server_that_is_no_etcd_gets_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        }
    });
    let store = store(vec![address]);
    for _ in 0..3 {
        let error = try_put(&store, "k", LIMIT).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_) | StoreError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn lost_reply_leaves_the_outcome_open_and_nothing_is_repeated() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let (through, beside) = (store(vec![proxy.address()]), store(etcd.endpoints()));
    put(&through, "other").await;
    proxy.drop_replies();
    let error = try_put(&through, "k", SHORT).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    let written = until_async("the request arrives", async || get(&beside, "k").await).await;
    proxy.forward();
    // The connection, which has lost bytes, is reset; that may hit this write, too.
    until_async("the connection is made anew", async || try_put(&through, "other", LIMIT).await.ok()).await;
    assert_eq!(get(&beside, "k").await, Some(written), "once");
}

#[tokio::test]
async fn late_answer_to_a_keepalive_is_not_taken_for_that_of_the_next() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let (through, beside) = (store(vec![proxy.address()]), store(etcd.endpoints()));
    let lease = through.grant(LIMIT, LIMIT).await.unwrap().lease;
    assert_ne!(through.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
    proxy.hold_replies();
    for _ in 0..3 {
        let error = hangs_never(through.keepalive(lease, SHORT)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    }
    beside.revoke(lease, LIMIT).await.unwrap();
    proxy.forward();
    assert_eq!(through.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
}

#[tokio::test]
async fn watch_says_that_its_connection_broke_and_the_next_one_misses_nothing() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let (through, beside) = (store(vec![proxy.address()]), store(etcd.endpoints()));
    let first = put(&beside, "k").await;
    let mut before = watch(&through, "k", first).await;
    assert_eq!(next(&mut before).await, WatchItem::Started);
    assert_eq!(changes(&mut before).await, [first]);
    proxy.cut();
    let item = next(&mut before).await;
    assert!(matches!(item, WatchItem::Failed(_)), "{item:?}");
    assert_eq!(hangs_never(before.recv()).await, None);
    let missed = put(&beside, "k").await;
    proxy.forward();
    let mut after = watch(&through, "k", first + 1).await;
    assert_eq!(next(&mut after).await, WatchItem::Started);
    assert_eq!(changes(&mut after).await, [missed]);
}

#[tokio::test]
async fn half_open_connection_is_found_by_pings() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let store = store(vec![proxy.address()]);
    let mut watch = watch(&store, "k", 1).await;
    assert_eq!(next(&mut watch).await, WatchItem::Started);
    proxy.black_hole();
    let item = next(&mut watch).await;
    assert!(matches!(item, WatchItem::Failed(_)), "{item:?}");
    proxy.forward();
    put(&store, "k").await;
}

#[tokio::test]
async fn killed_member_is_left_for_another() {
    let mut etcd = Etcd::builder().members(3).start();
    let store = store(etcd.endpoints());
    let revision = put(&store, "k").await;
    let used = etcd.endpoints().iter().position(|e| *e == store.health().endpoint).unwrap();
    let mut before = watch(&store, "k", revision + 1).await;
    assert_eq!(next(&mut before).await, WatchItem::Started);
    etcd.kill(used);
    assert!(matches!(next(&mut before).await, WatchItem::Failed(_)));
    let written = until_async("another member takes the write", async || try_put(&store, "k", LIMIT).await.ok());
    let written = written.await;
    let mut after = watch(&store, "k", revision + 1).await;
    assert_eq!(next(&mut after).await, WatchItem::Started);
    // Attempts whose outcome was open may have been done too.
    while !changes(&mut after).await.contains(&written.revision) {}
    assert_ne!(store.health().endpoint, etcd.endpoint(used));
}

/// A lease of three members, whose leader may be elected anew on a busy machine.
async fn leased(store: &EtcdStore) -> LeaseId {
    until_async("a lease", async || hangs_never(store.grant(LIMIT, LIMIT)).await.ok()).await.lease
}

#[tokio::test]
async fn frozen_leader_is_left_for_another() {
    let etcd = Etcd::builder().members(3).start();
    let leader = etcd.leader();
    let mut endpoints = etcd.endpoints();
    endpoints.rotate_left(leader);
    let store = store(endpoints);
    let lease = leased(&store).await;
    assert_eq!(store.health().endpoint, etcd.endpoint(leader));
    etcd.pause(leader);
    let failed = hangs_never(store.keepalive(lease, SHORT)).await;
    assert!(matches!(failed, Err(StoreError::Unknown(_))), "{failed:?}");
    assert_ne!(store.health().endpoint, etcd.endpoint(leader), "the next request goes elsewhere");
    until_async("the new leader takes the write", async || try_put(&store, "k", SHORT).await.ok()).await;
    until_async("the new leader keeps the lease", async || hangs_never(store.keepalive(lease, SHORT)).await.ok()).await;
    etcd.resume(leader);
}

/// A follower holds what it cannot pass on to a frozen leader, while it answers pings.
#[tokio::test]
async fn follower_of_a_frozen_leader_cannot_exceed_the_limit() {
    let etcd = Etcd::builder().members(3).start();
    let leader = etcd.leader();
    let followers = (0..3).filter(|member| *member != leader);
    let store = store(followers.map(|member| etcd.endpoint(member)).collect());
    let lease = leased(&store).await;
    etcd.pause(leader);
    // Whatever comes of each of these, it comes.
    let _ = hangs_never(store.keepalive(lease, SHORT)).await;
    let _ = try_put(&store, "k", SHORT).await;
    until_async("the new leader takes the write", async || try_put(&store, "k", SHORT).await.ok()).await;
    until_async("the new leader keeps the lease", async || hangs_never(store.keepalive(lease, SHORT)).await.ok()).await;
    etcd.resume(leader);
}

#[tokio::test]
async fn member_without_a_quorum_says_so() {
    let etcd = Etcd::builder().members(3).start();
    let store = store(vec![etcd.endpoint(0)]);
    let revision = put(&store, "k").await;
    let mut watch = watch(&store, "k", revision + 1).await;
    assert_eq!(next(&mut watch).await, WatchItem::Started);
    etcd.pause(1);
    etcd.pause(2);
    let item = next(&mut watch).await;
    assert!(matches!(item, WatchItem::Failed(StoreError::Unavailable(_))), "{item:?}");
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    etcd.resume(1);
    etcd.resume(2);
    until_async("the quorum takes the write", async || try_put(&store, "k", LIMIT).await.ok()).await;
}

#[tokio::test]
async fn all_requests_and_watches_share_one_connection() {
    let etcd = Etcd::start();
    let proxy = Proxy::start(etcd.endpoint(0));
    let store = store(vec![proxy.address()]);
    let mut watches = Vec::new();
    for _ in 0..20 {
        let revision = put(&store, "k").await;
        let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
        store.keepalive(lease, LIMIT).await.unwrap();
        watches.push(watch(&store, "k", revision).await);
    }
    for watch in &mut watches {
        assert_eq!(next(watch).await, WatchItem::Started);
    }
    assert_eq!(proxy.accepted(), 1);
}

const WATCHERS: &str = "etcd_debugging_mvcc_watcher_total";

#[tokio::test]
async fn dropped_watch_is_ended_at_the_server() {
    let etcd = Etcd::start();
    let store = store(etcd.endpoints());
    let mut kept = watch(&store, "k", 1).await;
    let mut dropped = watch(&store, "k", 1).await;
    assert_eq!(next(&mut kept).await, WatchItem::Started);
    assert_eq!(next(&mut dropped).await, WatchItem::Started);
    until_async("both are counted", async || (etcd.metric(0, WATCHERS) == Some(2.0)).then_some(())).await;
    drop(dropped);
    until_async("one watch is left", async || (etcd.metric(0, WATCHERS) == Some(1.0)).then_some(())).await;
    let revision = put(&store, "k").await;
    assert_eq!(changes(&mut kept).await, [revision]);
}

#[tokio::test]
async fn dropped_store_leaves_nothing_behind() {
    let etcd = Etcd::start();
    let store = store(etcd.endpoints());
    let mut watch = watch(&store, "k", 1).await;
    assert_eq!(next(&mut watch).await, WatchItem::Started);
    drop(store);
    assert_eq!(hangs_never(watch.recv()).await, None);
    until_async("no watch is left", async || (etcd.metric(0, WATCHERS) == Some(0.0)).then_some(())).await;
}

#[tokio::test]
async fn version_of_the_server_is_learnt() {
    let etcd = Etcd::builder().version(Version::V3_4).start();
    let store = store(etcd.endpoints());
    assert_eq!(store.health().version, None);
    put(&store, "k").await;
    let version = until_async("the version is known", async || store.health().version).await;
    assert!(version.starts_with("3.4."), "{version}");
}

#[test]
fn paused_member_is_no_leader_for_long() {
    let etcd = Etcd::builder().members(3).start();
    let leader = etcd.leader();
    etcd.pause(leader);
    let next = etcd.leader_other_than(leader);
    etcd.resume(leader);
    until("one leader", || (etcd.leaders() == [next]).then_some(()));
}
