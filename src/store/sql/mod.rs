//! One text of SQL, two databases.
//!
//! The store's methods are closures over a [`Connection`]. This is the layer
//! below them: it takes statements with `?1`, `?2` … and plain values, and has
//! them run by SQLite or by PostgreSQL. What both must understand alike is in
//! `docs/decisions`; what only one of them has (claims that skip locked rows,
//! locks by subject) is asked for here by name and does nothing on the other.

mod postgres;
mod text;
mod value;

use std::time::Duration;

pub use value::{Column, ColumnIndex, Params, ToValue, Value, params_from_iter};

pub(super) use self::postgres::{Company, Postgres, Settings, is_to_be_repeated, without_zeros};
use super::StoreError;

/// Why a statement could not be run or its rows not be read. Its texts may
/// quote values: it becomes a [`StoreError`] before anybody sees it.
#[derive(Debug)]
pub enum Error {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// PostgreSQL refused, or cannot be reached.
    Postgres(::postgres::Error),
    /// PostgreSQL cannot be reached, or not in the way that was asked for.
    NoSession(String),
    /// There is no row where one was asked for.
    NoRow,
    /// Committed on the primary, and not confirmed by the standby that must.
    Unconfirmed,
    /// A statement had failed, and the unit went on: nothing of it is there.
    Spoiled,
    /// A column holds what this version cannot read.
    Unreadable,
}

/// What a statement gives.
pub type Result<T> = std::result::Result<T, Error>;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Error::NoRow,
            error => Error::Sqlite(error),
        }
    }
}

impl From<::postgres::Error> for Error {
    fn from(error: ::postgres::Error) -> Error {
        Error::Postgres(error)
    }
}

/// Makes an absent row a `None`.
pub trait OptionalExtension<T> {
    /// `None` for [`Error::NoRow`].
    ///
    /// # Errors
    /// Every other one.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a unit must have to itself until its transaction ends.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A ticket, whichever helpdesk it is in.
    Ticket(&'a str),
    /// A response or a batch of OpenAI.
    Resource(&'a str),
    /// A batch of ours.
    Batch(&'a str),
    /// Who tries to sign in, as a hash.
    SignIn(&'a str),
    /// The taking in of deliveries: nobody numbers one meanwhile, and those that
    /// have a number are there.
    Intake,
}

/// One connection to a database.
pub struct Connection(Engine);

enum Engine {
    // Boxed: it is far larger than a box.
    Sqlite(rusqlite::Connection),
    Postgres(Box<Postgres>),
}

impl From<rusqlite::Connection> for Connection {
    fn from(connection: rusqlite::Connection) -> Connection {
        Connection(Engine::Sqlite(connection))
    }
}

impl From<Postgres> for Connection {
    fn from(connection: Postgres) -> Connection {
        Connection(Engine::Postgres(Box::new(connection)))
    }
}

impl Connection {
    /// Connects past the store, for tests and tools.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(location: &super::Location) -> std::result::Result<Connection, StoreError> {
        match location {
            super::Location::Sqlite(path) => Ok(rusqlite::Connection::open(path)?.into()),
            super::Location::Postgres(url) => super::postgres::connect(url),
        }
    }

    /// Readies a statement; it is kept for the next time.
    ///
    /// # Errors
    /// When SQLite does not understand it; PostgreSQL says so when it is run.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(match &self.0 {
            Engine::Sqlite(connection) => Statement::Sqlite(connection.prepare_cached(sql)?),
            Engine::Postgres(connection) => Statement::Postgres(connection, sql.to_owned()),
        })
    }

