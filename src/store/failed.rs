//! What people do about failed jobs, one at a time or many.

use crate::store::sql::{self, Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::batches::Said;
use super::effects;
use super::{Store, StoreError, alerts, audit_trail, batches, deciding, ledger};
use crate::domain::failure::Cause;
use crate::domain::job::Kind;

/// Ids that a trail entry or an answer names at most; the count tells of the rest.
const SAMPLE: usize = 20;

/// What a person's `retry` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// The job is queued again.
    Queued,
    /// The job is in a state that `retry` does not leave.
    NotFailed,
}

/// What a person's `discard` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// The job is closed.
    Done,
    /// The job is in a state that `discard` does not leave, or is discarded already.
    NotFailed,
}

/// What is done about a failed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Queue it again, with all its attempts.
    Retry,
    /// Close it.
    Discard {
        /// Why, in the person's words; kept with the job.
        reason: String,
    },
}

impl Remedy {
    /// The word for it in the audit trail.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Remedy::Retry => "job.retry",
            Remedy::Discard { .. } => "job.discard",
        }
    }
}

/// Which failed jobs; those that are discarded are never among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedFilter {
    /// True: those that wait for their next attempt. False: those given up.
    pub waiting: bool,
    /// Only with this cause.
    pub cause: Option<String>,
    /// Only of this workflow.
    pub workflow: Option<String>,
    /// Only of this event type.
    pub event_type: Option<String>,
    /// Only of this OpenAI project.
    pub project: Option<String>,
    /// Only those that failed at this time or later, in ms.
    pub since_ms: Option<i64>,
    /// Only those that failed before this time, in ms.
    pub until_ms: Option<i64>,
}

/// What a filter finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedJobs {
    /// How many.
    pub matched: i64,
    /// How many of each cause.
    pub by_cause: Vec<(String, i64)>,
    /// Some of them, the longest failed first.
    pub sample: Vec<i64>,
}

/// What one step of a bulk remedy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remedied {
    /// The jobs it was done to.
    pub jobs: Vec<i64>,
    /// Where the next step begins; none when there is nothing left.
    pub next: Option<(i64, i64)>,
}

impl Store {
    /// A person queues a failed job again, with all its attempts; also one that
    /// was discarded. An alert that told of it, and of nothing else, is over.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such job.
    pub async fn retry_job(
        &self,
        id: i64,
        actor: String,
        reason: Option<String>,
        now_ms: i64,
    ) -> Result<Retried, StoreError> {
        let retried = self
            .write(move |connection| {
                let Some(failed) = Failed::find(connection, id)? else { return Ok(Retried::NotFailed) };
                // Whoever retries this one has looked, and wants it sent; who retries many has not.
                if failed.cause.as_deref() == Some(Cause::ReplyUnknown.code()) {
                    effects::send_again(connection, id)?;
                }
                retry(connection, &failed, &actor, now_ms)?;
                note(connection, &Remedy::Retry, &actor, reason.as_deref(), &failed, now_ms)?;
                Ok(Retried::Queued)
            })
            .await?;
        self.ring();
        Ok(retried)
    }

    /// A person closes a failed job, and with it the submission it came from. An
    /// alert that told of it, and of nothing else, is over.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such job.
    pub async fn discard_job(
        &self,
        id: i64,
        actor: String,
        reason: String,
        now_ms: i64,
    ) -> Result<Discarded, StoreError> {
        self.write(move |connection| {
            let found = Failed::find(connection, id)?.filter(|failed| !failed.is_discarded);
            let Some(failed) = found else { return Ok(Discarded::NotFailed) };
            discard(connection, &failed, &actor, &reason, now_ms)?;
            let remedy = Remedy::Discard { reason: String::new() };
            note(connection, &remedy, &actor, Some(reason.as_str()), &failed, now_ms)?;
            Ok(Discarded::Done)
        })
        .await
    }

    /// What a filter finds now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn failed_jobs(&self, filter: FailedFilter) -> Result<FailedJobs, StoreError> {
        self.read(move |connection| find_all(connection, &filter)).await
    }

    /// Does it to the next `limit` jobs of the filter that had failed before
    /// `began_ms`, in one transaction with its entry in the audit trail. What a
    /// remedy was done to is not found again, so that a run that was
    /// interrupted can be repeated.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was done then.
    pub async fn remedy_some(
        &self,
        filter: FailedFilter,
        remedy: Remedy,
        actor: String,
        after: Option<(i64, i64)>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Remedied, StoreError> {
        let done = self
            .write(move |connection| {
                let found = next_of(connection, &filter, after, limit)?;
                for failed in &found {
                    match &remedy {
                        Remedy::Retry => retry(connection, failed, &actor, now_ms)?,
                        Remedy::Discard { reason } => discard(connection, failed, &actor, reason, now_ms)?,
                    }
                }
                note_all(connection, &remedy, &actor, &found, now_ms)?;
                let next = found.last().filter(|_| found.len() == limit).map(|last| (last.since, last.id));
                Ok(Remedied { jobs: found.iter().map(|failed| failed.id).collect(), next })
            })
            .await?;
        self.ring();
        Ok(done)
    }
}

