//! What we remember. One database; every method of [`Store`] is one
//! transaction, and there is a file for each kind of reader:
//!
//! | file | who uses it |
//! |---|---|
//! | `inbox` | the front desk: deliveries, refusals |
//! | `queue`, `settle` | the back office: claim, heartbeat, the end of an attempt |
//! | `effects`, `newest` | the back office: results, intents and changes; which work is the newest |
//! | `ledger`, `starts` | starting work: submissions, and those that are only planned |
//! | `reconcile`, `submissions` | started work that nobody has told of: the worker that asks, the person who looks |
//! | `batches` | a change-set over many tickets: its parts, its lines, applying them |
//! | `reviews`, `deciding`, `feedback` | people who decide, and how drafts fare with them |
//! | `audit_trail`, `audit`, `policies` | who did what; that nothing ended silently; which policies have decided |
//! | `records`, `why` | people who look: lists, counts, the trail of one piece of work |
//! | `desk` | the built-in helpdesk |
//! | `alerts`, `sends`, `parked`, `pauses`, `tokens` | operators: what they are told, what they pause, who may ask |
//! | `failed`, `replay` | operators: failed jobs, and deliveries to be worked again |
//! | `erase`, `copies` | whoever must forget, or keep a copy |
//! | `facts` | whoever examines the installation |

mod alerts;
mod audit;
mod audit_trail;
mod batches;
mod checkpoint;
mod copies;
mod deciding;
mod desk;
mod effects;
mod erase;
mod facts;
mod failed;
mod feedback;
mod file;
mod inbox;
mod lane;
mod ledger;
mod migrate;
mod newest;
mod parked;
mod pauses;
mod policies;
mod queue;
mod reconcile;
mod records;
mod replay;
mod reviews;
mod row;
mod sends;
mod settle;
mod starts;
mod submissions;
mod tokens;
mod why;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Notify;

pub use alerts::{Alert, AlertSend, Changed};
pub use audit::{Audit, AuditAt, Finding};
pub use audit_trail::Entry;
pub use batches::{
    BATCH_TWIN, BATCH_UNDONE, Batch, BatchAct, BuildClaim, Building, Built, CHANGED_SINCE, Entered, Fire, Line,
    LineEntry, LineFacts, LineRead, NewBatch, NewLine, NewPart, Part, PartEnd, PartPlace, PartToStart, PlacePart,
    Scheduled, Start, Starting, Undone, part_id,
};
pub use copies::{Backup, BackupError, Scrubbed};
pub use deciding::{Act, Approved};
pub use desk::{Attachment, DeskTicket, Draft, NewTicket, Selected, StoredMessage, TicketPatch};
pub use effects::{Change, Intent, Kept, Plan, Planned, Standing};
pub use erase::{Content, Erased, Erasure, NotErased, Step, Stepped};
pub use facts::Facts;
pub use failed::{Discarded, FailedFilter, FailedJobs, Remedied, Remedy, Retried};
pub use feedback::Feedback;
pub use inbox::RefusalTally;
pub use ledger::{NewSubmission, Prompted, Submission};
pub use migrate::{Migrated, SCHEMA_VERSION};
pub use newest::Work;
pub use parked::{Parked, ParkedNotice, RECEIVED};
pub use pauses::{Pausable, Pause};
pub use policies::{PastDecision, UsedPolicy};
pub use queue::{Claim, ClaimedJob, Which};
pub use reconcile::{Check, Found, Hanging, TakeChecks, Unanswered};
pub use records::{Batches, Counts, Delivery, DeliveryFilter, Job, Page, PageRequest, StateCount};
pub use replay::{Replayed, Window};
pub use reviews::{NewReview, Proposed, Review};
pub use sends::{ALERT_CHANNEL, DueSend};
pub use settle::{Settled, Settlement};
pub use starts::{NewStart, PlannedStart};
pub use submissions::Closed;

/// Oldest SQLite that may write: 3.51.3 carries the fix of a WAL-reset
/// corruption that 3.7.0 to 3.51.2 have. Source: sqlite.org/wal.html.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How many units may wait for the writer. Past it the front desk answers 503.
const WRITER_DEPTH: usize = 4096;
const READER_DEPTH: usize = 1024;
const READERS: usize = 2;

/// How long one readiness check speaks for the next, and how long it may take.
const PULSE_EVERY: Duration = Duration::from_secs(1);
const PULSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the store could not do what it was asked. Never holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many writes are waiting already.
    #[error("the database cannot keep up: too many writes are waiting")]
    Full,
    /// The file was removed or replaced under us: what is written now is lost.
    #[error("the database file was removed or replaced; start again with the right one")]
    Gone,
    /// The database did not answer in time.
    #[error("the database is busy")]
    Busy,
    /// The store has been shut down.
    #[error("the database has been closed")]
    Closed,
    /// The database could not be opened or brought up to date.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// SQLite refused; the text is SQLite's own and names tables, never values.
    #[error("database error ({code}): {text}")]
    Sqlite {
        /// SQLite's primary result code.
        code: i32,
        /// SQLite's message.
        text: String,
    },
    /// A stored row does not make sense.
    #[error("table {table}: column {column} holds a value this version cannot read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A row that must be there is not.
    #[error("{0} not found")]
    Missing(&'static str),
}

