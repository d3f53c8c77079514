//! Which work of a workflow is the newest on a ticket. Results come late,
//! twice and out of order; an older one must never go over a newer one.

use rusqlite::Connection;

use super::StoreError;

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
