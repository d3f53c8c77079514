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
use crate::helpdesk::HelpdeskError;
use crate::store::{Change, ClaimedJob, Intent, NewReview, NewStart, Planned, Settlement, Standing, Work};

/// Why a result that comes again changes nothing.
const APPLIED_BEFORE: &str = "another event of this resource has applied it";

/// How long a helpdesk may take to show a message that it has taken, in ms.
const SETTLES_MS: i64 = 120_000;

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
        let is_outdated = plan.is_outdated;
        let left: Vec<Planned> =
            plan.planned.into_iter().filter(|planned| planned.standing != Standing::Applied).collect();
        if left.is_empty() {
            return Ok(Carried { changes: Vec::new(), is_outdated });
        }
        self.take_ticket(job, ticket_id).await?;
        let written = self.write_all(job, ticket_id, left, made_at_ms, is_outdated).await;
        // A crash leaves it taken: until then another may be in the middle of writing.
        if !matches!(written, Err(Halt::Stopped)) {
            self.leave_ticket(job, ticket_id).await?;
        }
        Ok(Carried { changes: written?, is_outdated })
    }

    async fn write_all(
        &self,
        job: &ClaimedJob,
        ticket_id: &str,
        left: Vec<Planned>,
        made_at_ms: Option<i64>,
        is_outdated: bool,
    ) -> Result<Vec<Change>, Halt> {
        let mut changes = Vec::with_capacity(left.len());
        let (pair, left) = if is_outdated { (None, left) } else { self.in_one_change(left) };
        if let Some((note, set)) = pair {
            changes.extend(self.helpdesk.write_together(ticket_id, note, set).await?);
            self.after(Step::Written)?;
        }
        for planned in left {
            changes.push(self.write_once(job, ticket_id, planned, made_at_ms, is_outdated).await?);
            self.after(Step::Written)?;
        }
        Ok(changes)
    }

    /// A note and fields that nobody has tried to write yet, when the helpdesk takes
    /// both in one change; and what is left. A second attempt goes one by one: each
    /// may be there.
    fn in_one_change(&self, left: Vec<Planned>) -> (Option<(Planned, Planned)>, Vec<Planned>) {
        let is_new = |planned: &&Planned, slots: &[Slot]| {
            planned.standing == Standing::New && slots.contains(&planned.effect.slot())
        };
        let note = left.iter().find(|planned| is_new(planned, &[Slot::Note])).cloned();
        let set = left.iter().find(|planned| is_new(planned, &[Slot::Route, Slot::Fields])).cloned();
        match (note, set) {
            (Some(note), Some(set)) if self.helpdesk.writes_together() => {
                let is_other = |planned: &Planned| ![&note.reference, &set.reference].contains(&&planned.reference);
                let others = left.into_iter().filter(is_other).collect();
                (Some((note, set)), others)
            }
            _ => (None, left),
        }
    }

    /// One writes to a ticket outside at a time: helpdesks do not keep two apart.
    pub(super) async fn take_ticket(&self, job: &ClaimedJob, ticket_id: &str) -> Result<(), Halt> {
        if !self.helpdesk.is_outside() {
            return Ok(());
        }
        let now_ms = self.clock.now_ms();
        let until_ms = now_ms + self.settings.lease_ms;
        match self.store.take_ticket(ticket_id.to_owned(), job.id(), until_ms, now_ms).await? {
            true => Ok(()),
            false => Err(Halt::InOtherHands),
        }
    }

    pub(super) async fn leave_ticket(&self, job: &ClaimedJob, ticket_id: &str) -> Result<(), Halt> {
        match self.helpdesk.is_outside() {
            true => Ok(self.store.leave_ticket(ticket_id.to_owned(), job.id()).await?),
            false => Ok(()),
        }
    }

    async fn write_once(
        &self,
        job: &ClaimedJob,
        ticket_id: &str,
        planned: Planned,
        made_at_ms: Option<i64>,
        is_outdated: bool,
    ) -> Result<Change, Halt> {
        if let Effect::Start { workflow } = planned.effect {
            let Planned { reference, .. } = planned;
            if is_outdated {
                return Ok(Change::Dropped { reference });
            }
            let start = self.follow_up(job, ticket_id, workflow, &reference, made_at_ms);
            return Ok(Change::Starts { reference, start });
        }
        let there = match planned.standing {
            Standing::MayBeThere => self.find(ticket_id, &planned).await?,
            _ => None,
        };
        Ok(match there {
            Some(external_id) => {
                let Planned { reference, effect, .. } = planned;
                Change::Made { reference, external_id, ticket_id: ticket_id.to_owned(), effect }
            }
            None if is_outdated => Change::Dropped { reference: planned.reference },
            None => {
                self.may_be_sent(&planned)?;
                self.helpdesk.write(ticket_id, planned).await?
            }
        })
    }

    async fn find(&self, ticket_id: &str, planned: &Planned) -> Result<Option<String>, HelpdeskError> {
        self.helpdesk.find(ticket_id, &planned.reference, &planned.effect, planned.planned_at_ms).await
    }

    /// A message to a customer that an earlier attempt may have sent is not sent
    /// again. Mail and chats take their time, so it is looked for once more; then a
    /// person has to say.
    fn may_be_sent(&self, planned: &Planned) -> Result<(), Failure> {
        let is_doubtful = self.helpdesk.is_outside()
            && planned.standing == Standing::MayBeThere
            && planned.effect.slot() == Slot::Reply;
        let left_ms = planned.planned_at_ms + SETTLES_MS - self.clock.now_ms();
        match is_doubtful {
            false => Ok(()),
            true if left_ms > 0 => Err(Failure::Retryable {
                cause: Cause::ReplyUnknown,
                detail: "an attempt before may have sent the reply; it is looked for again".to_owned(),
                retry_after_ms: Some(left_ms),
            }),
            true => Err(Failure::last(
                Cause::ReplyUnknown,
                "the reply may have been sent; look at the ticket: a retry sends it, a discard does not",
            )),
        }
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
            actor: "frontdesk",
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
