//! The production checklist, for people who do not have a terminal on the machine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use tokio::sync::Mutex;

use super::Web;
use super::access::Caller;
use super::problem::Problem;
use crate::clock::Clock;
use crate::domain::person::Role;

/// It asks OpenAI and sends itself a delivery: not more often than this, in ms.
const KEPT_MS: i64 = 30_000;

/// Longest time that one examination is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Goes through the checklist; none when that could not be done to the end.
pub type Examine = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Value>> + Send>> + Send + Sync>;

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

    /// What was found lately, or is found now.
    async fn found(&self, clock: &Clock) -> Option<Value> {
        // Held meanwhile: whoever else asks gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((at_ms, found)) = &*last
            && clock.now_ms() - at_ms < KEPT_MS
        {
            return Some(found.clone());
        }
        let found = tokio::time::timeout(PATIENCE, (self.examine)()).await.ok()??;
        *last = Some((clock.now_ms(), found.clone()));
        Some(found)
    }
}

pub(super) async fn show(State(web): State<Arc<Web>>, caller: Caller) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    // On a task of its own: whoever goes away meanwhile leaves the lock with it, and
    // the next one does not begin a second examination.
    let found = tokio::spawn(async move { web.checklist.found(&web.clock).await }).await;
    found.ok().flatten().map(Json).ok_or_else(|| {
        Problem::new(
            503,
            "Not examined",
            "the checklist could not be gone through; run `frontdesk doctor` on the machine",
        )
    })
}