/// A job that a person may do something about.
struct Failed {
    id: i64,
    since: i64,
    kind: Kind,
    key: String,
    is_discarded: bool,
    submission_id: Option<String>,
    cause: Option<String>,
    project: String,
    resource_id: String,
}

const COLUMNS: &str = "id, since, kind, key, outcome IS NOT NULL,
    -- A job that never got as far as its ticket does not name its submission.
    coalesce(submission_id, (SELECT s.id FROM submissions s WHERE s.resource_id = jobs.resource_id AND s.project = jobs.project)),
    error_cause, project, resource_id";

impl Failed {
    /// None when the job has not failed.
    fn find(connection: &Connection, id: i64) -> Result<Option<Failed>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, state IN ('failed_final','failed_retryable') FROM jobs WHERE id = ?1");
        connection
            .prepare_cached(&sql)?
            .query_row([id], |row| Ok(row.get::<_, bool>(9)?.then(|| Failed::read(row)).transpose()))
            .optional()?
            .ok_or(StoreError::Missing("job"))?
            .map_err(StoreError::from)
    }

    fn read(row: &Row<'_>) -> sql::Result<Failed> {
        Ok(Failed {
            id: row.get(0)?,
            since: row.get(1)?,
            kind: Kind::parse(&row.get::<_, String>(2)?).ok_or(sql::Error::Unreadable)?,
            key: row.get(3)?,
            is_discarded: row.get(4)?,
            submission_id: row.get(5)?,
            cause: row.get(6)?,
            project: row.get(7)?,
            resource_id: row.get(8)?,
        })
    }
}

/// Writes on the deliveries of a job whether it has failed for good, so that those
/// are found without looking at others.
pub(super) fn mark_deliveries(connection: &Connection, job_id: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET failed = (SELECT CASE WHEN state = 'failed_final' THEN 1 END FROM jobs WHERE id = ?1) WHERE seq IN (
               SELECT d.seq FROM jobs j JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project
                WHERE j.id = ?1 AND d.job_key = j.key
               UNION SELECT d.seq FROM jobs j JOIN deliveries d ON d.project = j.project AND d.duplicate_of = j.delivery_id
                WHERE j.id = ?1 AND d.job_key = j.key AND d.duplicate_of IS NOT NULL)",
        )?
        .execute([job_id])?;
    Ok(())
}

pub(super) fn retry_by_id(connection: &Connection, id: i64, now_ms: i64) -> Result<(), StoreError> {
    match Failed::find(connection, id)? {
        Some(failed) => retry(connection, &failed, "frontdesk", now_ms),
        None => Ok(()),
    }
}

fn retry(connection: &Connection, failed: &Failed, actor: &str, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = 'queued', since = ?2, claimable_at = ?2, attempts = 0, outcome = NULL, reason = NULL WHERE id = ?1",
        )?
        .execute((failed.id, now_ms))?;
    mark_deliveries(connection, failed.id)?;
    if let (Kind::Start, true, Some(submission)) = (failed.kind, failed.is_discarded, &failed.submission_id) {
        ledger::reopen_start(connection, submission)?;
    }
    if (failed.kind, failed.is_discarded) == (Kind::Undo, true) {
        batches::undo_retried(connection, &failed.resource_id, actor)?;
    }
    alerts::close_if_last(connection, failed.id, now_ms)
}

fn discard(connection: &Connection, failed: &Failed, actor: &str, reason: &str, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = 'failed_final', since = ?2, claimable_at = NULL, outcome = 'discarded', reason = ?3 WHERE id = ?1",
        )?
        .execute((failed.id, now_ms, format!("{actor}: {reason}")))?;
    mark_deliveries(connection, failed.id)?;
    alerts::close_if_last(connection, failed.id, now_ms)?;
    if let (Kind::Approval, Some(("review", review))) = (failed.kind, failed.key.split_once('/')) {
        deciding::stale_when_carried_out(connection, review, "what it would have changed was discarded", now_ms)?;
    }
    discard_of_batch(connection, failed, &Said { actor, reason }, now_ms)?;
    match &failed.submission_id {
        Some(submission) => ledger::end(connection, submission, None, now_ms),
        None => Ok(()),
    }
}

