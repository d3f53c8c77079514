//! A database of its own for one test, on SQLite or on PostgreSQL, and a way to
//! it past the store.

use std::sync::{Mutex, PoisonError};

use frontdesk::store::sql::{Connection, Params, Result, Row};
use frontdesk::store::{Location, Store};
use tempfile::TempDir;

use super::pgbouncer::PgBouncer;
use super::postgres;

/// Which database the tests run on that do not say: `postgres`, or else SQLite.
const VARIABLE: &str = "FRONTDESK_TEST_STORE";

/// A migrated database.
pub struct TestDatabase {
    pub location: Location,
    /// Gone before the database is.
    kept: Kept,
    _held: Held,
}

/// What is gone when the test is over.
enum Held {
    Nothing,
    Folder(#[expect(dead_code, reason = "removed when dropped")] TempDir),
    Server(postgres::Database),
    Pooled(Box<PgBouncer>, postgres::Database),
}

impl TestDatabase {
    /// Of the kind that this run is for.
    pub fn fresh() -> TestDatabase {
        if TestDatabase::is_on_a_server() { TestDatabase::postgres() } else { TestDatabase::sqlite() }
    }

    /// Which kind this run is for.
    pub fn is_on_a_server() -> bool {
        match std::env::var(VARIABLE).as_deref() {
            Ok("postgres") => true,
            Ok("sqlite") | Err(_) => false,
            Ok(other) => panic!("{VARIABLE} is {other:?}; it can be sqlite or postgres"),
        }
    }

    pub fn sqlite() -> TestDatabase {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("desk.db"));
        Store::migrate(&location).unwrap();
        TestDatabase::held(location, Held::Folder(folder))
    }

    pub fn postgres() -> TestDatabase {
        TestDatabase::on(TestDatabase::migrated_on_a_server())
    }

    fn migrated_on_a_server() -> postgres::Database {
        postgres::Database::fresh(|url| {
            Store::migrate(&Location::parse(url).unwrap()).unwrap();
        })
    }

    /// Of PostgreSQL, where each transaction gets whichever connection is free.
    pub fn behind_a_pooler() -> TestDatabase {
        let database = TestDatabase::migrated_on_a_server();
        let pooler = database.pgbouncer();
        TestDatabase::held(Location::parse(&pooler.url()).unwrap(), Held::Pooled(Box::new(pooler), database))
    }

    /// One that is somebody else's, or not there yet.
    pub fn at(location: Location) -> TestDatabase {
        TestDatabase::held(location, Held::Nothing)
    }

    fn on(database: postgres::Database) -> TestDatabase {
        TestDatabase::held(Location::parse(&database.url()).unwrap(), Held::Server(database))
    }

    fn held(location: Location, held: Held) -> TestDatabase {
        TestDatabase { location, kept: Kept::default(), _held: held }
    }

    /// What `DATABASE_URL` is set to.
    pub fn url(&self) -> String {
        match &self._held {
            Held::Folder(_) | Held::Nothing => format!("sqlite://{}", self.location),
            Held::Server(database) => database.url(),
            Held::Pooled(pooler, _) => pooler.url(),
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self._held, Held::Server(_) | Held::Pooled(..))
    }

    /// One of the same kind with nothing in it.
    pub fn empty_one(&self) -> TestDatabase {
        match &self._held {
            Held::Server(_) | Held::Pooled(..) => TestDatabase::on(postgres::Database::empty()),
            Held::Folder(_) | Held::Nothing => {
                let folder = tempfile::tempdir().unwrap();
                TestDatabase::held(Location::Sqlite(folder.path().join("desk.db")), Held::Folder(folder))
            }
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.location, false).unwrap()
    }

    pub fn sql(&self) -> Sql<'_> {
        Sql { location: &self.location, kept: &self.kept }
    }

    /// The server's side of it.
    pub fn server(&self) -> &postgres::Database {
        match &self._held {
            Held::Server(database) | Held::Pooled(_, database) => database,
            Held::Folder(_) | Held::Nothing => panic!("this test is about PostgreSQL"),
        }
    }
}

/// The database, past the store. A server is asked on a thread of its own: the
/// blocking driver must not run where async work does.
#[derive(Clone, Copy)]
pub struct Sql<'a> {
    pub location: &'a Location,
    kept: &'a Kept,
}

/// A connection to a server that waits for the next statement. To a file one is
/// made for each: that costs nothing, and holds nothing.
#[derive(Default)]
struct Kept(Mutex<Option<Connection>>);

impl Kept {
    fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, connection: Connection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(connection) = self.take() {
            postgres::apart(|| drop(connection));
        }
    }
}

impl Sql<'_> {
    pub fn with<T: Send>(&self, work: impl FnOnce(&Connection) -> T + Send) -> T {
        if self.location.file().is_some() {
            return work(&Connection::open(self.location).unwrap());
        }
        postgres::apart(|| {
            // A test may have ended all connections.
            let kept = self.kept.take().filter(|connection| connection.execute("SELECT 1", []).is_ok());
            let connection = kept.unwrap_or_else(|| Connection::open(self.location).unwrap());
            let done = work(&connection);
            self.kept.put(connection);
            done
        })
    }

    pub fn execute(&self, sql: &str, params: impl Params + Send) -> Result<usize> {
        self.with(|connection| connection.execute(sql, params))
    }

    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        self.with(|connection| connection.execute_batch(sql))
    }

    /// The one number that a question is answered with.
    pub fn number(&self, sql: &str) -> i64 {
        self.query_row(sql, [], |row| row.get(0)).unwrap()
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
