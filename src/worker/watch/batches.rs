//! Change-sets that nobody has decided for too long.

use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::worker::Worker;

const BATCH_WAITING: &str = "batch_waiting";

impl Worker {
    /// One condition a batch, until somebody applies or rejects it.
    pub(super) async fn look_at_batches(&self, now_ms: i64) -> Result<(), StoreError> {
        let waiting = self.store.batches_waiting_since(now_ms - self.settings.review_overdue_ms).await?;
        let conditions = waiting.into_iter().map(|(id, lines, since_ms)| {
            let tickets = if lines == 1 { "1 ticket".to_owned() } else { format!("{lines} tickets") };
            (id, format!("a change-set of {tickets} waits for a decision since {}", rfc3339(since_ms)))
        });
        self.tell_conditions(BATCH_WAITING, conditions.collect(), now_ms).await
    }
}
