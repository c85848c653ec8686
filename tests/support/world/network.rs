//! The network between the sessions and the store.

use std::rc::Rc;

use coordha::election::{Reply, RequestId, StoreRequest, WatchId};
use coordha::kv::{Revision, StoreError, WatchItem};

use super::app::near;
use super::clock::{MS, Ns};
use super::message::{Kind, Proc, Step, failed};
use super::{World, note, trace};

/// How one direction of a link fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// What is sent is lost.
    Lost,
    /// What is sent arrives when the fault ends.
    Held,
    /// It is known at once that nothing can be sent.
    Refused,
}

/// What a filter does to the messages that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Lose,
    Delay(Ns),
    /// Twice, the second time so much later.
    Double(Ns),
}

/// A fault of some messages only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// Of which node; `None`: of all.
    pub(crate) node: Option<usize>,
    /// Requests, else replies.
    pub(crate) requests: bool,
    /// Of what kind; `None`: of all.
    pub(crate) kind: Option<Kind>,
    pub(crate) act: Act,
}

/// After how long a message arrives; twice where there are two.
type Fate = [Option<Ns>; 2];

impl World {
    /// A session sends a request.
    pub(crate) fn send(&mut self, at: usize, id: RequestId, request: StoreRequest, limit: u64) {
        let kind = self.roles[self.nodes[at].role].keys.kind(&request);
        self.sent(at, kind);
        self.fire_on_send(at, kind);
        let node = &mut self.nodes[at];
        let proc = node.proc;
        let end = self.now + node.clock.span(limit);
        note!(self, "n{at} -> {id:?} {kind:?} limit {} ms: {}", limit / MS, trace::request(&request));
        if self.nodes[at].up == Way::Refused {
            let reply = failed(kind, StoreError::Unavailable("connection refused".into()));
            let delay = self.config.net.base.max(1);
            self.nodes[at].pending.push((id, kind));
            self.push(self.now + delay, Step::Reply { node: at, proc, id, reply });
            return;
        }
        self.nodes[at].pending.push((id, kind));
        self.push(end, Step::Limit { node: at, proc, id, kind });
        let request = Rc::new(request);
        let saw = self.nodes[at].shown.clone();
        let step = Step::Arrive { node: at, proc, id, kind, saw, request };
        match self.nodes[at].up {
            Way::Lost => {}
            Way::Held => self.nodes[at].held_up.push(step),
            Way::Open | Way::Refused => {
                for delay in self.fate(at, true, kind, end - self.now).into_iter().flatten() {
                    self.push(self.now + delay, step.clone());
                }
            }
        }
    }

    /// The store answers.
    pub(crate) fn answer(&mut self, at: usize, proc: Proc, id: RequestId, kind: Kind, reply: Reply) {
        let step = Step::Reply { node: at, proc, id, reply };
        match self.nodes[at].down {
            Way::Lost | Way::Refused => {}
            Way::Held => self.nodes[at].held_up.push(step),
            Way::Open => {
                let limit = self.nodes[at].hold(0) / 4;
                for delay in self.fate(at, false, kind, limit).into_iter().flatten() {
                    self.push(self.now + delay, step.clone());
                }
            }
        }
    }

    /// A request's time is up: the driver says that its outcome is not known.
    pub(crate) fn give_up(&mut self, at: usize, id: RequestId, kind: Kind) {
        let pending = &mut self.nodes[at].pending;
        let before = pending.len();
        pending.retain(|(other, _)| *other != id);
        if pending.len() < before {
            let reply = failed(kind, StoreError::Unknown("no answer in time".into()));
            note!(self, "n{at} gives {id:?} up");
            self.hand_over(at, id, reply);
        }
    }

    pub(crate) fn delivers_late_reply(&mut self, at: usize) -> bool {
        let chance = self.config.net.late_replies;
        self.nodes[at].rng.u32(0..1000) < chance
    }

    fn fate(&mut self, at: usize, requests: bool, kind: Kind, limit: Ns) -> Fate {
        let net = &self.config.net;
        let rng = &mut self.nodes[at].rng;
        let mut delay = net.base;
        if net.spread > 0 {
            delay += rng.u64(0..=net.spread);
        }
        let mut fate = [Some(delay), None];
        if net.lost + net.twice + net.edge > 0 {
            match rng.u32(0..1000) {
                c if c < net.lost => fate[0] = None,
                c if c < net.lost + net.twice => fate[1] = Some(delay + near(rng, limit)),
                c if c < net.lost + net.twice + net.edge => fate[0] = Some(near(rng, limit)),
                _ => {}
            }
        }
        for (_, filter) in &self.filters {
            let fits = filter.requests == requests
                && filter.node.is_none_or(|node| node == at)
                && filter.kind.is_none_or(|wanted| wanted == kind);
            if fits {
                match filter.act {
                    Act::Lose => fate = [None, None],
                    Act::Delay(by) => fate = fate.map(|delay| delay.map(|delay| delay + by)),
                    Act::Double(by) => fate[1] = fate[0].map(|delay| delay + by),
                }
            }
        }
        fate
    }

    /// A session asks for a watch in place of the one before.
    pub(crate) fn ask_watch(&mut self, at: usize, id: WatchId, from: Revision) {
        let proc = self.nodes[at].proc;
        self.nodes[at].watch = None;
        note!(self, "n{at} -> {id:?} from {from}");
        let delay = self.config.net.base;
        match self.nodes[at].up {
            Way::Open => self.push(self.now + delay, Step::Watch { node: at, proc, id, from }),
            Way::Held => self.nodes[at].held_up.push(Step::Watch { node: at, proc, id, from }),
            Way::Lost => {}
            Way::Refused => {
                let item = WatchItem::Failed(StoreError::Unavailable("connection refused".into()));
                self.push(self.now + delay.max(1), Step::Watched { node: at, proc, id, item });
            }
        }
    }

    /// The store shows something to a watch; items arrive in order.
    pub(crate) fn show(&mut self, at: usize, item: WatchItem) {
        let net = &self.config.net;
        let (base, spread) = (net.base, net.spread);
        let node = &mut self.nodes[at];
        let Some(watch) = node.watch.as_mut() else {
            return;
        };
        if matches!(item, WatchItem::Failed(_) | WatchItem::Compacted { .. }) {
            watch.silent = true;
        }
        let mut delay = base + node.watch_delay;
        if spread > 0 {
            delay += node.rng.u64(0..=spread);
        }
        watch.last = watch.last.max(self.now + delay);
        let (arrives, id, proc) = (watch.last, watch.id, node.proc);
        let step = Step::Watched { node: at, proc, id, item };
        match node.down {
            Way::Open => self.push(arrives, step),
            Way::Held => node.held_up.push(step),
            // The stream is broken, and nobody says so.
            Way::Lost | Way::Refused => watch.silent = true,
        }
    }

    /// A link is whole again: what was held arrives now.
    pub(crate) fn release_held(&mut self, at: usize) {
        let held = std::mem::take(&mut self.nodes[at].held_up);
        let delay = self.config.net.base;
        for step in held {
            // What a watch has shown before is not overtaken.
            let watch = self.nodes[at].watch.as_ref();
            let last = watch.filter(|watch| matches!(&step, Step::Watched { id, .. } if *id == watch.id));
            let arrives = last.map_or(0, |watch| watch.last).max(self.now + delay);
            self.push(arrives, step);
        }
    }
}
