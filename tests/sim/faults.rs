//! The faults of a plan, most of them tied to the instants that decide.

use fastrand::Rng;

use crate::plan::{app, pick};
use crate::world::clock::{MS, Ns, SECOND};
use crate::world::fault::{Fault, WatchFault, Which};
use crate::world::inject::{Injection, When, Who};
use crate::world::message::Kind;
use crate::world::network::{Act, Filter, Way};
use crate::world::stranger::MILVUS;

/// Kinds of requests that much hangs on, the more often the more.
const KINDS: [Kind; 16] = [
    Kind::Renew,
    Kind::Renew,
    Kind::Renew,
    Kind::Campaign,
    Kind::Campaign,
    Kind::Release,
    Kind::Release,
    Kind::Read,
    Kind::Read,
    Kind::KeepAlive,
    Kind::KeepAlive,
    Kind::Mark,
    Kind::Vacant,
    Kind::Register,
    Kind::Revoke,
    Kind::Grant,
];

/// Texts that a stranger may write.
const TEXTS: [&str; 5] = ["", "no json", "[1,2]", r#"{"ServerID":"seven"}"#, MILVUS];

/// The node is put in when the fault begins.
pub(crate) const NODE: usize = 0;

/// The Milvus sessions of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside {
    /// They stand for the role of a mixcoord.
    pub(crate) mixcoord: bool,
    /// How long they act on when they have lost the role.
    pub(crate) lingers: Ns,
}

/// Draws faults.
pub(crate) struct Dice<'a> {
    pub(crate) rng: &'a mut Rng,
    /// The hold times of the sessions.
    pub(crate) holds: Vec<Ns>,
    /// Whether the term record may be deleted or written over.
    pub(crate) wipes: bool,
    pub(crate) milvus: Option<Beside>,
}

