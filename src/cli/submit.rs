//! `frontdesk submit`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::app;
use crate::config::DEFAULT_PROJECT;

#[derive(clap::Args)]
pub(super) struct Args {
    /// One of `frontdesk workflows list`, as summary.
    workflow: String,
    /// The ticket's id, as T-1001.
    #[arg(long, value_name = "ID")]
    ticket: String,
    /// The OpenAI project to start it in.
    #[arg(long, default_value = DEFAULT_PROJECT)]
    project: String,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let config = setup.config()?;
    let store = setup.store()?;
    let submitter = app::submitter(&config, &store, &store.clock())?;
    let started = submitter.submit(&args.project, &args.workflow, &args.ticket, &setup.person().name).await?;
    if setup.output.json {
        setup.output.json(&json!({"submission_id": started.submission_id, "resource_id": started.resource_id}))?;
    } else {
        setup.output.line(&format!(
            "started {} as {}; `frontdesk why {}` tells how it goes",
            started.resource_id, started.submission_id, args.ticket
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
