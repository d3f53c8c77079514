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
//! | `reviews`, `review_queue`, `deciding`, `feedback` | people who decide, and how drafts fare with them |
//! | `audit_trail`, `audit`, `policies` | who did what; that nothing ended silently; which policies have decided |
//! | `deliveries`, `records`, `receipts`, `page`, `counts`, `why` | people who look: lists, counts, the trail of one piece of work |
//! | `desk` | the built-in helpdesk |
//! | `people`, `sessions` | people who sign in |
//! | `alerts`, `sends`, `parked`, `pauses`, `tokens` | operators: what they are told, what they pause, who may ask |
//! | `failed`, `replay` | operators: failed jobs, and deliveries to be worked again |
//! | `erase`, `copies`, `restore` | whoever must forget, keep a copy, or put one back |
//! | `samples` | how things go over time |
//! | `restored` | whoever acts on work that may have been done before a restore |
//! | `nodes` | which processes are there, and which leads in what |
//! | `moving` | whoever moves from a file to a server |
//! | `facts` | whoever examines the installation |

mod alerts;
mod audit;
mod audit_trail;
mod batches;
mod copies;
mod counts;
mod deciding;
mod deliveries;
mod desk;
mod effects;
mod erase;
mod facts;
mod failed;
mod feedback;
#[cfg(test)]
mod growth_tests;
mod heard;
mod inbox;
mod ledger;
mod location;
mod marks;
mod migrate;
mod moving;
mod newest;
mod nodes;
mod page;
mod parked;
mod pauses;
mod people;
mod policies;
mod postgres;
mod queue;
mod receipts;
mod reconcile;
mod records;
mod replay;
mod restore;
mod restored;
mod review_queue;
mod reviews;
mod row;
mod samples;
mod sends;
mod sessions;
mod settle;
pub mod sql;
mod sqlite;
mod starts;
mod submissions;
mod tokens;
mod units;
mod why;
mod writers;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::sql::{Company, Connection};
use self::units::Lane;
use crate::clock::Clock;

pub use alerts::{Alert, AlertSend, Changed};
pub use audit::{Audit, AuditAt, Finding};
pub use audit_trail::Entry;
pub use batches::{
    BATCH_TWIN, BATCH_UNDONE, Batch, BatchAct, BeforeRestore, BuildClaim, Building, Built, CHANGED_SINCE, Entered,
    Fire, Line, LineEntry, LineFacts, LineRead, NewBatch, NewLine, NewPart, Part, PartEnd, PartPlace, PartToStart,
    PlacePart, Scheduled, Start, Starting, Undone, part_id,
};
pub use copies::{Backup, BackupError, Scrubbed};
pub use counts::{Batches, COUNTED, Counts, NewestNumbers, StateCount};
pub use deciding::{Act, Approved, DraftOver};
pub use deliveries::{Delivery, DeliveryFilter};
pub use desk::{Attachment, DeskTicket, Draft, NewTicket, Selected, StoredMessage, TicketPatch};
pub use effects::{Change, Intent, Kept, Plan, Planned, Standing};
pub use erase::{Content, Erased, Erasure, NotErased, Step, Stepped};
pub use facts::Facts;
pub use failed::{Discarded, FailedFilter, FailedJobs, Remedied, Remedy, Retried};
pub use feedback::{Feedback, FeedbackDay};
pub use heard::{Became, HeardEvent, NewHeard, STARTS_CAPPED, Starts};
pub use inbox::RefusalTally;
pub use ledger::{NewSubmission, Prompted, Submission};
pub use location::{Location, NoDatabase, PostgresUrl};
pub use migrate::{Migrated, SCHEMA_VERSION};
pub use moving::{Compared, Doing, MoveError, Moved, Moving, Progress};
pub use newest::Work;
pub use nodes::{Duty, Node, SEEN_MS};
pub use page::{LOOKED_AT, Page, PageRequest};
pub use parked::{PARKED_COUNTED, Parked, ParkedNotice, RECEIVED};
pub use pauses::{Pausable, Pause};
pub use people::{Accepted, NewInvitation, User, UserChange, UserChanged};
pub use policies::{PastDecision, UsedPolicy};
pub use postgres::PoolSize;
pub use queue::{Claim, ClaimedJob, Which};
pub use receipts::{Body, Receipt};
pub use reconcile::{Check, Found, Hanging, TakeChecks, Unanswered};
pub use records::Job;
pub use replay::{Replayed, ToReplay, Window};
pub use restore::{NotInIt, Restoration, RestoreError, Restoring};
pub use restored::{Marked, Restored};
pub use review_queue::{Looked, May, Offered, QueueFilter};
pub use reviews::{NewReview, Proposed, Review};
pub use sends::{ALERT_CHANNEL, DueSend};
pub use sessions::{Failures, NewSession, SignedIn};
pub use settle::{Settled, Settlement};
pub use starts::{NewStart, PlannedStart};
pub use submissions::Closed;

