//! The policy in force, and trying it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::Input;
use super::problem::Problem;
use crate::domain::person::Role;
use crate::domain::policy::Policy;
use crate::domain::ticket::Ticket;
use crate::domain::wait::Wait;
use crate::shapes;
use crate::trial::{GivenTicket, Trial};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestInput {
    workflow: Option<String>,
    ticket_id: Option<String>,
    ticket: Option<GivenTicket>,
    output: String,
}

/// Which policy, over how much of the past.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayInput {
    /// Instead of the one in force.
    text: Option<String>,
    since: Option<Wait>,
    limit: Option<usize>,
}

/// How far back, in ms, and how many decisions, unless somebody says so.
const REPLAYED: (i64, usize) = (7 * 86_400_000, 1_000);

/// What a policy would have changed on past decisions. Changes nothing.
pub(super) async fn replay(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(input): Input<ReplayInput>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let limit = input.limit.unwrap_or(REPLAYED.1);
    if !(1..=10_000).contains(&limit) {
        return Err(Problem::invalid("limit must be between 1 and 10000"));
    }
    let since_ms = web.clock.now_ms() - input.since.map_or(REPLAYED.0, Wait::ms);
    let trial = match input.text {
        None => web.trial.clone(),
        Some(text) => {
            let names: Vec<&str> = web.trial.workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
            let policy = Policy::read(&text, &names).map_err(|error| match error.line {
                Some(line) => Problem::invalid(format!("line {line}: {}", error.text)),
                None => Problem::invalid(error.text),
            })?;
            Trial { policy: Arc::new(policy), ..web.trial.clone() }
        }
    };
    Ok(Json(json!(trial.replay(&web.store, since_ms, limit).await?)))
}

pub(super) async fn workflows(State(web): State<Arc<Web>>, _: Caller) -> Json<Value> {
    let items: Vec<Value> = web.trial.workflows.all().iter().map(shapes::workflow).collect();
    Json(json!({"items": items, "next_cursor": null}))
}

pub(super) async fn workflow(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.trial.workflows.named(&name).ok_or_else(|| Problem::not_found("workflow", &name))?;
    Ok(Json(shapes::workflow(found)))
}

pub(super) async fn show(State(web): State<Arc<Web>>, _: Caller) -> Json<Value> {
    Json(shapes::policy(&web.trial.policy))
}

/// Changes nothing, and shows only what the caller may read anyway.
pub(super) async fn test(
    State(web): State<Arc<Web>>,
    _: Caller,
    Input(input): Input<TestInput>,
) -> Result<Json<Value>, Problem> {
    let ticket: Ticket = match (input.ticket_id, input.ticket) {
        (Some(id), None) => {
            let found = web.store.ticket(id.clone()).await?.ok_or_else(|| Problem::not_found("ticket", &id))?;
            found.for_deciding()
        }
        (None, Some(given)) => given.into(),
        _ => return Err(Problem::invalid("name one ticket: ticket_id, or ticket with its messages")),
    };
    let workflow = input.workflow.as_deref().unwrap_or("draft_reply");
    let tried = web.trial.on(workflow, &ticket, &input.output).map_err(Problem::invalid)?;
    Ok(Json(json!(tried)))
}
