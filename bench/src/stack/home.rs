//! Where a desk's data lies: a folder with a file, or databases of a PostgreSQL. Either can be put
//! back to how it was when the tickets had been made, and says how much is stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail, ensure};
use postgres::{Client, NoTls};

use crate::process::{Component, is_called};

/// The variable with the URL of a PostgreSQL that the benchmark may make databases in.
pub const VARIABLE: &str = "FRONTDESK_TEST_POSTGRES";

/// Bytes by table, and apart from it of its indexes.
pub type Sizes = BTreeMap<String, f64>;

/// Where data lies.
pub enum Home {
    /// A folder.
    File(Files),
    /// A server.
    Server(Arc<Server>),
}

/// A folder with the live file and one with the file to begin from.
pub struct Files {
    folder: PathBuf,
}

/// Two databases of a server: the live one and the one to begin from.
pub struct Server {
    admin: Mutex<Client>,
    url: String,
    live: String,
    template: String,
    component: Option<Component>,
}

/// What a server has counted since it began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Transactions committed.
    pub commits: f64,
    /// Transactions rolled back: for another try, or because something was refused.
    pub roll_backs: f64,
    /// Of those, because two waited for each other.
    pub deadlocks: f64,
    /// Bytes of its log, which a standby has to be sent.
    pub log_bytes: f64,
}

impl Home {
    /// A file below `folder`.
    pub fn file(folder: &Path) -> Home {
        Home::File(Files { folder: folder.to_owned() })
    }

    /// What `DATABASE_URL` is.
    pub fn url(&self) -> String {
        match self {
            Home::File(files) => format!("sqlite://{}", files.database().display()),
            Home::Server(server) => server.url_of(&server.live),
        }
    }

    /// Makes the live one empty.
    pub fn empty(&self) -> Result<()> {
        match self {
            Home::File(files) => files.empty(),
            Home::Server(server) => server.make(&server.live, "template0"),
        }
    }

    /// What is live now is where everything begins from.
    pub fn keep(&self) -> Result<()> {
        match self {
            Home::File(files) => copy(&files.live(), &files.template()),
            Home::Server(server) => {
                server.connect(&server.live)?.batch_execute("VACUUM ANALYZE")?;
                server.make(&server.template, &server.live)
            }
        }
    }

    /// Puts the live one back to where everything begins from.
    pub fn restore(&self) -> Result<()> {
        match self {
            Home::File(files) => {
                files.empty()?;
                copy(&files.template(), &files.live())
            }
            Home::Server(server) => {
                server.make(&server.live, &server.template)?;
                // So that writing the copy back disturbs nothing later.
                server.run(&["CHECKPOINT".to_owned()])
            }
        }
    }

    /// The process of the server, where there is one and it is on this machine.
    pub fn server(&self) -> Option<Component> {
        match self {
            Home::File(_) => None,
            Home::Server(server) => server.component,
        }
    }

    /// What the server has counted about the live database; a file has nobody who counts.
    pub fn counted(&self) -> Result<Option<Counted>> {
        let Home::Server(server) = self else { return Ok(None) };
        let row = server.connect(&server.live)?.query_one(
            "SELECT xact_commit::float8, xact_rollback::float8, deadlocks::float8,
                    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8
             FROM pg_stat_database WHERE datname = current_database()",
            &[],
        )?;
        Ok(Some(Counted { commits: row.get(0), roll_backs: row.get(1), deadlocks: row.get(2), log_bytes: row.get(3) }))
    }

    /// A number that the live database answers; nothing else may be running.
    pub fn number(&self, question: &str) -> Result<i64> {
        match self {
            Home::File(files) => Ok(files.connect()?.query_row(question, [], |row| row.get(0))?),
            Home::Server(server) => Ok(server.connect(&server.live)?.query_one(question, &[])?.get(0)),
        }
    }

    /// Changes the live database past the desk, and tidies as the database does by itself in time.
    pub fn change(&self, statement: &str) -> Result<u64> {
        match self {
            Home::File(files) => Ok(files.connect()?.execute(statement, [])? as u64),
            Home::Server(server) => {
                let mut client = server.connect(&server.live)?;
                let changed = client.execute(statement, &[])?;
                client.batch_execute("VACUUM ANALYZE")?;
                Ok(changed)
            }
        }
    }

    /// How large the live database is.
    pub fn sizes(&self) -> Result<Sizes> {
        match self {
            Home::File(files) => files.sizes(),
            Home::Server(server) => server.sizes(),
        }
    }
}

impl Files {
    fn live(&self) -> PathBuf {
        self.folder.join("live")
    }

    fn template(&self) -> PathBuf {
        self.folder.join("template")
    }

    fn database(&self) -> PathBuf {
        self.live().join("bench.db")
    }

