//! `frontdesk demo`: everything on this machine with no account. The front
//! desk, the workers and the desk are the real ones; only OpenAI is simulated.

mod scenario;
mod stage;
mod table;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::output::Output;
use super::serve::wait_for_stop;
use scenario::{CASES, Case};
use stage::{Actual, Stage};

/// All endings must have arrived by then.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where Frontdesk listens.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Play the scenario to its end, print what became of every ticket, and stop. Exit status 0 only if each ended as it should.
    #[arg(long)]
    exit: bool,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<ExitCode> {
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], if args.exit { 0 } else { 8080 })));
    let stage = Stage::set(listen).await?;
    if !args.exit {
        introduce(&stage, output)?;
    }
    let good = tokio::select! {
        played = play(&stage, output, args.exit) => played?,
        stopped = wait_for_stop() => { stopped?; stage.clear().await; bail!("stopped before the end of the scenario") }
    };
    if !args.exit {
        output.line("\nEverything above is still there to look at. Ctrl-C ends the demo and removes it.")?;
        wait_for_stop().await?;
    }
    stage.clear().await;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn introduce(stage: &Stage, output: &Output) -> Result<()> {
    output.line(&format!(
        "Frontdesk listens on http://{}, OpenAI is simulated at {}.",
        stage.addr(),
        stage.openai_url()
    ))?;
    output.line("In another terminal, while this runs:\n")?;
    output.line(&format!("  export DATABASE_URL=sqlite://{}", stage.database().display()))?;
    output.line("  frontdesk why T-1001          # where is my summary?")?;
    output.line("  frontdesk deliveries list     # what came in")?;
    output.line("  frontdesk reviews list        # what waits for a person")?;
    output.line(&format!(
        "  curl -H 'Authorization: Bearer {}' http://{}/api/v1/tickets/T-1001\n",
        stage.token(),
        stage.addr()
    ))?;
    output.line("Starting work for every ticket; each line below is a webhook that has been dealt with.\n")
}

/// Starts all work, waits for every ending, and says what became of each.
async fn play(stage: &Stage, output: &Output, quiet: bool) -> Result<bool> {
    let mut waiting = stage.start_all().await?;
    let mut ended: Vec<(&'static Case, Actual)> = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !waiting.is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut still = Vec::new();
        for started in waiting {
            match stage.look(&started).await? {
                Some(actual) => {
                    if !quiet {
                        output.line(&table::line(started.case, &actual, output))?;
                    }
                    ended.push((started.case, actual));
                }
                None => still.push(started),
            }
        }
        waiting = still;
    }
    for started in waiting {
        ended.push((started.case, Actual::never()));
    }
    stage.settle_down().await;
    for (case, actual) in &mut ended {
        stage.count_effects(case, actual).await?;
    }
    ended.sort_by_key(|(case, _)| CASES.iter().position(|other| std::ptr::eq(other, *case)));
    if !quiet {
        output.line("\nWhat became of every ticket:\n")?;
    }
    table::print(&ended, output)?;
    Ok(ended.iter().all(|(case, actual)| case.is_met_by(actual)))
}
