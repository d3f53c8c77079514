//! `frontdesk helpdesk check`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::Setup;
use super::output::shown;
use crate::app;
use crate::clock::Clock;
use crate::domain::id::new_id;
use crate::helpdesk::Checked;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Look whether the helpdesk of the settings can be reached, read and written.
    Check {
        /// A ticket to read, and to write a test note to that only the team sees.
        #[arg(long, value_name = "ID")]
        ticket: Option<String>,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let Command::Check { ticket } = command;
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
