//! Runs the core, and remembers what came out: the same session with the same input does the same again. Sessions
//! and messages are kept once each, as shapes whose revisions are numbered 1, 2, 3 in their order; what the numbers
//! stand for travels beside the shape (`Part`).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordha::election::{Election, Mark, Output, Renumber, Role, StoreRequest, Time};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::body::{self, Body, Slot, Slots, Value, Values};
use crate::input::{In, WATCH};
use crate::plan::{HORIZON, NEVER, Plan};
use crate::state::{Part, Rev};

/// Above what the core takes for the history of a young store.
const BASE: i64 = 1_000_000;
/// The clock of every session in its normal form.
pub(crate) const NOW: Time = Time(HORIZON.as_nanos() as u64);

/// A hash that is one already.
#[derive(Default)]
pub(crate) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("the keys are numbers of 128 bits")
    }
    fn write_u128(&mut self, i: u128) {
        self.0 = i as u64;
    }
}

pub(crate) type ByPrint<T> = HashMap<u128, T, BuildHasherDefault<Ready>>;

pub(crate) fn print(value: &impl Hash) -> u128 {
    let mut hasher = Xxh3::new();
    value.hash(&mut hasher);
    hasher.digest128()
}

/// A session in its normal form, and what is asked of it often.
pub(crate) struct Shape {
    pub(crate) election: Election,
    /// Every revision in it that is not 0, as a slot, and what it is.
    pub(crate) marks: Vec<(Mark, u8)>,
    /// It may be called active at this instant.
    pub(crate) active: bool,
    /// The slot of the token of its term; 0: it acts in none.
    pub(crate) token: u8,
    pub(crate) role: Role,
    /// The lanes in which an answer is waited for.
    pub(crate) lanes: u8,
}

/// What a session did. Revisions are ranks among those of the session and the input together.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) shape: u32,
    pub(crate) revs: Vec<Rev>,
    /// The lanes whose request is still waited for.
    pub(crate) kept: u8,
    pub(crate) sends: Vec<Send>,
    /// It watches anew, from behind this revision.
    pub(crate) watch: Option<Rev>,
    /// It was asked to activate.
    pub(crate) activate: Option<Rev>,
    /// What the user asked for came too late or too early.
    pub(crate) refused: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) lane: u8,
    pub(crate) body: u32,
    pub(crate) revs: Vec<Rev>,
}

/// All shapes, bodies and values that were ever met.
#[derive(Default)]
pub(crate) struct Shared {
    shapes: Mutex<Table<Shape>>,
    bodies: Mutex<Table<Body>>,
    values: Mutex<Table<Vec<u8>>>,
}

struct Table<T> {
    by_print: ByPrint<u32>,
    all: Vec<Arc<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { by_print: ByPrint::default(), all: Vec::new() }
    }
}

impl<T> Table<T> {
    fn number(&mut self, print: u128, make: impl FnOnce() -> T) -> u32 {
        let all = &mut self.all;
        *self.by_print.entry(print).or_insert_with(|| {
            all.push(Arc::new(make()));
            all.len() as u32 - 1
        })
    }
}

/// The part of the table that one worker has seen.
struct Seen<T>(Vec<Arc<T>>);

impl<T> Seen<T> {
    fn get(&mut self, number: u32, table: &Mutex<Table<T>>) -> &Arc<T> {
        if number as usize >= self.0.len() {
            let table = table.lock().unwrap();
            self.0.extend_from_slice(&table.all[self.0.len()..]);
        }
        &self.0[number as usize]
    }
}

/// One worker's laboratory.
pub(crate) struct Lab {
    pub(crate) plan: Arc<Plan>,
    shared: Arc<Shared>,
    shapes: Seen<Shape>,
    bodies: Seen<Body>,
    /// By body: see `Body::shows`.
    shows: Vec<Arc<[Vec<Slot>; 4]>>,
    body_numbers: ByPrint<u32>,
    steps: ByPrint<u32>,
    outcomes: Vec<Arc<Outcome>>,
    /// By shape: the outcome of a tick, and the shape a tick later.
    ticks: Vec<Option<u32>>,
    aged: Vec<Option<u32>>,
    renumbered: ByPrint<u32>,
}

