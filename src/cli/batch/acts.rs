//! `frontdesk batch apply|reject|undo|pause|resume`

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::follow::{self, Telling};
use super::{must_be_there, show};
use crate::cli::Setup;
use crate::domain::batch::State;
use crate::domain::batch::acts::{Act, Refused};
use crate::shapes;
use crate::store::{Batch, BatchAct, Store};

/// Which batch, and which state of it.
#[derive(clap::Args)]
pub(in crate::cli) struct Which {
    /// As bat_…; OpenAI's batch_… is understood too.
    id: String,
    /// The version you looked at: refused when somebody did something since.
    #[arg(long, value_name = "N")]
    version: Option<i64>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub(in crate::cli) async fn run(which: Which, act: Act, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let batch = must_be_there(&store, &which.id).await?;
    let version = which.version.unwrap_or(batch.version);
    batch.standing().may(&act, version).or_else(|refused| refuse(&batch.id, &refused))?;
    let output = &setup.output;
    if !output.json {
        output.line(&format!("{} {}", batch.id, told(&batch, &act)))?;
        if !which.yes && output.is_terminal() && std::io::stdin().is_terminal() && !agreed()? {
            bail!("nothing was done");
        }
    }
    let follows = matches!(act, Act::Apply | Act::Undo | Act::Resume) && output.is_terminal() && !output.json;
    let batch = carry_out(setup, &store, batch.id, version, act).await?;
    if output.json {
        output.json(&shapes::batch(&batch))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !follows {
        show::print(setup, &batch)?;
        return Ok(ExitCode::SUCCESS);
    }
    match follow::until_rest(setup, &store, &batch.id, Telling::for_person(output)).await? {
        Some(batch) => {
            show::print(setup, &batch)?;
            Ok(if is_stopped(&batch) { ExitCode::from(1) } else { ExitCode::SUCCESS })
        }
        None => follow::left(setup, &batch.id),
    }
}

async fn carry_out(setup: &Setup, store: &Store, id: String, version: i64, act: Act) -> Result<Batch> {
    let (person, now_ms) = (setup.person(), store.clock().now_ms());
    let asked = BatchAct { batch: id.clone(), version: Some(version), person, act, now_ms };
    match store.act_on_batch(asked).await? {
        Some(Ok(batch)) => Ok(batch),
        Some(Err(refused)) => refuse(&id, &refused),
        None => bail!("there is no batch {id:?} any more"),
    }
}

fn refuse<T>(id: &str, refused: &Refused) -> Result<T> {
    bail!("{id}: {refused}; `frontdesk batch show {id}` says how it stands")
}

/// It came to no end of its own.
fn is_stopped(batch: &Batch) -> bool {
    batch.state == State::Failed || batch.paused_at_ms.is_some()
}

fn agreed() -> Result<bool> {
    let mut out = std::io::stdout();
    write!(out, "Go on? [y/N] ")?;
    out.flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    Ok(matches!(said.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// What it is about to do, in one line.
fn told(batch: &Batch, act: &Act) -> String {
    let count = |name: &str| batch.count(name);
    let (ok, held) = (count("result/ok"), count("result/held"));
    let done = count("fate/applied") + count("fate/held") + count("fate/skipped") + count("fate/failed");
    let left = (ok + held - done).max(0);
    match act {
        Act::Apply => format!("applies {} to tickets; {} to review", lines(ok), go(held)),
        Act::Reject { .. } => format!("throws away {} for good; no ticket is changed", lines(ok + held)),
        Act::Pause { .. } => format!("pauses; {} to tickets later, those that workers are at go now", go(left)),
        Act::Resume => format!("goes on; {} to tickets", go(left)),
        Act::Undo => format!(
            "puts back what {} changed, where nobody has changed it since; what is not on a ticket yet is called off",
            lines(count("fate/applied"))
        ),
    }
}

fn lines(count: i64) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

fn go(count: i64) -> String {
    if count == 1 { "1 line goes".to_owned() } else { format!("{count} lines go") }
}

#[cfg(test)]
mod tests {
    use super::super::testing::batch;
    use super::*;

    #[test]
    fn what_is_about_to_be_done_is_one_line_with_its_numbers() {
        let waiting = batch(State::Waiting, &[("result/ok", 412), ("result/held", 9)]);
        let reject = Act::Reject { reason: None };
        assert_eq!(told(&waiting, &Act::Apply), "applies 412 lines to tickets; 9 lines go to review");
        assert_eq!(told(&waiting, &reject), "throws away 421 lines for good; no ticket is changed");
        let fates = [("fate/applied", 1), ("fate/held", 3), ("fate/queued", 2)];
        let applying = batch(State::Applying, &[&[("result/ok", 8), ("result/held", 3)][..], &fates].concat());
        let pause = Act::Pause { reason: None };
        assert_eq!(told(&applying, &pause), "pauses; 7 lines go to tickets later, those that workers are at go now");
        assert_eq!(told(&applying, &Act::Resume), "goes on; 7 lines go to tickets");
        assert!(told(&applying, &Act::Undo).starts_with("puts back what 1 line changed, where nobody"));
    }
}
