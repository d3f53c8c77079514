//! From a file to a server, once: every row is copied in one transaction, read
//! back from both, compared, and only then committed. Which tables and columns
//! there are is read from the file itself, so that none can be forgotten here.

mod mark;
mod rows;
mod source;
mod target;

use std::path::Path;

use self::rows::Tally;
use self::source::Source;
use self::target::Target;
use super::{Audit, AuditAt, Location, PostgresUrl, Store, StoreError, audit, migrate, postgres, sql};
use crate::clock::rfc3339;

pub(super) use self::mark::refuse_moved;

/// Rows of one statement that copies: what a server keeps of a statement until
/// its end stays small, however large the table is.
const CHUNK: u64 = 20_000;

/// What is to be moved where.
#[derive(Debug, Clone)]
pub struct Moving<'a> {
    /// The file.
    pub from: &'a Path,
    /// The server.
    pub to: &'a PostgresUrl,
    /// When the audit of both sides counts work as forgotten.
    pub at: AuditAt,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is being done.
    pub doing: Doing,
    /// With which table.
    pub table: &'a str,
    /// Rows of that table that are done.
    pub rows: u64,
    /// Whether that is all of them.
    pub is_whole: bool,
    /// Rows of all tables that are done.
    pub done: u64,
    /// Rows of all tables.
    pub of: u64,
}

/// What is done with each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It is written into the target.
    Copy,
    /// It is read from both and compared.
    Compare,
}

/// One table on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The table.
    pub table: String,
    /// Its rows in the source.
    pub source: u64,
    /// Its rows in the target.
    pub target: u64,
    /// Whether each row is the same.
    pub is_same: bool,
}

/// What was moved.
#[derive(Debug, Clone)]
pub struct Moved {
    /// Every table, compared.
    pub tables: Vec<Compared>,
    /// Texts that held what PostgreSQL has no text for, a NUL mostly; U+FFFD took its place.
    pub replaced: u64,
    /// It had been moved before, and only the source was not marked yet.
    pub was_there: bool,
    /// The same audit over the source and over the target.
    pub audits: (Audit, Audit),
}

/// Why nothing was moved, but for [`MoveError::Unmarked`]. What was in the source is there still.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is no file.
    #[error("there is no database at {0}; --from names another")]
    NoSource(String),
    /// Somebody has the file open.
    #[error("{0} is in use; stop every Frontdesk on it first, and whatever else has it open")]
    SourceInUse(String),
    /// It is no longer what is worked with.
    #[error("{0}")]
    SourceMoved(String),
    /// The source cannot be read.
    #[error("the source: {0}")]
    Source(StoreError),
    /// A table cannot be moved as it is.
    #[error("the source: {0}")]
    Shape(String),
    /// Somebody works with the target.
    #[error("a Frontdesk works on {0}; stop it first (it counts as stopped a minute after its last sign of life)")]
    TargetInUse(String),
    /// Something is in the target.
    #[error(
        "{place} is not empty: there are rows in {table}, and they are not those of the source; name an empty database"
    )]
    TargetHasContent {
        /// The target.
        place: String,
        /// A table with rows.
        table: String,
    },
    /// Sessions are handed around.
    #[error("--to leads through a pooler; name the server itself")]
    Pooled,
    /// The target does not take what it is given.
    #[error("the target: {0}; nothing was moved")]
    Target(StoreError),
    /// Nobody knows whether the target has it.
    #[error("the target did not say whether it has kept everything: {0}; run it again, it finds out")]
    Unknown(StoreError),
    /// All of it is there, and the source does not say so.
    #[error(
        "everything was moved, but the file could not be marked as moved: {0}; do not use it any more, or run the move again, which then only marks it"
    )]
    Unmarked(StoreError),
    /// What was read back is not what was written.
    #[error("{} not the same in the target; nothing was moved", list(.0))]
    Differs(Vec<Compared>),
    /// The audit does not come to the same.
    #[error("the audit of the target comes to something else than that of the source; nothing was moved")]
    AuditDiffers,
}

