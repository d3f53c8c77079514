//! The file: ours alone from the first look to the mark at the end.

use std::path::Path;

use postgres::types::Type;

use super::rows::{Column, Table, Tally, quoted};
use super::{MoveError, mark};
use crate::store::restored::{self, How};
use crate::store::sql::Connection;
use crate::store::{StoreError, copies, migrate};

/// Codes of SQLite: somebody else uses it.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;

/// The file, with nobody else in it while this lives.
pub(super) struct Source {
    connection: Connection,
    tables: Vec<Table>,
}

impl Source {
    /// Takes the file for as long as this lives.
    pub(super) fn take(path: &Path) -> Result<Source, MoveError> {
        let place = path.display().to_string();
        if !path.exists() {
            return Err(MoveError::NoSource(place));
        }
        let connection = alone(path).map_err(|error| match error {
            StoreError::Sqlite { code: BUSY | LOCKED, .. } => MoveError::SourceInUse(place),
            error => MoveError::Source(error),
        })?;
        let tables = in_order(tables(&connection)?)?;
        Ok(Source { connection, tables })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// All that are moved; each after those that its rows refer to.
    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    pub(super) fn must_not_have_moved(&self) -> Result<(), MoveError> {
        match mark::moved(&self.connection).map_err(MoveError::Source)? {
            Some(told) => Err(MoveError::SourceMoved(told)),
            None => Ok(()),
        }
    }

    /// The target cannot tell that this file was put in place by hand and not
    /// worked with since; here it can be told.
    pub(super) fn notice_restore(&self, now_ms: i64) -> Result<(), MoveError> {
        self.write(|connection| restored::notice(connection, now_ms)).map(drop)
    }

    pub(super) fn mark_moved(&self, place: &str, now_ms: i64) -> Result<(), MoveError> {
        self.write(|connection| mark::set(connection, place, now_ms)).map_err(|error| match error {
            MoveError::Source(error) => MoveError::Unmarked(error),
            error => error,
        })
    }

    /// What was done where it had been moved to is not in it: it is as old as a copy.
    pub(super) fn forget_move(&self, actor: &str, now_ms: i64) -> Result<bool, MoveError> {
        self.write(|connection| {
            let was_moved = mark::forget(connection)?;
            if was_moved {
                restored::mark_as(connection, How::ByCommand, actor, now_ms)?;
            }
            Ok(was_moved)
        })
    }

    /// One transaction; the file stays ours after it.
    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, MoveError> {
        let done = || -> Result<T, StoreError> {
            self.connection.execute_batch("BEGIN EXCLUSIVE")?;
            let done = work(&self.connection)?;
            self.connection.execute_batch("COMMIT")?;
            Ok(done)
        };
        done().map_err(MoveError::Source)
    }

    /// Rows of all tables together.
    pub(super) fn rows(&self) -> Result<u64, MoveError> {
        self.tables.iter().map(|table| self.number(&format!("SELECT count(*) {}", table.from()))).sum()
    }

    /// Deliveries ever stored.
    pub(super) fn deliveries(&self) -> Result<u64, MoveError> {
        self.number("SELECT coalesce(max(seq), 0) FROM deliveries")
    }

    fn number(&self, sql: &str) -> Result<u64, MoveError> {
        let number: i64 = self.sqlite()?.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or_default())
    }

    pub(super) fn select(&self, table: &Table) -> Result<rusqlite::Statement<'_>, MoveError> {
        Ok(self.sqlite()?.prepare(&table.select())?)
    }

    pub(super) fn tally(&self, table: &Table) -> Result<Tally, MoveError> {
        let mut statement = self.select(table)?;
        let (mut rows, mut tally) = (statement.query([])?, Tally::default());
        while let Some(row) = rows.next()? {
            tally.add(&table.read(row)?.0);
        }
        Ok(tally)
    }

    fn sqlite(&self) -> Result<&rusqlite::Connection, MoveError> {
        self.connection.sqlite().ok_or(MoveError::Source(StoreError::Closed))
    }
}

/// A connection that others must let alone. A Frontdesk that only waits for work
/// has its hand on the file as well, and is found by it.
fn alone(path: &Path) -> Result<Connection, StoreError> {
    let connection = copies::open(path)?;
    connection.execute_batch("PRAGMA busy_timeout = 200")?;
    // Before the first look: from then on the lock is on the file and not on its log.
    connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; BEGIN EXCLUSIVE; COMMIT;",
    )?;
    migrate::check(&connection)?;
    // A newer one that may be worked with may still have tables that are not known here.
    migrate::refuse_newer_than_known(&connection)?;
    Ok(connection)
}

fn tables(connection: &Connection) -> Result<Vec<Table>, MoveError> {
    let sqlite = connection.sqlite().ok_or(MoveError::Source(StoreError::Closed))?;
    let mut names = sqlite.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.into_iter().filter(|name| !Table::stays(name)).map(|name| table(sqlite, name)).collect()
}

fn table(sqlite: &rusqlite::Connection, name: String) -> Result<Table, MoveError> {
    let mut columns = sqlite.prepare(&format!("PRAGMA table_info({})", quoted(&name)))?;
    let columns: Vec<(String, String)> =
        columns.query_map([], |row| Ok((row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    let columns = columns.into_iter().map(|(column, kind)| {
        let kind = match kind.as_str() {
            "INTEGER" => Type::INT8,
            "TEXT" => Type::TEXT,
            "BLOB" => Type::BYTEA,
            "REAL" => Type::FLOAT8,
            _ => return Err(MoveError::Shape(format!("column {column} of {name} has a type that is not known"))),
        };
        Ok(Column { name: column, kind })
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let mut refers = sqlite.prepare(&format!("PRAGMA foreign_key_list({})", quoted(&name)))?;
    let refers_to = refers.query_map([], |row| row.get(2))?.collect::<Result<_, _>>()?;
    Ok(Table { name, columns, refers_to })
}

/// Each after those that its rows refer to.
fn in_order(mut left: Vec<Table>) -> Result<Vec<Table>, MoveError> {
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: Vec<String> = left.iter().map(|table| table.name.clone()).collect();
        let waits = |table: &Table| table.refers_to.iter().any(|name| *name != table.name && names.contains(name));
        let (waiting, free): (Vec<Table>, Vec<Table>) = left.into_iter().partition(waits);
        if free.is_empty() {
            return Err(MoveError::Shape(format!("tables refer to each other: {}", names.join(", "))));
        }
        ordered.extend(free);
        left = waiting;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, refers_to: &[&str]) -> Table {
        let refers_to = refers_to.iter().map(|name| (*name).to_owned()).collect();
        Table { name: name.to_owned(), columns: Vec::new(), refers_to }
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let left = vec![table("a", &["b", "c"]), table("b", &["c"]), table("c", &["c"]), table("d", &["elsewhere"])];
        let order: Vec<String> = in_order(left).unwrap().into_iter().map(|table| table.name).collect();
        assert_eq!(order, ["c", "d", "b", "a"]);
    }

    #[test]
    fn a_circle_is_refused() {
        assert!(in_order(vec![table("a", &["b"]), table("b", &["a"])]).is_err());
    }
}
