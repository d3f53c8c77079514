//! One attempt at one job, as named steps.

use super::Worker;
use super::decide::Decided;
use super::place::Placed;
use crate::domain::decision::{Decision, Hold};
use crate::domain::effect::{Effect, Slot};
use crate::domain::failure::Failure;
use crate::domain::id::effect_ref;
use crate::domain::job::Kind;
use crate::domain::resource::{Resource, Response};
use crate::domain::submission::Placement;
use crate::store::{BATCH_UNDONE, ClaimedJob, Settlement};

/// The steps after which a process may stop and another must be able to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The job is ours.
    Claimed,
    /// The resource has been fetched, and is not stored yet.
    Retrieved,
    /// What was fetched is stored.
    Kept,
    /// Another piece of what a batch's files say is in the ledger.
    Entered,
    /// Ticket and workflow are known.
    Placed,
    /// It is known what shall happen.
    Decided,
    /// The intents are written down.
    Planned,
    /// One more effect has been handed to the helpdesk, and there is no receipt yet.
    Written,
    /// All effects have been handed over.
    Applied,
    /// The file of a part of a batch is written, with its rows; OpenAI has nothing of it.
    Built,
    /// OpenAI has the file of a part, and we have not written that down.
    Uploaded,
    /// It is written down that a part is about to be started.
    Announced,
    /// OpenAI has started a part, and we have not written that down.
    Created,
}

impl Step {
    /// Every step on the way of a response, in order.
    pub const ALL: [Step; 8] = [
        Step::Claimed,
        Step::Retrieved,
        Step::Kept,
        Step::Placed,
        Step::Decided,
        Step::Planned,
        Step::Written,
        Step::Applied,
    ];

    /// Every step on the way of a batch to OpenAI, in order.
    pub const BUILD: [Step; 5] = [Step::Claimed, Step::Built, Step::Uploaded, Step::Announced, Step::Created];
}

/// Why an attempt ended before its settlement.
#[derive(Debug)]
pub(super) enum Halt {
    /// It failed.
    Failed(Failure),
    /// Another job is writing the same effects; try again shortly.
    InOtherHands,
    /// A test stopped it.
    Stopped,
}

impl<E: Into<Failure>> From<E> for Halt {
    fn from(error: E) -> Halt {
        Halt::Failed(error.into())
    }
}

impl Worker {
    /// Works one job to its settlement.
    pub(super) async fn attempt(&self, job: ClaimedJob) {
        if self.settings.keeping.ids_only.contains(&job.project) {
            job.mark_forgets();
        }
        let mut placement = job.placement.clone();
        let ended = self.steps(&job, &mut placement).await;
        self.settle(job, placement, ended).await;
    }

    async fn steps(&self, job: &ClaimedJob, placement: &mut Option<Placement>) -> Result<Settlement, Halt> {
        self.after(Step::Claimed)?;
        match job.kind {
            Kind::Ending => self.work_ending(job, placement).await,
            Kind::Approval => match &job.draft_over {
                Some(draft) => self.take_draft_away(job, draft).await,
                None => self.carry_out_approval(job).await,
            },
            Kind::Start => self.start_planned(job).await,
            Kind::Line if job.line.as_ref().is_some_and(|line| line.is_called_off) => {
                Ok(Settlement::Ignored { reason: BATCH_UNDONE.to_owned() })
            }
            Kind::Line => self.work_ending(job, placement).await,
            Kind::Build => self.build_batch(job).await,
            Kind::Undo => self.undo_batch(job).await,
        }
    }

    async fn work_ending(&self, job: &ClaimedJob, placement: &mut Option<Placement>) -> Result<Settlement, Halt> {
        let retrieved = self.retrieve(job).await;
        if let Err(halt) = &retrieved {
            self.lose_part(job, halt).await?;
        }
        let (resource, kept) = retrieved?;
        let settlement = match &resource {
            Resource::Batch(batch) => self.end_batch(job, batch).await?,
            Resource::Response(response) => self.end_response(job, response, placement).await?,
        };
        if let Some(kept) = kept {
            kept.committed().await?;
        }
        Ok(settlement)
    }

    async fn end_response(
        &self,
        job: &ClaimedJob,
        response: &Response,
        placement: &mut Option<Placement>,
    ) -> Result<Settlement, Halt> {
        let placed = self.place(job, response, placement.clone()).await?;
        // Known from here on, also to an attempt that fails: the job then says which ticket waits for it.
        placement.clone_from(&placed.placement);
        self.after(Step::Placed)?;
        self.must_not_be_paused(placement.as_ref().map(|place| place.workflow.as_str()))?;
        match self.decide(job, response, &placed)? {
            Decided::End(settlement) => Ok(settlement),
            Decided::Do(decision) => self.act_on(job, placed, decision).await,
        }
    }

    async fn act_on(&self, job: &ClaimedJob, placed: Placed<'_>, decision: Decision) -> Result<Settlement, Halt> {
        job.mark_decided(self.policy.version());
        self.after(Step::Decided)?;
        let plan = self.standing_plan(job, &placed, &decision).await?;
        match keep_to_plan(decision, &plan) {
            Decision::Apply(effects) => self.apply(job, placed.placement.as_ref(), effects).await,
            Decision::Hold(hold) => self.hold(job, placed, hold).await,
        }
    }

    /// What an earlier attempt has written down. To write to a customer, or over
    /// what a ticket says, is judged anew, though: what is held by now, and is not
    /// there yet, is not written.
    async fn standing_plan(
        &self,
        job: &ClaimedJob,
        placed: &Placed<'_>,
        decision: &Decision,
    ) -> Result<Vec<Effect>, Halt> {
        let is_judged_anew = |effect: &Effect| matches!(effect.slot(), Slot::Reply | Slot::Route | Slot::Fields);
        let matters = job.unfinished.iter().any(is_judged_anew);
        let (true, Decision::Hold(_), Some(place)) = (matters, decision, &placed.placement) else {
            return Ok(job.unfinished.clone());
        };
        for effect in &job.unfinished {
            let reference = effect_ref(&job.project, &job.resource_id, &place.ticket_id, effect.slot().word());
            let since_ms = place.made_at_ms.unwrap_or(0);
            if self.helpdesk.find(&place.ticket_id, &reference, effect, since_ms).await?.is_some() {
                return Ok(job.unfinished.clone());
            }
        }
        self.store.withdraw_plan(job.project.clone(), job.resource_id.clone(), job.id()).await?;
        Ok(Vec::new())
    }

    /// Marks the end of a step.
    pub(super) fn after(&self, step: Step) -> Result<(), Halt> {
        match &self.stop_after {
            Some(stop) if stop(step) => Err(Halt::Stopped),
            _ => Ok(()),
        }
    }
}

/// What an earlier attempt has written down is carried out, whatever has
/// changed since: it may be on the ticket already, and would have no receipt.
fn keep_to_plan(decision: Decision, unfinished: &[Effect]) -> Decision {
    match decision {
        _ if unfinished.is_empty() => decision,
        Decision::Hold(hold) if unfinished.iter().all(|effect| matches!(effect, Effect::Draft { .. })) => {
            Decision::Hold(Hold { meanwhile: unfinished.to_vec(), ..hold })
        }
        _ => Decision::Apply(unfinished.to_vec()),
    }
}
