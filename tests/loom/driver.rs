//! The file itself, and what its parent is to it.

use crate::atomic;

pub(crate) mod clock {
    use coordha::election::Time;

    pub(crate) fn now() -> Time {
        Time(1_000)
    }
}

#[path = "../../src/driver/published.rs"]
#[expect(dead_code, unused_imports, reason = "its own tests run elsewhere")]
pub(crate) mod published;
