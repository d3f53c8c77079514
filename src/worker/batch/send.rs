//! Starts a part at OpenAI: once, as far as that can be known. Starting has no
//! key that would make repeating harmless there, so after a call of unknown
//! outcome we look before we ask again.

use std::collections::BTreeMap;

use super::build::Work;
use super::pick::ENDPOINT;
use crate::domain::failure::{Cause, Failure};
use crate::domain::submission::{Kind, SUBMISSION_KEY};
use crate::openai::{CreateError, NewBatch};
use crate::store::{BeforeRestore, PartToStart, Start, Starting};
use crate::worker::Worker;
use crate::worker::attempt::{Halt, Step};

/// A batch may come into OpenAI's list a little after it was made: what is not
/// there by then was not made, in ms.
const APPEARS_WITHIN_MS: i64 = 120_000;

impl Worker {
    pub(super) async fn start_part(&self, work: &Work<'_>, part: &PartToStart) -> Result<(), Halt> {
        match part.start {
            Start::Made => return Ok(()),
            Start::Unknown { since_ms, last_ms } if self.is_there(work, part, since_ms, last_ms).await? => {
                return Ok(());
            }
            Start::NotMade if self.is_there_from_before(work, part).await? => return Ok(()),
            Start::Unknown { .. } | Start::NotMade => {}
        }
        self.openai_must_not_be_paused()?;
        if !self.store.part_starting(work.claim.clone(), part.id.clone(), self.starting()).await? {
            return Ok(());
        }
        self.after(Step::Announced)?;
        work.job.mark_called();
        let made = work.project.openai.create_batch(&self.new_batch(work, part)).await;
        self.after(Step::Created)?;
        match made {
            Ok(made) => {
                self.watch_gate(&work.job.project, work.project, None).await;
                self.tie(work, part, made.resource.id()).await
            }
            Err(error) => Err(self.part_not_started(work, part, error).await?.into()),
        }
    }

    /// Whether OpenAI has had the part since before the database was restored: its
    /// id is the same in every history.
    async fn is_there_from_before(&self, work: &Work<'_>, part: &PartToStart) -> Result<bool, Halt> {
        let Some(BeforeRestore { since_ms, last_ms }) = work.building.before_restore else { return Ok(false) };
        self.is_there(work, part, since_ms, last_ms).await
    }

    fn starting(&self) -> Starting {
        let (patience, now_ms) = (&self.settings.patience, self.clock.now_ms());
        Starting {
            now_ms,
            check_at_ms: patience.first_check_ms(Kind::Batch, now_ms),
            deadline_ms: patience.deadline_at_ms(Kind::Batch, now_ms),
        }
    }

    fn new_batch(&self, work: &Work<'_>, part: &PartToStart) -> NewBatch {
        NewBatch {
            input_file_id: part.file_id.clone(),
            endpoint: ENDPOINT.to_owned(),
            metadata: BTreeMap::from([
                (SUBMISSION_KEY.to_owned(), part.id.clone()),
                (self.settings.metadata_keys.workflow.clone(), work.workflow.name.clone()),
            ]),
        }
    }

    /// Whether OpenAI has a part that was asked for before. Not there, and asked
    /// for only just now: nobody can tell yet.
    async fn is_there(&self, work: &Work<'_>, part: &PartToStart, since_ms: i64, last_ms: i64) -> Result<bool, Halt> {
        // Before looking: what it does not show was not there by then.
        let now_ms = self.clock.now_ms();
        work.job.mark_called();
        let looked = work.project.openai.find_batch(SUBMISSION_KEY, &part.id, since_ms.div_euclid(1000)).await;
        let looked = looked.map_err(Failure::from);
        self.watch_gate(&work.job.project, work.project, looked.as_ref().err()).await;
        if let Some(found) = looked? {
            self.tie(work, part, &found.id).await?;
            return Ok(true);
        }
        let wait_ms = last_ms + APPEARS_WITHIN_MS - now_ms;
        if wait_ms > 0 {
            return Err(not_seen_yet(wait_ms).into());
        }
        Ok(false)
    }

    async fn tie(&self, work: &Work<'_>, part: &PartToStart, resource_id: &str) -> Result<(), Halt> {
        let (project, now_ms) = (work.job.project.clone(), self.clock.now_ms());
        if !self.store.part_started(project, part.id.clone(), resource_id.to_owned(), now_ms).await? {
            tracing::warn!(part = part.id, resource = resource_id, "OpenAI has this part twice; the first one counts");
        }
        Ok(())
    }

    async fn part_not_started(&self, work: &Work<'_>, part: &PartToStart, error: CreateError) -> Result<Failure, Halt> {
        let known = !matches!(error, CreateError::Unknown(_));
        let failure = Failure::from(error.into_error());
        self.watch_gate(&work.job.project, work.project, Some(&failure)).await;
        self.store.submission_failed(part.id.clone(), failure.clone(), known).await?;
        Ok(if known { failure } else { later(failure) })
    }
}

/// When it can be known whether it was started after all.
fn later(failure: Failure) -> Failure {
    match failure {
        Failure::Retryable { cause, detail, retry_after_ms } => {
            let wait_ms = retry_after_ms.unwrap_or(0).max(APPEARS_WITHIN_MS);
            Failure::Retryable { cause, detail, retry_after_ms: Some(wait_ms) }
        }
        failure => failure,
    }
}

fn not_seen_yet(wait_ms: i64) -> Failure {
    let detail = "whether OpenAI has started it cannot be told yet".to_owned();
    Failure::Retryable { cause: Cause::OpenAiUnreachable, detail, retry_after_ms: Some(wait_ms) }
}
