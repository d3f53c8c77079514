//! `frontdesk config example|check`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::config::EXAMPLE;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print every setting with its default and one line of explanation.
    Example,
    /// Say whether `serve` would take the settings as they are.
    Check,
}

pub(super) fn run(command: &Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::Example => setup.output.line(EXAMPLE.trim_end())?,
        Command::Check => {
            let config = setup.config()?;
            config.database_path()?;
            let projects = config.projects()?;
            let names: Vec<&str> = projects
                .iter()
                .filter(|project| !project.secrets.is_empty())
                .map(|project| project.name.as_str())
                .collect();
            if setup.output.json {
                setup.output.json(&json!({"ok": true, "projects": names}))?;
            } else {
                let with = if names.is_empty() { "none has a signing secret yet".to_owned() } else { names.join(", ") };
                setup.output.line(&format!("the settings are good; projects: {with}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
