//! Begins the batches whose time has come.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::domain::batch::Origin;
use crate::domain::batch::schedule::Schedule;
use crate::domain::id::effect_ref;
use crate::domain::submission::Kind;
use crate::store::{Duty, Fire, NewBatch, Scheduled, StoreError};
use crate::telemetry::trouble;

/// So late a batch may begin.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Worker {
    /// Looks every so often until told to stop.
    pub(super) async fn schedule_until(self: Arc<Worker>, stop: CancellationToken) {
        while !self.settings.schedules.is_empty() {
            // Each step is one transaction: it may be dropped between two. A panic
            // ends this look and not the looking.
            let look = AssertUnwindSafe(self.leading(Duty::Schedules, LOOK_EVERY, self.begin_due())).catch_unwind();
            tokio::select! {
                () = stop.cancelled() => return,
                done = look => match done {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => trouble!(error, "schedules could not be looked at; trying again"),
                    Err(_) => tracing::error!("looking at schedules panicked; trying again"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks once; returns how many batches this process began.
    ///
    /// # Errors
    /// When the database could not be read or written.
    pub async fn begin_due(&self) -> Result<usize, StoreError> {
        let known = self.store.schedules().await?;
        let mut begun = 0;
        for schedule in &self.settings.schedules {
            let seen = known.iter().find(|seen| seen.name == schedule.name && seen.stated == schedule.when.stated());
            begun += usize::from(match seen {
                Some(seen) => self.begin_if_due(schedule, seen).await?,
                None => self.note_times(schedule).await?,
            });
        }
        Ok(begun)
    }

    /// One that is new, or has other times than before, is not due for what has
    /// been.
    async fn note_times(&self, schedule: &Schedule) -> Result<bool, StoreError> {
        let next_ms = schedule.when.next_ms(self.clock.now_ms()).unwrap_or(i64::MAX);
        self.store.note_schedule(schedule.name.clone(), schedule.when.stated().to_owned(), next_ms).await?;
        Ok(false)
    }

    async fn begin_if_due(&self, schedule: &Schedule, seen: &Scheduled) -> Result<bool, StoreError> {
        let now_ms = self.clock.now_ms();
        if seen.next_at_ms > now_ms {
            return Ok(false);
        }
        let due = schedule.when.due(seen.next_at_ms, now_ms);
        let begins = due.now.map(|due_ms| (due_ms, self.batch_of(schedule, due_ms, now_ms)));
        let (name, batch) = (&schedule.name, begins.as_ref().map(|(_, batch)| batch.id.clone()));
        let fire = Fire { seen: seen.clone(), next_at_ms: due.next_ms, begins };
        let moved = self.store.fire_schedule(fire, now_ms).await?;
        match &batch {
            Some(batch) if moved => tracing::info!(schedule = name, batch, "a batch begins by the clock"),
            None if moved => tracing::warn!(schedule = name, "missed for too long; it is not made up"),
            _ => {}
        }
        Ok(moved && batch.is_some())
    }

    /// Its id follows from the schedule and the time: the same in every process.
    fn batch_of(&self, schedule: &Schedule, due_ms: i64, now_ms: i64) -> NewBatch {
        let workflow = self.workflows.named(&schedule.workflow);
        let reference = effect_ref(&schedule.project, &schedule.name, &due_ms.to_string(), "schedule");
        NewBatch {
            id: reference.replacen("fd_", "bat_", 1),
            project: schedule.project.clone(),
            workflow: schedule.workflow.clone(),
            prompt_version: workflow.map(|workflow| workflow.prompt_version.clone()).unwrap_or_default(),
            origin: Origin::Schedule,
            actor: format!("schedule {}", schedule.name),
            wanted: schedule.wanted.clone(),
            again_of: None,
            deadline_ms: self.settings.patience.deadline_at_ms(Kind::Batch, now_ms),
        }
    }
}
