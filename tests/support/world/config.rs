//! What a world is made of: its sessions, its network, its store.

use std::time::Duration;

use coordha::election::{Process, Settings};

use super::clock::{MS, Ns, Rate, SECOND};

pub(crate) const ROOT: &str = "by-dev/meta";
pub(crate) const ROLE: &str = "rootcoord";

/// One place where a session runs, is killed and is started again, always with the same address.
#[derive(Clone, Debug)]
pub(crate) struct NodeConfig {
    pub(crate) role: &'static str,
    pub(crate) hold: Ns,
    pub(crate) ttl: Ns,
    pub(crate) reread: Ns,
    pub(crate) rank_step: Ns,
    pub(crate) request_timeout: Ns,
    pub(crate) activation_timeout: Ns,
    pub(crate) activation_backoff: Ns,
    pub(crate) deactivation_timeout: Ns,
    pub(crate) release_timeout: Ns,
    pub(crate) milvus_takeover_delay: Ns,
    pub(crate) priority: i32,
    pub(crate) active_standby: bool,
    pub(crate) paused: bool,
    /// Ready and left are said by the core itself.
    pub(crate) auto: bool,
    /// The host whose processes may prove each other's death; `None`: no such proof.
    pub(crate) host: Option<u8>,
    pub(crate) rate: Rate,
    pub(crate) offset: u64,
    pub(crate) app: AppConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            role: ROLE,
            hold: SECOND,
            ttl: 5 * SECOND,
            reread: 2 * SECOND,
            rank_step: 50 * MS,
            request_timeout: SECOND,
            activation_timeout: 5 * SECOND,
            activation_backoff: SECOND,
            deactivation_timeout: 3 * SECOND,
            release_timeout: SECOND,
            milvus_takeover_delay: 0,
            priority: 0,
            active_standby: true,
            paused: false,
            auto: false,
            host: None,
            rate: Rate::TRUE,
            offset: SECOND,
            app: AppConfig::default(),
        }
    }
}

impl NodeConfig {
    /// The settings of the session that the `process`-th process of the world runs here.
    pub(crate) fn settings(&self, node: usize, process: u64) -> Settings {
        Settings {
            role: self.role.into(),
            root: ROOT.into(),
            address: format!("10.0.0.{node}:53100"),
            version: "2.4.0".into(),
            host_name: format!("host-{node}"),
            session_id: u128::from(process) << 64 | 0xc0de,
            priority: self.priority,
            active_standby: self.active_standby,
            paused: self.paused,
            auto: self.auto,
            hold: Duration::from_nanos(self.hold),
            ttl: Duration::from_nanos(self.ttl),
            reread: Duration::from_nanos(self.reread),
            rank_step: Duration::from_nanos(self.rank_step),
            request_timeout: Duration::from_nanos(self.request_timeout),
            activation_timeout: Duration::from_nanos(self.activation_timeout),
            activation_backoff: Duration::from_nanos(self.activation_backoff),
            deactivation_timeout: Duration::from_nanos(self.deactivation_timeout),
            release_timeout: Duration::from_nanos(self.release_timeout),
            milvus_takeover_delay: Duration::from_nanos(self.milvus_takeover_delay),
            exclusive_wait: None,
            exclusive_wait_floor: Duration::ZERO,
            process: self.host.map(|host| Process {
                boot_id: format!("boot-{host}"),
                pid_namespace: 4_026_531_836,
                time_namespace: 4_026_531_834,
                pid: 1000 + process as u32,
                start_time: 100 * process,
                cgroup: None,
            }),
        }
    }
}

/// How the application behind a session behaves, in chances of a thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppConfig {
    /// How long an activation takes.
    pub(crate) activate: Ns,
    /// How long leaving takes.
    pub(crate) leave: Ns,
    /// The activation fails.
    pub(crate) fails: u32,
    /// The activation never says anything.
    pub(crate) hangs: u32,
    /// The activation ends just about when its time is up.
    pub(crate) late: u32,
    /// Leaving takes about as long as it may, or longer.
    pub(crate) slow: u32,
    /// Leaving never ends.
    pub(crate) stuck: u32,
}

/// How messages fare, in chances of a thousand.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetConfig {
    /// Shortest way of a message.
    pub(crate) base: Ns,
    /// So much longer at most.
    pub(crate) spread: Ns,
    /// It is lost.
    pub(crate) lost: u32,
    /// It arrives twice.
    pub(crate) twice: u32,
    /// It takes about as long as some limit of its session.
    pub(crate) edge: u32,
    /// A reply that comes after the request was given up is still delivered.
    pub(crate) late_replies: u32,
    /// A timer fires so much too late at most.
    pub(crate) timer_lag: Ns,
}

impl NetConfig {
    /// Nothing is lost or late, or slower than sessions with this hold time can bear.
    pub(crate) fn calm(&self, hold: Ns) -> Self {
        Self { base: self.base.min(hold / 32), spread: self.spread.min(hold / 32), ..Self::default() }
    }
}

/// All of a world but what befalls it.
#[derive(Clone, Debug)]
pub(crate) struct WorldConfig {
    pub(crate) seed: u64,
    pub(crate) nodes: Vec<NodeConfig>,
    pub(crate) net: NetConfig,
    /// Smallest time to live of a lease.
    pub(crate) min_ttl: Ns,
    /// The store looks for leases that are due in this step.
    pub(crate) scan: Ns,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: vec![NodeConfig::default(); 3],
            net: NetConfig { base: MS / 2, ..NetConfig::default() },
            min_ttl: SECOND,
            scan: 500 * MS,
        }
    }
}
