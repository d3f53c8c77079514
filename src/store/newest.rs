//! Which work of a workflow is the newest on a ticket. Results come late,
//! twice and out of order; an older one must never go over a newer one.

use rusqlite::Connection;

use super::effects::Change;
use super::erase::Instead;
use super::{Settlement, StoreError};
use crate::domain::submission::Placement;

/// One piece of work on a ticket, with its place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The OpenAI project.
    pub project: String,
    /// The resource.
    pub resource_id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow.
    pub workflow: String,
    /// When it was made from the ticket, in ms.
    pub made_at_ms: i64,
}

/// Why a result changes nothing.
const OVERTAKEN: &str = "a newer result of the same workflow came while this one was worked";

/// How an attempt ends instead when newer work has been entered since its plan:
/// of two that are worked at the same time, the older one must not be the last.
pub(super) fn instead(
    connection: &Connection,
    placement: Option<&Placement>,
    settlement: &Settlement,
) -> Result<Option<Instead>, StoreError> {
    let (Settlement::Applied { changes } | Settlement::Held { changes, .. }) = settlement else { return Ok(None) };
    let Some((placement, made_at_ms)) = placement.and_then(|placement| Some((placement, placement.made_at_ms?))) else {
        return Ok(None);
    };
    // What is on the ticket already cannot be taken back.
    if changes.iter().any(|change| matches!(change, Change::Made { .. })) {
        return Ok(None);
    }
    let overtaken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM newest WHERE ticket_id = ?1 AND workflow = ?2 AND made_at > ?3)")?
        .query_row((&placement.ticket_id, &placement.workflow, made_at_ms), |row| row.get(0))?;
    let settlement = Settlement::Superseded { reason: OVERTAKEN.to_owned(), changes: Vec::new() };
    Ok(overtaken.then(|| Instead {
        settlement,
        changes: changes.iter().map(Change::dropped).collect(),
        forgets: false,
    }))
}

/// Enters the work as the newest. False when newer work has been entered
/// before; then nothing is changed.
pub(super) fn enter(connection: &Connection, work: &Work) -> Result<bool, StoreError> {
    let entered = connection
        .prepare_cached(
            "INSERT INTO newest (ticket_id, workflow, project, resource_id, made_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (ticket_id, workflow) DO UPDATE
             SET project = excluded.project, resource_id = excluded.resource_id, made_at = excluded.made_at
             WHERE excluded.made_at >= made_at",
        )?
        .execute((&work.ticket_id, &work.workflow, &work.project, &work.resource_id, work.made_at_ms))?;
    Ok(entered == 1)
}

/// What the work changed has been put back: it stands before nothing any more.
/// The row stays, and says what was there.
pub(super) fn step_back(connection: &Connection, project: &str, resource_id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE newest SET made_at = 0 WHERE project = ?1 AND resource_id = ?2
               AND ticket_id IN (SELECT ticket_id FROM effects WHERE resource_id = ?2 AND project = ?1)",
        )?
        .execute((project, resource_id))?;
    Ok(())
}
