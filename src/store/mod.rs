//! The store: what the election is written to, and the rules that every implementation keeps.
//!
//! | Store | URL | For |
//! |---|---|---|
//! | etcd | `etcd://host:port[,host:port…]` | production |
//! | local | `local:<directory>` | the processes of one host, without a server |
//! | simulator | none (feature `testkit`) | tests: virtual time and faults |
//!
//! The rules, which the suite in `conformance` checks for each of them:
//!
//! 1. **Linearizable.** A read or transaction sees every one that was answered before it was sent.
//! 2. **Revisions.** Each transaction that changes something has a revision of its own, one more than the last; all its
//!    writes carry it. Replies of `range` and `txn` carry the store's revision; those of leases do not, as etcd's may be stale.
//! 3. **Leases.** A lease ends when it was not kept alive for its time to live, or by `revoke`; all keys that go with
//!    it are deleted in one revision. `keepalive` of one that is gone answers `ttl_ms` 0, not an error. A put with a
//!    lease that does not exist fails with [`StoreError::LeaseNotFound`] and writes nothing.
//! 4. **Errors** say whether the request can have been done: only [`StoreError::Unknown`] leaves it open.
//! 5. **Time limits.** Every call returns within its `limit` (and a little for the scheduler), whatever the network
//!    does. One that ran into its limit makes the store try another endpoint for the next one, unless the limit was
//!    shorter than any of the election's (50 ms).
//! 6. **Watches** never resume by themselves and never skip: they show every change of each of their ranges from the
//!    revision asked for, in order, all changes of one revision in one range together, or else end with
//!    [`WatchItem::Compacted`] or [`WatchItem::Failed`]. Between two ranges of one watch there is no order.

#[cfg(feature = "testkit")]
pub mod conformance;
#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(feature = "local")]
pub mod local;
#[cfg(any(feature = "etcd", feature = "local"))]
mod metered;
#[cfg(feature = "testkit")]
pub mod sim;

#[cfg(any(feature = "etcd", feature = "local"))]
pub(crate) use self::metered::metered;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::kv::{KeyRange, LeaseId, LeaseReply, RangeReply, Revision, StoreError, Txn, TxnReply, WatchItem};

/// A running watch. Dropping it ends it.
///
/// Items wait in a bounded queue. `recv` gives `None` only after `Compacted` or `Failed`, or where the store itself is gone.
pub type WatchStream = mpsc::Receiver<WatchItem>;

/// How the connection to the store fares, for the events DEGRADED and RECOVERED and for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The endpoint in use, or the directory.
    pub endpoint: String,
    /// The store's version, once known.
    pub version: Option<String>,
}

/// A place to hold an election in. The rules are on the module's page.
///
/// Every call may be made from many tasks at once. `limit` is the longest that a call may take.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Grants a lease for at least `ttl`; the reply says what was given.
    async fn grant(&self, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError>;

    /// Keeps a lease alive for its full time to live from now; `ttl_ms` 0 in the reply: it is gone.
    async fn keepalive(&self, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError>;

    /// Ends a lease and deletes its keys. One that is gone already is no error.
    async fn revoke(&self, lease: LeaseId, limit: Duration) -> Result<(), StoreError>;

    /// Reads a range, linearizable; at most `max` keys (0: all).
    async fn range(&self, range: KeyRange, max: i64, limit: Duration) -> Result<RangeReply, StoreError>;

    /// Does a transaction.
    async fn txn(&self, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError>;

    /// Watches some ranges from `from` (a revision, at least 1; it may lie in the future) on.
    ///
    /// Returns once the request is under way; [`WatchItem::Started`] says that it stands.
    async fn watch(&self, ranges: Vec<KeyRange>, from: Revision, limit: Duration) -> Result<WatchStream, StoreError>;

    /// The endpoint in use and the store's version.
    fn health(&self) -> Health;
}
