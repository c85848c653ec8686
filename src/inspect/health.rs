//! How the store fares, and a round trip through it where that was asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::{Alarm, ClusterMember, Inspector, MemberStatus, unanswered};
use crate::error::{Error, Result};
use crate::kv::{Compare, Op, Txn};

/// How the store fares. Of a local one there is nothing to say but that it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Each endpoint, in the order of the configuration.
    pub endpoints: Vec<Endpoint>,
    /// The members that the cluster has; empty: it did not say.
    pub members: Vec<ClusterMember>,
    /// The alarms that are on; `None`: it did not say.
    pub alarms: Option<Vec<Alarm>>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// `host:port`.
    pub endpoint: String,
    /// What its member says; `None`: nothing.
    pub status: Option<MemberStatus>,
    /// How long the answer took, connecting and logging in included, in ms.
    pub took_ms: u64,
    /// Why there is none: the name of the error's kind.
    pub error: Option<&'static str>,
    /// The same in words.
    pub why: String,
}

/// How long each step of a round trip took, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// A lease was granted.
    pub grant_us: u64,
    /// The time to live that it has, in ms.
    pub ttl_ms: u64,
    /// It was kept alive.
    pub keepalive_us: u64,
    /// A key was written with it.
    pub commit_us: u64,
    /// The key was deleted, and the lease revoked.
    pub cleanup_us: u64,
}

impl Inspector {
    /// How the store fares: all endpoints are asked at once, each for at most `limit`.
    pub async fn health(&self, limit: Duration) -> Health {
        let Some(etcd) = &self.etcd else { return Health::default() };
        let limit = limit.min(self.limit());
        let mut asked = JoinSet::new();
        for (index, endpoint) in etcd.endpoints().into_iter().enumerate() {
            let etcd = Arc::clone(etcd);
            asked.spawn(async move {
                let begin = Instant::now();
                let answer = etcd.member_status(index, limit).await;
                let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (status, error) = match answer {
                    Ok(status) => (Some(status), None),
                    Err(error) => (None, Some(unanswered(error))),
                };
                let why = error.as_ref().map_or("", Error::message).to_owned();
                let error = error.map(|error| error.kind().name());
                (index, Endpoint { endpoint, status, took_ms, error, why })
            });
        }
        let mut endpoints: Vec<_> = asked.join_all().await;
        endpoints.sort_by_key(|(index, _)| *index);
        let mut health = Health { endpoints: endpoints.into_iter().map(|(_, e)| e).collect(), ..Health::default() };
        if health.endpoints.iter().any(|endpoint| endpoint.status.is_some()) {
            let (members, alarms) = tokio::join!(etcd.members(limit), etcd.alarms(limit));
            health.members = members.unwrap_or_default();
            health.alarms = alarms.ok();
        }
        health
    }

    /// **Writes**: grants a lease for `ttl`, keeps it alive, writes a key below `<root>/ha/.doctor/` with it, deletes that and revokes the
    /// lease. Where it fails half-way, the lease ends by itself, and the key with it.
    ///
    /// # Errors
    /// What the store said at the first step that failed.
    pub async fn probe(&self, ttl: Duration) -> Result<Probe> {
        let limit = self.limit();
        let failed = |error| self.failed(error);
        let mut last = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            u64::try_from((now - std::mem::replace(&mut last, now)).as_micros()).unwrap_or(u64::MAX)
        };
        let granted = self.store.grant(ttl, limit).await.map_err(failed)?;
        let (lease, grant_us) = (granted.lease, lap());
        let rest = async {
            self.store.keepalive(lease, limit).await?;
            let keepalive_us = lap();
            let key = format!("{}/ha/.doctor/{lease:x}", self.root()).into_bytes();
            let put = Txn {
                compares: vec![Compare::create_revision(key.clone(), 0)],
                success: vec![Op::put(key.clone(), b"probe".to_vec(), lease)],
                failure: Vec::new(),
            };
            self.store.txn(put, limit).await?;
            let commit_us = lap();
            self.store.txn(Txn { success: vec![Op::delete(key)], ..Txn::default() }, limit).await?;
            Ok((keepalive_us, commit_us))
        }
        .await;
        let revoked = self.store.revoke(lease, limit).await;
        let (keepalive_us, commit_us) = rest.map_err(failed)?;
        revoked.map_err(failed)?;
        Ok(Probe { grant_us, ttl_ms: granted.ttl_ms, keepalive_us, commit_us, cleanup_us: lap() })
    }
}
