//! `frontdesk jobs list|show|retry|discard`

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::Setup;
use super::bulk::Many;
use super::deliveries::{Part, parse_state, print_list, print_one};
use crate::domain::job::State;
use crate::shapes;
use crate::store::{Discarded, Remedy, Retried, Store};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = parse_state)]
        status: Option<State>,
        #[command(flatten)]
        part: Part,
    },
    /// One job.
    Show {
        /// As job_17.
        id: String,
    },
    /// Queue a failed or discarded job again, with all its attempts; or many failed ones.
    Retry {
        /// As job_17.
        id: Option<String>,
        #[command(flatten)]
        many: Many,
        /// Why; kept in the audit trail.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Close a failed job, or many; only `retry` opens it again.
    Discard {
        /// As job_17.
        id: Option<String>,
        #[command(flatten)]
        many: Many,
        /// Why; kept with the job.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let now_ms = store.clock().now_ms();
    let actor = setup.person().name;
    match command {
        Command::List { status, part } => {
            let found = part.of(async |page| store.jobs(status, page).await).await?;
            let page = shapes::page(&found, shapes::job);
            let columns = [
                "id",
                "event_type",
                "resource_id",
                "status",
                "outcome",
                "ticket_id",
                "workflow",
                "attempt_count",
                "last_error",
            ];
            print_list(&setup.output, &page, &columns)?;
        }
        Command::Show { id } => show(&store, &id, setup).await?,
        Command::Retry { id, many, reason } => match one(id, &many)? {
            None => many.run(setup, Remedy::Retry).await?,
            Some(id) => {
                if store.retry_job(number(&id)?, actor, reason, now_ms).await? == Retried::NotFailed {
                    bail!("{id} has not failed; only a failed job can be retried");
                }
                show(&store, &id, setup).await?;
            }
        },
        Command::Discard { id, many, reason } => match one(id, &many)? {
            None => many.run(setup, Remedy::Discard { reason }).await?,
            Some(id) => {
                if store.discard_job(number(&id)?, actor, reason, now_ms).await? == Discarded::NotFailed {
                    bail!("{id} has not failed or is discarded already");
                }
                show(&store, &id, setup).await?;
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// The one job that is meant; none when many are.
fn one(id: Option<String>, many: &Many) -> Result<Option<String>> {
    Ok(if many.is_meant(id.as_deref())? { None } else { id })
}

fn number(id: &str) -> Result<i64> {
    shapes::parse_job_id(id).with_context(|| format!("{id:?} is not a job's id; they look like job_17"))
}

async fn show(store: &Store, id: &str, setup: &Setup) -> Result<()> {
    let job = store.job(number(id)?).await?.with_context(|| format!("there is no job {id}"))?;
    print_one(&setup.output, &shapes::job(&job))
}
