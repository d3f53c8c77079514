//! `frontdesk erase`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::Setup;
use super::deliveries::print_one;
use crate::shapes;
use crate::store::Erasure;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The ticket whose content goes, as T-1001.
    #[arg(long)]
    ticket: String,
    /// Why; kept in the audit trail.
    #[arg(long)]
    reason: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Write the database file anew also when it is large; nothing else can be written meanwhile.
    #[arg(long)]
    compact: bool,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let Args { ticket, reason, yes, compact } = args;
    let store = setup.store()?;
    let asked = Erasure::new(ticket.clone(), setup.person().name, reason, store.clock().now_ms())
        .context("the reason must have 1 to 500 characters on one line")?;
    if !yes && !is_meant(&ticket)? {
        bail!("nothing was erased");
    }
    let erased = match store.erase_ticket(asked).await? {
        Ok(erased) => erased,
        Err(refused) => match shapes::moving_jobs(&refused) {
            Some(why) => bail!("nothing was erased: {why}"),
            None => bail!("there is no ticket {ticket:?}"),
        },
    };
    let scrubbed = store
        .scrub(compact)
        .await
        .context("the content is erased, but old bytes may be left in the file; run it again")?;
    print_one(&setup.output, &shapes::erased(&erased, scrubbed))?;
    let Some(scrubbed) = scrubbed else {
        eprintln!("Old bytes stay in the files and the log of PostgreSQL until it uses them again: docs/privacy.md.");
        return Ok(ExitCode::SUCCESS);
    };
    if !scrubbed.compacted {
        eprintln!("The database is large and was not written anew: --compact does it, in a quiet hour.");
    }
    if !scrubbed.log_emptied {
        eprintln!("Somebody is reading: old bytes may be left in the write-ahead log. Run it again.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on a terminal; without one nobody can be asked.
fn is_meant(ticket: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this cannot be undone, and there is no terminal to ask on: say --yes");
    }
    eprint!("Erase all content of {}? This cannot be undone. [y/N] ", super::output::shown(ticket));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
