//! What goes into the core and what comes out of it.

use std::ops::Add;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::kv::{LeaseId, LeaseReply, Revision, StoreError, Txn, TxnReply, WatchItem};
use crate::record::{Active, Ours, Process, Record, Tenure, TermRecord, millis};

/// So long a Milvus process goes on trying to register.
const MILVUS_TRIES: Duration = Duration::from_secs(81);

/// A point in time in ns, on a clock that counts suspend and never goes back. Where it starts does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Time {
    /// The time that is `duration` earlier; the start of the clock where that lies before it.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// From `earlier` to this; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What a session is started with. Fixed for its life, but for the priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The role name, such as `rootcoord`.
    pub role: String,
    /// The root of all keys, such as `by-dev/meta`, without a slash at either end.
    pub root: String,
    /// Where clients reach this session, `host:port`.
    pub address: String,
    /// `Version` of the record: strict semver.
    pub version: String,
    /// `HostName` of the record.
    pub host_name: String,
    /// Random, so that "mine" can be told from everybody else's.
    pub session_id: u128,
    /// Higher is tried first.
    pub priority: i32,
    /// Off: exclusive.
    pub active_standby: bool,
    /// Starts without contending.
    pub paused: bool,
    /// "Ready" and "left" are said by the core itself.
    pub auto: bool,
    /// H: how long the role may be held after a renewal.
    pub hold: Duration,
    /// Time to live that is asked of the store for the lease.
    pub ttl: Duration,
    /// Pause between two re-reads.
    pub reread: Duration,
    /// How long a standby waits for each one ranked before it.
    pub rank_step: Duration,
    /// Limit of any request; those of the election are limited by H / 4 as well.
    pub request_timeout: Duration,
    /// Limit of an activation.
    pub activation_timeout: Duration,
    /// Pause after a failed activation, or a resignation without a pause of its own; doubled up to 30 s.
    pub activation_backoff: Duration,
    /// Limit of a deactivation.
    pub deactivation_timeout: Duration,
    /// Limit of the release and revoke at the end.
    pub release_timeout: Duration,
    /// After a Milvus holder is gone: how long the role is left alone.
    pub milvus_takeover_delay: Duration,
    /// Exclusive: how long to wait for a holder; `None`: its TTL and 5 s, for a Milvus holder at least 81 s.
    pub exclusive_wait: Option<Duration>,
    /// Exclusive: at least so long, where `exclusive_wait` is `None`.
    pub exclusive_wait_floor: Duration,
    /// This process, where its death may be proven and that of others be believed (`election.same_host_proof`).
    pub process: Option<Process>,
}

impl Settings {
    /// The session's record.
    pub(super) fn record(&self, server_id: i64, lease_id: LeaseId, ttl: Duration, hold: Duration) -> Record {
        Record {
            server_id,
            server_name: self.role.clone(),
            address: self.address.clone(),
            exclusive: true,
            stopping: false,
            trigger_kill: true,
            version: self.version.clone(),
            lease_id,
            host_name: self.host_name.clone(),
            coordha: Some(Ours {
                session_id: self.session_id,
                priority: self.priority,
                hold_ms: millis(hold),
                ttl_ms: millis(ttl),
            }),
        }
    }

    /// The record of a term that is held by the session.
    pub(super) fn term_record(&self, server_id: i64) -> TermRecord {
        let (session_id, process) = (self.session_id, self.process.clone());
        TermRecord { tenure: Tenure::Held, session_id, server_id, process, ..TermRecord::default() }
    }

    /// How long an exclusive session waits for a holder, or a `past` one of Milvus's, which do not say their time to live.
    pub(super) fn exclusive_wait(&self, active: Option<&Active>, past: bool) -> Duration {
        let ours = active.and_then(|active| active.record.as_ref()?.coordha.as_ref());
        let ttl = ours.map_or(self.ttl, |ours| Duration::from_millis(ours.ttl_ms)) + Duration::from_secs(5);
        let milvus = past || active.is_some_and(Active::is_milvus);
        let wait = if milvus { ttl.max(MILVUS_TRIES) + self.milvus_takeover_delay } else { ttl };
        self.exclusive_wait.unwrap_or(wait.max(self.exclusive_wait_floor))
    }