impl Values for &Shared {
    fn number(&mut self, template: &[u8]) -> Value {
        let mut values = self.values.lock().unwrap();
        let number = values.number(print(&template), || template.to_vec());
        Value::try_from(number).unwrap()
    }
    fn template(&mut self, value: Value) -> Vec<u8> {
        self.values.lock().unwrap().all[value as usize].to_vec()
    }
}

impl Lab {
    pub(crate) fn new(plan: &Arc<Plan>, shared: &Arc<Shared>) -> Self {
        Self {
            plan: Arc::clone(plan),
            shared: Arc::clone(shared),
            shapes: Seen(Vec::new()),
            bodies: Seen(Vec::new()),
            shows: Vec::new(),
            body_numbers: ByPrint::default(),
            steps: ByPrint::default(),
            outcomes: Vec::new(),
            ticks: Vec::new(),
            aged: Vec::new(),
            renumbered: ByPrint::default(),
        }
    }

    pub(crate) fn shape(&mut self, number: u32) -> &Arc<Shape> {
        self.shapes.get(number, &self.shared.shapes)
    }

    pub(crate) fn body(&mut self, number: u32) -> &Arc<Body> {
        self.bodies.get(number, &self.shared.bodies)
    }

    /// See `Body::shows`.
    pub(crate) fn shows(&mut self, number: u32) -> Arc<[Vec<Slot>; 4]> {
        while self.shows.len() <= number as usize {
            let body = Arc::clone(self.body(self.shows.len() as u32));
            self.shows.push(Arc::new(body.shows()));
        }
        Arc::clone(&self.shows[number as usize])
    }

    pub(crate) fn value(&mut self, value: &[u8]) -> Value {
        (&*self.shared).number(value)
    }

    pub(crate) fn template(&mut self, value: Value) -> Vec<u8> {
        (&*self.shared).template(value)
    }

