//! Alerts: what people must hear of, and what was sent of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::Asked;
use super::problem::Problem;
use crate::shapes;

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    let open_only = match query.state.as_deref() {
        None | Some("open") => true,
        Some("all") => false,
        Some(_) => return Err(Problem::invalid("state must be open or all")),
    };
    Ok(Json(shapes::page(&web.store.alerts(open_only, page).await?, shapes::alert_with_sends)))
}
