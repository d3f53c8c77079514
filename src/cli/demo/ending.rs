//! How a piece of work ended, as the database and the ticket tell it.

use anyhow::{Context, Result};

use super::scenario::{Case, Expect, Start};
use super::stage::{EDITED, Stage, Started};
use crate::clock::Clock;
use crate::domain::job::State;
use crate::domain::ticket::{Author, Visibility};
use crate::domain::trail::{JobFacts, ReviewFacts, Trail};
use crate::store::{PageRequest, StoredMessage};

/// How a piece of work ended.
#[derive(Default)]
pub(super) struct Actual {
    pub(super) deliveries: i64,
    pub(super) attempts: i64,
    pub(super) state: String,
    pub(super) outcome: String,
    /// Why it waits, why it failed, or how it came to this end.
    pub(super) reason: String,
    /// What Frontdesk wrote on the ticket, each as often as it is there.
    pub(super) on_ticket: Vec<&'static str>,
    /// A line for people.
    pub(super) told: String,
}

impl Actual {
    /// It did not end in time.
    pub(super) fn never() -> Actual {
        Actual { state: "never ended".to_owned(), ..Actual::default() }
    }

    /// The outcome, or how it stands without one.
    pub(super) fn end(&self) -> &str {
        if self.outcome.is_empty() { &self.state } else { &self.outcome }
    }

    fn of(trail: &Trail, state: State) -> Actual {
        let (outcome, reason) = outcome_of(trail, state);
        Actual {
            deliveries: trail.deliveries.iter().map(|delivery| delivery.copies).sum(),
            attempts: trail.job.as_ref().map_or(0, |job| job.attempts),
            state: state.word().to_owned(),
            outcome,
            reason,
            on_ticket: Vec::new(),
            told: trail.why(Clock::System.now_ms()).next,
        }
    }
}

fn outcome_of(trail: &Trail, state: State) -> (String, String) {
    let Some(job) = &trail.job else { return Default::default() };
    if state == State::FailedFinal {
        let error = job.last_error.as_deref().unwrap_or_default();
        return (String::new(), error.split(':').next().unwrap_or_default().to_owned());
    }
    let outcome = job.outcome.clone().unwrap_or_default();
    match &trail.review {
        // An event about what a person has decided changes nothing; the decision is what counts.
        Some(review) if outcome == "held" || outcome == "ignored" => decided(review, trail.approval.as_ref()),
        _ => (outcome, way_of(trail, job).to_owned()),
    }
}

/// What a person made of a result that waited.
fn decided(review: &ReviewFacts, approval: Option<&JobFacts>) -> (String, String) {
    let by = || review.decided_by.as_deref().unwrap_or("nobody");
    match review.state.as_str() {
        "approved" => {
            let outcome = approval.and_then(|approval| approval.outcome.clone()).unwrap_or_default();
            (outcome, format!("approved by {}", by()))
        }
        "open" | "claimed" => ("held".to_owned(), review.reason.clone()),
        state => (state.to_owned(), review.why.clone().unwrap_or_default()),
    }
}

/// How it came here, when not in the usual way.
fn way_of(trail: &Trail, job: &JobFacts) -> &'static str {
    match &trail.submission {
        Some(submission) if submission.retry_of.is_some() => "second try",
        _ if job.by_poll => "found by asking",
        _ => "",
    }
}

fn moves(state: State) -> bool {
    matches!(state, State::Queued | State::Processing | State::FailedRetryable)
}

impl Stage {
    /// How a piece of work stands once it is at rest; none while it goes on.
    pub(super) async fn look(&self, started: &Started) -> Result<Option<Actual>> {
        if started.case.start == Start::Forged {
            return self.look_at_refusals(started).await;
        }
        let Some(trail) = self.newest_try(started.id.clone()).await? else { return Ok(None) };
        let Some(state) = trail.status() else { return Ok(None) };
        if moves(state) || trail.approval.as_ref().is_some_and(|approval| moves(approval.state)) {
            return Ok(None);
        }
        let mut actual = Actual::of(&trail, state);
        if let Expect::Told(kind) = started.case.expect {
            if !self.was_told(kind, &trail).await? {
                return Ok(None);
            }
            kind.clone_into(&mut actual.reason);
        }
        Ok(Some(actual))
    }

    /// What is known of the work, or of what was started in its place.
    async fn newest_try(&self, id: String) -> Result<Option<Trail>> {
        let trail = self.store().trail(id).await?;
        match trail.as_ref().and_then(|trail| trail.again.clone()) {
            Some(again) => Ok(self.store().trail(again).await?),
            None => Ok(trail),
        }
    }

    async fn look_at_refusals(&self, started: &Started) -> Result<Option<Actual>> {
        let refused = self.store().counts().await?.refused.iter().map(|(_, count)| count).sum::<i64>() > 0;
        let actual = Actual {
            state: "refused".to_owned(),
            told: "refused, counted, not stored".to_owned(),
            ..Actual::default()
        };
        Ok((refused && started.id.is_empty()).then_some(actual))
    }

    async fn was_told(&self, kind: &str, trail: &Trail) -> Result<bool> {
        let alerts = self.store().alerts(false, PageRequest { limit: 100, cursor: None }).await?.items;
        let subject = trail.resource_id.as_deref();
        Ok(alerts.iter().any(|alert| alert.notice && alert.kind == kind && Some(alert.subject.as_str()) == subject))
    }

    /// Counts what is on the ticket at the very end: once, or it is wrong.
    pub(super) async fn count_effects(&self, case: &Case, actual: &mut Actual) -> Result<()> {
        let Some(id) = case.ticket else { return Ok(()) };
        let ticket = self.store().ticket(id.to_owned()).await?.context("a ticket is gone")?;
        let written = ticket.messages.iter().filter(|message| message.reference.is_some()).map(kind_of);
        // One that was sent, rejected or is stale is there for the record only.
        let drafts = ticket.drafts.iter().filter(|draft| draft.state == "open").map(|_| "draft");
        let routes = ticket.intent.iter().map(|_| "route");
        // A route brings its confidence along as a field.
        let fields = (ticket.intent.is_none() && !ticket.fields.is_empty()).then_some("fields");
        let files = ticket.attachments.iter().map(|_| "file");
        actual.on_ticket = written.chain(drafts).chain(routes).chain(fields).chain(files).collect();
        Ok(())
    }
}

/// What a message of ours is. A reply that a person approved is an agent's.
fn kind_of(message: &StoredMessage) -> &'static str {
    match (message.author, message.visibility) {
        (Author::Agent, Visibility::Public) if message.body == EDITED => "edited reply",
        (Author::Agent, Visibility::Public) => "reply",
        (_, Visibility::Public) => "reply of nobody",
        (_, Visibility::Internal) => "note",
    }
}
