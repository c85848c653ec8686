//! Transactions: compares, then all operations of one branch in one revision.

use std::sync::Arc;

use super::SimState;
use crate::kv::{Compare, KeyRange, KeyValue, LeaseId, Op, OpReply, StoreError, Target, Txn, TxnReply, WatchEvent};

impl SimState {
    /// Does a transaction. An error says that nothing was done.
    pub fn apply_txn(&mut self, txn: &Txn) -> Result<TxnReply, StoreError> {
        check(txn)?;
        let puts = |ops: &[Op]| ops.iter().any(|op| matches!(op, Op::Put { .. }));
        if self.no_space && (puts(&txn.success) || puts(&txn.failure)) {
            return Err(StoreError::NoSpace("the store's space is used up".into()));
        }
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { &txn.success } else { &txn.failure };
        for op in branch {
            if let Op::Put { lease, .. } = op
                && *lease != 0
                && !self.lease_exists(*lease)
            {
                return Err(StoreError::LeaseNotFound);
            }
        }
        let mut events = Vec::new();
        let replies = branch.iter().map(|op| self.apply(op, &mut events)).collect();
        self.commit(events);
        Ok(TxnReply { revision: self.revision, succeeded, replies })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let found = self.get(&compare.key);
        match &compare.target {
            Target::ModRevision(revision) => found.map_or(0, |kv| kv.mod_revision) == *revision,
            Target::CreateRevision(revision) => found.map_or(0, |kv| kv.create_revision) == *revision,
            Target::Version(version) => found.map_or(0, |kv| kv.version) == *version,
            Target::Value(value) => found.is_some_and(|kv| kv.value == *value),
        }
    }

    fn apply(&mut self, op: &Op, events: &mut Vec<WatchEvent>) -> OpReply {
        match op {
            Op::Put { key, value, lease } => {
                self.put(key, value, *lease, events);
                OpReply::Put
            }
            Op::Delete(range) => {
                let doomed: Vec<_> = self.scan(range).map(|kv| kv.key.clone()).collect();
                let deleted = doomed.len() as i64;
                self.remove(doomed, events);
                OpReply::Delete { deleted }
            }
            Op::Range { range, limit } => {
                let (kvs, more) = self.read(range, *limit);
                OpReply::Range { kvs, more }
            }
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8], lease: LeaseId, events: &mut Vec<WatchEvent>) {
        let revision = self.revision + 1;
        let at = self.position(key);
        let before = at.ok().map(|at| &self.keys[at]);
        let written = KeyValue {
            key: key.to_vec(),
            value: value.to_vec(),
            create_revision: before.map_or(revision, |kv| kv.create_revision),
            mod_revision: revision,
            version: before.map_or(1, |kv| kv.version + 1),
            lease,
        };
        events.push(WatchEvent::Put(written.clone()));
        match at {
            Ok(at) => self.keys[at] = Arc::new(written),
            Err(at) => self.keys.insert(at, Arc::new(written)),
        }
    }

    /// Deletes keys that exist, as a part of the next revision.
    pub(super) fn remove(&mut self, keys: Vec<Vec<u8>>, events: &mut Vec<WatchEvent>) {
        let revision = self.revision + 1;
        for key in keys {
            if let Ok(at) = self.position(&key) {
                self.keys.remove(at);
                events.push(WatchEvent::Delete { key, revision });
            }
        }
    }
}

/// Most compares, and most operations of a branch, as by etcd's default.
const MOST_OPERATIONS: usize = 128;

/// What etcd refuses before it looks at any key.
fn check(txn: &Txn) -> Result<(), StoreError> {
    if txn.success.is_empty() && txn.failure.is_empty() {
        return Err(StoreError::Invalid(
            "a transaction without an operation may be answered from a stale member".into(),
        ));
    }
    let parts = [txn.compares.len(), txn.success.len(), txn.failure.len()];
    if parts.iter().any(|&part| part > MOST_OPERATIONS) {
        return Err(StoreError::TooLarge("too many compares or operations in a branch".into()));
    }
    for branch in [&txn.success, &txn.failure] {
        let mut ranges: Vec<KeyRange> = Vec::new();
        let mut puts: Vec<&[u8]> = Vec::new();
        for op in branch {
            match op {
                Op::Put { key, .. } if key.is_empty() => {
                    return Err(StoreError::Invalid("a key is empty".into()));
                }
                Op::Put { key, .. } => puts.push(key),
                Op::Delete(range) => ranges.push(range.clone()),
                Op::Range { .. } => {}
            }
        }
        puts.sort_unstable();
        let twice = puts.windows(2).any(|pair| pair[0] == pair[1])
            || puts.iter().any(|key| ranges.iter().any(|range| range.contains(key)));
        if twice {
            return Err(StoreError::Invalid("a key is written twice in one branch".into()));
        }
    }
    Ok(())
}
