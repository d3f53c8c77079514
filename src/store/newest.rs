//! Which work of a workflow is the newest on a ticket. Results come late,
//! twice and out of order; an older one must never go over a newer one.

use crate::store::sql::{Connection, OptionalExtension};

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
             WHERE excluded.made_at >= newest.made_at",
        )?
        .execute((&work.ticket_id, &work.workflow, &work.project, &work.resource_id, work.made_at_ms))?;
    Ok(entered == 1)
}

/// What this work has written has been put back: it stands in nobody's way any
/// more. The newest of what still stands takes its place; where nothing does, its
/// row stays, older than everything, because it says what superseded others.
pub(super) fn step_back(connection: &Connection, project: &str, resource_id: &str) -> Result<(), StoreError> {
    let released: Vec<(String, String)> = connection
        .prepare_cached(
            "SELECT n.ticket_id, n.workflow FROM newest n JOIN jobs j ON j.ticket_id = n.ticket_id AND j.workflow = n.workflow
             WHERE j.resource_id = ?2 AND j.project = ?1 AND n.resource_id = ?2 AND n.project = ?1",
        )?
        .query_map((project, resource_id), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (ticket_id, workflow) in &released {
        connection
            .prepare_cached("UPDATE newest SET made_at = 0 WHERE ticket_id = ?1 AND workflow = ?2")?
            .execute((ticket_id, workflow))?;
        if let Some(standing) = newest_standing(connection, ticket_id, workflow)? {
            enter(connection, &standing)?;
        }
    }
    Ok(())
}

/// The newest work of which something is on the ticket and of which it is known
/// when it was made.
fn newest_standing(connection: &Connection, ticket_id: &str, workflow: &str) -> Result<Option<Work>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT project, resource_id, made_at FROM (
               SELECT e.project, e.resource_id, coalesce(s.made_at, (
                        SELECT l.made_at FROM batch_lines l JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
                         WHERE l.ticket_id = ?1 AND p.resource_id || '/' || l.custom_id = e.resource_id
                         ORDER BY l.number LIMIT 1)) AS made_at
                 FROM effects e JOIN jobs j ON j.id = e.job_id
                 LEFT JOIN submissions s ON s.resource_id = e.resource_id AND s.project = e.project
                WHERE e.ticket_id = ?1 AND j.workflow = ?2 AND e.state = 'applied' AND e.undone_at IS NULL) AS written
              WHERE made_at IS NOT NULL ORDER BY made_at DESC LIMIT 1",
        )?
        .query_row((ticket_id, workflow), |row| {
            Ok(Work {
                project: row.get(0)?,
                resource_id: row.get(1)?,
                made_at_ms: row.get(2)?,
                ticket_id: ticket_id.to_owned(),
                workflow: workflow.to_owned(),
            })
        })
        .optional()?)
}
