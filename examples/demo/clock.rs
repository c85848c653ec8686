//! The clock of the event lines: the one that counts suspend, in ms.

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}
