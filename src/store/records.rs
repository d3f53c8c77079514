//! Jobs as people see them.

use crate::store::sql::{self, Connection, OptionalExtension, Row};

use super::page::{LOOKED_AT, few, numbers, stretch};
use super::{Page, PageRequest, Store, StoreError};
use crate::domain::job::State;

/// A job as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// The OpenAI project.
    pub project: String,
    /// The work itself, as `event/evt_…`.
    pub key: String,
    /// What it does, as `ending`, `line` or `build`.
    pub kind: String,
    /// As `response.completed`.
    pub event_type: String,
    /// The resource it is about.
    pub resource_id: String,
    /// The delivery that made it.
    pub delivery_id: Option<String>,
    /// Where it stands.
    pub status: State,
    /// Since when, in ms.
    pub since_ms: i64,
    /// In ms.
    pub queued_at_ms: i64,
    /// When it may be claimed next, in ms; none when it has ended.
    pub next_at_ms: Option<i64>,
    /// When OpenAI may forget the result, in ms.
    pub forget_at_ms: i64,
    /// How often OpenAI was asked for it.
    pub attempt_count: i64,
    /// Who has it.
    pub worker: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Of the outcome.
    pub reason: Option<String>,
    /// The last failure, in our words.
    pub last_error: Option<String>,
    /// Once known.
    pub ticket_id: Option<String>,
    /// Once known.
    pub workflow: Option<String>,
    /// When we started the work ourselves.
    pub submission_id: Option<String>,
}

impl Store {
    /// Jobs, newest first; of one state when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn jobs(&self, status: Option<State>, page: PageRequest) -> Result<Page<Job>, StoreError> {
        self.read(move |connection| match status {
            None => Ok(page.of_stretch(walk(connection, "", None, 1, page)?, 1, |job| job.id)),
            // Their index has them in the order of the list.
            Some(State::FailedFinal) => {
                let found = walk(connection, "INDEXED BY jobs_failed_number", status, 1, page)?;
                Ok(page.of_stretch(found, 1, |job| job.id))
            }
            // What was only received has no job.
            Some(State::Received) => Ok(Page { items: Vec::new(), next: None }),
            Some(state) => match jobs_in(connection, state)? {
                Some(jobs) => pick(connection, jobs, page),
                None => {
                    let end = stretch(connection, "SELECT max(id) FROM jobs", page.before())?;
                    Ok(page.of_stretch(walk(connection, "", status, end, page)?, end, |job| job.id))
                }
            },
        })
        .await
    }

    /// One job.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn job(&self, id: i64) -> Result<Option<Job>, StoreError> {
        self.look_up(move |connection| {
            Ok(connection.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?.query_row([id], job).optional()?)
        })
        .await
    }

    /// The projects for which jobs wait or are at work.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projects_with_open_jobs(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            // From one project to the next along the index, not over all its rows.
            let mut next = connection.prepare_cached(
                "SELECT min(project) FROM (
                   SELECT min(project) AS project FROM jobs WHERE state = 'queued' AND project > ?1
                   UNION ALL
                   SELECT min(project) FROM jobs WHERE state IN ('processing','failed_retryable') AND project > ?1) AS next",
            )?;
            let mut projects: Vec<String> = Vec::new();
            loop {
                let last = projects.last().map_or("", String::as_str);
                match next.query_row([last], |row| row.get::<_, Option<String>>(0))? {
                    Some(project) => projects.push(project),
                    None => return Ok(projects),
                }
            }
        })
        .await
    }
}

/// A page of the jobs from number `end` on.
fn walk(
    connection: &Connection,
    index: &str,
    status: Option<State>,
    end: i64,
    page: PageRequest,
) -> Result<Vec<Job>, StoreError> {
    let of_state = match status {
        None => "",
        Some(State::FailedFinal) => "state = 'failed_final' AND ",
        Some(_) => "state = ?4 AND ",
    };
    let sql = format!("SELECT * FROM jobs {index} WHERE {of_state} id < ?1 AND id >= ?2 ORDER BY id DESC LIMIT ?3");
    let mut list = connection.prepare_cached(&sql)?;
    let (before, limit) = (page.before(), page.limit_and_one());
    let rows = match status {
        None | Some(State::FailedFinal) => list.query_map((before, end, limit), job)?.collect::<Result<_, _>>()?,
        Some(state) => list.query_map((before, end, limit, state.word()), job)?.collect::<Result<_, _>>()?,
    };
    Ok(rows)
}

/// A page of jobs that are known by number.
fn pick(connection: &Connection, picked: Vec<i64>, page: PageRequest) -> Result<Page<Job>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT jobs.* FROM (SELECT CAST(value AS BIGINT) AS id FROM json_each(?1)) AS picked
           JOIN jobs ON jobs.id = picked.id ORDER BY jobs.id DESC",
    )?;
    let rows = list.query_map([numbers(&page.of_numbers(picked))], job)?;
    let (items, next) = page.cut(rows.collect::<Result<_, _>>()?, |job| job.id);
    Ok(Page { items, next })
}

/// The jobs in a state that has an index of its own, when they are few.
pub(super) fn jobs_in(connection: &Connection, state: State) -> Result<Option<Vec<i64>>, StoreError> {
    match state {
        State::Received | State::Processed => Ok(None),
        State::Queued => few(connection, "SELECT id FROM jobs INDEXED BY jobs_queued WHERE state = 'queued' LIMIT ?1"),
        State::FailedFinal => {
            few(connection, "SELECT id FROM jobs INDEXED BY jobs_failed_number WHERE state = 'failed_final' LIMIT ?1")
        }
        State::Processing | State::FailedRetryable => due_in(connection, state),
    }
}

/// Two states share an index.
fn due_in(connection: &Connection, state: State) -> Result<Option<Vec<i64>>, StoreError> {
    let due: Vec<(i64, String)> = connection
        .prepare_cached(
            "SELECT id, state FROM jobs INDEXED BY jobs_due WHERE state IN ('processing','failed_retryable') LIMIT ?1",
        )?
        .query_map([LOOKED_AT + 1], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let is_few = i64::try_from(due.len()).is_ok_and(|due| due <= LOOKED_AT);
    Ok(is_few.then(|| due.into_iter().filter(|(_, word)| word == state.word()).map(|(id, _)| id).collect()))
}

/// The failure as people read it: its code, then the detail.
pub(super) fn error_text(cause: Option<String>, detail: Option<String>) -> Option<String> {
    let cause = cause?;
    Some(match detail {
        Some(detail) if !detail.is_empty() => format!("{cause}: {detail}"),
        _ => cause,
    })
}

pub(super) fn state(word: &str) -> sql::Result<State> {
    State::parse(word).ok_or(sql::Error::Unreadable)
}

pub(super) fn job(row: &Row<'_>) -> sql::Result<Job> {
    Ok(Job {
        id: row.get("id")?,
        project: row.get("project")?,
        key: row.get("key")?,
        kind: row.get("kind")?,
        event_type: row.get("event_type")?,
        resource_id: row.get("resource_id")?,
        delivery_id: row.get("delivery_id")?,
        status: state(&row.get::<_, String>("state")?)?,
        since_ms: row.get("since")?,
        queued_at_ms: row.get("queued_at")?,
        next_at_ms: row.get("claimable_at")?,
        forget_at_ms: row.get("forget_at")?,
        attempt_count: row.get("calls")?,
        worker: row.get("worker")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        last_error: error_text(row.get("error_cause")?, row.get("error_detail")?),
        ticket_id: row.get("ticket_id")?,
        workflow: row.get("workflow")?,
        submission_id: row.get("submission_id")?,
    })
}
