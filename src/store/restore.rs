//! Puts a copy in the place of the database: the old one or the new one is there
//! at any time, whatever stops us, and never a half.

use std::fs::{self, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::copies::{has_table, is_whole, make_durable, make_folder_durable, open, schema_of};
use super::restored::{self, How};
use super::sql::{self, Connection, OptionalExtension as _};
use super::{Marked, SCHEMA_VERSION, Store, StoreError, migrate};

/// Codes of SQLite: somebody else uses it; its pages make no sense; it is no database.
const BUSY: i32 = 5;
const CORRUPT: i32 = 11;
const NOT_A_DATABASE: i32 = 26;

/// Files that SQLite may leave beside a database.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What is to be put where.
#[derive(Debug, Clone)]
pub struct Restoring {
    /// The copy.
    pub from: PathBuf,
    /// Where the database shall be.
    pub to: PathBuf,
    /// Where the database that is there now is kept; none: there must be none.
    pub keep: Option<PathBuf>,
    /// Bring it up to date as well.
    pub migrate: bool,
    /// Who asks.
    pub actor: String,
    /// Now, in ms.
    pub now_ms: i64,
}

/// What was put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// Its length.
    pub bytes: u64,
    /// Its schema version.
    pub schema: i64,
    /// When the copy was made, in ms, when it says so.
    pub copied_at_ms: Option<i64>,
    /// How it was marked; none when its schema is older: it is marked when it is
    /// first worked with.
    pub marked: Option<Marked>,
    /// Where the database is kept that was there before.
    pub kept: Option<PathBuf>,
    /// What that one knows and the copy does not, when it can be told.
    pub not_in_it: Option<NotInIt>,
}

/// What people did after the copy was made that must be done again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotInIt {
    /// Entries of the audit trail.
    pub entries: i64,
    /// Tickets whose content was erased: it is back.
    pub erased: Vec<String>,
    /// Names of access tokens that were revoked: they are good again.
    pub revoked: Vec<String>,
}

/// Why nothing was restored. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no such copy.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// The copy is the database.
    #[error("{} is the database itself; name a copy of it", .0.display())]
    Same(PathBuf),
    /// It is no database, or not one of ours.
    #[error("{} is not a database of Frontdesk", .0.display())]
    NotOurs(PathBuf),
    /// The copy is not whole.
    #[error("{} is damaged: it does not pass SQLite's integrity check; take another copy", .0.display())]
    Damaged(PathBuf),
    /// The copy comes from a newer program.
    #[error(
        "its schema is version {0}, newer than this program's {SCHEMA_VERSION}; restore it with the newer frontdesk"
    )]
    Newer(i64),
    /// The copy is from a version that could not say that it is a copy.
    #[error("its schema is version {0}, too old to be marked as restored as it is; say --migrate")]
    TooOld(i64),
    /// There is a database already.
    #[error("{} is there already; --replace keeps it beside the restored one", .0.display())]
    Exists(PathBuf),
    /// Somebody works with the database that is there.
    #[error("{} is in use; stop every Frontdesk on it first", .0.display())]
    InUse(PathBuf),
    /// The database that is there cannot be read.
    #[error("{} cannot be read, nor whether it is in use: stop every Frontdesk, move it and what begins with its name away, restore without --replace", .0.display())]
    Unreadable(PathBuf),
    /// Something is left of a database that is gone.
    #[error("{} is left of another database and would spoil the restored one; move it away first", .0.display())]
    LeftOver(PathBuf),
    /// Another restore is under way.
    #[error("another restore to {} is under way", .0.display())]
    UnderWay(PathBuf),
    /// A file could not be made, written or renamed.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// SQLite could not do it.
    #[error("the copy could not be read or written: {0}")]
    Store(#[from] StoreError),
}

impl From<sql::Error> for RestoreError {
    fn from(error: sql::Error) -> RestoreError {
        RestoreError::Store(error.into())
    }
}

impl Store {
    /// Puts a copy in place as the database, checked, readable by its owner only
    /// and marked as restored.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(asked: &Restoring) -> Result<Restoration, RestoreError> {
        must_be_another(asked)?;
        if asked.keep.is_none() && asked.to.exists() {
            return Err(RestoreError::Exists(asked.to.clone()));
        }
        let new = NewFile::beside(&asked.to)?;
        let done = put_in_place(asked, &new);
        if done.is_err() {
            new.remove();
        }
        done
    }
}

