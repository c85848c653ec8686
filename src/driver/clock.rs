//! The only reader of a clock: the one that counts suspend and never goes back (`CLOCK_BOOTTIME`).

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::election::Time;

/// The present. About 30 ns, without a system call where the kernel offers its clock page.
#[inline]
pub(crate) fn now() -> Time {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
    // Neither is ever negative on this clock.
    Time((tv_sec as u64) * 1_000_000_000 + tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }
}
