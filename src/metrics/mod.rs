//! Metrics of the whole process as Prometheus text, from one call: [`text`].
//!
//! What has to be counted is counted where it happens, with one atomic each; what can be asked is asked at the call. A
//! question such as [`is_active`](crate::session::Session::is_active) counts nothing.
//!
//! Series carry the role and the root, and reasons or outcomes of which there are a few: no address, no token, no server
//! ID. Those of several sessions with the same role and root are added up; of their tokens and times the largest counts.
//! When a session or an observer has ended, its gauges are gone from the text; counters and histograms stay for the life
//! of the process. In a child of `fork` all begins anew, from nothing.
//!
//! The list is [`FAMILIES`], and the page `docs/metrics.md`.

#[cfg(feature = "metrics")]
#[cfg_attr(not(any(feature = "etcd", feature = "local")), allow(dead_code, reason = "there is no store to count"))]
mod count;
mod list;
#[cfg(not(feature = "metrics"))]
#[cfg_attr(not(any(feature = "etcd", feature = "local")), allow(dead_code, reason = "there is no store to count"))]
mod none;
#[cfg(feature = "metrics")]
mod process;
#[cfg(feature = "metrics")]
mod sample;

#[cfg(all(feature = "metrics", any(feature = "etcd", feature = "local")))]
pub(crate) use self::count::StoreCounts;
#[cfg(feature = "metrics")]
pub(crate) use self::count::{ObserverCounts, SessionCounts};
pub use self::list::{FAMILIES, Family, Kind};
#[cfg(all(not(feature = "metrics"), any(feature = "etcd", feature = "local")))]
pub(crate) use self::none::StoreCounts;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::none::{ObserverCounts, SessionCounts, register};
#[cfg(feature = "metrics")]
pub(crate) use self::process::register;

use std::sync::Arc;
use std::time::Duration;

/// The content type to serve the text with.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is read at the call.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody reads it"))]
pub(crate) trait Live: Send + Sync {
    /// `None`: it has ended.
    fn sample(&self) -> Option<Sample>;
}

/// A session or an observer at this instant.
#[derive(Debug)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody reads it"))]
pub(crate) enum Sample {
    Session { counts: Arc<SessionCounts>, state: &'static str, active: bool, token: i64, remaining: Duration },
    Observer { role: String, root: String, token: i64, reachable: bool },
}

/// What has happened to a session, or how it is from now on.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody reads it"))]
pub(crate) enum Happened {
    /// The lease has this time to live.
    LeaseTtl(Duration),
    /// There is trouble with the store, or none any more.
    Degraded(bool),
    /// Contending is held back by this reason, or no more.
    Blocked(Option<&'static str>),
    /// The role is held with this token; 0: by nobody.
    Holder(i64),
    /// So many member keys are there.
    Members(usize),
    TermBegun,
    TermEnded(&'static str),
    ActivationFailed(&'static str),
    /// "Ready" was said so long after the term began.
    Activated(Duration),
    /// "Left" was said so long after it was asked for.
    Drained(Duration),
    /// A renewal was answered so long after it was sent.
    Renewed(Duration),
    RenewalFailed,
    Jeopardy,
    LeaseLost,
    EventMissed,
    Transaction(&'static str),
    Foreign,
    WatchRestarted,
    WatchGap,
}

/// The values that labels of a session's series have.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nobody reads it"))]
pub(crate) struct Reasons {
    pub(crate) ending: &'static [&'static str],
    pub(crate) failing: &'static [&'static str],
    pub(crate) blocking: &'static [&'static str],
    pub(crate) outcomes: &'static [&'static str],
}

/// All metrics of this process, in Prometheus's text format 0.0.4 (see [`CONTENT_TYPE`]).
///
/// From any thread, at any time; it waits for no network. Without a session or an observer ever started it is little
/// more than the version.
///
/// ```
/// # use coordha::config::{Config, keys};
/// # use coordha::session::{Session, Until};
/// # let directory = tempfile::tempdir().unwrap();
/// # let mut config = Config::new();
/// # config.set(keys::ROLE, "rootcoord")?;
/// # config.set(keys::ADDRESS, "127.0.0.1:53100")?;
/// # config.set(keys::STORE_URL, &format!("local:{}", directory.path().display()))?;
/// # config.set(keys::ACTIVATION_AUTO, "true")?;
/// let session = Session::start(&config, None)?;
/// session.wait(Until::Active, None)?;
/// assert!(coordha::metrics::text().contains("coordha_session_active{role=\"rootcoord\",root=\"by-dev/meta\"} 1\n"));
/// # session.stop(None)?;
/// # Ok::<(), coordha::error::Error>(())
/// ```
#[cfg(feature = "metrics")]
pub fn text() -> String {
    process::current().map(process::Process::text).unwrap_or_default()
}
