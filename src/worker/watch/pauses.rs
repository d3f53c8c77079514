//! Pauses that somebody may have forgotten: what waits for them is not late by
//! itself, so nothing else would say it.

use crate::store::StoreError;
use crate::worker::Worker;

const PAUSED: &str = "paused";

impl Worker {
    /// One condition a pause that is older than work may wait.
    pub(super) async fn look_at_pauses(&self, now_ms: i64) -> Result<(), StoreError> {
        let pauses = self.store.pauses().await?;
        let old = pauses.iter().filter(|pause| now_ms - pause.since_ms > self.settings.overdue_ms);
        let conditions = old.map(|pause| {
            let (kind, name) = pause.what.words();
            (format!("{kind}/{name}"), format!("paused by {}, and still so; what needs it waits", pause.actor))
        });
        self.tell_conditions(PAUSED, conditions.collect(), now_ms).await
    }
}