    /// Shapes, bodies and steps of the core so far.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let shapes = self.shared.shapes.lock().unwrap().all.len();
        let bodies = self.shared.bodies.lock().unwrap().all.len();
        (shapes, bodies, self.outcomes.len())
    }

    pub(crate) fn body_number(&mut self, body: Body) -> u32 {
        let print = print(&body);
        if let Some(number) = self.body_numbers.get(&print) {
            return *number;
        }
        let number = self.shared.bodies.lock().unwrap().number(print, || body);
        self.body_numbers.insert(print, number);
        number
    }

    /// A session that has just begun, and what it sent.
    pub(crate) fn start(&mut self, seat: usize, client: u8) -> Outcome {
        let settings = self.plan.settings(seat, client);
        let mut election = match self.plan.flaw {
            None => Election::new(settings),
            Some(flaw) => Election::with_flaw(settings, flaw),
        };
        election.start(NOW);
        self.take_outcome(election, NOW, seat, false)
    }

    /// What the session at this seat does with this input.
    pub(crate) fn step(&mut self, seat: usize, part: &Part, input: &In) -> Arc<Outcome> {
        if let (In::Tick, Some(Some(number))) = (input, self.ticks.get(part.shape as usize)) {
            return Arc::clone(&self.outcomes[*number as usize]);
        }
        let joint = input.joint(part, input.all(part));
        let mut key = [0u8; 80];
        key[..4].copy_from_slice(&part.shape.to_le_bytes());
        key[4..9].copy_from_slice(&input.code());
        let len = 9 + joint.all().len();
        key[9..len].copy_from_slice(joint.all());
        let print = xxh3_128(&key[..len]);
        if let Some(number) = self.steps.get(&print) {
            return Arc::clone(&self.outcomes[*number as usize]);
        }
        let outcome = self.run(seat, part, input, joint.own(), joint.message());
        self.outcomes.push(Arc::new(outcome));
        let number = self.outcomes.len() - 1;
        if let In::Tick = input {
            put(&mut self.ticks, part.shape, number as u32);
        }
        self.steps.insert(print, number as u32);
        Arc::clone(&self.outcomes[number])
    }

    fn run(&mut self, seat: usize, part: &Part, input: &In, own: &[Rev], message: &[Rev]) -> Outcome {
        let shape = Arc::clone(self.shape(part.shape));
        let mut numbers = Numbers::new(|_, r: i64| BASE + i64::from(own[r as usize - 1]));
        let mut election = shape.election.normal(NOW, HORIZON, &mut numbers);
        let refused = match input {
            In::User(request, _) => {
                let token = message.first().map_or(0, |rank| BASE + i64::from(*rank));
                election.request(NOW, request.with(token)).is_err()
            }
            In::Tick => {
                election.handle(NOW, coordha::election::Input::Tick);
                false
            }
            In::Answer { body, .. } | In::Changes(body) => {
                let id = input.id();
                let revisions: Vec<i64> = message.iter().map(|r| BASE + i64::from(*r)).collect();
                let body = Arc::clone(self.body(body.shape));
                let ttl = self.plan.ttl_ms();
                let input = body::to_input(&body, &revisions, id, ttl, &mut &*self.shared);
                election.handle(NOW, input);
                false
            }
            In::WatchFails => {
                election.handle(NOW, In::watch_failure());
                false
            }
        };
        self.take_outcome(election, NOW, seat, refused)
    }

    /// Takes the outputs of a session, and its normal form.
    fn take_outcome(&mut self, mut election: Election, now: Time, seat: usize, refused: bool) -> Outcome {
        let mut sends = Vec::new();
        let mut ids = Vec::new();
        let (mut watch, mut activate) = (None, None);
        let rank = |r: i64| Rev::try_from(r - BASE).unwrap();
        while let Some(output) = election.poll_output() {
            match output {
                Output::Send { id, request, .. } => {
                    let lane = lane(&request);
                    ids.push((id.0, u64::from(lane)));
                    let (body, revisions) = body::from_request(&request, &mut &*self.shared);
                    sends.push(Send {
                        lane,
                        body: self.body_number(body),
                        revs: revisions.into_iter().map(rank).collect(),
                    });
                }
                Output::Watch { id, from } => {
                    ids.push((id.0, WATCH));
                    watch = Some(rank(from - 1));
                }
                Output::Event(coordha::election::Event::Activate { token }) => {
                    activate = Some(rank(token));
                }
                Output::Event(_) | Output::Prove(_) => {}
            }
        }
        let (shape, revisions, kept) = self.normal(&election, now, seat, &ids);
        Outcome { shape, revs: revisions.into_iter().map(rank).collect(), kept, sends, watch, activate, refused }
    }

    /// The normal form of a session: its shape, its revisions, and the lanes whose request it already waited for.
    fn normal(&mut self, election: &Election, now: Time, seat: usize, ids: &[(u64, u64)]) -> (u32, Vec<i64>, u8) {
        let (tick, alone) = (self.plan.tick(seat), !self.plan.has_milvus());
        let mut collect = Numbers::new(|_, r| r);
        (collect.ids, collect.alone) = (ids, alone);
        let _ = election.normal(now, HORIZON, &mut collect);
        let (met, kept, lanes) = (collect.met, collect.kept, collect.lanes);
        let slots = Slots::new(met.iter().map(|(_, r)| *r).collect());
        let mut numbers = Numbers::new(|_, r| slots.of(r).into());
        (numbers.ids, numbers.tick, numbers.alone) = (ids, tick, alone);
        let election = election.normal(now, HORIZON, &mut numbers);
        let met = met.iter().filter(|(_, r)| *r != 0);
        let marks = met.map(|(mark, r)| (*mark, slots.of(*r))).collect();
        (self.intern(election, marks, lanes), slots.0, kept)
    }

    fn intern(&self, election: Election, marks: Vec<(Mark, u8)>, lanes: u8) -> u32 {
        let print = print(&election);
        let mut shapes = self.shared.shapes.lock().unwrap();
        shapes.number(print, || {
            let status = election.status();
            Shape {
                active: status.token != 0 && NOW < status.deadline,
                token: status.token as u8,
                role: status.role,
                election,
                marks,
                lanes,
            }
        })
    }

    /// The same session one tick later, before it has noticed.
    pub(crate) fn age(&mut self, seat: usize, shape: u32) -> u32 {
        if let Some(Some(aged)) = self.aged.get(shape as usize) {
            return *aged;
        }
        let election = self.shape(shape).election.clone();
        let now = NOW + self.plan.tick(seat);
        let (aged, _, _) = self.normal(&election, now, seat, &[]);
        put(&mut self.aged, shape, aged);
        aged
    }

    /// The same session with other revisions: `ranks` says what each mark's becomes, from 1 without gaps.
    pub(crate) fn renumber(&mut self, seat: usize, shape: u32, ranks: &[u8]) -> u32 {
        let mut key = [0u8; 80];
        key[..4].copy_from_slice(&shape.to_le_bytes());
        key[4..4 + ranks.len()].copy_from_slice(ranks);
        let print = xxh3_128(&key[..4 + ranks.len()]);
        if let Some(renumbered) = self.renumbered.get(&print) {
            return *renumbered;
        }
        let shape = Arc::clone(self.shape(shape));
        let mut next = ranks.iter();
        let mut numbers = Numbers::new(|_, _| i64::from(*next.next().unwrap()));
        let election = shape.election.normal(NOW, HORIZON, &mut numbers);
        let (renumbered, _, _) = self.normal(&election, NOW, seat, &[]);
        self.renumbered.insert(print, renumbered);
        renumbered
    }
}

