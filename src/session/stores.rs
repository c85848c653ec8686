//! From the configuration of a store to the store.

use std::sync::Arc;

use crate::config::{StoreOptions, StoreUrl};
use crate::error::Result;
use crate::store::Store;
#[cfg(any(feature = "etcd", feature = "local"))]
use crate::store::metered;

/// Opens the store. Waits for no network; needs the async runtime.
pub(crate) fn open(options: &StoreOptions) -> Result<Arc<dyn Store>> {
    match &options.url {
        #[cfg(feature = "local")]
        StoreUrl::Local { directory } => {
            let limit = options.request_timeout;
            let store = crate::store::local::LocalStore::open(directory, limit)?;
            Ok(metered(Arc::new(store), "local"))
        }
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd { endpoints } => {
            let options = etcd_options(options, endpoints);
            let store = crate::store::etcd::EtcdStore::new(&options)?;
            Ok(metered(Arc::new(store), "etcd"))
        }
        #[cfg(not(all(feature = "local", feature = "etcd")))]
        url => Err(not_built(url)),
    }
}

#[cfg(feature = "etcd")]
pub(crate) fn etcd_options(options: &StoreOptions, endpoints: &[String]) -> crate::store::etcd::EtcdOptions {
    use crate::store::etcd::{Credentials, EtcdOptions, TlsOptions, TlsVersion};

    let etcd = &options.etcd;
    EtcdOptions {
        endpoints: endpoints.to_vec(),
        connect_timeout: etcd.connect_timeout,
        keepalive: etcd.keepalive,
        keepalive_timeout: etcd.keepalive_timeout,
        request_timeout: options.request_timeout,
        credentials: etcd
            .login
            .as_ref()
            .map(|login| Credentials { user: login.user.clone(), password: login.password.reveal().to_owned() }),
        tls: etcd.tls.as_ref().map(|tls| TlsOptions {
            ca: tls.ca.clone(),
            cert: tls.identity.as_ref().map(|identity| identity.cert.clone()),
            key: tls.identity.as_ref().map(|identity| identity.key.clone()),
            server_name: tls.server_name.clone(),
            min_version: if tls.only_1_3 { TlsVersion::V1_3 } else { TlsVersion::V1_2 },
        }),
    }
}

#[cfg(not(all(feature = "local", feature = "etcd")))]
fn not_built(url: &StoreUrl) -> crate::error::Error {
    let message = format!("this build has no store for {url}");
    crate::error::Error::new(crate::error::ErrorKind::Unsupported, message)
        .with("key", crate::config::keys::STORE_URL)
        .with("value", url)
}
