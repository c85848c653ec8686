//! Breadth-first search over all that can happen, by several workers: each owns the states whose fingerprints fall to
//! it.

use std::sync::Arc;
use std::thread;

use xxhash_rust::xxh3::xxh3_128;

use crate::check;
use crate::lab::{Lab, Shared};
use crate::moves;
use crate::plan::Plan;
use crate::state::State;
use crate::table::Table;

/// States that a worker expands before all exchange what they found.
const CHUNK: usize = 20_000;

/// In the place of the next state: somebody is active in this one.
const ACTIVE: u32 = u32::MAX;
/// In the place of the next state: none is known.
const NONE: u32 = u32::MAX - 1;

/// How far the search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    pub(crate) workers: usize,
    pub(crate) chatty: bool,
}

/// What the search came to.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// Every state that can be reached was.
    pub(crate) complete: bool,
    pub(crate) breach: Option<Broken>,
    /// States from which, when all is well, somebody becomes active; and those where that was not looked at.
    pub(crate) recovered: usize,
    pub(crate) open: usize,
}

/// A rule that was broken: by which successors, in their order, one gets from the start to the state before it.
pub(crate) struct Broken {
    pub(crate) why: String,
    pub(crate) path: Vec<u8>,
    pub(crate) last: Option<moves::Move>,
    /// The tables that the path and the move refer to.
    pub(crate) shared: Arc<Shared>,
}

/// States in a row, each with its number.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    read: usize,
}

impl Queue {
    fn push(&mut self, number: u32, state: &[u8]) {
        self.bytes.extend((state.len() as u16).to_le_bytes());
        self.bytes.extend(number.to_le_bytes());
        self.bytes.extend(state);
    }

    fn pop(&mut self) -> Option<(u32, &[u8])> {
        let rest = &self.bytes[self.read..];
        if rest.is_empty() {
            return None;
        }
        let len = u16::from_le_bytes([rest[0], rest[1]]) as usize;
        let number = u32::from_le_bytes(rest[2..6].try_into().unwrap());
        self.read += 6 + len;
        Some((number, &rest[6..6 + len]))
    }

    fn is_done(&self) -> bool {
        self.read == self.bytes.len()
    }
}

/// A state that was reached from another one.
struct Reached {
    print: u128,
    from: u32,
    by: u8,
    /// It is what comes next when all is well.
    well: bool,
    active: bool,
    start: u32,
    len: u16,
}

#[derive(Default)]
struct Outbox {
    reached: Vec<Reached>,
    bytes: Vec<u8>,
}

struct Worker {
    me: usize,
    workers: usize,
    lab: Lab,
    table: Table,
    from: Vec<u32>,
    by: Vec<u8>,
    next: Vec<u32>,
    now: Queue,
    later: Queue,
    out: Vec<Outbox>,
    /// What comes next after states that others own.
    links: Vec<(u32, u32)>,
    breach: Option<(u32, moves::Move, String)>,
}

impl Worker {
    fn new(me: usize, limits: &Limits, plan: &Arc<Plan>, shared: &Arc<Shared>) -> Self {
        Self {
            me,
            workers: limits.workers,
            lab: Lab::new(plan, shared),
            table: Table::new(),
            from: Vec::new(),
            by: Vec::new(),
            next: Vec::new(),
            now: Queue::default(),
            later: Queue::default(),
            out: (0..limits.workers).map(|_| Outbox::default()).collect(),
            links: Vec::new(),
            breach: None,
        }
    }

    /// Finds what comes after the next states of this level.
    fn expand(&mut self) {
        let mut now = std::mem::take(&mut self.now);
        for _ in 0..CHUNK {
            let Some((number, bytes)) = now.pop() else {
                break;
            };
            let own = xxh3_128(bytes);
            let state = State::decode(bytes);
            let (out, workers) = (&mut self.out, self.workers);
            let (mut by, mut first) = (0, true);
            let mut emit = |lab: &mut Lab, _: moves::Move, state: State| {
                let active = check::someone_is_active(&state, lab);
                let mut bytes = Vec::with_capacity(160);
                state.encode(&mut bytes);
                let print = xxh3_128(&bytes);
                if print != own {
                    let to = &mut out[print as usize % workers];
                    to.reached.push(Reached {
                        print,
                        from: number,
                        by,
                        well: first,
                        active,
                        start: to.bytes.len() as u32,
                        len: bytes.len() as u16,
                    });
                    to.bytes.extend(&bytes);
                    first = false;
                }
                by += 1;
            };
            if let Err((what, why)) = moves::successors(&state, &mut self.lab, &mut emit) {
                self.breach = Some((number, what, why));
                break;
            }
        }
        self.now = now;
    }

    /// Takes in what others have found and this one owns.
    fn take(&mut self, inboxes: &[Outbox]) {
        for inbox in inboxes {
            for reached in &inbox.reached {
                let (local, new) = self.table.insert(reached.print);
                let number = local * self.workers as u32 + self.me as u32;
                if new {
                    self.from.push(reached.from);
                    self.by.push(reached.by);
                    self.next.push(if reached.active { ACTIVE } else { NONE });
                    let start = reached.start as usize;
                    let bytes = &inbox.bytes[start..start + reached.len as usize];
                    self.later.push(number, bytes);
                }
                if reached.well {
                    self.links.push((reached.from, number));
                }
            }
        }
    }
}

/// The search itself.
pub(crate) struct Search {
    limits: Limits,
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    depth: usize,
}

