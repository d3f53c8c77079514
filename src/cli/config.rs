//! `frontdesk config example|check`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::config::{Config, EXAMPLE, ProjectSettings};
use crate::{app, telemetry};

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
            let projects = takes(&config)?;
            let names: Vec<&str> = projects
                .iter()
                .filter(|project| !project.secrets.is_empty())
                .map(|project| project.name.as_str())
                .collect();
            if setup.output.json {
                setup.output.json(&json!({"ok": true, "projects": names}))?;
            } else {
                setup.output.line(&format!("the settings are good; projects: {}", names.join(", ")))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What `serve` would refuse before it touches the database, refused in its words.
fn takes(config: &Config) -> Result<Vec<ProjectSettings>> {
    telemetry::log_filter(&config.log.filter).map_err(anyhow::Error::msg)?;
    let projects = config.projects()?;
    Config::must_have_a_secret(&projects)?;
    config.database()?;
    app::workflows(config)?;
    app::openai_clients(config, &projects)?;
    app::policy(config, &app::workflows(config)?)?;
    app::schedules(config, &app::workflows(config)?)?;
    app::channels(config)?;
    Ok(projects)
}