impl StoreError {
    /// True when the error may concern one unit of a group only. A full disk or
    /// a locked database concerns all of them, and trying each is a waste.
    fn is_of_one_unit(&self) -> bool {
        // SQLITE_BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, READONLY
        !matches!(self, StoreError::Gone | StoreError::Sqlite { code: 5 | 6 | 7 | 8 | 10 | 13 | 14, .. })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match &error {
            rusqlite::Error::SqliteFailure(failure, text) => StoreError::Sqlite {
                code: failure.extended_code & 0xff,
                text: text.clone().unwrap_or_else(|| failure.to_string()),
            },
            rusqlite::Error::QueryReturnedNoRows => StoreError::Missing("row"),
            // These may quote a value; the kind is enough.
            _ => StoreError::Sqlite { code: -1, text: "a statement could not be run or read".to_owned() },
        }
    }
}

impl From<StoreError> for crate::domain::failure::Failure {
    fn from(error: StoreError) -> Self {
        Self::retryable(crate::domain::failure::Cause::Store, error.to_string())
    }
}

/// The database. Cheap to clone; all clones share the same threads.
#[derive(Clone)]
pub struct Store {
    writer: lane::Lane,
    readers: lane::Lane,
    shared: Arc<Shared>,
}

struct Shared {
    /// Rung when there may be something to claim. The poll is the truth; this
    /// only saves waiting for it.
    work: Notify,
    path: PathBuf,
    /// Connections for look-ups in place.
    at_hand: Mutex<Vec<Connection>>,
    /// What the last readiness check found, and when.
    pulse: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
}

impl Store {
    /// Opens the database at `path`, creating it if there is none, and brings
    /// it up to date when `migrate` is true.
    ///
    /// # Errors
    /// [`StoreError::Open`] when the file cannot be used, the library is too
    /// old, or the schema is newer or (without `migrate`) older than this program.
    pub fn open(path: &Path, migrate: bool) -> Result<Store, StoreError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(StoreError::Open(format!("SQLite {} is too old; 3.51.3 is needed", rusqlite::version())));
        }
        let mut connection = connect(path)?;
        if migrate {
            migrate::up(&mut connection)?;
        } else {
            migrate::check(&connection)?;
        }
        let at_hand = (0..READERS).map(|_| connect_to_read(path)).collect::<Result<Vec<_>, _>>()?;
        let readers = (0..READERS).map(|_| connect_to_read(path)).collect::<Result<Vec<_>, _>>()?;
        let finish = checkpoint::Finish::default();
        let file = file::File::at(path)?;
        let writer = lane::Lane::writer(connection, file, WRITER_DEPTH, finish.clone())?;
        let readers = lane::Lane::readers(readers, READER_DEPTH)?;
        let shared = Arc::new(Shared {
            work: Notify::new(),
            path: path.to_owned(),
            at_hand: Mutex::new(at_hand),
            pulse: tokio::sync::Mutex::new(None),
        });
        checkpoint::start(path, &shared, finish)?;
        Ok(Store { writer, readers, shared })
    }

    /// Brings the database at `path` up to date and says what was done.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn migrate(path: &Path) -> Result<Migrated, StoreError> {
        migrate::up(&mut connect(path)?)
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Resolves when there may be new work. Ask for it *before* looking for
    /// work, so that nothing falls between the look and the wait.
    pub fn work_arrived(&self) -> tokio::sync::futures::Notified<'_> {
        self.shared.work.notified()
    }

    fn ring(&self) {
        // `notify_one` leaves a permit when nobody waits yet.
        self.shared.work.notify_one();
    }

    /// The readiness check: commits a write. Callers within a second share one
    /// answer, so that asking often costs nothing.
    ///
    /// # Errors
    /// What SQLite says when it cannot, or [`StoreError::Busy`] after two seconds.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut pulse = self.shared.pulse.lock().await;
        if let Some((_, found)) = pulse.as_ref().filter(|(at, _)| at.elapsed() < PULSE_EVERY) {
            return found.clone();
        }
        let beat = self.writer.hurry(|connection| {
            connection.execute(
                "INSERT INTO pulse (id, beats) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET beats = pulse.beats + 1",
                [],
            )?;
            Ok(())
        });
        let found = tokio::time::timeout(PULSE_TIMEOUT, beat).await.unwrap_or(Err(StoreError::Busy));
        *pulse = Some((Instant::now(), found.clone()));
        found
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run(work).await
    }

    /// Looks up by key, in place: a few microseconds from the page cache, which
    /// is less than a change of threads costs. Lists and counts go to [`Store::read`].
    async fn look_up<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let free = self.shared.at_hand.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(connection) = free else { return self.read(work).await };
        let found = connection
            .prepare_cached("BEGIN")
            .and_then(|mut begin| begin.execute([]))
            .map_err(StoreError::from)
            .and_then(|_| work(&connection));
        let _ = connection.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
        self.shared.at_hand.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        found
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.readers.run(work).await
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    file::File::make(path)?;
    let connection =
        Connection::open(path).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
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
         PRAGMA cache_size = -12288;",
        )
        .map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
    plan_once(&connection).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -8192;")?;
    plan_once(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// SQLite as it is built here would prepare a statement anew for each new time
/// it is given, to see whether another plan fits that value better.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
