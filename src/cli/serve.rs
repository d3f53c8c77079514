//! `frontdesk serve`

use std::process::ExitCode;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::Setup;
use crate::app::{App, Roles};
use crate::clock::Clock;
use crate::telemetry;

#[derive(clap::Args)]
pub(super) struct Args {
    /// What this process does: any of intake, worker, web.
    #[arg(long, default_value = "intake,worker,web", value_parser = Roles::parse)]
    roles: Roles,
    /// Do not bring the database up to date first; refuse when it is not.
    #[arg(long)]
    no_migrate: bool,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let config = setup.config()?;
    telemetry::start_logging(&config.log.filter, config.log_format()).map_err(anyhow::Error::msg)?;
    let app = App::start(&config, args.roles, !args.no_migrate, Clock::System).await?;
    tracing::info!(address = %app.addr, database = %app.store.path().display(), roles = ?args.roles, "frontdesk is ready");
    wait_for_stop().await?;
    tracing::info!("stopping: finishing what was accepted");
    app.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Resolves on Ctrl-C or SIGTERM.
pub(super) async fn wait_for_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
