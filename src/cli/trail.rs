//! `frontdesk trail list`

use std::process::ExitCode;

use anyhow::Result;

use super::Setup;
use super::deliveries::{Part, print_list};
use crate::shapes;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Who did what, newest first.
    List {
        /// Only what was done to this: an id, as job_17 or rev_…
        #[arg(long, value_name = "ID")]
        subject: Option<String>,
        /// Only what this person did.
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        #[command(flatten)]
        part: Part,
    },
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let Command::List { subject, actor, part } = command;
    let store = setup.store()?;
    let page = part.of(async |page| store.audit_trail(subject.clone(), actor.clone(), page).await).await?;
    print_list(&setup.output, &shapes::page(&page, shapes::entry), &["at", "actor", "action", "subject", "detail"])?;
    Ok(ExitCode::SUCCESS)
}
