//! Starting work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::Input;
use super::problem::Problem;
use crate::submit::SubmitError;

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

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Problem {
        let detail = error.to_string();
        match error {
            SubmitError::UnknownWorkflow { .. } | SubmitError::UnknownProject(_) => Problem::invalid(detail),
            SubmitError::Paused { .. } | SubmitError::NotPlanned(_) => Problem::conflict(detail),
            SubmitError::NoTicket(id) => Problem::not_found("ticket", &id),
            SubmitError::Store(error) => error.into(),
            SubmitError::NotStarted { .. } => Problem::new(502, "OpenAI did not accept it", detail),
            SubmitError::Unknown { .. } => Problem::new(504, "OpenAI did not answer", detail),
        }
    }
}
