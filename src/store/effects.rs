//! The third gate: what was fetched, what we mean to change, what was changed.

use rusqlite::{Connection, OptionalExtension};

use super::lane::Posted;
use super::row::to_json;
use super::{Store, StoreError, desk};
use crate::domain::effect::Effect;
use crate::domain::id;

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
}

/// Where an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has tried: write it.
    New,
    /// Someone may have written it: look before writing.
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

/// A result on its way to the disk.
#[must_use = "a result that was not kept must not be acted on"]
pub struct Kept(Posted<()>);

impl Kept {
    /// Resolves when the result is on the disk.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn committed(self) -> Result<(), StoreError> {
        self.0.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store {
    /// Keeps what was fetched. A second copy of the same resource is ignored:
    /// only ended resources are kept, and those do not change.
    ///
    /// This does not wait for the disk; [`Kept::committed`] does, and is asked
    /// before the job ends.
    ///
    /// # Errors
    /// When the store has been closed.
    pub async fn keep_result(
        &self,
        project: String,
        resource_id: String,
        raw: String,
        now_ms: i64,
    ) -> Result<Kept, StoreError> {
        self.writer
            .post(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO results (project, resource_id, raw, fetched_at) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (resource_id, project) DO NOTHING",
                    )?
                    .execute((&project, &resource_id, &raw, now_ms))?;
                Ok(())
            })
            .await
            .map(Kept)
    }

    /// Writes intents down before anything is changed, and says of each
    /// whether it was there before.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn plan(&self, intents: Vec<Intent>, now_ms: i64) -> Result<Vec<Planned>, StoreError> {
        self.write(move |connection| intents.iter().map(|intent| plan(connection, intent, now_ms)).collect()).await
    }
}

fn plan(connection: &Connection, intent: &Intent, now_ms: i64) -> Result<Planned, StoreError> {
    let slot = intent.effect.slot().word();
    let reference = id::effect_ref(&intent.project, &intent.resource_id, &intent.ticket_id, slot);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO effects (project, resource_id, ticket_id, slot, ref, payload, state, job_id, planned_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'applying', ?7, ?8)
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
        ))?;
    if inserted == 1 {
        return Ok(Planned { reference, effect: intent.effect.clone(), standing: Standing::New });
    }
    let (state, payload, elsewhere): (String, Option<String>, bool) = connection
        .prepare_cached(
            "SELECT effects.state, payload, jobs.id <> ?2 AND jobs.state = 'processing' AND jobs.claimable_at > ?3
             FROM effects JOIN jobs ON jobs.id = effects.job_id WHERE ref = ?1",
        )?
        .query_row((&reference, intent.job_id, now_ms), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let effect = payload.as_deref().map(|text| super::row::json(text, "effects", "payload")).transpose()?;
    let standing = match (state.as_str(), elsewhere) {
        ("applied", _) => Standing::Applied,
        (_, true) => Standing::InOtherHands,
        (_, false) => {
            // From here on it is this job's to finish.
            connection
                .prepare_cached("UPDATE effects SET job_id = ?2 WHERE ref = ?1")?
                .execute((&reference, intent.job_id))?;
            Standing::MayBeThere
        }
    };
    Ok(Planned { reference, effect: effect.unwrap_or_else(|| intent.effect.clone()), standing })
}

/// Makes the changes that come with the end of the job, and writes all receipts.
pub(super) fn receive(connection: &Connection, changes: &[Change], now_ms: i64) -> Result<(), StoreError> {
    let mut receive = connection.prepare_cached(
        "UPDATE effects SET state = 'applied', applied_at = coalesce(applied_at, ?2), external_id = coalesce(external_id, ?3) WHERE ref = ?1",
    )?;
    for change in changes {
        match change {
            Change::Made { reference, external_id } => receive.execute((reference, now_ms, external_id))?,
            Change::WithTheEnd { reference, ticket_id, effect } => {
                let external_id = desk::write(connection, ticket_id, effect, reference, now_ms)?;
                receive.execute((reference, now_ms, external_id))?
            }
        };
    }
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
        "SELECT payload FROM effects
         WHERE project = ?1 AND resource_id = ?2 AND state = 'applying' AND payload IS NOT NULL ORDER BY id",
    )?;
    let payloads = list.query_map((project, resource_id), |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    payloads.iter().map(|payload| super::row::json(payload, "effects", "payload")).collect()
}
