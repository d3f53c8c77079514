//! Carries effects out: the intent is written first, and after an unknown
//! outcome the ticket is looked at before anything is written again.

use super::Worker;
use super::attempt::{Halt, Step};
use super::place::Placed;
use crate::domain::decision::Hold;
use crate::domain::effect::{Effect, Slot};
use crate::domain::failure::{Cause, Failure};
use crate::domain::hold::HoldReason;
use crate::domain::id::{effect_ref, new_id};
use crate::domain::submission::{Kind, Placement};
use crate::store::{Change, ClaimedJob, Intent, NewReview, NewStart, Planned, Settlement, Standing, Work};

/// Why a result that comes again changes nothing.
const APPLIED_BEFORE: &str = "another event of this resource has applied it";

/// Why an older result changes nothing.
const OUTDATED: &str = "a newer result of the same workflow has been here first";

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
        // A person was asked before: what becomes of it is theirs to say, whatever the policy says by now.
        if let Some((review, _)) = self.store.review_of(job.project.clone(), job.resource_id.clone()).await? {
            return Ok(asked_before(&review));
        }
        let place = placement.ok_or_else(no_ticket)?;
        let carried = self.carry_out(job, &place.ticket_id, work_of(job, placement), effects).await?;
        self.after(Step::Applied)?;
        Ok(carried.into_settlement())
    }

    /// Sets the result aside, and puts on the ticket what may be there meanwhile.
    pub(super) async fn hold(&self, job: &ClaimedJob, placed: Placed<'_>, hold: Hold) -> Result<Settlement, Halt> {
        // The ticket has moved on since, if only by what this result did to it.
        if self.store.was_applied(job.project.clone(), job.resource_id.clone()).await? {
            return Ok(Settlement::Ignored { reason: APPLIED_BEFORE.to_owned() });
        }
        // Nobody would look at it a second time.
        match self.store.review_of(job.project.clone(), job.resource_id.clone()).await? {
            Some((review, state)) if !state.waits() => return Ok(asked_before(&review)),
            _ => {}
        }
        let mut changes = Vec::new();
        if let Some(place) = &placed.placement {
            let work = work_of(job, placed.placement.as_ref());
            let carried = self.carry_out(job, &place.ticket_id, work, hold.meanwhile.clone()).await?;
            if carried.is_outdated {
                return Ok(carried.into_settlement());
            }
            changes = carried.changes;
        }
        self.after(Step::Applied)?;
        let id = new_id("rev").map_err(|error| Failure::retryable(Cause::Internal, error.to_string()))?;
        let review = self.review_of(job, id, placed, hold);
        Ok(Settlement::Held { review: Box::new(review), changes })
    }

    fn review_of(&self, job: &ClaimedJob, id: String, placed: Placed<'_>, hold: Hold) -> NewReview {
        let drafts = hold.meanwhile.iter().any(|effect| effect.slot() == Slot::Draft);
        let draft_ref = placed
            .placement
            .as_ref()
            .filter(|_| drafts)
            .map(|place| effect_ref(&job.project, &job.resource_id, &place.ticket_id, Slot::Draft.word()));
        let (ticket, text_slot) = match placed.target {
            // A batch is many results; one text cannot stand for them.
            Ok((ticket, workflow)) => (Some(ticket), workflow.text_slot.filter(|_| hold.reason != HoldReason::Batch)),
            Err(_) => (None, None),
        };
        NewReview {
            draft_ref,
            ticket,
            text_slot,
            policy_version: Some(self.policy.version()),
            ..NewReview::of(id, hold)
        }
    }

    /// Writes the intents down and makes the changes, unless newer work has been
    /// here: then only what may be on the ticket already is looked after.
    pub(super) async fn carry_out(
        &self,
        job: &ClaimedJob,
        ticket_id: &str,
        work: Option<Work>,
        effects: Vec<Effect>,
    ) -> Result<Carried, Halt> {
        if effects.is_empty() && work.is_none() {
            return Ok(Carried::default());
        }
        let intent = |effect| Intent {
            project: job.project.clone(),
            resource_id: job.resource_id.clone(),
            ticket_id: ticket_id.to_owned(),
            effect,
            job_id: job.id(),
        };
        let made_at_ms = work.as_ref().map(|work| work.made_at_ms);
        let plan = self.store.plan(work, effects.into_iter().map(intent).collect(), self.clock.now_ms()).await?;
        self.after(Step::Planned)?;
        if plan.planned.iter().any(|planned| planned.standing == Standing::InOtherHands) {
            return Err(Halt::InOtherHands);
        }
        let mut changes = Vec::with_capacity(plan.planned.len());
        for planned in plan.planned.into_iter().filter(|planned| planned.standing != Standing::Applied) {
            changes.push(self.write_once(job, ticket_id, planned, made_at_ms, plan.is_outdated).await?);
            self.after(Step::Written)?;
        }
        Ok(Carried { changes, is_outdated: plan.is_outdated })
    }

    async fn write_once(
        &self,
        job: &ClaimedJob,
        ticket_id: &str,
        planned: Planned,
        made_at_ms: Option<i64>,
        is_outdated: bool,
    ) -> Result<Change, Halt> {
        let Planned { reference, effect, standing } = planned;
        let there = if standing == Standing::MayBeThere { self.helpdesk.find(&reference).await? } else { None };
        Ok(match (there, effect) {
            (Some(external_id), _) => Change::Made { reference, external_id },
            (None, _) if is_outdated => Change::Dropped { reference },
            (None, Effect::Start { workflow }) => {
                let start = self.follow_up(job, ticket_id, workflow, &reference, made_at_ms);
                Change::Starts { reference, start }
            }
            (None, effect) => self.helpdesk.write(ticket_id, effect, reference),
        })
    }

    fn follow_up(
        &self,
        job: &ClaimedJob,
        ticket_id: &str,
        workflow: String,
        reference: &str,
        asked_at_ms: Option<i64>,
    ) -> NewStart {
        let now_ms = self.clock.now_ms();
        NewStart {
            // The reference is the same in every attempt: so is what is started.
            submission_id: reference.replacen("fd_", "sub_", 1),
            project: job.project.clone(),
            ticket_id: ticket_id.to_owned(),
            workflow,
            origin: "follow_up",
            retry_of: None,
            asked_at_ms,
            at_ms: now_ms,
            deadline_ms: self.settings.patience.deadline_at_ms(Kind::Response, now_ms),
        }
    }
}

/// What has been done about the effects.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) changes: Vec<Change>,
    pub(super) is_outdated: bool,
}

impl Carried {
    pub(super) fn into_settlement(self) -> Settlement {
        let Carried { changes, is_outdated } = self;
        let made = changes.iter().any(|change| !matches!(change, Change::Dropped { .. }));
        match (is_outdated, made) {
            (_, true) => Settlement::Applied { changes },
            (true, false) => Settlement::Superseded { reason: OUTDATED.to_owned(), changes },
            (false, false) => Settlement::Ignored { reason: APPLIED_BEFORE.to_owned() },
        }
    }
}

fn asked_before(review: &str) -> Settlement {
    Settlement::Ignored { reason: format!("a person was asked about this result: {review}") }
}

fn no_ticket() -> Failure {
    Failure::last(Cause::Internal, "effects without a ticket")
}

/// The place of this result in time; none when that is not known.
fn work_of(job: &ClaimedJob, placement: Option<&Placement>) -> Option<Work> {
    let placement = placement?;
    Some(Work {
        project: job.project.clone(),
        resource_id: job.resource_id.clone(),
        ticket_id: placement.ticket_id.clone(),
        workflow: placement.workflow.clone(),
        made_at_ms: placement.made_at_ms?,
    })
}
