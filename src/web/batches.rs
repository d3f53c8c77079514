//! Batches: what people see of one, and what they decide. Starting one writes
//! down that it is wanted; a decision queues jobs. No ticket is touched here.

mod export;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use export::{csv, jsonl};

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::batch::acts::{Act, Refused};
use crate::domain::batch::{self, Filter, Origin, Select, Wanted};
use crate::domain::person::Role;
use crate::domain::wait::Wait;
use crate::shapes;
use crate::store::{Batch, BatchAct, Page};
use crate::submit::AskBatch;

/// A list of 50,000 ids of the longest kind, with room for spaces, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Lines to read when nothing else is asked for, and at most.
const SAMPLE: (usize, usize) = (5, 50);

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    let state = match query.state.as_deref() {
        None => None,
        Some(word) => Some(batch::State::parse(word).ok_or_else(unknown_state)?),
    };
    Ok(Json(shapes::page(&web.store.batches(state, page).await?, shapes::batch)))
}

fn unknown_state() -> Problem {
    Problem::invalid(format!("state must be one of {}", batch::State::ALL.map(batch::State::word).join(", ")))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shapes::batch(&named(&web, &id).await?)))
}

/// By our id or one of OpenAI's.
async fn named(web: &Web, id: &str) -> Result<Batch, Problem> {
    web.store.batch(id.to_owned()).await?.ok_or_else(|| Problem::not_found("batch", id))
}

/// In the order of the files.
pub(super) async fn lines(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
    Asked(query): Asked,
) -> Result<Json<Value>, Problem> {
    let (page, outcome) = (query.page()?, outcome(query.outcome)?);
    let batch = named(&web, &id).await?;
    let after = page.cursor.unwrap_or(0);
    let mut items = web.store.batch_lines(batch.id, outcome, after, page.limit + 1).await?;
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = items.last().map(|line| line.number).filter(|_| more);
    Ok(Json(shapes::page(&Page { items, next }, shapes::batch_line)))
}

fn outcome(word: Option<String>) -> Result<Option<String>, Problem> {
    match word {
        Some(word) if !batch::outcomes().contains(&word.as_str()) => {
            Err(Problem::invalid(format!("outcome must be one of {}", batch::outcomes().join(", "))))
        }
        word => Ok(word),
    }
}

/// A few lines to read before deciding.
pub(super) async fn sample(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
    Asked(query): Asked,
) -> Result<Json<Value>, Problem> {
    let limit = query.limit_or(SAMPLE.0, SAMPLE.1)?;
    let batch = named(&web, &id).await?;
    let sampled = web.trial.sample(&web.store, &batch, limit).await?;
    let items: Vec<Value> = sampled.iter().map(shapes::batch_sample).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

/// Which tickets: a list of them, or a filter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBatch {
    workflow: String,
    ticket_ids: Option<Vec<String>>,
    filter: Option<Filtered>,
    cap: Option<i64>,
    budget_tokens: Option<i64>,
    project: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filtered {
    status: Option<String>,
    queue: Option<String>,
    tag: Option<String>,
    older_than: Option<Wait>,
    newer_than: Option<Wait>,
    #[serde(default)]
    unclassified: bool,
}

impl NewBatch {
    fn select(&mut self) -> Result<Select, Problem> {
        match (self.ticket_ids.take(), self.filter.take()) {
            (Some(ids), None) => Ok(Select::Tickets(ids)),
            (None, Some(filter)) => filter.checked(),
            _ => Err(Problem::invalid("say which tickets: either ticket_ids or a filter")),
        }
    }
}

impl Filtered {
    /// Every ticket there is must not be what an empty filter finds.
    fn checked(self) -> Result<Select, Problem> {
        let filter = Filter {
            status: self.status,
            queue: self.queue,
            tag: self.tag,
            older_than_ms: self.older_than.map(Wait::ms),
            newer_than_ms: self.newer_than.map(Wait::ms),
            unclassified: self.unclassified,
        };
        if filter == Filter::default() {
            return Err(Problem::invalid("the filter is empty: say at least one thing, as \"status\": \"open\""));
        }
        Ok(Select::Filter(filter))
    }
}

pub(super) async fn create(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(mut new): Input<NewBatch>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must_be(Role::Lead)?;
    let select = new.select()?;
    let ask = AskBatch {
        project: new.project.unwrap_or_else(|| web.default_project.clone()),
        workflow: new.workflow,
        wanted: Wanted { select, cap: new.cap, budget_tokens: new.budget_tokens },
        actor: caller.person.name,
        origin: Origin::Person,
    };
    let id = web.submitter.submit_batch(ask).await?;
    Ok((StatusCode::ACCEPTED, Json(shapes::batch(&named(&web, &id).await?))))
}

/// What every act says: which version the person looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    version: i64,
    #[serde(default)]
    reason: Option<String>,
}

type Acted = Result<Json<Value>, Problem>;

pub(super) async fn apply(web: State<Arc<Web>>, caller: Caller, id: Path<String>, given: Input<Decision>) -> Acted {
    act(&web, caller, &id, given.0.version, Act::Apply).await
}

pub(super) async fn reject(web: State<Arc<Web>>, caller: Caller, id: Path<String>, given: Input<Decision>) -> Acted {
    act(&web, caller, &id, given.0.version, Act::Reject { reason: given.0.reason }).await
}

pub(super) async fn pause(web: State<Arc<Web>>, caller: Caller, id: Path<String>, given: Input<Decision>) -> Acted {
    act(&web, caller, &id, given.0.version, Act::Pause { reason: given.0.reason }).await
}

pub(super) async fn resume(web: State<Arc<Web>>, caller: Caller, id: Path<String>, given: Input<Decision>) -> Acted {
    act(&web, caller, &id, given.0.version, Act::Resume).await
}

pub(super) async fn undo(web: State<Arc<Web>>, caller: Caller, id: Path<String>, given: Input<Decision>) -> Acted {
    act(&web, caller, &id, given.0.version, Act::Undo).await
}

async fn act(web: &Web, caller: Caller, id: &str, version: i64, act: Act) -> Acted {
    caller.must_be(Role::Lead)?;
    let asked = BatchAct {
        batch: id.to_owned(),
        version: Some(version),
        person: caller.person,
        act,
        now_ms: web.clock.now_ms(),
    };
    match web.store.act_on_batch(asked).await? {
        None => Err(Problem::not_found("batch", id)),
        Some(Err(refused)) => Err(refused.into()),
        Some(Ok(batch)) => Ok(Json(shapes::batch(&batch))),
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let detail = refused.to_string();
        if refused.is_invalid() { Problem::invalid(detail) } else { Problem::conflict(detail) }
    }
}
