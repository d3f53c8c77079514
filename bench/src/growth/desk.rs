//! A Frontdesk with a history: its database, filled, and its process.

use std::fs;
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::fill::{Dialect, History, POSTGRES, SQLITE};
use crate::delivery;
use crate::process::{Process, free_address};
use crate::wire::{self, Connection};

/// Deliveries that are filled in together.
const PART: i64 = 50_000;

/// Where databases are.
#[derive(Debug, Clone)]
pub enum Place {
    /// Files in this folder.
    Sqlite(PathBuf),
    /// Databases of the server with this URL, which names one of them.
    Postgres(String),
}

/// One database and the process on it.
pub struct Desk {
    name: &'static str,
    binary: PathBuf,
    folder: PathBuf,
    place: Place,
    simulator: SocketAddr,
    /// Its history.
    pub history: History,
    /// Where it listens.
    pub address: SocketAddr,
    /// An admin's.
    pub token: String,
    /// Of an admin who is signed in to the console.
    pub cookie: String,
    process: Option<Process>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Invited {
    link: String,
}

impl Desk {
    /// Signs an admin in to the console, by the link that the command line makes.
    pub fn sign_in(&mut self) -> Result<()> {
        const CHOSEN: &str = "password=correct+horse+battery&again=correct+horse+battery";
        let name = format!("bench-{}", std::process::id());
        let made = self.run(&["user", "create", "--name", &name, "--role", "admin", "--json"])?;
        let link = serde_json::from_str::<Invited>(&made).context("no link")?.link;
        let path = link.find("/invitation/").map(|at| &link[at..]).context("a link to nowhere")?;
        let mut stream = TcpStream::connect(self.address)?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{CHOSEN}",
            self.address,
            CHOSEN.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let cookie =
            answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).context("nobody is signed in")?;
        cookie.split(';').next().unwrap_or_default().clone_into(&mut self.cookie);
        Ok(())
    }

    /// Makes the database and fills it. Some more tickets than it has worked on
    /// wait for what is measured.
    pub fn make(
        name: &'static str,
        binary: &Path,
        place: &Place,
        simulator: SocketAddr,
        history: History,
        tickets: i64,
    ) -> Result<Desk> {
        let folder = match place {
            Place::Sqlite(folder) => folder.join(name),
            Place::Postgres(_) => std::env::temp_dir().join(format!("frontdesk-growth-{}-{name}", std::process::id())),
        };
        fs::create_dir_all(&folder)?;
        let mut desk = Desk {
            name,
            binary: binary.to_owned(),
            folder,
            place: place.clone(),
            simulator,
            history,
            address: free_address()?,
            token: String::new(),
            cookie: String::new(),
            process: None,
        };
        desk.drop_database()?;
        if let Place::Postgres(server) = place {
            psql(server, &format!("CREATE DATABASE {}", desk.database()))?;
        }
        desk.run(&["migrate"])?;
        let created = desk.run(&["token", "create", "--name", "bench", "--role", "admin", "--json"])?;
        desk.token = serde_json::from_str::<Token>(&created).context("no token")?.token;
        desk.fill(tickets)?;
        Ok(desk)
    }

    fn database(&self) -> String {
        format!("frontdesk_growth_{}", self.name)
    }

    fn url(&self) -> String {
        match &self.place {
            Place::Sqlite(_) => format!("sqlite://{}/desk.db", self.folder.display()),
            Place::Postgres(server) => {
                let before = server.rsplit_once('/').map_or(server.as_str(), |(before, _)| before);
                format!("{before}/{}", self.database())
            }
        }
    }

    fn drop_database(&self) -> Result<()> {
        match &self.place {
            Place::Sqlite(_) => Ok(()),
            Place::Postgres(server) => {
                psql(server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database()))
            }
        }
    }

    fn fill(&self, tickets: i64) -> Result<()> {
        let begin = Instant::now();
        let dialect = match self.place {
            Place::Sqlite(_) => SQLITE,
            Place::Postgres(_) => POSTGRES,
        };
        match &self.place {
            Place::Sqlite(_) => {
                let sql = rusqlite::Connection::open(self.folder.join("desk.db"))?;
                // Nobody else is there, and a fill that is broken off is made anew.
                sql.execute_batch(
                    "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY",
                )?;
                self.all(&dialect, tickets, |text| Ok(sql.execute_batch(text)?))?;
                sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            }
            Place::Postgres(_) => {
                self.all(&dialect, tickets, |text| psql(&self.url(), text))?;
                psql(&self.url(), "VACUUM ANALYZE")?;
            }
        }
        eprintln!(
            "{}: {} deliveries filled in in {:.0} s",
            self.name,
            self.history.total,
            begin.elapsed().as_secs_f64()
        );
        Ok(())
    }

    fn all(&self, dialect: &Dialect, tickets: i64, run: impl Fn(&str) -> Result<()>) -> Result<()> {
        let together = |statements: Vec<String>| run(&format!("BEGIN;\n{};\nCOMMIT;", statements.join(";\n")));
        let mut from = 0;
        while from < self.history.total {
            let to = (from + PART).min(self.history.total);
            together(self.history.part(dialect, from, to))?;
            if to % 1_000_000 == 0 {
                eprintln!("{}: {to}", self.name);
            }
            from = to;
        }
        together(self.history.close(dialect))?;
        together(self.history.more_tickets(dialect, tickets))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.folder)
            .env("OPENAI_WEBHOOK_SECRET", delivery::secret())
            .env("OPENAI_API_KEY", "sk-benchmark")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.simulator))
            .env("DATABASE_URL", self.url())
            .env("FRONTDESK_LISTEN", self.address.to_string())
            .env("FRONTDESK_LOG", "error");
        command
    }

    /// Runs a command of the program and gives what it prints.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "frontdesk {arguments:?} failed:\n{complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts the server with these roles; returns once it is ready.
    pub fn start(&mut self, roles: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["serve", "--roles", roles]);
        let process = self.process.insert(Process::start("frontdesk", &mut command, &self.folder)?);
        process.wait_ready(self.address, "/health/ready")
    }

    /// Stops the server.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::stop)
    }

    /// How many jobs wait or are under way, by its own count.
    pub fn waiting(&self, connection: &mut Connection) -> Result<i64> {
        let request = wire::get(self.address, "/api/v1/stats", Some(&self.token));
        let stats: serde_json::Value = serde_json::from_slice(connection.expect_success(&request)?)?;
        let count = |state: &str| stats["states"][state]["count"].as_i64().context("stats without a count");
        Ok(count("queued")? + count("processing")? + count("failed_retryable")?)
    }

    /// MB on the disk; none where that is not ours to see.
    pub fn megabytes(&self) -> Option<f64> {
        let bytes = fs::metadata(self.folder.join("desk.db")).ok()?.len();
        Some(bytes as f64 / 1e6)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.process.take());
        if let Err(error) = self.drop_database() {
            eprintln!("{error:#}");
        }
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Runs statements with PostgreSQL's own client.
fn psql(url: &str, text: &str) -> Result<()> {
    let mut child = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--output", "/dev/null", url])
        .stdin(Stdio::piped())
        .spawn()
        .context("psql is needed for PostgreSQL")?;
    child.stdin.take().context("psql has no input")?.write_all(text.as_bytes())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("psql: {status}");
    }
    Ok(())
}
