//! Transactions and reads, done inside a transaction of the database.

use rusqlite::{Connection, OptionalExtension, Row};

use super::history::{Change, State};
use super::queue::Failure;
use crate::kv::{Compare, KeyRange, KeyValue, LeaseId, Op, OpReply, StoreError, Target, Txn, TxnReply};

/// Most compares, and most operations of a branch, as by etcd's default.
const MOST_OPERATIONS: usize = 128;

/// Most bytes of keys and values in a transaction, as by etcd's default.
const MOST_BYTES: usize = 1_572_864;

/// Refuses what etcd refuses.
pub(super) fn check(txn: &Txn) -> Result<(), StoreError> {
    let refuse = |why: &str| Err(StoreError::Invalid(format!("transaction refused: {why}")));
    if txn.success.is_empty() && txn.failure.is_empty() {
        return refuse("it has no operation");
    }
    let too_large = |what: String| Err(StoreError::TooLarge(format!("transaction refused: it has more than {what}")));
    let parts = [txn.compares.len(), txn.success.len(), txn.failure.len()];
    if parts.iter().any(|&part| part > MOST_OPERATIONS) {
        return too_large(format!("{MOST_OPERATIONS} compares or operations in a branch"));
    }
    if bytes(txn) > MOST_BYTES {
        return too_large(format!("{MOST_BYTES} bytes"));
    }
    if txn.compares.iter().any(|compare| compare.key.is_empty()) {
        return refuse("a key is empty");
    }
    for branch in [&txn.success, &txn.failure] {
        for (place, op) in branch.iter().enumerate() {
            match op {
                Op::Put { key, .. } if key.is_empty() => return refuse("a key is empty"),
                Op::Delete(range) | Op::Range { range, .. } if !is_named(range) => {
                    return refuse("a key is empty");
                }
                Op::Put { key, .. }
                    if branch.iter().enumerate().any(|(other, op)| match op {
                        Op::Put { key: second, .. } => other != place && second == key,
                        Op::Delete(range) => range.contains(key),
                        Op::Range { .. } => false,
                    }) =>
                {
                    return refuse(&format!("it writes {} twice in a branch", key.escape_ascii()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether the range is not the single empty key, which no store has.
pub(super) fn is_named(range: &KeyRange) -> bool {
    range.end.is_some() || !range.start.is_empty()
}

/// Bytes of its keys and values.
pub(super) fn bytes(txn: &Txn) -> usize {
    let range = |range: &KeyRange| range.start.len() + range.end.as_ref().map_or(0, Vec::len);
    let op = |op: &Op| match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete(r) | Op::Range { range: r, .. } => range(r),
    };
    let compare = |compare: &Compare| {
        compare.key.len()
            + match &compare.target {
                Target::Value(value) => value.len(),
                _ => 0,
            }
    };
    txn.compares.iter().map(compare).sum::<usize>() + txn.success.iter().chain(&txn.failure).map(op).sum::<usize>()
}

/// Whether it can change the store.
pub(super) fn writes(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(Op::writes)
}

/// Does a transaction that [`check`] has passed.
pub(super) fn apply(connection: &Connection, state: &mut State, txn: &Txn) -> Result<TxnReply, Failure> {
    let mut succeeded = true;
    for compare in &txn.compares {
        succeeded = succeeded && holds(connection, compare)?;
    }
    let branch = if succeeded { &txn.success } else { &txn.failure };
    for op in branch {
        if let Op::Put { lease, .. } = op
            && *lease != 0
            && !is_leased(connection, *lease)?
        {
            return Err(Failure::Refused(StoreError::LeaseNotFound));
        }
    }
    let mut change = Change::begin(connection, state);
    let mut replies = Vec::with_capacity(branch.len());
    for op in branch {
        replies.push(match op {
            Op::Put { key, value, lease } => {
                change.put(key, value, *lease)?;
                OpReply::Put
            }
            Op::Delete(range) => {
                let keys = keys(connection, range)?;
                for key in &keys {
                    change.delete(key)?;
                }
                OpReply::Delete { deleted: keys.len() as i64 }
            }
            Op::Range { range, limit } => read(connection, range, *limit)?,
        });
    }
    Ok(TxnReply { revision: state.revision, succeeded, replies })
}

fn holds(connection: &Connection, compare: &Compare) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT create_revision, mod_revision, version, value FROM kv WHERE key = ?1")?;
    let mut rows = statement.query([&compare.key])?;
    let row = rows.next()?;
    let number = |column: usize| row.map_or(Ok(0), |row| row.get::<_, i64>(column));
    Ok(match &compare.target {
        Target::CreateRevision(expected) => number(0)? == *expected,
        Target::ModRevision(expected) => number(1)? == *expected,
        Target::Version(expected) => number(2)? == *expected,
        Target::Value(expected) => match row {
            Some(row) => row.get_ref(3)?.as_blob()? == expected,
            None => false,
        },
    })
}

fn is_leased(connection: &Connection, lease: LeaseId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM lease WHERE id = ?1")?.exists([lease])
}

/// How a range is asked for: of one key, to an end, or to the end of all keys.
enum Bounds<'a> {
    Key(&'a [u8]),
    To(&'a [u8], &'a [u8]),
    From(&'a [u8]),
}

impl<'a> Bounds<'a> {
    fn of(range: &'a KeyRange) -> Self {
        match range.end.as_deref() {
            None => Self::Key(&range.start),
            Some(b"\0") => Self::From(&range.start),
            Some(end) => Self::To(&range.start, end),
        }
    }
}

fn keys(connection: &Connection, range: &KeyRange) -> rusqlite::Result<Vec<Vec<u8>>> {
    let key = |row: &Row<'_>| row.get(0);
    match Bounds::of(range) {
        Bounds::Key(name) => {
            connection.prepare_cached("SELECT key FROM kv WHERE key = ?1")?.query_map([name], key)?.collect()
        }
        Bounds::To(start, end) => connection
            .prepare_cached("SELECT key FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key")?
            .query_map([start, end], key)?
            .collect(),
        Bounds::From(start) => connection
            .prepare_cached("SELECT key FROM kv WHERE key >= ?1 ORDER BY key")?
            .query_map([start], key)?
            .collect(),
    }
}

fn read(connection: &Connection, range: &KeyRange, limit: i64) -> rusqlite::Result<OpReply> {
    // One more than asked for tells whether there are more; -1 is "all".
    let most = if limit > 0 { limit.saturating_add(1) } else { -1 };
    let kv = |row: &Row<'_>| {
        Ok(KeyValue {
            key: row.get(0)?,
            value: row.get(1)?,
            create_revision: row.get(2)?,
            mod_revision: row.get(3)?,
            version: row.get(4)?,
            lease: row.get(5)?,
        })
    };
    let mut kvs: Vec<KeyValue> = match Bounds::of(range) {
        Bounds::Key(name) => connection
            .prepare_cached("SELECT key, value, create_revision, mod_revision, version, lease FROM kv WHERE key = ?1")?
            .query_row([name], kv)
            .optional()?
            .into_iter()
            .collect(),
        Bounds::To(start, end) => connection
            .prepare_cached(
                "SELECT key, value, create_revision, mod_revision, version, lease FROM kv
                 WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
            )?
            .query_map((start, end, most), kv)?
            .collect::<rusqlite::Result<_>>()?,
        Bounds::From(start) => connection
            .prepare_cached(
                "SELECT key, value, create_revision, mod_revision, version, lease FROM kv
                 WHERE key >= ?1 ORDER BY key LIMIT ?2",
            )?
            .query_map((start, most), kv)?
            .collect::<rusqlite::Result<_>>()?,
    };
    let more = limit > 0 && kvs.len() as i64 > limit;
    if more {
        kvs.truncate(limit as usize);
    }
    Ok(OpReply::Range { kvs, more })
}
