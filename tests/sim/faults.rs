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

pub(crate) fn random(rng: &mut Rng, holds: &[Ns]) -> Vec<Injection> {
    let count = rng.usize(4..16);
    let mut injections = Vec::new();
    while injections.len() < count {
        if rng.u8(0..4) == 0 {
            injections.extend(two_at_once(rng, holds));
        } else {
            injections.push(one(rng, holds));
        }
    }
    injections
}

fn one(rng: &mut Rng, holds: &[Ns]) -> Injection {
    let who = who(rng);
    Injection {
        pause: pause(rng, holds),
        when: when(rng, holds),
        who,
        fault: fault(rng, holds),
        until: until(rng, holds),
    }
}

/// Two faults that begin at one instant, of different nodes more often than not.
fn two_at_once(rng: &mut Rng, holds: &[Ns]) -> [Injection; 2] {
    let first = one(rng, holds);
    let other = match first.who {
        Who::Holder => Who::Other(0),
        Who::Other(_) => Who::Holder,
    };
    let second = Injection {
        pause: 0,
        when: When::After(pick(rng, &[0, 0, 1, MS])),
        who: if rng.u8(0..4) == 0 { first.who } else { other },
        ..one(rng, holds)
    };
    [first, second]
}

fn who(rng: &mut Rng) -> Who {
    if rng.bool() {
        Who::Holder
    } else {
        Who::Other(rng.usize(0..5))
    }
}

fn pause(rng: &mut Rng, holds: &[Ns]) -> Ns {
    let hold = pick(rng, holds);
    match rng.u8(0..4) {
        0 => 0,
        1 => rng.u64(0..hold),
        2 => rng.u64(0..2 * hold),
        _ => rng.u64(0..2 * SECOND),
    }
}

/// A little, or some part of a hold time, before or after.
fn offset(rng: &mut Rng, holds: &[Ns]) -> i64 {
    let hold = pick(rng, holds) as i64;
    let off = pick(
        rng,
        &[
            0,
            0,
            1,
            1,
            1000,
            1_000_000,
            hold / 100,
            hold / 8,
            hold / 4,
            hold / 2,
            hold,
        ],
    );
    if rng.bool() { off } else { -off }
}

fn when(rng: &mut Rng, holds: &[Ns]) -> When {
    match rng.u8(0..10) {
        0..3 => When::After(0),
        3..5 => When::Deadline(offset(rng, holds)),
        5 => When::Timer(who(rng), offset(rng, holds)),
        6 => When::Wait(who(rng), offset(rng, holds)),
        7..9 => When::Commit(pick(rng, &KINDS)),
        _ => When::Activation,
    }
}

fn until(rng: &mut Rng, holds: &[Ns]) -> When {
    let hold = pick(rng, holds);
    match rng.u8(0..10) {
        0..2 => When::After(pick(
            rng,
            &[
                hold / 4,
                hold / 2,
                hold,
                hold * 5 / 4,
                hold * 3 / 2,
                2 * hold,
            ],
        )),
        2..4 => When::After(rng.u64(0..3 * hold)),
        4..6 => When::Deadline(offset(rng, holds)),
        6..8 => When::Wait(who(rng), offset(rng, holds)),
        8 => When::Timer(who(rng), offset(rng, holds)),
        _ => When::Commit(pick(rng, &KINDS)),
    }
}

/// The node is put in later.
const NODE: usize = 0;

fn fault(rng: &mut Rng, holds: &[Ns]) -> Fault {
    match rng.u8(0..100) {
        0..16 => cut(rng),
        16..36 => filter(rng, holds),
        36..40 => Fault::Deposed(NODE),
        40..46 => Fault::Freeze(NODE),
        46..48 => Fault::Suspend(NODE),
        48..58 => Fault::Kill {
            node: NODE,
            restart: Some(restart(rng)),
        },
        58..62 => Fault::Stop {
            node: NODE,
            restart: Some(SECOND + restart(rng)),
        },
        62..67 => Fault::Resign {
            node: NODE,
            standby: pick(rng, &[0, 0, 100 * MS, SECOND]),
        },
        67 => Fault::Pause(NODE),
        68..72 => Fault::RevokeLease(NODE),
        72 => Fault::ExtendLeases(SECOND),
        73 => Fault::LeasesLive,
        74 => Fault::Silence,
        75 => Fault::Refusal,
        76 => Fault::NoSpace,
        77 => Fault::Compact,
        78..85 => Fault::Delete(which(rng)),
        85..89 => Fault::Put {
            which: match which(rng) {
                // A server ID that is no number ends every session for good.
                Which::Id | Which::Everything => Which::Active,
                which => which,
            },
            text: pick(rng, &TEXTS),
            ttl_ms: pick(rng, &[0, 0, 1000]),
        },
        89 => Fault::Storm,
        90 => Fault::Milvus {
            ttl_ms: pick(rng, &[1000, 3000]),
        },
        91..95 => Fault::Watch {
            node: NODE,
            fault: pick(
                rng,
                &[
                    WatchFault::Silent,
                    WatchFault::Silent,
                    WatchFault::Cut,
                    WatchFault::Compacted,
                    WatchFault::Skips,
                ],
            ),
        },
        95..98 => Fault::WatchLate {
            node: NODE,
            by: pick(rng, holds) / pick(rng, &[1, 2, 4, 8]),
        },
        _ => Fault::App {
            node: NODE,
            app: app(rng),
        },
    }
}

fn restart(rng: &mut Rng) -> Ns {
    pick(rng, &[0, MS, 300 * MS, SECOND, 3 * SECOND])
}

fn which(rng: &mut Rng) -> Which {
    pick(
        rng,
        &[
            Which::Active,
            Which::Active,
            Which::Term,
            Which::Term,
            Which::Everything,
            Which::Everything,
            Which::Member(NODE),
            Which::Id,
        ],
    )
}

fn cut(rng: &mut Rng) -> Fault {
    let ways = [Way::Lost, Way::Lost, Way::Held, Way::Refused];
    let (up, down) = match rng.u8(0..4) {
        0 => (pick(rng, &ways), Way::Open),
        1 => (Way::Open, pick(rng, &[Way::Lost, Way::Held])),
        _ => {
            let way = pick(rng, &ways);
            (way, way)
        }
    };
    Fault::Cut {
        node: NODE,
        up,
        down,
    }
}

fn filter(rng: &mut Rng, holds: &[Ns]) -> Fault {
    let hold = pick(rng, holds);
    let by = pick(
        rng,
        &[
            hold / 8,
            hold / 4 - 1,
            hold / 4,
            hold / 4 + 1,
            hold / 2,
            hold,
            hold * 5 / 4,
            2 * hold,
        ],
    );
    Fault::Filter(Filter {
        node: if rng.u8(0..4) == 0 { None } else { Some(NODE) },
        requests: rng.bool(),
        kind: if rng.u8(0..8) == 0 {
            None
        } else {
            Some(pick(rng, &KINDS))
        },
        act: match rng.u8(0..5) {
            0..2 => Act::Lose,
            2..4 => Act::Delay(by),
            _ => Act::Double(by),
        },
    })
}
