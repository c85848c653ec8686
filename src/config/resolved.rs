//! The configuration in its types.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::url::StoreUrl;
use super::value::parse_log_format;
use super::{Config, keys, milvus};
use crate::election::{Process, Settings};
use crate::error::{Error, ErrorKind, Result};

/// A configuration that was checked, in its types. See [`keys`] for what each value does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The role name.
    pub role: String,
    /// Where clients reach this session, `host:port`, the host filled in.
    pub address: String,
    /// The root of all keys, without a slash at its end.
    pub root: String,
    /// Off: exclusive.
    pub active_standby: bool,
    /// Higher is tried first.
    pub priority: i32,
    /// `Version` of the record, strict semver.
    pub record_version: String,
    /// "Ready" and "left" are said by the library.
    pub auto: bool,
    /// Server ID and lease are shared with the other sessions of the process that ask for it.
    pub shared: bool,
    /// Limit of an activation.
    pub activation_timeout: Duration,
    /// First pause after a failed activation.
    pub activation_backoff: Duration,
    /// Limit of a deactivation.
    pub deactivation_timeout: Duration,
    /// Limit of the release and revoke at the end.
    pub release_timeout: Duration,
    /// Time to live that is asked of the store, in whole seconds.
    pub ttl: Duration,
    /// H: how long the role may be held after a renewal.
    pub hold: Duration,
    /// Pause between two re-reads.
    pub reread: Duration,
    /// How long a standby waits for each one ranked before it.
    pub rank_step: Duration,
    /// Starts without contending.
    pub paused: bool,
    /// A holder that is proven dead on this host is followed at once.
    pub same_host_proof: bool,
    /// After a Milvus holder is gone: how long the role is left alone.
    pub milvus_takeover_delay: Duration,
    /// Exclusive: how long to wait for a holder; `None`: its TTL and 5 s, for a Milvus holder 81 s or more.
    pub exclusive_wait: Option<Duration>,
    /// Exclusive: at least so long, where `exclusive_wait` is `None`. From Milvus's `common.session.retryTimes`.
    pub exclusive_wait_floor: Duration,
    /// How many unread events may wait.
    pub events_queue: usize,
    /// How many transactions may be submitted whose end was not read.
    pub txn_inflight: usize,
    /// How the session's states are worded in the log.
    pub log_format: LogFormat,
    /// Pause between two log lines of a standby; `None`: none.
    pub standby_log: Option<Duration>,
    /// How to reach the store.
    pub store: StoreOptions,
}

impl Resolved {
    /// The settings of the election core, with what is known only at run time: this host's name, a random session ID, and this
    /// process where it could be named. `process` is used only with [`keys::ELECTION_SAME_HOST_PROOF`] on.
    pub fn settings(&self, host_name: String, session_id: u128, process: Option<Process>) -> Settings {
        Settings {
            role: self.role.clone(),
            root: self.root.clone(),
            address: self.address.clone(),
            version: self.record_version.clone(),
            host_name,
            session_id,
            priority: self.priority,
            active_standby: self.active_standby,
            paused: self.paused,
            auto: self.auto,
            hold: self.hold,
            ttl: self.ttl,
            reread: self.reread,
            rank_step: self.rank_step,
            request_timeout: self.store.request_timeout,
            activation_timeout: self.activation_timeout,
            activation_backoff: self.activation_backoff,
            deactivation_timeout: self.deactivation_timeout,
            release_timeout: self.release_timeout,
            milvus_takeover_delay: self.milvus_takeover_delay,
            exclusive_wait: self.exclusive_wait,
            exclusive_wait_floor: self.exclusive_wait_floor,
            process: process.filter(|_| self.same_host_proof),
        }
    }
}

/// How a session's states are worded in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFormat {
    /// What each means, with the numbers that belong to it.
    #[default]
    Plain,
    /// As Milvus 2.2.3 words them, as far as it has them too.
    Milvus,
}

