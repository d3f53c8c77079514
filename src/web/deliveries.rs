//! Deliveries: what has come in, and where each stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::jobs::{Reason, must_say_why};
use super::problem::Problem;
use crate::domain::job;
use crate::domain::person::Role;
use crate::shapes;
use crate::store::DeliveryFilter;

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    let filter =
        DeliveryFilter { status: parse_state(query.status.as_deref())?, event_type: query.kind, text: query.q };
    let deliveries = web.store.deliveries(filter, page).await?;
    Ok(Json(shapes::page(&deliveries, shapes::delivery)))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.store.delivery(id.clone()).await?.ok_or_else(|| Problem::not_found("delivery", &id))?;
    Ok(Json(shapes::delivery(&found)))
}

/// The raw event. Every look at one is in the audit trail.
pub(super) async fn body(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Admin)?;
    let found = web.store.body_of_delivery(id.clone(), caller.person.name, web.clock.now_ms()).await?;
    Ok(Json(shapes::body(&id, &found.ok_or_else(|| Problem::not_found("delivery", &id))?)))
}

/// Puts a parked delivery away: somebody has seen it.
pub(super) async fn dismiss(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
    given: Option<Input<Reason>>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let reason = must_say_why(given, "dismissal")?;
    if !web.store.dismiss_delivery(id.clone(), caller.person.name, reason, web.clock.now_ms()).await? {
        return Err(Problem::conflict("only a delivery without a job that is not dismissed yet can be dismissed"));
    }
    let found = web.store.delivery(id.clone()).await?.ok_or_else(|| Problem::not_found("delivery", &id))?;
    Ok(Json(shapes::delivery(&found)))
}

/// A state by its word; none when none is asked for.
pub(super) fn parse_state(word: Option<&str>) -> Result<Option<job::State>, Problem> {
    let Some(word) = word else { return Ok(None) };
    let known = || job::State::ALL.map(job::State::word).join(", ");
    job::State::parse(word).map(Some).ok_or_else(|| Problem::invalid(format!("status must be one of {}", known())))
}
