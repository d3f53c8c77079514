//! "Where is my summary?": everything we know of one piece of work, and the
//! answers a person wants from it. The six questions are the article's.

mod batch;

pub use batch::{BatchFacts, LineFacts, PartFacts};

use super::failure::Cause;
use super::job::State;

/// What the database knows of one piece of work.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    /// The ticket, once known.
    pub ticket_id: Option<String>,
    /// The workflow, once known.
    pub workflow: Option<String>,
    /// Our submission, when we started it.
    pub submission: Option<SubmissionFacts>,
    /// OpenAI's id of the work.
    pub resource_id: Option<String>,
    /// The event that made the job.
    pub event_id: Option<String>,
    /// Oldest first.
    pub deliveries: Vec<DeliveryFacts>,
    /// When the result was fetched, in ms.
    pub fetched_at_ms: Option<i64>,
    /// The newest job.
    pub job: Option<JobFacts>,
    /// What was changed, or was about to be.
    pub effects: Vec<EffectFacts>,
    /// The review, if a person was asked.
    pub review: Option<ReviewFacts>,
    /// The job that carries out what the person approved.
    pub approval: Option<JobFacts>,
    /// The job that starts work which is only planned.
    pub start: Option<JobFacts>,
    /// The submission that took the place of this work after it failed.
    pub again: Option<String>,
    /// Other work on the same ticket, by resource or submission id, newest first.
    pub others: Vec<String>,
    /// The batch that it is, or is a part or a line of.
    pub batch: Option<BatchFacts>,
    /// The line of the batch that it is.
    pub line: Option<LineFacts>,
}

/// Of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionFacts {
    /// `sub_…`
    pub id: String,
    /// `planned`, `starting`, `started`, `refused`, `unknown`, `ended`, `lost`.
    pub state: String,
    /// Who asked for it.
    pub actor: String,
    /// The failed resource that it takes the place of.
    pub retry_of: Option<String>,
    /// When OpenAI is asked if no webhook has come, in ms.
    pub check_at_ms: Option<i64>,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
    /// In ms.
    pub created_at_ms: i64,
    /// In ms.
    pub started_at_ms: Option<i64>,
    /// Why it was not started.
    pub error: Option<String>,
}

/// Of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// The webhook-id.
    pub id: String,
    /// In ms.
    pub received_at_ms: i64,
    /// Which secret matched.
    pub secret_hint: String,
    /// How often it has come.
    pub copies: i64,
    /// Why there is no job.
    pub note: Option<String>,
}

/// Of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// Its number.
    pub id: i64,
    /// Whether the reconciler found it, rather than a webhook.
    pub by_poll: bool,
    /// Where it stands.
    pub state: State,
    /// Since when, in ms.
    pub since_ms: i64,
    /// In ms.
    pub queued_at_ms: i64,
    /// The start of the newest attempt, in ms.
    pub started_at_ms: Option<i64>,
    /// Attempts that count.
    pub attempts: i64,
    /// When it may be claimed next, in ms.
    pub next_at_ms: Option<i64>,
    /// Who has it.
    pub worker: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Of the outcome.
    pub reason: Option<String>,
    /// The last failure, in our words.
    pub last_error: Option<String>,
}

/// Of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectFacts {
    /// `note`, `draft`, `route`.
    pub slot: String,
    /// The visible reference.
    pub reference: String,
    /// When it was written, in ms; none while it may or may not be there.
    pub applied_at_ms: Option<i64>,
}

/// Of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewFacts {
    /// `rev_…`
    pub id: String,
    /// `open`, `claimed`, …
    pub state: String,
    /// Why it is held.
    pub reason: String,
    /// In ms.
    pub created_at_ms: i64,
    /// Sensitive topics found.
    pub topics: Vec<String>,
    /// Who has it.
    pub claimed_by: Option<String>,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it was rejected, or went stale.
    pub why: Option<String>,
}

