//! Erasing the content of one ticket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::Input;
use super::problem::Problem;
use crate::domain::person::Role;
use crate::shapes;
use crate::store::Erasure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

pub(super) async fn ticket(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
    Input(Reason { reason }): Input<Reason>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Admin)?;
    let asked = Erasure::new(id.clone(), caller.person.name, reason, web.clock.now_ms())
        .ok_or_else(|| Problem::invalid("the reason must have 1 to 500 characters on one line"))?;
    let erased = match web.store.erase_ticket(asked).await? {
        Ok(erased) => erased,
        Err(refused) => {
            return Err(
                shapes::moving_jobs(&refused).map_or_else(|| Problem::not_found("ticket", &id), Problem::conflict)
            );
        }
    };
    tracing::info!(ticket = id, "the content of a ticket was erased");
    let scrubbed = web.store.scrub(false).await.map_err(|error| {
        tracing::error!(ticket = id, %error, "old bytes of an erased ticket may be left in the database file");
        Problem::new(503, "Not now", "the content is erased, but old bytes may be left in the file; ask again")
    })?;
    Ok(Json(shapes::erased(&erased, scrubbed)))
}
