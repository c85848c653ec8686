//! A node: the place of a session, with its clock, its driver and the application behind it.

use std::rc::Rc;

use coordha::election::{
    Election, Event, Input, Output, Process, Reply, Request, RequestId, Role, Status, Time, WatchId,
};
use coordha::error::{Error, ErrorKind, Result};
use coordha::kv::{KeyRange, LeaseId, OpReply, Revision};
use fastrand::Rng;

use super::clock::{Clock, MS, Ns};
use super::config::NodeConfig;
use super::message::{Kind, Proc, Step, input};
use super::network::Way;
use super::{World, note, trace};

/// Whether a node's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// There is none.
    Down,
    Up,
    /// It is stopped; its clock goes on.
    Frozen,
}

/// What a session knows of who held the role before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// The tokens of which it has said that they are held.
    pub(crate) told: Vec<Revision>,
    /// The revision of its first read, where that showed no active key; else 0.
    pub(crate) blank: Revision,
    /// That of its newest read; 0: there was none.
    pub(crate) read: Revision,
}

/// A watch at the store.
pub(crate) struct ServedWatch {
    pub(crate) id: WatchId,
    pub(crate) next: Revision,
    pub(crate) ranges: Rc<Vec<KeyRange>>,
    /// It brings nothing any more, and does not say so.
    pub(crate) silent: bool,
    /// It leaves out the next change.
    pub(crate) skips: bool,
    /// When its last item arrives: the next one does not overtake it.
    pub(crate) last: Ns,
}

/// What has been told of the current term, or the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) token: Revision,
    pub(crate) deactivate: u32,
    pub(crate) ended: u32,
    pub(crate) acknowledged: bool,
}

/// A node. See the module's page.
pub(crate) struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) role: usize,
    pub(crate) clock: Clock,
    pub(crate) run: Run,
    pub(crate) proc: Proc,
    pub(crate) election: Option<Box<Election>>,
    /// What other threads of the process read.
    pub(crate) status: Status,
    pub(crate) inbox: Vec<Step>,
    pub(crate) pending: Vec<(RequestId, Kind)>,
    pub(crate) watch: Option<ServedWatch>,
    pub(crate) shown: Shown,
    /// When the core wants to be woken.
    pub(crate) timer: Option<Ns>,
    /// The next step that will look whether that is due.
    pub(crate) alarm: Option<Ns>,
    pub(crate) process: Option<Process>,
    pub(crate) lease: LeaseId,
    pub(crate) up: Way,
    pub(crate) down: Way,
    pub(crate) held_up: Vec<Step>,
    /// It talks to a deposed leader of the store.
    pub(crate) deposed: bool,
    pub(crate) watch_delay: Ns,
    pub(crate) proving: Option<Process>,
    pub(crate) told: Told,
    /// The newest token that TERM_ENDED was said of.
    pub(crate) over: Revision,
    /// Acknowledgements that the application owes.
    pub(crate) owed: Vec<Request>,
    /// It was asked to leave for ever.
    pub(crate) stopping: bool,
    pub(crate) ended: Option<Option<Error>>,
    pub(crate) events: Vec<(Ns, Event)>,
    pub(crate) sent: Vec<(Ns, Kind)>,
    pub(crate) record: bool,
    pub(crate) window: (Ns, u32),
    pub(crate) rng: Rng,
}

const NOTHING: Status = Status { role: Role::Ended, token: 0, deadline: Time(0), ending: false, server_id: 0 };

impl Node {
    pub(crate) fn new(config: NodeConfig, role: usize, seed: u64) -> Self {
        Self {
            role,
            clock: Clock::new(config.rate, config.offset),
            config,
            run: Run::Down,
            proc: 0,
            election: None,
            status: NOTHING,
            inbox: Vec::new(),
            pending: Vec::new(),
            watch: None,
            shown: Shown::default(),
            timer: None,
            alarm: None,
            process: None,
            lease: 0,
            up: Way::Open,
            down: Way::Open,
            held_up: Vec::new(),
            deposed: false,
            watch_delay: 0,
            proving: None,
            told: Told::default(),
            over: 0,
            owed: Vec::new(),
            stopping: false,
            ended: None,
            events: Vec::new(),
            sent: Vec::new(),
            record: false,
            window: (0, 0),
            rng: Rng::with_seed(seed),
        }
    }

    /// Whether the process runs, or could if it were thawed.
    pub(crate) fn is_alive(&self) -> bool {
        self.run != Run::Down
    }

