//! What people look at: deliveries, jobs, counts. Every list is newest first
//! and pages by the row's own number, so that a page costs the same however
//! much lies behind it.

use crate::store::sql::{self, Connection, OptionalExtension, Row};

use super::{Store, StoreError};
use crate::domain::batch;
use crate::domain::job::State;

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Most items to return.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<i64>,
}

impl PageRequest {
    /// Items when nothing else is asked for.
    pub const DEFAULT_LIMIT: usize = 50;
    /// Items at most.
    pub const MAX_LIMIT: usize = 500;

    pub(super) fn before(&self) -> i64 {
        self.cursor.unwrap_or(i64::MAX)
    }

    pub(super) fn limit_and_one(&self) -> i64 {
        i64::try_from(self.limit.clamp(1, Self::MAX_LIMIT)).unwrap_or(1) + 1
    }

    /// Cuts the one item too many that was asked for, to see if there is a next page.
    pub(super) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> i64) -> (Vec<T>, Option<i64>) {
        let limit = self.limit.clamp(1, Self::MAX_LIMIT);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        (items, next)
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<i64>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub status: Option<State>,
    /// Only this event type.
    pub event_type: Option<String>,
    /// Only those one of whose ids contains this text.
    pub text: Option<String>,
}

/// A delivery as people see it; its state is its job's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place in the order of arrival.
    pub seq: i64,
    /// The webhook-id.
    pub delivery_id: String,
    /// `evt_…`
    pub event_id: Option<String>,
    /// As `response.completed`.
    pub event_type: Option<String>,
    /// The resource it tells of.
    pub resource_id: Option<String>,
    /// The OpenAI project.
    pub project: String,
    /// `received` when there is no job.
    pub status: State,
    /// In ms.
    pub received_at_ms: i64,
    /// How often OpenAI was asked for it.
    pub attempt_count: i64,
    /// Once known.
    pub ticket_id: Option<String>,
    /// Once known.
    pub workflow: Option<String>,
    /// The last failure, in our words.
    pub last_error: Option<String>,
    /// Its job.
    pub job_id: Option<i64>,
    /// How the job ended.
    pub outcome: Option<String>,
    /// The first delivery of the same event.
    pub duplicate_of: Option<String>,
    /// How often this webhook-id has come.
    pub copies: i64,
    /// How many of those copies had another body.
    pub altered_copies: i64,
    /// Why there is no job.
    pub note: Option<String>,
    /// When a person put it away, in ms; only what has no job can be.
    pub dismissed_at_ms: Option<i64>,
    /// Who did.
    pub dismissed_by: Option<String>,
}

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

/// How many are in a state, and since when the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: State,
    /// How many.
    pub count: i64,
    /// Since when the oldest is in it, in ms; not kept for `processed`.
    pub oldest_ms: Option<i64>,
}

/// Everything that `/metrics` and `/api/v1/stats` count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the order of [`State::ALL`].
    pub states: Vec<StateCount>,
    /// Ended jobs by outcome.
    pub outcomes: Vec<(String, i64)>,
    /// Submissions by what told first that they have ended: `webhook` or `poll`.
    pub found_first: Vec<(String, i64)>,
    /// Deliveries ever stored.
    pub deliveries: i64,
    /// Reviews that wait for a person, and since when the oldest.
    pub open_reviews: (i64, Option<i64>),
    /// What people have paused.
    pub pauses: i64,
    /// Batches, by their state and all others.
    pub batches: Batches,
    /// Refused requests since the beginning, by cause.
    pub refused: Vec<(String, i64)>,
    /// The least time at which OpenAI may forget a result not yet fetched, in ms.
    pub least_forget_at_ms: Option<i64>,
}

