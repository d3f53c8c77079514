//! The end of an attempt: the job moves, the ticket of the built-in desk
//! changes, receipts and reviews are written, all in one transaction, and only
//! if the claim is still the newest one.

use crate::store::sql::{Connection, Subject, params};

use super::effects::Change;
use super::ledger::FoundBy;
use super::{
    ClaimedJob, NewReview, Store, StoreError, alerts, batches, deciding, effects, erase, failed, ledger, newest,
    pauses, reviews, samples,
};
use crate::domain::failure::{Cause, Failure};
use crate::domain::job::{self, Outcome};
use crate::domain::submission::Placement;

/// How an attempt ended.
#[derive(Debug)]
pub enum Settlement {
    /// The ticket is changed.
    Applied {
        /// What is written where.
        changes: Vec<Change>,
    },
    /// A person decides.
    Held {
        /// What the person will see.
        review: Box<NewReview>,
        /// What is written beside it (a draft).
        changes: Vec<Change>,
    },
    /// Nothing to do.
    Ignored {
        /// Why, in our words.
        reason: String,
    },
    /// Newer work has taken its place, or takes it now.
    Superseded {
        /// Why, in our words.
        reason: String,
        /// What was written down and is not there, and what is started instead.
        changes: Vec<Change>,
    },
    /// Work that changes no ticket by itself is done.
    Done {
        /// How, in our words.
        how: String,
    },
    /// What OpenAI's files say is in the ledger of a batch.
    Entered {
        /// Whether a person decides about it.
        waits: bool,
        /// The batch.
        batch_id: String,
    },
    /// The ticket moved on after the approval: nothing is sent.
    Stale {
        /// Why, in our words.
        reason: &'static str,
    },
    /// To be tried again.
    Retry {
        /// Why.
        failure: Failure,
        /// Not before, in ms.
        at_ms: i64,
        /// Whether the attempt counts against the limit.
        counts: bool,
    },
    /// Given up.
    GaveUp {
        /// Why.
        failure: Failure,
    },
}

impl Settlement {
    /// The word for it in counts, metrics and logs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Settlement::Applied { .. } | Settlement::Done { .. } | Settlement::Entered { waits: false, .. } => {
                "applied"
            }
            Settlement::Held { .. } | Settlement::Entered { waits: true, .. } => "held",
            Settlement::Ignored { .. } | Settlement::Stale { .. } => "ignored",
            Settlement::Superseded { .. } => "superseded",
            Settlement::Retry { .. } => "failed_retryable",
            Settlement::GaveUp { .. } => "failed_final",
        }
    }

    fn changes(&self) -> &[Change] {
        match self {
            Settlement::Applied { changes }
            | Settlement::Held { changes, .. }
            | Settlement::Superseded { changes, .. } => changes,
            _ => &[],
        }
    }

    /// Whether the job ends with it, or goes on.
    #[must_use]
    pub fn is_end(&self) -> bool {
        !matches!(self, Settlement::Retry { .. })
    }
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is written.
    Done {
        /// It raised an alert that was not open before.
        new_alert: bool,
    },
    /// The lease was lost: another worker has claimed the job since, and
    /// nothing was changed.
    Fenced,
}

impl Store {
    /// Records how an attempt ended, if the claim is still the newest one.
    ///
    /// # Errors
    /// When the transaction could not be committed. The lease then runs out and
    /// the job is claimed again.
    pub async fn settle(
        &self,
        job: ClaimedJob,
        placement: Option<Placement>,
        settlement: Settlement,
        now_ms: i64,
    ) -> Result<Settled, StoreError> {
        let (settled, fed) = self
            .write_beside(move |connection| settle(connection, &job, placement.as_ref(), &settlement, now_ms))
            .await?;
        if fed {
            self.ring();
        }
        Ok(settled)
    }
}

/// With whether it has made jobs that can be claimed at once.
fn settle(
    connection: &Connection,
    job: &ClaimedJob,
    placement: Option<&Placement>,
    settlement: &Settlement,
    now_ms: i64,
) -> Result<(Settled, bool), StoreError> {
    lock(connection, job, placement, settlement)?;
    let instead = match erase::instead(connection, placement, settlement)? {
        None => newest::instead(connection, placement, settlement)?,
        erased => erased,
    };
    let settlement = instead.as_ref().map_or(settlement, |instead| &instead.settlement);
    if !leave_processing(connection, job, placement, settlement, now_ms)? {
        return Ok((Settled::Fenced, false));
    }
    if let Some(instead) = &instead {
        effects::receive(connection, &instead.changes, now_ms)?;
    }
    let (mut new_alert, mut fed) = (false, false);
    match settlement {
        Settlement::Applied { changes } => {
            effects::receive(connection, changes, now_ms)?;
            deciding::carried_out(connection, job, now_ms)?;
        }
        Settlement::Superseded { changes, .. } => effects::receive(connection, changes, now_ms)?,
        Settlement::Stale { reason } => {
            deciding::stale_when_carried_out(connection, &job.work, reason, now_ms)?;
            effects::withdraw(connection, &job.project, &job.resource_id, job.id())?;
        }
        Settlement::Ignored { .. } if instead.is_none() => {
            effects::withdraw(connection, &job.project, &job.resource_id, job.id())?
        }
        Settlement::Held { review, changes } => {
            effects::receive(connection, changes, now_ms)?;
            reviews::open(connection, job, placement, review, now_ms)?;
        }
        Settlement::GaveUp { failure } if job::alerts(failure.cause()) => {
            new_alert = alerts::raise(connection, failure.cause().code(), &job.project, &failure.to_string(), now_ms)?;
        }
        _ => {}
    }
    if matches!(settlement, Settlement::GaveUp { .. }) {
        failed::mark_deliveries(connection, job.id())?;
    }
    samples::measure(connection, job, placement, settlement, now_ms)?;
    if settlement.is_end() {
        count(connection, settlement.word(), 1)?;
        if let Some(submission_id) = placement.and_then(|placement| placement.submission_id.as_deref()) {
            ledger::end(connection, submission_id, Some(FoundBy::of(&job.event_type)), now_ms)?;
        }
        if job.event_type.starts_with("batch.") {
            fed = batches::settled(connection, job, settlement, now_ms)?;
        }
        if job.forgets() || instead.is_some_and(|instead| instead.forgets) {
            erase::forget(connection, job, now_ms)?;
        }
    }
    Ok((Settled::Done { new_alert }, fed))
}

