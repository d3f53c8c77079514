//! Work that is to be started: planned in the transaction of what asks for it,
//! so that neither a crash nor a duplicate loses it or starts it twice.

use crate::store::sql::{Connection, OptionalExtension, params};

use super::settle::count;
use super::{Store, StoreError, ledger, restored};

/// Work to be started at OpenAI by a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStart {
    /// `sub_…`, chosen from what asks for it, so that asking twice is one start.
    pub submission_id: String,
    /// The OpenAI project.
    pub project: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// `resubmit` or `follow_up`.
    pub origin: &'static str,
    /// Who asks for it: `frontdesk`, or `helpdesk`.
    pub actor: &'static str,
    /// The failed resource that this takes the place of.
    pub retry_of: Option<String>,
    /// When the work that asks for it was made, in ms, when that is known.
    pub asked_at_ms: Option<i64>,
    /// Not before, in ms.
    pub at_ms: i64,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
}

/// Planned work as a worker finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStart {
    /// `sub_…`
    pub submission_id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// `planned`, `starting`, `started`, `refused`, `unknown`, `ended` or `lost`.
    pub state: String,
}

impl Store {
    /// The planned work with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn planned_start(&self, submission_id: String) -> Result<Option<PlannedStart>, StoreError> {
        self.look_up(move |connection| {
            Ok(connection
                .prepare_cached("SELECT id, ticket_id, workflow, state FROM submissions WHERE id = ?1")?
                .query_row([&submission_id], |row| {
                    Ok(PlannedStart {
                        submission_id: row.get(0)?,
                        ticket_id: row.get(1)?,
                        workflow: row.get(2)?,
                        state: row.get(3)?,
                    })
                })
                .optional()?)
        })
        .await
    }
}

/// Planned work is not wanted any more. False when it has been started, or a
/// worker is about to.
pub(super) fn withdraw(
    connection: &Connection,
    submission_id: &str,
    why: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let waits: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM submissions WHERE id = ?1 AND state IN ('planned','refused'))
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE resource_id = ?1 AND state = 'processing')",
        )?
        .query_row([submission_id], |row| row.get(0))?;
    if !waits {
        return Ok(false);
    }
    let withdrawn = connection
        .prepare_cached(
            "UPDATE jobs SET state = 'processed', since = ?2, claimable_at = NULL, outcome = 'ignored', reason = ?3
             WHERE resource_id = ?1 AND kind = 'start' AND state IN ('queued','failed_retryable')",
        )?
        .execute((submission_id, now_ms, why))?;
    if withdrawn > 0 {
        count(connection, "ignored", i64::try_from(withdrawn).unwrap_or(i64::MAX))?;
    }
    ledger::end(connection, submission_id, None, now_ms)?;
    Ok(true)
}

/// Writes the submission down as planned, and the job that starts it. What may
/// have been started before the database was restored is `unknown` instead: its
/// job ends without a call.
pub(super) fn plan(connection: &Connection, start: &NewStart, now_ms: i64) -> Result<(), StoreError> {
    let in_doubt = restored::is_older(connection, start.asked_at_ms)?;
    connection
        .prepare_cached(
            "INSERT INTO submissions (id, project, ticket_id, workflow, state, prompt_version, check_at, created_at, deadline_at, origin,
                                      retry_of, actor)
             VALUES (?1, ?2, ?3, ?4, ?9, ?10, ?11, ?5, ?6, ?7, ?8, ?12) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            start.submission_id,
            start.project,
            start.ticket_id,
            start.workflow,
            now_ms,
            start.deadline_ms,
            start.origin,
            start.retry_of,
            if in_doubt { "unknown" } else { "planned" },
            in_doubt.then_some(""),
            in_doubt.then_some(now_ms),
            start.actor
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at,
                               ticket_id, workflow, submission_id)
             VALUES (?1, 'start/' || ?2, 'start', 'submission.planned', ?2, 'queued', ?3, ?3, ?4, ?5, ?6, ?7, ?2)
             ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute(params![
            start.project,
            start.submission_id,
            now_ms,
            start.at_ms,
            start.deadline_ms,
            start.ticket_id,
            start.workflow
        ])?;
    Ok(())
}
