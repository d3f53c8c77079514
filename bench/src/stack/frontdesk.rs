//! Frontdesk as its binary is shipped: only the variables below are set.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::home::Home;
use super::{Desk, Reader, Receiver, Step};
use crate::delivery;
use crate::process::{Component, Process, free_addresses};
use crate::results::System;
use crate::wire::{self, Connection};

/// Processes of one desk at most.
const MOST_NODES: usize = 4;

/// All that one process can do.
const ALL: &str = "intake,worker,web";

/// One database, and the processes on it.
pub struct Frontdesk {
    binary: PathBuf,
    folder: PathBuf,
    tickets: u64,
    simulator: SocketAddr,
    system: System,
    home: Home,
    addresses: Vec<SocketAddr>,
    /// How many processes receive.
    pub intakes: usize,
    token: String,
    nodes: Vec<Process>,
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
    /// On SQLite, one process.
    pub fn new(binary: &Path, folder: &Path, tickets: u64, simulator: SocketAddr) -> Result<Self> {
        let folder = folder.join("frontdesk");
        let home = Home::file(&folder);
        Self::at(home, System::Frontdesk, binary, &folder, tickets, simulator)
    }

    /// Makes the database with its tickets that every measurement starts from a copy of.
    pub fn at(
        home: Home,
        system: System,
        binary: &Path,
        folder: &Path,
        tickets: u64,
        simulator: SocketAddr,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut desk = Frontdesk {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            tickets,
            simulator,
            system,
            home,
            addresses: free_addresses(MOST_NODES)?,
            intakes: 1,
            token: String::new(),
            nodes: Vec::new(),
        };
        desk.home.empty()?;
        desk.run(&["migrate"])?;
        let created = desk.run(&["token", "create", "--name", "bench", "--role", "admin", "--json"])?;
        let token: Token = serde_json::from_str(&created).context("no token")?;
        desk.token = token.token;
        desk.start(&[ALL])?;
        desk.make_tickets()?;
        desk.stop()?;
        desk.home.keep()?;
        Ok(desk)
    }

    /// Where its data lies.
    pub fn home(&self) -> &Home {
        &self.home
    }

    fn command(&self, node: usize) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.folder)
            .env("OPENAI_WEBHOOK_SECRET", delivery::secret())
            .env("OPENAI_API_KEY", "sk-benchmark")
            .env("OPENAI_BASE_URL", format!("http://{}/v1", self.simulator))
            .env("DATABASE_URL", self.home.url())
            .env("FRONTDESK_LISTEN", self.addresses[node].to_string())
            .env("FRONTDESK_LOG", "warn");
        command
    }

    /// Runs a command to its end; what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(0).args(arguments).output()?;
        let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "frontdesk {arguments:?} failed:\n{said}{complaint}");
        Ok(said.into_owned())
    }

    /// Starts a process for each of these roles; returns once all are ready.
    pub fn start(&mut self, roles: &[&str]) -> Result<()> {
        for (node, roles) in roles.iter().enumerate() {
            let mut command = self.command(node);
            command.args(["serve", "--roles", roles]);
            self.nodes.push(Process::start(&format!("frontdesk-{node}"), &mut command, &self.folder)?);
        }
        for (process, address) in self.nodes.iter_mut().zip(&self.addresses) {
            process.wait_ready(*address, "/health/ready")?;
        }
        Ok(())
    }

    /// What each process says of a counter of its own, summed over its series.
    pub fn counted(&self, name: &str) -> Result<Vec<f64>> {
        let nodes = self.addresses.iter().take(self.nodes.len());
        nodes.map(|address| Ok(gauge(&metrics(*address)?, name, "").unwrap_or(0.0))).collect()
    }

    fn make_tickets(&self) -> Result<()> {
        let next = std::sync::atomic::AtomicU64::new(1);
        let make = || -> Result<()> {
            let mut connection = Connection::new(self.address());
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number > self.tickets {
                    return Ok(());
                }
                let ticket = format!(
                    r#"{{"id":"T-{number}","subject":"Benchmark ticket {number}","messages":[{{"author":"customer","body":"Where is my order?"}}]}}"#
                );
                let bearer = Some(self.token.as_str());
                connection.expect_success(&wire::post(self.address(), "/api/v1/tickets", bearer, &ticket))?;
            }
        };
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..32).map(|_| scope.spawn(make)).collect();
            makers.into_iter().try_for_each(|maker| maker.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
        })
    }

    fn timed_start(&mut self) -> Result<f64> {
        let begin = Instant::now();
        self.start(&[ALL])?;
        let ready = begin.elapsed().as_secs_f64() * 1e3;
        self.stop()?;
        Ok(ready)
    }
}

fn metrics(address: SocketAddr) -> Result<String> {
    let mut connection = Connection::new(address);
    let answer = connection.expect_success(&wire::get(address, "/metrics", None))?;
    Ok(String::from_utf8_lossy(answer).into_owned())
}

impl Receiver for Frontdesk {
    fn system(&self) -> System {
        self.system
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()?;
        self.home.restore()
    }

    fn start_intake(&mut self) -> Result<()> {
        self.start(&vec!["intake"; self.intakes])
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses[..self.intakes].to_vec()
    }

    fn components(&self) -> Vec<Component> {
        let own = self.nodes.iter().map(|process| Component { name: "frontdesk", pid: process.id(), forks: false });
        own.chain(self.home.server()).collect()
    }

    fn stop(&mut self) -> Result<()> {
        self.nodes.drain(..).try_for_each(Process::stop)
    }
}

impl Desk for Frontdesk {
    fn start_workers(&mut self) -> Result<Instant> {
        self.stop()?;
        let begin = Instant::now();
        self.start(&[ALL])?;
        Ok(begin)
    }

    fn start_all(&mut self) -> Result<()> {
        self.start(&[ALL])
    }

    fn start_up_times(&mut self) -> Result<Vec<(&'static str, f64)>> {
        self.stop()?;
        self.home.empty()?;
        let new = self.timed_start()?;
        self.reset()?;
        let existing = self.timed_start()?;
        Ok(vec![("new database", new), ("existing database", existing)])
    }

    fn reader(&self) -> Reader {
        Reader {
            address: self.address(),
            path: "/api/v1/tickets/",
            bearer: Some(self.token.clone()),
            author: "frontdesk",
        }
    }

    fn processed(&mut self) -> Result<u64> {
        let text = metrics(self.address())?;
        Ok(gauge(&text, "frontdesk_jobs", "state=\"processed\"").unwrap_or(0.0) as u64)
    }

    fn batch(&mut self, id: &str) -> Result<Step> {
        let request = wire::get(self.address(), &format!("/api/v1/batches/{id}"), Some(&self.token));
        let mut connection = Connection::new(self.address());
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
        let request = wire::post(self.address(), &path, Some(&self.token), &body);
        Connection::new(self.address()).expect_success(&request).map(drop)
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
