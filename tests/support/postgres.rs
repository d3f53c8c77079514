//! A PostgreSQL database for one test, made from a migrated template.
//!
//! The blocking driver must not be used on a thread that runs async work, so
//! whatever asks PostgreSQL here does so on a thread of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use frontdesk::store::SCHEMA_VERSION;
use postgres::{Client, Config, NoTls};
use sha2::{Digest as _, Sha256};

use super::pgbouncer::PgBouncer;

/// Where the tests' PostgreSQL is.
const VARIABLE: &str = "FRONTDESK_TEST_POSTGRES";
/// The advisory lock under which a template is made.
const MAKING_TEMPLATE: i64 = 0x6664_7465_6d70_6c61;

/// The database that people connect to in order to make others.
#[derive(Clone)]
pub struct Maintenance {
    url: String,
}

impl Maintenance {
    /// That of the tests' cluster; says how to get one when there is none.
    pub fn of_the_tests() -> Maintenance {
        let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("this test needs PostgreSQL: run it as `scripts/postgres run cargo nextest run NAME`, which sets {VARIABLE}")
        });
        Maintenance { url }
    }

    /// The URL of another database of this cluster.
    pub fn url_of(&self, database: &str) -> String {
        let (before, options) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (server, _) = before.rsplit_once('/').expect("a URL ends with the name of a database");
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{server}/{database}{mark}{options}")
    }

    fn run(&self, statements: &str) {
        self.ask(|client| client.batch_execute(statements).expect(statements));
    }

    fn ask<T: Send>(&self, question: impl FnOnce(&mut Client) -> T + Send) -> T {
        ask(&self.url, question)
    }

    /// Copies the files, which takes half as long where the disk need not be waited for.
    fn copy(&self, template: &str, to: &str) {
        self.ask(|client| {
            let version: String = client.query_one("SHOW server_version_num", &[]).unwrap().get(0);
            let how = if version.as_str() >= "150000" { "STRATEGY FILE_COPY" } else { "" };
            client
                .batch_execute(&format!("CREATE DATABASE {to} TEMPLATE {template} {how}"))
                .expect("a copy of a template");
        });
    }

    pub fn has(&self, database: &str) -> bool {
        self.ask(|client| {
            client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&database]).unwrap().is_some()
        })
    }

    /// Under its name there is only a template that is complete: it gets that name at the end.
    fn make_template(&self, name: &str, migrate: impl FnOnce(&str)) {
        if self.has(name) {
            return;
        }
        let lock = Lock::take(&self.url);
        if !self.has(name) {
            let unfinished = format!("{name}_unfinished");
            self.run(&format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"));
            self.run(&format!("CREATE DATABASE {unfinished} TEMPLATE template0"));
            migrate(&self.url_of(&unfinished));
            self.close(&unfinished);
            self.run(&format!("ALTER DATABASE {unfinished} RENAME TO {name}"));
        }
        drop(lock);
    }

    /// Drops a database, whoever is in it. The test may have taken the whole cluster down: that is no error.
    pub fn forget(&self, database: &str) {
        let statement = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        let _ = apart(|| Client::connect(&self.url, NoTls)?.batch_execute(&statement));
    }

    /// Lets nobody in any more: a database somebody is in cannot be copied or renamed.
    fn close(&self, database: &str) {
        self.run(&format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false"));
        self.terminate_all(database);
    }

    /// Ends every connection to a database but the one that asks, and waits for their end.
    fn terminate_all(&self, database: &str) -> i64 {
        const PATIENCE_MS: i64 = 10_000;
        let statement = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, $2)) FROM pg_stat_activity \
                         WHERE datname = $1 AND pid <> pg_backend_pid()";
        self.ask(|client| client.query_one(statement, &[&database, &PATIENCE_MS]).unwrap().get(0))
    }

    fn connections(&self, database: &str) -> i64 {
        let statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() \
                         AND backend_type = 'client backend'";
        self.ask(|client| client.query_one(statement, &[&database]).unwrap().get(0))
    }
}

/// The lock of one connection; free when that ends.
struct Lock(Option<Client>);

impl Lock {
    fn take(url: &str) -> Lock {
        Lock(Some(apart(|| {
            let mut client = connect(url);
            client.execute("SELECT pg_advisory_lock($1)", &[&MAKING_TEMPLATE]).unwrap();
            client
        })))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let client = self.0.take();
        apart(|| drop(client));
    }
}

/// A database of its own for one test; gone when dropped.
pub struct Database {
    maintenance: Maintenance,
    name: String,
}

impl Database {
    /// A copy of the migrated template. `migrate` is given the URL of an empty database to
    /// make that template from; it is called by one test process only.
    pub fn fresh(migrate: impl FnOnce(&str)) -> Database {
        Database::from_template(&format!("fd_template_{SCHEMA_VERSION}_{}", schema_hash()), migrate)
    }

    /// The same with a template of another name.
    pub fn from_template(template: &str, migrate: impl FnOnce(&str)) -> Database {
        let maintenance = Maintenance::of_the_tests();
        maintenance.make_template(template, migrate);
        Database::copy_of(maintenance, template)
    }

    /// A database with nothing in it.
    pub fn empty() -> Database {
        Database::copy_of(Maintenance::of_the_tests(), "template0")
    }

    fn copy_of(maintenance: Maintenance, template: &str) -> Database {
        let name = format!("fd_{}", random_name());
        maintenance.copy(template, &name);
        Database { maintenance, name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        self.maintenance.url_of(&self.name)
    }

    /// Asks this database something, as nobody of Frontdesk.
    pub fn ask<T: Send>(&self, question: impl FnOnce(&mut Client) -> T + Send) -> T {
        ask(&self.url(), question)
    }

    /// Ends every connection to this database, as a failover would; returns how many those were.
    pub fn terminate_all(&self) -> i64 {
        self.maintenance.terminate_all(&self.name)
    }

    /// How many are connected to this database.
    pub fn connections(&self) -> i64 {
        self.maintenance.connections(&self.name)
    }

    /// A pool in front of this database, which lends a connection for one transaction.
    pub fn pgbouncer(&self) -> PgBouncer {
        PgBouncer::start(&self.url())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.maintenance.forget(&self.name);
    }
}

/// What `question` says over a connection that is made for it.
pub fn ask<T: Send>(url: &str, question: impl FnOnce(&mut Client) -> T + Send) -> T {
    apart(|| question(&mut connect(url)))
}

/// On a thread that runs nothing else. A panic there is one here.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

fn connect(url: &str) -> Client {
    let config: Config = url.parse().expect("a URL of PostgreSQL");
    config.connect(NoTls).unwrap_or_else(|error| panic!("PostgreSQL at {:?}: {error}", config.get_ports()))
}

fn random_name() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Changes with each migration, so that an old template is not taken for a new one. The number
/// of the last one goes with it: the files may be newer than the program that reads them here.
fn schema_hash() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let files = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let texts: BTreeMap<_, _> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let mut hash = Sha256::new();
    texts.values().for_each(|text| hash.update(text));
    hex(&hash.finalize()[..8])
}
