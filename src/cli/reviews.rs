//! `frontdesk reviews list|show|next|claim|release|approve|reject|bulk|escalate|undo|stats`

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Setup;
use super::deliveries::{Part, print_list, print_one};
use crate::domain::effect::Priority;
use crate::domain::review::{Action, Amended, RejectReason, Reroute, State};
use crate::operators::DecideTogether;
use crate::shapes;
use crate::store::{Act, QueueFilter, Store};

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
        /// Only those held for this reason, as sensitive.
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// One review: why it is held, the output, the ticket as it was, what is proposed.
    Show {
        /// As rev_…
        id: String,
    },
    /// Take the oldest that waits and that you may decide.
    Next {
        /// Only one held for this reason.
        #[arg(long)]
        reason: Option<String>,
        /// Only one with this sensitive topic.
        #[arg(long)]
        topic: Option<String>,
        /// Only one of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// Not this one, and first of all what is behind it.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Take one, or keep it longer; others cannot decide it meanwhile.
    Claim(Which),
    /// Put one back.
    Release(Which),
    /// Say yes: a job carries it out once the undo window is over.
    Approve {
        #[command(flatten)]
        which: Which,
        /// Your text instead of the proposed one.
        #[arg(long, conflicts_with = "text_file")]
        text: Option<String>,
        /// A file with your text; - reads it from standard input.
        #[arg(long, value_name = "FILE")]
        text_file: Option<PathBuf>,
        /// What the customer wants, instead of the category proposed.
        #[arg(long, value_name = "CATEGORY")]
        intent: Option<String>,
        /// low, normal, high or urgent, instead of the priority proposed.
        #[arg(long, value_parser = parse_priority)]
        priority: Option<Priority>,
        /// Where the ticket goes, instead of the queue proposed.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Say no.
    Reject {
        #[command(flatten)]
        which: Which,
        /// wrong_facts, wrong_policy, missed_question, tone, unsafe, wrong_customer, incomplete, out_of_date,
        /// not_needed, or your own words.
        #[arg(long)]
        reason: String,
    },
    /// Approve or reject many at once, or take that back; those that somebody must read are left out, with the reason.
    Bulk {
        /// approve, reject or undo.
        action: BulkAction,
        /// As rev_…, or rev_…:VERSION with the version you looked at.
        #[arg(required = true, value_name = "ID[:VERSION]", value_parser = parse_item)]
        items: Vec<(String, Option<i64>)>,
        /// Why, when they are rejected.
        #[arg(long, required_if_eq("action", "reject"))]
        reason: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Hand one to the leads.
    Escalate {
        #[command(flatten)]
        which: Which,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Take a decision back, within its undo window.
    Undo(Which),
    /// How drafts fared: kept, edited, rejected, by workflow and prompt version.
    Stats,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BulkAction {
    Approve,
    Reject,
    Undo,
}

fn parse_item(text: &str) -> Result<(String, Option<i64>), String> {
    match text.split_once(':') {
        None => Ok((text.to_owned(), None)),
        Some((id, version)) => {
            let version = version.parse().map_err(|_| format!("{version:?} is no version; versions are numbers"))?;
            Ok((id.to_owned(), Some(version)))
        }
    }
}

/// Which review, and which state of it.
#[derive(clap::Args)]
pub(super) struct Which {
    /// As rev_…
    id: String,
    /// The version you looked at: refused when somebody did something since.
    #[arg(long)]
    version: Option<i64>,
}

fn parse_priority(word: &str) -> Result<Priority, String> {
    Priority::parse(word).ok_or_else(|| format!("{word:?} is no priority; priorities are low, normal, high, urgent"))
}

fn parse_state(word: &str) -> Result<State, String> {
    State::parse(word)
        .ok_or_else(|| format!("{word:?} is not a state; states are {}", State::ALL.map(State::word).join(", ")))
}

pub(super) async fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    match command {
        Command::List { state, ticket, reason, part } => {
            let store = setup.store()?;
            let page = part.of(async |page| store.reviews(state, ticket.clone(), reason.clone(), page).await).await?;
            let columns =
                ["id", "version", "state", "reason", "detail", "ticket_id", "workflow", "claimed_by", "created_at"];
            print_list(&setup.output, &shapes::page(&page, shapes::review), &columns)?;
        }
        Command::Show { id } => {
            let store = setup.store()?;
            let found = store.look_at_review(id.clone(), setup.person(), store.clock().now_ms()).await?;
            let looked = found.with_context(|| format!("there is no review {id:?}"))?;
            print_one(&setup.output, &shapes::looked(&looked))?;
        }
        Command::Next { reason, topic, workflow, after } => {
            next(setup, QueueFilter { reason, topic, workflow, claimed_by: None }, after).await?;
        }
        Command::Claim(which) => act(setup, which, Action::Claim).await?,
        Command::Release(which) => act(setup, which, Action::Release).await?,
        Command::Approve { which, text, text_file, intent, priority, queue } => {
            let text = text.map_or_else(|| read_text(text_file), |text| Ok(Some(text)))?;
            let route = Some(Reroute { intent, priority, queue }).filter(|route| *route != Reroute::default());
            act(setup, which, Action::Approve(Amended { text, route })).await?;
        }
        Command::Reject { which, reason } => {
            act(setup, which, Action::Reject { reason: RejectReason::meant(&reason), said: reason }).await?;
        }
        Command::Bulk { action, items, reason, dry_run } => {
            if action != BulkAction::Reject && reason.is_some() {
                bail!("only a rejection takes a --reason");
            }
            let said = reason.unwrap_or_default();
            let action = match action {
                BulkAction::Approve => Action::yes(),
                BulkAction::Undo => Action::Undo,
                BulkAction::Reject => Action::Reject { reason: RejectReason::meant(&said), said },
            };
            together(setup, action, items, dry_run).await?;
        }
        Command::Escalate { which, reason } => act(setup, which, Action::Escalate { said: reason }).await?,
        Command::Undo(which) => act(setup, which, Action::Undo).await?,
        Command::Stats => {
            let items: Vec<_> = setup.store()?.feedback(None).await?.iter().map(shapes::feedback).collect();
            let columns = ["workflow", "prompt_version", "kept", "edited", "rejected", "mean_distance", "reasons"];
            print_list(&setup.output, &json!({"items": items, "next_cursor": null}), &columns)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_text(file: Option<PathBuf>) -> Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(Some(text));
    }
    std::fs::read_to_string(&file).map(Some).with_context(|| format!("{} cannot be read", file.display()))
}

/// What the person at this terminal asks of a review.
fn asked(setup: &Setup, store: &Store, which: &Which, action: Action) -> Result<Act> {
    Ok(Act {
        review: which.id.clone(),
        version: which.version,
        person: setup.person(),
        action,
        lease_ms: setup.config()?.review.claim.ms(),
        now_ms: store.clock().now_ms(),
    })
}

async fn next(setup: &Setup, filter: QueueFilter, after: Option<String>) -> Result<()> {
    let store = setup.store()?;
    let any = Which { id: String::new(), version: None };
    match store.claim_next_review(asked(setup, &store, &any, Action::Claim)?, filter, after).await? {
        Some(review) => print_one(&setup.output, &shapes::review(&review)),
        None if setup.output.json => setup.output.json(&Value::Null),
        None => setup.output.line("nothing waits that you may decide"),
    }
}

async fn together(setup: &Setup, action: Action, items: Vec<(String, Option<i64>)>, dry_run: bool) -> Result<()> {
    let lease_ms = setup.config()?.review.claim.ms();
    let asked = DecideTogether::new(action, items, setup.person(), lease_ms).map_err(anyhow::Error::msg)?;
    let store = setup.store()?;
    let decided = match dry_run {
        true => asked.look(&store, &store.clock()).await?,
        false => asked.run(&store, &store.clock()).await?,
    };
    print_one(&setup.output, &shapes::decided_together(&decided))
}

async fn act(setup: &Setup, which: Which, action: Action) -> Result<()> {
    let store = setup.store()?;
    let act = asked(setup, &store, &which, action)?;
    match store.act_on_review(act).await? {
        None => bail!("there is no review {:?}; `frontdesk reviews list --state open` shows what waits", which.id),
        Some(Err(refused)) => bail!("{}: {refused}", which.id),
        Some(Ok(review)) => print_one(&setup.output, &shapes::review(&review)),
    }
}
