//! Records how an attempt ended, and tells whoever must know.

use super::Worker;
use super::attempt::Halt;
use crate::domain::failure::{Cause, Failure};
use crate::domain::job::AfterFailure;
use crate::domain::submission::Placement;
use crate::store::{ClaimedJob, Settled, Settlement};
use crate::telemetry::trouble;

/// A second job of the same resource waits this long for the first, in ms.
const OTHER_HANDS_WAIT_MS: i64 = 500;

impl Worker {
    /// Writes the end of an attempt. When even that fails, the lease runs out
    /// and the job is claimed again: nothing is lost, only late.
    pub(super) async fn settle(&self, job: ClaimedJob, placement: Option<Placement>, ended: Result<Settlement, Halt>) {
        let now_ms = self.clock.now_ms();
        let settlement = match ended {
            Ok(settlement) => settlement,
            Err(Halt::Stopped) => return,
            Err(Halt::InOtherHands) => in_other_hands(now_ms),
            Err(Halt::Failed(failure)) => self.after_failure(&job, failure, now_ms),
        };
        let told = Told::of(&job, &settlement, now_ms);
        let (id, project) = (job.id(), job.project.clone());
        let cause = cause_of(&settlement);
        match self.store.settle(job, placement, settlement, now_ms).await {
            Ok(Settled::Done { new_alert }) => {
                self.tell(&told);
                if new_alert {
                    tracing::error!(
                        alert = cause,
                        project,
                        job = id,
                        "alert: jobs fail for good; `frontdesk jobs list --status failed_final` shows them"
                    );
                }
            }
            Ok(Settled::Fenced) => {
                tracing::warn!(job = id, "the lease was lost; another worker has this job, nothing was changed")
            }
            Err(error) => {
                trouble!(
                    error,
                    job = id,
                    "the end of an attempt could not be written; it will be made again after the lease"
                )
            }
        }
    }

    fn after_failure(&self, job: &ClaimedJob, failure: Failure, now_ms: i64) -> Settlement {
        match self.settings.retry.after(&failure, job.attempt, now_ms, random_share()) {
            AfterFailure::Retry { at_ms, counts } => Settlement::Retry { failure, at_ms, counts },
            AfterFailure::GiveUp => Settlement::GaveUp { failure },
        }
    }

    /// Counts and logs an end that is written.
    fn tell(&self, told: &Told) {
        self.metrics.attempted(told.end, told.reason, told.waited_s);
        let Told { job, resource, attempt, end, reason, failure, .. } = told;
        match failure {
            Some(failure) if *end == "failed_final" => {
                tracing::warn!(job, resource, attempt, end, failure, "attempt ended");
            }
            Some(failure) => tracing::info!(job, resource, attempt, end, failure, "attempt ended"),
            None => tracing::debug!(job, resource, attempt, end, reason, "attempt ended"),
        }
    }

    /// Raises an alert, and says so once.
    pub(super) async fn alert(&self, cause: Cause, subject: &str, detail: &str) {
        match self.store.raise_alert(cause.code(), subject.to_owned(), detail.to_owned(), self.clock.now_ms()).await {
            Ok(true) => tracing::error!(alert = cause.code(), subject, detail, "alert"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(alert = cause.code(), subject, detail, %error, "alert, and it could not be stored")
            }
        }
    }

    /// OpenAI accepts the project again: close the alerts and let all jobs go on.
    pub(super) async fn recover(&self, project: &str) {
        let now_ms = self.clock.now_ms();
        for cause in [Cause::OpenAiAuth, Cause::OpenAiQuota] {
            if matches!(self.store.close_alert(cause.code(), project.to_owned(), now_ms).await, Ok(true)) {
                tracing::warn!(alert = cause.code(), project, "recovered: OpenAI accepts the project again");
            }
        }
        match self.store.release_paused(project.to_owned(), now_ms).await {
            Ok(0) => {}
            Ok(released) => tracing::info!(project, released, "waiting jobs go on"),
            // They are due by themselves a little later.
            Err(error) => tracing::warn!(project, %error, "waiting jobs could not be released"),
        }
    }
}

/// What is told of an attempt once its end is written.
struct Told {
    job: i64,
    resource: String,
    attempt: i64,
    end: &'static str,
    reason: &'static str,
    failure: Option<String>,
    /// From queued to the end of the job; none while it goes on.
    waited_s: Option<f64>,
}

impl Told {
    fn of(job: &ClaimedJob, settlement: &Settlement, now_ms: i64) -> Told {
        let failure = match settlement {
            Settlement::Retry { failure, .. } | Settlement::GaveUp { failure } => Some(failure.to_string()),
            _ => None,
        };
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 ms")]
        let waited_s = (now_ms - job.queued_at_ms).max(0) as f64 / 1000.0;
        Told {
            job: job.id(),
            resource: job.resource_id.clone(),
            attempt: job.attempt,
            end: settlement.word(),
            reason: cause_of(settlement),
            failure,
            waited_s: settlement.is_end().then_some(waited_s),
        }
    }
}

fn in_other_hands(now_ms: i64) -> Settlement {
    Settlement::Retry {
        failure: Failure::retryable(Cause::NotEndedYet, "another job of the same resource is being applied"),
        at_ms: now_ms + OTHER_HANDS_WAIT_MS,
        counts: false,
    }
}

fn cause_of(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Held { review, .. } => review.hold.reason.code(),
        Settlement::Retry { failure, .. } | Settlement::GaveUp { failure } => failure.cause().code(),
        Settlement::Applied { .. }
        | Settlement::Ignored { .. }
        | Settlement::Superseded { .. }
        | Settlement::Done { .. }
        | Settlement::Entered { .. }
        | Settlement::Stale { .. } => "",
    }
}

/// A share between 0 and 1 that spreads retries.
fn random_share() -> f64 {
    let mut bytes = [0u8; 2];
    // Without randomness the spread is lost, not the retry.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}
