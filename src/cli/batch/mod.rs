//! `frontdesk batch …`
//!
//! | file | what |
//! |---|---|
//! | `submit` | starting one, from a list of tickets or a filter |
//! | `show` | one batch, for a person |
//! | `change_set` | what it would change, as a table |
//! | `next` | what happens next, and who sees to it |
//! | `follow`, `progress` | watching one until it rests; the bar |
//! | `lines` | the ledger, as a table |
//! | `sample` | a few lines to read before deciding |
//! | `acts` | apply, reject, pause, resume, undo |
//! | `schedules` | batches that begin by the clock |
//! | `export` | the whole ledger, into a file |

mod acts;
mod change_set;
mod export;
mod follow;
mod lines;
mod next;
mod progress;
mod sample;
mod schedules;
mod show;
mod submit;

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Setup;
use super::deliveries::{Part, print_list};
use crate::domain::batch::State;
use crate::domain::batch::acts::Act;
use crate::shapes;
use crate::store::{Batch, Store};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Start one over a list of tickets, or those that a filter finds.
    Submit(submit::Args),
    /// Newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = parse_state)]
        state: Option<State>,
        #[command(flatten)]
        part: Part,
    },
    /// One batch: where it stands, what it would change, what happens next. A terminal follows it while it moves.
    Show {
        /// As bat_…; OpenAI's batch_… is understood too.
        id: String,
        /// Stay until it rests; with --json, one object a line for each change.
        #[arg(long)]
        watch: bool,
    },
    /// What became of each line; the whole ledger with --export.
    Lines(lines::Args),
    /// A few lines to read before deciding: the ticket, and what would change on it.
    Sample(sample::Args),
    /// Say yes to a change-set that waits: its lines go onto the tickets, in stages.
    Apply(acts::Which),
    /// Say no to one: no ticket is changed.
    Reject {
        #[command(flatten)]
        which: acts::Which,
        /// Why; kept in the audit trail.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Stop applying for a while.
    Pause {
        #[command(flatten)]
        which: acts::Which,
        /// Why; shown with the batch.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let one that is paused, or that stopped by itself, go on.
    Resume(acts::Which),
    /// Put back what it changed, where nobody has changed it since.
    Undo(acts::Which),
    /// The batches that begin by the clock: when next, and what they began last.
    Schedules,
}

fn parse_state(word: &str) -> Result<State, String> {
    State::parse(word).ok_or_else(|| format!("one of {}", State::ALL.map(State::word).join(", ")))
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::Submit(args) => submit::run(args, setup).await,
        Command::List { state, part } => {
            let page = shapes::page(&setup.store()?.batches(state, part.page()).await?, shapes::batch);
            list(setup, page)
        }
        Command::Show { id, watch } => show::run(&id, watch, setup).await,
        Command::Lines(args) => lines::run(args, setup).await,
        Command::Sample(args) => sample::run(args, setup).await,
        Command::Apply(which) => acts::run(which, Act::Apply, setup).await,
        Command::Reject { which, reason } => acts::run(which, Act::Reject { reason }, setup).await,
        Command::Pause { which, reason } => acts::run(which, Act::Pause { reason }, setup).await,
        Command::Resume(which) => acts::run(which, Act::Resume, setup).await,
        Command::Undo(which) => acts::run(which, Act::Undo, setup).await,
        Command::Schedules => schedules::run(setup).await,
    }
}

fn list(setup: &Setup, mut page: Value) -> Result<ExitCode> {
    if !setup.output.json {
        for item in page["items"].as_array_mut().into_iter().flatten() {
            item["lines"] = item["counts"]["lines"].clone();
        }
    }
    let columns = ["batch_id", "version", "state", "workflow", "lines", "created_at", "actor", "waits_for"];
    print_list(&setup.output, &page, &columns)?;
    Ok(ExitCode::SUCCESS)
}

/// The batch that an id of ours or of OpenAI's names.
async fn must_be_there(store: &Store, id: &str) -> Result<Batch> {
    store
        .batch(id.to_owned())
        .await?
        .with_context(|| format!("there is no batch {id:?}; `frontdesk batch list` shows those there are"))
}

#[cfg(test)]
mod testing {
    use crate::domain::batch::{Counts, Origin, State};
    use crate::store::{Batch, Part};

    /// A batch of one part that stands there with these counts.
    pub(super) fn batch(state: State, counts: &[(&str, i64)]) -> Batch {
        Batch {
            id: "bat_1".to_owned(),
            seq: 1,
            project: "default".to_owned(),
            workflow: "classification".to_owned(),
            prompt_version: None,
            version: 1,
            state,
            since_ms: 0,
            origin: Origin::Person,
            actor: "ana".to_owned(),
            again_of: None,
            created_at_ms: 0,
            waits_for: None,
            decided_by: None,
            decided_at_ms: None,
            paused_by: None,
            paused_at_ms: None,
            pause_reason: None,
            in_flight: 0,
            undone_by: None,
            error: None,
            before: Counts::new(),
            counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            parts: vec![part()],
        }
    }

    fn part() -> Part {
        Part {
            id: "sub_1".to_owned(),
            batch_id: "bat_1".to_owned(),
            project: "default".to_owned(),
            number: 1,
            lines: 0,
            bytes: 0,
            file_id: None,
            resource_id: None,
            status: None,
            errors: serde_json::Value::Null,
            said: serde_json::Value::Null,
            read_at_ms: None,
        }
    }
}
