//! `frontdesk batch lines`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::export::{self, Format};
use super::must_be_there;
use crate::cli::Setup;
use crate::cli::deliveries::{Part, print_list};
use crate::domain::batch::outcomes;
use crate::shapes;
use crate::store::{Line, Page, PageRequest, Store, StoreError};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// As bat_…; OpenAI's batch_… is understood too.
    id: String,
    /// Only lines that came to this, as held.
    #[arg(long, value_parser = parse_outcome)]
    outcome: Option<String>,
    #[command(flatten)]
    part: Part,
    /// Write all of them into this file, which must not be there yet; - is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["limit", "cursor"])]
    export: Option<PathBuf>,
    /// How; without it the file's ending says so, or else csv.
    #[arg(long, requires = "export")]
    format: Option<Format>,
}

fn parse_outcome(word: &str) -> Result<String, String> {
    let words = outcomes();
    if words.contains(&word) { Ok(word.to_owned()) } else { Err(format!("one of {}", words.join(", "))) }
}

/// The lines that are asked for.
pub(super) struct Ledger {
    store: Store,
    pub(super) batch_id: String,
    outcome: Option<String>,
}

impl Ledger {
    /// The lines after the page's cursor.
    pub(super) async fn page(&self, page: &PageRequest) -> Result<Page<Line>, StoreError> {
        let (after, limit) = (page.cursor.unwrap_or(0), page.limit);
        let lines = self.store.batch_lines(self.batch_id.clone(), self.outcome.clone(), after, limit + 1);
        let mut items = lines.await?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { next: items.last().map(|line| line.number).filter(|_| more), items })
    }
}

pub(in crate::cli) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let batch = must_be_there(&store, &args.id).await?;
    let ledger = Ledger { store, batch_id: batch.id, outcome: args.outcome };
    if let Some(file) = &args.export {
        export::run(&ledger, file, args.format, &setup.output).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = ledger.page(&args.part.page()).await?;
    let columns = ["number", "custom_id", "ticket_id", "outcome", "reason", "found"];
    print_list(&setup.output, &shapes::page(&page, shapes::batch_line), &columns)?;
    Ok(ExitCode::SUCCESS)
}
