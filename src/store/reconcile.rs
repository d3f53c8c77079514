//! Started work that no webhook has told of: when to ask OpenAI ourselves, what
//! that found, and what is past its deadline.

use crate::store::sql::{self, Connection, OptionalExtension, Params, Row, params};

use super::ledger::POLLED;
use super::{Store, StoreError, marks};
use crate::domain::submission::Kind;

/// What a reconciler asks for.
#[derive(Debug, Clone)]
pub struct TakeChecks {
    /// The project to take from.
    pub project: String,
    /// Most submissions to take.
    pub limit: usize,
    /// In ms.
    pub now_ms: i64,
    /// When somebody else may take them, if nobody says what was found, in ms.
    pub lease_until_ms: i64,
    /// When to look again at those that have a job under way, in ms.
    pub later_ms: i64,
}

/// A submission that OpenAI is to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `sub_…`
    pub id: String,
    /// The OpenAI project.
    pub project: String,
    /// OpenAI's id.
    pub resource_id: String,
    /// What to ask for.
    pub kind: Kind,
    /// How often OpenAI was asked before.
    pub polls: i64,
    /// A job about it is under way: a webhook came, there is nothing to ask.
    pub has_job: bool,
}

/// What asking OpenAI found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It goes on, or nobody could tell.
    Moving,
    /// It has ended; this is the result.
    Ended(String),
    /// OpenAI has no result, and will not have one. The job asks once more, and
    /// ends in the words of that answer.
    Gone,
}

/// Submissions of one project that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hanging {
    /// The OpenAI project.
    pub project: String,
    /// How many.
    pub count: i64,
    /// The oldest of them.
    pub oldest: String,
}

/// What became of submissions that got neither an answer nor a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// Those of which it is now certain that their start was not answered.
    pub unknown: Vec<String>,
    /// Those past their deadline.
    pub lost: Vec<String>,
}

/// How long a result found by asking may lie, in ms: it is kept, or gone
/// already, so nothing hurries.
const NO_HURRY_MS: i64 = 30 * 86_400_000;

/// At most so many rows are moved in one transaction: the front desk waits for it.
const MOST_MOVED: i64 = 200;

const HAS_JOB: &str =
    "EXISTS (SELECT 1 FROM jobs j WHERE j.resource_id = submissions.resource_id AND j.project = submissions.project
    AND j.kind = 'ending' AND j.state IN ('queued','processing','failed_retryable'))";

impl Store {
    /// Takes started submissions that are due to be asked about, longest due
    /// first. They are not due again before the lease ends, so that two workers
    /// never ask for the same one.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was taken then.
    pub async fn take_checks(&self, take: TakeChecks) -> Result<Vec<Check>, StoreError> {
        self.write(move |connection| {
            let limit = i64::try_from(take.limit).unwrap_or(i64::MAX);
            let mut due = connection.prepare_cached(&format!(
                "UPDATE submissions SET check_at = CASE WHEN {HAS_JOB} THEN ?4 ELSE ?3 END
                 WHERE id IN (SELECT id FROM submissions WHERE check_at <= ?2 AND state = 'started' AND project = ?1
                              ORDER BY check_at LIMIT ?5)
                 RETURNING id, project, resource_id, kind, polls, {HAS_JOB}"
            ))?;
            let checks = due
                .query_map(params![take.project, take.now_ms, take.lease_until_ms, take.later_ms, limit], check)?
                .collect::<Result<_, _>>()?;
            Ok(checks)
        })
        .await
    }

    /// Writes down what asking found. What has ended gets an ordinary job,
    /// unless one is under way or the webhook's job has dealt with it meanwhile.
    /// True when a job was queued.
    ///
    /// # Errors
    /// When the transaction could not be committed; the submission is due again
    /// when its lease ends.
    pub async fn checked(
        &self,
        check: Check,
        found: Found,
        next_check_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let queued = self.write(move |connection| checked(connection, &check, &found, next_check_ms, now_ms)).await?;
        if queued {
            self.ring();
        }
        Ok(queued)
    }

