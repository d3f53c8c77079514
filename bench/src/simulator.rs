//! OpenAI's stand-in, in a process of its own, so that its cost is apart and equal for all stacks.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use frontdesk_simulator::Settings;

use crate::process::{Component, Process, free_address};
use crate::wire::{self, Connection};

/// The running simulator.
pub struct Simulator {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
}

impl Simulator {
    /// Starts it and waits until it answers for a made response.
    pub fn start(folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("simulator").arg("--listen").arg(address.to_string());
        let mut process = Process::start("simulator", &mut command, folder)?;
        let path = "/v1/responses/resp_made_summary_T-1";
        let request = wire::get(address, path, Some("sk-benchmark"));
        process.wait_answer(address, &request)?;
        let mut connection = Connection::new(address);
        let body: serde_json::Value = serde_json::from_slice(connection.expect_success(&request)?)?;
        let ticket = body["metadata"]["ticket_id"].as_str();
        ticket.filter(|id| *id == "T-1").context("the simulator made no response for T-1")?;
        Ok(Simulator { address, process })
    }

    /// Its process, for its cost.
    pub fn component(&self) -> Component {
        Component { name: "simulator", pid: self.process.id(), forks: false }
    }
}

/// Serves until killed: what its process runs.
pub fn serve(listen: SocketAddr) -> Result<()> {
    let settings = Settings { listen, ..Settings::default() };
    tokio::runtime::Runtime::new()?.block_on(async {
        let running = frontdesk_simulator::Simulator::start(settings).await?;
        std::future::pending::<()>().await;
        running.shutdown().await;
        Ok(())
    })
}
