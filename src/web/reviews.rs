//! Reviews: what waits for a person. Deciding them is not in this version yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::Asked;
use super::problem::Problem;
use crate::shapes;

const STATES: [&str; 6] = ["open", "claimed", "approved", "rejected", "stale", "expired"];

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    if query.state.as_ref().is_some_and(|state| !STATES.contains(&state.as_str())) {
        return Err(Problem::invalid(format!("state must be one of {}", STATES.join(", "))));
    }
    Ok(Json(shapes::page(&web.store.reviews(query.state, page).await?, shapes::review)))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.store.review(id.clone()).await?.ok_or_else(|| Problem::not_found("review", &id))?;
    Ok(Json(shapes::review(&found)))
}
