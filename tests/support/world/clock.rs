//! True time, and the clocks of the sessions, which run at rates of their own.

use coordha::election::Time;

/// A point in true time, or a span of it, in ns.
pub(crate) type Ns = u64;

pub(crate) const MS: Ns = 1_000_000;
pub(crate) const SECOND: Ns = 1_000 * MS;

/// How fast a clock runs: `num / den` of true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    num: u64,
    den: u64,
}

impl Rate {
    pub(crate) const TRUE: Self = Self { num: 1, den: 1 };
    /// Faster by a ninth: with a slow clock against it the wait of 1.25 × H has no margin left at all.
    pub(crate) const FASTEST: Self = Self { num: 10, den: 9 };
    /// Slower by a ninth.
    pub(crate) const SLOWEST: Self = Self { num: 8, den: 9 };

    /// Off by so many parts in a thousand.
    pub(crate) fn permille(off: i64) -> Self {
        Self { num: (1000 + off) as u64, den: 1000 }
    }
}

/// A session's clock. It counts suspend and never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    rate: Rate,
    offset: u64,
}

impl Clock {
    pub(crate) fn new(rate: Rate, offset: u64) -> Self {
        Self { rate, offset: offset.max(1) }
    }

    /// What it shows at a true time.
    pub(crate) fn read(&self, at: Ns) -> Time {
        let Rate { num, den } = self.rate;
        if num == den {
            return Time(self.offset + at);
        }
        Time(self.offset + (u128::from(at) * u128::from(num) / u128::from(den)) as u64)
    }

    /// The first true time at which it shows `local` or more.
    pub(crate) fn when(&self, local: Time) -> Ns {
        self.span(local.0.saturating_sub(self.offset))
    }

    /// How long a span of its own time lasts in true time, rounded up.
    pub(crate) fn span(&self, local: u64) -> Ns {
        let Rate { num, den } = self.rate;
        if num == den {
            return local;
        }
        (u128::from(local) * u128::from(den)).div_ceil(u128::from(num)) as u64
    }
}
