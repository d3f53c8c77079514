//! Everything that is counted. What has ended is counted as it ends; what waits is
//! counted from an index of just that, up to a bound.

use crate::store::sql::Connection;

use super::{Store, StoreError};
use crate::domain::batch;
use crate::domain::job::State;

/// So far is counted what waits; of more, the count says that it is at least this.
pub const COUNTED: i64 = 100_000;

/// So many of the jobs soonest forgotten are looked at for one that has a result to lose.
const SOONEST: i64 = 1_000;

/// How many are in a state, and since when the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    /// The state.
    pub state: State,
    /// How many; [`COUNTED`] when there are more.
    pub count: i64,
    /// Whether there are more than were counted.
    pub at_least: bool,
    /// Since when the oldest of those is in it, in ms; not kept for `processed`.
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
    /// Reviews that wait for a person, [`COUNTED`] of them at most, and since when the oldest.
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

impl Store {
    /// Everything that is counted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(counts).await
    }
}

/// What tells whether anything has happened that a page would show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewestNumbers {
    /// The newest delivery's.
    pub deliveries: i64,
    /// The newest review's.
    pub reviews: i64,
    /// Of messages on the built-in desk.
    pub messages: i64,
    /// The newest entry's of the audit trail.
    pub audit_trail: i64,
    /// How many jobs have ended.
    pub ended: i64,
    /// Reviews that wait, [`COUNTED`] of them at most.
    pub open_reviews: i64,
    /// Failed jobs that nobody has dealt with, [`COUNTED`] of them at most.
    pub failed: i64,
    /// Alerts that are open.
    pub alerts: i64,
}

impl Store {
    /// What tells whether anything has happened that a page would show.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest_numbers(&self) -> Result<NewestNumbers, StoreError> {
        self.read(|connection| {
            let number = |sql: &str| -> Result<i64, StoreError> {
                Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
            };
            Ok(NewestNumbers {
                deliveries: number(NUMBERED)?,
                reviews: number("SELECT coalesce(max(seq), 0) FROM reviews")?,
                messages: number("SELECT coalesce(max(id), 0) FROM messages")?,
                audit_trail: number("SELECT coalesce(max(seq), 0) FROM audit_trail")?,
                ended: ended(connection)?,
                open_reviews: some(connection, OPEN_REVIEWS)?.0.min(COUNTED),
                failed: some(connection, FAILED_FINAL)?.0.min(COUNTED),
                alerts: number("SELECT count(*) FROM alerts WHERE closed_at IS NULL")?,
            })
        })
        .await
    }
}

fn counts(connection: &Connection) -> Result<Counts, StoreError> {
    Ok(Counts {
        states: states(connection)?,
        outcomes: pairs(
            connection,
            "SELECT name, CAST(sum(count) AS BIGINT) FROM tallies WHERE name IN ('applied','failed_final','held','ignored','superseded') GROUP BY name ORDER BY name",
        )?,
        found_first: pairs(
            connection,
            "SELECT substr(name, 10), CAST(sum(count) AS BIGINT) FROM tallies WHERE name IN ('found_by_poll','found_by_webhook') GROUP BY name ORDER BY name",
        )?,
        deliveries: connection
            .prepare_cached(if connection.sqlite().is_some() { NUMBERED } else { TALLIED })?
            .query_row([], |row| row.get(0))?,
        open_reviews: some(connection, OPEN_REVIEWS).map(|(count, oldest)| (count.min(COUNTED), oldest))?,
        pauses: connection.prepare_cached("SELECT count(*) FROM pauses")?.query_row([], |row| row.get(0))?,
        batches: batches(connection)?,
        refused: pairs(
            connection,
            "SELECT substr(name, 9), CAST(sum(count) AS BIGINT) FROM tallies WHERE name > 'refused/' AND name < 'refused0' GROUP BY name ORDER BY name",
        )?,
        least_forget_at_ms: least_forget_at(connection)?,
    })
}

/// SQLite numbers deliveries without a gap, and none is ever taken away.
pub(super) const NUMBERED: &str = "SELECT coalesce(max(seq), 0) FROM deliveries";

/// PostgreSQL gives numbers to those as well that turn out to be duplicates.
pub(super) const TALLIED: &str =
    "SELECT coalesce(CAST(sum(count) AS BIGINT), 0) FROM tallies WHERE name = 'deliveries'";

