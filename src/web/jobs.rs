//! Jobs: the back office's work, and what a person may do about a failed one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::deliveries::parse_state;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::person::Role;
use crate::shapes;
use crate::store::{Discarded, Retried};

/// The body may be left out when no reason is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: Option<String>,
}

/// Longest reason of a person, in characters: the audit trail keeps it for ever.
const MAX_REASON_CHARS: usize = 500;

/// The reason that somebody gave, which must say something.
pub(super) fn must_say_why(given: Option<Input<Reason>>, what: &str) -> Result<String, Problem> {
    let reason = given.and_then(|Input(Reason { reason })| reason);
    said(reason)?.ok_or_else(|| Problem::invalid(format!("a {what} needs a reason")))
}

/// A reason, if one was given: a line of a sane length.
pub(super) fn said(reason: Option<String>) -> Result<Option<String>, Problem> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let is_line =
        |reason: &String| reason.chars().nth(MAX_REASON_CHARS).is_none() && !reason.chars().any(char::is_control);
    match reason.as_ref().is_none_or(is_line) {
        true => Ok(reason),
        false => Err(Problem::invalid(format!("a reason is one line of at most {MAX_REASON_CHARS} characters"))),
    }
}

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let jobs = web.store.jobs(parse_state(query.status.as_deref())?, query.page()?).await?;
    Ok(Json(shapes::page(&jobs, shapes::job)))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    answer(&web, &id).await
}

/// What was changed on tickets for it, with receipts.
pub(super) async fn effects(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let unknown = || Problem::not_found("job", &id);
    let job = shapes::parse_job_id(&id).ok_or_else(unknown)?;
    if web.store.job(job).await?.is_none() {
        return Err(unknown());
    }
    let receipts = web.store.receipts_of_job(job).await?;
    let items: Vec<Value> = receipts.iter().map(shapes::receipt).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

pub(super) async fn retry(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Option<Input<Reason>>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let number = number(&id)?;
    let reason = said(given.and_then(|Input(Reason { reason })| reason))?;
    match web.store.retry_job(number, caller.person.name, reason, web.clock.now_ms()).await? {
        Retried::Queued => answer(&web, &id).await,
        Retried::NotFailed => Err(Problem::conflict("only a failed job can be retried")),
    }
}

pub(super) async fn discard(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Option<Input<Reason>>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let reason = must_say_why(given, "discard")?;
    match web.store.discard_job(number(&id)?, caller.person.name, reason, web.clock.now_ms()).await? {
        Discarded::Done => answer(&web, &id).await,
        Discarded::NotFailed => Err(Problem::conflict("only a failed job that is not discarded yet can be discarded")),
    }
}

fn number(id: &str) -> Result<i64, Problem> {
    shapes::parse_job_id(id).ok_or_else(|| Problem::not_found("job", id))
}

async fn answer(web: &Web, id: &str) -> Result<Json<Value>, Problem> {
    let job = web.store.job(number(id)?).await?.ok_or_else(|| Problem::not_found("job", id))?;
    Ok(Json(shapes::job(&job)))
}
