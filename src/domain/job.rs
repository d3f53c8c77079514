//! The states of a job, and the only ways between them.
//!
//! ```text
//! received            verified and stored, no job; a person looks at it
//! queued ──claim──▶ processing ──succeed──▶ processed
//!                    │   ▲  └────fail─────▶ failed_final
//!                    │   └──claim (due, or the lease is over)
//!                    └─fail─▶ failed_retryable
//! failed_retryable, failed_final ──a person's retry──▶ queued
//! failed_retryable, failed_final ──a person's discard──▶ failed_final (discarded)
//! ```
//!
//! The database restates this with CHECK constraints; the property tests hold
//! the two against each other.

use std::fmt;

use super::failure::{Cause, Failure};

/// The states anyone can see, with the names of the article everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Verified and stored, but there is no work to do: nobody handles the
    /// type, or the body cannot be read. It is kept for a person, who dismisses it, or replays it once the
    /// type is handled.
    Received,
    /// Waits for a worker. `claim` moves it.
    Queued,
    /// A worker has the lease. `succeed` and `fail` move it, or another
    /// worker's `claim` once the lease is over.
    Processing,
    /// Ended well; see the outcome. Nothing moves it.
    Processed,
    /// Waits for its next attempt. `claim` moves it when it is due, a person's
    /// `retry` or `discard` before that.
    FailedRetryable,
    /// Ended badly. A person's `retry` moves it, or a `discard` closes it.
    FailedFinal,
}

impl State {
    /// Every state, in the order of a job's life.
    pub const ALL: [State; 6] = [
        State::Received,
        State::Queued,
        State::Processing,
        State::Processed,
        State::FailedRetryable,
        State::FailedFinal,
    ];

    /// The word used in the database, the API, screens and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Received => "received",
            State::Queued => "queued",
            State::Processing => "processing",
            State::Processed => "processed",
            State::FailedRetryable => "failed_retryable",
            State::FailedFinal => "failed_final",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a processed job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The ticket was changed as proposed.
    Applied,
    /// A person decides; there is an open review.
    Held,
    /// There was nothing to do.
    Ignored,
    /// Newer work of the same workflow and ticket has taken its place.
    Superseded,
}

impl Outcome {
    /// The word used in the database, the API and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Held => "held",
            Outcome::Ignored => "ignored",
            Outcome::Superseded => "superseded",
        }
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A resource has ended at OpenAI: fetch it, decide, apply.
    Ending,
    /// A person approved a review: apply it.
    Approval,
    /// Start planned work at OpenAI.
    Start,
    /// Write the requests of a batch and send them.
    Build,
    /// Apply one line of a batch.
    Line,
    /// Put back what a batch has changed.
    Undo,
}

impl Kind {
    /// The word used in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Ending => "ending",
            Kind::Approval => "approval",
            Kind::Start => "start",
            Kind::Build => "build",
            Kind::Line => "line",
            Kind::Undo => "undo",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Kind> {
        [Kind::Ending, Kind::Approval, Kind::Start, Kind::Build, Kind::Line, Kind::Undo]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// What becomes of a job after a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterFailure {
    /// Tried again, not before this time (ms since the epoch).
    Retry {
        /// Milliseconds since the epoch.
        at_ms: i64,
        /// False when the attempt does not count, because the fault is not the job's.
        counts: bool,
    },
    /// Given up; a person must look.
    GiveUp,
}

/// How failed attempts are spaced and when they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait after the first failed attempt, in milliseconds.
    pub first_ms: i64,
    /// Longest wait, in milliseconds.
    pub max_ms: i64,
    /// Attempts before the job is given up.
    pub attempts: i64,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { first_ms: 1_000, max_ms: 300_000, attempts: 12 }
    }
}

impl RetryPolicy {
    /// The wait after failed attempt number `attempt` (from 1): doubled each
    /// time, capped, and spread over the upper half by `jitter` (0 to 1) so that
    /// jobs that failed together do not come back together.
    #[must_use]
    pub fn delay_ms(&self, attempt: i64, jitter: f64) -> i64 {
        let doublings = u32::try_from(attempt.clamp(1, 63) - 1).unwrap_or(0);
        let full = self.first_ms.saturating_mul(1_i64.checked_shl(doublings).unwrap_or(i64::MAX)).clamp(0, self.max_ms);
        let half = full / 2;
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "waits are far below 2^52 ms")]
        let spread = (half as f64 * jitter.clamp(0.0, 1.0)) as i64;
        // A share of a very large wait rounds up past it.
        full - half + spread.min(half)
    }

    /// What becomes of a job whose attempt number `attempt` failed at `now_ms`.
    #[must_use]
    pub fn after(&self, failure: &Failure, attempt: i64, now_ms: i64, jitter: f64) -> AfterFailure {
        match failure {
            Failure::Final { .. } => AfterFailure::GiveUp,
            Failure::Retryable { cause, retry_after_ms, .. } => {
                let wait = self.delay_ms(attempt, jitter).max(retry_after_ms.unwrap_or(0));
                if cause.pauses() || matches!(cause, Cause::Paused | Cause::HelpdeskBusy) {
                    // Not the fault of this job: nothing is given up.
                    AfterFailure::Retry { at_ms: now_ms.saturating_add(wait), counts: false }
                } else if attempt >= self.attempts {
                    AfterFailure::GiveUp
                } else {
                    AfterFailure::Retry { at_ms: now_ms.saturating_add(wait), counts: true }
                }
            }
        }
    }
}

/// True for failures that a person must hear about at once when they are final.
#[must_use]
pub fn alerts(cause: Cause) -> bool {
    !matches!(cause, Cause::ResourceCancelled)
}
