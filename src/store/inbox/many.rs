//! Many deliveries in one transaction, with statements over many rows. Each gets
//! the receipt that it would have got alone, in the order in which they came.

use std::collections::HashMap;
use std::sync::Arc;

use super::{count_copy, mark_known_event, mark_known_parked};
use crate::domain::delivery::{NewDelivery, NewJob, Receipt};
use crate::store::StoreError;
use crate::store::settle::count;
use crate::store::sql::{Connection, Value, params};

/// Stores them; see [`crate::store::Store::record`]. In the order of their keys:
/// two processes that store the same deliveries must not wait for each other.
pub(in crate::store) fn record_many(
    connection: &Connection,
    deliveries: &[Arc<NewDelivery>],
) -> Result<Vec<Receipt>, StoreError> {
    let mut order: Vec<usize> = (0..deliveries.len()).collect();
    order.sort_by_key(|&at| (deliveries[at].delivery_id(), deliveries[at].project(), at));
    let sorted: Vec<&NewDelivery> = order.iter().map(|&at| deliveries[at].as_ref()).collect();
    let jobs: Vec<Option<NewJob<'_>>> = sorted.iter().map(|delivery| delivery.job()).collect();
    let mut is_new = insert_deliveries(connection, &sorted, &jobs)?;
    let fresh: Vec<bool> = sorted.iter().map(|delivery| first_of(&mut is_new, &key(delivery))).collect();
    let new = fresh.iter().filter(|is_fresh| **is_fresh).count();
    let mut has_queued = insert_jobs(connection, &sorted, &jobs, &fresh)?;
    let mut receipts = vec![Receipt::Stored; deliveries.len()];
    for (((delivery, job), is_fresh), at) in sorted.iter().zip(&jobs).zip(fresh).zip(order) {
        receipts[at] = match job {
            _ if !is_fresh => count_copy(connection, delivery)?,
            None => {
                mark_known_parked(connection, delivery)?;
                Receipt::Stored
            }
            Some(job) if first_of(&mut has_queued, &(delivery.project().to_owned(), job.key.clone())) => {
                Receipt::Queued
            }
            Some(job) => {
                mark_known_event(connection, delivery, &job.key)?;
                Receipt::KnownEvent
            }
        };
    }
    // Last: whoever counts in the same part waits for this commit. Numbers are no
    // count here, because one is used up by each copy as well.
    if new > 0 {
        count(connection, "deliveries", i64::try_from(new).unwrap_or(i64::MAX))?;
    }
    Ok(receipts)
}

type Key = (String, String);

fn key(delivery: &NewDelivery) -> Key {
    (delivery.project().to_owned(), delivery.delivery_id().to_owned())
}

/// Whether this is the first with a key that was inserted: of several with one
/// key in a group, only one row has become one.
fn first_of(inserted: &mut HashMap<Key, ()>, key: &Key) -> bool {
    inserted.remove(key).is_some()
}

fn insert_deliveries(
    connection: &Connection,
    sorted: &[&NewDelivery],
    jobs: &[Option<NewJob<'_>>],
) -> Result<HashMap<Key, ()>, StoreError> {
    let texts = |of: &dyn Fn(&NewDelivery) -> Option<String>| -> Vec<Option<String>> {
        sorted.iter().map(|delivery| of(delivery)).collect()
    };
    let event_ids = texts(&|delivery| delivery.event().id.clone());
    let event_types = texts(&|delivery| delivery.event().kind.clone());
    let resources = texts(&|delivery| delivery.event().resource_id.clone());
    let notes = texts(&|delivery| delivery.event().unusable.map(str::to_owned));
    let mut insert = connection.prepare_cached(
        "INSERT INTO deliveries (project, delivery_id, event_id, event_type, resource_id, job_key, body, body_sha256,
                                 signed_at, secret_hint, received_at, note)
         SELECT * FROM unnest(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (delivery_id, project) DO NOTHING RETURNING project, delivery_id",
    )?;
    let inserted = insert.query_map(
        params![
            Value::Texts(sorted.iter().map(|delivery| Some(delivery.project())).collect()),
            Value::Texts(sorted.iter().map(|delivery| Some(delivery.delivery_id())).collect()),
            Value::Texts(event_ids.iter().map(Option::as_deref).collect()),
            Value::Texts(event_types.iter().map(Option::as_deref).collect()),
            Value::Texts(resources.iter().map(Option::as_deref).collect()),
            Value::Texts(jobs.iter().map(|job| job.as_ref().map(|job| job.key.as_str())).collect()),
            Value::Blobs(sorted.iter().map(|delivery| delivery.body()).collect()),
            Value::Blobs(sorted.iter().map(|delivery| Some(delivery.body_sha256().as_slice())).collect()),
            Value::Ints(sorted.iter().map(|delivery| delivery.signed_at_ms()).collect()),
            Value::Texts(sorted.iter().map(|delivery| Some(delivery.secret_hint())).collect()),
            Value::Ints(sorted.iter().map(|delivery| delivery.received_at_ms()).collect()),
            Value::Texts(notes.iter().map(Option::as_deref).collect()),
        ],
        |row| Ok(((row.get(0)?, row.get(1)?), ())),
    )?;
    Ok(inserted.collect::<Result<_, _>>()?)
}

fn insert_jobs(
    connection: &Connection,
    sorted: &[&NewDelivery],
    jobs: &[Option<NewJob<'_>>],
    fresh: &[bool],
) -> Result<HashMap<Key, ()>, StoreError> {
    let mut new: Vec<(&NewDelivery, &NewJob<'_>)> = sorted
        .iter()
        .zip(jobs)
        .zip(fresh)
        .filter(|(_, is_fresh)| **is_fresh)
        .filter_map(|((delivery, job), _)| job.as_ref().map(|job| (*delivery, job)))
        .collect();
    if new.is_empty() {
        return Ok(HashMap::new());
    }
    new.sort_by_key(|(delivery, job)| (&job.key, delivery.project()));
    let mut insert = connection.prepare_cached(
        "INSERT INTO jobs (project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at,
                           claimable_at, forget_at)
         SELECT project, key, event_id, event_type, resource_id, delivery_id, 'queued', at, at, at, forget_at
           FROM unnest(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             AS t (project, key, event_id, event_type, resource_id, delivery_id, at, forget_at)
         ON CONFLICT (key, project) DO NOTHING RETURNING project, key",
    )?;
    let inserted = insert.query_map(
        params![
            Value::Texts(new.iter().map(|(delivery, _)| Some(delivery.project())).collect()),
            Value::Texts(new.iter().map(|(_, job)| Some(job.key.as_str())).collect()),
            Value::Texts(new.iter().map(|(delivery, _)| delivery.event().id.as_deref()).collect()),
            Value::Texts(new.iter().map(|(_, job)| Some(job.event_type)).collect()),
            Value::Texts(new.iter().map(|(_, job)| Some(job.resource_id)).collect()),
            Value::Texts(new.iter().map(|(delivery, _)| Some(delivery.delivery_id())).collect()),
            Value::Ints(new.iter().map(|(delivery, _)| delivery.received_at_ms()).collect()),
            Value::Ints(new.iter().map(|(_, job)| job.forget_at_ms).collect()),
        ],
        |row| Ok(((row.get(0)?, row.get(1)?), ())),
    )?;
    Ok(inserted.collect::<Result<_, _>>()?)
}
