//! Starts planned work: once, whatever happens in between. What is not known to
//! have been started is not started again; its webhook or the reconciler tells.

use super::Worker;
use super::attempt::{Halt, Step};
use crate::domain::failure::{Cause, Failure};
use crate::domain::id::effect_ref;
use crate::domain::submission::{Kind, Placement};
use crate::store::{Change, ClaimedJob, NewStart, Settlement};
use crate::submit::{SubmitError, Submitted};

impl Worker {
    pub(super) async fn start_planned(&self, job: &ClaimedJob) -> Result<Settlement, Halt> {
        let Some(start) = self.store.planned_start(job.resource_id.clone()).await? else {
            return Err(Failure::last(Cause::Internal, "planned work without its submission").into());
        };
        self.openai_must_not_be_paused()?;
        self.must_not_be_paused(Some(&start.workflow))?;
        let done = match start.state.as_str() {
            "planned" | "refused" => {
                job.mark_called();
                self.submitter.start_planned(&job.project, &start.submission_id).await
            }
            // An attempt before this one, or before the database was restored, may have reached OpenAI.
            "starting" | "unknown" => {
                self.store.give_up_start(start.submission_id.clone()).await?;
                return Ok(started("whether OpenAI has it is not known; its webhook or the reconciler tells"));
            }
            "ended" => return Ok(Settlement::Ignored { reason: "it was closed before it was started".to_owned() }),
            _ => return Ok(started("started by an earlier attempt")),
        };
        self.tell_gate(&job.project, &done).await;
        self.after(Step::Applied)?;
        match done {
            Ok(_) => Ok(started("started")),
            Err(SubmitError::Unknown { .. }) => {
                Ok(started("whether OpenAI has it is not known; its webhook or the reconciler tells"))
            }
            Err(SubmitError::NotStarted { failure, .. }) => Err(failure.into()),
            Err(SubmitError::Store(error)) => Err(error.into()),
            Err(error @ SubmitError::NoTicket(_)) => Err(Failure::last(Cause::TicketMissing, error.to_string()).into()),
            Err(error @ SubmitError::UnknownWorkflow { .. }) => {
                Err(Failure::last(Cause::WorkflowMissing, error.to_string()).into())
            }
            Err(error) => Err(Failure::last(Cause::Internal, error.to_string()).into()),
        }
    }

    /// A start shows as well as a fetch how OpenAI treats us.
    async fn tell_gate(&self, name: &str, done: &Result<Submitted, SubmitError>) {
        let Some(project) = self.projects.get(name) else { return };
        match done {
            Ok(_) => self.watch_gate(name, project, None).await,
            Err(SubmitError::NotStarted { failure, .. }) => self.watch_gate(name, project, Some(failure)).await,
            Err(_) => {}
        }
    }

    /// Work that failed at OpenAI for a reason that may pass is started once
    /// more, later. What takes its place is planned together with its end.
    pub(super) fn start_again(&self, job: &ClaimedJob, placement: &Placement, code: &str) -> Settlement {
        let at_ms = self.clock.now_ms() + self.settings.resubmit_after_ms;
        let reference = effect_ref(&job.project, &job.resource_id, &placement.ticket_id, "resubmit");
        let start = NewStart {
            submission_id: reference.replacen("fd_", "sub_", 1),
            project: job.project.clone(),
            ticket_id: placement.ticket_id.clone(),
            workflow: placement.workflow.clone(),
            origin: "resubmit",
            actor: "frontdesk",
            retry_of: Some(job.resource_id.clone()),
            asked_at_ms: placement.made_at_ms,
            at_ms,
            deadline_ms: self.settings.patience.deadline_at_ms(Kind::Response, at_ms),
        };
        let reason = format!("failed at OpenAI ({code}); started again as {}", start.submission_id);
        Settlement::Superseded { reason, changes: vec![Change::Starts { reference, start }] }
    }
}

fn started(how: &'static str) -> Settlement {
    Settlement::Done { how: how.to_owned() }
}
