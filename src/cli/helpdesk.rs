//! `frontdesk helpdesk check`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::Setup;
use super::output::shown;
use crate::clock::{Clock, rfc3339};
use crate::domain::id::new_id;
use crate::helpdesk::Checked;
use crate::store::HeardEvent;
use crate::{app, shapes};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Look whether the helpdesk of the settings can be reached, read and written.
    Check {
        /// A ticket to read, and to write a test note to that only the team sees.
        #[arg(long, value_name = "ID")]
        ticket: Option<String>,
    },
    /// Show what the helpdesk has told, and what became of it; newest first.
    Events {
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::Check { ticket } => check(ticket, setup).await,
        Command::Events { limit } => events(limit, setup).await,
    }
}

async fn events(limit: usize, setup: &Setup) -> Result<ExitCode> {
    let heard = setup.store()?.heard(limit).await?;
    if setup.output.json {
        let items: Vec<Value> = heard.iter().map(shapes::heard).collect();
        setup.output.json(&json!({"items": items}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if heard.is_empty() {
        setup.output.line("Nothing has been told. docs/helpdesks.md says how a helpdesk tells; webhooks that were refused are counted in frontdesk_refused_total.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |one: &HeardEvent| {
        let work = one.submission_id.clone().unwrap_or_default();
        vec![rfc3339(one.at_ms), one.ticket_id.clone(), one.what.clone(), one.became.clone(), work, one.id.clone()]
    };
    let rows: Vec<Vec<String>> = heard.iter().map(row).collect();
    setup.output.table(&["at", "ticket", "what", "became", "work", "id"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

async fn check(ticket: Option<String>, setup: &Setup) -> Result<ExitCode> {
    let clock = Clock::System;
    let Some(desk) = app::outside(&setup.config()?, &clock)? else { return builtin(setup) };
    let reference = new_id("fd")?;
    let checked = desk.check(ticket.as_deref(), &reference, clock.now_ms()).await;
    let offers = desk.capabilities();
    if setup.output.json {
        let items: Vec<Value> = checked.iter().map(item).collect();
        setup.output.json(&json!({"helpdesk": offers.name, "checks": items, "lacks": offers.lacking()}))?;
    } else {
        checked.iter().try_for_each(|one| print(setup, one))?;
        if ticket.is_none() {
            setup.output.line("  With --ticket ID a note is written there, found again and removed.")?;
        }
        for what in offers.lacking() {
            setup.output.line(&format!("- {} has no {what}", offers.name))?;
        }
    }
    Ok(if checked.iter().all(|one| one.found.is_ok()) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn builtin(setup: &Setup) -> Result<ExitCode> {
    if setup.output.json {
        setup.output.json(&json!({"helpdesk": "built-in desk", "checks": [], "lacks": []}))?;
    } else {
        setup
            .output
            .line("The tickets live on the built-in desk; there is nothing to check. [helpdesk] names another.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn item(one: &Checked) -> Value {
    let (Ok(detail) | Err(detail)) = &one.found;
    json!({"what": one.what, "ok": one.found.is_ok(), "detail": detail})
}

fn print(setup: &Setup, one: &Checked) -> Result<()> {
    let (mark, word, detail) = match &one.found {
        Ok(detail) => ("✓", "ok", detail),
        Err(detail) => ("✗", "problem", detail),
    };
    setup.output.line(&format!("{mark} {} {}: {}", setup.output.paint(word), shown(&one.what), shown(detail)))
}
