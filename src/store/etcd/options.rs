//! What the etcd store is opened with, and the checks that name the key of a wrong value.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::Uri;

use crate::error::{Error, ErrorKind, Result};

/// How to reach etcd.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// The members, `host:port` each; an IPv6 address stands in brackets. At least one.
    pub endpoints: Vec<String>,
    /// Limit of setting up one connection: name, TCP and TLS.
    pub connect_timeout: Duration,
    /// Pause between two pings of a connection that has an open stream. Less than 5 s counts as 5 s: etcd closes
    /// connections that are pinged more often (`--grpc-keepalive-min-time`), a quiet one after 9 s at a ping each 3 s.
    pub keepalive: Duration,
    /// Limit of the answer to a ping; then the connection counts as broken.
    pub keepalive_timeout: Duration,
    /// Limit of what the store asks by itself: authentication and version. Other requests come with limits of their own.
    pub request_timeout: Duration,
    /// User and password, where etcd asks for them.
    pub credentials: Option<Credentials>,
    /// TLS; `None`: none.
    pub tls: Option<TlsOptions>,
}

impl EtcdOptions {
    /// The defaults, for these members (`host:port`).
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            connect_timeout: Duration::from_secs(5),
            keepalive: Duration::from_secs(5),
            keepalive_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            credentials: None,
            tls: None,
        }
    }
}

/// A user of etcd's, and its password, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:***", self.user)
    }
}

/// Certificates, as PEM files, and what is asked of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The authorities that may sign the server's certificate.
    pub ca: PathBuf,
    /// The certificate shown to the server, with what leads from it to an authority; together with `key`.
    pub cert: Option<PathBuf>,
    /// The private key of `cert`.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have; `None`: the host of the endpoint.
    pub server_name: Option<String>,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS that can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// One member: how it was named, and how it is dialled.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// `host:port`.
    pub(super) name: String,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What HTTP calls it.
    pub(super) origin: Uri,
}

/// The members, or what is wrong with their names.
pub(super) fn addresses(options: &EtcdOptions) -> Result<Vec<Address>> {
    const KEY: &str = "store.url";
    const ALLOWED: &str = "etcd://host:port[,host:port…]";
    if options.endpoints.is_empty() {
        return Err(wrong(KEY, "", ALLOWED, "no endpoint is named"));
    }
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    options
        .endpoints
        .iter()
        .map(|name| {
            let refuse = |why| wrong(KEY, name, ALLOWED, why);
            let (host, port) = name.rsplit_once(':').ok_or_else(|| refuse("a port is missing"))?;
            let port = port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| refuse("the port is no number from 1 to 65535"))?;
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            if bare.is_none() && host.contains(':') {
                return Err(refuse("an IPv6 address needs brackets, and a scheme is not allowed"));
            }
            let origin = Uri::builder()
                .scheme(scheme)
                .authority(name.as_str())
                .path_and_query("/")
                .build()
                .map_err(|_| refuse("that is no host"))?;
            // An authority may also hold a user, which etcd knows nothing of.
            if host.is_empty() || host.contains('@') {
                return Err(refuse("that is no host"));
            }
            Ok(Address { name: name.clone(), host: bare.unwrap_or(host).to_owned(), port, origin })
        })
        .collect()
}

/// Checks what is no path and no name.
pub(super) fn check_values(options: &EtcdOptions) -> Result<()> {
    let times = [
        ("store.etcd.connect_timeout_ms", options.connect_timeout),
        ("store.etcd.keepalive_ms", options.keepalive),
        ("store.etcd.keepalive_timeout_ms", options.keepalive_timeout),
        ("store.request_timeout_ms", options.request_timeout),
    ];
    for (key, time) in times {
        if time.is_zero() {
            return Err(wrong(key, "0", "more than 0", "no time is left"));
        }
    }
    match &options.credentials {
        Some(credentials) if credentials.user.is_empty() => {
            let error = wrong("store.etcd.user", "", "a user", "a password without a user");
            Err(error)
        }
        _ => Ok(()),
    }
}

/// An error that names key, value and what is allowed.
pub(super) fn wrong(key: &'static str, value: &str, allowed: &str, why: &str) -> Error {
    let message = format!("{key} = \"{value}\": {why}; allowed: {allowed}");
    Error::new(ErrorKind::ConfigValue, message).with("key", key).with("value", value).with("allowed", allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(name: &str) -> Result<Address> {
        addresses(&EtcdOptions::new([name])).map(|mut all| all.remove(0))
    }

    #[test]
    fn hosts_and_addresses_are_endpoints() {
        for (name, host) in [
            ("localhost:2379", "localhost"),
            ("10.0.0.1:1", "10.0.0.1"),
            ("[::1]:65535", "::1"),
            ("etcd-0.etcd.default.svc:2379", "etcd-0.etcd.default.svc"),
        ] {
            let address = endpoint(name).unwrap();
            assert_eq!((address.name.as_str(), address.host.as_str()), (name, host));
        }
    }

    #[test]
    fn wrong_endpoint_is_named_with_what_is_allowed() {
        for name in [
            "",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "localhost:http",
            "http://localhost:2379",
            "::1:2379",
            ":2379",
            "user@localhost:2379",
            "a b:2379",
        ] {
            let error = endpoint(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConfigValue, "{name}");
            assert_eq!(error.detail("key"), Some("store.url"), "{name}");
            assert_eq!(error.detail("value"), Some(name));
            assert!(error.message().contains("host:port"), "{error}");
        }
        let none: [&str; 0] = [];
        assert!(addresses(&EtcdOptions::new(none)).is_err());
    }

    #[test]
    fn password_is_never_shown() {
        let credentials = Credentials { user: "root".into(), password: "secret".into() };
        assert_eq!(format!("{credentials:?}"), "root:***");
    }
}
