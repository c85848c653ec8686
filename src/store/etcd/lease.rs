//! Leases.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::LeaseKeepAliveStream;
use tokio::time::timeout;

use super::connect::{Access, Pool};
use super::error::Failure;
use crate::kv::{LeaseId, LeaseReply, StoreError};

/// How long a stream of which nothing more is expected may take to end.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Grants for whole seconds, as etcd counts in these; it may raise them further.
pub(super) async fn grant(pool: &Arc<Pool>, ttl: Duration, limit: Duration) -> Result<LeaseReply, StoreError> {
    let seconds = ttl.as_millis().div_ceil(1000).max(1);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    pool.call(limit, |access: Access| async move {
        let granted = access.login.lease.clone().grant(seconds, None).await;
        let granted = granted.map_err(|error| access.failure(error))?;
        if granted.id() == 0 || granted.ttl() <= 0 {
            let message = format!("{}: a grant without a lease: {}", access.endpoint.name, granted.error());
            return Err(Failure::refused(StoreError::Invalid(message)));
        }
        Ok(LeaseReply { lease: granted.id(), ttl_ms: milliseconds(granted.ttl()) })
    })
    .await
}

/// Each keepalive has a stream of its own, so that a late reply to an earlier one can never be taken for its answer,
/// and a member that has stalled holds back nothing but it. etcd also limits the streams of a connection (to 250 with TLS, before
/// 3.4.28 and 3.5.10), so none is kept open for each lease.
pub(super) async fn keepalive(pool: &Arc<Pool>, lease: LeaseId, limit: Duration) -> Result<LeaseReply, StoreError> {
    pool.call(limit, |access: Access| async move {
        let ttl = renew(&access, lease).await?;
        Ok(LeaseReply { lease, ttl_ms: milliseconds(ttl) })
    })
    .await
}

/// The time to live in s; 0 or less: the lease is gone.
async fn renew(access: &Access, lease: LeaseId) -> Result<i64, Failure> {
    use etcd_client::Error::LeaseKeepAliveError;
    let failure = |error| access.failure(error);
    let (mut keeper, mut stream) = match access.login.lease.clone().keep_alive(lease).await {
        Ok(opened) => opened,
        Err(LeaseKeepAliveError(why)) if why == "lease not found" => return Ok(0),
        Err(error) => return Err(failure(error)),
    };
    // The client keeps the time to live in the first reply to itself, so it is asked for twice.
    keeper.keep_alive().await.map_err(failure)?;
    let reply = stream.message().await.map_err(failure)?;
    drop(keeper);
    tokio::spawn(close(stream));
    match reply {
        Some(reply) if reply.id() == lease => Ok(reply.ttl()),
        other => {
            let message = format!("{}: {other:?} in place of a keepalive's answer", access.endpoint.name);
            Err(Failure::unreachable(StoreError::Unknown(message)))
        }
    }
}

/// Lets a stream end in good order; to drop it would reset it, and many resets look like an attack to a server.
async fn close(mut stream: LeaseKeepAliveStream) {
    let end = async { while let Ok(Some(_)) = stream.message().await {} };
    let _ = timeout(CLOSE_LIMIT, end).await;
}

/// Revokes; that it is gone already is as good.
pub(super) async fn revoke(pool: &Arc<Pool>, lease: LeaseId, limit: Duration) -> Result<(), StoreError> {
    let revoked = pool.call(limit, |access: Access| async move {
        let revoked = access.login.lease.clone().revoke(lease).await;
        revoked.map(|_| ()).map_err(|error| access.failure(error))
    });
    match revoked.await {
        Err(StoreError::LeaseNotFound) => Ok(()),
        result => result,
    }
}

fn milliseconds(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}
