//! Frontdesk's benchmarks: each figure beside its limit and a peer, from one run.
//!
//! `README.md` says what is measured and why the comparison is fair.

mod acks;
mod batch;
mod bench;
mod clock;
mod cost;
mod delivery;
mod drain;
mod footprint;
mod growth;
mod latency;
mod limits;
mod load;
mod process;
mod results;
mod samples;
mod simulator;
mod stack;
mod stores;
mod table;
mod targets;
mod ticket;
mod wire;

use std::net::SocketAddr;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bench::{Measure, Options};

#[derive(Parser)]
#[command(about = "Measures Frontdesk beside the machine's limits and the article's stack.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything below, in rounds.
    All(Options),
    /// The disk, SQLite's group commit, and receivers that remember nothing.
    Limits(Options),
    /// Durable acknowledgements a second at 1, 8, 32 and 128 connections.
    Acks(Options),
    /// Acknowledgement latency at 100, 1,000 and 5,000 a second.
    Latency(Options),
    /// The drain of a backlog, in jobs a second.
    Drain(Options),
    /// From the delivery to the note on the ticket, at 100 a second.
    Ticket(Options),
    /// Start-up time, memory, and CPU time for a delivery.
    Footprint(Options),
    /// A batch of 50,000 lines, its memory, and acknowledgements beside it.
    Batch(Options),
    /// Lists, counts, look-ups, intake and claims with a long history and with a short one.
    Growth(growth::Options),
    /// SQLite and PostgreSQL beside the limits: acks, backlogs, waiting, storage.
    Stores(Options),
    /// Runs the stand-in for OpenAI that the stacks are measured against.
    Simulator {
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Runs a receiver that remembers nothing.
    Receiver {
        /// What it does with a delivery.
        #[arg(long)]
        kind: stack::Kind,
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::All(options) => bench::run(options, &Measure::ALL),
        Command::Limits(options) => bench::run(options, &[Measure::Limits]),
        Command::Acks(options) => bench::run(options, &[Measure::Acks]),
        Command::Latency(options) => bench::run(options, &[Measure::Latency]),
        Command::Drain(options) => bench::run(options, &[Measure::Drain]),
        Command::Ticket(options) => bench::run(options, &[Measure::Ticket]),
        Command::Footprint(options) => bench::run(options, &[Measure::Footprint]),
        Command::Batch(options) => bench::run(options, &[Measure::Batch]),
        Command::Growth(options) => growth::run(&options),
        Command::Stores(options) => stores::run(options),
        Command::Simulator { listen } => simulator::serve(listen),
        Command::Receiver { kind, listen } => stack::serve(kind, listen),
    }
}
