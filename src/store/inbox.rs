//! What the front desk writes: deliveries with their jobs, and counted refusals.

mod many;

use std::sync::Arc;

pub(super) use many::record_many;

use crate::store::sql::{Connection, params};

use super::settle::count;
use super::{Engine, Store, StoreError};
use crate::domain::delivery::{NewDelivery, NewJob, Receipt};

/// Refused requests of one cause since the last time they were written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalTally {
    /// The project of the path.
    pub project: String,
    /// The cause's code.
    pub code: &'static str,
    /// How many.
    pub count: i64,
    /// When the last one came, in ms.
    pub last_at_ms: i64,
    /// What the operator should know about the last one.
    pub explanation: String,
}

impl Store {
    /// Stores a delivery and queues its job, in one transaction. When this
    /// returns `Ok`, both are on the disk.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too many are waiting; any other when the
    /// transaction could not be committed. Nothing was stored then.
    pub async fn record(&self, delivery: NewDelivery) -> Result<Receipt, StoreError> {
        let delivery = Arc::new(delivery);
        let receipt = match &self.shared.engine {
            Engine::Sqlite { .. } => self.writer.hurry(move |connection| record(connection, &delivery)).await?,
            Engine::Postgres(server) => server.intake.record(delivery).await?,
        };
        if receipt == Receipt::Queued {
            self.ring();
        }
        Ok(receipt)
    }

    /// Adds refusals to the day's counts.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn add_refusals(&self, tallies: Vec<RefusalTally>) -> Result<(), StoreError> {
        self.write(move |connection| tallies.iter().try_for_each(|tally| add_refusal(connection, tally))).await
    }
}

fn record(connection: &Connection, delivery: &NewDelivery) -> Result<Receipt, StoreError> {
    let job = delivery.job();
    if !insert_delivery(connection, delivery, job.as_ref())? {
        return count_copy(connection, delivery);
    }
    let Some(job) = job else {
        mark_known_parked(connection, delivery)?;
        return Ok(Receipt::Stored);
    };
    let queued = insert_job(connection, delivery, &job)?;
    if queued {
        return Ok(Receipt::Queued);
    }
    mark_known_event(connection, delivery, &job.key)?;
    Ok(Receipt::KnownEvent)
}

fn insert_delivery(
    connection: &Connection,
    delivery: &NewDelivery,
    job: Option<&NewJob<'_>>,
) -> Result<bool, StoreError> {
    let event = delivery.event();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO deliveries (project, delivery_id, event_id, event_type, resource_id, job_key, body, body_sha256,
                                     signed_at, secret_hint, received_at, note)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (delivery_id, project) DO NOTHING",
        )?
        .execute(params![
            delivery.project(),
            delivery.delivery_id(),
            event.id,
            event.kind,
            event.resource_id,
            job.map(|job| &job.key),
            delivery.body(),
            delivery.body_sha256(),
            delivery.signed_at_ms(),
            delivery.secret_hint(),
            delivery.received_at_ms(),
            event.unusable,
        ])?;
    Ok(inserted == 1)
}

fn insert_job(connection: &Connection, delivery: &NewDelivery, job: &NewJob<'_>) -> Result<bool, StoreError> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at,
                               claimable_at, forget_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?7, ?7, ?8)
             ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute(params![
            delivery.project(),
            job.key,
            delivery.event().id,
            job.event_type,
            job.resource_id,
            delivery.delivery_id(),
            delivery.received_at_ms(),
            job.forget_at_ms,
        ])?;
    Ok(inserted == 1)
}

fn mark_known_event(connection: &Connection, delivery: &NewDelivery, job_key: &str) -> Result<(), StoreError> {
    // Whoever ends the job as failed marks the deliveries that it sees: this one
    // is there by then, or finds the job ended.
    if connection.postgres().is_some() {
        connection
            .prepare_cached("SELECT 1 FROM jobs WHERE project = ?1 AND key = ?2 FOR SHARE")?
            .exists((delivery.project(), job_key))?;
    }
    connection
        .prepare_cached(
            "UPDATE deliveries SET duplicate_of = (SELECT delivery_id FROM jobs WHERE project = ?1 AND key = ?3),
                    failed = (SELECT CASE WHEN state = 'failed_final' THEN 1 END FROM jobs WHERE project = ?1 AND key = ?3)
             WHERE project = ?1 AND delivery_id = ?2",
        )?
        .execute((delivery.project(), delivery.delivery_id(), job_key))?;
    Ok(())
}

/// A parked event under another webhook-id: the first one is named. The two may
/// come in one transaction: neither is the other's copy twice over.
fn mark_known_parked(connection: &Connection, delivery: &NewDelivery) -> Result<(), StoreError> {
    let Some(event_id) = &delivery.event().id else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE deliveries SET duplicate_of = (
               SELECT first.delivery_id FROM deliveries first
               WHERE first.event_id = ?3 AND first.project = ?1 AND first.job_key IS NULL ORDER BY first.seq LIMIT 1)
             WHERE project = ?1 AND delivery_id = ?2
               AND EXISTS (SELECT 1 FROM deliveries first WHERE first.event_id = ?3 AND first.project = ?1
                             AND first.job_key IS NULL AND first.seq < deliveries.seq)",
        )?
        .execute((delivery.project(), delivery.delivery_id(), event_id))?;
    Ok(())
}

/// The same webhook-id again: nothing changes but the count.
fn count_copy(connection: &Connection, delivery: &NewDelivery) -> Result<Receipt, StoreError> {
    let altered = connection
        .prepare_cached(
            "UPDATE deliveries SET copies = copies + 1, altered_copies = altered_copies + CASE WHEN body_sha256 <> ?3 THEN 1 ELSE 0 END
             WHERE project = ?1 AND delivery_id = ?2 RETURNING body_sha256 <> ?3",
        )?
        .query_row((delivery.project(), delivery.delivery_id(), delivery.body_sha256()), |row| row.get(0))?;
    Ok(Receipt::Duplicate { altered })
}

fn add_refusal(connection: &Connection, tally: &RefusalTally) -> Result<(), StoreError> {
    const DAY_MS: i64 = 86_400_000;
    connection
        .prepare_cached(
            "INSERT INTO refusals (day, project, code, count, first_at, last_at, explanation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
             ON CONFLICT (day, project, code) DO UPDATE
             SET count = refusals.count + excluded.count, last_at = excluded.last_at, explanation = excluded.explanation",
        )?
        .execute((
            tally.last_at_ms / DAY_MS,
            &tally.project,
            tally.code,
            tally.count,
            tally.last_at_ms,
            &tally.explanation,
        ))?;
    count(connection, &format!("refused/{}", tally.code), tally.count)
}
