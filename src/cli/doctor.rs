//! `frontdesk doctor`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::Setup;
use super::output::shown;
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::doctor::{self, Item, Place, State};

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let env = |name: &str| std::env::var(name).ok();
    let policy = |config: &Config| {
        let workflows = app::workflows(config).map_err(|error| format!("{error:#}"))?;
        app::policy(config, &workflows).map_err(|error| format!("{error:#}"))
    };
    let place = Place { file: setup.config_file(), env: &env, policy: &policy, clock: Clock::System };
    let items = doctor::examine(&place).await;
    if setup.output.json {
        let items: Vec<Value> = items.iter().map(shape).collect();
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

fn shape(item: &Item) -> Value {
    let finding = &item.finding;
    json!({"item": item.item, "state": finding.state.word(), "detail": finding.detail, "fix": finding.fix})
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
