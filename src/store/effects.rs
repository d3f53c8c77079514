//! The third gate: what was fetched, what we mean to change, what was changed.

use std::collections::BTreeSet;

use crate::store::sql::{self, Company, Connection, OptionalExtension, Subject};

use super::newest::Work;
use super::row::{hit_one, to_json};
use super::starts::NewStart;
use super::units::Posted;
use super::{Engine, Store, StoreError, deciding, desk, erase, newest, restored, starts};
use crate::domain::effect::Effect;
use crate::domain::id;
use crate::domain::permission::Permission;
use crate::domain::ticket::REPLY_SENT;

/// A change that is about to be made to a ticket.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The OpenAI project.
    pub project: String,
    /// The resource it comes from.
    pub resource_id: String,
    /// The ticket it goes to.
    pub ticket_id: String,
    /// What to change.
    pub effect: Effect,
    /// The job that does it.
    pub job_id: i64,
}

impl Intent {
    /// The same in every attempt, so that a second one can look for what a first
    /// one may have written.
    fn reference(&self) -> String {
        id::effect_ref(&self.project, &self.resource_id, &self.ticket_id, self.effect.slot().word())
    }
}

/// What the gate says of an intent.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The visible reference, `fd_…`.
    pub reference: String,
    /// The change, as it was written down the first time. A second attempt
    /// applies this one, never a version of its own.
    pub effect: Effect,
    /// What to do.
    pub standing: Standing,
    /// When it was first meant, in ms.
    pub planned_at_ms: i64,
}

/// What may be done with the intents of one piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Newer work of the same workflow has been entered for the ticket: what is
    /// not there yet must not be written any more.
    pub is_outdated: bool,
    /// One for each intent that was written down, now or before.
    pub planned: Vec<Planned>,
}

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody can have tried: write it.
    New,
    /// Someone may have written it, in an earlier attempt or before the database
    /// was restored: look before writing.
    MayBeThere,
    /// It has been written: leave it.
    Applied,
    /// Another job of the same resource is writing it right now: wait for it.
    InOtherHands,
}

/// How a change gets onto the ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is there.
    Made {
        /// The visible reference.
        reference: String,
        /// The helpdesk's own id of what was written.
        external_id: String,
        /// The ticket it is on.
        ticket_id: String,
        /// What was changed.
        effect: Effect,
    },
    /// It was written down, is not there, and shall not be any more.
    Dropped {
        /// The visible reference.
        reference: String,
    },
    /// Other work is planned in the transaction that ends the job.
    Starts {
        /// The visible reference.
        reference: String,
        /// What to start.
        start: NewStart,
    },
    /// It is made on the built-in desk in the transaction that ends the job:
    /// both are in one database, so there is never one without the other.
    WithTheEnd {
        /// The visible reference; what is there under it is not written again.
        reference: String,
        /// The ticket it goes to.
        ticket_id: String,
        /// What to change.
        effect: Effect,
    },
}

impl Change {
    /// The ticket that is changed together with the job's end.
    pub(super) fn ticket_id(&self) -> Option<&str> {
        match self {
            Change::WithTheEnd { ticket_id, .. } => Some(ticket_id),
            Change::Made { .. } | Change::Dropped { .. } | Change::Starts { .. } => None,
        }
    }

    /// What is left of it when nothing more shall be written.
    pub(super) fn dropped(&self) -> Change {
        match self {
            Change::Made { .. } => self.clone(),
            Change::Dropped { reference } | Change::Starts { reference, .. } | Change::WithTheEnd { reference, .. } => {
                Change::Dropped { reference: reference.clone() }
            }
        }
    }
}

/// A result on its way to the disk.
#[must_use = "a result that was not kept must not be acted on"]
pub struct Kept(Option<Posted<()>>);

impl Kept {
    /// Resolves when the result is on the disk.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn committed(self) -> Result<(), StoreError> {
        match self.0 {
            Some(posted) => posted.await.map_err(|_| StoreError::Closed)?,
            None => Ok(()),
        }
    }
}

