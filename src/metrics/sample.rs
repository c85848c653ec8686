//! The gauges: what all sessions and observers are at the call.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Sample;
use super::count::{Labels, SessionCounts, add, labels};
use super::list;

type Numbers = Family<Labels, Gauge>;
type Seconds = Family<Labels, Gauge<f64, AtomicU64>>;

const STATES: [&str; 5] = ["starting", "standby", "activating", "active", "deactivating"];

#[derive(Default)]
struct Gauges {
    sessions: Numbers,
    state: Numbers,
    active: Numbers,
    token: Numbers,
    remaining: Seconds,
    hold: Seconds,
    lease_ttl: Seconds,
    degraded: Numbers,
    blocked: Numbers,
    active_standby: Numbers,
    holder_token: Numbers,
    members: Numbers,
    observers: Numbers,
    observer_token: Numbers,
    observer_reachable: Numbers,
}

pub(super) fn registry(samples: Vec<Sample>) -> Registry {
    let mut registry = Registry::default();
    let build = Numbers::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
    add(&mut registry, list::BUILD_INFO, build);
    let gauges = Gauges::default();
    add(&mut registry, list::SESSIONS, gauges.sessions.clone());
    add(&mut registry, list::SESSION_STATE, gauges.state.clone());
    add(&mut registry, list::SESSION_ACTIVE, gauges.active.clone());
    add(&mut registry, list::SESSION_FENCING_TOKEN, gauges.token.clone());
    add(&mut registry, list::SESSION_REMAINING, gauges.remaining.clone());
    add(&mut registry, list::SESSION_HOLD, gauges.hold.clone());
    add(&mut registry, list::SESSION_LEASE_TTL, gauges.lease_ttl.clone());
    add(&mut registry, list::SESSION_DEGRADED, gauges.degraded.clone());
    add(&mut registry, list::SESSION_BLOCKED, gauges.blocked.clone());
    add(&mut registry, list::SESSION_ACTIVE_STANDBY, gauges.active_standby.clone());
    add(&mut registry, list::SESSION_HOLDER_TOKEN, gauges.holder_token.clone());
    add(&mut registry, list::SESSION_MEMBERS, gauges.members.clone());
    add(&mut registry, list::OBSERVERS, gauges.observers.clone());
    add(&mut registry, list::OBSERVER_TOKEN, gauges.observer_token.clone());
    add(&mut registry, list::OBSERVER_REACHABLE, gauges.observer_reachable.clone());
    for sample in samples {
        gauges.take(sample);
    }
    registry
}

impl Gauges {
    fn take(&self, sample: Sample) {
        match sample {
            Sample::Session { counts, state, active, token, remaining } => {
                let labels = counts.labels();
                for other in STATES {
                    let is_in = i64::from(other == state);
                    self.state.get_or_create(&with(labels, "state", other)).inc_by(is_in);
                }
                self.sessions.get_or_create(labels).inc();
                self.active.get_or_create(labels).inc_by(i64::from(active));
                raise(&self.token, labels, token);
                raise_to(&self.remaining, labels, remaining);
                self.take_counts(&counts);
            }
            Sample::Observer { role, root, token, reachable } => {
                let labels = &labels(&role, &root);
                self.observers.get_or_create(labels).inc();
                raise(&self.observer_token, labels, token);
                self.observer_reachable.get_or_create(labels).inc_by(i64::from(reachable));
            }
        }
    }

    fn take_counts(&self, counts: &SessionCounts) {
        let labels = counts.labels();
        raise_to(&self.hold, labels, counts.hold());
        raise_to(&self.lease_ttl, labels, counts.lease_ttl());
        self.degraded.get_or_create(labels).inc_by(i64::from(counts.degraded()));
        self.active_standby.get_or_create(labels).inc_by(i64::from(counts.active_standby()));
        raise(&self.holder_token, labels, counts.holder_token());
        raise(&self.members, labels, counts.members());
        let blocked = counts.blocked();
        for reason in counts.blocking_reasons() {
            let is_why = i64::from(blocked == Some(*reason));
            self.blocked.get_or_create(&with(labels, "reason", reason)).inc_by(is_why);
        }
    }
}

fn raise(family: &Numbers, labels: &Labels, value: i64) {
    let gauge = family.get_or_create_owned(labels);
    gauge.set(value.max(gauge.get()));
}

fn raise_to(family: &Seconds, labels: &Labels, value: Duration) {
    let gauge = family.get_or_create_owned(labels);
    gauge.set(value.as_secs_f64().max(gauge.get()));
}

/// With one more label, whose values are names in small letters.
pub(super) fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_ascii_lowercase()));
    labels
}
