//! What one process does for all.

use std::time::Duration;

use super::Worker;
use crate::store::{Duty, StoreError};

impl Worker {
    /// Does a duty that is looked at every so often, if this process leads in it
    /// or nobody does. None when another one leads. The lease outlives the time
    /// to the next look by a job's lease: when this process dies, another leads
    /// by then.
    pub(super) async fn leading<T>(
        &self,
        duty: Duty,
        every: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let lease_ms = every_ms.saturating_add(self.settings.lease_ms);
        if !self.store.lead(duty, self.settings.name.clone(), lease_ms, self.clock.now_ms()).await? {
            return Ok(None);
        }
        work.await.map(Some)
    }
}
