//! `frontdesk batch sample`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::must_be_there;
use crate::cli::Setup;
use crate::cli::output::shown;
use crate::cli::policy::trial;
use crate::shapes;
use crate::trial::Sampled;

/// Longest text that is printed of one change, in characters; --json has all of it.
const MOST_CHARS: usize = 400;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// As bat_…; OpenAI's batch_… is understood too.
    id: String,
    /// How many, from all over the batch.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = parse_limit)]
    limit: usize,
}

fn parse_limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| (1..=50).contains(limit)).ok_or_else(|| "between 1 and 50".to_owned())
}

pub(in crate::cli) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let batch = must_be_there(&store, &args.id).await?;
    let trial = trial(&setup.config()?, None)?;
    let sampled = trial.sample(&store, &batch, args.limit).await?;
    if setup.output.json {
        let items: Vec<Value> = sampled.iter().map(shapes::batch_sample).collect();
        setup.output.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if sampled.is_empty() {
        setup.output.line("it has no lines to read; `frontdesk batch show` says why")?;
    }
    for (at, sampled) in sampled.iter().enumerate() {
        if at > 0 {
            setup.output.line("")?;
        }
        print(setup, sampled)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(setup: &Setup, sampled: &Sampled) -> Result<()> {
    let ticket = sampled.line.ticket_id.as_deref().unwrap_or("no ticket");
    let would = sampled.would.map(|would| format!(": {would}")).unwrap_or_default();
    let detail = sampled.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    setup.output.line(&shown(&format!("{ticket}, line {}{would}{detail}", sampled.line.number)))?;
    for (slot, text) in &sampled.proposed {
        let cut: String = text.chars().take(MOST_CHARS).collect();
        let rest = if cut.len() < text.len() { "…" } else { "" };
        setup.output.line(&format!("  {:<12} {}{rest}", shown(slot), shown(&cut)))?;
    }
    Ok(())
}
