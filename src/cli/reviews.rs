//! `frontdesk reviews list|show`

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::Setup;
use super::deliveries::{Part, print_list, print_one};
use crate::shapes;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = ["open", "claimed", "approved", "rejected", "stale", "expired"])]
        state: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// One review, with what is proposed.
    Show {
        /// As rev_…
        id: String,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    match command {
        Command::List { state, part } => {
            let page = shapes::page(&store.reviews(state, part.page()).await?, shapes::review);
            print_list(
                &setup.output,
                &page,
                &["id", "state", "reason", "detail", "ticket_id", "workflow", "created_at"],
            )?;
        }
        Command::Show { id } => {
            let review = store.review(id.clone()).await?.with_context(|| format!("there is no review {id:?}"))?;
            print_one(&setup.output, &shapes::review(&review))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
