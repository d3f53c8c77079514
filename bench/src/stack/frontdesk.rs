//! Frontdesk on SQLite, as its binary is shipped: only the variables below are set.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Desk, Reader, Receiver, Step};
use crate::delivery;
use crate::process::{Component, Process, free_address};
use crate::results::System;
use crate::wire::{self, Connection};

/// One process and one database file.
pub struct Frontdesk {
    binary: PathBuf,
    folder: PathBuf,
    tickets: u64,
    simulator: SocketAddr,
    address: SocketAddr,
    token: String,
    process: Option<Process>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Batch {
    version: u64,
    state: String,
    counts: Counts,
}

#[derive(Deserialize)]
struct Counts {
    applied: u64,
}

impl Frontdesk {
    /// Makes the database with its tickets that every measurement starts from a copy of.
    pub fn new(binary: &Path, folder: &Path, tickets: u64, simulator: SocketAddr) -> Result<Self> {
        let mut desk = Frontdesk {
            binary: binary.to_owned(),
            folder: folder.join("frontdesk"),
            tickets,
            simulator,
            address: free_address()?,
            token: String::new(),
            process: None,
        };
        desk.empty()?;
        desk.run(&["migrate"])?;
        let created = desk.run(&["token", "create", "--name", "bench", "--role", "admin", "--json"])?;
        let token: Token = serde_json::from_str(&created).context("no token")?;
        desk.token = token.token;
        desk.start("intake,worker,web")?;
        desk.make_tickets()?;
        desk.stop()?;
        copy(&desk.live(), &desk.template())?;
        Ok(desk)
    }

    fn live(&self) -> PathBuf {
        self.folder.join("live")
    }

    fn template(&self) -> PathBuf {
        self.folder.join("template")
    }

    fn empty(&self) -> Result<()> {
        if self.live().exists() {
            fs::remove_dir_all(self.live())?;
        }
        Ok(fs::create_dir_all(self.live())?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.folder)
            .env("OPENAI_WEBHOOK_SECRET", delivery::secret())
            .env("OPENAI_API_KEY", "sk-benchmark")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.simulator))
            .env("DATABASE_URL", format!("sqlite://{}/bench.db", self.live().display()))
            .env("FRONTDESK_LISTEN", self.address.to_string())
            .env("FRONTDESK_LOG", "warn");
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "frontdesk {arguments:?} failed:\n{complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn start(&mut self, roles: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["serve", "--roles", roles]);
        let process = self.process.insert(Process::start("frontdesk", &mut command, &self.folder)?);
        process.wait_ready(self.address, "/health/ready")
    }

    fn make_tickets(&self) -> Result<()> {
        let next = std::sync::atomic::AtomicU64::new(1);
        let make = || -> Result<()> {
            let mut connection = Connection::new(self.address);
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number > self.tickets {
                    return Ok(());
                }
                let ticket = format!(
                    r#"{{"id":"T-{number}","subject":"Benchmark ticket {number}","messages":[{{"author":"customer","body":"Where is my order?"}}]}}"#
                );
                let bearer = Some(self.token.as_str());
                connection.expect_success(&wire::post(self.address, "/api/v1/tickets", bearer, &ticket))?;
            }
        };
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..32).map(|_| scope.spawn(make)).collect();
            makers.into_iter().try_for_each(|maker| maker.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
        })
    }

    fn timed_start(&mut self) -> Result<f64> {
        let begin = Instant::now();
        self.start("intake,worker,web")?;
        let ready = begin.elapsed().as_secs_f64() * 1e3;
        self.stop()?;
        Ok(ready)
    }
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

impl Receiver for Frontdesk {
    fn system(&self) -> System {
        System::Frontdesk
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()?;
        self.empty()?;
        copy(&self.template(), &self.live())
    }

    fn start_intake(&mut self) -> Result<()> {
        self.start("intake")
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn components(&self) -> Vec<Component> {
        let own = self.process.as_ref().map(|process| Component { name: "frontdesk", pid: process.id(), forks: false });
        own.into_iter().collect()
    }

    fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Process::stop)
    }
}

impl Desk for Frontdesk {
    fn start_workers(&mut self) -> Result<Instant> {
        self.stop()?;
        let begin = Instant::now();
        self.start("intake,worker,web")?;
        Ok(begin)
    }

    fn start_all(&mut self) -> Result<()> {
        self.start("intake,worker,web")
    }

    fn start_up_times(&mut self) -> Result<Vec<(&'static str, f64)>> {
        self.stop()?;
        self.empty()?;
        let new = self.timed_start()?;
        self.reset()?;
        let existing = self.timed_start()?;
        Ok(vec![("new database", new), ("existing database", existing)])
    }

    fn reader(&self) -> Reader {
        Reader {
            address: self.address,
            path: "/api/v1/tickets/",
            bearer: Some(self.token.clone()),
            author: "frontdesk",
        }
    }

    fn processed(&mut self) -> Result<u64> {
        let request = wire::get(self.address, "/metrics", None);
        let mut connection = Connection::new(self.address);
        let text = String::from_utf8_lossy(connection.expect_success(&request)?).into_owned();
        Ok(gauge(&text, "frontdesk_jobs", "state=\"processed\"").unwrap_or(0.0) as u64)
    }

    fn batch(&mut self, id: &str) -> Result<Step> {
        let request = wire::get(self.address, &format!("/api/v1/batches/{id}"), Some(&self.token));
        let mut connection = Connection::new(self.address);
        if connection.exchange(&request)?.status == 404 {
            return Ok(Step::Working);
        }
        let batch: Batch = serde_json::from_slice(connection.expect_success(&request)?).context("unreadable batch")?;
        Ok(match batch.state.as_str() {
            "waiting" => Step::Waiting { version: batch.version },
            "applied" => Step::Applied { tickets: batch.counts.applied },
            "building" | "submitted" | "ended" | "applying" => Step::Working,
            _ => Step::Failed(batch.state),
        })
    }

    fn approve(&mut self, id: &str, version: u64) -> Result<()> {
        let (path, body) = (format!("/api/v1/batches/{id}/apply"), format!(r#"{{"version":{version}}}"#));
        let request = wire::post(self.address, &path, Some(&self.token), &body);
        Connection::new(self.address).expect_success(&request).map(drop)
    }
}

/// The sum of a metric's series that carry `label`; `None` where there is none.
fn gauge(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let series = metrics.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once('}')?;
        labels.contains(label).then(|| value.trim().parse::<f64>().ok())?
    });
    series.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::gauge;

    #[test]
    fn a_gauge_is_summed_over_its_series() {
        let text = "# TYPE frontdesk_jobs gauge\nfrontdesk_jobs{state=\"queued\"} 3\n\
                    frontdesk_jobs{state=\"processed\",project=\"a\"} 4\n\
                    frontdesk_jobs{state=\"processed\",project=\"b\"} 5\n";
        assert_eq!(gauge(text, "frontdesk_jobs", "state=\"processed\""), Some(9.0));
        assert_eq!(gauge(text, "frontdesk_jobs", "state=\"received\""), None);
    }
}
