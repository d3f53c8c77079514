//! SQLite's side of the store: one file, one writer thread, a few readers, and a
//! thread that moves the log.

mod checkpoint;
mod file;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use tokio::sync::Notify;

use super::sql::Connection;
use super::{Engine, Location, Migrated, Shared, Store, StoreError, migrate, moving};

/// Oldest SQLite that may write: 3.51.3 carries the fix of a WAL-reset
/// corruption that 3.7.0 to 3.51.2 have. Source: sqlite.org/wal.html.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How many units may wait for the writer. Past it the front desk answers 503.
const WRITER_DEPTH: usize = 4096;
const READER_DEPTH: usize = 1024;
const READERS: usize = 2;

/// Opens the file at `path`; see [`Store::open`].
pub(super) fn open(path: &Path, migrate: bool) -> Result<Store, StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::Open(format!("SQLite {} is too old; 3.51.3 is needed", rusqlite::version())));
    }
    let connection = connect(path)?;
    moving::refuse_moved(&connection)?;
    if migrate {
        migrate::up(&connection)?;
    } else {
        migrate::check(&connection)?;
    }
    let at_hand = (0..READERS).map(|_| connect_to_read(path)).collect::<Result<Vec<_>, _>>()?;
    let readers = (0..READERS).map(|_| connect_to_read(path)).collect::<Result<Vec<_>, _>>()?;
    let finish = checkpoint::Finish::default();
    let file = file::File::at(path)?;
    let writer = writer::start(connection, file, WRITER_DEPTH, finish.clone())?;
    let readers = writer::start_readers(readers, READER_DEPTH)?;
    let shared = Arc::new(Shared {
        work: Notify::new(),
        location: Location::Sqlite(path.to_owned()),
        engine: Engine::Sqlite { at_hand: Mutex::new(at_hand) },
        pulse: tokio::sync::Mutex::new(None),
    });
    checkpoint::start(path, &shared, finish)?;
    Ok(Store { writer, readers, shared })
}

/// Brings the file at `path` up to date; see [`Store::migrate`].
pub(super) fn bring_up_to_date(path: &Path) -> Result<Migrated, StoreError> {
    let connection = connect(path)?;
    moving::refuse_moved(&connection)?;
    migrate::up(&connection)
}

/// A connection that may write.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    file::File::make(path)?;
    let connection =
        rusqlite::Connection::open(path).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
    // FULL: a commit is on the disk before it is answered. Checkpoints are made
    // by a thread of their own, away from the acknowledging path. What is freed
    // is overwritten with zeros: the rows that come in most often free nothing.
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -65536;",
        )
        .map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
    plan_once(&connection).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection.into())
}

/// A connection that only reads.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let refused = |error: rusqlite::Error| StoreError::from(super::sql::Error::from(error));
    let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(refused)?;
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -8192;")
        .and_then(|()| plan_once(&connection))
        .map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection.into())
}

/// SQLite as it is built here would prepare a statement anew for each new time
/// it is given, to see whether another plan fits that value better.
fn plan_once(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
