//! What is on its way between a session and the store, with revisions as slots: 0 is the revision 0, `n` the `n`-th
//! of the revisions that travel with the body, in their order.

use coordha::election::{Input, Reply, RequestId, StoreRequest, WatchId};
use coordha::kv::{
    KeyRange, KeyValue, LeaseReply, Op, OpReply, StoreError, Target, Txn, TxnReply, WatchEvent, WatchItem,
};

use crate::names;

/// A revision among those that travel with the body.
pub(crate) type Slot = u8;
/// A value in the table of values.
pub(crate) type Value = u16;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    Absent,
    Modified(Slot),
    Value(Value),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    Put { key: u8, value: Value, token: Slot, lease: u8 },
    Delete { key: u8 },
}

/// What a branch of a transaction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reads {
    Nothing,
    /// The next server ID.
    Id,
    /// The role's range and the term record.
    Role,
}

/// A key as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    pub(crate) key: u8,
    pub(crate) value: Value,
    pub(crate) token: Slot,
    pub(crate) created: Slot,
    pub(crate) modified: Slot,
    pub(crate) lease: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Put(Item),
    Delete { key: u8, at: Slot },
}

impl Change {
    pub(crate) fn key(&self) -> u8 {
        match self {
            Self::Put(item) => item.key,
            Self::Delete { key, .. } => *key,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    Txn {
        compares: Vec<(u8, Want)>,
        success: Vec<Write>,
        shows: Reads,
        failure: Reads,
    },
    /// A transaction whose compares will never hold again.
    Doomed(Reads),
    Grant,
    KeepAlive(u8),
    Revoke(u8),
    /// A transaction that was done: its revision, and what it read.
    Done {
        succeeded: bool,
        at: Slot,
        items: Vec<Item>,
    },
    /// A lease that was granted or kept; dead: it is gone.
    Lease {
        lease: u8,
        dead: bool,
    },
    Revoked,
    LeaseNotFound,
    Unavailable,
    /// What a watch shows.
    Changes(Vec<Change>),
}

impl Body {
    /// The slots that say of which revision of the store it shows the members, the active key, the term record; and
    /// those that may be tokens.
    pub(crate) fn shows(&self) -> [Vec<Slot>; 4] {
        let mut shows: [Vec<Slot>; 4] = Default::default();
        match self {
            Self::Done { at, items, .. } => {
                shows.iter_mut().for_each(|slots| slots.push(*at));
                let active = items.iter().find(|item| item.key == names::ACTIVE);
                shows[3].extend(active.map(|item| item.modified));
            }
            Self::Changes(changes) => {
                for change in changes {
                    let (key, at) = match change {
                        Change::Put(item) => (item.key, item.modified),
                        Change::Delete { key, at } => (*key, *at),
                    };
                    match key {
                        names::ACTIVE => {
                            shows[1].push(at);
                            shows[3].push(at);
                        }
                        names::TERM => shows[2].push(at),
                        _ => shows[0].push(at),
                    }
                }
            }
            _ => {}
        }
        shows
    }
}

/// The way from real revisions to slots.
pub(crate) struct Slots(pub(crate) Vec<i64>);

impl Slots {
    pub(crate) fn new(mut revisions: Vec<i64>) -> Self {
        revisions.retain(|r| *r != 0);
        revisions.sort_unstable();
        revisions.dedup();
        Self(revisions)
    }

    pub(crate) fn of(&self, revision: i64) -> Slot {
        match revision {
            0 => 0,
            r => self.0.iter().position(|known| *known == r).unwrap() as Slot + 1,
        }
    }
}

/// The table of values: templates without their tokens.
pub(crate) trait Values {
    fn number(&mut self, template: &[u8]) -> Value;
    fn template(&mut self, value: Value) -> Vec<u8>;
}

/// A request as a body, and its revisions.
pub(crate) fn from_request(request: &StoreRequest, values: &mut dyn Values) -> (Body, Vec<i64>) {
    match request {
        StoreRequest::Grant { .. } => (Body::Grant, Vec::new()),
        StoreRequest::KeepAlive { lease } => (Body::KeepAlive(*lease as u8), Vec::new()),
        StoreRequest::Revoke { lease } => (Body::Revoke(*lease as u8), Vec::new()),
        StoreRequest::First { .. } => panic!("the store is not young"),
        StoreRequest::Txn(txn) => from_txn(txn, values),
    }
}

fn from_txn(txn: &Txn, values: &mut dyn Values) -> (Body, Vec<i64>) {
    let compared = txn.compares.iter().map(|compare| match compare.target {
        Target::ModRevision(r) | Target::CreateRevision(r) => r,
        _ => 0,
    });
    let written = txn.success.iter().map(|op| match op {
        Op::Put { value, .. } => names::take_token(value).1,
        _ => 0,
    });
    let slots = Slots::new(compared.chain(written).collect());
    let compares = txn.compares.iter().map(|compare| {
        let want = match &compare.target {
            Target::ModRevision(0) | Target::CreateRevision(0) | Target::Version(0) => Want::Absent,
            Target::ModRevision(r) => Want::Modified(slots.of(*r)),
            Target::Value(value) => Want::Value(values.number(value)),
            other => panic!("{other:?} is not in the model"),
        };
        (names::number(&compare.key), want)
    });
    let compares = compares.collect();
    let writes = txn.success.iter().filter_map(|op| match op {
        Op::Put { key, value, lease } => {
            let (template, token) = names::take_token(value);
            Some(Write::Put {
                key: names::number(key),
                value: values.number(&template),
                token: slots.of(token),
                lease: *lease as u8,
            })
        }
        Op::Delete(range) => Some(Write::Delete { key: names::number(&range.start) }),
        Op::Range { .. } => None,
    });
    let body =
        Body::Txn { compares, success: writes.collect(), shows: reads(&txn.success), failure: reads(&txn.failure) };
    (body, slots.0)
}

fn reads(ops: &[Op]) -> Reads {
    let id = KeyRange::key(names::key(names::ID));
    let mut ranges = ops.iter().filter_map(|op| match op {
        Op::Range { range, .. } => Some(range),
        _ => None,
    });
    match ranges.next() {
        None => Reads::Nothing,
        Some(range) if *range == id => Reads::Id,
        Some(_) => Reads::Role,
    }
}

/// The input that a body is for a session: an answer to this request, or else what its watch brings.
pub(crate) fn to_input(body: &Body, revisions: &[i64], id: u64, ttl_ms: u64, values: &mut dyn Values) -> Input {
    let real = |slot: Slot| match slot {
        0 => 0,
        n => revisions[n as usize - 1],
    };
    let mut key_value = |item: &Item| KeyValue {
        key: names::key(item.key),
        value: names::with_token(&values.template(item.value), real(item.token)),
        create_revision: real(item.created),
        mod_revision: real(item.modified),
        version: 1,
        lease: item.lease.into(),
    };
    let reply = match body {
        Body::Done { succeeded, at, items } => Reply::Txn(Ok(TxnReply {
            revision: real(*at),
            succeeded: *succeeded,
            replies: vec![OpReply::Range { kvs: items.iter().map(&mut key_value).collect(), more: false }],
        })),
        Body::Lease { lease, dead } => {
            Reply::Lease(Ok(LeaseReply { lease: (*lease).into(), ttl_ms: if *dead { 0 } else { ttl_ms } }))
        }
        Body::Revoked => Reply::Revoked(Ok(())),
        Body::LeaseNotFound => Reply::Txn(Err(StoreError::LeaseNotFound)),
        Body::Unavailable => Reply::Txn(Err(StoreError::Unavailable(String::new()))),
        Body::Changes(changes) => {
            let events = changes.iter().map(|change| match change {
                Change::Put(item) => WatchEvent::Put(key_value(item)),
                Change::Delete { key, at } => WatchEvent::Delete { key: names::key(*key), revision: real(*at) },
            });
            let item = WatchItem::Events(events.collect());
            return Input::Watch { id: WatchId(id), item };
        }
        request => panic!("{request:?} is no answer"),
    };
    Input::Reply { id: RequestId(id), reply }
}
