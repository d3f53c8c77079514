//! Reviews that nobody has decided for too long.

use crate::clock::rfc3339;
use crate::store::StoreError;
use crate::worker::Worker;

const REVIEW_OVERDUE: &str = "review_overdue";

impl Worker {
    /// One condition a project, by the age of the oldest.
    pub(super) async fn look_at_reviews(&self, now_ms: i64) -> Result<(), StoreError> {
        let waiting = self.store.reviews_waiting_since(now_ms - self.settings.review_overdue_ms).await?;
        let conditions = waiting.into_iter().map(|(project, count, oldest_ms)| {
            let waits = if count == 1 { "1 review waits".to_owned() } else { format!("{count} reviews wait") };
            (project, format!("{waits} too long, the oldest since {}", rfc3339(oldest_ms)))
        });
        self.tell_conditions(REVIEW_OVERDUE, conditions.collect(), now_ms).await
    }
}
