//! The store for production: etcd, API v3.
//!
//! - Each endpoint has one connection, made when it is first needed. One endpoint is in use; it is left for the next one
//!   when a request ran into its limit there or the transport failed, and not before.
//! - All limits are outside: they bound connecting, logging in and waiting together.
//! - All sessions share the connection, and all watches one stream of it. A thousand sessions with a lease and a watch of
//!   two ranges each were seen to need one connection, no thread, and 15 kB of memory a session.
//! - A request is repeated only where it certainly was not done: no connection stood, etcd refused before it proposed
//!   anything, or it wanted a new token.

mod connect;
mod dial;
mod error;
#[cfg(feature = "cli")]
mod inspect;
mod lease;
#[cfg(not(feature = "tls"))]
mod no_tls;
mod options;
#[cfg(feature = "tls")]
mod tls;
mod txn;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::connect::Pool;
#[cfg(feature = "cli")]
pub(crate) use self::inspect::digits;
#[cfg(feature = "cli")]
pub use self::inspect::{Alarm, ClusterMember, LeaseLeft, MemberStatus};
#[cfg(not(feature = "tls"))]
use self::no_tls as tls;
pub use self::options::{Credentials, EtcdOptions, TlsOptions, TlsVersion};
use super::{Health, Store, WatchStream};
use crate::error::Result;
use crate::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, Revision, StoreError, Txn, TxnReply};

/// A client of an etcd cluster, for all sessions of a process that use it.
///
/// It must be used within a tokio runtime with time and I/O enabled, always the same one. Dropping it ends its
/// connections and its watches.
pub struct EtcdStore {
    pool: Arc<Pool>,
    /// Dropped with the store, which ends its tasks.
    _open: tokio::sync::watch::Sender<()>,
}

impl EtcdStore {
    /// A client with these options. Reads and checks the certificates, and nothing else: it connects when it is first used.
    ///
    /// # Errors
    ///
    /// `ConfigValue`, `ConfigMissing` or `Unsupported`, where an option cannot be used; names the key, the value and what is
    /// allowed.
    pub fn new(options: &EtcdOptions) -> Result<Self> {
        Self::open(options, false)
    }

    /// [`EtcdStore::new`] for who looks on: a question that an endpoint does not answer within a share of its limit, of 1 s at
    /// most, is put to the next one. Sessions do not: one slow answer would move all of them.
    #[cfg(feature = "cli")]
    pub(crate) fn asking_around(options: &EtcdOptions) -> Result<Self> {
        Self::open(options, true)
    }

    fn open(options: &EtcdOptions, asks_around: bool) -> Result<Self> {
        let (open, closing) = tokio::sync::watch::channel(());
        let pool = Pool::new(options, closing, asks_around)?;
        Ok(Self { pool, _open: open })
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn grant(&self, ttl: Duration, limit: Duration) -> std::result::Result<LeaseReply, StoreError> {
        lease::grant(&self.pool, ttl, limit).await
    }

    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> std::result::Result<LeaseReply, StoreError> {
        lease::keepalive(&self.pool, lease, limit).await
    }

    async fn revoke(&self, lease: LeaseId, limit: Duration) -> std::result::Result<(), StoreError> {
        lease::revoke(&self.pool, lease, limit).await
    }

    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> std::result::Result<RangeReply, StoreError> {
        txn::range(&self.pool, range, max, limit).await
    }

    async fn txn(&self, txn: Txn, limit: Duration) -> std::result::Result<TxnReply, StoreError> {
        txn::txn(&self.pool, txn, limit).await
    }

    async fn watch(
        &self,
        ranges: Vec<KeyRange>,
        from: Revision,
        limit: Duration,
    ) -> std::result::Result<WatchStream, StoreError> {
        watch::watch(&self.pool, ranges, from, limit).await
    }

    fn health(&self) -> Health {
        let endpoint = self.pool.current();
        Health { endpoint: endpoint.name.clone(), version: endpoint.version.get().cloned() }
    }
}
