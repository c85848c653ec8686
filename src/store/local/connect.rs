//! The directory and the database in it: making, opening and checking them, and what their errors mean.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::{Error, ErrorKind, Result};
use crate::kv::StoreError;

/// Says that a database is one of this store's: the bytes of "cord".
const APPLICATION_ID: i32 = 0x636f_7264;

/// Version of the tables below. One that differs is refused.
const SCHEMA_VERSION: i32 = 1;

/// The tables. `meta` has one row. A row of `event` without a value is a deletion. `lease.ends_ms` is on the host's
/// clock since boot, and the rest of its row is the process that it was granted to.
const SCHEMA: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        revision INTEGER NOT NULL,
        compacted INTEGER NOT NULL,
        history_bytes INTEGER NOT NULL,
        lease_changes INTEGER NOT NULL,
        boot TEXT NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, 1, 1, 0, 0, '');
    CREATE TABLE kv (
        key BLOB PRIMARY KEY,
        value BLOB NOT NULL,
        create_revision INTEGER NOT NULL,
        mod_revision INTEGER NOT NULL,
        version INTEGER NOT NULL,
        lease INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX kv_by_lease ON kv (lease) WHERE lease <> 0;
    CREATE TABLE event (
        revision INTEGER NOT NULL,
        place INTEGER NOT NULL,
        key BLOB NOT NULL,
        value BLOB,
        create_revision INTEGER NOT NULL,
        version INTEGER NOT NULL,
        lease INTEGER NOT NULL,
        PRIMARY KEY (revision, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE lease (
        id INTEGER PRIMARY KEY,
        ttl_ms INTEGER NOT NULL,
        ends_ms INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        start INTEGER NOT NULL,
        pid_ns INTEGER NOT NULL,
        time_ns INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX lease_by_end ON lease (ends_ms);
";

/// What a user may put behind `local:`.
const ALLOWED: &str = "a directory on a file system of this host that this process may write, or may create";

/// File systems that several hosts share. SQLite's log needs shared memory, so hosts would ruin it together.
const SHARED_FILE_SYSTEMS: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x0116_1970, "GFS2"),
];

/// Where a store lies.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    database: PathBuf,
    /// Device and inode of the database file that was opened.
    file: (u64, u64),
}

impl Place {
    /// Makes the directory and the database where they are missing, and checks them. Returns two connections.
    pub(super) fn open(directory: &Path, limit: Duration) -> Result<(Self, [Connection; 2])> {
        let give_up = Instant::now() + limit.min(Duration::from_secs(3_600));
        let mut place = Self::make_directory(directory)?;
        let connections = loop {
            match place.open_database(give_up) {
                // Some steps of a first opening fail at once where another process is at the same.
                Err(error) if error.kind() == ErrorKind::Unavailable && Instant::now() < give_up => {
                    thread::sleep(Duration::from_millis(2));
                }
                other => break other?,
            }
        };
        place.file = place
            .identity()
            .map_err(|error| place.refusal(ErrorKind::ConfigValue, "the database is not there", &error))?;
        Ok((place, connections))
    }

    fn make_directory(given: &Path) -> Result<Self> {
        let place = |directory: &Path| Self {
            directory: directory.to_owned(),
            database: directory.join("coordha.db"),
            file: (0, 0),
        };
        let refuse = |what: &str, error: &io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::StorageFull => ErrorKind::NoSpace,
                _ => ErrorKind::ConfigValue,
            };
            place(given).refusal(kind, what, error)
        };
        if given.as_os_str().is_empty() {
            return Err(refuse("no directory is named", &io::ErrorKind::InvalidInput.into()));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(given)
            .map_err(|error| refuse("cannot create the directory", &error))?;
        let directory = fs::canonicalize(given).map_err(|error| refuse("cannot resolve the directory", &error))?;
        let kind = rustix::fs::statfs(&directory)
            .map_err(|error| refuse("cannot examine the directory", &error.into()))?
            .f_type;
        // The kernel's word is wider or narrower than the 32 bits of a magic number, and signed.
        let magic = kind as u32;
        if let Some((_, name)) = SHARED_FILE_SYSTEMS.iter().find(|(m, _)| *m == magic) {
            let error = io::Error::other(format!("it is on {name}, which hosts share"));
            return Err(refuse("cannot use the directory", &error));
        }
        Ok(place(&directory))
    }

    fn open_database(&self, give_up: Instant) -> Result<[Connection; 2]> {
        let first = self.connect(OpenFlags::SQLITE_OPEN_CREATE, give_up);
        let mut first = first.map_err(|error| self.open_error(&error))?;
        self.make_tables(&mut first)?;
        let second = self.connect(OpenFlags::empty(), give_up).map_err(|error| self.open_error(&error))?;
        Ok([first, second])
    }

    fn make_tables(&self, connection: &mut Connection) -> Result<()> {
        let sql = |error| self.open_error(&error);
        let made = |connection: &Connection| -> rusqlite::Result<(i32, i32, i64)> {
            connection.query_row(
                "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
                 FROM pragma_application_id, pragma_user_version",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        };
        if made(connection).map_err(sql)? == (0, 0, 0) {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
            if made(&transaction).map_err(sql)? == (0, 0, 0) {
                transaction
                    .execute_batch(SCHEMA)
                    .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION_ID))
                    .and_then(|()| transaction.pragma_update(None, "user_version", SCHEMA_VERSION))
                    .and_then(|()| transaction.commit())
                    .map_err(sql)?;
            }
        }
        let (application, version, _) = made(connection).map_err(sql)?;
        if application != APPLICATION_ID {
            let error = io::Error::other("it belongs to another program");
            return Err(self.refusal(
                ErrorKind::ConfigValue,
                &format!("cannot use the database {}", self.database.display()),
                &error,
            ));
        }
        if version != SCHEMA_VERSION {
            let error = io::Error::other(format!("its version is {version}, not {SCHEMA_VERSION}"));
            return Err(self.refusal(
                ErrorKind::StoreVersion,
                &format!("cannot use the database {}", self.database.display()),
                &error,
            ));
        }
        Ok(())
    }

    /// A connection, set up; it waits for locks until `give_up`.
    fn connect(&self, extra: OpenFlags, give_up: Instant) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
        let mut connection = Connection::open_with_flags(&self.database, flags)?;
        connection.busy_handler(Some(move |_| {
            thread::sleep(Duration::from_millis(1));
            Instant::now() < give_up
        }))?;
        connection.set_prepared_statement_cache_capacity(64);
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
        }
        // Every commit reaches the disk before it is answered: what was acknowledged outlives a power cut. (It would
        // outlive the death of all processes without.) The writer lowers it for what a power cut ends anyway.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        Ok(connection)
    }

    /// A new connection to the same file, for a thread whose last one failed.
    pub(super) fn reconnect(&self) -> std::result::Result<Connection, StoreError> {
        self.check()?;
        let give_up = Instant::now() + Duration::from_millis(500);
        self.connect(OpenFlags::empty(), give_up).map_err(|error| self.store_error(&error))
    }

    /// The directory, with links resolved.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes that SQLite's log takes on the disk.
    pub(super) fn log_bytes(&self) -> u64 {
        fs::metadata(self.directory.join("coordha.db-wal")).map_or(0, |meta| meta.len())
    }

    /// The path of the bell file.
    pub(super) fn bell(&self) -> PathBuf {
        self.directory.join("coordha.bell")
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        fs::metadata(&self.database).map(|meta| (meta.dev(), meta.ino()))
    }

    /// Fails where the database was removed or replaced since it was opened: who opens it now would see another
    /// store, so this one must not be written any more.
    pub(super) fn check(&self) -> std::result::Result<(), StoreError> {
        match self.identity() {
            Ok(file) if file == self.file => Ok(()),
            _ => Err(StoreError::Unavailable(format!(
                "{} was removed or replaced while it was in use; restart all processes that use it",
                self.database.display()
            ))),
        }
    }

    /// What went wrong in `step` with the value of `store.url`.
    pub(super) fn refusal(&self, kind: ErrorKind, step: &str, error: &dyn std::error::Error) -> Error {
        let value = format!("local:{}", self.directory.display());
        Error::new(kind, format!("store.url: {value}: {step}: {error}; allowed is {ALLOWED}"))
            .with("key", "store.url")
            .with("value", value)
            .with("allowed", ALLOWED)
    }

    /// What an error of SQLite's means to one who opens the store.
    pub(super) fn open_error(&self, error: &rusqlite::Error) -> Error {
        let step = format!("cannot open the database {}", self.database.display());
        let kind = match self.store_error(error) {
            StoreError::NoSpace(_) => ErrorKind::NoSpace,
            StoreError::Corrupt(_) => ErrorKind::Corrupt,
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                    ErrorKind::Unavailable
                }
                _ => ErrorKind::ConfigValue,
            },
        };
        self.refusal(kind, &step, error)
    }

    /// What an error of SQLite's means where nothing of the request was committed.
    pub(super) fn store_error(&self, error: &rusqlite::Error) -> StoreError {
        let directory = self.directory.display();
        let database = self.database.display();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::NoSpace(format!("no space is left in {directory}: {error}")),
            // Not every write of SQLite's says why it failed.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if self.is_full() => {
                StoreError::NoSpace(format!("no space is left in {directory}: {error}"))
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(format!("the database {database} is damaged: {error}"))
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                StoreError::Unavailable(format!("{database} is locked by another process"))
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                StoreError::Permission(format!("cannot write {database}: {error}"))
            }
            Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
                StoreError::Unavailable(format!("{database}: {error}"))
            }
            _ => StoreError::Invalid(format!("{database}: {error}")),
        }
    }

    fn is_full(&self) -> bool {
        rustix::fs::statvfs(&self.directory).is_ok_and(|fs| fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_favail == 0))
    }
}