    fn empty(&self) -> Result<()> {
        if self.live().exists() {
            fs::remove_dir_all(self.live())?;
        }
        Ok(fs::create_dir_all(self.live())?)
    }

    fn connect(&self) -> Result<rusqlite::Connection> {
        Ok(rusqlite::Connection::open(self.database())?)
    }

    fn sizes(&self) -> Result<Sizes> {
        let database = self.connect()?;
        let mut ask = database.prepare(
            "SELECT coalesce(schema.tbl_name, page.name) || CASE WHEN schema.type = 'index' THEN ', indexes' ELSE '' END,
                    CAST(sum(page.pgsize) AS REAL)
             FROM dbstat AS page LEFT JOIN sqlite_schema AS schema ON schema.name = page.name
             GROUP BY 1",
        )?;
        Ok(ask.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }
}

impl Server {
    /// The server of the variable. A server that answers before the disk has it is refused.
    pub fn find() -> Result<Server> {
        let url = std::env::var(VARIABLE).ok().with_context(|| {
            format!("there is no PostgreSQL to measure: {VARIABLE} is not set; start this with scripts/postgres run --durable")
        })?;
        let mut admin = connect(&url)?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = admin.query_one(&format!("SHOW {setting}"), &[])?.get(0);
            ensure!(value == "on", "{setting} is {value}: start this with scripts/postgres run --durable");
        }
        let component = postmaster(&mut admin);
        let name = |what| format!("frontdesk_bench_{}_{what}", std::process::id());
        Ok(Server { admin: Mutex::new(admin), url, live: name("live"), template: name("template"), component })
    }

    /// What it calls itself.
    pub fn version(&self) -> Result<String> {
        Ok(connect(&self.url)?.query_one("SHOW server_version", &[])?.get(0))
    }

    /// A connection to a database of its own.
    pub fn connect(&self, name: &str) -> Result<Client> {
        connect(&self.url_of(name))
    }

    /// The URL of one of its databases.
    pub fn url_of(&self, name: &str) -> String {
        with_database(&self.url, name)
    }

    /// Makes a database that is a copy of another.
    pub fn make(&self, name: &str, from: &str) -> Result<()> {
        self.forget(name)?;
        self.run(&[format!("CREATE DATABASE {name} TEMPLATE {from} ENCODING 'UTF8'")])
    }

    /// Removes a database.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.run(&[format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")])
    }

    fn run(&self, statements: &[String]) -> Result<()> {
        let Ok(mut admin) = self.admin.lock() else { bail!("a thread panicked") };
        Ok(statements.iter().try_for_each(|statement| admin.batch_execute(statement))?)
    }

    fn sizes(&self) -> Result<Sizes> {
        let rows = self.connect(&self.live)?.query(
            "SELECT relname::text, pg_table_size(oid)::float8, pg_indexes_size(oid)::float8 FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
            &[],
        )?;
        let both = |row: &postgres::Row| {
            let name: String = row.get(0);
            [(format!("{name}, indexes"), row.get(2)), (name, row.get(1))]
        };
        Ok(rows.iter().flat_map(both).collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for name in [&self.live, &self.template] {
            self.forget(name).ok();
        }
    }
}

/// On the other side of a line that TLS would have to protect there is nothing to measure here.
fn connect(url: &str) -> Result<Client> {
    Client::connect(url, NoTls).with_context(|| format!("cannot connect to the PostgreSQL of {VARIABLE}"))
}

/// The first process of the server, where it is on this machine and lets us see that.
fn postmaster(admin: &mut Client) -> Option<Component> {
    let first_line = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)";
    let pid = admin.query_one(first_line, &[]).ok()?.get::<_, String>(0).parse().ok()?;
    is_called(pid, "postgres").then_some(Component { name: "PostgreSQL", pid, forks: true })
}

/// The URL with another database in the place of its own.
fn with_database(url: &str, name: &str) -> String {
    let (place, settings) = url.split_once('?').map_or((url, None), |(place, settings)| (place, Some(settings)));
    let scheme = place.find("://").map_or(0, |at| at + 3);
    let server = place[scheme..].find('/').map_or(place, |at| &place[..scheme + at]);
    settings.map_or_else(|| format!("{server}/{name}"), |settings| format!("{server}/{name}?{settings}"))
}

/// Copies a folder of files and waits until they are on the disk, so that writing them back
/// disturbs nothing later.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target)?;
        fs::File::open(&target)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn another_database_takes_the_place_of_the_one_in_the_url() {
        assert_eq!(with_database("postgres://a:b@h:1/old?x=1", "new"), "postgres://a:b@h:1/new?x=1");
        assert_eq!(with_database("postgres://a:b@h:1", "new"), "postgres://a:b@h:1/new");
    }
}