impl ReviewFacts {
    /// Where it stands, for the answer about the ticket.
    fn standing(&self) -> String {
        let by = self.decided_by.as_deref().unwrap_or("a person");
        match self.state.as_str() {
            "approved" => format!("{by} approved {}", self.id),
            "rejected" => format!("{by} rejected {}", self.id),
            "stale" | "expired" => format!("{} is {}", self.id, self.state),
            _ => format!("held for a person as {} ({})", self.id, self.reason),
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As a person would ask it.
    pub question: &'static str,
    /// One line.
    pub answer: String,
    /// When it happened, in ms.
    pub at_ms: Option<i64>,
}

/// The answers, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// In the order of the flow.
    pub answers: Vec<Answer>,
    /// What happens next, in one line.
    pub next: String,
    /// When, in ms, where a time is set.
    pub next_at_ms: Option<i64>,
    /// Who must act: `frontdesk`, `openai`, `reviewer`, `operator`, `nobody`.
    pub owner: &'static str,
}

fn answer(question: &'static str, answer: impl Into<String>, at_ms: Option<i64>) -> Answer {
    Answer { question, answer: answer.into(), at_ms }
}

impl Trail {
    /// Where the work stands; `received` for a delivery without a job, none
    /// while nothing has arrived.
    #[must_use]
    pub fn status(&self) -> Option<State> {
        match &self.job {
            Some(job) => Some(job.state),
            None if self.batch.is_some() => None,
            None if !self.deliveries.is_empty() => Some(State::Received),
            None => None,
        }
    }

    /// Answers the questions at `now_ms`.
    #[must_use]
    pub fn why(&self, now_ms: i64) -> Why {
        let Next { text: next, at_ms: next_at_ms, owner } = self.next(now_ms);
        Why {
            answers: vec![
                self.was_started(),
                self.has_arrived(),
                self.was_verified(),
                self.was_queued(),
                self.has_worker_started(),
                self.has_worker_failed(),
                self.was_ticket_updated(),
            ],
            next,
            next_at_ms,
            owner,
        }
    }

    fn was_started(&self) -> Answer {
        const QUESTION: &str = "Was work started at OpenAI?";
        if let Some(batch) = &self.batch {
            return self.batch_was_started(batch);
        }
        match &self.submission {
            Some(submission) => {
                let text = match (submission.state.as_str(), &submission.error) {
                    ("refused", Some(error)) => format!("no: OpenAI did not accept it ({error})"),
                    ("unknown", Some(error)) => format!("perhaps: the call ended without an answer ({error})"),
                    ("starting", _) => "the call is being made, or this process stopped during it".to_owned(),
                    ("planned", _) => format!("not yet: {} is planned", submission.id),
                    ("lost" | "unknown", _) => "perhaps: nothing was heard of it since".to_owned(),
                    _ => match &submission.retry_of {
                        Some(failed) => format!("yes, by {} in place of {failed}", submission.id),
                        None => format!("yes, as {} for {}", submission.id, submission.actor),
                    },
                };
                answer(QUESTION, text, submission.started_at_ms.or(Some(submission.created_at_ms)))
            }
            None if self.deliveries.is_empty() => answer(QUESTION, "not by Frontdesk, as far as it knows", None),
            None => answer(QUESTION, "yes, by another program", None),
        }
    }

    fn has_arrived(&self) -> Answer {
        const QUESTION: &str = "Did the webhook arrive?";
        if let Some(answer) = self.batch.as_ref().and_then(|batch| self.parts_have_arrived(batch)) {
            return answer;
        }
        match self.deliveries.first() {
            None if self.was_found_by_asking() => {
                answer(QUESTION, "no: OpenAI was asked instead, and had ended it", None)
            }
            None => answer(QUESTION, "no", None),
            Some(first) => {
                let copies: i64 = self.deliveries.iter().map(|delivery| delivery.copies).sum();
                let text = if copies > 1 {
                    format!("yes, {copies} times; the first as {}", first.id)
                } else {
                    format!("yes, as {}", first.id)
                };
                answer(QUESTION, text, Some(first.received_at_ms))
            }
        }
    }

    fn was_found_by_asking(&self) -> bool {
        let part = |batch: &BatchFacts| batch.parts.iter().any(|part| part.by_poll == Some(true));
        self.job.as_ref().is_some_and(|job| job.by_poll) || self.batch.as_ref().is_some_and(part)
    }

