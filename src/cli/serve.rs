//! `frontdesk serve`

use std::io::Write as _;
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
    // Before anybody is told that it is ready, or a stop right then is a kill.
    let stop = stop_asked()?;
    let app = App::start(&config, args.roles, !args.no_migrate, Clock::System).await?;
    tracing::info!(address = %app.addr, database = %app.store.location(), roles = ?args.roles, "frontdesk is ready");
    if let Some(link) = &app.first_link {
        // To whoever started it and to no log: who has it becomes an admin.
        let _ = writeln!(std::io::stderr(), "Nobody can sign in yet. Make the first admin at {link} (it works once).");
    }
    stop.await;
    tracing::info!("stopping: finishing what was accepted");
    app.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Listens for Ctrl-C and SIGTERM from now on; what it gives resolves on either.
pub(super) fn stop_asked() -> Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C or SIGTERM.
pub(super) async fn wait_for_stop() -> Result<()> {
    stop_asked()?.await;
    Ok(())
}
