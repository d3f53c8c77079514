//! Deliveries: what has come in, and where each stands.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::Asked;
use super::problem::Problem;
use crate::domain::job;
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

/// A state by its word; none when none is asked for.
pub(super) fn parse_state(word: Option<&str>) -> Result<Option<job::State>, Problem> {
    let Some(word) = word else { return Ok(None) };
    let known = || job::State::ALL.map(job::State::word).join(", ");
    job::State::parse(word).map(Some).ok_or_else(|| Problem::invalid(format!("status must be one of {}", known())))
}