    /// Runs one statement and says how many rows it changed.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        match &self.0 {
            Engine::Sqlite(connection) => {
                params.with(|values| Ok(connection.execute(sql, rusqlite::params_from_iter(values))?))
            }
            Engine::Postgres(connection) => params.with(|values| connection.execute(sql, values)),
        }
    }

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// When the database refuses one of them.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match &self.0 {
            Engine::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Engine::Postgres(connection) => connection.batch(sql),
        }
    }

    /// The first row of a question.
    ///
    /// # Errors
    /// [`Error::NoRow`] when there is none.
    pub fn query_row<T>(&self, sql: &str, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// SQLite's own connection, for what only SQLite has.
    pub fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.0 {
            Engine::Sqlite(connection) => Some(connection),
            Engine::Postgres(_) => None,
        }
    }

    /// PostgreSQL's own connection, for what only PostgreSQL has.
    pub(super) fn postgres(&self) -> Option<&Postgres> {
        match &self.0 {
            Engine::Sqlite(_) => None,
            Engine::Postgres(connection) => Some(connection),
        }
    }

    /// Keeps others from working on the same subject until the transaction
    /// ends. SQLite has one writer anyway.
    ///
    /// # Errors
    /// When it takes longer than a lock may take, or two wait for each other.
    pub fn alone_with(&self, subject: Subject<'_>) -> Result<()> {
        self.postgres().map_or(Ok(()), |connection| connection.lock(subject))
    }

    /// A condition that `id` is among those that `select` finds. In PostgreSQL it
    /// finds them once, before anything else is planned or done, and where the
    /// text says `{claiming}` it locks them and goes past those that another
    /// transaction is claiming.
    #[must_use]
    pub fn among(&self, select: &str) -> String {
        match self.postgres() {
            Some(_) => format!("id = ANY (ARRAY ({}))", select.replace("{claiming}", "FOR UPDATE SKIP LOCKED")),
            None => format!("id IN ({})", select.replace("{claiming}", "")),
        }
    }

    /// Which part of a counter this connection adds to, so that two do not wait
    /// for each other's commit. Readers add the parts up.
    #[must_use]
    pub fn shard(&self) -> i64 {
        self.postgres().map_or(0, Postgres::shard)
    }

    /// The database's own time, in ms since the epoch; none for a database in
    /// our own process, whose time is ours.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) fn time_ms(&self) -> Result<Option<i64>> {
        self.postgres().map(Postgres::time_ms).transpose()
    }
}

/// A statement that can be run.
pub enum Statement<'c> {
    /// Of SQLite.
    Sqlite(rusqlite::CachedStatement<'c>),
    /// Of PostgreSQL: readied when it is run.
    #[doc(hidden)]
    Postgres(&'c Postgres, String),
}

impl Statement<'_> {
    /// Runs it and says how many rows it changed.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Statement::Sqlite(statement) => {
                params.with(|values| Ok(statement.execute(rusqlite::params_from_iter(values))?))
            }
            Statement::Postgres(connection, sql) => params.with(|values| connection.execute(sql, values)),
        }
    }

    /// The first row.
    ///
    /// # Errors
    /// [`Error::NoRow`] when there is none.
    pub fn query_row<T>(&mut self, params: impl Params, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        match self {
            Statement::Sqlite(statement) => params.with(|values| {
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                let row = rows.next()?.ok_or(Error::NoRow)?;
                read(&Row::Sqlite(row))
            }),
            Statement::Postgres(connection, sql) => {
                let rows = params.with(|values| connection.query(sql, values))?;
                read(&Row::Postgres(rows.first().ok_or(Error::NoRow)?))
            }
        }
    }

    /// All rows, each read by `read`.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<std::vec::IntoIter<Result<T>>> {
        let mut read_all = Vec::new();
        match self {
            Statement::Sqlite(statement) => params.with(|values| {
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    read_all.push(read(&Row::Sqlite(row)));
                }
                Ok::<(), Error>(())
            })?,
            Statement::Postgres(connection, sql) => {
                let rows = params.with(|values| connection.query(sql, values))?;
                read_all.extend(rows.iter().map(|row| read(&Row::Postgres(row))));
            }
        }
        Ok(read_all.into_iter())
    }

    /// Whether there is a row.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query_row(params, |_| Ok(())).optional()?.is_some())
    }
}

/// A row of an answer.
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    Postgres(&'r ::postgres::Row),
}

impl Row<'_> {
    /// A column, by number from 0 or by name.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn get<I: ColumnIndex, T: Column>(&self, index: I) -> Result<T> {
        match self {
            Row::Sqlite(row) => Ok(row.get(index.of_sqlite(row)?)?),
            Row::Postgres(row) => value::of_postgres(row, index.of_postgres(row)?),
        }
    }
}

/// How long one statement, and the wait for a lock, may take on PostgreSQL.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two statements of a transaction there is only our own code. A process
/// that is stopped there must not keep its locks from the others for longer.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        match error {
            Error::Sqlite(rusqlite::Error::SqliteFailure(failure, text)) => StoreError::Sqlite {
                code: failure.extended_code & 0xff,
                text: text.unwrap_or_else(|| failure.to_string()),
            },
            // These may quote a value; the kind is enough.
            Error::Sqlite(_) | Error::Unreadable => {
                StoreError::Sqlite { code: -1, text: "a statement could not be run or read".to_owned() }
            }
            Error::Postgres(error) => postgres::told(&error),
            Error::NoSession(why) => StoreError::Unreachable(why),
            Error::Unconfirmed => StoreError::Unreachable("its standby has not confirmed the commit".to_owned()),
            Error::Spoiled => {
                StoreError::Postgres { code: "25P02".to_owned(), text: "a statement of it had failed".to_owned() }
            }
            Error::NoRow => StoreError::Missing("row"),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        Error::from(error).into()
    }
}

/// Values of several types as parameters.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::sql::ToValue),*] as &[&dyn $crate::store::sql::ToValue]
    };
}
pub(crate) use params;
