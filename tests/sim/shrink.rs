//! From a run that breaks an invariant to a shorter one that breaks the same: with fewer faults, fewer sessions, a
//! calmer network, truer clocks.

use std::time::{Duration, Instant};

use coordha::election::Flaw;

use crate::plan::{Outcome, Plan};
use crate::world::check::Invariant;
use crate::world::clock::{MS, Rate};
use crate::world::config::{AppConfig, NetConfig};

/// No search is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// For so many other seeds a smaller plan is tried.
const SEEDS: u64 = 8;

struct Search {
    plan: Plan,
    invariant: Invariant,
    flaw: Option<Flaw>,
    end: Instant,
}

/// The shortest plan found that breaks the invariant, and its run with a trace.
pub(crate) fn shrink(plan: &Plan, invariant: Invariant, flaw: Option<Flaw>) -> (Plan, Outcome) {
    let mut search = Search { plan: plan.clone(), invariant, flaw, end: Instant::now() + PATIENCE };
    while search.fewer_faults() | search.fewer_nodes() | search.simpler() {}
    search.earlier();
    let outcome = search.plan.run(flaw, true);
    (search.plan, outcome)
}

impl Search {
    fn is_over(&self) -> bool {
        Instant::now() > self.end
    }

    fn breaks(&self, plan: &Plan) -> bool {
        let violation = plan.run(self.flaw, false).violation;
        violation.is_some_and(|violation| violation.invariant == self.invariant)
    }

    /// Takes a smaller plan over if it, or the same with another seed, breaks the invariant as well.
    fn try_out(&mut self, smaller: Plan) -> bool {
        for seed in 0..SEEDS {
            if self.is_over() {
                return false;
            }
            let mut plan = smaller.clone();
            plan.world.seed = plan.world.seed.wrapping_add(seed);
            if self.breaks(&plan) {
                self.plan = plan;
                return true;
            }
        }
        false
    }

    fn fewer_faults(&mut self) -> bool {
        let mut better = false;
        let mut size = self.plan.injections.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.plan.injections.len() {
                let mut smaller = self.plan.clone();
                let end = (at + size).min(smaller.injections.len());
                smaller.injections.drain(at..end);
                if self.try_out(smaller) {
                    better = true;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        better
    }

    fn fewer_nodes(&mut self) -> bool {
        let mut better = false;
        let mut at = 0;
        while at < self.plan.world.nodes.len() && self.plan.world.nodes.len() > 1 {
            let mut smaller = self.plan.clone();
            smaller.world.nodes.remove(at);
            if self.try_out(smaller) {
                better = true;
            } else {
                at += 1;
            }
        }
        better
    }

    fn simpler(&mut self) -> bool {
        let changes: [fn(&mut Plan); 12] = [
            |plan| plan.rest = 0,
            |plan| plan.world.net.lost = 0,
            |plan| plan.world.net.twice = 0,
            |plan| plan.world.net.edge = 0,
            |plan| plan.world.net.late_replies = 0,
            |plan| plan.world.net.timer_lag = 0,
            |plan| plan.world.net = NetConfig { base: MS / 2, ..NetConfig::default() },
            |plan| plan.world.scan = 1,
            |plan| each(plan, |node| node.app = AppConfig::default()),
            |plan| each(plan, |node| node.rate = Rate::TRUE),
            |plan| each(plan, |node| node.host = None),
            |plan| {
                each(plan, |node| {
                    (node.priority, node.paused, node.active_standby, node.offset) = (0, false, true, 1);
                });
            },
        ];
        let mut better = false;
        for change in changes {
            let mut smaller = self.plan.clone();
            change(&mut smaller);
            let changed = format!("{smaller:?}") != format!("{:?}", self.plan);
            better |= changed && self.try_out(smaller);
        }
        better
    }

    /// Of many seeds the one that breaks it soonest.
    fn earlier(&mut self) {
        let mut best = self.plan.run(self.flaw, false).lasted;
        for seed in 1..200 {
            if self.is_over() {
                return;
            }
            let mut plan = self.plan.clone();
            plan.world.seed = plan.world.seed.wrapping_add(seed * 1000);
            let outcome = plan.run(self.flaw, false);
            let same = outcome.violation.is_some_and(|v| v.invariant == self.invariant);
            if same && outcome.lasted < best {
                (best, self.plan) = (outcome.lasted, plan);
            }
        }
    }
}

fn each(plan: &mut Plan, change: impl Fn(&mut crate::world::config::NodeConfig)) {
    plan.world.nodes.iter_mut().for_each(change);
}
