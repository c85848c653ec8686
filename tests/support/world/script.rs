//! What a scripted test needs of a world: waits that fail with the trace, and the events that sessions said.

use std::time::Duration;

use coordha::election::{Event, Reason, Request};
use coordha::kv::Revision;
use fastrand::Rng;

use super::World;
use super::clock::{MS, Ns, Rate, SECOND};
use super::config::{NetConfig, NodeConfig, WorldConfig};
use super::message::{Kind, Step};
use super::node::Node;

/// Every row is run with so many seeds.
const SEEDS: u64 = 20;

/// No scripted wait is longer, unless the test says so.
pub(crate) const PATIENCE: Ns = 30 * SECOND;

/// Runs a row in many worlds of `nodes` sessions, which differ in their network and their clocks. In each the first
/// session is active, and all others stand by. At the end the fourth invariant is checked; the others always are.
pub(crate) fn in_many_worlds(nodes: Vec<NodeConfig>, row: impl Fn(&mut World)) {
    for seed in 1..=SEEDS {
        let mut world = world(&nodes, seed);
        world.gather();
        row(&mut world);
        world.finish();
    }
}

/// The same, with no session started yet.
pub(crate) fn in_many_empty_worlds(nodes: Vec<NodeConfig>, row: impl Fn(&mut World)) {
    for seed in 1..=SEEDS {
        let mut world = world(&nodes, seed);
        row(&mut world);
        world.finish();
    }
}

/// Some sessions that differ in nothing: H = 1 s, a TTL of 5 s.
pub(crate) fn sessions(count: usize) -> Vec<NodeConfig> {
    vec![NodeConfig::default(); count]
}

fn world(nodes: &[NodeConfig], seed: u64) -> World {
    let mut rng = Rng::with_seed(seed);
    let mut nodes = nodes.to_vec();
    for node in &mut nodes {
        node.rate = Rate::permille(rng.i64(-100..=100));
        node.offset = rng.u64(1..1 << 50);
    }
    let config = WorldConfig {
        seed,
        nodes,
        net: NetConfig { base: rng.u64(0..MS), spread: rng.u64(0..MS), ..NetConfig::default() },
        ..WorldConfig::default()
    };
    let mut world = World::new(config, None);
    world.trace = Some(Vec::new());
    for node in &mut world.nodes {
        node.record = true;
    }
    world
}

impl World {
    /// Starts all sessions, the first one of each role ahead of the others, and waits until it is active.
    pub(crate) fn gather(&mut self) {
        for at in 0..self.nodes.len() {
            self.start(at);
            let role = self.nodes[at].role;
            if self.roles[role].terms == 0 {
                self.wait("the first session is active", |world| world.is_active(at));
            }
            self.run_for(10 * MS);
        }
        self.wait("the others stand by", |world| {
            (0..world.nodes.len()).all(|at| world.is_active(at) || world.is_standby(at))
        });
        self.run_for(SECOND);
    }

    /// A session is asked to leave for ever.
    pub(crate) fn stop(&mut self, at: usize) {
        self.ask(at, Request::Stop).expect("it is asked");
    }

    /// A session is asked to step down, and not to contend for some ns.
    pub(crate) fn resign(&mut self, at: usize, standby: Ns) {
        let standby = Duration::from_nanos(standby);
        self.ask(at, Request::Resign { standby }).expect("it is asked");
    }

    pub(crate) fn is_active(&self, at: usize) -> bool {
        self.nodes[at].is_active(self.now)
    }

    /// Waits until something is so; answers how long it took. Fails with the trace.
    pub(crate) fn wait(&mut self, what: &str, done: impl FnMut(&Self) -> bool) -> Ns {
        self.wait_for(what, PATIENCE, done)
    }

    pub(crate) fn wait_for(&mut self, what: &str, limit: Ns, done: impl FnMut(&Self) -> bool) -> Ns {
        let began = self.now;
        let came = self.run_until(limit, done);
        assert!(came, "never so: {what}{}", self.story());
        self.now - began
    }

