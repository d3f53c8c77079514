//! Carries effects out: the intent is written first, and after an unknown
//! outcome the ticket is looked at before anything is written again.

use super::Worker;
use super::attempt::{Halt, Step};
use crate::domain::decision::Hold;
use crate::domain::effect::Effect;
use crate::domain::failure::{Cause, Failure};
use crate::domain::id::new_id;
use crate::domain::submission::Placement;
use crate::store::{Change, ClaimedJob, Intent, NewReview, Planned, Proposed, Settlement, Standing};

impl Worker {
    /// Changes the ticket.
    pub(super) async fn apply(
        &self,
        job: &ClaimedJob,
        placement: Option<&Placement>,
        effects: Vec<Effect>,
    ) -> Result<Settlement, Halt> {
        if effects.is_empty() {
            return Ok(Settlement::Ignored { reason: "the workflow proposes nothing".to_owned() });
        }
        let (changes, news) = self.carry_out(job, placement, effects).await?;
        self.after(Step::Applied)?;
        Ok(if news {
            Settlement::Applied { changes }
        } else {
            Settlement::Ignored { reason: "another event of this resource has applied it".to_owned() }
        })
    }

    /// Sets the result aside, and puts on the ticket what may be there meanwhile.
    pub(super) async fn hold(
        &self,
        job: &ClaimedJob,
        placement: Option<&Placement>,
        hold: Hold,
    ) -> Result<Settlement, Halt> {
        let Hold { reason, detail, topics, proposed, output, meanwhile } = hold;
        let (changes, _) = self.carry_out(job, placement, meanwhile).await?;
        self.after(Step::Applied)?;
        let id = new_id("rev").map_err(|error| Failure::retryable(Cause::Internal, error.to_string()))?;
        let proposed = proposed.into_iter().map(|(slot, text)| Proposed { slot, text }).collect();
        Ok(Settlement::Held { review: Box::new(NewReview { id, reason, detail, topics, proposed, output }), changes })
    }

    /// Returns the changes, and whether anything was this job's to do.
    async fn carry_out(
        &self,
        job: &ClaimedJob,
        placement: Option<&Placement>,
        effects: Vec<Effect>,
    ) -> Result<(Vec<Change>, bool), Halt> {
        if effects.is_empty() {
            return Ok((Vec::new(), false));
        }
        let Some(placement) = placement else {
            return Err(Failure::last(Cause::Internal, "effects without a ticket").into());
        };
        let intent = |effect| Intent {
            project: job.project.clone(),
            resource_id: job.resource_id.clone(),
            ticket_id: placement.ticket_id.clone(),
            effect,
            job_id: job.id(),
        };
        let planned = self.store.plan(effects.into_iter().map(intent).collect(), self.clock.now_ms()).await?;
        self.after(Step::Planned)?;
        if planned.iter().any(|planned| planned.standing == Standing::InOtherHands) {
            return Err(Halt::InOtherHands);
        }
        let mut changes = Vec::with_capacity(planned.len());
        for planned in planned.into_iter().filter(|planned| planned.standing != Standing::Applied) {
            changes.push(self.write_once(&placement.ticket_id, planned).await?);
            self.after(Step::Written)?;
        }
        let news = !changes.is_empty();
        Ok((changes, news))
    }

    async fn write_once(&self, ticket_id: &str, planned: Planned) -> Result<Change, Halt> {
        let Planned { reference, effect, standing } = planned;
        let there = if standing == Standing::MayBeThere { self.helpdesk.find(&reference).await? } else { None };
        Ok(match there {
            Some(external_id) => Change::Made { reference, external_id },
            None => self.helpdesk.write(ticket_id, effect, reference),
        })
    }
}
