//! `frontdesk submissions list|show|forget`

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::Setup;
use super::deliveries::{Part, print_list, print_one};
use crate::domain::submission::State;
use crate::shapes;
use crate::store::{Closed, Store};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = parse_state)]
        state: Option<State>,
        /// Only those of this ticket.
        #[arg(long, value_name = "ID")]
        ticket: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// One submission.
    Show {
        /// As sub_…
        id: String,
    },
    /// Close one that hangs: lost, refused, unknown, or past its deadline. A late webhook is still worked.
    Forget {
        /// As sub_…
        id: String,
        /// Why; kept with the submission.
        #[arg(long)]
        reason: String,
    },
}

fn parse_state(word: &str) -> Result<State, String> {
    State::parse(word).ok_or_else(|| format!("one of {}", State::ALL.map(State::word).join(", ")))
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    match command {
        Command::List { state, ticket, part } => {
            let page = part.of(async |page| store.submissions(state, ticket.clone(), page).await).await?;
            let columns = ["id", "state", "ticket_id", "workflow", "resource_id", "created_at", "check_at", "found_by"];
            print_list(&setup.output, &shapes::page(&page, shapes::submission), &columns)?;
        }
        Command::Show { id } => show(&store, id, setup).await?,
        Command::Forget { id, reason } => {
            if reason.trim().is_empty() {
                bail!("say why with --reason");
            }
            must_be_there(&store, &id).await?;
            let now_ms = store.clock().now_ms();
            let closed = store.close_submission(id.clone(), setup.person().name, reason, now_ms);
            if closed.await? == Closed::NotHanging {
                bail!(
                    "{id} has ended, or is under way and within its deadline; `frontdesk submissions show {id}` says which"
                );
            }
            show(&store, id, setup).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn must_be_there(store: &Store, id: &str) -> Result<crate::store::Submission> {
    store.submission(id.to_owned()).await?.with_context(|| format!("there is no submission {id:?}"))
}

async fn show(store: &Store, id: String, setup: &Setup) -> Result<()> {
    print_one(&setup.output, &shapes::submission(&must_be_there(store, &id).await?))
}
