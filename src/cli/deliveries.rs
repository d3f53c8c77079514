//! `frontdesk deliveries list|show|dismiss|replay`

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::output::{Output, cell, shown};
use crate::domain::job::State;
use crate::operators::{Replay, point_in_time};
use crate::shapes;
use crate::store::{DeliveryFilter, Page, PageRequest, Store, Window};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = parse_state)]
        status: Option<State>,
        /// Only this event type.
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Only those one of whose ids begins with this text; where there is none, contains it.
        #[arg(long)]
        q: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// Work deliveries again: parked ones whose type is handled by now, and those whose work failed or was ignored.
    Replay(Replaying),
    /// One delivery by its webhook-id.
    Show {
        /// As wh_…
        id: String,
        /// The raw event instead; that you looked is written to the audit trail.
        #[arg(long)]
        body: bool,
    },
    /// Put away what has no job and somebody has seen: one, or all of a type.
    Dismiss {
        /// As wh_…
        #[arg(required_unless_present = "event_type")]
        id: Option<String>,
        /// All of this event type; `unreadable` for those without one.
        #[arg(long = "type", value_name = "TYPE", conflicts_with = "id")]
        event_type: Option<String>,
        /// Why; kept in the audit trail.
        #[arg(long)]
        reason: String,
    },
}

/// Which deliveries to work again.
#[derive(clap::Args)]
pub(super) struct Replaying {
    /// Received since then: 2h for two hours ago, or 2026-06-11T10:15:00Z.
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Received before then; now without it.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this event type.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only those in this state.
    #[arg(long, value_parser = parse_state)]
    status: Option<State>,
    /// Also those that were applied or held; what is on a ticket is not written again.
    #[arg(long)]
    all: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Which part of a list.
#[derive(clap::Args)]
pub(super) struct Part {
    /// How many at most, up to 500.
    #[arg(long, default_value_t = PageRequest::DEFAULT_LIMIT, value_parser = parse_limit)]
    limit: usize,
    /// Where the last page ended.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    cursor: Option<i64>,
}

impl Part {
    pub(super) fn page(&self) -> PageRequest {
        PageRequest { limit: self.limit, cursor: self.cursor }
    }

    /// A whole page of a list. A page may come back with fewer than there are,
    /// because it looks at a fixed number of rows; then the next ones fill it up.
    pub(super) async fn of<T, E>(&self, list: impl AsyncFn(PageRequest) -> Result<Page<T>, E>) -> Result<Page<T>, E> {
        let mut page = list(self.page()).await?;
        while page.items.len() < self.limit && page.next.is_some() {
            let rest = PageRequest { limit: self.limit - page.items.len(), cursor: page.next };
            let more = list(rest).await?;
            page.items.extend(more.items);
            page.next = more.next;
        }
        Ok(page)
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|limit| (1..=PageRequest::MAX_LIMIT).contains(limit))
        .ok_or_else(|| "between 1 and 500".to_owned())
}

pub(super) fn parse_state(word: &str) -> Result<State, String> {
    State::parse(word).ok_or_else(|| format!("one of {}", State::ALL.map(State::word).join(", ")))
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    match command {
        Command::List { status, event_type, q, part } => {
            let filter = DeliveryFilter { status, event_type, text: q };
            let found = part.of(async |page| store.deliveries(filter.clone(), page).await).await?;
            let page = shapes::page(&found, shapes::delivery);
            let columns = [
                "delivery_id",
                "event_type",
                "resource_id",
                "status",
                "outcome",
                "ticket_id",
                "attempt_count",
                "received_at",
            ];
            print_list(&setup.output, &page, &columns)?;
        }
        Command::Replay(asked) => replay(asked, &store, setup).await?,
        Command::Show { id, body: true } => show_body(&store, id, setup).await?,
        Command::Show { id, .. } => {
            let Some(delivery) = store.delivery(id.clone()).await? else { bail!("there is no delivery {id:?}") };
            print_one(&setup.output, &shapes::delivery(&delivery))?;
        }
        Command::Dismiss { id, event_type, reason } => {
            let (actor, now_ms) = (setup.person().name, store.clock().now_ms());
            let count = match (id, event_type) {
                (Some(id), _) => dismiss(&store, id, actor, reason, now_ms).await?,
                (None, event_type) => store.dismiss_type(event_type.unwrap_or_default(), actor, reason, now_ms).await?,
            };
            if setup.output.json {
                setup.output.json(&json!({"dismissed": count}))?;
            } else {
                setup.output.line(&format!("dismissed: {count}"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_body(store: &Store, id: String, setup: &Setup) -> Result<()> {
    let found = store.body_of_delivery(id.clone(), setup.person().name, store.clock().now_ms()).await?;
    let Some(body) = found else { bail!("there is no delivery {id:?}") };
    print_one(&setup.output, &shapes::body(&id, &body))
}

async fn dismiss(store: &Store, id: String, actor: String, reason: String, now_ms: i64) -> Result<usize> {
    if !store.dismiss_delivery(id.clone(), actor, reason, now_ms).await? {
        bail!(
            "{id} has a job, or is dismissed already; `frontdesk deliveries list --status received` shows what can be"
        );
    }
    Ok(1)
}

async fn replay(asked: Replaying, store: &Store, setup: &Setup) -> Result<()> {
    let clock = store.clock();
    let now_ms = clock.now_ms();
    let time = |text: &str| point_in_time(text, now_ms).map_err(anyhow::Error::msg);
    let window = Window {
        since_ms: time(&asked.since)?,
        until_ms: asked.until.as_deref().map(time).transpose()?.unwrap_or(now_ms),
        event_type: asked.event_type,
        status: asked.status,
        all: asked.all,
    };
    let replay = Replay { window };
    let replayed = if asked.dry_run {
        replay.look(store).await?
    } else {
        replay.run(store, &clock, &setup.person().name, |_| {}).await?
    };
    print_one(&setup.output, &shapes::replayed(&replayed, asked.dry_run))
}

/// Prints a page of a list by some of its keys.
pub(super) fn print_list(output: &Output, page: &Value, columns: &[&str]) -> Result<()> {
    if output.json {
        return output.json(page);
    }
    let items: Vec<&Value> = page["items"].as_array().into_iter().flatten().collect();
    if items.is_empty() && output.is_terminal() {
        return output.line("none");
    }
    let rows: Vec<Vec<String>> = items.iter().map(|item| columns.iter().map(|key| cell(item, key)).collect()).collect();
    output.table(columns, &rows)?;
    match page["next_cursor"].as_str() {
        Some(next) if output.is_terminal() => output.line(&format!("more with --cursor {next}")),
        _ => Ok(()),
    }
}

/// Prints all keys of one thing.
pub(super) fn print_one(output: &Output, value: &Value) -> Result<()> {
    if output.json {
        return output.json(value);
    }
    for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
        let text = cell(value, key);
        if !text.is_empty() {
            output.line(&format!("{key:<16} {}", output.paint(&shown(&text))))?;
        }
    }
    Ok(())
}
