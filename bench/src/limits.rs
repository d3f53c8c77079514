//! The machine's own limits, without HTTP: how often the disk can be asked to keep something, and
//! how many deliveries SQLite and PostgreSQL can keep when they are committed in groups.

pub mod postgres;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::bench::Options;
use crate::delivery::Deliveries;
use crate::results::{Results, System};

/// Deliveries in one transaction.
pub const GROUPS: [u64; 3] = [1, 64, 256];

/// The metric's name for a size of group.
pub fn group_metric(group: u64) -> String {
    format!("SQLite, event and job in groups of {group}")
}

/// Measures the disk and SQLite in `folder`.
pub fn measure(folder: &Path, options: &Options, results: &mut Results) -> Result<()> {
    let rate = fdatasync(&folder.join("sync"), options.length())?;
    results.add("fdatasync of a 4 KiB write", "1/s", System::Machine, rate);
    for group in GROUPS {
        let rate = commits(&folder.join("limit"), group, options.length())?;
        results.add(group_metric(group), "1/s", System::Machine, rate);
    }
    Ok(())
}

/// Writes over a file that is laid out already, as a write-ahead log is after its first round.
fn fdatasync(path: &Path, length: Duration) -> Result<f64> {
    const PAGES: u64 = 1024;
    let page = [7; 4096];
    let mut file = File::create(path)?;
    for _ in 0..PAGES {
        file.write_all(&page)?;
    }
    file.sync_all()?;
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < length {
        file.seek(SeekFrom::Start(count % PAGES * 4096))?;
        file.write_all(&page)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}

// `synchronous = FULL` syncs the log at every commit. A larger cache and rarer checkpoints than
// the defaults: a limit should not be set low by settings that a system may choose.
const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -65536;
PRAGMA wal_autocheckpoint = 16384;
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL UNIQUE,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  delivery_id INTEGER NOT NULL REFERENCES deliveries (id),
  state TEXT NOT NULL,
  claimable_at INTEGER,
  attempt INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_claimable ON jobs (claimable_at) WHERE claimable_at IS NOT NULL;";

const DELIVERY: &str = "INSERT INTO deliveries
  (webhook_id, event_id, event_type, resource_id, received_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const JOB: &str = "INSERT INTO jobs (key, delivery_id, state, claimable_at, attempt)
  VALUES (?1, ?2, 'queued', ?3, 0)";

/// Deliveries a second, each with its job, `group` of them a transaction.
fn commits(folder: &Path, group: u64, length: Duration) -> Result<f64> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let mut database = Connection::open(folder.join("limit.db"))?;
    database.execute_batch(SCHEMA)?;
    let source = Deliveries::new(6, 20_000);
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < length {
        let transaction = database.transaction()?;
        {
            let mut delivery = transaction.prepare_cached(DELIVERY)?;
            let mut job = transaction.prepare_cached(JOB)?;
            for _ in 0..group {
                let made = source.make(source.draw());
                let (kind, at) = ("response.completed", made.timestamp as i64);
                let row = params![made.id, made.event_id, kind, made.resource_id, at, made.body];
                let id = delivery.insert(row)?;
                job.insert(params![format!("event/{}", made.event_id), id, at])?;
            }
        }
        transaction.commit()?;
        count += group;
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    drop(database);
    fs::remove_dir_all(folder)?;
    Ok(rate)
}
