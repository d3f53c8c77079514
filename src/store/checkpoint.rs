//! Moves the write-ahead log into the database file, away from the thread that
//! acknowledges deliveries: a checkpoint there is a pause that every sender feels.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::{Shared, StoreError};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Below this the log is left alone.
const PASSIVE_OVER_BYTES: u64 = 4 * 1024 * 1024;

/// Above this the writer is made to wait for a moment so that the log can start
/// again from its beginning; otherwise it would grow for as long as load lasts.
const RESTART_OVER_BYTES: u64 = 64 * 1024 * 1024;

/// Starts the thread. It ends when the store is dropped.
pub(super) fn start(path: &Path, shared: &Arc<Shared>) -> Result<(), StoreError> {
    let connection = super::connect(path)?;
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let shared = Arc::downgrade(shared);
    thread::Builder::new()
        .name("store-checkpoint".to_owned())
        .spawn(move || keep_short(&connection, &log, &shared))
        .map(drop)
        .map_err(|error| StoreError::Open(format!("cannot start a thread: {error}")))
}

fn keep_short(connection: &Connection, log: &Path, shared: &Weak<Shared>) {
    while shared.strong_count() > 0 {
        thread::sleep(LOOK_EVERY);
        let size = std::fs::metadata(log).map_or(0, |meta| meta.len());
        if size < PASSIVE_OVER_BYTES {
            continue;
        }
        run(connection, "PASSIVE");
        if size > RESTART_OVER_BYTES {
            // Short, because the passive pass has just moved nearly all of it.
            run(connection, "TRUNCATE");
        }
    }
}

fn run(connection: &Connection, mode: &str) {
    // A busy database is normal here; the next look tries again.
    let moved: Result<(i64, i64, i64), _> =
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
    match moved {
        Ok((busy, pages, done)) => tracing::debug!(mode, busy, pages, done, "checkpoint"),
        Err(error) => tracing::warn!(mode, %error, "checkpoint failed; it will be tried again"),
    }
}
