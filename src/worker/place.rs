//! Finds the ticket and the workflow that a response belongs to.

use std::collections::BTreeMap;

use super::Worker;
use super::attempt::Halt;
use crate::domain::resource::Response;
use crate::domain::submission::{Placement, SUBMISSION_KEY};
use crate::domain::ticket::{Ticket, valid_ticket_id};
use crate::helpdesk::HelpdeskError;
use crate::store::ClaimedJob;
use crate::workflows::Workflow;

/// Where a result belongs, as far as could be found out.
pub(super) struct Placed<'a> {
    /// What is written on the job.
    pub(super) placement: Option<Placement>,
    /// Ticket and workflow, or why there is none.
    pub(super) target: Result<(Ticket, &'a Workflow), String>,
}

impl Worker {
    /// Our own submission first, then the metadata that its starter attached.
    /// What cannot be placed is parked for a person, never dropped.
    pub(super) async fn place(
        &self,
        job: &ClaimedJob,
        response: &Response,
        known: Option<Placement>,
    ) -> Result<Placed<'_>, Halt> {
        let metadata = &response.metadata;
        let placement = match known {
            Some(placement) => Some(placement),
            None => self.place_by_metadata(job, response).await?,
        };
        let Some(placement) = placement else {
            return Ok(Placed { placement: None, target: Err(self.why_unplaced(metadata)) });
        };
        let Some(workflow) = self.workflows.named(&placement.workflow) else {
            let why = format!("there is no workflow named {}", printable(&placement.workflow));
            return Ok(Placed { placement: Some(placement), target: Err(why) });
        };
        let target = match self.helpdesk.ticket(&placement.ticket_id).await {
            Ok(_) if self.store.is_another_ticket(placement.ticket_id.clone(), placement.made_at_ms).await? => {
                Err(format!("{} was made after the database was restored; the work is older", placement.ticket_id))
            }
            Ok(ticket) => Ok((ticket, workflow)),
            Err(HelpdeskError::NoTicket) => Err(format!("the helpdesk has no ticket {}", placement.ticket_id)),
            Err(error) => return Err(error.into()),
        };
        Ok(Placed { placement: Some(placement), target })
    }

    async fn place_by_metadata(&self, job: &ClaimedJob, response: &Response) -> Result<Option<Placement>, Halt> {
        let metadata = &response.metadata;
        if let Some(submission_id) = metadata.get(SUBMISSION_KEY) {
            // The webhook overtook the answer to our own call.
            let (project, resource_id) = (job.project.clone(), job.resource_id.clone());
            let ours = self
                .store
                .place_by_submission(project, resource_id, submission_id.clone(), self.clock.now_ms())
                .await?;
            if ours.is_some() {
                return Ok(ours);
            }
        }
        let keys = &self.settings.metadata_keys;
        let (Some(ticket_id), Some(workflow)) = (metadata.get(&keys.ticket), metadata.get(&keys.workflow)) else {
            return Ok(None);
        };
        if !valid_ticket_id(ticket_id) {
            return Ok(None);
        }
        Ok(Some(Placement {
            ticket_id: ticket_id.clone(),
            workflow: workflow.clone(),
            submission_id: None,
            ticket_revision: None,
            // As far as OpenAI tells.
            made_at_ms: response.created_at_s.and_then(|seconds| seconds.checked_mul(1000)),
            prompt_version: None,
            retry_of: None,
        }))
    }

    fn why_unplaced(&self, metadata: &BTreeMap<String, String>) -> String {
        let keys = &self.settings.metadata_keys;
        match (metadata.get(&keys.ticket), metadata.get(&keys.workflow)) {
            (Some(ticket), _) if !valid_ticket_id(ticket) => format!("metadata {} is not a ticket id", keys.ticket),
            (None, _) => format!("its metadata has no {}", keys.ticket),
            _ => format!("its metadata has no {}", keys.workflow),
        }
    }
}

/// A name from outside, cut and escaped for one line of text.
fn printable(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}
