//! The fourth invariant: once the faults have ended, exactly one session becomes active without any restart, and every
//! live session is able to win.

use std::time::Duration;

use coordha::election::{Request, Role};

use super::World;
use super::check::Invariant;
use super::clock::{Ns, SECOND};
use super::message::Step;

/// How long it may take until one session is active, with all limits that a world is made with.
const PATIENCE: Ns = 150 * SECOND;

/// For so long one session must then stay active.
const STEADY: Ns = 3 * SECOND;

impl World {
    /// Ends all faults, and lets every application say what it owes.
    pub(crate) fn heal(&mut self) {
        super::note!(self, "* all faults end");
        self.schedule.clear();
        let shortest = self.nodes.iter().map(|node| node.hold(self.config.min_ttl)).min();
        self.config.net = self.config.net.calm(shortest.unwrap_or(SECOND));
        let faults: Vec<u64> = self.faults.keys().copied().collect();
        for fault in faults {
            self.undo(fault);
        }
        for at in 0..self.nodes.len() {
            let calm = super::config::AppConfig {
                activate: self.nodes[at].config.app.activate,
                leave: self.nodes[at].config.app.leave,
                ..Default::default()
            };
            self.nodes[at].config.app = calm.clone();
            self.config.nodes[at].app = calm;
            for request in std::mem::take(&mut self.nodes[at].owed) {
                let _ = self.ask(at, request);
            }
        }
    }

    /// The one active session of a role, if there is exactly one.
    pub(crate) fn active(&self, role: usize) -> Option<usize> {
        let mut active = self.nodes.iter().enumerate().filter(|(_, n)| n.role == role && n.is_active(self.now));
        let first = active.next().map(|(at, _)| at);
        first.filter(|_| active.next().is_none())
    }

    fn live(&self, role: usize) -> impl Iterator<Item = usize> + '_ {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.role == role && node.is_alive()).map(|(at, _)| at)
    }

    /// Waits for exactly one active session that stays so. Without a live session there is nothing to wait for.
    pub(crate) fn settle(&mut self, role: usize) -> Option<usize> {
        let end = self.now + PATIENCE;
        while self.now < end {
            self.live(role).next()?;
            let left = end - self.now;
            if !self.run_until(left, |world| world.active(role).is_some()) {
                break;
            }
            let active = self.active(role);
            let steady = !self.run_until(STEADY, |world| world.active(role) != active);
            if self.violation.is_some() {
                return None;
            }
            if steady {
                return active;
            }
        }
        if self.violation.is_none() && self.live(role).next().is_some() {
            let what = format!("no session is active {} s after the faults ended", PATIENCE / SECOND);
            self.violate(Invariant::OneBecomesActive, what);
        }
        None
    }

    /// Takes each winner away until every live session has led.
    pub(crate) fn rotate(&mut self, role: usize) {
        let mut led = vec![false; self.nodes.len()];
        while let Some(winner) = self.next_winner(role, &led) {
            led[winner] = true;
            let leave = match self.rng.u8(0..4) {
                0 => Request::Stop,
                1 => Request::Resign { standby: Duration::from_secs(3600) },
                2 => {
                    let _ = self.ask(winner, Request::Pause);
                    Request::Resign { standby: Duration::from_secs(1) }
                }
                _ => {
                    self.kill(winner);
                    continue;
                }
            };
            let _ = self.ask(winner, leave);
            self.run_until(10 * SECOND, |world| !world.nodes[winner].is_active(world.now));
        }
    }

    fn next_winner(&mut self, role: usize, led: &[bool]) -> Option<usize> {
        let waiting = |world: &Self| world.live(role).any(|at| !led[at]);
        if self.violation.is_some() || !waiting(self) {
            return None;
        }
        let found = self.run_until(PATIENCE, |world| world.active(role).is_some() || !waiting(world));
        if self.violation.is_some() {
            return None;
        }
        let winner = self.active(role).filter(|_| found);
        match winner {
            Some(winner) if led[winner] => {
                let what = format!("n{winner} wins again before all others have led");
                self.violate(Invariant::EverySessionCanWin, what);
                None
            }
            None if waiting(self) => {
                let what = format!("n{:?} never wins", self.live(role).find(|at| !led[*at]));
                self.violate(Invariant::EverySessionCanWin, what);
                None
            }
            winner => winner,
        }
    }

    /// All of the fourth invariant, after which the world is at an end. Where no process runs one is started first.
    pub(crate) fn converge(&mut self) {
        self.heal();
        self.queue.retain(|queued| !matches!(queued.step, Step::Start { .. }));
        self.run_until(PATIENCE, |world| !world.nodes.iter().any(|node| node.stopping));
        for node in 0..self.nodes.len() {
            self.start(node);
            // One that was frozen has not heard that its pause is over.
            let _ = self.ask(node, Request::Resume);
        }
        for role in 0..self.roles.len() {
            if self.settle(role).is_some() {
                self.rotate(role);
            }
        }
    }

    /// Whether a node stands by.
    pub(crate) fn is_standby(&self, at: usize) -> bool {
        self.nodes[at].is_alive() && self.nodes[at].status.role == Role::Standby
    }
}
