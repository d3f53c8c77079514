//! `frontdesk migrate`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::store::Store;

pub(super) fn run(setup: &Setup) -> Result<ExitCode> {
    let path = setup.config()?.database_path()?;
    let done = Store::migrate(&path)?;
    if setup.output.json {
        setup.output.json(&json!({"database": path, "from": done.from, "to": done.to}))?;
    } else if done.from == done.to {
        setup.output.line(&format!("{} is up to date (schema {})", path.display(), done.to))?;
    } else {
        setup.output.line(&format!("{} brought from schema {} to {}", path.display(), done.from, done.to))?;
    }
    Ok(ExitCode::SUCCESS)
}
