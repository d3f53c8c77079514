//! Retry or discard many failed jobs.

use super::STEP;
use crate::clock::Clock;
use crate::domain::failure::Cause;
use crate::store::{FailedFilter, FailedJobs, Remedy, Store, StoreError};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Which jobs.
    pub filter: FailedFilter,
    /// What is done about them.
    pub remedy: Remedy,
    /// How many at most; none: all that match.
    pub limit: Option<usize>,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct BulkDone {
    /// What matched when it began.
    pub found: FailedJobs,
    /// How many it was done to.
    pub done: usize,
}

impl Bulk {
    /// What it would find.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look(&self, store: &Store) -> Result<BulkDone, StoreError> {
        Ok(BulkDone { found: store.failed_jobs(self.filter.clone()).await?, done: 0 })
    }

    /// Does it. `progress` hears how many are done after each step.
    ///
    /// # Errors
    /// When a step could not be committed; the steps before it are done, and the
    /// rest can be done by asking again.
    pub async fn run(
        &self,
        store: &Store,
        clock: &Clock,
        actor: &str,
        mut progress: impl FnMut(&BulkDone),
    ) -> Result<BulkDone, StoreError> {
        let mut bulk = self.look(store).await?;
        // What fails meanwhile is not among them, or it would go round for ever.
        let end_ms = clock.now_ms().saturating_add(1);
        let until_ms = Some(self.filter.until_ms.map_or(end_ms, |until| until.min(end_ms)));
        let filter = FailedFilter { until_ms, ..self.filter.clone() };
        let mut after = None;
        loop {
            let room = self.limit.map_or(STEP, |limit| limit.saturating_sub(bulk.done).min(STEP));
            if room == 0 {
                return Ok(bulk);
            }
            let step =
                store.remedy_some(filter.clone(), self.remedy.clone(), actor.to_owned(), after, room, clock.now_ms());
            let step = step.await?;
            bulk.done += step.jobs.len();
            progress(&bulk);
            match step.next {
                Some(next) => after = Some(next),
                None => return Ok(bulk),
            }
        }
    }
}

/// Refuses a cause that there is not: it would match nothing, and look like good news.
///
/// # Errors
/// With all the causes there are.
pub fn known_cause(code: &str) -> Result<(), String> {
    match Cause::parse(code) {
        Some(_) => Ok(()),
        None => Err(format!("there is no cause {code:?}; causes are {}", Cause::ALL.map(Cause::code).join(", "))),
    }
}
