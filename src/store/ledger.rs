//! The submission ledger: what we started at OpenAI, written before the call.

use crate::store::sql::{self, Connection, OptionalExtension, Row, Subject, params};

use super::settle::count;
use super::{Store, StoreError};
use crate::domain::failure::Failure;
use crate::domain::submission::Placement;

/// A submission about to be made.
#[derive(Debug, Clone)]
pub struct NewSubmission {
    /// `sub_…`
    pub id: String,
    /// The OpenAI project.
    pub project: String,
    /// The ticket the work is for.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Which prompt, so that results can be compared later.
    pub prompt_version: String,
    /// The ticket's revision the prompt was made from.
    pub ticket_revision: i64,
    /// Who asked.
    pub actor: String,
    /// Now, in ms.
    pub created_at_ms: i64,
    /// When to ask OpenAI ourselves, if no webhook has come by then, in ms.
    pub check_at_ms: i64,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
}

/// Planned work of which the prompt has just been made.
#[derive(Debug, Clone)]
pub struct Prompted {
    /// `sub_…`
    pub id: String,
    /// Which prompt.
    pub prompt_version: String,
    /// The ticket's revision that the prompt was made from.
    pub ticket_revision: i64,
    /// Now, in ms.
    pub made_at_ms: i64,
    /// When to ask OpenAI ourselves, in ms.
    pub check_at_ms: i64,
}

/// A submission as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// `sub_…`
    pub id: String,
    /// The OpenAI project.
    pub project: String,
    /// The ticket the work is for.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// `response` or `batch`.
    pub kind: String,
    /// Which prompt; none until it is made.
    pub prompt_version: Option<String>,
    /// The word of a [`State`](crate::domain::submission::State).
    pub state: String,
    /// OpenAI's id, once known.
    pub resource_id: Option<String>,
    /// In ms.
    pub created_at_ms: i64,
    /// When the prompt was made, in ms.
    pub made_at_ms: Option<i64>,
    /// When OpenAI accepted it, in ms.
    pub started_at_ms: Option<i64>,
    /// When its result had been dealt with, in ms.
    pub ended_at_ms: Option<i64>,
    /// When we ask OpenAI ourselves, in ms; none: never.
    pub check_at_ms: Option<i64>,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
    /// How often OpenAI was asked.
    pub polls: i64,
    /// What told of its end first: `webhook` or `poll`.
    pub found_by: Option<String>,
    /// `person`, `resubmit` or `follow_up`.
    pub origin: String,
    /// The failed resource that it takes the place of.
    pub retry_of: Option<String>,
    /// Who asked.
    pub actor: String,
    /// Why it was not started, may not have been, is lost, or was closed.
    pub error: Option<String>,
}

/// What told us first that work has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundBy {
    Webhook,
    Poll,
}

impl FoundBy {
    /// By the type of the job's event.
    pub(super) fn of(event_type: &str) -> FoundBy {
        if event_type.ends_with(POLLED) { FoundBy::Poll } else { FoundBy::Webhook }
    }

    fn word(self) -> &'static str {
        match self {
            FoundBy::Webhook => "webhook",
            FoundBy::Poll => "poll",
        }
    }

    /// The name it is counted under.
    fn tally(self) -> &'static str {
        match self {
            FoundBy::Webhook => "found_by_webhook",
            FoundBy::Poll => "found_by_poll",
        }
    }
}

/// How the type of a job ends that no webhook made.
pub(super) const POLLED: &str = ".polled";

impl Store {
    /// Writes the row that says: we are about to start this.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing must be started then.
    pub async fn begin_submission(&self, new: NewSubmission) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.execute(
                "INSERT INTO submissions (id, project, ticket_id, workflow, prompt_version, ticket_revision, state, created_at, made_at, actor,
                                          check_at, deadline_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'starting', ?7, ?7, ?8, ?9, ?10)",
                params![
                    new.id,
                    new.project,
                    new.ticket_id,
                    new.workflow,
                    new.prompt_version,
                    new.ticket_revision,
                    new.created_at_ms,
                    new.actor,
                    new.check_at_ms,
                    new.deadline_ms
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Planned work is about to be started. False when it is not waiting to be.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing must be started then.
    pub async fn begin_planned(&self, prompted: Prompted) -> Result<bool, StoreError> {
        self.write_beside(move |connection| {
            let begun = connection.execute(
                "UPDATE submissions SET state = 'starting', prompt_version = ?2, ticket_revision = ?3, made_at = ?4, check_at = ?5,
                        error_cause = NULL, error_detail = NULL
                 WHERE id = ?1 AND state IN ('planned','refused')",
                (&prompted.id, &prompted.prompt_version, prompted.ticket_revision, prompted.made_at_ms, prompted.check_at_ms),
            )?;
            Ok(begun == 1)
        })
        .await
    }

    /// A start was interrupted: whether it reached OpenAI is not known.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn give_up_start(&self, id: String) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection
                .execute("UPDATE submissions SET state = 'unknown' WHERE id = ?1 AND state = 'starting'", [&id])?;
            Ok(())
        })
        .await
    }

    /// OpenAI accepted it. The webhook may have been here first: what a worker
    /// has found out by then stays.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn submission_started(
        &self,
        project: String,
        id: String,
        resource_id: String,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Resource(&resource_id))?;
            bind(connection, &project, &id, &resource_id, now_ms).map(drop)
        })
        .await
    }

    /// OpenAI refused it (`known`), or nobody can tell whether it runs. Of planned
    /// work that was given up meanwhile nobody hears the answer: it stays
    /// `unknown`, which somebody is told of.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn submission_failed(&self, id: String, failure: Failure, known: bool) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.execute(
                "UPDATE submissions SET state = ?2, error_cause = ?3, error_detail = ?4, check_at = CASE WHEN ?2 = 'unknown' THEN check_at END
                 WHERE id = ?1 AND (state = 'starting' OR (state = 'unknown' AND origin = 'person'))",
                (&id, if known { "refused" } else { "unknown" }, failure.cause().code(), failure.to_string()),
            )?;
            Ok(())
        })
        .await
    }

    /// Finds the submission that a fetched resource names in its metadata, and
    /// ties the two together. None when there is no such row, or it belongs to
    /// another resource.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn place_by_submission(
        &self,
        project: String,
        resource_id: String,
        submission_id: String,
        now_ms: i64,
    ) -> Result<Option<Placement>, StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Resource(&resource_id))?;
            bind(connection, &project, &submission_id, &resource_id, now_ms)?;
            placement_of(connection, &project, &resource_id)
        })
        .await
    }

    /// One submission.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn submission(&self, id: String) -> Result<Option<Submission>, StoreError> {
        self.look_up(move |connection| one(connection, "SELECT * FROM submissions WHERE id = ?1", &id)).await
    }
}

