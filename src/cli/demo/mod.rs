//! `frontdesk demo`: everything on this machine with no account. The front
//! desk, the workers and the desk are the real ones; only OpenAI is simulated.

mod cases;
mod ending;
mod night;
mod people;
mod scenario;
mod settings;
mod stage;
mod table;
mod texts;
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
use night::Lead;
use scenario::Case;
use settings::Tempo;
use stage::{Stage, Started};
use table::{Row, Table};

/// All endings must have arrived by then, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// As usual when somebody watches: an approval can be taken back, and a batch
/// paused. When nobody does, no faster than that there is a middle to pause in.
const WATCHED: Tempo = Tempo { undo: "5s", pace: 6_000 };
const UNWATCHED: Tempo = Tempo { undo: "500ms", pace: 12_000 };

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
    let stage = Stage::set(listen, if args.exit { &UNWATCHED } else { &WATCHED }).await?;
    if !args.exit {
        tips::before(&stage, output)?;
    }
    let night = tokio::select! {
        played = play(&stage, output, args.exit) => played?,
        stopped = wait_for_stop() => { stopped?; stage.clear().await; bail!("stopped before the end of the scenario") }
    };
    if !args.exit {
        tips::after(&stage, &night.batch, output)?;
        wait_for_stop().await?;
    }
    stage.clear().await;
    Ok(if night.is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How it went.
struct Played {
    /// Each ended as it should, and nothing silently.
    is_good: bool,
    /// The batch of the night.
    batch: String,
}

/// Starts all work, plays it to its end, and says what became of each.
async fn play(stage: &Stage, output: &Output, quiet: bool) -> Result<Played> {
    let lead = if quiet { Lead::Played } else { Lead::Watching };
    let (ended, night) =
        tokio::try_join!(play_cases(stage, output, quiet), night::play(stage, lead, (!quiet).then_some(output)))?;
    stage.settle_down().await;
    let mut rows = Vec::with_capacity(ended.len() + night.rows.len());
    for (case, mut actual) in ended {
        stage.count_effects(case, &mut actual).await?;
        rows.push(Row::of_case(case, actual));
    }
    rows.extend(night.rows);
    if !quiet {
        output.line("\nWhat became of every ticket:\n")?;
    }
    let at = AuditAt { now_ms: Clock::System.now_ms(), overdue_ms: stage.overdue_ms() };
    let table = Table { rows, preview: night.preview, audit: stage.store().audit(at).await? };
    table.print(output)?;
    Ok(Played { is_good: table.is_good(), batch: night.batch })
}

/// Every case to its end, in the order of the table.
async fn play_cases(stage: &Stage, output: &Output, quiet: bool) -> Result<Vec<(&'static Case, Actual)>> {
    let waiting = stage.start_all().await?;
    let mut ended = play_on(stage, waiting, output, quiet).await?;
    ended.sort_by_key(|(case, _)| CASES.iter().position(|other| std::ptr::eq(other, *case)));
    Ok(ended)
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
                        output.line(&table::line_of_case(started.case, &actual, output))?;
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
