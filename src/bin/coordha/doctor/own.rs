//! What is known without a store: the configuration, and the clock.

use std::sync::{Arc, Mutex, PoisonError};

use coordha::config::{Config, keys};
use rustix::time::{ClockId, clock_gettime};
use tracing::field::{Field, Visit};
use tracing::{Event, Level as LogLevel, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::finding::{Finding, bad, ok, warn};
use crate::exit::Failure;
use crate::options::Options;
use crate::words::seconds;

/// What Kubernetes grants between SIGTERM and SIGKILL where nothing else is said; systemd grants 90 s.
const SHORTEST_GRACE_MS: u64 = 30_000;
/// An etcd that has lost its leader has none for one to two of its election timeouts, 1 s each where nothing else is set.
const LEADERLESS_MS: u64 = 2000;

/// Collects what loading a configuration warns of.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Words {
    message: String,
    place: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "place" => self.place = format!("{value:?}"),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "place" {
            self.place = value.to_owned();
        }
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > LogLevel::WARN {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let text = if words.place.is_empty() { words.message } else { format!("{}: {}", words.place, words.message) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// Loads the configuration, and what that warns of.
pub(super) fn load(options: &Options) -> Result<(Config, Vec<Finding>), Failure> {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let config = tracing::subscriber::with_default(subscriber, || options.load())?;
    let warnings = std::mem::take(&mut *warnings.0.lock().unwrap_or_else(PoisonError::into_inner));
    let advice = "set both to the same value, or the working key alone: what Milvus ignores leaves it exclusive";
    Ok((config, warnings.into_iter().map(|text| warn("config", text, advice)).collect()))
}

/// Whether the values go together.
pub(super) fn configuration(config: &Config) -> Vec<Finding> {
    if let Err(error) = config.resolve_inspector() {
        return vec![bad("config", error.message(), "correct what it names: no session starts with it")];
    }
    let mut findings = vec![ok("config", mode(config))];
    findings.push(times(config));
    findings.push(stopping(config));
    findings
}

fn number(config: &Config, key: &str) -> u64 {
    config.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn mode(config: &Config) -> String {
    let is_on = config.get(keys::ACTIVE_STANDBY_ENABLED).as_deref() == Some("true");
    let mode = if is_on { "active-standby" } else { "exclusive (active_standby.enabled is off)" };
    let of = config.get(keys::ROLE).map_or(String::new(), |role| format!(" of role {role}"));
    format!("the values go together; a session{of} started with them is {mode}")
}

fn times(config: &Config) -> Finding {
    let (ttl, hold) = (number(config, keys::LEASE_TTL_MS), number(config, keys::ELECTION_HOLD_MS));
    let text = format!(
        "hold time {}, lease {}: after the loss of a host another one takes over in about {}, a Milvus standby in {}",
        seconds(hold),
        seconds(ttl),
        seconds(hold + hold / 4),
        seconds(ttl)
    );
    if hold < LEADERLESS_MS {
        let advice = "etcd elects a leader in 1 to 2 s at its default settings, and a term ends meanwhile: 3000 or more, or a \
                      shorter --election-timeout of etcd's";
        return warn("times", text, format!("election.hold_ms = {hold}: {advice}"));
    }
    ok("times", text)
}

fn stopping(config: &Config) -> Finding {
    let drain = number(config, keys::DEACTIVATION_TIMEOUT_MS);
    let release = number(config, keys::RELEASE_TIMEOUT_MS);
    let sum = drain + release;
    let text = format!(
        "an orderly stop takes up to {} (drain {}, release {})",
        seconds(sum),
        seconds(drain),
        seconds(release)
    );
    if sum < SHORTEST_GRACE_MS {
        return ok("stop", format!("{text}: within the 30 s of Kubernetes and the 90 s of systemd"));
    }
    let grace = sum / 1000 + 2;
    warn(
        "stop",
        text,
        format!("the supervisor must wait longer: terminationGracePeriodSeconds: {grace}, TimeoutStopSec={grace}"),
    )
}

/// Whether the clock that terms are counted on is there.
pub(super) fn clock() -> Finding {
    let ms = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000
    };
    let suspended = ms(ClockId::Boottime) - ms(ClockId::Monotonic);
    let since = match suspended {
        i64::MIN..1000 => "this host was not suspended since it started".to_owned(),
        _ => format!("this host was suspended for {} s since it started, which it counts", suspended / 1000),
    };
    ok("clock", format!("terms end by CLOCK_BOOTTIME ({since}); the time of day plays no part"))
}