/// Ties a submission to its resource, once.
pub(super) fn bind(
    connection: &Connection,
    project: &str,
    id: &str,
    resource_id: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE submissions SET resource_id = ?2, started_at = ?3,
                    check_at = CASE WHEN state IN ('ended','lost') THEN NULL ELSE coalesce(check_at, ?3) END,
                    state = CASE WHEN state IN ('ended','lost') THEN state ELSE 'started' END, error_cause = NULL, error_detail = NULL
             WHERE id = ?1 AND project = ?4 AND resource_id IS NULL
               AND NOT EXISTS (SELECT 1 FROM submissions other WHERE other.project = submissions.project AND other.resource_id = ?2)",
        )?
          .execute((id, resource_id, now_ms, project))?;
    Ok(changed == 1)
}

/// Where a resource of ours belongs.
pub(super) fn placement_of(
    connection: &Connection,
    project: &str,
    resource_id: &str,
) -> Result<Option<Placement>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT ticket_id, workflow, id, ticket_revision, made_at, prompt_version, retry_of FROM submissions
             WHERE project = ?1 AND resource_id = ?2 AND kind = 'response'",
        )?
        .query_row((project, resource_id), |row| {
            Ok(Placement {
                ticket_id: row.get(0)?,
                workflow: row.get(1)?,
                submission_id: row.get(2)?,
                ticket_revision: row.get(3)?,
                made_at_ms: row.get(4)?,
                prompt_version: row.get(5)?,
                retry_of: row.get(6)?,
            })
        })
        .optional()?)
}

/// The submission's result has been dealt with; `found` says what told of it,
/// when anything did. What has ended before stays as it is. Planned work that was
/// never prompted has an empty version from then on: the schema asks for one.
pub(super) fn end(connection: &Connection, id: &str, found: Option<FoundBy>, now_ms: i64) -> Result<(), StoreError> {
    let ended = connection
        .prepare_cached(
            "UPDATE submissions SET state = 'ended', ended_at = ?2, check_at = NULL, found_by = ?3,
                    prompt_version = coalesce(prompt_version, '') WHERE id = ?1 AND state <> 'ended'",
        )?
        .execute((id, now_ms, found.map(FoundBy::word)))?;
    match found {
        Some(found) if ended == 1 => count(connection, found.tally(), 1),
        _ => Ok(()),
    }
}

/// The same, of a part of a batch: it has no ticket that would lead to it.
pub(super) fn end_part(
    connection: &Connection,
    project: &str,
    resource_id: &str,
    found: FoundBy,
    now_ms: i64,
) -> Result<(), StoreError> {
    let id: Option<String> = connection
        .prepare_cached("SELECT id FROM submissions WHERE project = ?1 AND resource_id = ?2 AND kind = 'batch'")?
        .query_row((project, resource_id), |row| row.get(0))
        .optional()?;
    id.map_or(Ok(()), |id| end(connection, &id, Some(found), now_ms))
}

/// A start that was discarded is to be made after all: it stands where it stood.
/// One of which it is not known whether it reached OpenAI stays that way.
pub(super) fn reopen_start(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE submissions SET ended_at = NULL, prompt_version = nullif(prompt_version, ''),
                    state = CASE WHEN coalesce(prompt_version, '') = '' THEN 'planned' WHEN error_cause IS NULL THEN 'starting' ELSE 'refused' END
             WHERE id = ?1 AND state = 'ended' AND resource_id IS NULL",
        )?
        .execute([id])?;
    Ok(())
}

/// One submission by a query that selects all columns.
pub(super) fn one(connection: &Connection, sql: &str, id: &str) -> Result<Option<Submission>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

pub(super) fn read(row: &Row<'_>) -> sql::Result<Submission> {
    Ok(Submission {
        id: row.get("id")?,
        project: row.get("project")?,
        ticket_id: row.get("ticket_id")?,
        workflow: row.get("workflow")?,
        kind: row.get("kind")?,
        prompt_version: row.get::<_, Option<String>>("prompt_version")?.filter(|version| !version.is_empty()),
        state: row.get("state")?,
        resource_id: row.get("resource_id")?,
        created_at_ms: row.get("created_at")?,
        made_at_ms: row.get("made_at")?,
        started_at_ms: row.get("started_at")?,
        ended_at_ms: row.get("ended_at")?,
        check_at_ms: row.get("check_at")?,
        deadline_ms: row.get("deadline_at")?,
        polls: row.get("polls")?,
        found_by: row.get("found_by")?,
        origin: row.get("origin")?,
        retry_of: row.get("retry_of")?,
        actor: row.get("actor")?,
        error: row.get("error_detail")?,
    })
}
