//! Times, and what is said of them.

use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// The present in ns, on the clock that all processes of the host share and that counts suspend.
pub(crate) fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Measurements of one kind; of times, in ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, measured: f64) {
        self.0.push(measured);
    }

    /// Adds the time between two readings of [`now_ns`].
    pub(crate) fn add(&mut self, from_ns: i64, to_ns: i64) {
        self.push((to_ns - from_ns) as f64 / 1e6);
    }

    pub(crate) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which so much of 1 lies (nearest rank).
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Milliseconds, with three digits that count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ms(pub(crate) f64);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms < 10.0 => write!(f, "{ms:.2} ms"),
            ms if ms < 100.0 => write!(f, "{ms:.1} ms"),
            ms if ms < 10_000.0 => write!(f, "{ms:.0} ms"),
            ms => write!(f, "{:.1} s", ms / 1000.0),
        }
    }
}
