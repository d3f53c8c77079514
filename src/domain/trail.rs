//! "Where is my summary?": everything we know of one piece of work, and the
//! answers a person wants from it. The six questions are the article's.

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
    /// Other work on the same ticket, by resource or submission id, newest first.
    pub others: Vec<String>,
}

/// Of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionFacts {
    /// `sub_…`
    pub id: String,
    /// `starting`, `started`, `refused`, `unknown`, `ended`.
    pub state: String,
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
            None if !self.deliveries.is_empty() => Some(State::Received),
            None => None,
        }
    }

    /// Answers the questions at `now_ms`.
    #[must_use]
    pub fn why(&self, now_ms: i64) -> Why {
        let (next, owner) = self.next(now_ms);
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
            owner,
        }
    }

    fn was_started(&self) -> Answer {
        const QUESTION: &str = "Was work started at OpenAI?";
        match &self.submission {
            Some(submission) => {
                let text = match (submission.state.as_str(), &submission.error) {
                    ("refused", Some(error)) => format!("no: OpenAI did not accept it ({error})"),
                    ("unknown", Some(error)) => format!("perhaps: the call ended without an answer ({error})"),
                    ("starting", _) => "the call is being made, or this process stopped during it".to_owned(),
                    _ => format!("yes, by {}", submission.id),
                };
                answer(QUESTION, text, submission.started_at_ms.or(Some(submission.created_at_ms)))
            }
            None if self.deliveries.is_empty() => answer(QUESTION, "not by Frontdesk, as far as it knows", None),
            None => answer(QUESTION, "yes, by another program", None),
        }
    }

    fn has_arrived(&self) -> Answer {
        const QUESTION: &str = "Did the webhook arrive?";
        match self.deliveries.first() {
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
        let applied: Vec<&str> = self
            .effects
            .iter()
            .filter(|effect| effect.applied_at_ms.is_some())
            .map(|effect| effect.slot.as_str())
            .collect();
        let at_ms = self.effects.iter().filter_map(|effect| effect.applied_at_ms).max();
        let ticket = self.ticket_id.as_deref().unwrap_or("the ticket");
        match (&self.review, applied.is_empty()) {
            (Some(review), true) => answer(
                QUESTION,
                format!("no: held for a person as {} ({})", review.id, review.reason),
                Some(review.created_at_ms),
            ),
            (Some(review), false) => answer(
                QUESTION,
                format!("{} on {ticket}; the rest is held as {} ({})", applied.join(", "), review.id, review.reason),
                at_ms,
            ),
            (None, false) => answer(QUESTION, format!("yes: {} on {ticket}", applied.join(", ")), at_ms),
            (None, true) => answer(QUESTION, "no", None),
        }
    }

    fn next(&self, now_ms: i64) -> (String, &'static str) {
        let Some(job) = &self.job else { return self.next_without_job() };
        match job.state {
            State::Received => ("nothing until a person looks at it".to_owned(), "operator"),
            State::Queued => ("a worker takes it as soon as one is free".to_owned(), "frontdesk"),
            State::Processing => {
                let worker = job.worker.as_deref().unwrap_or("a worker");
                (format!("{worker} is at work; its lease ends {}", in_words(job.next_at_ms, now_ms)), "frontdesk")
            }
            State::FailedRetryable => (format!("tried again {}", in_words(job.next_at_ms, now_ms)), "frontdesk"),
            State::FailedFinal if job.outcome.is_some() => ("nothing: a person discarded it".to_owned(), "nobody"),
            State::FailedFinal => (
                format!(
                    "nothing until a person decides: `frontdesk jobs retry job_{0}` or `jobs discard job_{0}`",
                    job.id
                ),
                "operator",
            ),
            State::Processed => self.next_after_end(),
        }
    }

    fn next_without_job(&self) -> (String, &'static str) {
        let state = self.submission.as_ref().map(|submission| submission.state.as_str());
        match (state, self.deliveries.is_empty()) {
            (_, false) => ("kept as received until a person looks at it".to_owned(), "operator"),
            (Some("refused"), true) => ("nothing: start it again once the cause is mended".to_owned(), "operator"),
            (Some(_), true) => ("OpenAI sends a webhook when it is done".to_owned(), "openai"),
            (None, true) => ("nothing: start it with `frontdesk submit`".to_owned(), "operator"),
        }
    }

    fn next_after_end(&self) -> (String, &'static str) {
        match &self.review {
            Some(review) if matches!(review.state.as_str(), "open" | "claimed") => {
                (format!("a person decides {}", review.id), "reviewer")
            }
            _ => ("nothing: it is done".to_owned(), "nobody"),
        }
    }
}

fn in_words(at_ms: Option<i64>, now_ms: i64) -> String {
    match at_ms.map(|at| at - now_ms) {
        Some(wait) if wait > 0 => format!("in {} s", (wait + 999) / 1000),
        Some(_) => "now".to_owned(),
        None => "at no set time".to_owned(),
    }
}
