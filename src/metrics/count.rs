//! What is counted as it happens.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::process::current;
use super::sample::with;
use super::{Happened, Reasons, list};

pub(super) type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Of requests: most take a few ms, and their limits are some seconds.
const FAST: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Of what the application does.
const SLOW: [f64; 12] = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

const OPERATIONS: [&str; 6] = ["grant", "keepalive", "revoke", "range", "txn", "watch"];

/// All counters and histograms of a process.
pub(super) struct Counts {
    terms_begun: Counters,
    terms_ended: Counters,
    activations_failed: Counters,
    activation_duration: Histograms,
    drain_duration: Histograms,
    renewals: Counters,
    renewal_duration: Histograms,
    jeopardies: Counters,
    leases_lost: Counters,
    events_missed: Counters,
    transactions: Counters,
    foreign_records: Counters,
    watch_restarts: Counters,
    watch_gaps: Counters,
    store_requests: Counters,
    store_request_duration: Histograms,
    store_endpoint_switches: Counters,
    observer_events_missed: Counters,
}

/// Registers a metric under the name and the words of its row.
pub(super) fn add(registry: &mut Registry, row: list::Family, metric: impl Metric) {
    // The encoder adds the end of a counter's name itself.
    let name = row.name.strip_suffix("_total").unwrap_or(row.name);
    registry.register(name, row.help, metric);
}

pub(super) fn labels(role: &str, root: &str) -> Labels {
    vec![("role", role.to_owned()), ("root", root.to_owned())]
}

impl Counts {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut counters = |row| {
            let family = Counters::default();
            add(registry, row, family.clone());
            family
        };
        let terms_begun = counters(list::TERMS_BEGUN);
        let terms_ended = counters(list::TERMS_ENDED);
        let activations_failed = counters(list::ACTIVATIONS_FAILED);
        let renewals = counters(list::RENEWALS);
        let jeopardies = counters(list::JEOPARDIES);
        let leases_lost = counters(list::LEASES_LOST);
        let events_missed = counters(list::EVENTS_MISSED);
        let transactions = counters(list::TRANSACTIONS);
        let foreign_records = counters(list::FOREIGN_RECORDS);
        let watch_restarts = counters(list::WATCH_RESTARTS);
        let watch_gaps = counters(list::WATCH_GAPS);
        let store_requests = counters(list::STORE_REQUESTS);
        let store_endpoint_switches = counters(list::STORE_ENDPOINT_SWITCHES);
        let observer_events_missed = counters(list::OBSERVER_EVENTS_MISSED);
        let mut histograms = |row, constructor: fn() -> Histogram| {
            let family = Histograms::new_with_constructor(constructor);
            add(registry, row, family.clone());
            family
        };
        Self {
            terms_begun,
            terms_ended,
            activations_failed,
            activation_duration: histograms(list::ACTIVATION_DURATION, slow),
            drain_duration: histograms(list::DRAIN_DURATION, slow),
            renewals,
            renewal_duration: histograms(list::RENEWAL_DURATION, fast),
            jeopardies,
            leases_lost,
            events_missed,
            transactions,
            foreign_records,
            watch_restarts,
            watch_gaps,
            store_requests,
            store_request_duration: histograms(list::STORE_REQUEST_DURATION, fast),
            store_endpoint_switches,
            observer_events_missed,
        }
    }
}

fn fast() -> Histogram {
    Histogram::new(FAST)
}

fn slow() -> Histogram {
    Histogram::new(SLOW)
}

/// What a session is counted by. All series are there from its start, at zero, so that their growth can be seen.
#[derive(Debug)]
pub(crate) struct SessionCounts {
    labels: Labels,
    hold: Duration,
    active_standby: bool,
    lease_ttl_ms: AtomicU64,
    holder_token: AtomicI64,
    members: AtomicI64,
    degraded: AtomicBool,
    blocked: Mutex<Option<&'static str>>,
    blocking_reasons: &'static [&'static str],
    /// `None`: forks cannot be seen.
    series: Option<Series>,
}