const OPEN_REVIEWS: &str = "SELECT count(*), min(created_at) FROM
    (SELECT created_at FROM reviews INDEXED BY reviews_waiting WHERE state IN ('open','claimed') ORDER BY created_at LIMIT ?1) AS waiting";

const RECEIVED: &str = "SELECT count(*), min(received_at) FROM
    (SELECT received_at FROM deliveries INDEXED BY deliveries_waiting WHERE job_key IS NULL AND dismissed_at IS NULL ORDER BY received_at LIMIT ?1) AS waiting";

/// One that is not due yet, as in its undo window, does not get old.
const QUEUED: &str = "SELECT count(*), min(claimable_at) FROM
    (SELECT claimable_at FROM jobs INDEXED BY jobs_queued WHERE state = 'queued' ORDER BY project, forget_at, id LIMIT ?1) AS waiting";

const FAILED_FINAL: &str = "SELECT count(*), min(since) FROM
    (SELECT since FROM jobs INDEXED BY jobs_failed_open WHERE state = 'failed_final' AND outcome IS NULL ORDER BY since, id LIMIT ?1) AS waiting";

/// Those that have a time when they are due, of both states.
const DUE: &str = "SELECT state, count(*), min(since) FROM
    (SELECT state, since FROM jobs INDEXED BY jobs_due WHERE state IN ('processing','failed_retryable') LIMIT ?1) AS due GROUP BY state";

fn states(connection: &Connection) -> Result<Vec<StateCount>, StoreError> {
    let due: Vec<(String, i64, Option<i64>)> = connection
        .prepare_cached(DUE)?
        .query_map([COUNTED + 1], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let all_due: i64 = due.iter().map(|(_, count, _)| count).sum();
    let count = |state: State| -> Result<StateCount, StoreError> {
        let (count, oldest_ms) = match state {
            State::Received => some(connection, RECEIVED)?,
            State::Queued => some(connection, QUEUED)?,
            State::FailedFinal => some(connection, FAILED_FINAL)?,
            State::Processed => (ended(connection)?, None),
            State::Processing | State::FailedRetryable => {
                let found = due.iter().find(|(word, ..)| word == state.word());
                found.map_or((0, None), |(_, count, oldest_ms)| (*count, *oldest_ms))
            }
        };
        let is_due = matches!(state, State::Processing | State::FailedRetryable);
        let counted = if is_due { all_due } else { count };
        let at_least = state != State::Processed && counted > COUNTED;
        Ok(StateCount { state, count: count - i64::from(at_least && !is_due), at_least, oldest_ms })
    };
    State::ALL.into_iter().map(count).collect()
}

/// How many, one more than [`COUNTED`] at most, and since when the oldest.
fn some(connection: &Connection, sql: &str) -> Result<(i64, Option<i64>), StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row([COUNTED + 1], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// The state that grows for ever is counted as jobs end.
fn ended(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM tallies WHERE name IN ('applied','held','ignored','superseded')",
        )?
        .query_row([], |row| row.get(0))?)
}

fn batches(connection: &Connection) -> Result<Batches, StoreError> {
    let found = pairs(
        connection,
        "SELECT substr(name, 9), CAST(sum(count) AS BIGINT) FROM tallies WHERE name > 'batches/' AND name < 'batches0' GROUP BY name",
    )?;
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

/// From one project to the next, and in each along the order of forgetting. What
/// is no result of OpenAI's is never many at a time.
fn least_forget_at(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let mut next =
        connection.prepare_cached("SELECT min(project) FROM jobs WHERE state = 'queued' AND project > ?1")?;
    let mut soonest = connection.prepare_cached(
        "SELECT min(forget_at) FROM (SELECT forget_at, kind FROM jobs WHERE project = ?1 AND state = 'queued'
                                     ORDER BY forget_at, id LIMIT ?2) AS soonest WHERE kind = 'ending'",
    )?;
    let (mut project, mut least) = (String::new(), None::<i64>);
    loop {
        match next.query_row([&project], |row| row.get(0))? {
            Some(found) => project = found,
            None => return Ok(least),
        }
        let found: Option<i64> = soonest.query_row((&project, SOONEST), |row| row.get(0))?;
        least = least.into_iter().chain(found).min();
    }
}

fn pairs(connection: &Connection, sql: &str) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(connection
        .prepare_cached(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}
