//! The simulator: a store in memory and in virtual time, for tests.
//!
//! [`SimState`] is the store itself, a pure and synchronous state machine that behaves as etcd does: a simulation or an
//! exploration steps it by hand, clones it, compares it. [`SimStore`] puts the [`Store`](super::Store) trait over one.
//!
//! Nothing here reads a clock: time is a number of ns that [`SimState::advance`] sets, and [`SimStore`] takes it from
//! tokio's clock, which tests pause.

mod connect;
mod lease;
mod txn;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::kv::{KeyRange, KeyValue, LeaseId, RangeReply, Revision, WatchEvent};

pub use connect::SimStore;

/// How a simulated store differs from the default one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimOptions {
    /// Smallest time to live of a lease, in ms: a smaller one asked for is raised to it.
    pub min_ttl_ms: u64,
    /// Most revisions kept for watches that begin in the past; older ones count as compacted. 0: none at all.
    pub history: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { min_ttl_ms: 1, history: usize::MAX }
    }
}

/// A lease of the simulated store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lease {
    id: LeaseId,
    ttl: u64,
    deadline: u64,
}

/// The whole state of a simulated store. Cheap to clone: keys, values and events are shared, never copied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimState {
    options: SimOptions,
    now: u64,
    revision: Revision,
    keys: Vec<Arc<KeyValue>>,
    leases: Vec<Lease>,
    next_lease: LeaseId,
    no_space: bool,
    /// Events of the newest revisions, one entry a revision; the last entry is that of `revision`.
    history: VecDeque<Arc<[WatchEvent]>>,
}

impl Default for SimState {
    fn default() -> Self {
        Self::new(SimOptions::default())
    }
}

impl SimState {
    /// An empty store at time 0 and, as etcd, at revision 1.
    pub fn new(options: SimOptions) -> Self {
        Self {
            options,
            now: 0,
            revision: 1,
            keys: Vec::new(),
            leases: Vec::new(),
            next_lease: 1,
            no_space: false,
            history: VecDeque::new(),
        }
    }

    /// The time it has been set to, in ns.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The store's revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Takes the store's space away, or gives it back: without it grants and transactions with a put fail.
    pub fn set_no_space(&mut self, no_space: bool) {
        self.no_space = no_space;
    }

    /// One key, if present.
    pub fn get(&self, key: &[u8]) -> Option<&KeyValue> {
        self.position(key).ok().map(|at| &*self.keys[at])
    }

    /// All keys of a range, in order.
    pub fn scan<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a KeyValue> + 'a {
        let start = self.keys.partition_point(|kv| kv.key.as_slice() < range.start.as_slice());
        self.keys[start..].iter().map(|kv| &**kv).take_while(|kv| range.contains(&kv.key))
    }

    /// Reads a range; at most `max` keys (0: all).
    pub fn range(&self, range: &KeyRange, max: i64) -> RangeReply {
        let (kvs, more) = self.read(range, max);
        RangeReply { revision: self.revision, kvs, more }
    }

    fn read(&self, range: &KeyRange, max: i64) -> (Vec<KeyValue>, bool) {
        let limit = usize::try_from(max).ok().filter(|limit| *limit > 0);
        let mut found = self.scan(range);
        let kvs = found.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
        (kvs, found.next().is_some())
    }

    fn position(&self, key: &[u8]) -> Result<usize, usize> {
        self.keys.binary_search_by(|kv| kv.key.as_slice().cmp(key))
    }
}
