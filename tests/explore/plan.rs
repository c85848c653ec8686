//! What is explored: sessions, their clocks, and what may happen to them.

use std::time::Duration;

use coordha::election::{Flaw, Settings};

use crate::names;

/// Longer than every wait, but for those that are endless here.
pub(crate) const HORIZON: Duration = Duration::from_secs(10);

/// What is due later than this is never due.
pub(crate) const NEVER: Duration = Duration::from_secs(100_000);

/// What happens at most so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fault {
    /// The lease of a live session ends early.
    Lease,
    /// Somebody deletes the active key.
    Active,
    /// Somebody deletes the term record.
    Term,
    /// Somebody writes garbage over the term record.
    Garbage,
    /// Somebody puts the active key without a lease.
    Put,
    /// A Milvus coordinator registers and takes the role, the active key being absent. It acts as long as its lease lives,
    /// whether it has the active key or not.
    Milvus,
    /// A Milvus coordinator registers, all sessions knowing who holds the role, and is stuck: it never does more, nor ends.
    Stuck,
    /// A session crashes, and another starts in its place.
    Crash,
    /// A session is asked to step down.
    Resign,
    /// A session is asked to stop, and another starts in its place when it has ended.
    Stop,
    /// A watch breaks.
    Watch,
    /// A request is refused before it reaches the store.
    Refuse,
    /// A session that has something to do sleeps for a tick.
    Freeze,
}

/// Of a fault: as often as it likes.
pub(crate) const ALWAYS: u8 = u8::MAX;

pub(crate) const FAULTS: usize = 13;

/// One exploration.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) sessions: usize,
    /// H of each session.
    pub(crate) hold_ms: [u64; 3],
    /// What each session's clock counts in one tick of true time.
    pub(crate) tick_ms: [u64; 3],
    /// Time to live of the leases in ms, and in ticks at the store; `None`: they end only when somebody ends them.
    pub(crate) ttl: Option<(u64, u8)>,
    /// The application answers by itself, at any time.
    pub(crate) by_hand: bool,
    /// Whether a session that takes the store for restored would be noticed; it costs states.
    pub(crate) newest: bool,
    /// A request may reach the store twice.
    pub(crate) twice: bool,
    /// Requests under way whose answer nobody waits for; one more is lost.
    pub(crate) strays: usize,
    /// `election.milvus_takeover_delay_ms`.
    pub(crate) delay_ms: u64,
    /// For so many ticks a Milvus holder acts on when its lease has ended.
    pub(crate) lingers: u8,
    /// A Milvus holder may lose its key before all watches have told of it.
    pub(crate) unseen: bool,
    pub(crate) budget: [u8; FAULTS],
}

impl Plan {
    /// Two sessions whose clocks differ by a quarter: one 10.7 % slow, the other 10.7 % fast. Nothing goes wrong
    /// but the messages.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            flaw: None,
            sessions: 2,
            hold_ms: [2200, 1500, 1500],
            tick_ms: [1000, 1240, 1120],
            ttl: None,
            by_hand: false,
            newest: false,
            twice: true,
            strays: usize::MAX,
            delay_ms: 0,
            lingers: 0,
            unseen: false,
            budget: [0; FAULTS],
        }
    }

    pub(crate) fn with(mut self, fault: Fault, times: u8) -> Self {
        self.budget[fault as usize] = times;
        self
    }

    /// Whether the member keys stay as they are.
    pub(crate) fn members_stay(&self) -> bool {
        [Fault::Lease, Fault::Crash, Fault::Stop, Fault::Milvus, Fault::Stuck]
            .iter()
            .all(|fault| self.budget[*fault as usize] == 0)
            && self.ttl.is_none()
    }

    /// Whether a Milvus coordinator ever stands for the role.
    pub(crate) fn has_milvus(&self) -> bool {
        self.budget[Fault::Milvus as usize] + self.budget[Fault::Stuck as usize] > 0
    }

    /// The time to live that the store grants.
    pub(crate) fn ttl_ms(&self) -> u64 {
        self.ttl.map_or(2_000_000_000, |(ms, _)| ms)
    }

    pub(crate) fn tick(&self, seat: usize) -> Duration {
        Duration::from_millis(self.tick_ms[seat])
    }

    pub(crate) fn settings(&self, seat: usize, client: u8) -> Settings {
        Settings {
            role: names::ROLE.into(),
            root: names::ROOT.into(),
            address: format!("h{client}:1"),
            version: "2.5.0".into(),
            host_name: String::new(),
            session_id: u128::from(client) + 1,
            priority: 0,
            active_standby: true,
            paused: false,
            auto: !self.by_hand,
            hold: Duration::from_millis(self.hold_ms[seat]),
            ttl: Duration::from_millis(self.ttl_ms()),
            reread: NEVER,
            rank_step: Duration::ZERO,
            request_timeout: Duration::from_secs(5),
            activation_timeout: NEVER,
            activation_backoff: Duration::ZERO,
            deactivation_timeout: NEVER,
            release_timeout: Duration::from_millis(1),
            milvus_takeover_delay: Duration::from_millis(self.delay_ms),
            exclusive_wait: None,
            exclusive_wait_floor: Duration::ZERO,
            process: None,
        }
    }
}
