//! A database of its own for one test, on SQLite or on PostgreSQL, and a way to
//! it past the store.

use frontdesk::store::sql::{Connection, Params, Result, Row};
use frontdesk::store::{Location, Store};
use tempfile::TempDir;

use super::postgres;

/// Which database the tests run on that do not say: `postgres`, or else SQLite.
const VARIABLE: &str = "FRONTDESK_TEST_STORE";

/// A migrated database.
pub struct TestDatabase {
    pub location: Location,
    _held: Held,
}

/// What is gone when the test is over.
enum Held {
    Folder(#[expect(dead_code, reason = "removed when dropped")] TempDir),
    Server(postgres::Database),
}

impl TestDatabase {
    /// Of the kind that this run is for.
    pub fn fresh() -> TestDatabase {
        match std::env::var(VARIABLE).as_deref() {
            Ok("postgres") => TestDatabase::postgres(),
            Ok("sqlite") | Err(_) => TestDatabase::sqlite(),
            Ok(other) => panic!("{VARIABLE} is {other:?}; it can be sqlite or postgres"),
        }
    }

    pub fn sqlite() -> TestDatabase {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("desk.db"));
        Store::migrate(&location).unwrap();
        TestDatabase { location, _held: Held::Folder(folder) }
    }

    pub fn postgres() -> TestDatabase {
        let database = postgres::Database::fresh(|url| {
            Store::migrate(&Location::parse(url).unwrap()).unwrap();
        });
        TestDatabase { location: Location::parse(&database.url()).unwrap(), _held: Held::Server(database) }
    }

    /// What `DATABASE_URL` is set to.
    pub fn url(&self) -> String {
        match &self._held {
            Held::Folder(_) => format!("sqlite://{}", self.location),
            Held::Server(database) => database.url(),
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self._held, Held::Server(_))
    }

    /// One of the same kind with nothing in it.
    pub fn empty_one(&self) -> TestDatabase {
        match &self._held {
            Held::Folder(_) => {
                let folder = tempfile::tempdir().unwrap();
                TestDatabase { location: Location::Sqlite(folder.path().join("desk.db")), _held: Held::Folder(folder) }
            }
            Held::Server(_) => {
                let database = postgres::Database::empty();
                TestDatabase { location: Location::parse(&database.url()).unwrap(), _held: Held::Server(database) }
            }
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.location, false).unwrap()
    }

    pub fn sql(&self) -> Sql<'_> {
        Sql(&self.location)
    }

    /// The server's side of it.
    pub fn server(&self) -> &postgres::Database {
        match &self._held {
            Held::Server(database) => database,
            Held::Folder(_) => panic!("this test is about PostgreSQL"),
        }
    }
}

/// The database, past the store. Each statement has a connection of its own, on
/// a thread of its own: the blocking driver must not run where async work does.
#[derive(Clone, Copy)]
pub struct Sql<'a>(pub &'a Location);

impl Sql<'_> {
    pub fn with<T: Send>(&self, work: impl FnOnce(&Connection) -> T + Send) -> T {
        postgres::apart(|| work(&Connection::open(self.0).unwrap()))
    }

    pub fn execute(&self, sql: &str, params: impl Params + Send) -> Result<usize> {
        self.with(|connection| connection.execute(sql, params))
    }

    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        self.with(|connection| connection.execute_batch(sql))
    }

    pub fn query_row<T: Send>(
        &self,
        sql: &str,
        params: impl Params + Send,
        read: impl FnOnce(&Row<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        self.with(|connection| connection.query_row(sql, params, read))
    }

    pub fn rows<T: Send>(
        &self,
        sql: &str,
        params: impl Params + Send,
        read: impl FnMut(&Row<'_>) -> Result<T> + Send,
    ) -> Result<Vec<T>> {
        self.with(|connection| connection.prepare_cached(sql)?.query_map(params, read)?.collect())
    }
}
