//! Starting a batch. It is only written down here; a worker builds it.

use super::{SubmitError, Submitter};
use crate::domain::batch::{Origin, Select, Wanted};
use crate::domain::id::new_id;
use crate::domain::submission::Kind;
use crate::domain::ticket::{Ticket, valid_ticket_id};
use crate::store::{NewBatch, StoreError};
use crate::workflows::Workflow;

/// A batch that somebody asks for.
#[derive(Debug, Clone)]
pub struct AskBatch {
    /// The OpenAI project.
    pub project: String,
    /// The workflow's name.
    pub workflow: String,
    /// Which tickets, and how many at most.
    pub wanted: Wanted,
    /// Who asks.
    pub actor: String,
    /// A person or a schedule.
    pub origin: Origin,
}

impl Submitter {
    /// Writes down that a batch is wanted, and returns its id. Tickets of a list
    /// that are there twice count once; one that the helpdesk does not have is
    /// left out when the batch is built.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was started then.
    pub async fn submit_batch(&self, ask: AskBatch) -> Result<String, SubmitError> {
        let desk = &self.0;
        let workflow = desk.workflow(&ask.workflow)?;
        desk.client(&ask.project)?;
        desk.must_not_be_paused(&workflow.name).await?;
        let wanted = checked(ask.wanted)?;
        let id = new_id("bat").map_err(|error| StoreError::Open(error.to_string()))?;
        let now_ms = desk.clock.now_ms();
        let new = NewBatch {
            id: id.clone(),
            project: ask.project,
            workflow: workflow.name.clone(),
            prompt_version: workflow.prompt_version.clone(),
            origin: ask.origin,
            actor: ask.actor,
            wanted,
            again_of: None,
            deadline_ms: desk.settings.patience.deadline_at_ms(Kind::Batch, now_ms),
        };
        desk.store.begin_batch(new, now_ms).await?;
        Ok(id)
    }

    /// The body of a line of a batch.
    #[must_use]
    pub fn batch_request(&self, workflow: &Workflow, ticket: &Ticket) -> serde_json::Value {
        workflow.batch_request(&self.0.settings.model, ticket)
    }
}

fn checked(mut wanted: Wanted) -> Result<Wanted, SubmitError> {
    let refused = |why: String| Err(SubmitError::BadBatch(why));
    if let Select::Tickets(tickets) = &mut wanted.select {
        if let Some(bad) = tickets.iter().find(|id| !valid_ticket_id(id)) {
            let shown: String = bad.chars().take(64).collect();
            return refused(format!("{} is not a ticket id", shown.escape_debug()));
        }
        let mut seen = std::collections::HashSet::with_capacity(tickets.len());
        tickets.retain(|id| seen.insert(id.clone()));
        if tickets.is_empty() {
            return refused("it names no ticket".to_owned());
        }
    }
    if wanted.cap.is_some_and(|cap| cap < 1) || wanted.budget_tokens.is_some_and(|budget| budget < 1) {
        return refused("a cap or a budget is at least 1".to_owned());
    }
    Ok(wanted)
}
