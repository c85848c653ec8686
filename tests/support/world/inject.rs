//! When faults begin and end. Uniformly random instants do not find a margin of zero, so most are tied to what
//! decides: deadlines, timers, the ends of waits, commits.

use super::World;
use super::clock::{Ns, SECOND};
use super::fault::{Fault, WatchFault, Which};
use super::message::{Kind, Step};
use super::network::Filter;

/// A node, told by its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one that holds the role, or held it last.
    Holder,
    /// One that does not, the first of them counted from this number.
    Other(usize),
}

/// An instant that something decides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// So long after the one before.
    After(Ns),
    /// At the holder's deadline as it stands now, and so much later (or sooner).
    Deadline(i64),
    /// When the timer of a node is due.
    Timer(Who, i64),
    /// When the wait of a node for the last renewal is over: 1.25 × H by its own clock.
    Wait(Who, i64),
    /// At the next commit of this kind.
    Commit(Kind),
    /// When a node sends the next request of this kind.
    Sent(Who, Kind),
    /// When a session is told to activate.
    Activation,
}

/// One fault of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Injection {
    pub(crate) pause: Ns,
    pub(crate) when: When,
    pub(crate) who: Who,
    /// The node in it is put in for `who` when it begins.
    pub(crate) fault: Fault,
    pub(crate) until: When,
}

/// No instant is awaited for longer.
const LIMIT: Ns = 12 * SECOND;

/// The injections of a plan, and how far they have come.
#[derive(Default)]
pub(crate) struct Schedule {
    plan: Vec<Injection>,
    next: usize,
    /// The injection that is prepared and has not come yet.
    waiting: Option<usize>,
    /// Faults that end at a commit.
    ends: Vec<(Kind, u64)>,
}

impl Schedule {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl World {
    /// Sets the plan, which begins now.
    pub(crate) fn follow(&mut self, plan: Vec<Injection>) {
        self.schedule = Schedule { plan, ..Schedule::default() };
        self.push(self.now, Step::Prepare);
    }

    /// Whether all injections have come.
    pub(crate) fn plan_is_done(&self) -> bool {
        self.schedule.waiting.is_none() && self.schedule.next >= self.schedule.plan.len()
    }

    pub(crate) fn prepare(&mut self) {
        let index = self.schedule.next;
        if self.schedule.waiting.is_some() || index >= self.schedule.plan.len() {
            return;
        }
        self.schedule.next += 1;
        self.schedule.waiting = Some(index);
        let when = self.schedule.plan[index].when;
        let at = self.instant(when).unwrap_or(self.now + LIMIT / 4);
        self.push(at, Step::Inject { index });
    }

    pub(crate) fn inject_if_waiting(&mut self, index: usize) {
        if self.schedule.waiting == Some(index) {
            self.inject_now(index);
        }
    }

    fn inject_now(&mut self, index: usize) {
        self.schedule.waiting = None;
        let Injection { who, mut fault, until, .. } = self.schedule.plan[index].clone();
        let node = self.node(who);
        aim(&mut fault, node);
        let end = self.instant(until);
        let name = self.inject(fault);
        if let When::Commit(kind) = until {
            self.schedule.ends.push((kind, name));
        }
        self.push(end.unwrap_or(self.now + LIMIT), Step::Undo { fault: name });
        let pause = self.schedule.plan.get(index + 1).map_or(0, |next| next.pause);
        self.push(self.now + pause, Step::Prepare);
    }

    /// The true time of an instant; `None` where it is not known beforehand.
    fn instant(&self, when: When) -> Option<Ns> {
        let now = self.now;
        let at = match when {
            When::After(span) => now + span,
            When::Deadline(off) => {
                let holder = self.roles[0].holder?;
                let node = &self.nodes[holder];
                node.clock.when(node.status.deadline).checked_add_signed(off)?
            }
            When::Timer(who, off) => self.nodes[self.node(who)].timer?.checked_add_signed(off)?,
            When::Wait(who, off) => {
                let watch = &self.roles[0];
                let wait = self.nodes[self.node(who)].clock.span(watch.hold / 4 * 5);
                (watch.renewed + wait).checked_add_signed(off)?
            }
            When::Commit(_) | When::Sent(..) | When::Activation => return None,
        };
        Some(at.clamp(now, now + LIMIT))
    }

    pub(crate) fn node(&self, who: Who) -> usize {
        let count = self.nodes.len();
        let holder = self.roles[0].holder.unwrap_or(0);
        match who {
            Who::Holder => holder,
            Who::Other(_) if count == 1 => 0,
            Who::Other(number) => (holder + 1 + number % (count - 1)) % count,
        }
    }

    pub(crate) fn fire_on_commit(&mut self, kind: Kind) {
        let ends = &mut self.schedule.ends;
        let over: Vec<_> = ends.extract_if(.., |(end, _)| *end == kind).collect();
        for (_, fault) in over {
            self.push(self.now, Step::Undo { fault });
        }
        self.fire(|when| matches!(when, When::Commit(wanted) if *wanted == kind));
    }

    pub(crate) fn fire_on_send(&mut self, at: usize, kind: Kind) {
        let Some(index) = self.schedule.waiting else {
            return;
        };
        if let When::Sent(who, wanted) = self.schedule.plan[index].when
            && wanted == kind
            && self.node(who) == at
        {
            self.push(self.now, Step::Inject { index });
        }
    }

    pub(crate) fn fire_on_activate(&mut self) {
        self.fire(|when| matches!(when, When::Activation));
    }

    fn fire(&mut self, fits: impl Fn(&When) -> bool) {
        if let Some(index) = self.schedule.waiting
            && fits(&self.schedule.plan[index].when)
        {
            self.push(self.now, Step::Inject { index });
        }
    }
}

/// Puts a node into a fault.
fn aim(fault: &mut Fault, at: usize) {
    match fault {
        Fault::Cut { node, .. }
        | Fault::Deposed(node)
        | Fault::Freeze(node)
        | Fault::Suspend(node)
        | Fault::Kill { node, .. }
        | Fault::Stop { node, .. }
        | Fault::Resign { node, .. }
        | Fault::Pause(node)
        | Fault::RevokeLease(node)
        | Fault::Watch {
            node,
            fault: WatchFault::Silent | WatchFault::Cut | WatchFault::Compacted | WatchFault::Skips,
        }
        | Fault::WatchLate { node, .. }
        | Fault::App { node, .. }
        | Fault::Delete(Which::Member(node))
        | Fault::Put { which: Which::Member(node), .. }
        | Fault::Filter(Filter { node: Some(node), .. }) => *node = at,
        _ => {}
    }
}