/// How long one readiness check speaks for the next, and how long it may take.
const PULSE_EVERY: Duration = Duration::from_secs(1);
const PULSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What PostgreSQL says to a write that comes to a standby.
const READ_ONLY: &str = "25006";

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
    /// PostgreSQL refused; the text names tables and rules, never values.
    #[error("database error ({code}): {text}")]
    Postgres {
        /// The SQLSTATE.
        code: String,
        /// PostgreSQL's message.
        text: String,
    },
    /// The database server does not answer, or has ended the connection.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
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
        match self {
            StoreError::Gone | StoreError::Unreachable(_) => false,
            // SQLITE_BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, READONLY
            StoreError::Sqlite { code, .. } => !matches!(code, 5 | 6 | 7 | 8 | 10 | 13 | 14),
            // A bad value, a broken rule, an id that is too long for an index.
            StoreError::Postgres { code, .. } => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
            _ => true,
        }
    }

    /// True when it is the database that is away or has no room, whatever was
    /// asked of it. The store says by itself, once, that it is.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            StoreError::Unreachable(_) => true,
            // No connection, no resources (a full disk, too many connections), an
            // operator's doing, a fault of the system; a server that takes no writes.
            StoreError::Postgres { code, .. } => {
                ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) || code == READ_ONLY
            }
            _ => false,
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
    writer: Lane,
    readers: Lane,
    shared: Arc<Shared>,
}

struct Shared {
    /// Rung when there may be something to claim. The poll is the truth; this
    /// only saves waiting for it.
    work: Notify,
    location: Location,
    engine: Engine,
    /// What the last readiness check found, and when.
    pulse: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
}

/// What only one kind of database needs.
enum Engine {
    Sqlite {
        /// Connections for look-ups in place.
        at_hand: Mutex<Vec<Connection>>,
    },
    Postgres(postgres::Server),
}

/// A word to others that is on its way. Whatever becomes of it, the next may go.
struct Ringing(Arc<Shared>);

impl Ringing {
    fn is_over(&self) {
        if let Engine::Postgres(server) = &self.0.engine {
            server.ringing.store(false, Ordering::Release);
        }
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        self.is_over();
    }
}

/// A write that changes nothing for anybody.
fn beat(connection: &Connection) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO pulse (id, beats) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET beats = pulse.beats + 1",
        [],
    )?;
    Ok(())
}

impl Store {
    /// Opens the database, creating a file if there is none, and brings it up to
    /// date when `migrate` is true.
    ///
    /// # Errors
    /// [`StoreError::Open`] when it cannot be used, SQLite is too old, or the
    /// schema is newer or (without `migrate`) older than this program.
    pub fn open(location: &Location, migrate: bool) -> Result<Store, StoreError> {
        Store::open_sized(location, migrate, PoolSize::default())
    }

