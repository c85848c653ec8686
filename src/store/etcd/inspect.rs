//! What an operator asks of etcd beside its keys: how each member fares, alarms, and how long leases have left.

use std::fmt::Display;
use std::time::Duration;

use etcd_client::{AlarmAction, AlarmType};
use serde::{Serialize, Serializer};
use tokio::time::timeout;

use super::EtcdStore;
use super::connect::Access;
use crate::kv::{LeaseId, StoreError};

/// A number of 64 random bits as text: to many readers of JSON it is no number any more.
pub(crate) fn digits<S: Serializer>(number: &impl Display, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(number)
}

/// How one member fares, by its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its version.
    pub version: String,
    /// The cluster it belongs to.
    #[serde(serialize_with = "digits")]
    pub cluster_id: u64,
    /// Itself.
    #[serde(serialize_with = "digits")]
    pub member_id: u64,
    /// The member that leads; 0: none is known.
    #[serde(serialize_with = "digits")]
    pub leader_id: u64,
    /// It has no vote yet.
    pub is_learner: bool,
    /// Size of its database, in bytes.
    pub db_bytes: i64,
    /// The size at which it is full; 0: it does not say (before 3.6).
    pub quota_bytes: i64,
    /// The term of its leader.
    pub raft_term: u64,
    /// How far its log goes.
    pub raft_index: u64,
    /// How far it has applied that.
    pub raft_applied: u64,
    /// The store's revision, as far as it knows.
    pub revision: i64,
    /// What it complains about.
    pub errors: Vec<String>,
}

/// A member as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterMember {
    /// Its number.
    #[serde(serialize_with = "digits")]
    pub id: u64,
    /// Its name; empty: it was added and never started.
    pub name: String,
    /// Where clients reach it, by its own words.
    pub client_urls: Vec<String>,
}

/// An alarm that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Of which member.
    #[serde(serialize_with = "digits")]
    pub member_id: u64,
    /// `NOSPACE` or `CORRUPT`.
    pub alarm: String,
}

/// How long a lease has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseLeft {
    /// Time left, in ms, in whole seconds.
    pub left_ms: u64,
    /// Its full time to live, in ms.
    pub granted_ms: u64,
}

type Result<T> = std::result::Result<T, StoreError>;

impl EtcdStore {
    /// The endpoints, `host:port` each.
    pub fn endpoints(&self) -> Vec<String> {
        self.pool.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect()
    }

    /// How the member at this endpoint fares. No other endpoint is tried.
    ///
    /// # Errors
    /// Why it cannot be reached, or refuses.
    pub async fn member_status(&self, index: usize, limit: Duration) -> Result<MemberStatus> {
        let endpoint = &self.pool.endpoints[index];
        let ask = async {
            let login = endpoint.login(0).await.map_err(|failure| failure.error)?;
            let access = Access { pool: self.pool.clone(), endpoint: endpoint.clone(), login };
            let status = access.login.maintenance.clone().status().await;
            status.map_err(|error| access.failure(error).error)
        };
        let Ok(answer) = timeout(limit, ask).await else {
            return Err(StoreError::Unavailable(format!("{}: no answer within {limit:?}", endpoint.name)));
        };
        let status = answer?;
        let header = status.header();
        Ok(MemberStatus {
            version: status.version().to_owned(),
            cluster_id: header.map_or(0, |header| header.cluster_id()),
            member_id: header.map_or(0, |header| header.member_id()),
            leader_id: status.leader(),
            is_learner: status.is_learner(),
            db_bytes: status.db_size(),
            quota_bytes: status.db_size_quota(),
            raft_term: status.raft_term(),
            raft_index: status.raft_index(),
            raft_applied: status.raft_applied_index(),
            revision: header.map_or(0, |header| header.revision()),
            errors: status.errors().to_vec(),
        })
    }

    /// The members that the cluster has.
    ///
    /// # Errors
    /// As every request.
    pub async fn members(&self, limit: Duration) -> Result<Vec<ClusterMember>> {
        let list = self.pool.ask(limit, |access: Access| async move {
            access.login.cluster.clone().member_list().await.map_err(|error| access.failure(error))
        });
        let list = list.await?;
        let member = |member: &etcd_client::Member| ClusterMember {
            id: member.id(),
            name: member.name().to_owned(),
            client_urls: member.client_urls().to_vec(),
        };
        Ok(list.members().iter().map(member).collect())
    }

    /// The alarms that are on.
    ///
    /// # Errors
    /// As every request.
    pub async fn alarms(&self, limit: Duration) -> Result<Vec<Alarm>> {
        let alarms = self.pool.ask(limit, |access: Access| async move {
            let asked = access.login.maintenance.clone().alarm(AlarmAction::Get, AlarmType::None, None).await;
            asked.map_err(|error| access.failure(error))
        });
        let alarms = alarms.await?;
        let name = |alarm: AlarmType| match alarm {
            AlarmType::None => "NONE",
            AlarmType::Nospace => "NOSPACE",
            AlarmType::Corrupt => "CORRUPT",
        };
        let on = alarms.alarms().iter();
        Ok(on.map(|on| Alarm { member_id: on.member_id(), alarm: name(on.alarm()).to_owned() }).collect())
    }

    /// How long a lease has left; `None`: it is gone.
    ///
    /// # Errors
    /// As every request.
    pub async fn lease_left(&self, lease: LeaseId, limit: Duration) -> Result<Option<LeaseLeft>> {
        let asked = self.pool.ask(limit, |access: Access| async move {
            let left = access.login.lease.clone().time_to_live(lease, None).await;
            left.map_err(|error| access.failure(error))
        });
        let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        match asked.await {
            Ok(reply) if reply.ttl() < 0 => Ok(None),
            Ok(reply) => Ok(Some(LeaseLeft { left_ms: ms(reply.ttl()), granted_ms: ms(reply.granted_ttl()) })),
            Err(StoreError::LeaseNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
