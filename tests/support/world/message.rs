//! What travels between sessions and store, and how it is told apart.

use std::rc::Rc;

use coordha::election::{Input, Process, Reply, Request, RequestId, StoreRequest, WatchId};
use coordha::kv::{KeyRange, Op, Revision, StoreError, Target, Txn, WatchItem};

use super::clock::Ns;
use super::config::ROOT;
use super::node::Shown;

/// The kinds of requests, told by what they would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Grant,
    KeepAlive,
    Revoke,
    /// Takes a server ID.
    Id,
    /// Writes the member key.
    Register,
    /// Starts a term.
    Campaign,
    Renew,
    /// Ends a term.
    Release,
    /// Marks a term record released.
    Mark,
    /// Writes a vacant record.
    Vacant,
    Read,
    First,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Grant,
        Self::KeepAlive,
        Self::Revoke,
        Self::Id,
        Self::Register,
        Self::Campaign,
        Self::Renew,
        Self::Release,
        Self::Mark,
        Self::Vacant,
        Self::Read,
        Self::First,
    ];
}

/// The keys of one role.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: Vec<u8>,
    pub(crate) active: Vec<u8>,
    pub(crate) term: Vec<u8>,
}

impl Keys {
    pub(crate) fn of(role: &str) -> Self {
        Self {
            id: format!("{ROOT}/session/id").into(),
            active: format!("{ROOT}/session/{role}").into(),
            term: format!("{ROOT}/ha/{role}/term").into(),
        }
    }

    /// The active key and all member keys.
    pub(crate) fn role_range(&self) -> KeyRange {
        let mut end = self.active.clone();
        end.push(b'.');
        KeyRange::range(self.active.clone(), end)
    }

    pub(crate) fn kind(&self, request: &StoreRequest) -> Kind {
        match request {
            StoreRequest::Grant { .. } => Kind::Grant,
            StoreRequest::KeepAlive { .. } => Kind::KeepAlive,
            StoreRequest::Revoke { .. } => Kind::Revoke,
            StoreRequest::First { .. } => Kind::First,
            StoreRequest::Txn(txn) => self.kind_of_txn(txn),
        }
    }

    fn kind_of_txn(&self, txn: &Txn) -> Kind {
        let puts = |wanted: &[u8]| {
            let is_put = |op: &Op| matches!(op, Op::Put { key, .. } if key == wanted);
            txn.success.iter().any(is_put)
        };
        if puts(&self.active) {
            Kind::Campaign
        } else if txn.success.iter().any(|op| matches!(op, Op::Delete(_))) {
            Kind::Release
        } else if puts(&self.term) {
            let of_term = txn.compares.iter().find(|compare| compare.key == self.term);
            match of_term.map(|compare| &compare.target) {
                Some(Target::ModRevision(_)) => Kind::Mark,
                Some(_) => Kind::Vacant,
                None => Kind::Renew,
            }
        } else if puts(&self.id) {
            Kind::Id
        } else if txn.success.iter().any(Op::writes) {
            Kind::Register
        } else if txn.success.iter().any(|op| matches!(op, Op::Range { range, .. } if range.start == self.id)) {
            Kind::Id
        } else {
            Kind::Read
        }
    }
}

/// What a request is answered with when it fails.
pub(crate) fn failed(kind: Kind, error: StoreError) -> Reply {
    match kind {
        Kind::Grant | Kind::KeepAlive => Reply::Lease(Err(error)),
        Kind::Revoke => Reply::Revoked(Err(error)),
        Kind::First => Reply::First(Err(error)),
        _ => Reply::Txn(Err(error)),
    }
}

/// A process of the world: the session that one node runs from a start to its end. Never the same twice.
pub(crate) type Proc = u64;

/// Something that will happen. Most of it concerns one process, and comes to nothing where that is gone.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A request reaches the store.
    Arrive { node: usize, proc: Proc, id: RequestId, kind: Kind, saw: Shown, request: Rc<StoreRequest> },
    /// A watch is asked for at the store.
    Watch { node: usize, proc: Proc, id: WatchId, from: Revision },
    /// A reply reaches the session's host.
    Reply { node: usize, proc: Proc, id: RequestId, reply: Reply },
    /// Something of a watch reaches the session's host.
    Watched { node: usize, proc: Proc, id: WatchId, item: WatchItem },
    /// A request is given up.
    Limit { node: usize, proc: Proc, id: RequestId, kind: Kind },
    /// The timer of a session may be due.
    Timer { node: usize, proc: Proc },
    /// The application says something.
    App { node: usize, proc: Proc, request: Request },
    /// A death is proven to a session.
    Died { node: usize, proc: Proc, process: Process },
    /// A guarded write of a session's application reaches the store, and its ledger.
    Write { node: usize, proc: Proc, token: Revision },
    /// A node starts a process.
    Start { node: usize },
    /// The store looks for leases that are due.
    Scan,
    /// A stranger does what he does.
    Stranger,
    /// The next injection of the plan is prepared.
    Prepare,
    /// The prepared injection comes, unless it has come already.
    Inject { index: usize },
    /// A fault ends.
    Undo { fault: u64 },
}

impl Step {
    /// The process that it goes to, and that must be running for it.
    pub(crate) fn addressee(&self) -> Option<(usize, Proc)> {
        match self {
            Self::Reply { node, proc, .. }
            | Self::Watched { node, proc, .. }
            | Self::Limit { node, proc, .. }
            | Self::Timer { node, proc }
            | Self::App { node, proc, .. }
            | Self::Died { node, proc, .. } => Some((*node, *proc)),
            _ => None,
        }
    }
}

/// What a step tells the core, where that is all it does.
pub(crate) fn input(step: &Step) -> Option<Input> {
    match step.clone() {
        Step::Reply { id, reply, .. } => Some(Input::Reply { id, reply }),
        Step::Watched { id, item, .. } => Some(Input::Watch { id, item }),
        Step::Died { process, .. } => Some(Input::Died(process)),
        _ => None,
    }
}

/// A step in the queue. Those of one instant come in the order of `turn`.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) at: Ns,
    pub(crate) turn: u64,
    pub(crate) step: Step,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.turn) == (other.at, other.turn)
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    /// The earliest is the greatest, as a heap gives its greatest first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.turn).cmp(&(self.at, self.turn))
    }
}