    /// Runs on, during which something must always be so.
    pub(crate) fn stays(&mut self, what: &str, span: Ns, mut so: impl FnMut(&Self) -> bool) {
        let broken = self.run_until(span, |world| !so(world));
        assert!(!broken, "no longer so: {what}{}", self.story());
        self.assert_sound();
    }

    pub(crate) fn assert_sound(&self) {
        assert!(self.violation.is_none(), "an invariant is broken{}", self.story());
    }

    /// The end of a row: all faults end, one session becomes active, and every live session is able to win.
    pub(crate) fn finish(&mut self) {
        self.assert_sound();
        self.converge();
        self.assert_sound();
    }

    /// When a session last said something that fits.
    pub(crate) fn said(&self, at: usize, fits: impl Fn(&Event) -> bool) -> Option<Ns> {
        let mut events = self.nodes[at].events.iter().rev();
        events.find(|(_, event)| fits(event)).map(|(when, _)| *when)
    }

    /// How often a session said something that fits.
    pub(crate) fn times(&self, at: usize, fits: impl Fn(&Event) -> bool) -> usize {
        self.nodes[at].events.iter().filter(|(_, event)| fits(event)).count()
    }

    /// Why the last term of a session ended.
    pub(crate) fn end_of_term(&self, at: usize) -> Option<Reason> {
        let events = self.nodes[at].events.iter().rev();
        events.into_iter().find_map(|(_, event)| match event {
            Event::TermEnded { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    pub(crate) fn token(&self, at: usize) -> Revision {
        self.nodes[at].status.token
    }

    /// How many requests of a kind a session has sent since an instant.
    pub(crate) fn sent_since(&self, at: usize, since: Ns, fits: impl Fn(Kind) -> bool) -> usize {
        let sent = self.nodes[at].sent.iter();
        sent.filter(|(when, kind)| *when >= since && fits(*kind)).count()
    }

    /// Whether a session's wish for a watch is on its way to the store.
    pub(crate) fn watch_is_under_way(&self, at: usize) -> bool {
        let mut queued = self.queue.iter();
        queued.any(|queued| matches!(queued.step, Step::Watch { node, .. } if node == at))
    }

    /// Whether a request of this kind is on its way to the store.
    pub(crate) fn is_under_way(&self, at: usize, wanted: Kind) -> bool {
        let mut queued = self.queue.iter();
        queued.any(|queued| matches!(queued.step, Step::Arrive { node, kind, .. } if node == at && kind == wanted))
    }

    /// Whether the next step of the world is the arrival of such a request.
    pub(crate) fn is_next(&self, at: usize, wanted: Kind) -> bool {
        let next = self.queue.peek().map(|queued| &queued.step);
        matches!(next, Some(Step::Arrive { node, kind, .. }) if *node == at && *kind == wanted)
    }

    /// What is on its way of a session's wish for a watch is held up until its link is mended.
    pub(crate) fn hold_watches(&mut self, at: usize) {
        let queued = std::mem::take(&mut self.queue);
        for queued in queued {
            match &queued.step {
                Step::Watch { node, .. } if *node == at => self.nodes[at].held_up.push(queued.step),
                _ => self.queue.push(queued),
            }
        }
    }

    /// One more node, of the first role.
    pub(crate) fn add_node(&mut self, config: NodeConfig) -> usize {
        let at = self.nodes.len();
        self.config.nodes.push(config.clone());
        self.nodes.push(Node::new(config, 0, self.config.seed ^ 0x5eed));
        self.nodes[at].record = true;
        at
    }

    pub(crate) fn story(&self) -> String {
        let trace = self.trace.as_deref().unwrap_or_default();
        let seed = self.config.seed;
        let last = &trace[trace.len().saturating_sub(120)..];
        format!("\nseed {seed}, {:?}; the last of the trace:\n{}", self.violation, last.join("\n"))
    }
}