impl Store {
    /// Keeps what was fetched. A second copy of the same resource is ignored:
    /// only ended resources are kept, and those do not change.
    ///
    /// With one writer this does not wait for the disk: what is planned next is
    /// committed later, or together with it. With several the next one could be
    /// there first, so it waits. [`Kept::committed`] is asked before the job ends.
    ///
    /// # Errors
    /// When the store has been closed, or the result could not be written.
    pub async fn keep_result(
        &self,
        project: String,
        resource_id: String,
        raw: String,
        now_ms: i64,
    ) -> Result<Kept, StoreError> {
        let posted = self
            .writer
            .post(Company::Beside, move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO results (project, resource_id, raw, fetched_at) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (resource_id, project) DO NOTHING",
                    )?
                    .execute((&project, &resource_id, &raw, now_ms))?;
                Ok(())
            })
            .await?;
        let kept = Kept(Some(posted));
        if let Engine::Sqlite { .. } = self.shared.engine {
            return Ok(kept);
        }
        kept.committed().await.map(|()| Kept(None))
    }

    /// Whether an earlier job has applied this result and asked nobody: then there
    /// is nothing left to ask.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn was_applied(&self, project: String, resource_id: String) -> Result<bool, StoreError> {
        self.look_up(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM effects WHERE project = ?1 AND resource_id = ?2 AND state = 'applied')
                        AND NOT EXISTS (SELECT 1 FROM reviews WHERE project = ?1 AND resource_id = ?2)",
                )?
                .query_row((&project, &resource_id), |row| row.get(0))?)
        })
        .await
    }

    /// Writes intents down before anything is changed, and says of each
    /// whether it was there before. `work` is entered as the newest of its
    /// workflow on the ticket; when it is not, no new intent is written.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn plan(&self, work: Option<Work>, intents: Vec<Intent>, now_ms: i64) -> Result<Plan, StoreError> {
        self.write_beside(move |connection| plan_all(connection, work.as_ref(), &intents, now_ms)).await
    }

    /// Takes back what a job has written down and not made.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn withdraw_plan(&self, project: String, resource_id: String, job_id: i64) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Resource(&resource_id))?;
            withdraw(connection, &project, &resource_id, job_id)
        })
        .await
    }
}

/// Locks each of them once, in an order that is everybody's.
pub(super) fn subjects<'a>(
    ids: impl Iterator<Item = &'a str>,
    lock: impl FnMut(&str) -> sql::Result<()>,
) -> Result<(), StoreError> {
    let each: BTreeSet<&str> = ids.collect();
    Ok(each.into_iter().try_for_each(lock)?)
}

fn plan_all(connection: &Connection, work: Option<&Work>, intents: &[Intent], now_ms: i64) -> Result<Plan, StoreError> {
    subjects(intents.iter().map(|intent| intent.resource_id.as_str()), |id| {
        connection.alone_with(Subject::Resource(id))
    })?;
    let tickets =
        intents.iter().map(|intent| intent.ticket_id.as_str()).chain(work.map(|work| work.ticket_id.as_str()));
    subjects(tickets, |id| connection.alone_with(Subject::Ticket(id)))?;
    let is_outdated = match work {
        None => false,
        // What was erased is not brought back.
        Some(work) if erase::came_late(connection, &work.ticket_id, Some(work.made_at_ms))? => true,
        Some(work) => {
            let entered = newest::enter(connection, work)?;
            if entered {
                deciding::outdate(connection, work, now_ms)?;
            }
            !entered
        }
    };
    let first = if restored::is_older(connection, work.map(|work| work.made_at_ms))? {
        Standing::MayBeThere
    } else {
        Standing::New
    };
    let mut planned = Vec::with_capacity(intents.len());
    for intent in intents {
        planned.extend(if is_outdated {
            planned_before(connection, intent, now_ms)?
        } else {
            Some(plan(connection, intent, first, now_ms)?)
        });
    }
    Ok(Plan { is_outdated, planned })
}

/// `first` is how an intent stands that was not written down before.
fn plan(connection: &Connection, intent: &Intent, first: Standing, now_ms: i64) -> Result<Planned, StoreError> {
    let slot = intent.effect.slot().word();
    let reference = intent.reference();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO effects (project, resource_id, ticket_id, slot, ref, payload, state, job_id, planned_at, permission)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'applying', ?7, ?8, ?9)
             ON CONFLICT (resource_id, ticket_id, slot, project) DO NOTHING",
        )?
        .execute((
            &intent.project,
            &intent.resource_id,
            &intent.ticket_id,
            slot,
            &reference,
            to_json(&intent.effect)?,
            intent.job_id,
            now_ms,
            intent.effect.permission().map(Permission::word),
        ))?;
    if inserted == 1 {
        return Ok(Planned { reference, effect: intent.effect.clone(), standing: first, planned_at_ms: now_ms });
    }
    planned_before(connection, intent, now_ms)?.ok_or(StoreError::Missing("effect"))
}

