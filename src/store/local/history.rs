//! The revision, and the history of changes that watches read. Both have a bound.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row, params};

use crate::kv::{KeyValue, Revision, WatchEvent};

/// So many of the newest revisions can be watched from (a few more for a while).
pub(super) const KEPT_REVISIONS: i64 = 10_000;

/// The history has at most so many bytes of keys and values (a little more for a while), even where that means to keep
/// fewer revisions.
pub(super) const KEPT_BYTES: i64 = 64 << 20;

/// Old revisions are dropped so many at once, which is cheaper than one by one.
const TRIM_STEP: i64 = 250;

/// What the store is at, as read in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The newest revision.
    pub(super) revision: Revision,
    /// The lowest revision that can be watched.
    pub(super) compacted: Revision,
    /// Bytes of keys and values in the history.
    pub(super) history_bytes: i64,
    /// Grows with each lease that is granted or ends, so that others know when to look who holds one.
    pub(super) lease_changes: i64,
    /// The boot of the kernel that the leases were granted under.
    pub(super) boot: String,
}

impl State {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        connection
            .prepare_cached("SELECT revision, compacted, history_bytes, lease_changes, boot FROM meta")?
            .query_row([], |row| {
                Ok(Self {
                    revision: row.get(0)?,
                    compacted: row.get(1)?,
                    history_bytes: row.get(2)?,
                    lease_changes: row.get(3)?,
                    boot: row.get(4)?,
                })
            })
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<()> {
        connection
            .prepare_cached(
                "UPDATE meta SET revision = ?1, compacted = ?2, history_bytes = ?3, lease_changes = ?4, boot = ?5",
            )?
            .execute(params![self.revision, self.compacted, self.history_bytes, self.lease_changes, self.boot])?;
        Ok(())
    }
}

/// The changes of one revision, while they are made. The revision counts only where there is a change.
pub(super) struct Change<'a> {
    connection: &'a Connection,
    state: &'a mut State,
    revision: Revision,
    events: i64,
}

impl<'a> Change<'a> {
    pub(super) fn begin(connection: &'a Connection, state: &'a mut State) -> Self {
        Self { connection, revision: state.revision + 1, state, events: 0 }
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8], lease: i64) -> Result<()> {
        let (created, version): (i64, i64) = self
            .connection
            .prepare_cached(
                "INSERT INTO kv (key, value, create_revision, mod_revision, version, lease)
                 VALUES (?1, ?2, ?3, ?3, 1, ?4)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value, mod_revision = excluded.mod_revision,
                     version = version + 1, lease = excluded.lease
                 RETURNING create_revision, version",
            )?
            .query_row(params![key, value, self.revision, lease], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.log(key, Some(value), created, version, lease)
    }

    pub(super) fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
        self.log(key, None, 0, 0, 0)
    }

    fn log(&mut self, key: &[u8], value: Option<&[u8]>, created: Revision, version: i64, lease: i64) -> Result<()> {
        self.connection.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
            self.revision,
            self.events,
            key,
            value,
            created,
            version,
            lease
        ])?;
        self.events += 1;
        self.state.revision = self.revision;
        self.state.history_bytes += (key.len() + value.map_or(0, <[u8]>::len)) as i64;
        Ok(())
    }
}

/// Drops the history before `revision`, which must not be past the newest.
pub(super) fn compact(connection: &Connection, state: &mut State, revision: Revision) -> Result<()> {
    if revision <= state.compacted {
        return Ok(());
    }
    let dropped: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(length(key) + coalesce(length(value), 0)), 0) FROM event WHERE revision < ?1",
        )?
        .query_row([revision], |row| row.get(0))?;
    connection.prepare_cached("DELETE FROM event WHERE revision < ?1")?.execute([revision])?;
    state.history_bytes -= dropped;
    state.compacted = revision;
    Ok(())
}

/// Drops the oldest history where it has outgrown its bounds.
pub(super) fn trim(connection: &Connection, state: &mut State) -> Result<()> {
    let mut lowest = state.compacted;
    if state.revision - state.compacted >= KEPT_REVISIONS + TRIM_STEP {
        lowest = state.revision - KEPT_REVISIONS + 1;
    }
    if state.history_bytes > KEPT_BYTES {
        let excess = state.history_bytes - KEPT_BYTES + KEPT_BYTES / 16;
        lowest = lowest.max(revision_after_bytes(connection, excess)?);
    }
    compact(connection, state, lowest.min(state.revision))
}

/// The revision before which at least so many bytes of history lie.
fn revision_after_bytes(connection: &Connection, bytes: i64) -> Result<Revision> {
    let mut statement = connection.prepare_cached(
        "SELECT revision, length(key) + coalesce(length(value), 0) FROM event ORDER BY revision, place",
    )?;
    let mut rows = statement.query([])?;
    let mut passed = 0;
    let mut last = 0;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        if passed >= bytes {
            break;
        }
        passed += row.get::<_, i64>(1)?;
    }
    Ok(last)
}

/// Shows all changes from `from` on to `show`, in order, until it returns `false`. It is given the revision, the key,
/// and a way to make the event, as not all are wanted.
pub(super) fn replay(
    connection: &Connection,
    from: Revision,
    mut show: impl FnMut(Revision, &[u8], &dyn Fn() -> Result<WatchEvent>) -> bool,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT revision, key, value, create_revision, version, lease FROM event
         WHERE revision >= ?1 ORDER BY revision, place",
    )?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let key = row.get_ref(1)?.as_blob()?;
        if !show(row.get(0)?, key, &|| event(row)) {
            break;
        }
    }
    Ok(())
}

fn event(row: &Row<'_>) -> Result<WatchEvent> {
    let (revision, key) = (row.get(0)?, row.get(1)?);
    Ok(match row.get_ref(2)? {
        ValueRef::Null => WatchEvent::Delete { key, revision },
        value => WatchEvent::Put(KeyValue {
            key,
            value: value.as_blob()?.to_vec(),
            create_revision: row.get(3)?,
            mod_revision: revision,
            version: row.get(4)?,
            lease: row.get(5)?,
        }),
    })
}
