//! What the subcommands that look have in common.

use std::time::Duration;

use coordha::inspect::{Health, Inspector};

use crate::exit::{FAILED, Failure};
use crate::options::Options;
use crate::words;

/// How long an endpoint's own state is waited for; the rest is shown without it.
pub(crate) const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// Runs what looks, with what it looks with, in a runtime of its own.
pub(crate) fn look<T>(
    options: &Options,
    work: impl AsyncFnOnce(Inspector) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = options.load()?;
    quietly(|| runtime()?.block_on(async { work(Inspector::open(&config)?).await }))
}

/// Without what the connection logs, unless that was asked for: what is wrong is told once, and a screen is not to be
/// written over.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    if std::env::var_os("COORDHA_LOG").is_some_and(|level| !level.is_empty()) {
        return work();
    }
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), work)
}

/// A runtime of one thread: it starts at once.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::new(FAILED, format!("no async runtime: {error}")))
}

/// A line for each endpoint of etcd, and one for each alarm.
pub(crate) fn health_lines(health: &Health) -> Vec<String> {
    let width = health.endpoints.iter().map(|endpoint| endpoint.endpoint.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = health
        .endpoints
        .iter()
        .map(|endpoint| {
            let name = &endpoint.endpoint;
            let Some(status) = &endpoint.status else {
                return format!("{name:width$}  DOWN  {}", endpoint.why);
            };
            let part = match status.leader_id {
                0 => "NO LEADER",
                leader if leader == status.member_id => "leader",
                _ if status.is_learner => "learner",
                _ => "follower",
            };
            let size = words::bytes(status.db_bytes);
            format!("{name:width$}  {}  {part}  {size}  answered in {} ms", status.version, endpoint.took_ms)
        })
        .collect();
    let alarms = health.alarms.iter().flatten();
    lines.extend(alarms.map(|alarm| format!("ALARM {} of member {:x}", alarm.alarm, alarm.member_id)));
    lines
}
