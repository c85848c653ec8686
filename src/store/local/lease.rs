//! Leases: granted, kept alive, revoked, and ended where their time is over or their holder is dead.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::history::{Change, State};
use super::host::{Holder, Host};
use crate::kv::{LeaseId, StoreError};

/// The smallest time to live that is granted, in ms.
pub(super) const SMALLEST_TTL_MS: u64 = 100;

/// The largest one, as by etcd: 9,000,000,000 s.
pub(super) const LARGEST_TTL_MS: u64 = 9_000_000_000_000;

/// A new lease's name, which no other has had.
pub(super) fn new_id() -> std::result::Result<LeaseId, StoreError> {
    let random = getrandom::u64().map_err(|error| StoreError::Unavailable(format!("no random number: {error}")))?;
    Ok(((random >> 1) | 1).cast_signed())
}

/// Grants a lease to this process.
pub(super) fn grant(connection: &Connection, state: &mut State, host: &Host, id: LeaseId, ttl_ms: u64) -> Result<()> {
    let ttl_ms = ttl_ms.cast_signed();
    let Holder { pid, start, pid_ns, time_ns } = host.me;
    connection.prepare_cached("INSERT INTO lease VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        id,
        ttl_ms,
        host.now_ms() + ttl_ms,
        pid,
        start,
        pid_ns,
        time_ns
    ])?;
    state.lease_changes += 1;
    Ok(())
}

/// Its time to live in ms, which starts anew; 0: it is gone.
pub(super) fn keepalive(connection: &Connection, now_ms: i64, id: LeaseId) -> Result<u64> {
    let ttl_ms: Option<i64> = connection
        .prepare_cached("UPDATE lease SET ends_ms = ?1 + ttl_ms WHERE id = ?2 RETURNING ttl_ms")?
        .query_row([now_ms, id], |row| row.get(0))
        .optional()?;
    Ok(ttl_ms.unwrap_or(0).cast_unsigned())
}

/// Ends a lease, if it is there, and deletes its keys in one revision.
pub(super) fn end(connection: &Connection, state: &mut State, id: LeaseId) -> Result<()> {
    let ended = connection.prepare_cached("DELETE FROM lease WHERE id = ?1")?.execute([id])?;
    if ended == 0 {
        return Ok(());
    }
    let keys: Vec<Vec<u8>> = connection
        .prepare_cached("SELECT key FROM kv WHERE lease = ?1 AND lease <> 0 ORDER BY key")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let mut change = Change::begin(connection, state);
    for key in &keys {
        change.delete(key)?;
    }
    state.lease_changes += 1;
    Ok(())
}

/// When the first lease ends, on the host's clock in ms.
pub(super) fn next_end(connection: &Connection) -> Result<Option<i64>> {
    connection.prepare_cached("SELECT min(ends_ms) FROM lease")?.query_row([], |row| row.get(0))
}

/// Ends the leases whose time is over.
pub(super) fn end_expired(connection: &Connection, state: &mut State, now_ms: i64) -> Result<()> {
    let expired = ids(connection
        .prepare_cached("SELECT id FROM lease WHERE ends_ms <= ?1 ORDER BY ends_ms, id")?
        .query_map([now_ms], |row| row.get(0))?)?;
    for id in expired {
        tracing::debug!(lease = %format_args!("{id:x}"), "lease expired");
        end(connection, state, id)?;
    }
    Ok(())
}

/// Ends the leases of a process that is dead.
pub(super) fn end_of(connection: &Connection, state: &mut State, holder: &Holder) -> Result<()> {
    let Holder { pid, start, pid_ns, time_ns } = holder;
    let left = ids(connection
        .prepare_cached(
            "SELECT id FROM lease WHERE pid = ?1 AND start = ?2 AND pid_ns = ?3 AND time_ns = ?4 ORDER BY id",
        )?
        .query_map([pid, start, pid_ns, time_ns], |row| row.get(0))?)?;
    for id in left {
        tracing::info!(lease = %format_args!("{id:x}"), pid, "lease ended: the process that held it is dead");
        end(connection, state, id)?;
    }
    Ok(())
}

/// Ends all leases of an earlier boot: no process of it lives, and its clock was another.
pub(super) fn begin_boot(connection: &Connection, state: &mut State, host: &Host) -> Result<()> {
    if state.boot == host.boot {
        return Ok(());
    }
    let left = ids(connection.prepare_cached("SELECT id FROM lease ORDER BY id")?.query_map([], |row| row.get(0))?)?;
    for id in left {
        end(connection, state, id)?;
    }
    state.boot.clone_from(&host.boot);
    Ok(())
}

/// The processes that hold leases.
pub(super) fn holders(connection: &Connection) -> Result<Vec<Holder>> {
    connection
        .prepare_cached("SELECT DISTINCT pid, start, pid_ns, time_ns FROM lease")?
        .query_map([], |row| {
            Ok(Holder { pid: row.get(0)?, start: row.get(1)?, pid_ns: row.get(2)?, time_ns: row.get(3)? })
        })?
        .collect()
}

fn ids(rows: impl Iterator<Item = Result<LeaseId>>) -> Result<Vec<LeaseId>> {
    rows.collect()
}
