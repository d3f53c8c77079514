//! What is forgotten, and when: by its age, with the end of its job, or for one
//! ticket on request. Ids, hashes, states, counts and the trail stay.

mod by_age;
mod reviews;
mod ticket;

use crate::store::sql::Connection;

use super::effects::Change;
use super::{ClaimedJob, Settlement, StoreError};
use crate::domain::failure::Cause;
use crate::domain::submission::Placement;

pub(super) use by_age::effect_again;
pub use by_age::{Content, Step, Stepped};
pub use ticket::{Erased, Erasure, NotErased};

/// Why a result changes nothing.
pub(super) const TICKET_ERASED: &str = "the content of its ticket was erased after the work was started";

/// Whether the ticket's content was erased after work on it was started: its
/// result would bring that content back.
pub(super) fn came_late(connection: &Connection, ticket_id: &str, made_at_ms: Option<i64>) -> Result<bool, StoreError> {
    let erased_at: Option<i64> = connection
        .prepare_cached("SELECT max(at) FROM audit_trail WHERE subject = ?1 AND action = 'ticket.erase'")?
        .query_row([ticket_id], |row| row.get(0))?;
    Ok(erased_at.is_some_and(|erased_at| made_at_ms.unwrap_or(0) <= erased_at))
}

/// How an attempt ends instead when its result came too late: what is on the
/// ticket already gets its receipt, nothing else is written.
pub(super) fn instead(
    connection: &Connection,
    placement: Option<&Placement>,
    settlement: &Settlement,
) -> Result<Option<Instead>, StoreError> {
    let changes = match settlement {
        Settlement::Applied { changes } | Settlement::Held { changes, .. } | Settlement::Superseded { changes, .. } => {
            changes.as_slice()
        }
        // What nobody can have any more is not missed either.
        Settlement::GaveUp { failure } if failure.cause() == Cause::LostToRetention => &[],
        _ => return Ok(None),
    };
    match placement {
        Some(placement) if came_late(connection, &placement.ticket_id, placement.made_at_ms)? => {
            let settlement = Settlement::Ignored { reason: TICKET_ERASED.to_owned() };
            Ok(Some(Instead { settlement, changes: changes.iter().map(Change::dropped).collect(), forgets: true }))
        }
        _ => Ok(None),
    }
}

/// How an attempt ends after all, when something came in between.
pub(super) struct Instead {
    pub(super) settlement: Settlement,
    pub(super) changes: Vec<Change>,
    /// Nothing of it is kept.
    pub(super) forgets: bool,
}

/// The end of a job that keeps no content: what only other jobs of the resource
/// or a person still need is left to them.
pub(super) fn forget(connection: &Connection, job: &ClaimedJob, now_ms: i64) -> Result<(), StoreError> {
    let (resource_id, project) = (&job.resource_id, &job.project);
    connection
        .prepare_cached(
            "UPDATE results SET raw = NULL, erased_at = ?3 WHERE resource_id = ?1 AND project = ?2 AND erased_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.resource_id = ?1 AND j.project = ?2 AND j.kind IN ('ending','line')
                                 AND j.state NOT IN ('processed','failed_final'))",
        )?
        .execute((resource_id, project, now_ms))?;
    connection
        .prepare_cached(
            "UPDATE effects SET payload = NULL WHERE resource_id = ?1 AND project = ?2 AND state <> 'applying' AND payload IS NOT NULL",
        )?
        .execute((resource_id, project))?;
    for review in reviews::find(connection, reviews::DONE_OF_RESOURCE, (now_ms, resource_id, project))? {
        reviews::erase(connection, &review.id, now_ms)?;
    }
    erase_bodies(connection, project, resource_id).map(drop)
}

/// Bodies of all deliveries that told of a resource.
fn erase_bodies(connection: &Connection, project: &str, resource_id: &str) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(
            "UPDATE deliveries SET body = NULL WHERE body IS NOT NULL AND seq IN (
               SELECT d.seq FROM jobs j JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project
                WHERE j.resource_id = ?1 AND j.project = ?2
               UNION SELECT d.seq FROM jobs j JOIN deliveries d ON d.project = j.project AND d.duplicate_of = j.delivery_id
                WHERE j.resource_id = ?1 AND j.project = ?2 AND d.duplicate_of IS NOT NULL)",
        )?
        .execute((resource_id, project))?)
}