fn put_in_place(asked: &Restoring, new: &NewFile) -> Result<Restoration, RestoreError> {
    copy_to(&asked.from, &new.path)?;
    let mut done = prepare(&open(&new.path)?, asked)?;
    let old = asked.to.exists().then(|| Quiet::take(&asked.to)).transpose()?;
    if let Some(old) = &old {
        done.not_in_it = not_in_it(&old.0, &open(&new.path)?).ok().flatten();
    }
    done.bytes = make_durable(&new.path).map_err(of(&new.path))?;
    done.kept = old.as_ref().and(asked.keep.clone());
    rename(asked, new)?;
    make_folder_durable(&asked.to).map_err(of(&asked.to))?;
    Ok(done)
}

fn of(path: &Path) -> impl FnOnce(std::io::Error) -> RestoreError {
    let path = path.to_owned();
    |error| RestoreError::File { path, error }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn must_be_another(asked: &Restoring) -> Result<(), RestoreError> {
    let from = fs::metadata(&asked.from).map_err(|_| RestoreError::Missing(asked.from.clone()))?;
    match fs::metadata(&asked.to) {
        Ok(to) if (to.dev(), to.ino()) == (from.dev(), from.ino()) => Err(RestoreError::Same(asked.from.clone())),
        _ => Ok(()),
    }
}

/// The file that becomes the database. It has one name, so that what a restore
/// leaves that was killed is used by the next one, and is locked meanwhile.
struct NewFile {
    path: PathBuf,
    _lock: fs::File,
}

impl NewFile {
    fn beside(to: &Path) -> Result<NewFile, RestoreError> {
        let path = beside(to, ".restoring");
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = made.map_err(of(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RestoreError::UnderWay(to.to_owned())),
            Err(TryLockError::Error(error)) => return Err(of(&path)(error)),
        }
        // Whoever had the lock may have made the file the database meanwhile.
        let (ours, there) = (lock.metadata().map_err(of(&path))?, fs::metadata(&path).map_err(of(&path))?);
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(RestoreError::UnderWay(to.to_owned()));
        }
        if ours.nlink() > 1 {
            // Killed between two names: what is in it is the database by now.
            fs::remove_file(&path).map_err(of(&path))?;
            return NewFile::beside(to);
        }
        lock.set_len(0).map_err(of(&path))?;
        for ending in SIDE_FILES {
            let _ = fs::remove_file(beside(&path, ending));
        }
        Ok(NewFile { path, _lock: lock })
    }

    fn remove(&self) {
        for ending in SIDE_FILES {
            let _ = fs::remove_file(beside(&self.path, ending));
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Checks the copy and writes it anew. Nothing is written into the copy.
fn copy_to(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let target = to.to_str().ok_or_else(|| of(to)(std::io::Error::other("its name is not UTF-8")))?;
    let checked = || -> Result<(), RestoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::from(rusqlite::Connection::open_with_flags(from, flags).map_err(StoreError::from)?);
        if !is_whole(&copy)? {
            return Err(RestoreError::Damaged(from.to_owned()));
        }
        match schema_of(&copy)? {
            None => return Err(RestoreError::NotOurs(from.to_owned())),
            Some(found) if found > SCHEMA_VERSION => return Err(RestoreError::Newer(found)),
            Some(_) => {}
        }
        copy.execute("VACUUM INTO ?1", [target])?;
        Ok(())
    };
    checked().map_err(|error| match error {
        RestoreError::Store(StoreError::Sqlite { code: NOT_A_DATABASE, .. }) => RestoreError::NotOurs(from.to_owned()),
        RestoreError::Store(StoreError::Sqlite { code: CORRUPT, .. }) => RestoreError::Damaged(from.to_owned()),
        error => error,
    })
}

/// Brings the new file up to date when that is asked for, and marks it.
fn prepare(made: &Connection, asked: &Restoring) -> Result<Restoration, RestoreError> {
    // Until it has its name the file is nobody's: no second one is needed beside it.
    made.execute_batch("PRAGMA journal_mode = MEMORY")?;
    if !is_whole(made)? {
        return Err(RestoreError::Damaged(asked.from.clone()));
    }
    if asked.migrate {
        migrate::up(made)?;
    }
    let schema = schema_of(made)?.unwrap_or(0);
    if !has_table(made, "marks")? {
        return Err(RestoreError::TooOld(schema));
    }
    let copied_at_ms = restored::copied_at(made)?;
    made.execute_batch("BEGIN")?;
    let marked = if schema == SCHEMA_VERSION {
        Some(restored::mark_as(made, How::ByCommand, &asked.actor, asked.now_ms)?)
    } else {
        // A copy of a copy says so itself; this one is marked when it is worked with.
        restored::mark_copy(made, copied_at_ms.unwrap_or(asked.now_ms))?;
        None
    };
    made.execute_batch("COMMIT")?;
    Ok(Restoration { bytes: 0, schema, copied_at_ms, marked, kept: None, not_in_it: None })
}

/// The database that is there, all in one file and used by nobody else while
/// this lives.
struct Quiet(Connection);

impl Quiet {
    fn take(path: &Path) -> Result<Quiet, RestoreError> {
        let taken = || -> Result<Connection, StoreError> {
            let connection = open(path)?;
            connection.execute_batch("PRAGMA busy_timeout = 200")?;
            // Leaving the log behind is possible only for somebody who is alone, and
            // moves all of it into the file first.
            connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0))?;
            connection.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(connection)
        };
        taken().map(Quiet).map_err(|error| match error {
            StoreError::Sqlite { code: BUSY, .. } => RestoreError::InUse(path.to_owned()),
            StoreError::Sqlite { code: CORRUPT | NOT_A_DATABASE, .. } => RestoreError::Unreadable(path.to_owned()),
            error => RestoreError::Store(error),
        })
    }
}

