//! The server: one transaction in which everything comes to be there, or nothing.

use postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutIter, BinaryCopyOutRow};
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{ToSql, Type};

use super::rows::{Table, Tally, from, quoted};
use super::{CHUNK, MoveError};
use crate::store::nodes::SEEN_MS;
use crate::store::sql::{Company, Connection, Postgres, Value};
use crate::store::{Location, PostgresUrl, StoreError, postgres as server, sql};

/// The server's side of a move.
pub(super) struct Target {
    connection: Connection,
    place: String,
}

/// What one statement has copied.
pub(super) struct Chunk {
    pub(super) rows: u64,
    /// Texts that had to be changed.
    pub(super) replaced: u64,
}

impl Target {
    pub(super) fn connect(url: &PostgresUrl) -> Result<Target, MoveError> {
        let connection = server::connect(url).map_err(MoveError::Target)?;
        if connection.postgres().is_none_or(Postgres::is_pooled) {
            return Err(MoveError::Pooled);
        }
        // One statement may take as long as a large table needs; the wait for a lock may not.
        connection
            .execute_batch("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            .map_err(refused)?;
        Ok(Target { connection, place: Location::Postgres(url.clone()).to_string() })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Where it is, without a password.
    pub(super) fn place(&self) -> String {
        self.place.clone()
    }

    pub(super) fn has_content(&self, table: String) -> MoveError {
        MoveError::TargetHasContent { place: self.place(), table }
    }

    fn server(&self) -> Result<&Postgres, MoveError> {
        self.connection.postgres().ok_or(MoveError::Target(StoreError::Closed))
    }

    fn number(&self, sql: &str) -> Result<i64, MoveError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(refused)
    }

    /// Refuses when a process has given a sign of life just now.
    pub(super) fn must_be_quiet(&self) -> Result<(), MoveError> {
        if self.number("SELECT CASE WHEN to_regclass('nodes') IS NULL THEN 0 ELSE 1 END")? == 0 {
            return Ok(());
        }
        let now_ms = self.connection.time_ms().map_err(refused)?.unwrap_or_default();
        match self.number(&format!("SELECT count(*) FROM nodes WHERE seen_at > {}", now_ms - SEEN_MS))? {
            0 => Ok(()),
            _ => Err(MoveError::TargetInUse(self.place())),
        }
    }

    /// A table with a row in it, whosever it is; what each database has of its own
    /// does not count.
    pub(super) fn content(&self) -> Result<Option<String>, MoveError> {
        let tables = "SELECT CAST(relname AS TEXT) FROM pg_class
             WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind IN ('r','p')
             ORDER BY relname";
        for table in self.texts(tables, |row| row.get::<_, String>(0))? {
            if self.number(&format!("SELECT count(*) FROM (SELECT 1 {} LIMIT 1) AS one", from(&table)))? > 0 {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn texts<T>(&self, sql: &str, read: impl FnMut(&sql::Row<'_>) -> sql::Result<T>) -> Result<Vec<T>, MoveError> {
        let found =
            self.connection.prepare_cached(sql).and_then(|mut statement| statement.query_map([], read)?.collect());
        found.map_err(refused)
    }

    /// Begins the transaction, with nobody else who writes.
    pub(super) fn begin_alone(&self, tables: &[Table]) -> Result<(), MoveError> {
        self.server()?.begin(Company::Alone).map_err(refused)?;
        // Deliveries are taken in without asking whoever is alone.
        self.run(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names(tables)))
    }

    /// What the schema does by itself when a row comes has been done in the file.
    /// Gives the triggers that now rest.
    pub(super) fn rest_triggers(&self) -> Result<Vec<(String, String)>, MoveError> {
        let ours = "SELECT CAST(c.relname AS TEXT), CAST(t.tgname AS TEXT) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE NOT t.tgisinternal AND t.tgenabled = 'O'
               AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
        let ours = self.texts(ours, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        self.switch("DISABLE", &ours)?;
        Ok(ours)
    }

    pub(super) fn wake_triggers(&self, rested: &[(String, String)]) -> Result<(), MoveError> {
        self.switch("ENABLE", rested)
    }

    fn switch(&self, how: &str, triggers: &[(String, String)]) -> Result<(), MoveError> {
        let switch = |(table, name): &(String, String)| {
            self.run(&format!("ALTER TABLE {} {how} TRIGGER {}", quoted(table), quoted(name)))
        };
        triggers.iter().try_for_each(switch)
    }

    /// Begins to read one state of it.
    pub(super) fn begin_to_read(&self) -> Result<(), MoveError> {
        self.server()?.begin(Company::Reader).map_err(refused)
    }

    pub(super) fn commit(&self) -> Result<(), MoveError> {
        self.server()?.commit().map_err(|error| match StoreError::from(error) {
            lost @ StoreError::Unreachable(_) => MoveError::Unknown(lost),
            refused => MoveError::Target(refused),
        })
    }

    fn run(&self, sql: &str) -> Result<(), MoveError> {
        self.connection.execute_batch(sql).map_err(refused)
    }

    /// Copies rows as they are read, `most` at most.
    pub(super) fn copy_in(&self, table: &Table, rows: &mut rusqlite::Rows<'_>, most: u64) -> Result<Chunk, MoveError> {
        let mut client = self.server()?.client();
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", quoted(&table.name), table.list());
        let mut into = BinaryCopyInWriter::new(client.copy_in(&sql)?, &table.kinds());
        let mut chunk = Chunk { rows: 0, replaced: 0 };
        while chunk.rows < most
            && let Some(row) = rows.next()?
        {
            let (values, replaced) = table.read(row)?;
            let given: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
            into.write(&given)?;
            chunk.rows += 1;
            chunk.replaced += replaced;
        }
        into.finish()?;
        Ok(chunk)
    }

    /// Reads a table back; says now and then how far it is.
    pub(super) fn tally(&self, table: &Table, tell: &mut dyn FnMut(u64)) -> Result<Tally, MoveError> {
        let mut client = self.server()?.client();
        let sql = format!("COPY ({}) TO STDOUT (FORMAT binary)", table.select());
        let kinds = table.kinds();
        let mut rows = BinaryCopyOutIter::new(client.copy_out(&sql)?, &kinds);
        let mut tally = Tally::default();
        while let Some(row) = rows.next()? {
            let values: Result<Vec<Value<'_>>, _> =
                kinds.iter().enumerate().map(|(index, kind)| read(&row, index, kind)).collect();
            tally.add(&values?);
            if tally.rows % CHUNK == 0 {
                tell(tally.rows);
            }
        }
        Ok(tally)
    }

    /// What the file knows from its numbers.
    pub(super) fn write_delivery_tally(&self, deliveries: u64) -> Result<(), MoveError> {
        self.run(&format!("INSERT INTO tallies (name, shard, count) VALUES ('deliveries', 0, {deliveries})"))
    }

    pub(super) fn delivery_tally(&self) -> Result<u64, MoveError> {
        let counted =
            self.number("SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM tallies WHERE name = 'deliveries'")?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }

    /// The next number of each column that gives numbers is behind the highest.
    pub(super) fn set_sequences(&self) -> Result<(), MoveError> {
        let numbered = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE a.attidentity <> '' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
        let numbered = self.texts(numbered, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        for (table, column) in numbered {
            let (table, name) = (quoted(&table), quoted(&column));
            self.number(&format!(
                "SELECT setval(pg_get_serial_sequence('{}', '{}'), greatest(max({name}), 1), coalesce(max({name}) > 0, false)) FROM {table}",
                table.replace('\'', "''"),
                column.replace('\'', "''"),
            ))?;
        }
        Ok(())
    }

    /// Nobody has counted the rows yet, and questions are planned by that.
    pub(super) fn analyze(&self, tables: &[Table]) -> Result<(), MoveError> {
        self.run(&format!("ANALYZE {}", names(tables)))
    }
}

fn names(tables: &[Table]) -> String {
    tables.iter().map(|table| quoted(&table.name)).collect::<Vec<_>>().join(", ")
}

fn refused(error: sql::Error) -> MoveError {
    MoveError::Target(error.into())
}

fn read<'r>(row: &'r BinaryCopyOutRow, index: usize, kind: &Type) -> Result<Value<'r>, postgres::Error> {
    let value = match *kind {
        Type::INT8 => row.try_get::<Option<i64>>(index)?.map(Value::Int),
        Type::FLOAT8 => row.try_get::<Option<f64>>(index)?.map(Value::Real),
        Type::BYTEA => row.try_get::<Option<&[u8]>>(index)?.map(Value::Blob),
        _ => row.try_get::<Option<&str>>(index)?.map(|text| Value::Text(text.into())),
    };
    Ok(value.unwrap_or_else(|| Value::Null(kind.clone())))
}
