//! Users, passwords, and tokens that die.

use std::sync::Arc;
use std::time::Duration;

use coordha::kv::{KeyRange, Op, StoreError, Txn, WatchItem};
use coordha::store::Store;
use coordha::store::etcd::{Credentials, EtcdOptions, EtcdStore};
use tokio::task::JoinSet;

use crate::support::etcd::{Etcd, Version};
use crate::support::wait::until_async;
use crate::{LIMIT, changes, get, hangs_never, next, put, try_put, watch};

const VERSIONS: [Version; 3] = [Version::V3_4, Version::V3_6, Version::V3_7];

fn store(etcd: &Etcd, user: &str, password: &str) -> EtcdStore {
    let mut options = EtcdOptions::new(etcd.endpoints());
    options.credentials = Some(Credentials { user: user.into(), password: password.into() });
    EtcdStore::new(&options).unwrap()
}

/// How often this etcd has refused a token so far.
fn dead_tokens(etcd: &Etcd) -> usize {
    etcd.log(0).matches("invalid auth token").count()
}

#[tokio::test]
async fn user_with_the_right_password_is_let_in() {
    for version in VERSIONS {
        let etcd = Etcd::builder().version(version).root_password("secret").start();
        let store = store(&etcd, "root", "secret");
        let revision = put(&store, "k").await;
        let mut watch = watch(&store, "k", revision).await;
        assert_eq!(next(&mut watch).await, WatchItem::Started);
        assert_eq!(changes(&mut watch).await, [revision]);
        let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
        assert_ne!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
        assert_eq!(store.revoke(lease, LIMIT).await, Ok(()));
    }
}

#[tokio::test]
async fn wrong_password_and_no_user_are_refused() {
    for version in VERSIONS {
        let etcd = Etcd::builder().version(version).root_password("secret").start();
        for store in [store(&etcd, "root", "wrong"), store(&etcd, "nobody", "secret"), crate::store(etcd.endpoints())] {
            let error = try_put(&store, "k", LIMIT).await.unwrap_err();
            assert!(matches!(error, StoreError::Auth(_)), "{error:?}");
        }
    }
}

#[tokio::test]
async fn user_may_do_what_its_role_allows_and_no_more() {
    for version in VERSIONS {
        let etcd = Etcd::builder().version(version).root_password("secret").start();
        etcd.ctl(&["role", "add", "own"]);
        etcd.ctl(&["role", "grant-permission", "own", "readwrite", "own/", "--prefix"]);
        etcd.ctl(&["user", "add", "alice:pw"]);
        etcd.ctl(&["user", "grant-role", "alice", "own"]);
        let store = store(&etcd, "alice", "pw");
        let revision = put(&store, "own/k").await;
        let error = try_put(&store, "other", LIMIT).await.unwrap_err();
        assert!(matches!(error, StoreError::Permission(_)), "{error:?}");
        let mut own = watch(&store, "own/", revision).await;
        let mut other = watch(&store, "other", revision).await;
        assert_eq!(next(&mut own).await, WatchItem::Started);
        let item = next(&mut other).await;
        assert!(matches!(item, WatchItem::Failed(StoreError::Permission(_))), "{item:?}");
        assert_eq!(hangs_never(other.recv()).await, None);
        assert_eq!(changes(&mut own).await, [revision]);
        // The refusal has cost nobody else anything.
        let live = put(&store, "own/k").await;
        assert_eq!(changes(&mut own).await, [live]);
    }
}

/// Meanwhile the stores notice, as a rule, that their connections broke.
async fn restarted(mut etcd: Etcd) -> Etcd {
    let restart = move || {
        etcd.kill(0);
        etcd.restart(0);
        etcd.wait_healthy(0);
        etcd
    };
    tokio::task::spawn_blocking(restart).await.unwrap()
}

/// The answer to a request that goes out on a new connection: the first may be what notices that the old one broke.
async fn reconnected<T>(mut request: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let ask = async || match hangs_never(request()).await {
        Ok(answer) => Some(answer),
        Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => None,
        Err(error) => panic!("{error:?}"),
    };
    until_async("a request on a new connection", ask).await
}

/// The tokens live in memory, so a restart kills them all, at once.
#[tokio::test]
async fn dead_token_is_replaced_for_every_kind_of_request() {
    for version in VERSIONS {
        let etcd = Etcd::builder().version(version).root_password("secret").start();
        let stores: Vec<_> = (0..5).map(|_| store(&etcd, "root", "secret")).collect();
        for store in &stores {
            put(store, "k").await;
        }
        let lease = stores[0].grant(LIMIT, LIMIT).await.unwrap().lease;
        let etcd = restarted(etcd).await;
        let before = dead_tokens(&etcd);
        let read = reconnected(async || stores[0].range(KeyRange::key("k"), 0, LIMIT).await).await;
        assert_eq!(read.kvs.len(), 1);
        reconnected(async || try_put(&stores[1], "k", LIMIT).await).await;
        assert_ne!(reconnected(async || stores[2].keepalive(lease, LIMIT).await).await.ttl_ms, 0);
        reconnected(async || stores[3].revoke(lease, LIMIT).await).await;
        // A watch says so by ending; the next one has a new token.
        let start = async || {
            let ranges = || vec![KeyRange::prefix("k")];
            let mut watch = reconnected(async || stores[4].watch(ranges(), 1, LIMIT).await).await;
            match next(&mut watch).await {
                WatchItem::Started => Some(()),
                WatchItem::Failed(StoreError::Auth(_) | StoreError::Permission(_)) => None,
                WatchItem::Failed(StoreError::Unavailable(_) | StoreError::Unknown(_)) => None,
                other => panic!("{other:?}"),
            }
        };
        until_async("a watch with a new token", start).await;
        assert!(dead_tokens(&etcd) > before, "{version:?} has refused a dead token");
    }
}