    /// Submissions without OpenAI's id that are due: nobody can be asked about
    /// them. A start that got no answer is `unknown`; past the deadline it is `lost`.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn age_unanswered(&self, later_ms: i64, now_ms: i64) -> Result<Unanswered, StoreError> {
        self.write(move |connection| {
            let ids = |sql: &str, params: &[&dyn sql::ToValue]| -> Result<Vec<String>, StoreError> {
                let mut update = connection.prepare_cached(sql)?;
                let rows = update.query_map(params, |row| row.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
            let lost = ids(
                "UPDATE submissions SET state = 'lost', check_at = NULL,
                        error_detail = coalesce(error_detail, 'the start was not answered, and no webhook came by the deadline')
                 WHERE id IN (SELECT id FROM submissions WHERE check_at <= ?1 AND state IN ('starting','unknown') AND deadline_at <= ?1
                              ORDER BY check_at LIMIT ?2)
                 RETURNING id",
                &[&now_ms, &MOST_MOVED],
            )?;
            let unknown = ids(
                "UPDATE submissions SET state = 'unknown', check_at = min(deadline_at, ?2)
                 WHERE id IN (SELECT id FROM submissions WHERE check_at <= ?1 AND state IN ('starting','unknown') AND deadline_at > ?1
                              ORDER BY check_at LIMIT ?3)
                 RETURNING id",
                &[&now_ms, &later_ms, &MOST_MOVED],
            )?;
            Ok(Unanswered { unknown, lost })
        })
        .await
    }

    /// Submissions past their deadline that have not ended, by project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn overdue_submissions(&self, now_ms: i64) -> Result<Vec<Hanging>, StoreError> {
        self.read(move |connection| {
            hanging(
                connection,
                "SELECT project, count(*), (SELECT oldest.id FROM submissions oldest
                    WHERE oldest.project = submissions.project AND oldest.state IN ('planned','starting','started','unknown')
                    ORDER BY oldest.deadline_at, oldest.seq LIMIT 1), min(deadline_at) FROM submissions
                 WHERE state IN ('planned','starting','started','unknown') AND deadline_at <= ?1 GROUP BY project",
                [now_ms],
            )
        })
        .await
    }

    /// Lost submissions that nobody has closed, by project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn lost_submissions(&self) -> Result<Vec<Hanging>, StoreError> {
        self.read(|connection| {
            hanging(
                connection,
                "SELECT project, count(*), (SELECT oldest.id FROM submissions oldest
                    WHERE oldest.project = submissions.project AND oldest.state = 'lost'
                    ORDER BY oldest.created_at, oldest.seq LIMIT 1), min(created_at) FROM submissions
                 WHERE state = 'lost' GROUP BY project",
                [],
            )
        })
        .await
    }

    /// How many results in a row were found by asking, with no delivery of the
    /// project in between.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn unheard_of(&self, project: String) -> Result<i64, StoreError> {
        let name = project.clone();
        if self.look_up(move |connection| marks::get(connection, &row_of(&name))).await? == 0 {
            return Ok(0);
        }
        self.write(move |connection| listen(connection, &project)).await
    }
}

fn check(row: &Row<'_>) -> sql::Result<Check> {
    Ok(Check {
        id: row.get(0)?,
        project: row.get(1)?,
        resource_id: row.get(2)?,
        kind: Kind::parse(&row.get::<_, String>(3)?).ok_or(sql::Error::Unreadable)?,
        polls: row.get(4)?,
        has_job: row.get(5)?,
    })
}

fn checked(
    connection: &Connection,
    check: &Check,
    found: &Found,
    next_check_ms: i64,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let waits: Option<bool> = connection
        .prepare_cached(&format!(
            "UPDATE submissions SET polls = polls + 1, check_at = ?2 WHERE id = ?1 AND state = 'started' RETURNING NOT {HAS_JOB}"
        ))?
        .query_row((&check.id, next_check_ms), |row| row.get(0))
        .optional()?;
    // What has been dealt with meanwhile is not kept again.
    if let (Some(_), Found::Ended(raw)) = (waits, found) {
        connection
            .prepare_cached(
                "INSERT INTO results (project, resource_id, raw, fetched_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (resource_id, project) DO NOTHING",
            )?
            .execute((&check.project, &check.resource_id, raw, now_ms))?;
    }
    let queued = *found != Found::Moving && waits == Some(true) && queue(connection, check, now_ms)?;
    if queued {
        let unheard = listen(connection, &check.project)?;
        marks::set(connection, &row_of(&check.project), unheard + 1)?;
    }
    Ok(queued)
}

/// The job that a webhook would have made.
fn queue(connection: &Connection, check: &Check, now_ms: i64) -> Result<bool, StoreError> {
    let queued = connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, event_type, resource_id, state, since, queued_at, claimable_at, forget_at)
             VALUES (?1, 'poll/' || ?2, ?3, ?2, 'queued', ?4, ?4, ?4, ?5)
             ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute((
            &check.project,
            &check.resource_id,
            format!("{}{POLLED}", check.kind.word()),
            now_ms,
            now_ms + NO_HURRY_MS,
        ))?;
    Ok(queued == 1)
}

fn hanging(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Hanging>, StoreError> {
    // With min() SQLite gives the other columns of the row that has the least.
    let mut list = connection.prepare_cached(sql)?;
    let rows =
        list.query_map(params, |row| Ok(Hanging { project: row.get(0)?, count: row.get(1)?, oldest: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The mark that counts a project's results in a row that no webhook told of.
fn row_of(project: &str) -> String {
    format!("unheard/{project}")
}

/// Begins the count anew when the project has had a delivery since the last
/// time; each delivery is looked at once.
fn listen(connection: &Connection, project: &str) -> Result<i64, StoreError> {
    let heard_to = format!("heard_to/{project}");
    let from = marks::get(connection, &heard_to)?;
    let newest: i64 =
        connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM deliveries")?.query_row([], |row| row.get(0))?;
    let counted = marks::get(connection, &row_of(project))?;
    // While nothing is counted, nothing is listened for.
    let heard = counted == 0
        || connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE seq > ?1 AND project = ?2)")?
            .query_row((from, project), |row| row.get(0))?;
    marks::set(connection, &heard_to, newest)?;
    if !heard {
        return Ok(counted);
    }
    marks::set(connection, &row_of(project), 0)?;
    Ok(0)
}