/// What an observer needs of a configuration that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObserverOptions {
    /// The role name.
    pub role: String,
    /// The root of all keys, without a slash at its end.
    pub root: String,
    /// H: how long the role may be held after a renewal.
    pub hold: Duration,
    /// Pause between two re-reads.
    pub reread: Duration,
    /// How to reach the store.
    pub store: StoreOptions,
}

/// What looking into elections needs of a configuration that was checked.
#[cfg(feature = "cli")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectorOptions {
    /// The role name; `None`: all roles below the root.
    pub role: Option<String>,
    /// The root of all keys, without a slash at its end.
    pub root: String,
    /// Pause between two re-reads.
    pub reread: Duration,
    /// How to reach the store.
    pub store: StoreOptions,
}

/// How to reach the store. Sessions with equal options can share a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Where it is.
    pub url: StoreUrl,
    /// Limit of every request.
    pub request_timeout: Duration,
    /// What only etcd needs; of no effect with another store.
    pub etcd: EtcdOptions,
}

/// What only etcd needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtcdOptions {
    /// Limit of connecting to an endpoint.
    pub connect_timeout: Duration,
    /// Pause between two HTTP/2 pings.
    pub keepalive: Duration,
    /// How long a ping may stay unanswered.
    pub keepalive_timeout: Duration,
    /// User and password, where etcd wants them.
    pub login: Option<Login>,
    /// TLS; `None`: plain.
    pub tls: Option<TlsOptions>,
}

/// A user of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How to set up TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// PEM file with the certificates of the trusted authorities.
    pub ca: PathBuf,
    /// The client's own certificate, where etcd asks for one.
    pub identity: Option<TlsIdentity>,
    /// Name that the server's certificate must be for; `None`: the endpoint's host.
    pub server_name: Option<String>,
    /// TLS 1.2 is refused.
    pub only_1_3: bool,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// PEM file with the certificate.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// A text that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Gives the values of a checked configuration their types.
pub(super) fn resolve(config: &Config) -> Result<Resolved> {
    Ok(Resolved {
        role: config.text(keys::ROLE)?,
        address: config.parsed(keys::ADDRESS, Address::parse)?.announced()?,
        root: config.text(keys::ROOT)?,
        active_standby: config.bool(keys::ACTIVE_STANDBY_ENABLED)?,
        priority: int(config, keys::PRIORITY)?,
        record_version: config.text(keys::RECORD_VERSION)?,
        auto: config.bool(keys::ACTIVATION_AUTO)?,
        shared: config.bool(keys::SESSION_SHARED)?,
        activation_timeout: ms(config, keys::ACTIVATION_TIMEOUT_MS)?,
        activation_backoff: ms(config, keys::ACTIVATION_BACKOFF_MS)?,
        deactivation_timeout: ms(config, keys::DEACTIVATION_TIMEOUT_MS)?,
        release_timeout: ms(config, keys::RELEASE_TIMEOUT_MS)?,
        ttl: whole_seconds(ms(config, keys::LEASE_TTL_MS)?),
        hold: ms(config, keys::ELECTION_HOLD_MS)?,
        reread: ms(config, keys::ELECTION_REREAD_MS)?,
        rank_step: ms(config, keys::ELECTION_RANK_STEP_MS)?,
        paused: config.bool(keys::ELECTION_PAUSED)?,
        same_host_proof: config.bool(keys::ELECTION_SAME_HOST_PROOF)?,
        milvus_takeover_delay: ms(config, keys::ELECTION_MILVUS_TAKEOVER_DELAY_MS)?,
        exclusive_wait: match config.number(keys::EXCLUSIVE_WAIT_MS)? {
            -1 => None,
            _ => Some(ms(config, keys::EXCLUSIVE_WAIT_MS)?),
        },
        exclusive_wait_floor: milvus::exclusive_wait_floor(config),
        events_queue: int(config, keys::EVENTS_QUEUE)?,
        txn_inflight: int(config, keys::TXN_INFLIGHT)?,
        log_format: config.parsed(keys::LOG_FORMAT, parse_log_format)?,
        standby_log: Some(ms(config, keys::LOG_STANDBY_MS)?).filter(|pause| !pause.is_zero()),
        store: store(config)?,
    })
}

