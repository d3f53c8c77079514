//! Starting work, and looking after what was started.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::person::Role;
use crate::domain::submission;
use crate::shapes;
use crate::store::Closed;
use crate::submit::SubmitError;

/// Longest reason of a person.
const MAX_REASON_CHARS: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWork {
    workflow: String,
    ticket_id: String,
    project: Option<String>,
}

pub(super) async fn create(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(new): Input<NewWork>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let project = new.project.as_deref().unwrap_or(&web.default_project);
    let started = web.submitter.submit(project, &new.workflow, &new.ticket_id, &caller.person.name).await?;
    let body = json!({"submission_id": started.submission_id, "resource_id": started.resource_id});
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// Why one is closed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    let state = match query.state.as_deref() {
        None => None,
        Some(word) => Some(submission::State::parse(word).ok_or_else(unknown_state)?),
    };
    let submissions = web.store.submissions(state, query.ticket, page).await?;
    Ok(Json(shapes::page(&submissions, shapes::submission)))
}

fn unknown_state() -> Problem {
    let states = submission::State::ALL.map(submission::State::word).join(", ");
    Problem::invalid(format!("state must be one of {states}"))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.store.submission(id.clone()).await?.ok_or_else(|| Problem::not_found("submission", &id))?;
    Ok(Json(shapes::submission(&found)))
}

/// A person gives up on one that hangs.
pub(super) async fn close(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
    Input(Reason { reason }): Input<Reason>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    if reason.trim().is_empty() || reason.chars().count() > MAX_REASON_CHARS {
        return Err(Problem::invalid(format!("say why, in up to {MAX_REASON_CHARS} characters")));
    }
    match web.store.close_submission(id.clone(), caller.person.name.clone(), reason, web.clock.now_ms()).await? {
        Closed::Done => show(State(web), caller, Path(id)).await,
        Closed::NotHanging => Err(Problem::conflict("it has ended, or is under way and within its deadline")),
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        let detail = error.to_string();
        match error {
            SubmitError::UnknownWorkflow { .. } | SubmitError::UnknownProject(_) | SubmitError::BadBatch(_) => {
                Problem::invalid(detail)
            }
            SubmitError::Paused { .. } | SubmitError::NotPlanned(_) => Problem::conflict(detail),
            SubmitError::NoTicket(id) => Problem::not_found("ticket", &id),
            SubmitError::Store(error) => error.into(),
            SubmitError::Helpdesk(_) => Problem::new(502, "The helpdesk did not answer", detail),
            SubmitError::NotStarted { .. } => Problem::new(502, "OpenAI did not accept it", detail),
            SubmitError::Unknown { .. } => Problem::new(504, "OpenAI did not answer", detail),
        }
    }
}
