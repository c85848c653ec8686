//! All metrics: one row each. `docs/metrics.md` is made from it.

/// How the values of a metric move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process on.
    Counter,
    /// It is what it is at the call.
    Gauge,
    /// How often, how much in all, and how many up to each limit.
    Histogram,
}

/// One metric, as Prometheus names it: a family of series, one for each set of label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name in the text.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence without its full stop.
    pub help: &'static str,
}

const ROLE: &[&str] = &["role", "root"];
const ROLE_OUTCOME: &[&str] = &["role", "root", "outcome"];
const ROLE_REASON: &[&str] = &["role", "root", "reason"];

const fn row(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    row(name, Kind::Counter, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    row(name, Kind::Gauge, labels, help)
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    row(name, Kind::Histogram, labels, help)
}

/// All of them.
pub const FAMILIES: &[Family] = &[
    BUILD_INFO,
    SESSIONS,
    SESSION_STATE,
    SESSION_ACTIVE,
    SESSION_FENCING_TOKEN,
    SESSION_REMAINING,
    SESSION_HOLD,
    SESSION_LEASE_TTL,
    SESSION_DEGRADED,
    SESSION_BLOCKED,
    SESSION_ACTIVE_STANDBY,
    SESSION_HOLDER_TOKEN,
    SESSION_MEMBERS,
    TERMS_BEGUN,
    TERMS_ENDED,
    ACTIVATIONS_FAILED,
    ACTIVATION_DURATION,
    DRAIN_DURATION,
    RENEWALS,
    RENEWAL_DURATION,
    JEOPARDIES,
    LEASES_LOST,
    EVENTS_MISSED,
    TRANSACTIONS,
    FOREIGN_RECORDS,
    WATCH_RESTARTS,
    WATCH_GAPS,
    STORE_REQUESTS,
    STORE_REQUEST_DURATION,
    STORE_ENDPOINT_SWITCHES,
    OBSERVERS,
    OBSERVER_TOKEN,
    OBSERVER_REACHABLE,
    OBSERVER_EVENTS_MISSED,
];

pub(super) const BUILD_INFO: Family =
    gauge("coordha_build_info", &["version"], "Always 1; the version of the library is its label");

pub(super) const SESSIONS: Family = gauge("coordha_sessions", ROLE, "Sessions of this process that have not ended");
pub(super) const SESSION_STATE: Family = gauge(
    "coordha_session_state",
    &["role", "root", "state"],
    "Sessions in this state: starting, standby, activating, active or deactivating",
);
pub(super) const SESSION_ACTIVE: Family = gauge(
    "coordha_session_active",
    ROLE,
    "Sessions whose is_active is true now: 1 on the active one, 0 on a standby; by the clock, so it falls to 0 at the deadline",
);
pub(super) const SESSION_FENCING_TOKEN: Family =
    gauge("coordha_session_fencing_token", ROLE, "Fencing token of the term that is held; 0 while none is");
pub(super) const SESSION_REMAINING: Family = gauge(
    "coordha_session_remaining_seconds",
    ROLE,
    "Time until the held term is over if nothing renews it; 0 while none is held",
);
pub(super) const SESSION_HOLD: Family = gauge(
    "coordha_session_hold_seconds",
    ROLE,
    "Hold time: how long a term may be held after a renewal, as configured",
);
pub(super) const SESSION_LEASE_TTL: Family =
    gauge("coordha_session_lease_ttl_seconds", ROLE, "Time to live of the lease, as granted; 0 before it is");
pub(super) const SESSION_DEGRADED: Family =
    gauge("coordha_session_degraded", ROLE, "Sessions that have trouble with the store now");
pub(super) const SESSION_BLOCKED: Family =
    gauge("coordha_session_blocked", ROLE_REASON, "Sessions that do not contend now, for this reason");

pub(super) const SESSION_ACTIVE_STANDBY: Family =
    gauge("coordha_session_active_standby", ROLE, "Sessions with active-standby on; 0: exclusive");
pub(super) const SESSION_HOLDER_TOKEN: Family = gauge(
    "coordha_session_holder_token",
    ROLE,
    "Fencing token of whoever holds the role, Milvus's too, as the session saw it last; 0: nobody",
);
pub(super) const SESSION_MEMBERS: Family = gauge(
    "coordha_session_members",
    ROLE,
    "Member keys of the role, its own and Milvus's among them, as the session saw them last",
);

pub(super) const TERMS_BEGUN: Family =
    counter("coordha_terms_begun_total", ROLE, "Terms won: each is a takeover by this process");
pub(super) const TERMS_ENDED: Family = counter("coordha_terms_ended_total", ROLE_REASON, "Terms that ended, by reason");
pub(super) const ACTIVATIONS_FAILED: Family = counter(
    "coordha_activations_failed_total",
    ROLE_REASON,
    "Activations that failed (activation_failed) or took too long (activation_timeout)",
);
pub(super) const ACTIVATION_DURATION: Family =
    histogram("coordha_activation_duration_seconds", ROLE, "From a term's start to \"ready\"");
pub(super) const DRAIN_DURATION: Family = histogram(
    "coordha_drain_duration_seconds",
    ROLE,
    "From being asked to leave a term to \"left\"; not where the library answers itself",
);
pub(super) const RENEWALS: Family =
    counter("coordha_renewals_total", ROLE_OUTCOME, "Renewals of held terms: ok, or failed");
pub(super) const RENEWAL_DURATION: Family =
    histogram("coordha_renewal_duration_seconds", ROLE, "From sending a renewal to its answer, of those that are ok");
pub(super) const JEOPARDIES: Family =
    counter("coordha_jeopardies_total", ROLE, "How often half of the hold time was gone without a renewal");
pub(super) const LEASES_LOST: Family =
    counter("coordha_leases_lost_total", ROLE, "Leases that were gone, or not answered for");
pub(super) const EVENTS_MISSED: Family =
    counter("coordha_events_missed_total", ROLE, "Events dropped because nobody read them in time (events.queue)");
pub(super) const TRANSACTIONS: Family =
    counter("coordha_transactions_total", ROLE_OUTCOME, "Guarded transactions: committed, or why not");
pub(super) const FOREIGN_RECORDS: Family =
    counter("coordha_foreign_records_total", ROLE, "Keys of the role found that cannot be read");
pub(super) const WATCH_RESTARTS: Family =
    counter("coordha_watch_restarts_total", ROLE, "Watches of sessions begun anew, after the first");
pub(super) const WATCH_GAPS: Family =
    counter("coordha_watch_gaps_total", ROLE, "Reads that showed what the watch had not shown");

pub(super) const STORE_REQUESTS: Family = counter(
    "coordha_store_requests_total",
    &["store", "operation", "outcome"],
    "Requests to the store: ok, or why not",
);
pub(super) const STORE_REQUEST_DURATION: Family = histogram(
    "coordha_store_request_duration_seconds",
    &["store", "operation"],
    "From a request to its answer or its limit; of a watch, until it is asked for",
);
pub(super) const STORE_ENDPOINT_SWITCHES: Family = counter(
    "coordha_store_endpoint_switches_total",
    &["store"],
    "How often an endpoint failed and another one took its place",
);

pub(super) const OBSERVERS: Family = gauge("coordha_observers", ROLE, "Observers of this process");
pub(super) const OBSERVER_TOKEN: Family = gauge(
    "coordha_observer_token",
    ROLE,
    "Fencing token of the active one, as an observer knows it; 0: nobody is active, or it is not known yet",
);
pub(super) const OBSERVER_REACHABLE: Family =
    gauge("coordha_observer_reachable", ROLE, "Observers that the store has answered, the last time too");
pub(super) const OBSERVER_EVENTS_MISSED: Family = counter(
    "coordha_observer_events_missed_total",
    ROLE,
    "Holders that were replaced by a newer one before they were read",
);
