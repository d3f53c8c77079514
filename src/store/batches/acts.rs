//! What people decide about a batch. The rules are in `domain/batch/acts`; here
//! they are carried into the database, each act in one transaction together with
//! what follows from it and its entry in the audit trail.

use crate::store::sql::Connection;
use serde_json::json;

use super::finish::set_state;
use super::{Batch, counted, feed, named, one, undo};
use crate::domain::batch::State;
use crate::domain::batch::acts::{Act, Refused, Standing};
use crate::domain::person::Person;
use crate::store::{Store, StoreError, alerts, audit_trail};

/// What a person asks of a batch.
#[derive(Debug, Clone)]
pub struct BatchAct {
    /// Our id or one of OpenAI's.
    pub batch: String,
    /// The version they looked at; none takes the one there is.
    pub version: Option<i64>,
    /// Who.
    pub person: Person,
    /// What.
    pub act: Act,
    /// In ms.
    pub now_ms: i64,
}

impl Store {
    /// Does what a person asks, if the rules allow it, and returns the batch as it
    /// stands then. None when there is no such batch.
    ///
    /// # Errors
    /// When the transaction could not be committed. What the rules refuse is not
    /// an error of the store.
    pub async fn act_on_batch(&self, asked: BatchAct) -> Result<Option<Result<Batch, Refused>>, StoreError> {
        let done = self
            .write(move |connection| {
                let Some(id) = named(connection, &asked.batch)? else { return Ok(None) };
                let Some(batch) = one(connection, &id)? else { return Ok(None) };
                let standing = batch.standing();
                if let Err(refused) = standing.may(&asked.act, asked.version.unwrap_or(standing.version)) {
                    return Ok(Some(Err(refused)));
                }
                carry_out(connection, &batch, &asked)?;
                note(connection, &batch, &asked)?;
                Ok(one(connection, &id)?.map(Ok))
            })
            .await?;
        self.ring();
        Ok(done)
    }
}

impl Store {
    /// Change-sets that have waited for a decision since before this time, in ms:
    /// the id, how many tickets it would change, and since when.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batches_waiting_since(&self, before_ms: i64) -> Result<Vec<(String, i64, i64)>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT id, since, (SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM batch_counts c
                                    WHERE c.batch_id = b.id AND c.name IN ('result/ok','result/held'))
                 FROM batches b WHERE state = 'waiting' AND since < ?1 ORDER BY seq",
            )?;
            let rows = list.query_map([before_ms], |row| Ok((row.get(0)?, row.get(2)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Batch {
    /// As far as deciding about it needs.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            version: self.version,
            state: self.state,
            is_paused: self.paused_at_ms.is_some(),
            is_being_undone: self.undone_by.is_some() && self.state != State::Undone,
        }
    }
}

fn carry_out(connection: &Connection, batch: &Batch, asked: &BatchAct) -> Result<(), StoreError> {
    let (id, by, now_ms) = (&batch.id, &asked.person.name, asked.now_ms);
    connection.prepare_cached("UPDATE batches SET version = version + 1 WHERE id = ?1")?.execute([id])?;
    match &asked.act {
        Act::Apply => {
            decide(connection, id, State::Applying, by, now_ms)?;
            feed::feed(connection, id, now_ms).map(drop)
        }
        Act::Reject { .. } => decide(connection, id, State::Rejected, by, now_ms),
        Act::Pause { reason } => pause(connection, id, by, reason.as_deref(), now_ms),
        Act::Resume => {
            resume(connection, id, now_ms)?;
            feed::feed(connection, id, now_ms).map(drop)
        }
        Act::Undo => {
            if batch.state == State::Applying && batch.paused_at_ms.is_none() {
                pause(connection, id, by, Some("undo"), now_ms)?;
            }
            undo::begin(connection, batch, by, now_ms)
        }
    }
}

fn decide(connection: &Connection, id: &str, to: State, by: &str, now_ms: i64) -> Result<(), StoreError> {
    set_state(connection, id, to.word(), None, now_ms)?;
    connection
        .prepare_cached("UPDATE batches SET decided_by = ?2, decided_at = ?3 WHERE id = ?1")?
        .execute((id, by, now_ms))?;
    Ok(())
}

fn pause(connection: &Connection, id: &str, by: &str, reason: Option<&str>, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE batches SET paused_at = ?2, paused_by = ?3, pause_reason = ?4 WHERE id = ?1")?
        .execute((id, now_ms, by, reason))?;
    feed::take_back(connection, id)
}

/// Lines that had failed by then have been seen: it stops again only when as
/// many fail once more.
fn resume(connection: &Connection, id: &str, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE batches SET paused_at = NULL, paused_by = NULL, pause_reason = NULL,
                    stop_after = CASE WHEN stop_after <= ?2 THEN stop_after + ?2 ELSE stop_after END WHERE id = ?1",
        )?
        .execute((id, counted(connection, id, "fate/failed")?))?;
    alerts::close(connection, feed::BATCH_STOPPED, id, now_ms).map(drop)
}

fn note(connection: &Connection, before: &Batch, asked: &BatchAct) -> Result<(), StoreError> {
    let detail = json!({
        "version": before.version + 1,
        "from": before.state.word(),
        "reason": asked.act.reason(),
    });
    audit_trail::add(connection, &asked.person.name, asked.act.word(), &before.id, &detail, asked.now_ms)
}
