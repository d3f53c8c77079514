//! `frontdesk doctor`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::Setup;
use super::output::shown;
use crate::app;
use crate::doctor::{Item, State};
use crate::shapes;

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let items = app::examine(setup.config_file()).await;
    if setup.output.json {
        let items: Vec<Value> = items.iter().map(shapes::item).collect();
        setup.output.json(&json!({"items": items}))?;
    } else {
        items.iter().try_for_each(|item| print(setup, item))?;
    }
    let count = |state| items.iter().filter(|item| item.finding.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if !setup.output.json {
        setup.output.line(&format!("{problems} problems, {warnings} warnings"))?;
    }
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(setup: &Setup, item: &Item) -> Result<()> {
    let finding = &item.finding;
    let (mark, word) = match finding.state {
        State::Ok => ("✓", "ok"),
        State::Warning => ("!", "warning"),
        State::Problem => ("✗", "problem"),
    };
    setup.output.line(&format!("{mark} {} {}", setup.output.paint(word), item.item))?;
    setup.output.line(&format!("    {}", shown(&finding.detail)))?;
    match &finding.fix {
        Some(fix) => setup.output.line(&format!("    → {}", shown(fix))),
        None => Ok(()),
    }
}
