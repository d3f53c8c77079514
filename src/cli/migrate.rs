//! `frontdesk migrate`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::store::Store;

pub(super) fn run(setup: &Setup) -> Result<ExitCode> {
    let location = setup.config()?.database()?;
    let done = Store::migrate(&location)?;
    if setup.output.json {
        setup.output.json(&json!({"database": location.to_string(), "from": done.from, "to": done.to}))?;
    } else if done.from == done.to {
        setup.output.line(&format!("{} is up to date (schema {})", location, done.to))?;
    } else {
        setup.output.line(&format!("{} brought from schema {} to {}", location, done.from, done.to))?;
    }
    Ok(ExitCode::SUCCESS)
}
