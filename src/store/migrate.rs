//! Brings a database up to date. Migrations are numbered files that are only
//! ever added; what has been applied is remembered with a hash of its text, so
//! that an edited one is noticed.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::StoreError;

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "begin", include_str!("../../migrations/sqlite/0001_begin.sql")),
    (2, "owners", include_str!("../../migrations/sqlite/0002_owners.sql")),
    (3, "batches", include_str!("../../migrations/sqlite/0003_batches.sql")),
    (4, "nodes", include_str!("../../migrations/sqlite/0004_nodes.sql")),
];

/// The schema this program works with.
pub const SCHEMA_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What a migration run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Schema version found.
    pub from: i64,
    /// Schema version left.
    pub to: i64,
}

/// Applies what is missing, all in one transaction. Tables that are made anew
/// have children meanwhile, so foreign keys are checked at the end instead.
pub(super) fn up(connection: &mut Connection) -> Result<Migrated, StoreError> {
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let done = apply_missing(connection);
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    done
}

fn apply_missing(connection: &mut Connection) -> Result<Migrated, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT",
    )?;
    let from = version(&tx)?;
    refuse_newer(from)?;
    for (number, name, sql) in MIGRATIONS {
        match applied(&tx, number)? {
            Some(hash) if hash == digest(sql) => {}
            Some(_) => {
                return Err(StoreError::Open(format!("migration {number} was changed after it had been applied")));
            }
            None => {
                tx.execute_batch(sql)?;
                tx.execute(
                    "INSERT INTO migrations (version, name, sha256) VALUES (?1, ?2, ?3)",
                    (number, name, digest(sql)),
                )?;
            }
        }
    }
    if from < SCHEMA_VERSION && tx.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Err(StoreError::Open("a row refers to one that is not there; nothing was changed".to_owned()));
    }
    tx.commit()?;
    Ok(Migrated { from, to: SCHEMA_VERSION })
}

/// Refuses a database that is not exactly up to date.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let there: bool =
        connection
            .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'migrations')", [], |row| row.get(0))?;
    let found = if there { version(connection)? } else { 0 };
    refuse_newer(found)?;
    if found < SCHEMA_VERSION {
        return Err(StoreError::Open(format!(
            "its schema is version {found} and this program needs {SCHEMA_VERSION}; run `frontdesk migrate`"
        )));
    }
    Ok(())
}

fn refuse_newer(found: i64) -> Result<(), StoreError> {
    if found > SCHEMA_VERSION {
        return Err(StoreError::Open(format!(
            "its schema is version {found}, newer than this program's {SCHEMA_VERSION}; run the newer frontdesk"
        )));
    }
    Ok(())
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