/// What is counted of batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batches {
    /// In the order of the states; those of which there is none as well.
    pub states: Vec<(&'static str, i64)>,
    /// Lines that were read, by what OpenAI's files say of them.
    pub entered: Vec<(String, i64)>,
    /// Lines that were dealt with, by what they came to.
    pub ended: Vec<(String, i64)>,
    /// Since when the oldest change-set waits for a decision, in ms.
    pub oldest_waiting_ms: Option<i64>,
}

const DELIVERY_COLUMNS: &str =
    "d.seq, d.delivery_id, d.event_id, d.event_type, d.resource_id, d.project, j.state, d.received_at,
    coalesce(j.calls, 0), j.ticket_id, j.workflow, j.error_cause, j.error_detail, j.id, j.outcome, d.duplicate_of,
    d.copies, d.altered_copies, d.note, d.dismissed_at, d.dismissed_by";
const DELIVERY_FROM: &str = "deliveries d LEFT JOIN jobs j ON j.key = d.job_key AND j.project = d.project";

impl Store {
    /// Deliveries, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> Result<Page<Delivery>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(&format!(
                "SELECT {DELIVERY_COLUMNS} FROM {DELIVERY_FROM}
                 WHERE d.seq < ?1 AND (?2 IS NULL OR coalesce(j.state, 'received') = ?2) AND (?3 IS NULL OR d.event_type = ?3)
                   AND (?4 IS NULL OR instr(d.delivery_id, ?4) > 0 OR instr(d.event_id, ?4) > 0 OR instr(d.resource_id, ?4) > 0
                        OR instr(j.ticket_id, ?4) > 0)
                 ORDER BY d.seq DESC LIMIT ?5"
            ))?;
            let rows = list.query_map(
                (page.before(), filter.status.map(State::word), &filter.event_type, &filter.text, page.limit_and_one()),
                delivery,
            )?;
            let (items, next) = page.cut(rows.collect::<Result<_, _>>()?, |delivery| delivery.seq);
            Ok(Page { items, next })
        })
        .await
    }

    /// One delivery by its webhook-id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn delivery(&self, id: String) -> Result<Option<Delivery>, StoreError> {
        self.look_up(move |connection| {
            let sql = format!(
                "SELECT {DELIVERY_COLUMNS} FROM {DELIVERY_FROM} WHERE d.delivery_id = ?1 ORDER BY d.seq LIMIT 1"
            );
            Ok(connection.prepare_cached(&sql)?.query_row([&id], delivery).optional()?)
        })
        .await
    }

    /// Jobs, newest first; of one state when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn jobs(&self, status: Option<State>, page: PageRequest) -> Result<Page<Job>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT * FROM jobs WHERE id < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY id DESC LIMIT ?3",
            )?;
            let rows = list.query_map((page.before(), status.map(State::word), page.limit_and_one()), job)?;
            let (items, next) = page.cut(rows.collect::<Result<_, _>>()?, |job| job.id);
            Ok(Page { items, next })
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

    /// Everything that is counted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(counts).await
    }
}

fn counts(connection: &Connection) -> Result<Counts, StoreError> {
    let mut states = Vec::with_capacity(State::ALL.len());
    for state in State::ALL {
        let (count, oldest_ms) =
            connection.prepare_cached(count_of(state))?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        states.push(StateCount { state, count, oldest_ms });
    }
    Ok(Counts {
        states,
        outcomes: pairs(
            connection,
            "SELECT name, CAST(sum(count) AS BIGINT) FROM tallies WHERE name IN ('applied','failed_final','held','ignored','superseded') GROUP BY name ORDER BY name",
        )?,
        found_first: pairs(
            connection,
            "SELECT substr(name, 10), CAST(sum(count) AS BIGINT) FROM tallies WHERE name IN ('found_by_poll','found_by_webhook') GROUP BY name ORDER BY name",
        )?,
        deliveries: connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM deliveries")?
            .query_row([], |row| row.get(0))?,
        open_reviews: connection
            .prepare_cached("SELECT count(*), min(created_at) FROM reviews WHERE state IN ('open','claimed')")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?,
        pauses: connection.prepare_cached("SELECT count(*) FROM pauses")?.query_row([], |row| row.get(0))?,
        batches: batches(connection)?,
        refused: pairs(
            connection,
            "SELECT code, CAST(sum(count) AS BIGINT) FROM refusals GROUP BY code ORDER BY code",
        )?,
        least_forget_at_ms: connection
            .prepare_cached("SELECT min(forget_at) FROM jobs WHERE state = 'queued' AND kind = 'ending'")?
            .query_row([], |row| row.get(0))?,
    })
}

