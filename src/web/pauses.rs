//! Pauses, and the audit trail: what people who operate do and did.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::jobs::said;
use super::problem::Problem;
use crate::domain::person::Role;
use crate::shapes;
use crate::store::Pausable;

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller) -> Result<Json<Value>, Problem> {
    let items: Vec<Value> = web.store.pauses().await?.iter().map(shapes::pause).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPause {
    kind: String,
    name: String,
    reason: String,
}

pub(super) async fn create(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(new): Input<NewPause>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must_be(Role::Lead)?;
    let what = Pausable::parse(&new.kind, &new.name).ok_or_else(|| Problem::invalid(KINDS))?;
    if let Pausable::Workflow(name) = &what {
        let workflows = web.submitter.workflows();
        if workflows.named(name).is_none() {
            let known: Vec<&str> = workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
            return Err(Problem::invalid(format!("there is no such workflow; there are: {}", known.join(", "))));
        }
    }
    let reason = said(Some(new.reason))?.ok_or_else(|| Problem::invalid("a pause needs a reason"))?;
    if !web.store.pause(what.clone(), caller.person.name, reason, web.clock.now_ms()).await? {
        return Err(Problem::conflict("it is paused already"));
    }
    let pauses = web.store.pauses().await?;
    let made = pauses.iter().find(|pause| pause.what == what).map_or(Value::Null, shapes::pause);
    Ok((StatusCode::CREATED, Json(made)))
}

const KINDS: &str = "kind and name must be workflow and its name, or dependency and openai or helpdesk";

pub(super) async fn end(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    caller.must_be(Role::Lead)?;
    let what = Pausable::parse(&kind, &name).ok_or_else(|| Problem::not_found("pause", &format!("{kind}/{name}")))?;
    match web.store.resume(what, caller.person.name, web.clock.now_ms()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("pause", &format!("{kind}/{name}"))),
    }
}

pub(super) async fn trail(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Asked(query): Asked,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let page = query.page()?;
    Ok(Json(shapes::page(&web.store.audit_trail(query.subject, query.actor, page).await?, shapes::entry)))
}