#[derive(Debug)]
struct Series {
    terms_begun: Counter,
    terms_ended: Counters,
    activations_failed: Counters,
    activation_duration: Histogram,
    drain_duration: Histogram,
    renewals_ok: Counter,
    renewals_failed: Counter,
    renewal_duration: Histogram,
    jeopardies: Counter,
    leases_lost: Counter,
    events_missed: Counter,
    transactions: Counters,
    foreign_records: Counter,
    watch_restarts: Counter,
    watch_gaps: Counter,
}

impl Series {
    fn new(counts: &Counts, labels: &Labels) -> Self {
        let one = |family: &Counters| family.get_or_create_owned(labels);
        let renewals = |outcome| counts.renewals.get_or_create_owned(&with(labels, "outcome", outcome));
        Self {
            terms_begun: one(&counts.terms_begun),
            terms_ended: counts.terms_ended.clone(),
            activations_failed: counts.activations_failed.clone(),
            activation_duration: counts.activation_duration.get_or_create_owned(labels),
            drain_duration: counts.drain_duration.get_or_create_owned(labels),
            renewals_ok: renewals("ok"),
            renewals_failed: renewals("failed"),
            renewal_duration: counts.renewal_duration.get_or_create_owned(labels),
            jeopardies: one(&counts.jeopardies),
            leases_lost: one(&counts.leases_lost),
            events_missed: one(&counts.events_missed),
            transactions: counts.transactions.clone(),
            foreign_records: one(&counts.foreign_records),
            watch_restarts: one(&counts.watch_restarts),
            watch_gaps: one(&counts.watch_gaps),
        }
    }
}

impl SessionCounts {
    pub(crate) fn new(role: &str, root: &str, hold: Duration, active_standby: bool, reasons: &Reasons) -> Self {
        let labels = labels(role, root);
        let series = current().map(|process| Series::new(&process.counts, &labels));
        if let Some(series) = &series {
            let all = [
                (&series.terms_ended, "reason", reasons.ending),
                (&series.activations_failed, "reason", reasons.failing),
                (&series.transactions, "outcome", reasons.outcomes),
            ];
            for (family, label, values) in all {
                values.iter().for_each(|value| drop(family.get_or_create(&with(&labels, label, value))));
            }
        }
        Self {
            labels,
            hold,
            active_standby,
            lease_ttl_ms: AtomicU64::new(0),
            holder_token: AtomicI64::new(0),
            members: AtomicI64::new(0),
            degraded: AtomicBool::new(false),
            blocked: Mutex::default(),
            blocking_reasons: reasons.blocking,
            series,
        }
    }
}

impl SessionCounts {
    pub(crate) fn count(&self, happened: Happened) {
        match happened {
            Happened::LeaseTtl(ttl) => self.lease_ttl_ms.store(millis(ttl), Ordering::Relaxed),
            Happened::Degraded(degraded) => self.degraded.store(degraded, Ordering::Relaxed),
            Happened::Holder(token) => self.holder_token.store(token, Ordering::Relaxed),
            Happened::Members(number) => {
                self.members.store(i64::try_from(number).unwrap_or(i64::MAX), Ordering::Relaxed);
            }
            Happened::Blocked(reason) => *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = reason,
            counted => {
                if let Some(series) = &self.series {
                    self.count_in(series, counted);
                }
            }
        }
    }

