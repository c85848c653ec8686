//! Whether and when a command is started again.

use std::time::Duration;

use clap::ValueEnum;

use super::child::Death;

const LONGEST: Duration = Duration::from_secs(30);
/// Whoever ran so long begins anew.
const GOOD_WHILE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Restart {
    /// However it ends
    Always,
    /// Where it ends otherwise than with status 0
    OnFailure,
    /// Not at all: its status becomes that of `coordha run`
    Never,
}

impl Restart {
    pub(super) fn wants_more(self, death: Death) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => death != Death::Exited(0),
            Self::Never => false,
        }
    }
}

/// The pause before the next start: doubled each time.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    /// The first pause.
    pub(super) fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// After a run of this length.
    pub(super) fn pause(&mut self, ran: Duration) -> Duration {
        if ran >= GOOD_WHILE {
            self.next = self.first;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST.max(self.first));
        pause
    }
}
