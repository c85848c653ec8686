//! `store.url`.

use std::fmt;
use std::path::PathBuf;

use super::address::{Host, HostPort};
use super::keys;
use super::value::Why;

/// The port of an etcd endpoint that names none.
const ETCD_PORT: u16 = 2379;

/// Where the election is held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// An etcd cluster.
    Etcd {
        /// Its endpoints, each `host:port`; names in lower case, IPv6 in brackets, none twice, at least one.
        endpoints: Vec<String>,
    },
    /// The embedded store, for the processes of one host.
    Local {
        /// Its directory. A relative one starts from the working directory.
        directory: PathBuf,
    },
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd { endpoints } => write!(f, "etcd://{}", endpoints.join(",")),
            Self::Local { directory } => write!(f, "local:{}", directory.display()),
        }
    }
}

impl StoreUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Why> {
        if let Some(endpoints) = text.strip_prefix("etcd://") {
            return etcd(endpoints);
        }
        if let Some(directory) = text.strip_prefix("local:") {
            return local(directory);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(format!("write etcd://host:port, and {} = true for TLS", keys::STORE_ETCD_TLS_ENABLED));
        }
        Err("it begins neither with etcd:// nor with local:".into())
    }
}

fn etcd(list: &str) -> Result<StoreUrl, Why> {
    if list.is_empty() {
        return Err("no endpoint is named".into());
    }
    if list.contains('@') {
        return Err(format!("a user is named by {} and {}", keys::STORE_ETCD_USER, keys::STORE_ETCD_PASSWORD));
    }
    let mut endpoints = Vec::new();
    for (index, text) in list.split(',').enumerate() {
        let endpoint = endpoint(text).map_err(|why| format!("endpoint {}: {why}", index + 1))?;
        if endpoints.contains(&endpoint) {
            return Err(format!("the endpoint {endpoint} is named twice"));
        }
        endpoints.push(endpoint);
    }
    Ok(StoreUrl::Etcd { endpoints })
}

/// One endpoint, `host:port`, the port filled in.
pub(super) fn endpoint(text: &str) -> Result<String, Why> {
    if text.is_empty() {
        return Err("it is empty: a comma too many".into());
    }
    if text.contains(char::is_whitespace) {
        return Err("no spaces are allowed".into());
    }
    if !text.contains("://") && text.contains(['/', '?', '#']) {
        return Err(format!("nothing may follow the port; the keys' root is {}", keys::ROOT));
    }
    let HostPort { host, port } = HostPort::parse(text)?;
    let host = match host {
        None => return Err("the host is missing".into()),
        Some(Host::Name(name)) => name.to_ascii_lowercase(),
        Some(ip @ Host::Ip(_)) => ip.to_string(),
    };
    Ok(format!("{host}:{}", port.unwrap_or(ETCD_PORT)))
}

fn local(directory: &str) -> Result<StoreUrl, Why> {
    if directory.is_empty() {
        return Err("no directory is named".into());
    }
    if directory.starts_with(char::is_whitespace) {
        return Err("no space may follow local:".into());
    }
    // As a URL it would be "//host/path" or "///path"; a reader cannot tell what was meant.
    if directory.starts_with("//") {
        return Err("write local: and the directory, without //".into());
    }
    Ok(StoreUrl::Local { directory: directory.into() })
}