    /// Why a session of an old coordinator's role does not start where this key of a mixcoord is.
    pub(super) fn beside_mixcoord(&self, key: &[u8]) -> Error {
        let (role, key) = (&self.role, key.escape_ascii());
        let allowed = format!("mixcoord; {role} where {key} is absent");
        let message = format!(
            "role = \"{role}\": Milvus 2.6 or later is here, as {key} is there, and a session of this role would keep its \
             mixcoords from starting (allowed: {allowed})"
        );
        let error = Error::new(ErrorKind::ConfigValue, message);
        error.with("key", "role").with("value", role).with("allowed", allowed).with("found", key)
    }

    /// Why an exclusive session gives up.
    pub(super) fn role_held(&self, by: Option<Holder>) -> Error {
        let held = |by: &str| Error::new(ErrorKind::RoleHeld, format!("{} is held by {by}", self.role));
        let Some(Holder { server_id, address, .. }) = by else {
            return held("a session whose record cannot be read");
        };
        let error = held(&format!("session {server_id} at {address}"));
        error.with("holder_address", address).with("holder_server_id", server_id)
    }
}

/// Names a request; never used twice by one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a watch; never used twice by one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// A request to the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoreRequest {
    /// Grant a lease; answered by [`Reply::Lease`].
    Grant {
        /// Time to live asked for.
        ttl: Duration,
    },
    /// Keep the lease alive; answered by [`Reply::Lease`].
    KeepAlive {
        /// The lease.
        lease: LeaseId,
    },
    /// End the lease; answered by [`Reply::Revoked`].
    Revoke {
        /// The lease.
        lease: LeaseId,
    },
    /// Do a transaction (reads are transactions that only read); answered by [`Reply::Txn`].
    Txn(Txn),
    /// Find the first event of a key in the store's whole history, by a watch from revision 1; answered by
    /// [`Reply::First`].
    First {
        /// The key.
        key: Vec<u8>,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// To a grant or a keepalive.
    Lease(std::result::Result<LeaseReply, StoreError>),
    /// To a revoke.
    Revoked(std::result::Result<(), StoreError>),
    /// To a transaction.
    Txn(std::result::Result<TxnReply, StoreError>),
    /// The revision of the key's first event; `None` where that part of the history is compacted.
    First(std::result::Result<Option<Revision>, StoreError>),
}

/// What the world tells the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Time passed: the timer of [`Election::next_timer`](super::Election::next_timer) is due. Harmless at any other time.
    Tick,
    /// A request was answered, or failed.
    Reply {
        /// Which one.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// A watch brought something.
    Watch {
        /// Which one.
        id: WatchId,
        /// What it brought.
        item: WatchItem,
    },
    /// This process is proven dead.
    Died(Process),
}

/// What the user of the session asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// "Ready", or the activation failed.
    ActivationDone {
        /// The term it belongs to.
        token: Revision,
        /// `Err`: it failed.
        result: Result<()>,
    },
    /// "Left": nothing of this term runs any more.
    DeactivationDone {
        /// The term it belongs to.
        token: Revision,
    },
    /// Leave for ever.
    Stop,
    /// Step down and contend again after `standby` (zero: after the activation back-off).
    Resign {
        /// How long not to contend.
        standby: Duration,
    },
    /// Do not contend; a held role is kept.
    Pause,
    /// Contend again.
    Resume,
    /// From now on [`Settings::priority`] is this; the member key is written anew.
    SetPriority(i32),
}

/// What the core wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Send a request to the store.
    Send {
        /// Names it in the reply.
        id: RequestId,
        /// What to send.
        request: StoreRequest,
        /// Give up after so long; answer [`StoreError::Unknown`] then.
        limit: Duration,
    },
    /// Watch [`Election::ranges`](super::Election::ranges) from a revision on, in place of the watch before.
    Watch {
        /// Names it in what it brings.
        id: WatchId,
        /// The first revision to show.
        from: Revision,
    },
    /// Wait for the death of this process, in place of the one before; `None`: of nobody.
    Prove(Option<Process>),
    /// Tell the user.
    Event(Event),
}