    /// As [`Store::open`], with so many connections to a server.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_sized(location: &Location, migrate: bool, size: PoolSize) -> Result<Store, StoreError> {
        match location {
            Location::Sqlite(path) => sqlite::open(path, migrate),
            Location::Postgres(url) => postgres::open(url, migrate, size),
        }
    }

    /// Brings the database up to date and says what was done.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn migrate(location: &Location) -> Result<Migrated, StoreError> {
        match location {
            Location::Sqlite(path) => sqlite::bring_up_to_date(path),
            Location::Postgres(url) => postgres::migrate(url),
        }
    }

    /// Where the database is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.shared.location
    }

    /// The clock that everybody who uses this database goes by: this machine's
    /// for a file, the server's for a server.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match &self.shared.engine {
            Engine::Sqlite { .. } => Clock::System,
            Engine::Postgres(server) => Clock::Database(Arc::clone(&server.time)),
        }
    }

    /// Resolves when there may be new work. Ask for it *before* looking for
    /// work, so that nothing falls between the look and the wait.
    pub fn work_arrived(&self) -> tokio::sync::futures::Notified<'_> {
        self.shared.work.notified()
    }

    fn ring(&self) {
        // `notify_one` leaves a permit when nobody waits yet.
        self.shared.work.notify_one();
        if let Engine::Postgres(server) = &self.shared.engine {
            self.tell_others(server);
        }
    }

    /// Tells other processes. Whoever rings while a word is on its way need not
    /// send another.
    fn tell_others(&self, server: &postgres::Server) {
        if server.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let ringing = Ringing(Arc::clone(&self.shared));
        // The answer is nobody's: who was not told looks by itself.
        let _ = self.writer.hurry_off(move |connection| {
            ringing.is_over();
            if let Engine::Postgres(server) = &ringing.0.engine {
                connection.execute("SELECT pg_notify(?1, ?2)", (postgres::CHANNEL, &server.name))?;
            }
            Ok(())
        });
    }

    /// The readiness check: commits a write. Callers within a second share one
    /// answer, so that asking often costs nothing.
    ///
    /// # Errors
    /// What the database says when it cannot, or [`StoreError::Busy`] after two seconds.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut pulse = self.shared.pulse.lock().await;
        if let Some((_, found)) = pulse.as_ref().filter(|(at, _)| at.elapsed() < PULSE_EVERY) {
            return found.clone();
        }
        let beat = async {
            match &self.shared.engine {
                Engine::Sqlite { .. } => self.writer.hurry(beat).await,
                // By the way that deliveries take: what holds up the workers of all
                // processes does not hold up those.
                Engine::Postgres(server) => server.intake.beat().await,
            }
        };
        let found = tokio::time::timeout(PULSE_TIMEOUT, beat).await.unwrap_or(Err(StoreError::Busy));
        *pulse = Some((Instant::now(), found.clone()));
        found
    }

    /// Writes with nobody else writing, in the whole cluster: what is read stays
    /// true until the commit.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run(Company::Alone, work).await
    }

    /// Writes while others do the same. Only for work that keeps out of their
    /// way by itself: by unique keys, by updates that say which row they expect,
    /// by [`Connection::alone_with`] what it reads before it writes.
    async fn write_beside<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run(Company::Beside, work).await
    }

    /// Looks up by key, in place where the database is a file: a few
    /// microseconds from the page cache, which is less than a change of threads
    /// costs. Lists and counts go to [`Store::read`].
    async fn look_up<T, F>(&self, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let Engine::Sqlite { at_hand } = &self.shared.engine else { return self.read(work).await };
        let free = at_hand.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(connection) = free else { return self.read(work).await };
        let found = connection
            .prepare_cached("BEGIN")
            .and_then(|mut begin| begin.execute([]))
            .map_err(StoreError::from)
            .and_then(|_| work(&connection));
        let _ = connection.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
        at_hand.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        found
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.readers.run(Company::Reader, work).await
    }
}
