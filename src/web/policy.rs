//! The policy in force, and trying it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::Input;
use super::problem::Problem;
use crate::domain::ticket::Ticket;
use crate::shapes;
use crate::trial::GivenTicket;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestInput {
    workflow: Option<String>,
    ticket_id: Option<String>,
    ticket: Option<GivenTicket>,
    output: String,
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