    /// `holds`, as any thread of the process would find it: the published status against the clock.
    pub(crate) fn holds(&self, at: Ns) -> bool {
        self.is_alive() && self.status.token != 0 && self.clock.read(at) < self.status.deadline
    }

    /// `is_active`, likewise.
    pub(crate) fn is_active(&self, at: Ns) -> bool {
        self.status.role == Role::Active && self.holds(at)
    }

    /// H of a term of this node's.
    pub(crate) fn hold(&self, min_ttl: Ns) -> Ns {
        self.config.hold.min(self.config.ttl.max(min_ttl) / 5 * 4)
    }
}

impl World {
    /// Starts a process, unless one runs.
    pub(crate) fn start(&mut self, at: usize) {
        if self.nodes[at].is_alive() {
            return;
        }
        let proc = self.next_proc;
        self.next_proc += 1;
        let node = &mut self.nodes[at];
        let settings = node.config.settings(at, proc);
        node.proc = proc;
        node.process.clone_from(&settings.process);
        let election = match self.flaw {
            Some(flaw) => Election::with_flaw(settings, flaw),
            None => Election::new(settings),
        };
        node.election = Some(Box::new(election));
        node.run = Run::Up;
        node.told = Told::default();
        node.over = 0;
        node.shown = Shown::default();
        node.ended = None;
        node.window = (self.now, 0);
        note!(self, "n{at} starts, process {proc}");
        self.mutate(at, Election::start);
    }

    /// Ends a node's process at once.
    pub(crate) fn kill(&mut self, at: usize) {
        if self.nodes[at].is_alive() {
            note!(self, "n{at} is killed");
            self.bury(at);
        }
    }

    /// A process is gone, for whatever reason.
    fn bury(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        let process = node.process.take();
        node.run = Run::Down;
        node.stopping = false;
        node.election = None;
        node.status = NOTHING;
        node.inbox.clear();
        node.pending.clear();
        node.watch = None;
        (node.timer, node.alarm) = (None, None);
        node.proving = None;
        node.owed.clear();
        node.held_up.retain(|step| matches!(step, Step::Arrive { .. }));
        let watchers = self.nodes.iter().enumerate();
        let proofs: Vec<_> = watchers
            .filter(|(_, other)| process.is_some() && other.proving == process)
            .map(|(at, other)| (at, other.proc))
            .collect();
        for (node, proc) in proofs {
            self.prove(node, proc, now);
        }
    }

    fn prove(&mut self, node: usize, proc: Proc, from: Ns) {
        if let Some(process) = self.nodes[node].proving.clone() {
            let delay = self.rng.u64(0..2 * MS);
            self.push(from + delay, Step::Died { node, proc, process });
        }
    }

    /// Hands a step to the process that it is for.
    pub(crate) fn deliver(&mut self, at: usize, step: Step) {
        match &step {
            Step::Timer { .. } => {
                self.alarm(at);
                return;
            }
            Step::Limit { id, kind, .. } => {
                let (id, kind) = (*id, *kind);
                self.give_up(at, id, kind);
                return;
            }
            Step::App { request, .. } => {
                let request = request.clone();
                // Too late, it may be.
                let _ = self.ask(at, request);
                return;
            }
            Step::Reply { id, reply, .. } => {
                let kind = self.nodes[at].pending.iter().find(|(pending, _)| pending == id).map(|(_, kind)| *kind);
                self.nodes[at].pending.retain(|(pending, _)| pending != id);
                let late = kind.is_none();
                if late && !self.delivers_late_reply(at) {
                    return;
                }
                let awaited = self.nodes[at].election.as_ref().is_some_and(|election| election.awaits(*id));
                if awaited && kind.is_some_and(|kind| kind != Kind::Id) {
                    self.note_shown(at, &step);
                }
                note!(self, "n{at} <- {id:?}{}: {}", if late { " late" } else { "" }, trace::reply(reply));
            }
            Step::Watched { id, item, .. } => {
                if self.nodes[at].watch.as_ref().is_some_and(|watch| watch.id == *id) {
                    self.note_shown(at, &step);
                }
                note!(self, "n{at} <- {id:?}: {}", trace::item(item));
            }
            Step::Died { .. } => note!(self, "n{at} learns of a death"),
            _ => {}
        }
        if let Some(input) = input(&step) {
            self.mutate(at, |election, now| election.handle(now, input));
        }
    }