fn list(tables: &[Compared]) -> String {
    let named = |table: &Compared| format!("{} ({} rows, {} there)", table.table, table.source, table.target);
    let names: Vec<String> = tables.iter().filter(|table| !table.is_same).map(named).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

impl From<rusqlite::Error> for MoveError {
    fn from(error: rusqlite::Error) -> MoveError {
        MoveError::Source(error.into())
    }
}

impl From<::postgres::Error> for MoveError {
    fn from(error: ::postgres::Error) -> MoveError {
        MoveError::Target(sql::Error::from(error).into())
    }
}

/// Told how far it is.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress<'_>) + Send);

impl Store {
    /// Moves everything from a file to a server: all of it is there at the end,
    /// or nothing is. The file stays as it is, but for a mark that it was moved.
    ///
    /// # Errors
    /// See [`MoveError`].
    pub fn move_to(moving: &Moving<'_>, watch: Watch<'_>) -> Result<Moved, MoveError> {
        apart(|| move_all(moving, watch))
    }

    /// Compares a file with a server, and changes nothing.
    ///
    /// # Errors
    /// When one of them cannot be read, or the file is in use.
    pub fn compare_with(moving: &Moving<'_>, watch: Watch<'_>) -> Result<Vec<Compared>, MoveError> {
        apart(|| {
            let source = Source::take(moving.from)?;
            let target = Target::connect(moving.to)?;
            migrate::check(target.connection()).map_err(MoveError::Target)?;
            target.begin_to_read()?;
            compare(&source, &target, watch)
        })
    }

    /// Takes the mark off a file that was moved, and marks it as restored: it
    /// looks before it writes what may have been written elsewhere meanwhile.
    /// False when it had not been moved.
    ///
    /// # Errors
    /// When the file is not there, or in use.
    pub fn undo_move(from: &Path, actor: &str, now_ms: i64) -> Result<bool, MoveError> {
        Source::take(from)?.forget_move(actor, now_ms)
    }
}

/// On a thread of its own; see [`postgres::apart`].
fn apart<T: Send>(work: impl FnOnce() -> Result<T, MoveError> + Send) -> Result<T, MoveError> {
    postgres::apart(|| Ok(work())).map_err(MoveError::Target)?
}

fn move_all(moving: &Moving<'_>, watch: Watch<'_>) -> Result<Moved, MoveError> {
    let source = Source::take(moving.from)?;
    source.must_not_have_moved()?;
    source.notice_restore(moving.at.now_ms)?;
    let target = Target::connect(moving.to)?;
    target.must_be_quiet()?;
    if let Some(table) = target.content()? {
        return move_again(moving, &source, &target, table, watch);
    }
    migrate::up(target.connection()).map_err(MoveError::Target)?;
    target.begin_alone(source.tables())?;
    if let Some(table) = target.content()? {
        return Err(target.has_content(table));
    }
    let replaced = copy(&source, &target, watch)?;
    let tables = compare(&source, &target, watch)?;
    if !tables.iter().all(|table| table.is_same) {
        return Err(MoveError::Differs(tables));
    }
    let audits = audit_both(&source, &target, moving.at)?;
    target.commit()?;
    source.mark_moved(&target.place(), moving.at.now_ms)?;
    Ok(Moved { tables, replaced, was_there: false, audits })
}

/// The target has content. When that is the source's, it was moved before and
/// whoever did it came no further.
fn move_again(
    moving: &Moving<'_>,
    source: &Source,
    target: &Target,
    table: String,
    watch: Watch<'_>,
) -> Result<Moved, MoveError> {
    // A schema of another age is not what this program has left there.
    if migrate::check(target.connection()).is_err() {
        return Err(target.has_content(table));
    }
    target.begin_to_read()?;
    let tables = compare(source, target, watch)?;
    if !tables.iter().all(|table| table.is_same) {
        return Err(target.has_content(table));
    }
    let audits = audit_both(source, target, moving.at)?;
    source.mark_moved(&target.place(), moving.at.now_ms)?;
    Ok(Moved { tables, replaced: 0, was_there: true, audits })
}

/// Copies everything, and gives how many texts could not stay as they were.
fn copy(source: &Source, target: &Target, watch: Watch<'_>) -> Result<u64, MoveError> {
    let (of, mut done, mut replaced) = (source.rows()?, 0, 0);
    let rested = target.rest_triggers()?;
    for table in source.tables() {
        let mut statement = source.select(table)?;
        let mut read = statement.query([])?;
        let mut rows = 0;
        loop {
            let chunk = target.copy_in(table, &mut read, CHUNK)?;
            (rows, done, replaced) = (rows + chunk.rows, done + chunk.rows, replaced + chunk.replaced);
            let is_whole = chunk.rows < CHUNK;
            watch(Progress { doing: Doing::Copy, table: &table.name, rows, is_whole, done, of });
            if is_whole {
                break;
            }
        }
    }
    target.wake_triggers(&rested)?;
    target.write_delivery_tally(source.deliveries()?)?;
    target.set_sequences()?;
    target.analyze(source.tables())?;
    Ok(replaced)
}

/// Reads every table from both sides.
fn compare(source: &Source, target: &Target, watch: Watch<'_>) -> Result<Vec<Compared>, MoveError> {
    let (of, mut done) = (source.rows()?, 0);
    let mut tables = Vec::new();
    for table in source.tables() {
        let mut tell = |rows: u64, is_whole: bool| {
            watch(Progress { doing: Doing::Compare, table: &table.name, rows, is_whole, done: done + rows, of });
        };
        let here: Tally = source.tally(table)?;
        let there = target.tally(table, &mut |rows| tell(rows, false))?;
        tell(here.rows, true);
        done += here.rows;
        tables.push(Compared {
            table: table.name.clone(),
            source: here.rows,
            target: there.rows,
            is_same: here == there,
        });
    }
    // Counted in two ways, so not among the rows that are compared.
    let is_same = source.deliveries()? == target.delivery_tally()?;
    for tallies in tables.iter_mut().filter(|table| table.table == "tallies") {
        tallies.is_same &= is_same;
    }
    Ok(tables)
}

fn audit_both(source: &Source, target: &Target, at: AuditAt) -> Result<(Audit, Audit), MoveError> {
    let here = audit::audit(source.connection(), at).map_err(MoveError::Source)?;
    let there = audit::audit(target.connection(), at).map_err(MoveError::Target)?;
    let rules = |audit: &Audit| {
        let mut rules: Vec<&str> = audit.findings.iter().map(|finding| finding.rule).collect();
        rules.sort_unstable();
        rules.join("\n")
    };
    if here.checked == there.checked && rules(&here) == rules(&there) {
        Ok((here, there))
    } else {
        Err(MoveError::AuditDiffers)
    }
}

/// What is said of a file that was moved.
fn told_moved(place: &str, at_ms: i64) -> String {
    format!(
        "this database has been moved to {place} at {}; DATABASE_URL still names the file. \
         Set it to the new place; `frontdesk move --undo` lets the file be used again, without what was written there since",
        rfc3339(at_ms)
    )
}

impl Location {
    /// The server, when it is one.
    #[must_use]
    pub fn server(&self) -> Option<&PostgresUrl> {
        match self {
            Location::Sqlite(_) => None,
            Location::Postgres(url) => Some(url),
        }
    }
}
