//! The database's bytes: a copy of them, and getting rid of old ones.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::sql::Connection;
use super::{Store, StoreError, restored};

/// Up to this size the file is written anew after an erasure: well under a
/// second. Beyond it, writing would have to wait for too long.
const COMPACT_UNDER_BYTES: i64 = 64 * 1024 * 1024;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another file is there.
    #[error("{} is there already; name a file that does not exist", .0.display())]
    Exists(PathBuf),
    /// The file could not be made or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// SQLite could not copy.
    #[error("the database could not be copied: {0}")]
    Store(#[from] StoreError),
    /// The copy is not whole.
    #[error("the copy did not pass SQLite's integrity check and was removed; check the database's disk")]
    Damaged,
}

/// A copy that was made and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its length.
    pub bytes: u64,
    /// Its schema version.
    pub schema: i64,
}

/// What was done about old bytes in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrubbed {
    /// The database file was written anew.
    pub compacted: bool,
    /// The write-ahead log is empty.
    pub log_emptied: bool,
}

impl Store {
    /// Copies the database at `from`, which may be in use, into a new file that
    /// only its owner can read, and checks the copy. The database is not brought
    /// up to date for it: a backup comes before a migration. The copy says of
    /// itself that it is one, so that whoever works with it knows.
    ///
    /// # Errors
    /// See [`BackupError`]; no file is left then, but one that was there before.
    pub fn backup(from: &Path, to: &Path, now_ms: i64) -> Result<Backup, BackupError> {
        let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
        made.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => BackupError::File { path: to.to_owned(), error },
        })?;
        let copied = copy(from, to, now_ms);
        if copied.is_err() {
            let _ = fs::remove_file(to);
        }
        copied
    }

    /// After an erasure: empties the write-ahead log, and writes a database file
    /// that is not large anew, whatever its size when `always`. What is freed is
    /// overwritten with zeros at once, but SQLite may have left copies behind
    /// when it moved rows from page to page earlier. None on a server, whose files
    /// are its own: docs/privacy.md says what stays in them.
    ///
    /// # Errors
    /// When the file could not be used. What was erased stays erased; only old
    /// bytes may be left.
    pub async fn scrub(&self, always: bool) -> Result<Option<Scrubbed>, StoreError> {
        let Some(path) = self.location().file().map(Path::to_owned) else { return Ok(None) };
        let scrubbed = tokio::task::spawn_blocking(move || scrub(&path, always)).await;
        scrubbed.map_err(|_| StoreError::Closed)?.map(Some)
    }
}

fn copy(from: &Path, to: &Path, now_ms: i64) -> Result<Backup, BackupError> {
    let file = |error| BackupError::File { path: to.to_owned(), error };
    let target = to.to_str().ok_or_else(|| file(std::io::Error::other("its name is not UTF-8")))?;
    let source = open(from)?;
    source.execute("VACUUM INTO ?1", [target]).map_err(StoreError::from)?;
    drop(source);
    let copy = open(to)?;
    if !is_whole(&copy)? {
        return Err(BackupError::Damaged);
    }
    let schema = schema_of(&copy)?.unwrap_or(0);
    if has_table(&copy, "marks")? {
        // Nobody relies on it yet: a second file beside it is not needed.
        copy.execute_batch("PRAGMA journal_mode = MEMORY").map_err(StoreError::from)?;
        restored::mark_copy(&copy, now_ms)?;
    }
    drop(copy);
    // On the disk, with its name, before anybody relies on it.
    let bytes = make_durable(to).and_then(|bytes| make_folder_durable(to).map(|()| bytes)).map_err(file)?;
    Ok(Backup { bytes, schema })
}

/// Whether a database passes SQLite's own check.
pub(super) fn is_whole(connection: &Connection) -> Result<bool, StoreError> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(found == "ok")
}

/// The version of its schema; none when it is not a database of ours.
pub(super) fn schema_of(connection: &Connection) -> Result<Option<i64>, StoreError> {
    if !has_table(connection, "migrations")? {
        return Ok(None);
    }
    Ok(connection.query_row("SELECT max(version) FROM migrations", [], |row| row.get(0))?)
}

pub(super) fn has_table(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    Ok(connection.query_row(sql, [name], |row| row.get(0))?)
}

/// Its content is on the disk; returns its length.
pub(super) fn make_durable(file: &Path) -> std::io::Result<u64> {
    let written = OpenOptions::new().read(true).open(file)?;
    written.sync_all()?;
    Ok(written.metadata()?.len())
}

/// The names in its folder are on the disk.
pub(super) fn make_folder_durable(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    OpenOptions::new().read(true).open(folder)?.sync_all()
}

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA busy_timeout = 5000;")?;
    Ok(connection.into())
}

fn scrub(path: &Path, always: bool) -> Result<Scrubbed, StoreError> {
    let connection = super::sqlite::connect(path)?;
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let small = pragma("page_count")?.saturating_mul(pragma("page_size")?) <= COMPACT_UNDER_BYTES;
    if !small {
        connection.execute_batch("PRAGMA temp_store = FILE")?;
    }
    let compacted = small || always;
    if compacted {
        connection.execute_batch("VACUUM")?;
    }
    // The first column: whether a reader kept it from being done.
    Ok(Scrubbed { compacted, log_emptied: pragma("wal_checkpoint(TRUNCATE)")? == 0 })
}