    fn was_verified(&self) -> Answer {
        const QUESTION: &str = "Was its signature good?";
        match self.deliveries.first() {
            None => {
                answer(QUESTION, "nothing has arrived; refused requests are counted in `frontdesk_refused_total`", None)
            }
            Some(first) => {
                answer(QUESTION, format!("yes, with secret {}", first.secret_hint), Some(first.received_at_ms))
            }
        }
    }

    fn was_queued(&self) -> Answer {
        const QUESTION: &str = "Was it queued?";
        if let Some(answer) = self.batch.as_ref().and_then(|batch| self.line_was_queued(batch)) {
            return answer;
        }
        match (&self.job, self.deliveries.first().and_then(|delivery| delivery.note.as_deref())) {
            (Some(job), _) => answer(QUESTION, format!("yes, as job_{}", job.id), Some(job.queued_at_ms)),
            (None, Some(note)) => answer(QUESTION, format!("no: {note}"), None),
            (None, None) => answer(QUESTION, "no", None),
        }
    }

    fn has_worker_started(&self) -> Answer {
        const QUESTION: &str = "Did a worker start?";
        match &self.job {
            Some(job) if job.started_at_ms.is_some() => {
                let text = match job.attempts {
                    0 | 1 => "yes".to_owned(),
                    attempts => format!("yes, {attempts} times"),
                };
                answer(QUESTION, text, job.started_at_ms)
            }
            _ => answer(QUESTION, "no", None),
        }
    }

    fn has_worker_failed(&self) -> Answer {
        const QUESTION: &str = "Did the worker fail?";
        match &self.job {
            Some(job) => match (&job.last_error, job.state) {
                (None, _) => answer(QUESTION, "no", None),
                (Some(error), State::Processed) => {
                    answer(QUESTION, format!("at first ({error}), then it succeeded"), None)
                }
                (Some(error), _) => answer(QUESTION, format!("yes: {error}"), Some(job.since_ms)),
            },
            None => answer(QUESTION, "no", None),
        }
    }

    fn was_ticket_updated(&self) -> Answer {
        const QUESTION: &str = "Was the ticket updated?";
        if let Some(answer) = self.batch.as_ref().and_then(|batch| self.batch_was_applied(batch)) {
            return answer;
        }
        let applied: Vec<&str> = self
            .effects
            .iter()
            .filter(|effect| effect.applied_at_ms.is_some())
            .map(|effect| effect.slot.as_str())
            .collect();
        let at_ms = self.effects.iter().filter_map(|effect| effect.applied_at_ms).max();
        let ticket = self.ticket_id.as_deref().unwrap_or("the ticket");
        match (&self.review, applied.is_empty()) {
            (Some(review), true) => answer(QUESTION, format!("no: {}", review.standing()), Some(review.created_at_ms)),
            (Some(review), false) => {
                answer(QUESTION, format!("{} on {ticket}; {}", applied.join(", "), review.standing()), at_ms)
            }
            (None, false) => answer(QUESTION, format!("yes: {} on {ticket}", applied.join(", ")), at_ms),
            (None, true) => answer(QUESTION, "no", None),
        }
    }

    fn next(&self, now_ms: i64) -> Next {
        let is_decided = self.approval.as_ref().is_some_and(|approval| approval.outcome.is_none());
        if let Some(batch) = self.batch.as_ref().filter(|_| !is_decided) {
            return self.next_of_batch(batch, now_ms);
        }
        match (&self.approval, &self.job) {
            (Some(approval), _) if approval.outcome.is_none() => next_of_job(approval, now_ms),
            (_, None) => self.next_without_job(now_ms),
            (_, Some(job)) if job.state == State::Processed => self.next_after_end(),
            (_, Some(job)) => next_of_job(job, now_ms),
        }
    }

