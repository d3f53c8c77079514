//! Moves the write-ahead log into the database file, away from the thread that
//! acknowledges deliveries: a checkpoint there is a pause that every sender feels.
//!
//! A passive checkpoint disturbs nobody, but under steady load it never catches
//! up with the end of the log, and the log starts again from its beginning only
//! once all of it has been moved. So when the log is long, this thread moves
//! nearly all of it and the writer moves the short rest between two groups. The
//! log file is then written over, never cut: growing a file costs an fsync far
//! more than writing into one (see docs/decisions).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::store::sql::Connection;
use crate::store::{Shared, StoreError};

/// Between two looks while much is written, and while nothing is.
const LOOK_WHILE_BUSY: Duration = Duration::from_millis(100);
const LOOK_WHILE_QUIET: Duration = Duration::from_secs(1);

/// Pages that wait in the log before they are moved.
const MOVE_OVER_PAGES: i64 = 1000;

/// Length of the log, in pages, from which the writer is asked to finish.
const FINISH_OVER_PAGES: i64 = 4000;

/// Pages that may be left for the writer: a pause of a few milliseconds.
const SHORT_REST_PAGES: i64 = 500;

/// Passes over a log that grows meanwhile, each shorter than the one before.
const PASSES: usize = 4;

/// Asks the writer to move the rest of the log.
#[derive(Clone, Default)]
pub(super) struct Finish(Arc<AtomicBool>);

impl Finish {
    /// Between two groups: does what was asked for, if anything was.
    pub(super) fn if_asked(&self, connection: &Connection) {
        if self.0.swap(false, Ordering::Relaxed) {
            // When it cannot be finished now, it is asked for again.
            let _ = checkpoint(connection, "PASSIVE");
        }
    }

    fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts the thread. It ends when the store is dropped.
pub(super) fn start(path: &Path, shared: &Arc<Shared>, finish: Finish) -> Result<(), StoreError> {
    let connection = super::connect(path)?;
    let shared = Arc::downgrade(shared);
    thread::Builder::new()
        .name("store-checkpoint".to_owned())
        .spawn(move || keep_short(&connection, &shared, &finish))
        .map(drop)
        .map_err(|error| StoreError::Open(format!("cannot start a thread: {error}")))
}

fn keep_short(connection: &Connection, shared: &Weak<Shared>, finish: &Finish) {
    let mut wait = LOOK_WHILE_BUSY;
    while shared.strong_count() > 0 {
        thread::sleep(wait);
        wait = match look(connection, finish) {
            Ok(log) if log.waiting() < MOVE_OVER_PAGES => LOOK_WHILE_QUIET,
            Ok(_) => LOOK_WHILE_BUSY,
            Err(error) => {
                tracing::warn!(%error, "the log could not be moved into the database; it will be tried again");
                LOOK_WHILE_QUIET
            }
        };
    }
}

/// Moves what is to be moved, and says how the log was found.
fn look(connection: &Connection, finish: &Finish) -> Result<Log, StoreError> {
    let found = checkpoint(connection, "NOOP")?;
    if found.waiting() < MOVE_OVER_PAGES {
        return Ok(found);
    }
    let mut log = found;
    for _ in 0..PASSES {
        log = checkpoint(connection, "PASSIVE")?;
        log = Log { pages: checkpoint(connection, "NOOP")?.pages, ..log };
        if log.waiting() < SHORT_REST_PAGES {
            break;
        }
    }
    if log.pages > FINISH_OVER_PAGES {
        finish.ask();
    }
    Ok(found)
}

/// The state of the log.
#[derive(Clone, Copy)]
struct Log {
    /// Pages in it.
    pages: i64,
    /// Pages of those that have been moved.
    moved: i64,
}

impl Log {
    fn waiting(self) -> i64 {
        self.pages - self.moved
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<Log, StoreError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    Ok(connection.query_row(&sql, [], |row| Ok(Log { pages: row.get(1)?, moved: row.get(2)? }))?)
}
