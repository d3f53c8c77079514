//! The article's own design, as `bench/peers/article` writes it.

use std::collections::HashMap;
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

/// PostgreSQL, Redis and three Node processes.
pub struct Article {
    scripts: PathBuf,
    data: PathBuf,
    tickets: u64,
    environment: HashMap<String, String>,
    address: SocketAddr,
    tickets_address: SocketAddr,
    receiver: Option<Process>,
    worker: Option<Process>,
    reader: Option<Process>,
}

#[derive(Deserialize)]
struct Count {
    processed: u64,
}

#[derive(Deserialize)]
struct Batch {
    status: Option<String>,
    tickets: u64,
}

impl Article {
    /// Starts PostgreSQL and Redis with their data in `folder`, installing what is missing.
    pub fn new(folder: &Path, tickets: u64, simulator: SocketAddr) -> Result<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/article");
        let data = folder.join("article");
        std::fs::create_dir_all(&data)?;
        let (address, tickets_address) = (free_address()?, free_address()?);
        let mut article = Article {
            scripts,
            data,
            tickets,
            environment: HashMap::new(),
            address,
            tickets_address,
            receiver: None,
            worker: None,
            reader: None,
        };
        let lines = article.script("start")?;
        article.environment = lines
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in [
            ("OPENAI_WEBHOOK_SECRET", delivery::secret()),
            ("OPENAI_API_KEY", "sk-benchmark".to_owned()),
            ("OPENAI_BASE_URL", format!("http://{simulator}/v1")),
            ("NODE_ENV", "production".to_owned()),
        ] {
            article.environment.insert(name.to_owned(), value);
        }
        Ok(article)
    }

    fn script(&self, name: &str) -> Result<String> {
        let output = Command::new(self.scripts.join(name)).arg(&self.data).arg(self.tickets.to_string()).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "peers/article/{name} failed:\n{complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn node(&self, name: &str, listen: SocketAddr) -> Result<Process> {
        let mut command = Command::new("node");
        command.arg(self.scripts.join(format!("{name}.mjs"))).env("LISTEN", listen.to_string()).envs(&self.environment);
        Process::start(name, &mut command, &self.data)
    }

    fn pid(&self, name: &str) -> Option<u32> {
        self.environment.get(name)?.trim().parse().ok()
    }

    fn start_receiver(&mut self) -> Result<()> {
        let mut process = self.node("receiver", self.address)?;
        process.wait_ready(self.address, "/health/ready")?;
        self.receiver = Some(process);
        Ok(())
    }
}

impl Receiver for Article {
    fn system(&self) -> System {
        System::Article
    }

    fn reset(&mut self) -> Result<()> {
        self.stop()?;
        self.script("reset").map(drop)
    }

    fn start_intake(&mut self) -> Result<()> {
        self.start_receiver()
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn components(&self) -> Vec<Component> {
        let own = |name, process: &Option<Process>| {
            process.as_ref().map(|process| Component { name, pid: process.id(), forks: false })
        };
        let server = |name, variable, forks| self.pid(variable).map(|pid| Component { name, pid, forks });
        [
            own("receiver", &self.receiver),
            own("worker", &self.worker),
            server("postgres", "POSTGRES_PID", true),
            server("redis", "REDIS_PID", false),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn stop(&mut self) -> Result<()> {
        let processes = [self.receiver.take(), self.worker.take(), self.reader.take()];
        processes.into_iter().flatten().try_for_each(Process::stop)
    }
}

impl Desk for Article {
    fn start_workers(&mut self) -> Result<Instant> {
        let mut reader = self.node("tickets", self.tickets_address)?;
        reader.wait_ready(self.tickets_address, "/processed")?;
        self.reader = Some(reader);
        let begin = Instant::now();
        self.worker = Some(self.node("worker", self.address)?);
        Ok(begin)
    }

    fn start_all(&mut self) -> Result<()> {
        self.start_receiver()?;
        self.start_workers().map(drop)
    }

    fn start_up_times(&mut self) -> Result<Vec<(&'static str, f64)>> {
        self.reset()?;
        let begin = Instant::now();
        self.start_receiver()?;
        let ready = begin.elapsed().as_secs_f64() * 1e3;
        self.stop()?;
        Ok(vec![("existing database", ready)])
    }

    fn reader(&self) -> Reader {
        Reader { address: self.tickets_address, path: "/tickets/", bearer: None, author: "note" }
    }

    fn processed(&mut self) -> Result<u64> {
        let request = wire::get(self.tickets_address, "/processed", None);
        let mut connection = Connection::new(self.tickets_address);
        let count: Count = serde_json::from_slice(connection.expect_success(&request)?).context("unreadable count")?;
        Ok(count.processed)
    }

    fn batch(&mut self, id: &str) -> Result<Step> {
        let request = wire::get(self.tickets_address, &format!("/batches/{id}"), None);
        let mut connection = Connection::new(self.tickets_address);
        let batch: Batch = serde_json::from_slice(connection.expect_success(&request)?).context("unreadable batch")?;
        let applied = batch.status.as_deref() == Some("processed");
        Ok(if applied { Step::Applied { tickets: batch.tickets } } else { Step::Working })
    }

    fn approve(&mut self, _id: &str, _version: u64) -> Result<()> {
        Ok(())
    }
}

impl Drop for Article {
    fn drop(&mut self) {
        self.stop().ok();
        self.script("stop").ok();
    }
}
