//! TLS and client certificates.

use std::net::TcpListener;
use std::time::Duration;

use coordha::kv::StoreError;
use coordha::store::Store;
use coordha::store::etcd::{EtcdOptions, EtcdStore, TlsOptions, TlsVersion};

use crate::support::certs::{Authority, Pair};
use crate::support::etcd::{Etcd, Version};
use crate::{LIMIT, changes, get, next, put, try_put, watch};

fn options(etcd: &Etcd, authority: &Authority, client: Option<&Pair>) -> EtcdOptions {
    let mut options = EtcdOptions::new(etcd.endpoints());
    options.tls = Some(TlsOptions {
        ca: authority.cert.clone(),
        cert: client.map(|pair| pair.cert.clone()),
        key: client.map(|pair| pair.key.clone()),
        server_name: None,
        min_version: TlsVersion::V1_2,
    });
    options
}

fn tls(options: &mut EtcdOptions) -> &mut TlsOptions {
    options.tls.as_mut().unwrap()
}

async fn works(options: &EtcdOptions) {
    let store = EtcdStore::new(options).unwrap();
    let revision = put(&store, "k").await;
    let mut watch = watch(&store, "k", revision).await;
    next(&mut watch).await;
    assert_eq!(changes(&mut watch).await, [revision]);
    let lease = store.grant(LIMIT, LIMIT).await.unwrap().lease;
    assert_ne!(store.keepalive(lease, LIMIT).await.unwrap().ttl_ms, 0);
}

async fn fails(options: &EtcdOptions) {
    let store = EtcdStore::new(options).unwrap();
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Tls(_)), "{error:?}");
    let error = store.keepalive(1, LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn server_is_known_by_its_authority() {
    let authority = Authority::new();
    let etcd = Etcd::builder().tls(&authority).start();
    works(&options(&etcd, &authority, None)).await;
}

#[tokio::test]
async fn server_of_another_authority_is_refused() {
    // The server may read its files after it has said that it is ready.
    let authority = Authority::new();
    let etcd = Etcd::builder().tls(&authority).start();
    fails(&options(&etcd, &Authority::new(), None)).await;
}

#[tokio::test]
async fn server_name_must_be_in_the_certificate() {
    let authority = Authority::new();
    let etcd = Etcd::builder().tls_for(&authority, &["etcd.test"]).start();
    let mut options = options(&etcd, &authority, None);
    fails(&options).await;
    tls(&mut options).server_name = Some("etcd.test".into());
    works(&options).await;
}

#[tokio::test]
async fn client_must_show_its_certificate() {
    let authority = Authority::new();
    let etcd = Etcd::builder().mutual_tls(&authority).start();
    let other = Authority::new();
    let (client, stranger) = (authority.client("a"), other.client("b"));
    works(&options(&etcd, &authority, Some(&client))).await;
    fails(&options(&etcd, &authority, None)).await;
    fails(&options(&etcd, &authority, Some(&stranger))).await;
}

#[tokio::test]
async fn common_name_of_the_certificate_is_the_user() {
    let authority = Authority::new();
    let etcd = Etcd::builder().mutual_tls(&authority).root_password("secret").start();
    works(&options(&etcd, &authority, Some(&authority.client("root")))).await;
    let nobody = options(&etcd, &authority, Some(&authority.client("nobody")));
    let store = EtcdStore::new(&nobody).unwrap();
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Auth(_) | StoreError::Permission(_)), "{error:?}");
}

#[tokio::test]
async fn oldest_version_asked_for_is_kept_to() {
    let authority = Authority::new();
    let etcd = Etcd::builder()
        .version(Version::V3_6)
        .tls(&authority)
        .argument("--tls-min-version=TLS1.2")
        .argument("--tls-max-version=TLS1.2")
        .start();
    let mut options = options(&etcd, &authority, None);
    works(&options).await;
    tls(&mut options).min_version = TlsVersion::V1_3;
    fails(&options).await;
    let modern = Etcd::builder().tls(&authority).start();
    options.endpoints = modern.endpoints();
    works(&options).await;
}

#[tokio::test]
async fn server_without_tls_is_refused() {
    let authority = Authority::new();
    let etcd = Etcd::start();
    fails(&options(&etcd, &authority, None)).await;
}

#[tokio::test]
async fn client_without_tls_gets_an_error() {
    let authority = Authority::new();
    let etcd = Etcd::builder().tls(&authority).start();
    let store = crate::store(etcd.endpoints());
    let error = try_put(&store, "k", LIMIT).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_) | StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn one_endpoint_with_a_wrong_certificate_does_no_harm() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let wrong = Etcd::builder().tls(&stranger).start();
    let right = Etcd::builder().tls(&authority).start();
    let mut options = options(&wrong, &authority, None);
    options.endpoints.extend(right.endpoints());
    let store = EtcdStore::new(&options).unwrap();
    put(&store, "k").await;
    assert!(get(&store, "k").await.is_some());
    assert_eq!(store.health().endpoint, right.endpoint(0));
}

#[tokio::test]
async fn handshake_that_hangs_is_given_up_for_another_endpoint() {
    let authority = Authority::new();
    let etcd = Etcd::builder().tls(&authority).start();
    // It takes connections, and nobody reads them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(&etcd, &authority, None);
    options.endpoints.insert(0, deaf.local_addr().unwrap().to_string());
    // For the other one as well, whose handshake may be slow.
    options.connect_timeout = Duration::from_secs(5);
    works(&options).await;
}