fn batches(connection: &Connection) -> Result<Batches, StoreError> {
    let found = pairs(connection, "SELECT state, count(*) FROM batches GROUP BY state")?;
    let of = |state: batch::State| found.iter().find(|(word, _)| word == state.word()).map_or(0, |(_, count)| *count);
    Ok(Batches {
        states: batch::State::ALL.into_iter().map(|state| (state.word(), of(state))).collect(),
        entered: pairs(
            connection,
            "SELECT substr(name, 14), CAST(sum(count) AS BIGINT) FROM tallies WHERE name > 'batch/result/' AND name < 'batch/result0' GROUP BY name ORDER BY name",
        )?,
        ended: pairs(
            connection,
            "SELECT substr(name, 12), CAST(sum(count) AS BIGINT) FROM tallies WHERE name > 'batch/fate/' AND name < 'batch/fate0' GROUP BY name ORDER BY name",
        )?,
        oldest_waiting_ms: connection
            .prepare_cached("SELECT min(since) FROM batches WHERE state = 'waiting'")?
            .query_row([], |row| row.get(0))?,
    })
}

/// Each state is counted from an index of just its rows; the one that grows for
/// ever is counted as jobs end.
fn count_of(state: State) -> &'static str {
    match state {
        State::Received => {
            "SELECT count(*), min(received_at) FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL"
        }
        // One that is not due yet, as in its undo window, does not get old.
        State::Queued => "SELECT count(*), min(claimable_at) FROM jobs WHERE state = 'queued'",
        State::Processing => {
            "SELECT count(*), min(since) FROM jobs WHERE state IN ('processing','failed_retryable') AND state = 'processing'"
        }
        State::FailedRetryable => {
            "SELECT count(*), min(since) FROM jobs WHERE state IN ('processing','failed_retryable') AND state = 'failed_retryable'"
        }
        State::FailedFinal => "SELECT count(*), min(since) FROM jobs WHERE state = 'failed_final' AND outcome IS NULL",
        State::Processed => {
            "SELECT CAST(coalesce(sum(count), 0) AS BIGINT), CAST(NULL AS BIGINT) FROM tallies WHERE name IN ('applied','held','ignored','superseded')"
        }
    }
}

fn pairs(connection: &Connection, sql: &str) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(connection
        .prepare_cached(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
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

fn delivery(row: &Row<'_>) -> sql::Result<Delivery> {
    let status: Option<String> = row.get(6)?;
    Ok(Delivery {
        seq: row.get(0)?,
        delivery_id: row.get(1)?,
        event_id: row.get(2)?,
        event_type: row.get(3)?,
        resource_id: row.get(4)?,
        project: row.get(5)?,
        status: status.map_or(Ok(State::Received), |word| state(&word))?,
        received_at_ms: row.get(7)?,
        attempt_count: row.get(8)?,
        ticket_id: row.get(9)?,
        workflow: row.get(10)?,
        last_error: error_text(row.get(11)?, row.get(12)?),
        job_id: row.get(13)?,
        outcome: row.get(14)?,
        duplicate_of: row.get(15)?,
        copies: row.get(16)?,
        altered_copies: row.get(17)?,
        note: row.get(18)?,
        dismissed_at_ms: row.get(19)?,
        dismissed_by: row.get(20)?,
    })
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
