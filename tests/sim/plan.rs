//! A plan: a whole run of a world, made from a seed. Two runs of one plan are the same to the last step.

use coordha::election::Flaw;
use fastrand::Rng;

use crate::faults::{Beside, Dice};
use crate::world::World;
use crate::world::check::Violation;
use crate::world::clock::{MS, Ns, Rate, SECOND};
use crate::world::config::{AppConfig, NetConfig, NodeConfig, WorldConfig};
use crate::world::inject::Injection;
use crate::world::milvus::longest_linger;

/// Everything that decides a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) world: WorldConfig,
    pub(crate) injections: Vec<Injection>,
    /// So much time passes after the last injection before all faults end.
    pub(crate) rest: Ns,
}

/// What a run came to.
pub(crate) struct Outcome {
    /// Terms after the first.
    pub(crate) takeovers: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) trace: Vec<String>,
    /// How long it took, in true time of the world.
    pub(crate) lasted: Ns,
}

/// One of some values.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, values: &[T]) -> T {
    values[rng.usize(0..values.len())]
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        // A session that has seen nothing of a holder's longer hold time cannot wait for it (an open point of the
        // protocol), so keys are wiped only where all hold equally long.
        let wipes = rng.u8(0..3) == 0;
        let mut nodes = nodes(rng, wipes);
        let milvus = beside_milvus(rng, &mut nodes);
        let holds: Vec<Ns> = nodes.iter().map(|node| node.hold).collect();
        let net = net(rng, &holds);
        let injections = Dice { rng, holds, wipes, milvus }.injections();
        Self {
            world: WorldConfig {
                seed: rng.u64(..),
                net,
                nodes,
                min_ttl: pick(rng, &[SECOND / 2, SECOND, 2 * SECOND]),
                scan: pick(rng, &[1, 100 * MS, 500 * MS]),
            },
            injections,
            rest: rng.u64(0..2 * SECOND),
        }
    }

    /// Runs it to its end, or to the first violation.
    pub(crate) fn run(&self, flaw: Option<Flaw>, traced: bool) -> Outcome {
        let mut world = World::new(self.world.clone(), flaw);
        world.trace = traced.then(Vec::new);
        world.start_all();
        world.run_until(8 * SECOND, |world| world.active(0).is_some());
        world.follow(self.injections.clone());
        let limit = 60 * SECOND;
        world.run_until(limit, World::plan_is_done);
        world.run_for(self.rest);
        if world.violation.is_none() {
            world.converge();
        }
        Outcome {
            takeovers: world.terms().saturating_sub(1),
            lasted: world.now,
            trace: world.trace.take().unwrap_or_default(),
            violation: world.violation,
        }
    }
}

/// In some worlds Milvus stands for the role as well, in some of them for that of a mixcoord.
fn beside_milvus(rng: &mut Rng, nodes: &mut [NodeConfig]) -> Option<Beside> {
    if rng.u8(0..4) > 0 {
        return None;
    }
    let delay = pick(rng, &[0, 0, 600 * MS, 2 * SECOND]);
    let mixcoord = rng.u8(0..3) == 0;
    for node in nodes {
        node.milvus_takeover_delay = delay;
        node.role = if mixcoord { "mixcoord" } else { node.role };
    }
    Some(Beside { mixcoord, lingers: longest_linger(delay) })
}

fn nodes(rng: &mut Rng, equal: bool) -> Vec<NodeConfig> {
    let count = pick(rng, &[2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6]);
    let holds = [SECOND / 2, SECOND / 2, 720 * MS, SECOND, SECOND, 2 * SECOND, 5 * SECOND];
    let common_hold = pick(rng, &holds);
    let same_hold = equal || rng.bool();
    let exclusive = rng.u8(0..8) == 0;
    let hosts = pick(rng, &[0, 0, 1, 2]);
    let clocks = rng.u8(0..6);
    let ranked = rng.u8(0..3) == 0;
    let unruly = rng.u8(0..3) == 0;
    (0..count)
        .map(|at| {
            let hold = if same_hold { common_hold } else { pick(rng, &holds) };
            let ttl = pick(rng, &[SECOND, 2 * SECOND, hold * 5 / 4, 3 * hold, 5 * SECOND, 10 * SECOND]);
            NodeConfig {
                hold,
                ttl: if equal { ttl.max(hold * 5 / 4) } else { ttl },
                reread: pick(rng, &[SECOND / 2, SECOND, 2 * SECOND, 5 * SECOND]),
                rank_step: pick(rng, &[10 * MS, 50 * MS, 100 * MS]),
                request_timeout: pick(rng, &[SECOND / 2, SECOND, 2 * SECOND, 5 * SECOND]),
                activation_timeout: pick(rng, &[SECOND / 2, SECOND, 3 * SECOND]),
                activation_backoff: pick(rng, &[100 * MS, 500 * MS, SECOND]),
                deactivation_timeout: pick(rng, &[SECOND / 4, SECOND, 3 * SECOND]),
                release_timeout: pick(rng, &[SECOND / 2, SECOND, 2 * SECOND]),
                priority: if ranked { rng.i32(0..3) } else { 0 },
                active_standby: !(exclusive && rng.bool()),
                paused: at > 0 && rng.u8(0..40) == 0,
                auto: rng.u8(0..8) == 0,
                host: (hosts > 0).then(|| rng.u8(0..hosts)),
                rate: match clocks {
                    0 => Rate::TRUE,
                    1 => Rate::permille(rng.i64(-100..=100)),
                    2..4 => pick(rng, &[Rate::FASTEST, Rate::SLOWEST]),
                    // The first to hold is slow, and all that wait for it are fast.
                    _ if at == 0 => Rate::SLOWEST,
                    _ => Rate::FASTEST,
                },
                offset: rng.u64(1..1 << 50),
                app: if unruly { app(rng) } else { AppConfig::default() },
                ..NodeConfig::default()
            }
        })
        .collect()
}

pub(crate) fn app(rng: &mut Rng) -> AppConfig {
    let mut often = |most: u32| if rng.bool() { 0 } else { rng.u32(0..most) };
    AppConfig {
        fails: often(400),
        hangs: often(200),
        late: often(200),
        slow: often(400),
        stuck: often(100),
        activate: u64::from(often(100)) * MS,
        leave: u64::from(often(200)) * MS,
    }
}

fn net(rng: &mut Rng, holds: &[Ns]) -> NetConfig {
    let (base, spread) = match rng.u8(0..8) {
        0..2 => (0, 0),
        2..5 => (MS / 4, MS),
        5 => (MS, 20 * MS),
        6 => (20 * MS, 20 * MS),
        _ => (0, pick(rng, holds) / 8),
    };
    let rough = rng.u8(0..3) == 0;
    let lag = pick(rng, holds) / 8;
    let mut often = |most: u32| {
        if rough && rng.bool() { rng.u32(0..most) } else { 0 }
    };
    NetConfig {
        base,
        spread,
        lost: often(60),
        twice: often(60),
        edge: often(100),
        late_replies: pick(rng, &[0, 500, 1000]),
        timer_lag: if rng.u8(0..4) == 0 { rng.u64(0..lag) } else { 0 },
    }
}
