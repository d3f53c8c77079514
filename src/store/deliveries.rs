//! Deliveries as people see them: one by its id, and lists by state, type and
//! text.

use crate::store::sql::{self, Connection, OptionalExtension, Row, params};

use super::page::{end_of_walk, is_at_most, numbers, stretch};
use super::records::{error_text, jobs_in, state};
use super::{Page, PageRequest, Store, StoreError};
use crate::domain::job::State;

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub status: Option<State>,
    /// Only this event type.
    pub event_type: Option<String>,
    /// Only those one of whose ids, or whose ticket's, begins with this text; where
    /// there is none, those one of whose ids contains it.
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

const COLUMNS: &str =
    "d.seq, d.delivery_id, d.event_id, d.event_type, d.resource_id, d.project, j.state, d.received_at,
    coalesce(j.calls, 0), j.ticket_id, j.workflow, j.error_cause, j.error_detail, j.id, j.outcome, d.duplicate_of,
    d.copies, d.altered_copies, d.note, d.dismissed_at, d.dismissed_by";
const JOB: &str = "LEFT JOIN jobs j ON j.key = d.job_key AND j.project = d.project";

/// `?1` the cursor, `?3` where the page stops, `?6` the limit.
const MATCHES: &str = "d.seq < ?1 AND d.seq >= ?3 AND (?4 IS NULL OR coalesce(j.state, 'received') = ?4)
    AND (?2 IS NULL OR d.event_type = ?2)
    AND (?5 IS NULL OR instr(d.delivery_id, ?5) > 0 OR instr(d.event_id, ?5) > 0 OR instr(d.resource_id, ?5) > 0 OR instr(j.ticket_id, ?5) > 0)
    ORDER BY d.seq DESC LIMIT ?6";

/// So many deliveries are put in order for a page, each found through its job.
const FEW: i64 = 200;

impl Store {
    /// Deliveries, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> Result<Page<Delivery>, StoreError> {
        self.read(move |connection| match picked(connection, &filter)? {
            Some((picked, rest)) => pick(connection, &picked, &rest, page),
            None => walk(connection, &filter, page),
        })
        .await
    }

    /// One delivery by its webhook-id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn delivery(&self, id: String) -> Result<Option<Delivery>, StoreError> {
        self.look_up(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM deliveries d {JOB} WHERE d.delivery_id = ?1 ORDER BY d.seq LIMIT 1");
            Ok(connection.prepare_cached(&sql)?.query_row([&id], delivery).optional()?)
        })
        .await
    }
}

/// The deliveries that an index names, when they are few, and what is still to be
/// asked of each.
fn picked(connection: &Connection, filter: &DeliveryFilter) -> Result<Option<(Vec<i64>, DeliveryFilter)>, StoreError> {
    if let Some(text) = &filter.text
        && let Some(picked) = beginning_with(connection, text)?
    {
        return Ok(Some((picked, DeliveryFilter { text: None, ..filter.clone() })));
    }
    // What has failed has an index of its own.
    let status = filter.status.filter(|status| *status != State::FailedFinal);
    let jobs = status.map(|status| jobs_in(connection, status)).transpose()?.flatten();
    let picked = jobs.filter(|jobs| is_at_most(jobs, FEW)).map(|jobs| of_jobs(connection, &jobs)).transpose()?;
    Ok(picked.filter(|picked| is_at_most(picked, FEW)).map(|picked| (picked, filter.clone())))
}