#[tokio::test]
async fn f35_token_that_expired_costs_no_lease() {
    for version in VERSIONS {
        let etcd = Etcd::builder().version(version).root_password("secret").token_ttl_s(1).start();
        let (idle, other) = (store(&etcd, "root", "secret"), store(&etcd, "root", "secret"));
        let lease = idle.grant(LIMIT, LIMIT).await.unwrap().lease;
        let leased = |lease| Txn { success: vec![Op::put("k", "x", lease)], ..Txn::default() };
        let revision = idle.txn(leased(lease), LIMIT).await.unwrap().revision;
        // While a lease of 4 s ends by itself, a token of 1 s that is not used dies.
        let mut ended = watch(&other, "k", revision + 2).await;
        assert_eq!(next(&mut ended).await, WatchItem::Started);
        let clock = other.grant(Duration::from_secs(4), LIMIT).await.unwrap().lease;
        let mut tick = leased(clock);
        tick.success = vec![Op::put("k/clock", "x", clock)];
        other.txn(tick, LIMIT).await.unwrap();
        assert_eq!(changes(&mut ended).await, [revision + 2]);

        let before = dead_tokens(&etcd);
        assert_ne!(idle.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
        assert_eq!(get(&idle, "k").await.map(|kv| kv.lease), Some(lease));
        assert!(dead_tokens(&etcd) > before, "{version:?} has refused a dead token");
    }
}

#[tokio::test]
async fn changed_password_is_an_error_and_the_old_one_works_again() {
    let etcd = Etcd::builder().root_password("secret").start();
    etcd.ctl(&["user", "add", "alice:pw"]);
    etcd.ctl(&["role", "add", "all"]);
    etcd.ctl(&["role", "grant-permission", "all", "readwrite", "", "--prefix"]);
    etcd.ctl(&["user", "grant-role", "alice", "all"]);
    let store = store(&etcd, "alice", "pw");
    put(&store, "k").await;
    etcd.ctl(&["user", "delete", "alice"]);
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Auth(_) | StoreError::Permission(_)), "{error:?}");
    etcd.ctl(&["user", "add", "alice:pw"]);
    etcd.ctl(&["user", "grant-role", "alice", "all"]);
    put(&store, "k").await;
}

#[tokio::test]
async fn user_is_kept_ready_where_etcd_asks_for_none_yet() {
    let etcd = Etcd::start();
    let store = store(&etcd, "root", "secret");
    put(&store, "k").await;
    etcd.ctl(&["user", "add", "root:secret"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["auth", "enable"]);
    put(&store, "k").await;
    let read = store.range(KeyRange::key("k"), 0, LIMIT).await.unwrap();
    assert_eq!(read.kvs[0].version, 2);
}

#[tokio::test]
async fn login_that_takes_longer_than_a_request_may_is_finished() {
    let etcd = Etcd::builder().argument("--bcrypt-cost=14").root_password("secret").start();
    let store = store(&etcd, "root", "secret");
    let limit = Duration::from_millis(50);
    let first = try_put(&store, "k", limit).await;
    assert!(matches!(first, Err(StoreError::Unknown(_))), "{first:?}");
    until_async("the login is done behind the requests", async || try_put(&store, "k", limit).await.ok()).await;
}

/// Passwords checked so far.
fn logins(etcd: &Etcd) -> f64 {
    let labels = r#"grpc_method="Authenticate",grpc_service="etcdserverpb.Auth",grpc_type="unary""#;
    let name = format!("grpc_server_started_total{{{labels}}}");
    etcd.metric(0, &name).unwrap_or(0.0)
}

#[tokio::test]
async fn many_requests_share_one_login() {
    const MANY: usize = 200;
    let etcd = Etcd::builder().root_password("secret").start();
    for password in ["secret", "wrong"] {
        let store = Arc::new(store(&etcd, "root", password));
        let before = logins(&etcd);
        let mut requests = JoinSet::new();
        for _ in 0..MANY {
            let store = store.clone();
            requests.spawn(async move { try_put(&store, "k", LIMIT).await.is_ok() });
        }
        let done = requests.join_all().await.into_iter().filter(|ok| *ok).count();
        assert_eq!(done, if password == "secret" { MANY } else { 0 });
        // Etcd is asked for that with a time limit, which a busy one exceeds.
        let logins = until_async("a login", async || Some(logins(&etcd) - before).filter(|logins| *logins > 0.0)).await;
        assert!((1.0..=10.0).contains(&logins), "{logins} logins");
    }
}