/// What nobody else may work on until this attempt has ended: the resource, and
/// the tickets that it changes.
fn lock(
    connection: &Connection,
    job: &ClaimedJob,
    placement: Option<&Placement>,
    settlement: &Settlement,
) -> Result<(), StoreError> {
    connection.alone_with(Subject::Resource(&job.resource_id))?;
    let placed = placement.map(|placement| placement.ticket_id.as_str());
    let changed = settlement.changes().iter().filter_map(Change::ticket_id);
    let approved = job.approved.as_ref().map(|approved| approved.ticket_id.as_str());
    effects::subjects(placed.into_iter().chain(changed).chain(approved), |id| {
        connection.alone_with(Subject::Ticket(id))
    })
}

/// Moves the job, if the claim is still the newest one.
fn leave_processing(
    connection: &Connection,
    job: &ClaimedJob,
    placement: Option<&Placement>,
    settlement: &Settlement,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let mut to = Transition::of(settlement);
    if to.failure.is_some_and(|failure| failure.cause() == Cause::Paused)
        && !pauses::stop(connection, job.id(), placement.map(|placement| placement.workflow.as_str()))?
    {
        to.claimable_at = Some(now_ms);
    }
    let changed = connection
        .prepare_cached(
            "UPDATE jobs SET state = ?3, since = ?4, claimable_at = ?5, worker = NULL, outcome = ?6, reason = ?7,
                             error_cause = coalesce(?8, error_cause), error_detail = coalesce(?9, error_detail),
                             attempts = attempts - ?10, calls = calls + ?14,
                             ticket_id = coalesce(?11, ticket_id), workflow = coalesce(?12, workflow),
                             submission_id = coalesce(?13, submission_id), policy_version = coalesce(?15, policy_version)
             WHERE id = ?1 AND claims = ?2 AND state = 'processing'",
        )?
        .execute(params![
            job.id(),
            job.claim(),
            to.state,
            now_ms,
            to.claimable_at,
            to.outcome,
            to.reason,
            to.failure.map(|failure| failure.cause().code()),
            to.failure.map(Failure::detail),
            i64::from(to.uncounted),
            placement.map(|placement| &placement.ticket_id),
            placement.map(|placement| &placement.workflow),
            placement.and_then(|placement| placement.submission_id.as_ref()),
            i64::from(job.called()),
            job.policy_version(),
        ])?;
    Ok(changed == 1)
}

/// The columns a settlement writes.
struct Transition<'a> {
    state: &'static str,
    claimable_at: Option<i64>,
    outcome: Option<&'static str>,
    reason: Option<&'a str>,
    failure: Option<&'a Failure>,
    uncounted: bool,
}

impl<'a> Transition<'a> {
    fn of(settlement: &'a Settlement) -> Transition<'a> {
        let stay = Transition {
            state: "processed",
            claimable_at: None,
            outcome: None,
            reason: None,
            failure: None,
            uncounted: false,
        };
        let ended = |outcome: Outcome, reason| Transition { outcome: Some(outcome.word()), reason, ..stay };
        match settlement {
            Settlement::Applied { .. } => ended(Outcome::Applied, None),
            Settlement::Held { review, .. } => ended(Outcome::Held, Some(review.hold.reason.code())),
            Settlement::Ignored { reason } => ended(Outcome::Ignored, Some(reason)),
            Settlement::Superseded { reason, .. } => ended(Outcome::Superseded, Some(reason)),
            Settlement::Stale { reason } => ended(Outcome::Ignored, Some(reason)),
            Settlement::Done { how } => ended(Outcome::Applied, Some(how)),
            Settlement::Entered { waits: true, batch_id } => ended(Outcome::Held, Some(batch_id)),
            Settlement::Entered { waits: false, batch_id } => ended(Outcome::Applied, Some(batch_id)),
            Settlement::Retry { failure, at_ms, counts } => Transition {
                state: "failed_retryable",
                claimable_at: Some(*at_ms),
                failure: Some(failure),
                uncounted: !counts,
                ..stay
            },
            Settlement::GaveUp { failure } => Transition { state: "failed_final", failure: Some(failure), ..stay },
        }
    }
}

/// Counts something as it happens, so that no screen ever counts rows. The only
/// writer of the tallies; each connection has a shard, so that none waits for another.
pub(super) fn count(connection: &Connection, name: &str, by: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO tallies (name, shard, count) VALUES (?1, ?2, ?3)
             ON CONFLICT (name, shard) DO UPDATE SET count = tallies.count + excluded.count",
        )?
        .execute((name, connection.shard(), by))?;
    Ok(())
}
