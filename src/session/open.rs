//! Opening the store that a configuration names.

use std::sync::Arc;

use crate::config::StoreOptions;
#[cfg(any(feature = "etcd", feature = "local"))]
use crate::config::StoreUrl;
#[cfg(not(all(feature = "etcd", feature = "local")))]
use crate::config::keys;
use crate::error::Result;
#[cfg(not(all(feature = "etcd", feature = "local")))]
use crate::error::{Error, ErrorKind};
use crate::store::Store;
#[cfg(feature = "etcd")]
use crate::store::etcd::{self, EtcdStore};
#[cfg(feature = "local")]
use crate::store::local::LocalStore;

/// Opens the store; nothing waits for the network.
pub(super) fn open(options: &StoreOptions) -> Result<Arc<dyn Store>> {
    match &options.url {
        #[cfg(feature = "local")]
        StoreUrl::Local { directory } => {
            let store = LocalStore::open(directory, options.request_timeout)?;
            Ok(Arc::new(store))
        }
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd { endpoints } => {
            let options = etcd_options(endpoints, options);
            Ok(Arc::new(EtcdStore::new(&options)?))
        }
        #[cfg(not(all(feature = "etcd", feature = "local")))]
        url => {
            let message = format!("this build has no store for {url}");
            let error = Error::new(ErrorKind::Unsupported, message);
            Err(error.with("key", keys::STORE_URL).with("value", url))
        }
    }
}

#[cfg(feature = "etcd")]
fn etcd_options(endpoints: &[String], options: &StoreOptions) -> etcd::EtcdOptions {
    let configured = &options.etcd;
    etcd::EtcdOptions {
        connect_timeout: configured.connect_timeout,
        keepalive: configured.keepalive,
        keepalive_timeout: configured.keepalive_timeout,
        request_timeout: options.request_timeout,
        credentials: configured.login.as_ref().map(|login| etcd::Credentials {
            user: login.user.clone(),
            password: login.password.reveal().to_owned(),
        }),
        tls: configured.tls.as_ref().map(|tls| etcd::TlsOptions {
            ca: tls.ca.clone(),
            cert: tls.identity.as_ref().map(|identity| identity.cert.clone()),
            key: tls.identity.as_ref().map(|identity| identity.key.clone()),
            server_name: tls.server_name.clone(),
            min_version: if tls.only_1_3 {
                etcd::TlsVersion::V1_3
            } else {
                etcd::TlsVersion::V1_2
            },
        }),
        ..etcd::EtcdOptions::new(endpoints.iter().cloned())
    }
}