/// Those one of whose ids begins with the text; none when there is none of them,
/// or they are too many.
fn beginning_with(connection: &Connection, text: &str) -> Result<Option<Vec<i64>>, StoreError> {
    const JOBS: [(&str, &str); 3] = [
        ("event/", "SELECT id FROM jobs WHERE key >= ?1 AND key < ?2 LIMIT ?3"),
        ("", "SELECT id FROM jobs WHERE resource_id >= ?1 AND resource_id < ?2 LIMIT ?3"),
        ("", "SELECT id FROM jobs WHERE ticket_id >= ?1 AND ticket_id < ?2 LIMIT ?3"),
    ];
    const DELIVERIES: [&str; 3] = [
        "SELECT seq FROM deliveries WHERE delivery_id >= ?1 AND delivery_id < ?2 LIMIT ?3",
        "SELECT seq FROM deliveries WHERE job_key IS NULL AND event_id >= ?1 AND event_id < ?2 LIMIT ?3",
        "SELECT seq FROM deliveries WHERE job_key IS NULL AND resource_id >= ?1 AND resource_id < ?2 LIMIT ?3",
    ];
    let find = |sql: &str, before: &str| -> Result<Vec<i64>, StoreError> {
        // No id goes on with the last character there is.
        let (from, to) = (format!("{before}{text}"), format!("{before}{text}\u{10ffff}"));
        let mut list = connection.prepare_cached(sql)?;
        Ok(list.query_map((from, to, FEW + 1), |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let mut found = Vec::new();
    for sql in DELIVERIES {
        found.extend(find(sql, "")?);
    }
    for (before, sql) in JOBS {
        let jobs = find(sql, before)?;
        if !is_at_most(&jobs, FEW) || !is_at_most(&found, FEW) {
            return Ok(None);
        }
        found.extend(of_jobs(connection, &jobs)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(Some(found).filter(|found| !found.is_empty() && is_at_most(found, FEW)))
}

/// The deliveries that told of these jobs, the second ones of an event as well.
fn of_jobs(connection: &Connection, jobs: &[i64]) -> Result<Vec<i64>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT d.seq FROM (SELECT CAST(value AS BIGINT) AS id FROM json_each(?1)) AS picked
           JOIN jobs j ON j.id = picked.id JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project
         UNION
         SELECT d.seq FROM (SELECT CAST(value AS BIGINT) AS id FROM json_each(?1)) AS picked
           JOIN jobs j ON j.id = picked.id JOIN deliveries d ON d.project = j.project AND d.duplicate_of = j.delivery_id
          WHERE d.duplicate_of IS NOT NULL
         LIMIT ?2",
    )?;
    let found = list.query_map((numbers(jobs), FEW + 1), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A page of deliveries that are known by number.
fn pick(
    connection: &Connection,
    picked: &[i64],
    filter: &DeliveryFilter,
    page: PageRequest,
) -> Result<Page<Delivery>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT CAST(value AS BIGINT) AS seq FROM json_each(?7)) AS picked
           JOIN deliveries d ON d.seq = picked.seq {JOB} WHERE {MATCHES}"
    );
    let mut list = connection.prepare_cached(&sql)?;
    let (status, limit) = (filter.status.map(State::word), page.limit_and_one());
    let rows = list.query_map(
        params![page.before(), filter.event_type, 1, status, filter.text, limit, numbers(picked)],
        delivery,
    )?;
    let (items, next) = page.cut(rows.collect::<Result<_, _>>()?, |delivery| delivery.seq);
    Ok(Page { items, next })
}

/// An order to walk deliveries in.
struct Walk {
    index: &'static str,
    of: &'static str,
    /// All on it have the status that is asked for. To ask each one's job again would let
    /// PostgreSQL believe that most do not, and put all of them in order first.
    is_of_status: bool,
}

const ALL: Walk = Walk { index: "", of: "", is_of_status: false };
const PARKED: Walk = Walk { index: "INDEXED BY deliveries_parked", of: "d.job_key IS NULL AND ", is_of_status: true };
const FAILED: Walk = Walk { index: "INDEXED BY deliveries_failed", of: "d.failed = 1 AND ", is_of_status: true };
const OF_TYPE: Walk = Walk {
    index: "INDEXED BY deliveries_type",
    of: "d.event_type = ?2 AND d.event_type <> 'response.completed' AND ",
    is_of_status: false,
};

impl Walk {
    fn of(filter: &DeliveryFilter) -> Walk {
        match (filter.status, filter.event_type.as_deref()) {
            (Some(State::FailedFinal), _) => FAILED,
            (_, Some(kind)) if kind != "response.completed" => OF_TYPE,
            (Some(State::Received), _) => PARKED,
            _ => ALL,
        }
    }

    /// Whether it passes nothing that is not asked for.
    fn is_exact(&self, filter: &DeliveryFilter) -> bool {
        let asked = [filter.status.is_some(), filter.event_type.is_some(), filter.text.is_some()];
        let left = asked.into_iter().filter(|asked| *asked).count();
        left == usize::from(!self.of.is_empty())
    }

    /// Where a page from `before` on stops: so many rows of the walk further down.
    fn end(&self, connection: &Connection, filter: &DeliveryFilter, before: i64) -> Result<i64, StoreError> {
        if self.is_exact(filter) {
            return Ok(1);
        }
        if self.of.is_empty() {
            return stretch(connection, "SELECT max(seq) FROM deliveries", before);
        }
        let sql = format!(
            "SELECT d.seq FROM deliveries d {} WHERE {} d.seq < ?1 ORDER BY d.seq DESC LIMIT 1 OFFSET ?3",
            self.index, self.of
        );
        end_of_walk(connection, &sql, before, filter.event_type.as_deref())
    }
}

fn walk(connection: &Connection, filter: &DeliveryFilter, page: PageRequest) -> Result<Page<Delivery>, StoreError> {
    let walk = Walk::of(filter);
    let end = walk.end(connection, filter, page.before())?;
    let sql = format!("SELECT {COLUMNS} FROM deliveries d {} {JOB} WHERE {} {MATCHES}", walk.index, walk.of);
    let mut list = connection.prepare_cached(&sql)?;
    let status = filter.status.map(State::word).filter(|_| !walk.is_of_status);
    let rows = list.query_map(
        params![page.before(), filter.event_type, end, status, filter.text, page.limit_and_one()],
        delivery,
    )?;
    Ok(page.of_stretch(rows.collect::<Result<_, _>>()?, end, |delivery| delivery.seq))
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