/// What a batch comes to without this job.
fn discard_of_batch(connection: &Connection, failed: &Failed, said: &Said<'_>, now_ms: i64) -> Result<(), StoreError> {
    let (project, resource) = (&failed.project, &failed.resource_id);
    match failed.kind {
        Kind::Build => batches::build_discarded(connection, resource, said.actor, said.reason, now_ms),
        Kind::Undo => batches::undo_discarded(connection, resource, said),
        Kind::Line => batches::line_discarded(connection, project, resource, now_ms),
        Kind::Ending => batches::ending_discarded(connection, project, resource, said, now_ms),
        Kind::Approval | Kind::Start => Ok(()),
    }
}

fn note(
    connection: &Connection,
    remedy: &Remedy,
    actor: &str,
    reason: Option<&str>,
    failed: &Failed,
    now_ms: i64,
) -> Result<(), StoreError> {
    let detail = json!({"reason": reason, "cause": failed.cause});
    audit_trail::add(connection, actor, remedy.action(), &format!("job_{}", failed.id), &detail, now_ms)
}

/// One entry for each step of a bulk remedy.
fn note_all(
    connection: &Connection,
    remedy: &Remedy,
    actor: &str,
    found: &[Failed],
    now_ms: i64,
) -> Result<(), StoreError> {
    if found.is_empty() {
        return Ok(());
    }
    let reason = match remedy {
        Remedy::Retry => None,
        Remedy::Discard { reason } => Some(reason),
    };
    let jobs: Vec<String> = found.iter().map(|failed| format!("job_{}", failed.id)).collect();
    let detail = json!({"reason": reason, "count": jobs.len(), "jobs": jobs});
    audit_trail::add(connection, actor, remedy.action(), "jobs", &detail, now_ms)
}

/// The index of just these rows, and the rows of a filter; the words of the state
/// are those of the index.
fn matching(filter: &FailedFilter) -> &'static str {
    if filter.waiting {
        "INDEXED BY jobs_due WHERE state IN ('processing','failed_retryable') AND state = 'failed_retryable' AND outcome IS NULL AND (?1 IS NULL OR error_cause = ?1)
         AND (?2 IS NULL OR workflow = ?2) AND (?3 IS NULL OR event_type = ?3) AND (?4 IS NULL OR project = ?4)
         AND since >= ?5 AND since < ?6"
    } else {
        "INDEXED BY jobs_failed_open WHERE state = 'failed_final' AND outcome IS NULL AND (?1 IS NULL OR error_cause = ?1)
         AND (?2 IS NULL OR workflow = ?2) AND (?3 IS NULL OR event_type = ?3) AND (?4 IS NULL OR project = ?4)
         AND since >= ?5 AND since < ?6"
    }
}

fn find_all(connection: &Connection, filter: &FailedFilter) -> Result<FailedJobs, StoreError> {
    let matching = matching(filter);
    let (since, until) = (filter.since_ms.unwrap_or(i64::MIN), filter.until_ms.unwrap_or(i64::MAX));
    let given = params![filter.cause, filter.workflow, filter.event_type, filter.project, since, until];
    let by_cause: Vec<(String, i64)> = connection
        .prepare_cached(&format!(
            "SELECT error_cause, count(*) FROM jobs {matching} GROUP BY error_cause ORDER BY count(*) DESC, error_cause"
        ))?
        .query_map(given, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let sample = connection
        .prepare_cached(&format!("SELECT id FROM jobs {matching} ORDER BY since, id LIMIT {SAMPLE}"))?
        .query_map(given, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(FailedJobs { matched: by_cause.iter().map(|(_, count)| count).sum(), by_cause, sample })
}

fn next_of(
    connection: &Connection,
    filter: &FailedFilter,
    after: Option<(i64, i64)>,
    limit: usize,
) -> Result<Vec<Failed>, StoreError> {
    let (since, until) = (filter.since_ms.unwrap_or(i64::MIN), filter.until_ms.unwrap_or(i64::MAX));
    let (after_since, after_id) = after.unwrap_or((i64::MIN, i64::MIN));
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs {} AND (since, id) > (?7, ?8) ORDER BY since, id LIMIT ?9",
        matching(filter)
    );
    let mut list = connection.prepare_cached(&sql)?;
    let rows = list.query_map(
        params![
            filter.cause,
            filter.workflow,
            filter.event_type,
            filter.project,
            since,
            until,
            after_since,
            after_id,
            i64::try_from(limit).unwrap_or(i64::MAX)
        ],
        Failed::read,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}
