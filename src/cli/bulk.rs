//! What `jobs retry` and `jobs discard` do to many jobs at once.

use std::io::Write as _;

use anyhow::{Result, bail};
use serde_json::Value;

use super::Setup;
use super::deliveries::print_one;
use crate::clock::Clock;
use crate::operators::{Bulk, BulkDone, known_cause, point_in_time};
use crate::shapes;
use crate::store::{FailedFilter, Remedy};

/// Which jobs, when they are not named one by one.
#[derive(clap::Args)]
pub(super) struct Many {
    /// All that failed for good.
    #[arg(long)]
    all: bool,
    /// Only with this cause, as openai_server.
    #[arg(long, value_parser = parse_cause)]
    cause: Option<String>,
    /// Only of this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Only of this event type.
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Only of this OpenAI project.
    #[arg(long)]
    project: Option<String>,
    /// Only those that failed since then: 2h for two hours ago, or 2026-06-11T10:15:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those that failed before then.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Those that wait for their next attempt, instead of those given up.
    #[arg(long)]
    waiting: bool,
    /// How many at most, the longest failed first.
    #[arg(long)]
    limit: Option<usize>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

fn parse_cause(code: &str) -> Result<String, String> {
    known_cause(code).map(|()| code.to_owned())
}

impl Many {
    /// Whether many are meant; refuses to guess between one and many.
    pub(super) fn is_meant(&self, id: Option<&str>) -> Result<bool> {
        // Only whether they are named matters here, not which time is meant.
        let narrowed =
            self.filter(Clock::System.now_ms())? != FailedFilter { waiting: self.waiting, ..FailedFilter::default() };
        match (id, self.all || narrowed) {
            (Some(_), false) if !self.waiting && !self.dry_run && self.limit.is_none() => Ok(false),
            (Some(_), _) => bail!("name one job, or say which jobs, not both"),
            (None, true) => Ok(true),
            (None, false) => bail!("name a job, or say which jobs: --all, or any of --cause, --workflow, --since …"),
        }
    }

    fn filter(&self, now_ms: i64) -> Result<FailedFilter> {
        let time = |text: &Option<String>| {
            text.as_ref().map(|text| point_in_time(text, now_ms)).transpose().map_err(anyhow::Error::msg)
        };
        Ok(FailedFilter {
            waiting: self.waiting,
            cause: self.cause.clone(),
            workflow: self.workflow.clone(),
            event_type: self.event_type.clone(),
            project: self.project.clone(),
            since_ms: time(&self.since)?,
            until_ms: time(&self.until)?,
        })
    }

    pub(super) async fn run(&self, setup: &Setup, remedy: Remedy) -> Result<()> {
        let store = setup.store()?;
        let clock = store.clock();
        let bulk = Bulk { filter: self.filter(clock.now_ms())?, remedy, limit: self.limit };
        if self.dry_run {
            return print(setup, &bulk.look(&store).await?);
        }
        let watched = !setup.output.json && std::io::IsTerminal::is_terminal(&std::io::stderr());
        let progress = |bulk: &BulkDone| {
            if watched {
                let _ = write!(std::io::stderr(), "\r{} of {}", bulk.done, bulk.found.matched);
            }
        };
        let done = bulk.run(&store, &clock, &setup.person().name, progress).await?;
        if watched {
            let _ = writeln!(std::io::stderr());
        }
        print(setup, &done)
    }
}

fn print(setup: &Setup, done: &BulkDone) -> Result<()> {
    let shape: Value = shapes::bulk(&done.found, done.done);
    print_one(&setup.output, &shape)
}