    fn next_without_job(&self, now_ms: i64) -> Next {
        let start = "start it with `frontdesk submit`";
        if !self.deliveries.is_empty() {
            return next("kept as received until a person looks at it", None, "operator");
        }
        let Some(submission) = &self.submission else { return next(format!("nothing: {start}"), None, "operator") };
        let again = format!("nothing: once the cause is mended, {start}");
        match (submission.state.as_str(), &self.start) {
            ("planned" | "refused", Some(job)) => next_of_job(job, now_ms),
            ("planned" | "refused" | "lost", _) => next(again, None, "operator"),
            ("ended", _) => next("nothing: a person closed it", None, "nobody"),
            ("unknown", _) => {
                let text = format!(
                    "its webhook may still come; an alert is raised {}",
                    in_words(Some(submission.deadline_ms), now_ms)
                );
                next(text, Some(submission.deadline_ms), "openai")
            }
            _ => {
                let at_ms = submission.check_at_ms;
                let text =
                    format!("OpenAI sends a webhook when it is done, and is asked for it {}", in_words(at_ms, now_ms));
                next(text, at_ms, "openai")
            }
        }
    }

    fn next_after_end(&self) -> Next {
        if let Some(again) = &self.again {
            return next(format!("it was started again: see {again}"), None, "frontdesk");
        }
        let Some(review) = &self.review else { return next("nothing: it is done", None, "nobody") };
        let why = review.why.as_deref().unwrap_or("no reason given");
        match (review.state.as_str(), &review.claimed_by) {
            ("claimed", Some(by)) => next(format!("{by} decides {}", review.id), None, "reviewer"),
            ("open" | "claimed", _) => {
                next(format!("a person decides {} (for: {})", review.id, review.reviewers.join(", ")), None, "reviewer")
            }
            ("rejected", _) => next(
                format!("nothing: {} rejected it ({why})", review.decided_by.as_deref().unwrap_or("a person")),
                None,
                "nobody",
            ),
            ("stale", _) => next(format!("nothing: {why}; start it again if it is still wanted"), None, "operator"),
            ("expired", _) => next("nothing: its content was erased before anybody decided", None, "operator"),
            _ => next("nothing: it is done", None, "nobody"),
        }
    }
}

/// What happens next, when, and who must act.
struct Next {
    text: String,
    at_ms: Option<i64>,
    owner: &'static str,
}

fn next(text: impl Into<String>, at_ms: Option<i64>, owner: &'static str) -> Next {
    Next { text: text.into(), at_ms, owner }
}

/// What happens next to a job that has not ended well.
fn next_of_job(job: &JobFacts, now_ms: i64) -> Next {
    let at = job.next_at_ms;
    let paused = job.last_error.as_deref().is_some_and(|error| error.starts_with(Cause::Paused.code()));
    match job.state {
        State::Received => next("nothing until a person looks at it", None, "operator"),
        State::Queued if at.is_some_and(|at| at > now_ms) => {
            next(format!("job_{} is carried out {}", job.id, in_words(at, now_ms)), at, "frontdesk")
        }
        State::Queued => next("a worker takes it as soon as one is free", at, "frontdesk"),
        State::Processing => {
            let worker = job.worker.as_deref().unwrap_or("a worker");
            next(format!("{worker} is at work; its lease ends {}", in_words(at, now_ms)), at, "frontdesk")
        }
        State::FailedRetryable if paused => next("it goes on when the pause ends", at, "operator"),
        State::FailedRetryable => next(format!("tried again {}", in_words(at, now_ms)), at, "frontdesk"),
        State::FailedFinal if job.outcome.is_some() => next("nothing: a person discarded it", None, "nobody"),
        State::FailedFinal => {
            let decide = format!("`frontdesk jobs retry job_{0}` or `jobs discard job_{0}`", job.id);
            next(format!("nothing until a person decides: {decide}"), None, "operator")
        }
        State::Processed => next("nothing: it is done", None, "nobody"),
    }
}

fn in_words(at_ms: Option<i64>, now_ms: i64) -> String {
    match at_ms.map(|at| at - now_ms) {
        Some(wait) if wait > 0 => format!("in {} s", (wait + 999) / 1000),
        Some(_) => "now".to_owned(),
        None => "at no set time".to_owned(),
    }
}