/// What has been written down for an intent's slot before, if anything.
fn planned_before(connection: &Connection, intent: &Intent, now_ms: i64) -> Result<Option<Planned>, StoreError> {
    let reference = intent.reference();
    let found = connection
        .prepare_cached(
            "SELECT effects.state, payload, permission, jobs.id <> ?2 AND jobs.state = 'processing' AND jobs.claimable_at > ?3, planned_at
             FROM effects JOIN jobs ON jobs.id = effects.job_id WHERE ref = ?1",
        )?
        .query_row((&reference, intent.job_id, now_ms), |row| {
            let payload: Option<String> = row.get(1)?;
            let permission: Option<String> = row.get(2)?;
            Ok((row.get::<_, String>(0)?, payload, permission, row.get::<_, bool>(3)?, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let Some((state, payload, permission, elsewhere, planned_at_ms)) = found else { return Ok(None) };
    // What was dropped is not there: what is meant now counts, and by whose leave.
    let kept = payload.filter(|_| state != "dropped");
    let effect = kept.map_or_else(|| Ok(intent.effect.clone()), |kept| recall(&kept, permission.as_deref()))?;
    let standing = match (state.as_str(), elsewhere) {
        ("applied", _) => Standing::Applied,
        (_, true) => Standing::InOtherHands,
        (_, false) => {
            // From here on it is this job's to finish.
            connection
                .prepare_cached(
                    "UPDATE effects SET job_id = ?2, state = 'applying', payload = ?3, permission = ?4 WHERE ref = ?1",
                )?
                .execute((&reference, intent.job_id, to_json(&effect)?, effect.permission().map(Permission::word)))?;
            erase::effect_again(connection, &reference)?;
            Standing::MayBeThere
        }
    };
    Ok(Some(Planned { reference, effect, standing, planned_at_ms }))
}

/// An effect as it was written down.
fn recall(payload: &str, permission: Option<&str>) -> Result<Effect, StoreError> {
    let Some(permission) = permission else { return super::row::json(payload, "effects", "payload") };
    let wrong = |column| StoreError::Corrupt { table: "effects", column };
    let text: serde_json::Value = super::row::json(payload, "effects", "payload")?;
    let text = text.get("text").and_then(serde_json::Value::as_str).ok_or(wrong("payload"))?;
    let permission = Permission::recall(permission).ok_or(wrong("permission"))?;
    Ok(Effect::Reply(permission.reply(text.to_owned())))
}

/// Makes the changes that come with the end of the job, and writes all receipts.
pub(super) fn receive(connection: &Connection, changes: &[Change], now_ms: i64) -> Result<(), StoreError> {
    let mut receive = connection.prepare_cached(
        "UPDATE effects SET state = 'applied', applied_at = coalesce(applied_at, ?2), external_id = coalesce(external_id, ?3) WHERE ref = ?1",
    )?;
    for change in changes {
        match change {
            Change::Made { reference, external_id, ticket_id, effect } => {
                if matches!(effect, Effect::Reply(_)) {
                    deciding::ticket_moved(connection, ticket_id, REPLY_SENT, now_ms)?;
                }
                has_receipt(receive.execute((reference, now_ms, external_id))?)?
            }
            Change::Dropped { reference } => {
                connection
                    .prepare_cached("UPDATE effects SET state = 'dropped' WHERE ref = ?1")?
                    .execute([reference])?;
            }
            Change::Starts { reference, start } => {
                starts::plan(connection, start, now_ms)?;
                // What is started once more was never planned as an effect.
                receive.execute((reference, now_ms, &start.submission_id))?;
            }
            Change::WithTheEnd { reference, ticket_id, effect } => {
                let external_id = desk::write(connection, ticket_id, effect, reference, now_ms)?;
                if matches!(effect, Effect::Reply(_)) {
                    deciding::ticket_moved(connection, ticket_id, REPLY_SENT, now_ms)?;
                }
                has_receipt(receive.execute((reference, now_ms, external_id))?)?;
            }
        }
    }
    Ok(())
}

/// Where it was planned nobody may have it without its receipt: not either when a
/// standby has taken over meanwhile that had not heard of the plan.
fn has_receipt(changed: usize) -> Result<(), StoreError> {
    hit_one(changed, "planned effect")
}

/// The job ends, or goes on, without what it had written down: no other job must
/// take that for a plan. On the built-in desk nothing is there without its receipt.
pub(super) fn withdraw(
    connection: &Connection,
    project: &str,
    resource_id: &str,
    job_id: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE effects SET state = 'dropped' WHERE resource_id = ?1 AND project = ?2 AND job_id = ?3 AND state = 'applying'",
        )?
        .execute((resource_id, project, job_id))?;
    Ok(())
}

/// A person says that a reply of which it was not known whether it was sent is to be
/// sent: nobody looks for it any more.
pub(super) fn send_again(connection: &Connection, job_id: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM effects WHERE job_id = ?1 AND slot = 'reply' AND state = 'applying'")?
        .execute([job_id])?;
    Ok(())
}

/// What an earlier attempt has fetched.
pub(super) fn kept(connection: &Connection, project: &str, resource_id: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT raw FROM results WHERE project = ?1 AND resource_id = ?2")?
        .query_row((project, resource_id), |row| row.get(0))
        .optional()?
        .flatten())
}

/// What an earlier attempt has written down and not settled.
pub(super) fn unfinished(connection: &Connection, project: &str, resource_id: &str) -> Result<Vec<Effect>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT payload, permission FROM effects
         WHERE project = ?1 AND resource_id = ?2 AND state = 'applying' AND payload IS NOT NULL ORDER BY id",
    )?;
    let rows: Vec<(String, Option<String>)> =
        list.query_map((project, resource_id), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    rows.iter().map(|(payload, permission)| recall(payload, permission.as_deref())).collect()
}