    /// What a read of the role shows of the active key.
    fn note_shown(&mut self, at: usize, step: &Step) {
        let active = &self.roles[self.nodes[at].role].keys.active;
        let Step::Reply { reply: Reply::Txn(Ok(reply)), .. } = step else { return };
        let reads = reply.replies.iter().any(|reply| matches!(reply, OpReply::Range { .. }));
        let shown = &mut self.nodes[at].shown;
        if reads && shown.read == 0 && reply.kvs().all(|kv| kv.key != *active) {
            shown.blank = reply.revision;
        }
        if reads {
            shown.read = shown.read.max(reply.revision);
        }
    }

    /// A session's request is answered, by the store or by the driver.
    pub(crate) fn hand_over(&mut self, at: usize, id: RequestId, reply: Reply) {
        self.mutate(at, |election, now| election.handle(now, Input::Reply { id, reply }));
    }

    /// The user of a session asks for something. Where no process runs the answer is that it has ended.
    pub(crate) fn ask(&mut self, at: usize, request: Request) -> Result<()> {
        note!(self, "n{at} is asked: {request:?}");
        self.nodes[at].stopping |= request == Request::Stop && self.nodes[at].is_alive();
        let token = match &request {
            Request::DeactivationDone { token } => Some(*token),
            _ => None,
        };
        let done = self.mutate(at, |election, now| election.request(now, request));
        if let (Some(token), Some(Ok(()))) = (token, &done)
            && self.nodes[at].told.token == token
        {
            self.nodes[at].told.acknowledged = true;
        }
        done.unwrap_or_else(|| Err(Error::new(ErrorKind::Ended, "no process runs here")))
    }

    /// The member key of the session that a node runs.
    pub(crate) fn member_key(&self, at: usize) -> Vec<u8> {
        let mut key = self.roles[self.nodes[at].role].keys.active.clone();
        key.extend_from_slice(format!("-{}", self.nodes[at].status.server_id).as_bytes());
        key
    }

    /// One mutation of the core, and all that follows from it, in the order that its contract asks for.
    fn mutate<T>(&mut self, at: usize, act: impl FnOnce(&mut Election, Time) -> T) -> Option<T> {
        let node = &mut self.nodes[at];
        let election = node.election.as_mut()?;
        let done = act(election, node.clock.read(self.now));
        let mut outputs = std::mem::take(&mut self.outputs);
        while let Some(output) = election.poll_output() {
            outputs.push(output);
        }
        let status = election.status();
        self.publish(at, status);
        for output in outputs.drain(..) {
            self.carry_out(at, output);
        }
        self.outputs = outputs;
        if self.nodes[at].ended.is_some() {
            self.bury(at);
        } else {
            self.arm(at);
        }
        Some(done)
    }

    /// Sets the one timer of a session.
    fn arm(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(due) = node.election.as_ref().and_then(|election| election.next_timer()) else {
            node.timer = None;
            return;
        };
        let due = node.clock.when(due).max(self.now);
        let lag = self.config.net.timer_lag;
        // The lag is drawn once for each due time.
        let due = if lag == 0 { due } else { due + due.wrapping_mul(0x9e37_79b9) % (lag + 1) };
        node.timer = Some(due);
        if node.alarm.is_none_or(|alarm| alarm > due) {
            node.alarm = Some(due);
            let proc = node.proc;
            self.push(due, Step::Timer { node: at, proc });
        }
    }

    fn alarm(&mut self, at: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if node.alarm.is_some_and(|alarm| alarm <= now) {
            node.alarm = None;
        }
        if node.timer.is_some_and(|timer| timer <= now) {
            node.timer = None;
            self.mutate(at, |election, now| election.handle(now, Input::Tick));
        } else if node.alarm.is_none()
            && let Some(due) = node.timer
        {
            node.alarm = Some(due);
            let proc = node.proc;
            self.push(due, Step::Timer { node: at, proc });
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        self.check_output(at, &output);
        match output {
            Output::Send { id, request, limit } => self.send(at, id, request, limit.as_nanos() as u64),
            Output::Watch { id, from } => self.ask_watch(at, id, from),
            Output::Prove(process) => {
                let node = &mut self.nodes[at];
                node.proving.clone_from(&process);
                let proc = node.proc;
                let lives = self.nodes.iter().any(|n| n.is_alive() && n.process == process);
                if process.is_some() && !lives {
                    self.prove(at, proc, self.now);
                }
            }
            Output::Event(event) => {
                note!(self, "n{at} says {event:?}");
                self.check_event(at, &event);
                self.application(at, &event);
                let now = self.now;
                let node = &mut self.nodes[at];
                if let Event::Ended(error) = &event {
                    node.ended = Some(error.clone());
                }
                if node.record {
                    node.events.push((now, event));
                }
            }
        }
    }
}
