//! Raises an alert when claimable work gets old: silence is the worst failure,
//! so the age of the oldest is watched, not the number of errors.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::job::State;

const LOOK_EVERY: Duration = Duration::from_secs(15);
const KIND: &str = "overdue";
const SUBJECT: &str = "queue";

impl Worker {
    /// Looks every so often until told to stop.
    pub(super) async fn watch_age(self: Arc<Worker>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.look_at_age().await,
            }
        }
    }

    async fn look_at_age(&self) {
        let now_ms = self.clock.now_ms();
        let Ok(counts) = self.store.counts().await else { return };
        let oldest =
            counts.states.iter().filter(|count| count.state == State::Queued).find_map(|count| count.oldest_ms);
        let late_ms = oldest.map_or(0, |since| now_ms - since);
        let told = if late_ms > self.settings.overdue_ms {
            let detail = format!("the oldest queued job has waited {} s", late_ms / 1000);
            self.store
                .raise_alert(KIND, SUBJECT.to_owned(), detail, now_ms)
                .await
                .map(|new| new.then_some("alert: queued work is overdue"))
        } else {
            self.store
                .close_alert(KIND, SUBJECT.to_owned(), now_ms)
                .await
                .map(|was_open| was_open.then_some("recovered: queued work is on time"))
        };
        match told {
            Ok(Some(news)) => tracing::error!(alert = KIND, late_s = late_ms / 1000, "{news}"),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the age of the queue could not be watched"),
        }
    }
}
