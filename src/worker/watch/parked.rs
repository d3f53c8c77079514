//! Deliveries without a job: what is told once, and what waits for a person.

use crate::domain::event::told_as;
use crate::store::{PARKED_COUNTED, RECEIVED, StoreError};
use crate::worker::Worker;

impl Worker {
    /// Makes a notice of each new one of a type that is told once; all others
    /// are a condition of their type until somebody dismisses them.
    pub(super) async fn look_at_parked(&self, now_ms: i64) -> Result<(), StoreError> {
        for notice in self.store.tell_parked(told_as, now_ms).await? {
            tracing::info!(notice = notice.kind, subject = notice.subject, detail = notice.event_type, "notice");
        }
        let parked = self.store.parked().await?;
        let waiting = parked.into_iter().filter(|parked| told_as(&parked.event_type).is_none());
        let conditions = waiting.map(|parked| (parked.event_type, format!("{} without a job", counted(parked.count))));
        self.tell_conditions(RECEIVED, conditions.collect(), now_ms).await
    }
}

fn counted(count: i64) -> String {
    match count {
        1 => "1 delivery".to_owned(),
        PARKED_COUNTED => format!("{count} deliveries or more"),
        _ => format!("{count} deliveries"),
    }
}