/// The same for what an observer needs.
pub(super) fn resolve_observer(config: &Config) -> Result<ObserverOptions> {
    Ok(ObserverOptions {
        role: config.text(keys::ROLE)?,
        root: config.text(keys::ROOT)?,
        hold: ms(config, keys::ELECTION_HOLD_MS)?,
        reread: ms(config, keys::ELECTION_REREAD_MS)?,
        store: store(config)?,
    })
}

/// The same for what looking needs.
#[cfg(feature = "cli")]
pub(super) fn resolve_inspector(config: &Config) -> Result<InspectorOptions> {
    Ok(InspectorOptions {
        role: config.get(keys::ROLE),
        root: config.text(keys::ROOT)?,
        reread: ms(config, keys::ELECTION_REREAD_MS)?,
        store: store(config)?,
    })
}

fn store(config: &Config) -> Result<StoreOptions> {
    Ok(StoreOptions {
        url: config.parsed(keys::STORE_URL, StoreUrl::parse)?,
        request_timeout: ms(config, keys::STORE_REQUEST_TIMEOUT_MS)?,
        etcd: EtcdOptions {
            connect_timeout: ms(config, keys::STORE_ETCD_CONNECT_TIMEOUT_MS)?,
            keepalive: ms(config, keys::STORE_ETCD_KEEPALIVE_MS)?,
            keepalive_timeout: ms(config, keys::STORE_ETCD_KEEPALIVE_TIMEOUT_MS)?,
            login: login(config)?,
            tls: tls(config)?,
        },
    })
}

fn login(config: &Config) -> Result<Option<Login>> {
    let user = optional(config, keys::STORE_ETCD_USER)?;
    let password = optional(config, keys::STORE_ETCD_PASSWORD)?;
    Ok(user.zip(password).map(|(user, password)| Login { user, password: Secret(password) }))
}

fn tls(config: &Config) -> Result<Option<TlsOptions>> {
    if !config.bool(keys::STORE_ETCD_TLS_ENABLED)? {
        return Ok(None);
    }
    let cert = optional(config, keys::STORE_ETCD_TLS_CERT)?;
    let key = optional(config, keys::STORE_ETCD_TLS_KEY)?;
    Ok(Some(TlsOptions {
        ca: config.text(keys::STORE_ETCD_TLS_CA)?.into(),
        identity: cert.zip(key).map(|(cert, key)| TlsIdentity { cert: cert.into(), key: key.into() }),
        server_name: optional(config, keys::STORE_ETCD_TLS_SERVER_NAME)?,
        only_1_3: config.text(keys::STORE_ETCD_TLS_MIN_VERSION)? == "1.3",
    }))
}

fn optional(config: &Config, key: &str) -> Result<Option<String>> {
    Ok(Some(config.text(key)?).filter(|text| !text.is_empty()))
}

fn int<T: TryFrom<i64>>(config: &Config, key: &str) -> Result<T> {
    let number = config.number(key)?;
    T::try_from(number).map_err(|_| {
        // The row's range is wider than the type.
        Error::new(ErrorKind::Internal, format!("{key} = {number} does not fit its type"))
    })
}

fn ms(config: &Config, key: &str) -> Result<Duration> {
    Ok(Duration::from_millis(int(config, key)?))
}

/// etcd's leases have whole seconds.
fn whole_seconds(ttl: Duration) -> Duration {
    let more = u64::from(ttl.subsec_nanos() > 0);
    Duration::from_secs(ttl.as_secs() + more)
}
