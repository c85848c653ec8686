//! A small world for tests of the core: some sessions, one simulated store, a clock; every request is answered after
//! the same delay unless a test says otherwise.

use std::time::Duration;

use coordha::election::{
    Election, Event, Input, Output, Process, Reply, Request, RequestId, Settings, Status, StoreRequest, Time, WatchId,
};
use coordha::kv::{Op, Revision, StoreError, Txn, WatchItem};
use coordha::store::sim::SimState;

/// What a test may do to a request before the store sees it, or to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answered.
    Answer,
    /// Never reaches the store.
    LoseRequest,
    /// Done, and the answer is lost.
    LoseReply,
    /// Refused: the store was restored.
    Regressed,
    /// Refused: the store has no space left.
    NoSpace,
}

pub(crate) struct Node {
    pub(crate) core: Election,
    pub(crate) log: Vec<Event>,
    pub(crate) alive: bool,
    pub(crate) proving: Option<Process>,
    watch: Option<(WatchId, Revision)>,
    pub(crate) watch_silent: bool,
    pub(crate) sent: Vec<StoreRequest>,
}

type Decide = Box<dyn FnMut(usize, &StoreRequest) -> Fate>;

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) store: SimState,
    pub(crate) nodes: Vec<Node>,
    /// One way.
    pub(crate) delay: Duration,
    /// Decides on every request: node, request.
    pub(crate) fate: Decide,
    /// (when, node, request, its name): on the way to the store.
    requests: Vec<(Time, usize, RequestId, StoreRequest)>,
    replies: Vec<(Time, usize, Input)>,
}

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn settings(number: u128) -> Settings {
    Settings {
        role: "rootcoord".into(),
        root: "by-dev/meta".into(),
        address: format!("10.0.0.{number}:53100"),
        version: "2.5.0".into(),
        host_name: format!("h{number}"),
        session_id: number,
        priority: 0,
        active_standby: true,
        paused: false,
        auto: true,
        hold: 1000 * MS,
        ttl: 10_000 * MS,
        reread: 3000 * MS,
        rank_step: 100 * MS,
        request_timeout: 5000 * MS,
        activation_timeout: 60_000 * MS,
        activation_backoff: 1000 * MS,
        deactivation_timeout: 8000 * MS,
        release_timeout: 2000 * MS,
        milvus_takeover_delay: Duration::ZERO,
        exclusive_wait: None,
        exclusive_wait_floor: Duration::ZERO,
        process: None,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Time(1_000_000_000),
            store: SimState::default(),
            nodes: Vec::new(),
            delay: MS,
            fate: Box::new(|_, _| Fate::Answer),
            requests: Vec::new(),
            replies: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, settings: Settings) -> usize {
        self.start_with(settings, |_| {})
    }

    pub(crate) fn start_with(&mut self, settings: Settings, before: impl FnOnce(&mut Election)) -> usize {
        let mut core = Election::new(settings);
        before(&mut core);
        core.start(self.now);
        self.nodes.push(Node {
            core,
            log: Vec::new(),
            alive: true,
            proving: None,
            watch: None,
            watch_silent: false,
            sent: Vec::new(),
        });
        self.drain(self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    pub(crate) fn status(&self, node: usize) -> Status {
        self.nodes[node].core.status()
    }

    /// Whether the node may say "active" now.
    pub(crate) fn holds(&self, node: usize) -> bool {
        let status = self.status(node);
        self.nodes[node].alive && status.token != 0 && self.now < status.deadline
    }

    pub(crate) fn ask(&mut self, node: usize, request: Request) -> coordha::error::Result<()> {
        let result = self.nodes[node].core.request(self.now, request);
        self.drain(node);
        result
    }

    pub(crate) fn feed(&mut self, node: usize, input: Input) {
        self.nodes[node].core.handle(self.now, input);
        self.drain(node);
    }

    pub(crate) fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].core.poll_output() {
            match output {
                Output::Send { id, request, .. } => {
                    self.nodes[n].sent.push(request.clone());
                    self.requests.push((self.now + self.delay, n, id, request));
                }
                Output::Watch { id, from } => self.nodes[n].watch = Some((id, from)),
                Output::Prove(process) => self.nodes[n].proving = process,
                Output::Event(event) => {
                    self.nodes[n].log.push(event);
                }
            }
        }
        let holding: Vec<usize> = (0..self.nodes.len()).filter(|n| self.holds(*n)).collect();
        assert!(holding.len() <= 1, "two hold the role: {holding:?}");
    }

    fn apply(&mut self, request: &StoreRequest) -> Reply {
        match request {
            StoreRequest::Grant { ttl } => Reply::Lease(self.store.grant(ttl.as_millis() as u64)),
            StoreRequest::KeepAlive { lease } => Reply::Lease(Ok(self.store.keepalive(*lease))),
            StoreRequest::Revoke { lease } => {
                self.store.revoke(*lease);
                Reply::Revoked(Ok(()))
            }
            StoreRequest::Txn(txn) => Reply::Txn(self.store.apply_txn(txn)),
            StoreRequest::First { key } => Reply::First(Ok(self.store.first_event(key).unwrap_or(None))),
        }
    }

    /// Shows each watch what is new.
    fn notify(&mut self) {
        for n in 0..self.nodes.len() {
            let node = &mut self.nodes[n];
            let Some((id, from)) = node.watch.filter(|_| node.alive && !node.watch_silent) else {
                continue;
            };
            let item = match self.store.events_since(from, &node.core.ranges()) {
                Ok(events) if events.is_empty() => continue,
                Ok(events) => WatchItem::Events(events.concat()),
                Err(revision) => WatchItem::Compacted { revision },
            };
            node.watch = Some((id, self.store.revision() + 1));
            self.replies.push((self.now + self.delay, n, Input::Watch { id, item }));
        }
    }

    fn next_time(&self) -> Option<Time> {
        let timers = self.nodes.iter().filter(|n| n.alive).filter_map(|n| n.core.next_timer());
        let requests = self.requests.iter().map(|r| r.0);
        let replies = self.replies.iter().map(|r| r.0);
        let lease = self.store.next_expiry().map(Time);
        timers.chain(requests).chain(replies).chain(lease).min().map(|t| t.max(self.now))
    }

    /// Does the next thing; false: nothing will ever happen again.
    pub(crate) fn step(&mut self) -> bool {
        let Some(at) = self.next_time() else {
            return false;
        };
        self.now = at;
        self.store.advance(at.0);
        self.notify();
        if let Some(i) = self.requests.iter().position(|r| r.0 <= at) {
            let (_, n, id, request) = self.requests.remove(i);
            match (self.fate)(n, &request) {
                Fate::LoseRequest => {}
                fate @ (Fate::Regressed | Fate::NoSpace) => {
                    let error = match fate {
                        Fate::NoSpace => StoreError::NoSpace("no space".into()),
                        _ => StoreError::Regressed("restored".into()),
                    };
                    let reply = Reply::Txn(Err(error));
                    self.replies.push((at + self.delay, n, Input::Reply { id, reply }));
                }
                fate => {
                    let reply = self.apply(&request);
                    if fate == Fate::Answer {
                        self.replies.push((at + self.delay, n, Input::Reply { id, reply }));
                    }
                }
            }
            self.notify();
        } else if let Some(i) = self.replies.iter().position(|r| r.0 <= at) {
            let (_, n, input) = self.replies.remove(i);
            if self.nodes[n].alive {
                self.feed(n, input);
            }
        } else {
            for n in 0..self.nodes.len() {
                let due = self.nodes[n].core.next_timer().is_some_and(|t| t <= at);
                if self.nodes[n].alive && due {
                    self.feed(n, Input::Tick);
                }
            }
        }
        true
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.next_time().is_some_and(|t| t <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Steps until the condition holds, and gives how long it took; fails after ten simulated minutes.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Duration {
        let start = self.now;
        let mut steps = 0;
        while !holds(self) {
            steps += 1;
            let late = self.now.since(start) > Duration::from_secs(600) || steps > 1_000_000;
            assert!(!late && self.step(), "never: {what}");
        }
        self.now.since(start)
    }

    /// Somebody else writes to the store.
    pub(crate) fn write(&mut self, op: Op) {
        let txn = Txn { success: vec![op], ..Txn::default() };
        self.store.apply_txn(&txn).unwrap();
        self.notify();
    }

    pub(crate) fn revoke_lease_of(&mut self, node: usize) {
        let key = format!("by-dev/meta/session/rootcoord-{}", self.status(node).server_id);
        let lease = self.store.get(key.as_bytes()).unwrap().lease;
        self.store.revoke(lease);
        self.notify();
    }

    /// The request that was sent last reaches the store so much later.
    pub(crate) fn hold_up_last_request(&mut self, by: Duration) {
        let last = self.requests.last_mut().expect("a request is under way");
        last.0 = last.0 + by;
    }

    /// SIGKILL: nothing more comes from it, what is under way still arrives.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].alive = false;
    }
}
