//! Carries out what a person approved, once, and looks at the ticket first: it
//! may have moved on since.

use super::Worker;
use super::attempt::{Halt, Step};
use crate::domain::effect::Slot;
use crate::domain::id::effect_ref;
use crate::domain::ticket::NEWER_RESULT;
use crate::helpdesk::HelpdeskError;
use crate::store::{Approved, ClaimedJob, DraftOver, Settlement, Work};

impl Worker {
    pub(super) async fn carry_out_approval(&self, job: &ClaimedJob) -> Result<Settlement, Halt> {
        let Some(approved) = &job.approved else {
            return Ok(Settlement::Ignored { reason: "the review is not approved any more".to_owned() });
        };
        self.must_not_be_paused(Some(&approved.workflow))?;
        if let Some(reason) = self.moved_on(approved).await? {
            // What moved it on may be this reply: a crash or a restore lost the receipt.
            if !self.reply_is_there(job, approved).await? {
                return Ok(Settlement::Stale { reason });
            }
        }
        self.after(Step::Decided)?;
        let carried =
            self.carry_out(job, &approved.ticket_id, work_of(job, approved), approved.effects.clone()).await?;
        self.after(Step::Applied)?;
        Ok(match carried.into_settlement() {
            Settlement::Superseded { .. } => Settlement::Stale { reason: NEWER_RESULT },
            settlement => settlement,
        })
    }

    /// A draft that waits in the helpdesk itself goes once it is decided: somebody
    /// could send it from there.
    pub(super) async fn take_draft_away(&self, job: &ClaimedJob, draft: &DraftOver) -> Result<Settlement, Halt> {
        self.take_ticket(job, &draft.ticket_id).await?;
        let gone = self.helpdesk.withdraw(&draft.ticket_id, &draft.reference, &draft.text).await;
        self.leave_ticket(job, &draft.ticket_id).await?;
        match gone {
            Ok(()) => Ok(Settlement::Done { how: "the draft does not wait in the helpdesk any more".to_owned() }),
            Err(HelpdeskError::NoTicket) => Ok(Settlement::Ignored { reason: "the ticket is gone".to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    async fn reply_is_there(&self, job: &ClaimedJob, approved: &Approved) -> Result<bool, Halt> {
        let reference = effect_ref(&job.project, &job.resource_id, &approved.ticket_id, Slot::Reply.word());
        let Some(reply) = approved.effects.iter().find(|effect| effect.slot() == Slot::Reply) else { return Ok(false) };
        let since_ms = approved.made_at_ms.unwrap_or(0);
        Ok(self.helpdesk.find(&approved.ticket_id, &reference, reply, since_ms).await?.is_some())
    }

    /// Only what a customer would see can be out of date: a note may be late,
    /// but not wrong.
    async fn moved_on(&self, approved: &Approved) -> Result<Option<&'static str>, Halt> {
        let sends = approved.effects.iter().any(|effect| effect.slot() == Slot::Reply);
        let ticket = match self.helpdesk.ticket(&approved.ticket_id).await {
            Ok(ticket) => ticket,
            Err(HelpdeskError::NoTicket) => return Ok(Some("the ticket is gone")),
            Err(error) => return Err(error.into()),
        };
        Ok(approved.seen.as_ref().filter(|_| sends).and_then(|seen| seen.moved_on(&ticket)))
    }
}

/// The place of the result in time: the approval may have waited while a newer one came.
fn work_of(job: &ClaimedJob, approved: &Approved) -> Option<Work> {
    Some(Work {
        project: job.project.clone(),
        resource_id: job.resource_id.clone(),
        ticket_id: approved.ticket_id.clone(),
        workflow: approved.workflow.clone(),
        made_at_ms: approved.made_at_ms?,
    })
}
