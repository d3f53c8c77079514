//! The production checklist, for people who do not have a terminal on the machine.

use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use tokio::sync::Mutex;

use super::Web;
use super::access::Caller;
use super::problem::Problem;
use crate::domain::person::Role;

/// It asks OpenAI and sends itself a delivery: not more often than this, in ms.
const KEPT_MS: i64 = 30_000;

/// Goes through the checklist.
pub type Examine = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync>;

/// The checklist, and how it was last.
pub struct Checklist {
    examine: Examine,
    last: Mutex<Option<(i64, Value)>>,
}

impl Checklist {
    /// One that `examine` goes through.
    #[must_use]
    pub fn new(examine: Examine) -> Checklist {
        Checklist { examine, last: Mutex::new(None) }
    }
}

pub(super) async fn show(State(web): State<Arc<Web>>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    // Held meanwhile: whoever else asks gets the same answer.
    let mut last = web.checklist.last.lock().await;
    let now_ms = web.clock.now_ms();
    if let Some((at_ms, found)) = &*last
        && now_ms - at_ms < KEPT_MS
    {
        return Ok(Json(found.clone()));
    }
    let found = (web.checklist.examine)().await;
    *last = Some((now_ms, found.clone()));
    Ok(Json(found))
}
