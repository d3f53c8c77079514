//! How a piece of work ended, as the database and the ticket tell it.

use anyhow::{Context, Result};

use super::scenario::{Case, Expect, Start};
use super::stage::{EDITED, Stage, Started};
use crate::clock::Clock;
use crate::domain::batch;
use crate::domain::job::State;
use crate::domain::ticket::{Author, Visibility};
use crate::domain::trail::{JobFacts, ReviewFacts, Trail};
use crate::store::{Batch, PageRequest, StoredMessage};

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
    pub(super) on_ticket: Vec<String>,
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

    /// Whether it ended so: state, outcome, and reason unless that is left open; and
    /// whether this is on the ticket.
    pub(super) fn is(&self, (state, outcome, reason): (&str, &str, &str), on_ticket: &[impl AsRef<str>]) -> bool {
        self.state == state
            && self.outcome == outcome
            && (reason.is_empty() || self.reason == reason)
            && self.on_ticket.iter().map(String::as_str).eq(on_ticket.iter().map(AsRef::as_ref))
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
        if matches!(started.case.expect, Expect::Batch(..) | Expect::BatchFailed(_)) {
            return self.look_at_batch(&started.id, actual).await;
        }
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

    /// How a batch of another program stands once its results are read, and applied.
    async fn look_at_batch(&self, id: &str, actual: Actual) -> Result<Option<Actual>> {
        let Some(batch) = self.store().batch(id.to_owned()).await?.filter(|batch| batch.state.is_at_rest()) else {
            return Ok(None);
        };
        let reason = if batch.state == batch::State::Failed { errors_of(&batch) } else { lines_of(&batch) };
        Ok(Some(Actual { outcome: batch.state.word().to_owned(), reason, ..actual }))
    }

    /// How many of these tickets have been routed.
    pub(super) async fn routed(&self, tickets: impl Iterator<Item = String>) -> Result<usize> {
        let mut routed = 0;
        for id in tickets {
            let ticket = self.store().ticket(id).await?.context("a ticket is gone")?;
            routed += usize::from(ticket.intent.is_some());
        }
        Ok(routed)
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
        if let Start::Batch(lines) = case.start {
            actual.on_ticket = routes(self.routed(lines.tickets()).await?);
            return Ok(());
        }
        let Some(id) = case.ticket else { return Ok(()) };
        let ticket = self.store().ticket(id.to_owned()).await?.context("a ticket is gone")?;
        let written = ticket.messages.iter().filter(|message| message.reference.is_some()).map(kind_of);
        // One that was sent, rejected or is stale is there for the record only.
        let drafts = ticket.drafts.iter().filter(|draft| draft.state == "open").map(|_| "draft");
        let routes = ticket.intent.iter().map(|_| "route");
        // A route brings its confidence along as a field.
        let fields = (ticket.intent.is_none() && !ticket.fields.is_empty()).then_some("fields");
        let files = ticket.attachments.iter().map(|_| "file");
        actual.on_ticket = written.chain(drafts).chain(routes).chain(fields).chain(files).map(str::to_owned).collect();
        Ok(())
    }
}

/// So many routes, for the table; nothing for none.
pub(super) fn routes(count: usize) -> Vec<String> {
    match count {
        0 => Vec::new(),
        1 => vec!["1 route".to_owned()],
        count => vec![format!("{count} routes")],
    }
}

/// What came back of a batch's lines, and why not all are good.
pub(super) fn lines_of(batch: &Batch) -> String {
    [counted(batch, "result/"), counted(batch, "reason/")]
        .into_iter()
        .filter(|list| !list.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// The counts of one kind that are not 0, by name.
pub(super) fn counted(batch: &Batch, kind: &str) -> String {
    let named = batch.counts.iter().filter(|(_, count)| **count != 0);
    let list = named.filter_map(|(name, count)| Some(format!("{count} {}", name.strip_prefix(kind)?)));
    list.collect::<Vec<_>>().join(", ")
}

/// What OpenAI has against the input, line by line.
fn errors_of(batch: &Batch) -> String {
    let errors = batch.parts.iter().flat_map(|part| part.errors.as_array().into_iter().flatten());
    let told = errors.map(|error| format!("{} in line {}", error[0].as_str().unwrap_or_default(), error[1]));
    told.collect::<Vec<_>>().join(", ")
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