impl Search {
    pub(crate) fn new(plan: &Arc<Plan>, limits: Limits) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let mut workers: Vec<Worker> = (0..limits.workers).map(|me| Worker::new(me, &limits, plan, &shared)).collect();
        let first = moves::start(&mut workers[0].lab)?;
        let active = check::someone_is_active(&first, &mut workers[0].lab);
        let mut bytes = Vec::new();
        first.encode(&mut bytes);
        let print = xxh3_128(&bytes);
        let box_ = Outbox {
            reached: vec![Reached { print, from: NONE, by: 0, well: false, active, start: 0, len: bytes.len() as u16 }],
            bytes,
        };
        workers[print as usize % limits.workers].take(&[box_]);
        Ok(Self { limits, shared, workers, depth: 0 })
    }

    fn states(&self) -> usize {
        self.workers.iter().map(|w| w.from.len()).sum()
    }

    pub(crate) fn run(mut self) -> Found {
        let mut complete = false;
        let mut breach = None;
        while breach.is_none() {
            for worker in &mut self.workers {
                worker.now = std::mem::take(&mut worker.later);
            }
            complete = self.workers.iter().all(|w| w.now.is_done());
            if complete || self.states() >= self.limits.states || self.depth >= self.limits.depth {
                break;
            }
            self.level();
            self.depth += 1;
            breach = self.breach();
            if self.limits.chatty {
                let waiting: usize = self.workers.iter().map(|w| w.later.bytes.len()).sum();
                println!(
                    "  depth {:>3}: {:>10} states, {:>5} MB waiting, {:?} shapes, bodies, steps",
                    self.depth,
                    self.states(),
                    waiting >> 20,
                    self.workers[0].lab.sizes()
                );
            }
        }
        let mut found = Found { states: self.states(), depth: self.depth, complete, breach, recovered: 0, open: 0 };
        if found.breach.is_none() {
            self.recover(&mut found);
        }
        found
    }

    /// Expands one level.
    fn level(&mut self) {
        loop {
            thread::scope(|scope| {
                for worker in &mut self.workers {
                    scope.spawn(|| worker.expand());
                }
            });
            let count = self.workers.len();
            let mut inboxes: Vec<Vec<Outbox>> = (0..count).map(|_| Vec::new()).collect();
            for worker in &mut self.workers {
                for (inbox, out) in inboxes.iter_mut().zip(&mut worker.out) {
                    inbox.push(std::mem::take(out));
                }
            }
            thread::scope(|scope| {
                for (worker, inbox) in self.workers.iter_mut().zip(&inboxes) {
                    scope.spawn(|| worker.take(inbox));
                }
            });
            self.link();
            let broken = self.workers.iter().any(|w| w.breach.is_some());
            if broken || self.workers.iter().all(|w| w.now.is_done()) {
                return;
            }
        }
    }

    /// Notes what comes next where all is well.
    fn link(&mut self) {
        let count = self.workers.len();
        for i in 0..count {
            for (from, to) in std::mem::take(&mut self.workers[i].links) {
                let next = &mut self.workers[from as usize % count].next[from as usize / count];
                if *next == NONE {
                    *next = to;
                }
            }
        }
    }

    fn breach(&self) -> Option<Broken> {
        let mut broken = self.workers.iter().filter_map(|w| w.breach.as_ref());
        let (number, what, why) = broken.next()?;
        Some(Broken { why: why.clone(), path: self.path(*number), last: Some(*what), shared: Arc::clone(&self.shared) })
    }

    /// Which successor was taken each time, from the start to this state.
    fn path(&self, mut number: u32) -> Vec<u8> {
        let mut path = Vec::new();
        loop {
            let worker = &self.workers[number as usize % self.workers.len()];
            let at = number as usize / self.workers.len();
            if worker.from[at] == NONE {
                path.reverse();
                return path;
            }
            path.push(worker.by[at]);
            number = worker.from[at];
        }
    }

    fn next(&self, number: u32) -> u32 {
        let count = self.workers.len();
        self.workers[number as usize % count].next[number as usize / count]
    }

    /// Follows what comes next when all is well, from every state, until somebody is active.
    fn recover(&mut self, found: &mut Found) {
        const OPEN: u8 = 1;
        const GOOD: u8 = 2;
        const PATH: u8 = 3;
        let count = self.workers.len();
        let longest = self.workers.iter().map(|w| w.from.len()).max().unwrap_or(0);
        let mut marks = vec![0u8; longest * count];
        let mut path: Vec<u32> = Vec::new();
        for at in 0..longest * count {
            if at / count >= self.workers[at % count].from.len() {
                continue;
            }
            let mut number = at as u32;
            let mark = loop {
                match marks[number as usize] {
                    0 => {}
                    PATH => {
                        return self.stuck(found, at as u32, "nobody ever becomes active again");
                    }
                    known => break known,
                }
                match self.next(number) {
                    ACTIVE => break GOOD,
                    NONE if found.complete => {
                        return self.stuck(found, number, "nothing happens any more");
                    }
                    NONE => break OPEN,
                    next => {
                        marks[number as usize] = PATH;
                        path.push(number);
                        number = next;
                    }
                }
            };
            marks[number as usize] = mark;
            path.drain(..).for_each(|n| marks[n as usize] = mark);
        }
        found.recovered = marks.iter().filter(|m| **m == GOOD).count();
        found.open = marks.iter().filter(|m| **m == OPEN).count();
    }

    fn stuck(&self, found: &mut Found, number: u32, why: &str) {
        found.breach =
            Some(Broken { why: why.into(), path: self.path(number), last: None, shared: Arc::clone(&self.shared) });
    }
}
