//! What cannot work is refused before anything is started, and named.

use std::time::Duration;

use coordha::error::{Error, ErrorKind};
use coordha::store::etcd::{Credentials, EtcdOptions, EtcdStore, TlsOptions, TlsVersion};

use crate::support::certs::{Authority, Pair};

fn refused(options: &EtcdOptions) -> Error {
    match EtcdStore::new(options) {
        Ok(_) => panic!("{options:?} was not refused"),
        Err(error) => error,
    }
}

#[test]
fn store_is_made_without_a_runtime_and_touches_no_network() {
    let options = EtcdOptions::new(["no.such.host.invalid:1"]);
    EtcdStore::new(&options).unwrap();
}

#[test]
fn wrong_values_are_named_with_their_key() {
    let endpoints = EtcdOptions::new(["http://localhost:2379"]);
    let mut times = EtcdOptions::new(["localhost:2379"]);
    times.connect_timeout = Duration::ZERO;
    let mut user = EtcdOptions::new(["localhost:2379"]);
    user.credentials = Some(Credentials { user: String::new(), password: "secret".into() });
    for (options, key) in
        [(endpoints, "store.url"), (times, "store.etcd.connect_timeout_ms"), (user, "store.etcd.user")]
    {
        let error = refused(&options);
        assert_eq!(error.kind(), ErrorKind::ConfigValue);
        assert_eq!(error.detail("key"), Some(key));
        assert!(error.message().contains(key) && error.message().contains("allowed:"), "{error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
}

/// Certificates that go together, in a folder that goes with them.
struct Files {
    authority: Authority,
    client: Pair,
}

impl Files {
    fn new() -> Self {
        let authority = Authority::new();
        let client = authority.client("a");
        Self { authority, client }
    }

    /// The options, right but for one change.
    fn with(&self, change: impl FnOnce(&mut TlsOptions)) -> EtcdOptions {
        let mut tls = TlsOptions {
            ca: self.authority.cert.clone(),
            cert: Some(self.client.cert.clone()),
            key: Some(self.client.key.clone()),
            server_name: None,
            min_version: TlsVersion::V1_2,
        };
        change(&mut tls);
        let mut options = EtcdOptions::new(["localhost:2379"]);
        options.tls = Some(tls);
        options
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named_with_their_key() {
    let (files, other) = (Files::new(), Files::new());
    EtcdStore::new(&files.with(|_| {})).unwrap();
    let client = &files.client;
    let garbage = client.cert.with_file_name("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    let missing = client.cert.with_file_name("missing.pem");
    let (ca, cert, key) = ("store.etcd.tls.ca", "store.etcd.tls.cert", "store.etcd.tls.key");
    let name = "store.etcd.tls.server_name";
    let rows = [
        (files.with(|tls| tls.ca = missing.clone()), ca, "cannot be read"),
        (files.with(|tls| tls.ca = garbage.clone()), ca, "PEM"),
        (files.with(|tls| tls.ca = client.key.clone()), ca, "no certificate"),
        (files.with(|tls| tls.cert = Some(missing.clone())), cert, "cannot be read"),
        (files.with(|tls| tls.key = Some(client.cert.clone())), key, "no private key"),
        (files.with(|tls| tls.key = Some(other.client.key.clone())), key, "allowed:"),
        (files.with(|tls| tls.server_name = Some("no name".into())), name, "host name"),
    ];
    for (options, key, why) in rows {
        let error = refused(&options);
        assert_eq!(error.kind(), ErrorKind::ConfigValue, "{error}");
        assert_eq!(error.detail("key"), Some(key), "{error}");
        assert!(error.message().contains(why), "{why}: {error}");
    }
}

#[test]
fn certificate_and_key_come_together() {
    let files = Files::new();
    for (options, missing) in [
        (files.with(|tls| tls.key = None), "store.etcd.tls.key"),
        (files.with(|tls| tls.cert = None), "store.etcd.tls.cert"),
    ] {
        let error = refused(&options);
        assert_eq!(error.kind(), ErrorKind::ConfigMissing, "{error}");
        assert_eq!(error.detail("key"), Some(missing), "{error}");
    }
}
