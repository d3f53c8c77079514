//! Looks after started work until its end: what no webhook tells of, OpenAI is
//! asked for; what has no end in time is told to somebody.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::gate::Allowance;
use super::retrieve::still_moving;
use super::{Project, Worker};
use crate::domain::failure::Failure;
use crate::store::{Check, Duty, Found, Hanging, StoreError, TakeChecks};
use crate::telemetry::trouble;

/// How many submissions are asked about at once.
const AT_ONCE: usize = 32;

/// How long they are not taken again when nobody says what was found, in ms:
/// longer than a call to OpenAI takes.
const LEASE_MS: i64 = 120_000;

/// So many results in a row that no webhook told of are not an accident.
const SILENCE: i64 = 3;

const SUBMISSION_OVERDUE: &str = "submission_overdue";
const SUBMISSION_LOST: &str = "submission_lost";
const OPENAI_QUIET: &str = "openai_quiet";

impl Worker {
    /// Looks every so often until told to stop.
    pub(super) async fn reconcile_until(self: Arc<Worker>, stop: CancellationToken) {
        let wait = Duration::from_millis(self.settings.patience.every_ms.unsigned_abs());
        loop {
            // A panic ends this look and not the looking: nobody would notice.
            let look = AssertUnwindSafe(self.leading(Duty::Reconcile, wait, self.reconcile_once())).catch_unwind();
            tokio::select! {
                () = stop.cancelled() => return,
                done = look => match done {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => trouble!(error, "late work could not be looked after; trying again"),
                    Err(_) => tracing::error!("looking after late work panicked; trying again"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Looks once; returns how often OpenAI was asked.
    ///
    /// # Errors
    /// When the database could not be read or written.
    pub async fn reconcile_once(&self) -> Result<usize, StoreError> {
        // A server may have been rolled back, or another one have taken over, under us.
        self.store.notice_restore(self.clock.now_ms()).await?;
        // Before asking: a webhook has had since the last look to come after all.
        self.look_for_silence().await?;
        self.age_unanswered().await?;
        self.refresh_pauses().await?;
        let mut asked = 0;
        if self.openai_must_not_be_paused().is_ok() {
            let projects = self.projects.iter().map(|(name, project)| self.ask_late(name, project));
            for done in join_all(projects).await {
                asked += done?;
            }
        }
        let overdue = self.store.overdue_submissions(self.clock.now_ms()).await?;
        self.tell_hanging(SUBMISSION_OVERDUE, "past the deadline", overdue).await?;
        let lost = self.store.lost_submissions().await?;
        self.tell_hanging(SUBMISSION_LOST, "without an answer or a webhook", lost).await?;
        Ok(asked)
    }

    /// Asks about all late work of a project, as far as its gate lets through.
    async fn ask_late(&self, name: &str, project: &Project) -> Result<usize, StoreError> {
        let mut asked = 0;
        loop {
            let now_ms = self.clock.now_ms();
            let allowance = project.gate.allowance(now_ms);
            let limit = match allowance {
                Allowance::All => AT_ONCE,
                Allowance::Probe => 1,
                Allowance::NoneUntil(_) => return Ok(asked),
            };
            let taken = self.store.take_checks(self.checks_of(name, limit, now_ms)).await?;
            let is_last = taken.len() < limit;
            let late: Vec<Check> = taken.into_iter().filter(|check| !check.has_job).collect();
            if allowance == Allowance::Probe && !late.is_empty() {
                project.gate.probe(now_ms);
            }
            asked += late.len();
            let answered = self.ask_about(late).await?;
            // While OpenAI does not answer, each call may take its whole time.
            if is_last || !answered {
                return Ok(asked);
            }
        }
    }

    fn checks_of(&self, project: &str, limit: usize, now_ms: i64) -> TakeChecks {
        TakeChecks {
            project: project.to_owned(),
            limit,
            now_ms,
            lease_until_ms: now_ms + LEASE_MS,
            later_ms: now_ms + self.settings.patience.after_ms,
        }
    }

    /// Asks about these at once. False when none of the calls had an answer.
    async fn ask_about(&self, late: Vec<Check>) -> Result<bool, StoreError> {
        let mut answered = late.is_empty();
        for done in join_all(late.into_iter().map(|check| self.ask_about_one(check))).await {
            answered |= done?;
        }
        Ok(answered)
    }

    async fn ask_about_one(&self, check: Check) -> Result<bool, StoreError> {
        let answer = self.ask(&check.project, check.kind, &check.resource_id).await;
        let (found, advised_ms) = match answer {
            Ok(fetched) if still_moving(&fetched.resource).is_some() => (Found::Moving, fetched.poll_after_ms),
            Ok(fetched) => (Found::Ended(fetched.raw), None),
            Err(Failure::Retryable { cause, retry_after_ms, .. }) => {
                tracing::info!(submission = check.id, resource = check.resource_id, %cause, "late work could not be asked about");
                self.note(check, Found::Moving, retry_after_ms).await?;
                return Ok(false);
            }
            Err(Failure::Final { .. }) => (Found::Gone, None),
        };
        self.note(check, found, advised_ms).await?;
        Ok(true)
    }

    async fn note(&self, check: Check, found: Found, advised_ms: Option<i64>) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let next_ms = self.settings.patience.next_check_ms(check.kind, check.polls + 1, advised_ms, now_ms);
        let (id, resource) = (check.id.clone(), check.resource_id.clone());
        if self.store.checked(check, found, next_ms, now_ms).await? {
            tracing::info!(submission = id, resource, "it has ended, and no webhook had told; queued");
        }
        Ok(())
    }

    /// Without OpenAI's id there is nobody to ask: the webhook, which carries the
    /// submission's id, may still tell.
    async fn age_unanswered(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let aged = self.store.age_unanswered(now_ms + self.settings.patience.after_ms, now_ms).await?;
        for submission in aged.lost {
            tracing::warn!(submission, "lost: no answer to its start, and no webhook, by the deadline");
        }
        for submission in aged.unknown {
            tracing::debug!(submission, "its start was not answered; its webhook may tell");
        }
        Ok(())
    }

    /// Results that come in time and no webhook that tells of them: the endpoint
    /// at OpenAI, or the way from there, is broken.
    async fn look_for_silence(&self) -> Result<(), StoreError> {
        let mut quiet = Vec::new();
        for project in self.projects.keys() {
            let unheard = self.store.unheard_of(project.clone()).await?;
            if unheard >= SILENCE {
                let detail = format!("{unheard} results in a row were found by asking; no webhook told of them");
                quiet.push((project.clone(), detail));
            }
        }
        self.tell_conditions(OPENAI_QUIET, quiet, self.clock.now_ms()).await
    }

    /// One alert a project, however many submissions it is about; over when
    /// there are none left.
    async fn tell_hanging(&self, kind: &'static str, what: &str, hanging: Vec<Hanging>) -> Result<(), StoreError> {
        let detail = |count, oldest: &str| format!("{count} {what}, the oldest is {oldest}");
        let about = hanging.into_iter().map(|Hanging { project, count, oldest }| (project, detail(count, &oldest)));
        self.tell_conditions(kind, about.collect(), self.clock.now_ms()).await
    }
}
