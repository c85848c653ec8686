//! The election's core, told by a store what anybody may have written there: garbage, records of others, its own, replies
//! late and never. What it may not do, whatever it reads: be active without a token, use a token twice, act on after its end.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use coordha::election::{
    Election, Event, Input, Output, Reply, Request, RequestId, Role, Settings, StoreRequest, Time, WatchId,
};
use coordha::error::{Error, ErrorKind};
use coordha::kv::{KeyRange, KeyValue, LeaseReply, Op, OpReply, StoreError, TxnReply, WatchEvent, WatchItem};
use libfuzzer_sys::fuzz_target;

const HOLD: Duration = Duration::from_secs(1);

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Member {
        server_id: u8,
        priority: i8,
        session_id: u8,
        hold_ms: u32,
        version: bool,
    },
    Term {
        tenure: u8,
        token: u8,
        session_id: u8,
        hold_ms: u32,
        renewals: u8,
    },
    /// What the core itself has written there, or nothing.
    Own,
}

#[derive(Arbitrary, Debug)]
struct Entry<'a> {
    key: u8,
    value: Value<'a>,
    /// How many revisions ago.
    age: u8,
    lease: u8,
}

#[derive(Arbitrary, Debug)]
enum How<'a> {
    Done(Vec<Entry<'a>>),
    Refused(Vec<Entry<'a>>),
    Fails(u8),
    Gone,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Time(u16),
    Timer,
    Answer {
        which: u8,
        how: How<'a>,
    },
    /// The request is never answered.
    Lose(u8),
    Put(Entry<'a>),
    Delete(u8),
    WatchEnds(u8),
    Ready {
        token: u8,
        fails: bool,
    },
    Left {
        token: u8,
    },
    Stop,
    Resign(u16),
    Pause,
    Resume,
    Priority(i8),
}

#[derive(Arbitrary, Debug)]
struct Life<'a> {
    active_standby: bool,
    auto: bool,
    steps: Vec<Step<'a>>,
}

struct World {
    core: Election,
    now: Time,
    revision: i64,
    /// Not answered yet.
    open: Vec<(RequestId, StoreRequest)>,
    known: BTreeSet<RequestId>,
    watch: Option<WatchId>,
    written: BTreeMap<Vec<u8>, Vec<u8>>,
    token: i64,
    /// ACTIVATEs that no DEACTIVATE, and no TERM_ENDED, has followed yet.
    activated: (u32, u32),
    ended: bool,
}

fn settings(life: &Life<'_>) -> Settings {
    Settings {
        role: "rootcoord".into(),
        root: "by-dev/meta".into(),
        address: "a:1".into(),
        version: "2.5.0".into(),
        host_name: "host".into(),
        session_id: 1,
        active_standby: life.active_standby,
        auto: life.auto,
        hold: HOLD,
        ttl: Duration::from_secs(60),
        reread: Duration::from_millis(500),
        rank_step: Duration::from_millis(100),
        request_timeout: Duration::from_secs(5),
        activation_timeout: Duration::from_secs(5),
        activation_backoff: HOLD,
        deactivation_timeout: Duration::from_secs(2),
        release_timeout: Duration::from_secs(2),
        ..Settings::default()
    }
}

fn key(number: u8) -> Vec<u8> {
    let keys = ["session/rootcoord", "ha/rootcoord/term", "session/id", "session/rootcoord-1", "session/rootcoord-2"];
    let others = ["session/rootcoord-3", "session/rootcoord-x", "session/rootcoordinator", "session/datacoord"];
    let all: Vec<&str> = keys.into_iter().chain(others).collect();
    format!("by-dev/meta/{}", all[usize::from(number) % all.len()]).into_bytes()
}

fn fault(number: u8) -> StoreError {
    match number % 8 {
        0 => StoreError::Unavailable("no leader".into()),
        1 => StoreError::Unknown("no answer".into()),
        2 => StoreError::LeaseNotFound,
        3 => StoreError::Auth("who?".into()),
        4 => StoreError::NoSpace("full".into()),
        5 => StoreError::Corrupt("damaged".into()),
        6 => StoreError::Regressed("restored".into()),
        _ => StoreError::Invalid("what?".into()),
    }
}

impl World {
    fn value(&self, key: &[u8], value: &Value<'_>) -> Vec<u8> {
        let text = match value {
            Value::Bytes(bytes) => return bytes.to_vec(),
            Value::Own => return self.written.get(key).cloned().unwrap_or_default(),
            Value::Member { server_id, priority, session_id, hold_ms, version } => format!(
                r#"{{"ServerID":{server_id},"Address":"b:{server_id}","Version":"{}","Coordha":{{"SessionID":"{session_id:032x}","Priority":{priority},"HoldMs":{hold_ms},"TtlMs":60000}}}}"#,
                if *version { "2.5.0" } else { "" },
            ),
            Value::Term { tenure, token, session_id, hold_ms, renewals } => format!(
                r#"{{"State":"{}","Token":{token},"HoldMs":{hold_ms},"Renewals":{renewals},"SessionID":"{session_id:032x}","ServerID":2}}"#,
                ["held", "released", "vacant"][usize::from(*tenure) % 3],
            ),
        };
        text.into_bytes()
    }

    fn entry(&self, entry: &Entry<'_>, mod_revision: i64) -> KeyValue {
        let key = key(entry.key);
        let value = self.value(&key, &entry.value);
        let lease = i64::from(entry.lease);
        KeyValue { key, value, create_revision: mod_revision, mod_revision, version: 1, lease }
    }

    /// What a range shows: of each key the first entry that is in it.
    fn read(&self, range: &KeyRange, entries: &[Entry<'_>]) -> OpReply {
        let mut kvs = BTreeMap::new();
        for entry in entries {
            let kv = self.entry(entry, (self.revision - i64::from(entry.age)).max(1));
            if range.contains(&kv.key) {
                kvs.entry(kv.key.clone()).or_insert(kv);
            }
        }
        OpReply::Range { kvs: kvs.into_values().collect(), more: false }
    }

    fn txn(&mut self, ops: &[Op], succeeded: bool, entries: &[Entry<'_>]) -> TxnReply {
        if ops.iter().any(Op::writes) {
            self.revision += 1;
        }
        let mut replies = Vec::new();
        for op in ops {
            replies.push(match op {
                Op::Put { key, value, .. } => {
                    self.written.insert(key.clone(), value.clone());
                    OpReply::Put
                }
                Op::Delete(_) => OpReply::Delete { deleted: 1 },
                Op::Range { range, .. } => self.read(range, entries),
            });
        }
        TxnReply { revision: self.revision, succeeded, replies }
    }

    fn reply(&mut self, request: &StoreRequest, how: &How<'_>) -> Reply {
        let lease = |lease, ttl_ms| Reply::Lease(Ok(LeaseReply { lease, ttl_ms }));
        match (request, how) {
            (StoreRequest::Grant { .. } | StoreRequest::KeepAlive { .. }, How::Fails(fault_)) => {
                Reply::Lease(Err(fault(*fault_)))
            }
            (StoreRequest::Revoke { .. }, How::Fails(fault_)) => Reply::Revoked(Err(fault(*fault_))),
            (StoreRequest::Txn(_), How::Fails(fault_)) => Reply::Txn(Err(fault(*fault_))),
            (StoreRequest::First { .. }, How::Fails(fault_)) => Reply::First(Err(fault(*fault_))),
            (StoreRequest::Grant { .. }, _) => lease(77, 60_000),
            (StoreRequest::KeepAlive { lease: id }, How::Gone) => lease(*id, 0),
            (StoreRequest::KeepAlive { lease: id }, _) => lease(*id, 60_000),
            (StoreRequest::Revoke { .. }, _) => Reply::Revoked(Ok(())),
            (StoreRequest::First { .. }, How::Done(_)) => Reply::First(Ok(Some(self.revision))),
            (StoreRequest::First { .. }, _) => Reply::First(Ok(None)),
            (StoreRequest::Txn(txn), How::Refused(entries)) => Reply::Txn(Ok(self.txn(&txn.failure, false, entries))),
            (StoreRequest::Txn(txn), How::Done(entries)) => Reply::Txn(Ok(self.txn(&txn.success, true, entries))),
            (StoreRequest::Txn(_), How::Gone) => Reply::Txn(Err(StoreError::LeaseNotFound)),
        }
    }

    fn watched(&mut self, item: WatchItem) {
        if let Some(id) = self.watch {
            self.core.handle(self.now, Input::Watch { id, item });
        }
    }

    fn ask(&mut self, request: Request) {
        if let Err(error) = self.core.request(self.now, request) {
            assert!(matches!(error.kind(), ErrorKind::Fenced | ErrorKind::State | ErrorKind::Ended), "{error:?}");
        }
    }

    /// The term that is meant: this one, or one near it.
    fn term(&self, near: u8) -> i64 {
        self.token - i64::from(near % 3)
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Time(ms) => {
                self.now = self.now + Duration::from_millis((*ms).into());
                self.core.handle(self.now, Input::Tick);
            }
            Step::Timer => {
                if let Some(at) = self.core.next_timer() {
                    self.now = self.now.max(at);
                    self.core.handle(self.now, Input::Tick);
                }
            }
            Step::Answer { which, how } => {
                if !self.open.is_empty() {
                    let (id, request) = self.open.remove(usize::from(*which) % self.open.len());
                    let reply = self.reply(&request, how);
                    self.core.handle(self.now, Input::Reply { id, reply });
                }
            }
            Step::Lose(which) => {
                if !self.open.is_empty() {
                    self.open.remove(usize::from(*which) % self.open.len());
                }
            }
            Step::Put(entry) => {
                self.revision += 1;
                let put = WatchEvent::Put(self.entry(entry, self.revision));
                self.watched(WatchItem::Events(vec![put]));
            }
            Step::Delete(number) => {
                self.revision += 1;
                let gone = WatchEvent::Delete { key: key(*number), revision: self.revision };
                self.watched(WatchItem::Events(vec![gone]));
            }
            Step::WatchEnds(fault_) if fault_ % 2 == 0 => {
                self.watched(WatchItem::Compacted { revision: self.revision })
            }
            Step::WatchEnds(fault_) => self.watched(WatchItem::Failed(fault(fault_ / 2))),
            Step::Ready { token, fails } => {
                let failed = Error::new(ErrorKind::ActivationFailed, "it fails");
                let result = if *fails { Err(failed) } else { Ok(()) };
                self.ask(Request::ActivationDone { token: self.term(*token), result });
            }
            Step::Left { token } => self.ask(Request::DeactivationDone { token: self.term(*token) }),
            Step::Stop => self.ask(Request::Stop),
            Step::Resign(ms) => self.ask(Request::Resign { standby: Duration::from_millis((*ms).into()) }),
            Step::Pause => self.ask(Request::Pause),
            Step::Resume => self.ask(Request::Resume),
            Step::Priority(priority) => self.ask(Request::SetPriority((*priority).into())),
        }
        self.drain();
    }

    fn drain(&mut self) {
        let status = self.core.status();
        assert!(status.role != Role::Active || status.token > 0, "{status:?}");
        assert_eq!(status.token == 0, status.deadline == Time(0), "{status:?}");
        assert!(!status.ending || status.token != 0, "{status:?}");
        assert!(status.deadline <= self.now + HOLD, "{status:?}");
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { id, request, .. } => {
                    assert!(self.known.insert(id), "{id:?} is used twice");
                    self.open.push((id, request));
                }
                Output::Watch { id, from } => {
                    assert!(from > 0);
                    self.watch = Some(id);
                }
                Output::Prove(process) => assert_eq!(process, None, "no process is named in the settings"),
                Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: Event) {
        assert!(!self.ended, "after the end: {event:?}");
        match event {
            Event::Activate { token } => {
                assert!(token > self.token, "{token} after {}", self.token);
                assert_eq!(self.activated, (0, 0), "the last term is not over");
                (self.token, self.activated) = (token, (1, 1));
            }
            Event::Active { token } | Event::Jeopardy { token } | Event::Safe { token } => {
                assert_eq!(token, self.token)
            }
            Event::Deactivate { token, .. } => {
                assert_eq!(token, self.token);
                self.activated.0 = self.activated.0.checked_sub(1).expect("one for each ACTIVATE");
            }
            Event::TermEnded { token, .. } => {
                assert_eq!(token, self.token);
                self.activated.1 = self.activated.1.checked_sub(1).expect("one for each ACTIVATE");
            }
            Event::Ended(_) => {
                assert_eq!(self.activated, (0, 0), "the last term is not over");
                self.ended = true;
            }
            _ => {}
        }
    }
}

fuzz_target!(|life: Life<'_>| {
    let mut world = World {
        core: Election::new(settings(&life)),
        now: Time(1_000_000_000),
        revision: 10,
        open: Vec::new(),
        known: BTreeSet::new(),
        watch: None,
        written: BTreeMap::new(),
        token: 0,
        activated: (0, 0),
        ended: false,
    };
    world.core.start(world.now);
    world.drain();
    for step in &life.steps {
        world.step(step);
    }
});
