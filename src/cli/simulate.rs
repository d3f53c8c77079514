//! `frontdesk simulate`: the OpenAI simulator alone.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result};
use frontdesk_simulator::{Fault, Settings, Simulator};

use super::serve::stop_asked;
use super::{Setup, webhook_secret};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDR")]
    listen: SocketAddr,
    /// Where signed webhooks go; without it none are sent.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// How often something goes wrong, as incomplete=0.1; may be given several times.
    #[arg(long = "fault", value_name = "NAME=RATE", value_parser = parse_fault)]
    faults: Vec<(Fault, f64)>,
    /// The same seed and the same requests give the same outputs and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Give each attempt of a webhook a new webhook-id, instead of keeping it.
    #[arg(long)]
    new_id_per_attempt: bool,
}

fn parse_fault(text: &str) -> Result<(Fault, f64), String> {
    let (name, rate) = text.split_once('=').ok_or("write NAME=RATE, as incomplete=0.1")?;
    let fault = name.parse::<Fault>().map_err(|error| error.to_string())?;
    let rate = rate.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or("a rate is between 0 and 1")?;
    Ok((fault, rate))
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let settings = Settings {
        listen: args.listen,
        webhook_url: args.webhook_url.clone(),
        webhook_secret: webhook_secret(setup)?,
        faults: args.faults,
        seed: args.seed,
        new_id_per_attempt: args.new_id_per_attempt,
        ..Settings::default()
    };
    let stop = stop_asked()?;
    let simulator = Simulator::start(settings).await.context("the simulator did not start")?;
    setup.output.line(&format!("OPENAI_BASE_URL={}", simulator.base_url()))?;
    match args.webhook_url {
        Some(url) => eprintln!("signed webhooks go to {url}; Ctrl-C stops"),
        None => eprintln!("no webhooks are sent (--webhook-url); Ctrl-C stops"),
    }
    stop.await;
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