impl Dice<'_> {
    /// The faults of a whole plan.
    pub(crate) fn injections(&mut self) -> Vec<Injection> {
        let count = self.rng.usize(4..16);
        let mut injections = Vec::new();
        while injections.len() < count {
            if let Some(beside) = self.milvus.filter(|_| self.rng.u8(0..4) == 0) {
                injections.extend(self.milvus_comes(beside));
            }
            match self.rng.u8(0..8) {
                0..2 => injections.extend(self.two_at_once()),
                2..4 => injections.extend(self.recipe()),
                _ => injections.push(self.one()),
            }
        }
        injections
    }

    fn one(&mut self) -> Injection {
        Injection { pause: self.pause(), when: self.when(), who: self.who(), fault: self.fault(), until: self.until() }
    }

    /// Two faults that begin at one instant, of different nodes more often than not.
    fn two_at_once(&mut self) -> [Injection; 2] {
        let first = self.one();
        let other = match first.who {
            Who::Holder => Who::Other(0),
            Who::Other(_) => Who::Holder,
        };
        let second = Injection {
            pause: 0,
            when: When::After(self.pick(&[0, 0, 1, MS])),
            who: if self.rng.u8(0..4) == 0 { first.who } else { other },
            ..self.one()
        };
        [first, second]
    }

    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        pick(self.rng, values)
    }

    pub(crate) fn hold(&mut self) -> Ns {
        pick(self.rng, &self.holds)
    }

    fn who(&mut self) -> Who {
        if self.rng.bool() { Who::Holder } else { Who::Other(self.rng.usize(0..5)) }
    }

    fn pause(&mut self) -> Ns {
        let hold = self.hold();
        match self.rng.u8(0..4) {
            0 => 0,
            1 => self.rng.u64(0..hold),
            2 => self.rng.u64(0..2 * hold),
            _ => self.rng.u64(0..2 * SECOND),
        }
    }

    /// A little, or some part of a hold time, before or after.
    fn offset(&mut self) -> i64 {
        let hold = self.hold() as i64;
        let ms = MS as i64;
        let off = self.pick(&[0, 0, 1, 1, 1000, ms, hold / 100, hold / 8, hold / 4, hold / 2, hold]);
        if self.rng.bool() { off } else { -off }
    }

    fn when(&mut self) -> When {
        match self.rng.u8(0..10) {
            0..3 => When::After(0),
            3..5 => When::Deadline(self.offset()),
            5 => When::Timer(self.who(), self.offset()),
            6 => When::Wait(self.who(), self.offset()),
            7..9 => When::Commit(self.pick(&KINDS)),
            _ => When::Activation,
        }
    }

    fn until(&mut self) -> When {
        let hold = self.hold();
        let spans = [hold / 4, hold / 2, hold, hold * 5 / 4, hold * 3 / 2, 2 * hold];
        match self.rng.u8(0..10) {
            0..2 => When::After(self.pick(&spans)),
            2..4 => When::After(self.rng.u64(0..3 * hold)),
            4..6 => When::Deadline(self.offset()),
            6..8 => When::Wait(self.who(), self.offset()),
            8 => When::Timer(self.who(), self.offset()),
            _ => When::Commit(self.pick(&KINDS)),
        }
    }

    fn fault(&mut self) -> Fault {
        match self.rng.u8(0..100) {
            0..16 => self.cut(),
            16..36 => self.filter(),
            36..40 => Fault::Deposed(NODE),
            40..46 => Fault::Freeze(NODE),
            46..48 => Fault::Suspend(NODE),
            48..58 => Fault::Kill { node: NODE, restart: Some(self.restart()) },
            58..62 => Fault::Stop { node: NODE, restart: Some(SECOND + self.restart()) },
            62..67 => Fault::Resign { node: NODE, standby: self.pick(&[0, 0, 100 * MS, SECOND]) },
            67 => Fault::Pause(NODE),
            68..72 => Fault::RevokeLease(NODE),
            72..78 => self.of_the_store(),
            78..85 => Fault::Delete(self.which()),
            85..89 => self.put(),
            89 => Fault::Storm,
            90 => Fault::Milvus { ttl_ms: self.pick(&[1000, 3000]) },
            91..95 => self.of_the_watch(),
            95..98 => Fault::WatchLate { node: NODE, by: self.hold() / self.pick(&[1, 2, 4, 8]) },
            _ => Fault::App { node: NODE, app: app(self.rng) },
        }
    }

    fn of_the_store(&mut self) -> Fault {
        match self.rng.u8(0..6) {
            0 => Fault::ExtendLeases(SECOND),
            1 => Fault::LeasesLive,
            2 => Fault::Silence,
            3 => Fault::Refusal,
            4 => Fault::NoSpace,
            _ => Fault::Compact,
        }
    }

    fn of_the_watch(&mut self) -> Fault {
        Fault::Watch {
            node: NODE,
            fault: self.pick(&[
                WatchFault::Silent,
                WatchFault::Silent,
                WatchFault::Cut,
                WatchFault::Compacted,
                WatchFault::Skips,
            ]),
        }
    }

    fn put(&mut self) -> Fault {
        let which = match self.which() {
            // A server ID that is no number ends every session for good.
            Which::Id | Which::Everything => Which::Active,
            which => which,
        };
        Fault::Put { which, text: self.pick(&TEXTS), ttl_ms: self.pick(&[0, 0, 1000]) }
    }

    fn restart(&mut self) -> Ns {
        self.pick(&[0, MS, 300 * MS, SECOND, 3 * SECOND])
    }

    fn which(&mut self) -> Which {
        let which = self.pick(&[
            Which::Active,
            Which::Active,
            Which::Term,
            Which::Term,
            Which::Everything,
            Which::Everything,
            Which::Member(NODE),
            Which::Id,
        ]);
        match which {
            Which::Term | Which::Everything if !self.wipes => Which::Active,
            which => which,
        }
    }

    fn cut(&mut self) -> Fault {
        let ways = [Way::Lost, Way::Lost, Way::Held, Way::Refused];
        let (up, down) = match self.rng.u8(0..4) {
            0 => (self.pick(&ways), Way::Open),
            1 => (Way::Open, self.pick(&[Way::Lost, Way::Held])),
            _ => {
                let way = self.pick(&ways);
                (way, way)
            }
        };
        Fault::Cut { node: NODE, up, down }
    }

    fn filter(&mut self) -> Fault {
        let hold = self.hold();
        let by = self.pick(&[hold / 8, hold / 4 - 1, hold / 4, hold / 4 + 1, hold / 2, hold, hold * 5 / 4, 2 * hold]);
        Fault::Filter(Filter {
            node: (self.rng.u8(0..4) > 0).then_some(NODE),
            requests: self.rng.bool(),
            kind: (self.rng.u8(0..8) > 0).then(|| pick(self.rng, &KINDS)),
            act: match self.rng.u8(0..5) {
                0..2 => Act::Lose,
                2..4 => Act::Delay(by),
                _ => Act::Double(by),
            },
        })
    }
}
