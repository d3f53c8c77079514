//! Brings a database up to date. Migrations are numbered files that are only
//! ever added; what has been applied is remembered with a hash of its text, so
//! that an edited one is noticed.

use sha2::{Digest, Sha256};

use super::sql::{Connection, OptionalExtension as _, is_to_be_repeated};
use super::{StoreError, marks};

/// A number, a name, and the text for each kind of database. The texts make the
/// same tables; a test compares them.
struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migrations {
    ($($number:literal $name:literal,)+) => {
        [$(Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/000", $number, "_", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/000", $number, "_", $name, ".sql")),
        }),+]
    };
}

const MIGRATIONS: [Migration; 7] = migrations! {
    1 "begin",
    2 "owners",
    3 "batches",
    4 "nodes",
    5 "growth",
    6 "people",
    7 "helpdesks",
};

/// The schema this program works with.
pub const SCHEMA_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// The oldest program that works beside this one on the same database, by the
/// newest migration that it knows. A migration that only adds leaves it as it is;
/// what is taken away is taken away one release later, and moves it up. So the
/// processes of a cluster can be replaced one after the other.
const OLDEST_BESIDE: i64 = 5;

/// The mark that says so in the database.
const OLDEST_MARK: &str = "schema/oldest";

/// What a migration run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Schema version found.
    pub from: i64,
    /// Schema version left.
    pub to: i64,
}

/// How often a migration that lost against others is run.
const TRIES: usize = 5;

/// Only one process at a time brings a database up to date.
const MIGRATION_LOCK: i64 = 0x6664_6d69_6772;

/// Applies what is missing, all in one transaction. In SQLite tables that are
/// made anew have children meanwhile, so foreign keys are checked at the end instead.
pub(super) fn up(connection: &Connection) -> Result<Migrated, StoreError> {
    if connection.sqlite().is_none() {
        return up_on_a_server(connection);
    }
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let done = in_one(connection, "BEGIN IMMEDIATE");
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    done
}

/// Others may be at work. One statement may take as long as a large table needs,
/// and whoever starts meanwhile waits for as long; the wait for a table that
/// somebody else holds may not, because all others wait behind it.
fn up_on_a_server(connection: &Connection) -> Result<Migrated, StoreError> {
    let begin = format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK}); SET LOCAL lock_timeout = '10s'"
    );
    for _ in 1..TRIES {
        match in_one(connection, &begin) {
            Err(error) if is_to_be_repeated(&error) => {}
            done => return done,
        }
    }
    in_one(connection, &begin)
}

fn in_one(connection: &Connection, begin: &str) -> Result<Migrated, StoreError> {
    connection.execute_batch(begin)?;
    let done = apply_missing(connection).and_then(|done| Ok(connection.execute_batch("COMMIT").map(|()| done)?));
    if done.is_err() {
        // It fails when there is nothing to roll back any more.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn apply_missing(connection: &Connection) -> Result<Migrated, StoreError> {
    connection.execute_batch(match connection.sqlite() {
        Some(_) => "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT",
        None => "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL)",
    })?;
    let from = version(connection)?;
    refuse_newer(connection, from)?;
    if let Some(server) = connection.postgres().filter(|_| from > 0 && from < SCHEMA_VERSION) {
        server.lock_everybody_out()?;
    }
    for migration in MIGRATIONS {
        let sql = if connection.sqlite().is_some() { migration.sqlite } else { migration.postgres };
        match applied(connection, migration.number)? {
            Some(hash) if hash == digest(sql) => {}
            Some(_) => {
                let number = migration.number;
                return Err(StoreError::Open(format!("migration {number} was changed after it had been applied")));
            }
            None => {
                connection.execute_batch(sql)?;
                connection.execute(
                    "INSERT INTO migrations (version, name, sha256) VALUES (?1, ?2, ?3)",
                    (migration.number, migration.name, digest(sql)),
                )?;
            }
        }
    }
    // Each start comes here: nothing is written when nothing is new.
    if from <= SCHEMA_VERSION && marks::get(connection, OLDEST_MARK)? != OLDEST_BESIDE {
        marks::set(connection, OLDEST_MARK, OLDEST_BESIDE)?;
    }
    if from < SCHEMA_VERSION && has_orphans(connection)? {
        return Err(StoreError::Open("a row refers to one that is not there; nothing was changed".to_owned()));
    }
    Ok(Migrated { from, to: SCHEMA_VERSION.max(from) })
}

/// PostgreSQL checks them itself.
fn has_orphans(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.sqlite().is_some() && connection.prepare_cached("PRAGMA foreign_key_check")?.exists([])?)
}

/// Refuses a database that is not exactly up to date.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let there: bool = connection.query_row(
        match connection.sqlite() {
            Some(_) => "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'migrations')",
            None => "SELECT to_regclass('migrations') IS NOT NULL",
        },
        [],
        |row| row.get(0),
    )?;
    let found = if there { version(connection)? } else { 0 };
    refuse_newer(connection, found)?;
    if found < SCHEMA_VERSION {
        return Err(StoreError::Open(format!(
            "its schema is version {found} and this program needs {SCHEMA_VERSION}; run `frontdesk migrate`"
        )));
    }
    Ok(())
}

/// Refuses a schema that this program does not know the whole of.
pub(super) fn refuse_newer_than_known(connection: &Connection) -> Result<(), StoreError> {
    match version(connection)? {
        found if found > SCHEMA_VERSION => Err(too_new(found)),
        _ => Ok(()),
    }
}

fn too_new(found: i64) -> StoreError {
    StoreError::Open(format!(
        "its schema is version {found}, newer than this program's {SCHEMA_VERSION}; run the newer frontdesk"
    ))
}

/// A newer schema is no hindrance where it says that this program may go on with it.
fn refuse_newer(connection: &Connection, found: i64) -> Result<(), StoreError> {
    if found <= SCHEMA_VERSION {
        return Ok(());
    }
    let oldest = connection
        .query_row("SELECT value FROM marks WHERE name = ?1", [OLDEST_MARK], |row| row.get::<_, i64>(0))
        .optional()?;
    if oldest.is_some_and(|oldest| oldest <= SCHEMA_VERSION) {
        tracing::info!(found, known = SCHEMA_VERSION, "the schema is newer than this program and may be used by it");
        return Ok(());
    }
    Err(too_new(found))
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT coalesce(max(version), 0) FROM migrations", [], |row| row.get(0))?)
}

fn applied(connection: &Connection, number: i64) -> Result<Option<String>, StoreError> {
    Ok(connection
        .query_row("SELECT sha256 FROM migrations WHERE version = ?1", [number], |row| row.get(0))
        .optional()?)
}

fn digest(sql: &str) -> String {
    crate::domain::id::hex(&Sha256::digest(sql.as_bytes()))
}
