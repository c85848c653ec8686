//! A world in which many real election cores run against one simulated store: seeded, in virtual time, with faults.
//!
//! Everything happens in steps, each at an instant of true time; all that is random comes from the seed. After each step
//! the invariants at the head of `docs/faults.md` are checked (`check`), and the first that is broken stops the world.

#![allow(dead_code, reason = "two test binaries share this world, and each uses a part of it")]

pub(crate) mod app;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod converge;
pub(crate) mod fault;
pub(crate) mod inject;
pub(crate) mod message;
pub(crate) mod milvus;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod stranger;
pub(crate) mod trace;

use std::collections::{BTreeMap, BinaryHeap};

use coordha::election::{Flaw, Output};
use coordha::store::sim::{SimOptions, SimState};
use fastrand::Rng;

use self::check::{RoleWatch, Violation};
use self::clock::{MS, Ns};
use self::config::WorldConfig;
use self::fault::Fault;
use self::inject::Schedule;
use self::message::{Proc, Queued, Step};
use self::network::Filter;
use self::node::{Node, Run};
use self::server::Server;
use self::stranger::Stranger;

/// More steps than that do not happen at one instant.
const MOST_AT_ONCE: u32 = 100_000;

/// The whole world. See the module's page.
pub(crate) struct World {
    pub(crate) now: Ns,
    pub(crate) config: WorldConfig,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) roles: Vec<RoleWatch>,
    pub(crate) store: SimState,
    server: Server,
    strangers: Vec<Stranger>,
    strangers_queued: bool,
    /// A watch has left out a change: who held the role meanwhile cannot be known.
    skipped: bool,
    filters: Vec<(u64, Filter)>,
    faults: BTreeMap<u64, Fault>,
    next_fault: u64,
    schedule: Schedule,
    queue: BinaryHeap<Queued>,
    turns: u64,
    next_proc: Proc,
    rng: Rng,
    outputs: Vec<Output>,
    pub(crate) violation: Option<Violation>,
    /// What happened, where it is wanted.
    pub(crate) trace: Option<Vec<String>>,
}

/// Writes a line of the trace, where one is kept.
macro_rules! note {
    ($world:expr, $($part:tt)*) => {
        if $world.trace.is_some() {
            let line = format!($($part)*);
            $world.write_trace(line);
        }
    };
}
pub(crate) use note;

impl World {
    /// A world in which nothing has started yet.
    pub(crate) fn new(config: WorldConfig, flaw: Option<Flaw>) -> Self {
        let mut roles: Vec<RoleWatch> = Vec::new();
        let mut nodes = Vec::new();
        for (at, node) in config.nodes.iter().enumerate() {
            let known = roles.iter().position(|role| role.name == node.role);
            let role = known.unwrap_or_else(|| {
                roles.push(RoleWatch::new(node.role));
                roles.len() - 1
            });
            nodes.push(Node::new(node.clone(), role, config.seed ^ ((at as u64 + 1) << 32)));
        }
        let options = SimOptions { min_ttl_ms: config.min_ttl / MS, history: 4096 };
        Self {
            now: 0,
            rng: Rng::with_seed(config.seed),
            config,
            flaw,
            nodes,
            roles,
            store: SimState::new(options),
            server: Server::default(),
            strangers: Vec::new(),
            strangers_queued: false,
            skipped: false,
            filters: Vec::new(),
            faults: BTreeMap::new(),
            next_fault: 1,
            schedule: Schedule::default(),
            queue: BinaryHeap::new(),
            turns: 0,
            next_proc: 1,
            outputs: Vec::new(),
            violation: None,
            trace: None,
        }
    }

    /// Starts every node at once.
    pub(crate) fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.push(self.now, Step::Start { node });
        }
    }

    fn push(&mut self, at: Ns, step: Step) {
        self.turns += 1;
        self.queue.push(Queued { at: at.max(self.now), turn: self.turns, step });
    }

    /// Runs until `done` says so, and then answers true; false when `limit` has passed, or an invariant is broken.
    pub(crate) fn run_until(&mut self, limit: Ns, mut done: impl FnMut(&Self) -> bool) -> bool {
        let (end, mut at_once) = (self.now + limit, 0);
        while self.violation.is_none() {
            if done(self) {
                return true;
            }
            let Some(next) = self.queue.peek().filter(|next| next.at <= end) else {
                break;
            };
            // A core that asks for a time that is over, and again, would hold the world there for ever.
            at_once = if next.at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < MOST_AT_ONCE, "seed {}: time stands still at {} ns", self.config.seed, self.now);
            self.now = next.at;
            let step = self.queue.pop().expect("it was just seen").step;
            self.take(step);
        }
        if self.violation.is_none() {
            self.now = end;
        }
        false
    }

    /// Runs for a span of true time.
    pub(crate) fn run_for(&mut self, span: Ns) {
        self.run_until(span, |_| false);
    }

    fn take(&mut self, step: Step) {
        if let Some((node, proc)) = step.addressee() {
            let to = &mut self.nodes[node];
            match to.run {
                Run::Up if to.proc == proc => self.deliver(node, step),
                Run::Frozen if to.proc == proc => to.inbox.push(step),
                _ => {}
            }
            return;
        }
        match step {
            Step::Arrive { node, proc, id, kind, saw, request } => self.arrive(node, proc, id, (kind, &saw), &request),
            Step::Watch { node, proc, id, from } => self.open_watch(node, proc, id, from),
            Step::Write { node, proc, token } => self.guarded_write(node, proc, token),
            Step::Start { node } => self.start(node),
            Step::Scan => self.scan(),
            Step::Stranger => self.stranger_acts(),
            Step::Prepare => self.prepare(),
            Step::Inject { index } => self.inject_if_waiting(index),
            Step::Undo { fault } => self.undo(fault),
            _ => unreachable!("all others have an addressee"),
        }
    }

    fn write_trace(&mut self, line: String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>3}.{:09} {line}", now / 1_000_000_000, now % 1_000_000_000));
        }
    }
}
