//! Raises an alert when claimable work gets old: silence is the worst failure,
//! so the age of the oldest is watched, not the number of errors. Beside it,
//! what else waits for a person: parked deliveries, reviews, change-sets and
//! pauses.

mod batches;
mod parked;
mod pauses;
mod reviews;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::job::State;
use crate::store::StoreError;
use crate::telemetry::trouble;

/// Shortest and longest time between two looks, in ms.
const LOOK_EVERY_MS: (i64, i64) = (1_000, 15_000);
const OVERDUE: &str = "overdue";
const UNKNOWN_PROJECT: &str = "unknown_project";

impl Worker {
    /// Looks every so often until told to stop.
    pub(super) async fn watch_age(self: Arc<Worker>, stop: CancellationToken) {
        // Somebody who wants to hear of a short wait must not wait long to hear.
        let every_ms = (self.settings.overdue_ms / 60).clamp(LOOK_EVERY_MS.0, LOOK_EVERY_MS.1).unsigned_abs();
        loop {
            self.watch().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(every_ms)) => {}
            }
        }
    }

    /// Looks once; the loop does so at least every 15 s.
    pub async fn watch(&self) {
        let now_ms = self.clock.now_ms();
        if let Err(error) = self.store.sample(now_ms).await {
            trouble!(error, "how far things have come could not be written down");
        }
        if let Err(error) = self.look_for_strays(now_ms).await {
            trouble!(error, "jobs of unknown projects could not be looked for");
        }
        if let Err(error) = self.look_at_parked(now_ms).await {
            trouble!(error, "deliveries without a job could not be watched");
        }
        if let Err(error) = self.look_at_reviews(now_ms).await {
            trouble!(error, "the age of reviews could not be watched");
        }
        if let Err(error) = self.look_at_batches(now_ms).await {
            trouble!(error, "the age of batches could not be watched");
        }
        if let Err(error) = self.look_at_pauses(now_ms).await {
            trouble!(error, "the age of pauses could not be watched");
        }
        // While OpenAI refuses us there is an alert that says so; work that waits
        // for it is not a second fault.
        if self.projects.values().any(|project| project.gate.is_shut()) {
            return;
        }
        let Ok(counts) = self.store.counts().await else { return };
        let oldest =
            counts.states.iter().filter(|count| count.state == State::Queued).find_map(|count| count.oldest_ms);
        let late_ms = oldest.map_or(0, |since| now_ms - since);
        let detail = (late_ms > self.settings.overdue_ms)
            .then(|| format!("the oldest queued job has waited {} s", late_ms / 1000));
        if let Err(error) = self.tell_condition(OVERDUE, "queue", detail, now_ms).await {
            trouble!(error, "the age of the queue could not be watched");
        }
    }

    /// Jobs of a project that is not in the configuration any more: nobody would
    /// ever claim them.
    async fn look_for_strays(&self, now_ms: i64) -> Result<(), StoreError> {
        let open = self.store.projects_with_open_jobs().await?;
        for project in open.iter().filter(|project| !self.projects.contains_key(*project)) {
            let detail = "jobs wait for a project that is not in the configuration".to_owned();
            self.tell_condition(UNKNOWN_PROJECT, project, Some(detail), now_ms).await?;
        }
        for project in self.projects.keys() {
            self.tell_condition(UNKNOWN_PROJECT, project, None, now_ms).await?;
        }
        Ok(())
    }

    /// Says which conditions of a kind there are, and logs what is news.
    pub(super) async fn tell_conditions(
        &self,
        kind: &'static str,
        conditions: Vec<(String, String)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let changed = self.store.set_conditions(kind, conditions, now_ms).await?;
        for (subject, detail) in changed.opened {
            tracing::error!(alert = kind, subject, detail, "alert");
        }
        for subject in changed.closed {
            tracing::warn!(alert = kind, subject, "recovered");
        }
        Ok(())
    }

    /// Opens or closes the alert of a condition, and says so when that is news.
    pub(super) async fn tell_condition(
        &self,
        kind: &'static str,
        subject: &str,
        detail: Option<String>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        match detail {
            Some(detail) => {
                if self.store.raise_alert(kind, subject.to_owned(), detail.clone(), now_ms).await? {
                    tracing::error!(alert = kind, subject, detail, "alert");
                }
            }
            None => {
                if self.store.close_alert(kind, subject.to_owned(), now_ms).await? {
                    tracing::warn!(alert = kind, subject, "recovered");
                }
            }
        }
        Ok(())
    }
}
