//! `frontdesk demo`: everything on this machine with no account. The front
//! desk, the workers and the desk are the real ones; only OpenAI is simulated.

mod cases;
mod ending;
mod people;
mod scenario;
mod settings;
mod stage;
mod table;
mod tips;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::output::Output;
use super::serve::wait_for_stop;
use crate::clock::Clock;
use crate::store::AuditAt;
use cases::CASES;
use ending::Actual;
use scenario::Case;
use stage::{Stage, Started};

/// All endings must have arrived by then.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long an approval can be taken back: as usual when somebody watches, and
/// shortly when not.
const UNDO: &str = "5s";
const SHORT_UNDO: &str = "500ms";

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
    let stage = Stage::set(listen, if args.exit { SHORT_UNDO } else { UNDO }).await?;
    if !args.exit {
        tips::before(&stage, output)?;
    }
    let good = tokio::select! {
        played = play(&stage, output, args.exit) => played?,
        stopped = wait_for_stop() => { stopped?; stage.clear().await; bail!("stopped before the end of the scenario") }
    };
    if !args.exit {
        tips::after(&stage, output)?;
        wait_for_stop().await?;
    }
    stage.clear().await;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Starts all work, plays it to its end, and says what became of each. True
/// when each ended as it should, and nothing silently.
async fn play(stage: &Stage, output: &Output, quiet: bool) -> Result<bool> {
    let waiting = stage.start_all().await?;
    let mut ended = play_on(stage, waiting, output, quiet).await?;
    stage.settle_down().await;
    for (case, actual) in &mut ended {
        stage.count_effects(case, actual).await?;
    }
    ended.sort_by_key(|(case, _)| CASES.iter().position(|other| std::ptr::eq(other, *case)));
    if !quiet {
        output.line("\nWhat became of every ticket:\n")?;
    }
    let at = AuditAt { now_ms: Clock::System.now_ms(), overdue_ms: stage.overdue_ms() };
    let audit = stage.store().audit(at).await?;
    table::print(&ended, &audit, output)?;
    Ok(table::all_good(&ended, &audit))
}

/// Until every piece of work has come to rest and nothing more is to happen to it.
async fn play_on(
    stage: &Stage,
    mut waiting: Vec<Started>,
    output: &Output,
    quiet: bool,
) -> Result<Vec<(&'static Case, Actual)>> {
    let mut ended = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !waiting.is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut still = Vec::new();
        for mut started in waiting {
            match stage.look(&started).await? {
                Some(actual) if started.steps.is_empty() => {
                    if !quiet {
                        output.line(&table::line(started.case, &actual, output))?;
                    }
                    ended.push((started.case, actual));
                }
                Some(_) => {
                    stage.go_on(&mut started).await?;
                    still.push(started);
                }
                None => still.push(started),
            }
        }
        waiting = still;
    }
    ended.extend(waiting.into_iter().map(|started| (started.case, Actual::never())));
    Ok(ended)
}