    fn count_in(&self, series: &Series, happened: Happened) {
        let count_one = |counter: &Counter| {
            counter.inc();
        };
        let count = |family: &Counters, label, value| {
            family.get_or_create(&with(&self.labels, label, value)).inc();
        };
        match happened {
            Happened::LeaseTtl(_)
            | Happened::Degraded(_)
            | Happened::Blocked(_)
            | Happened::Holder(_)
            | Happened::Members(_) => {}
            Happened::TermBegun => count_one(&series.terms_begun),
            Happened::TermEnded(reason) => count(&series.terms_ended, "reason", reason),
            Happened::ActivationFailed(reason) => count(&series.activations_failed, "reason", reason),
            Happened::Activated(after) => series.activation_duration.observe(after.as_secs_f64()),
            Happened::Drained(after) => series.drain_duration.observe(after.as_secs_f64()),
            Happened::Renewed(after) => {
                series.renewals_ok.inc();
                series.renewal_duration.observe(after.as_secs_f64());
            }
            Happened::RenewalFailed => count_one(&series.renewals_failed),
            Happened::Jeopardy => count_one(&series.jeopardies),
            Happened::LeaseLost => count_one(&series.leases_lost),
            Happened::EventMissed => count_one(&series.events_missed),
            Happened::Transaction(outcome) => count(&series.transactions, "outcome", outcome),
            Happened::Foreign => count_one(&series.foreign_records),
            Happened::WatchRestarted => count_one(&series.watch_restarts),
            Happened::WatchGap => count_one(&series.watch_gaps),
        }
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn hold(&self) -> Duration {
        self.hold
    }

    pub(super) fn lease_ttl(&self) -> Duration {
        Duration::from_millis(self.lease_ttl_ms.load(Ordering::Relaxed))
    }

    pub(super) fn active_standby(&self) -> bool {
        self.active_standby
    }

    pub(super) fn holder_token(&self) -> i64 {
        self.holder_token.load(Ordering::Relaxed)
    }

    pub(super) fn members(&self) -> i64 {
        self.members.load(Ordering::Relaxed)
    }

    pub(super) fn degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    pub(super) fn blocked(&self) -> Option<&'static str> {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn blocking_reasons(&self) -> &'static [&'static str] {
        self.blocking_reasons
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the requests to a store are counted by.
pub(crate) struct StoreCounts {
    store: &'static str,
    requests: Option<Counters>,
    durations: Vec<(&'static str, Histogram)>,
    switches: Option<Counter>,
}

impl StoreCounts {
    /// `store` is the store's name, such as `etcd`.
    pub(crate) fn new(store: &'static str) -> Self {
        let Some(counts) = current().map(|process| &process.counts) else {
            return Self { store, requests: None, durations: Vec::new(), switches: None };
        };
        let labels = vec![("store", store.to_owned())];
        let duration = |operation| {
            let labels = with(&labels, "operation", operation);
            drop(counts.store_requests.get_or_create(&with(&labels, "outcome", "ok")));
            (operation, counts.store_request_duration.get_or_create_owned(&labels))
        };
        Self {
            store,
            durations: OPERATIONS.into_iter().map(duration).collect(),
            requests: Some(counts.store_requests.clone()),
            switches: Some(counts.store_endpoint_switches.get_or_create_owned(&labels)),
        }
    }

    pub(crate) fn request(&self, operation: &'static str, outcome: &'static str, after: Duration) {
        if let Some(requests) = &self.requests {
            let labels = vec![
                ("store", self.store.to_owned()),
                ("operation", operation.to_owned()),
                ("outcome", outcome.to_owned()),
            ];
            requests.get_or_create(&labels).inc();
        }
        if let Some((_, duration)) = self.durations.iter().find(|(name, _)| *name == operation) {
            duration.observe(after.as_secs_f64());
        }
    }

    /// Another endpoint took the place of the one in use.
    pub(crate) fn switched(&self) {
        if let Some(switches) = &self.switches {
            switches.inc();
        }
    }
}

/// What an observer is counted by.
#[derive(Debug)]
pub(crate) struct ObserverCounts {
    missed: Option<Counter>,
}

impl ObserverCounts {
    pub(crate) fn new(role: &str, root: &str) -> Self {
        let of_role = |counts: &Counts| counts.observer_events_missed.get_or_create_owned(&labels(role, root));
        Self { missed: current().map(|process| of_role(&process.counts)) }
    }

    /// A holder was replaced by a newer one before it was read.
    pub(crate) fn missed(&self) {
        if let Some(missed) = &self.missed {
            missed.inc();
        }
    }
}