fn put(list: &mut Vec<Option<u32>>, at: u32, number: u32) {
    if list.len() <= at as usize {
        list.resize(at as usize + 1, None);
    }
    list[at as usize] = Some(number);
}

/// Leases, reads, and all else: a session waits for one answer of each kind at a time.
fn lane(request: &StoreRequest) -> u8 {
    match request {
        StoreRequest::Txn(txn) => {
            let reads = txn.compares.is_empty() && txn.success.len() == 2;
            let role = reads && txn.success.iter().all(|op| !op.writes());
            if role { 1 } else { 2 }
        }
        StoreRequest::First { .. } => 2,
        _ => 0,
    }
}

struct Numbers<'a, F> {
    map: F,
    ids: &'a [(u64, u64)],
    tick: Duration,
    alone: bool,
    /// Revisions met, 0 among them.
    met: Vec<(Mark, i64)>,
    kept: u8,
    lanes: u8,
}

impl<F: FnMut(Mark, i64) -> i64> Numbers<'_, F> {
    fn new(map: F) -> Self {
        Self { map, ids: &[], tick: Duration::from_millis(1), alone: false, met: Vec::new(), kept: 0, lanes: 0 }
    }
}

impl<F: FnMut(Mark, i64) -> i64> Renumber for Numbers<'_, F> {
    fn revision(&mut self, mark: Mark, revision: i64) -> i64 {
        self.met.push((mark, revision));
        if revision == 0 { 0 } else { (self.map)(mark, revision) }
    }

    fn id(&mut self, id: u64) -> u64 {
        let new = self.ids.iter().find(|(known, _)| *known == id);
        let number = new.map_or(id, |(_, number)| *number);
        if number < WATCH {
            self.lanes |= 1 << number;
            if new.is_none() {
                self.kept |= 1 << number;
            }
        }
        number
    }

    fn alone(&self) -> bool {
        self.alone
    }

    fn wait(&mut self, wait: Duration) -> Duration {
        if wait > NEVER / 2 {
            return NEVER;
        }
        let ticks = wait.as_nanos().div_ceil(self.tick.as_nanos());
        self.tick * u32::try_from(ticks).unwrap()
    }
    /// All pauses are shorter than a tick: they may be over at once.
    fn pause(&mut self, pause: Duration) -> Duration {
        if pause > NEVER / 2 { NEVER } else { Duration::ZERO }
    }
}
