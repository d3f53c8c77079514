//! "Where is my summary?", and the counts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::problem::Problem;
use crate::shapes;
use crate::store::AuditAt;

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let trail = web
        .store
        .trail(id.clone())
        .await?
        .ok_or_else(|| Problem::not_found("ticket, response, batch, event or delivery", &id))?;
    Ok(Json(shapes::why(&id, &trail, Some(&web.trial.policy), web.clock.now_ms())))
}

pub(super) async fn stats(State(web): State<Arc<Web>>, _: Caller) -> Result<Json<Value>, Problem> {
    let (counts, alerts) = (web.store.counts().await?, web.store.open_alerts().await?);
    Ok(Json(shapes::stats(&counts, &alerts, web.clock.now_ms())))
}

/// What ended silently, if anything did.
pub(super) async fn audit(State(web): State<Arc<Web>>, _: Caller) -> Result<Json<Value>, Problem> {
    let at = AuditAt { now_ms: web.clock.now_ms(), overdue_ms: web.overdue_ms };
    Ok(Json(shapes::audit(&web.store.audit(at).await?)))
}
