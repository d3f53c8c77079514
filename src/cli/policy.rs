//! `frontdesk policy show|check|test|replay`

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::output::{Output, cell, shown};
use crate::app;
use crate::config::{Config, Wait};
use crate::domain::policy::Policy;
use crate::domain::ticket::Ticket;
use crate::shapes;
use crate::trial::{GivenTicket, REPLAY_NOTE, Trial};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print the policy in force; with --json as it is understood.
    Show {
        /// The one that comes with Frontdesk, whatever the settings name.
        #[arg(long)]
        built_in: bool,
    },
    /// Say whether a policy file would be taken.
    Check {
        /// As policy.toml
        file: PathBuf,
    },
    /// Show which rules hit a ticket and an output, and what would happen. Changes nothing.
    Test(TestArgs),
    /// Show what a policy would have changed on past decisions. Changes nothing.
    Replay {
        /// Instead of the one in force.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// How far back, as 12h or 7d.
        #[arg(long, default_value = "7d", value_parser = parse_wait)]
        since: Wait,
        /// How many decisions at most, the newest first.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

#[derive(clap::Args)]
pub(super) struct TestArgs {
    /// Whose output it is.
    #[arg(long, default_value = "draft_reply")]
    workflow: String,
    /// A ticket of the built-in desk, as T-1001.
    #[arg(long, value_name = "ID", required_unless_present = "ticket_file", conflicts_with = "ticket_file")]
    ticket: Option<String>,
    /// A ticket as JSON: subject, queue, tags, messages.
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
    /// The model's output; - reads it from standard input.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Instead of the one in force.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

fn parse_wait(text: &str) -> Result<Wait, String> {
    Wait::parse(text).ok_or_else(|| "a number and a unit, as 12h or 7d".to_owned())
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let output = &setup.output;
    match command {
        Command::Show { built_in } => show(setup, built_in)?,
        Command::Check { file } => {
            let policy = trial(&setup.config()?, Some(&file))?.policy;
            if output.json {
                output.json(&json!({"ok": true, "version": policy.version(), "sha256": policy.sha256()}))?;
            } else {
                output.line(&format!("the policy is good; version {}", policy.version()))?;
            }
        }
        Command::Test(args) => test(args, setup).await?,
        Command::Replay { policy, since, limit } => {
            let trial = trial(&setup.config()?, policy.as_deref())?;
            let store = setup.store()?;
            let since_ms = store.clock().now_ms() - since.ms();
            let replay = trial.replay(&store, since_ms, limit).await?;
            print_replay(output, &serde_json::to_value(replay)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// With this policy, or the one in force.
pub(super) fn trial(config: &Config, file: Option<&Path>) -> Result<Trial> {
    let workflows = app::workflows(config)?;
    let policy = match file {
        Some(file) => app::read_policy(file, &workflows)?,
        None => app::policy(config, &workflows)?,
    };
    Ok(Trial { policy: Arc::new(policy), workflows })
}

fn show(setup: &Setup, built_in: bool) -> Result<()> {
    let policy = if built_in { Arc::new(Policy::built_in()?) } else { trial(&setup.config()?, None)?.policy };
    if setup.output.json {
        setup.output.json(&shapes::policy(&policy))
    } else {
        setup.output.line(policy.text().trim_end())
    }
}

async fn test(args: TestArgs, setup: &Setup) -> Result<()> {
    let trial = trial(&setup.config()?, args.policy.as_deref())?;
    let ticket = ticket(&args, setup).await?;
    let output = said(&args.output)?;
    let tried = trial.on(&args.workflow, &ticket, output.trim_end()).map_err(anyhow::Error::msg)?;
    print_test(&setup.output, &serde_json::to_value(tried)?)
}

async fn ticket(args: &TestArgs, setup: &Setup) -> Result<Ticket> {
    match (&args.ticket, &args.ticket_file) {
        (Some(id), _) => {
            let ticket = setup.store()?.ticket(id.clone()).await?;
            Ok(ticket.with_context(|| format!("there is no ticket {id:?}"))?.for_deciding())
        }
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let given: GivenTicket =
                serde_json::from_str(&text).with_context(|| format!("{}: no ticket", file.display()))?;
            Ok(given.into())
        }
        (None, None) => bail!("name a ticket: --ticket or --ticket-file"),
    }
}

fn said(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn print_test(output: &Output, tried: &Value) -> Result<()> {
    if output.json {
        return output.json(tried);
    }
    let detail = [cell(tried, "reason"), cell(tried, "detail")].join(" ");
    output.line(format!("{} {}", output.paint(&cell(tried, "outcome")), shown(&detail)).trim_end())?;
    let listed = |key: &str| {
        tried[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    for key in ["reviewers", "slots"] {
        if !listed(key).is_empty() {
            output.line(&format!("{key:<16} {}", shown(&listed(key))))?;
        }
    }
    let rows: Vec<Vec<String>> =
        hits(tried).map(|hit| ["rule", "place", "words"].map(|key| cell(hit, key)).to_vec()).collect();
    if rows.is_empty() { output.line("no rule hit") } else { output.table(&["rule", "place", "words"], &rows) }
}

fn hits(tried: &Value) -> impl Iterator<Item = &Value> {
    tried["hits"].as_array().into_iter().flatten()
}

fn print_replay(output: &Output, replay: &Value) -> Result<()> {
    if output.json {
        return output.json(replay);
    }
    let count = |key: &str| replay[key].as_array().map_or(0, Vec::len);
    output.line(&format!(
        "{} decisions with policy {}: {} newly held, {} newly automatic, {} unchanged, {} skipped",
        replay["looked_at"],
        replay["policy_version"],
        count("newly_held"),
        count("newly_automatic"),
        replay["unchanged"],
        replay["skipped"]
    ))?;
    output.line(REPLAY_NOTE)?;
    let columns = ["ticket_id", "workflow", "was", "now", "detail", "resource_id"];
    for key in ["newly_automatic", "newly_held"].into_iter().filter(|key| count(key) > 0) {
        let items = replay[key].as_array().into_iter().flatten();
        let rows: Vec<Vec<String>> = items.map(|item| columns.map(|key| cell(item, key)).to_vec()).collect();
        output.line(&format!("\n{}", key.replace('_', " ")))?;
        output.table(&columns, &rows)?;
    }
    Ok(())
}