/// The state of a session, with the number that the C header gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Role {
    /// Not registered yet; an exclusive session waits here for the holder to go.
    #[default]
    Starting = 1,
    /// Registered and contending.
    Standby = 2,
    /// The term is held, the application is getting ready.
    Activating = 3,
    /// The term is held and the application is ready.
    Active = 4,
    /// The term ends or has ended, the application is leaving.
    Deactivating = 5,
    /// Over for ever.
    Ended = 6,
}

/// Why a term ended, or why contending is held back, with the number that the C header gives it.
///
/// 3 is kept for a handover to a named target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Reason {
    /// The session was stopped; the role is held until it is released.
    Stop = 1,
    /// The session resigned; the role is held until it is released.
    Resign = 2,
    /// The deadline passed without a renewal.
    Expired = 10,
    /// Another session owns the role.
    Superseded = 11,
    /// The active key was deleted by somebody.
    KeyDeleted = 12,
    /// The lease is gone.
    LeaseLost = 13,
    /// The store's revision went back.
    Regressed = 14,
    /// A defect of this library, caught.
    Internal = 15,
    /// The application's activation failed.
    ActivationFailed = 20,
    /// The application's activation took too long.
    ActivationTimeout = 21,
    /// Paused by the user.
    Paused = 40,
    /// The application has not left the last term yet.
    CallbackBusy = 41,
    /// A pause after a failed activation or a resignation.
    Backoff = 42,
    /// A Milvus process may still act for the role though the active key is free.
    MilvusHolder = 43,
}

/// Who is active.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Its server ID.
    pub server_id: i64,
    /// Where clients reach it.
    pub address: String,
    /// Its fencing token: the revision of the active key.
    pub token: Revision,
}

impl Holder {
    /// Who holds the active key, where its record can be read.
    pub(super) fn of(active: &Active) -> Option<Self> {
        let record = active.record.as_ref()?;
        Some(Self { server_id: record.server_id, address: record.address.clone(), token: active.revision })
    }
}

/// What the core tells the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A server ID and a lease were taken and, with active-standby on, the member key written.
    Registered {
        /// The server ID.
        server_id: i64,
        /// The granted time to live.
        ttl: Duration,
    },
    /// Standing by; the holder, if known.
    Standby(Option<Holder>),
    /// The term was won: get ready.
    Activate {
        /// The fencing token.
        token: Revision,
    },
    /// "Ready" was said: the session is active.
    Active {
        /// The fencing token.
        token: Revision,
    },
    /// Half of the hold time is gone without a renewal; the role is still held.
    Jeopardy {
        /// The fencing token.
        token: Revision,
    },
    /// Renewed again after a jeopardy.
    Safe {
        /// The fencing token.
        token: Revision,
    },
    /// Leave: drain where the role is held, only clean up where it is not.
    Deactivate {
        /// The fencing token.
        token: Revision,
        /// Why.
        reason: Reason,
        /// The role is still held, and renewed, until "left" is said.
        held: bool,
        /// What went wrong, if anything did.
        error: Option<Error>,
    },
    /// The role is gone: nothing of that term may act any more.
    TermEnded {
        /// The fencing token.
        token: Revision,
        /// Why.
        reason: Reason,
        /// What went wrong, if anything did.
        error: Option<Error>,
    },
    /// Who is active now; `None`: nobody. In exclusive mode: who is in the way.
    Holder(Option<Holder>),
    /// The store cannot be reached, or refuses.
    Degraded(Error),
    /// The store answers again.
    Recovered,
    /// Contending is held back, or by something else than told before.
    Blocked {
        /// Why.
        reason: Reason,
        /// The holder, if known; a past one has the token 0.
        holder: Option<Holder>,
        /// [`Reason::MilvusHolder`]: the key that stands in the way; the active key where only the takeover delay does.
        key: Option<Vec<u8>>,
    },
    /// A key cannot be read.
    Foreign {
        /// The key.
        key: Vec<u8>,
        /// Why not.
        error: Error,
    },
    /// Over for ever; the last event.
    Ended(Option<Error>),
}

/// What may be read at any time. The driver publishes it after each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// The state.
    pub role: Role,
    /// The token of the term that is held; 0: none is.
    pub token: Revision,
    /// The instant at which the term is over, whatever happens, if nothing renews it; `Time(0)` where none is held.
    pub deadline: Time,
    /// The held term was asked to end.
    pub ending: bool,
    /// The server ID; 0 before it is known.
    pub server_id: i64,
}