/// The one step that changes anything: before it the old one is there, and after
/// it the new one.
fn rename(asked: &Restoring, new: &NewFile) -> Result<(), RestoreError> {
    for ending in SIDE_FILES {
        let left = beside(&asked.to, ending);
        if left.exists() {
            return Err(RestoreError::LeftOver(left));
        }
    }
    match &asked.keep {
        Some(keep) if asked.to.exists() => {
            fs::hard_link(&asked.to, keep).map_err(of(keep))?;
            fs::rename(&new.path, &asked.to).map_err(of(&asked.to))
        }
        // A link never goes over a file that came meanwhile.
        _ => {
            fs::hard_link(&new.path, &asked.to).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => RestoreError::Exists(asked.to.clone()),
                _ => of(&asked.to)(error),
            })?;
            fs::remove_file(&new.path).map_err(of(&new.path))
        }
    }
}

/// What the old one knows beyond the copy. None when the copy is not one of it.
fn not_in_it(old: &Connection, copy: &Connection) -> Result<Option<NotInIt>, StoreError> {
    // The mark is the copy's own.
    let last: Option<(i64, i64)> = copy
        .query_row(
            "SELECT seq, at FROM audit_trail WHERE action <> 'database.restored' ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (seq, at_ms) = last.unwrap_or((0, 0));
    let is_one_of_it = seq == 0
        || old.query_row(
            "SELECT EXISTS (SELECT 1 FROM audit_trail WHERE seq = ?1 AND at = ?2)",
            (seq, at_ms),
            |row| row.get(0),
        )?;
    if !is_one_of_it {
        return Ok(None);
    }
    let names = |connection: &Connection, sql: &str| -> Result<Vec<String>, StoreError> {
        Ok(connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let erased =
        format!("SELECT DISTINCT subject FROM audit_trail WHERE seq > {seq} AND action = 'ticket.erase' ORDER BY 1");
    let revoked = "SELECT name FROM tokens WHERE revoked_at IS NOT NULL ORDER BY 1";
    let good = names(copy, "SELECT name FROM tokens WHERE revoked_at IS NULL")?;
    Ok(Some(NotInIt {
        entries: old.query_row("SELECT count(*) FROM audit_trail WHERE seq > ?1", [seq], |row| row.get(0))?,
        erased: names(old, &erased)?,
        revoked: names(old, revoked)?.into_iter().filter(|name| good.contains(name)).collect(),
    }))
}
