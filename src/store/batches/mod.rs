//! Batches: their rows, their parts at OpenAI, and the ledger of their lines.
//!
//! | file | what |
//! |---|---|
//! | `begin` | a batch that is wanted |
//! | `build` | its lines and parts, from wanted to sent |
//! | `pick` | which tickets may become its lines |
//! | `schedules` | what begins by the clock |
//! | `place` | which batch a result of OpenAI's belongs to |
//! | `close` | lines that get no answer |
//! | `enter` | what OpenAI's files say, line by line |
//! | `finish` | the end of reading: what is missing, and whether a person decides |
//! | `again` | what was not executed is sent again, once |
//! | `feed` | applying in stages: which lines have jobs, and what became of them |
//! | `acts` | what people decide about one |
//! | `undo` | putting back what one has changed |
//! | `given_up` | what goes on without a line, a part or an undo |
//! | `forget` | what goes of one when its time is over, or a ticket is erased |

mod acts;
mod again;
mod begin;
mod build;
mod close;
mod enter;
mod feed;
mod finish;
mod forget;
mod given_up;
mod pick;
mod place;
mod restored;
mod schedules;
mod undo;

use crate::store::sql::{Connection, OptionalExtension, Row};

pub use acts::BatchAct;
pub use begin::NewBatch;
pub(super) use build::discarded as build_discarded;
pub use build::{BuildClaim, Building, Built, NewLine, NewPart, PartToStart, Start, Starting, part_id};
pub use enter::{Entry as LineEntry, Read as LineRead};
pub use feed::{CHANGED_SINCE, LineFacts};
pub(super) use feed::{line_of, lost, settled};
pub use finish::{BATCH_TWIN, Entered, PartEnd};
pub(super) use forget::{erase_unused, expire, leave_out};
pub(super) use given_up::{Said, ending_discarded, line_discarded, part_given_up, undo_discarded, undo_retried};
pub use place::{Part, PartPlace, PlacePart};
pub use restored::BeforeRestore;
pub use schedules::{Fire, Scheduled};
pub use undo::{BATCH_UNDONE, Undone};

use super::{Page, PageRequest, Store, StoreError};
use crate::domain::batch::{Counts, Fate, LineResult, Origin, State};

/// A batch as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `bat_…`; of another program OpenAI's own id.
    pub id: String,
    /// Its place in the order.
    pub seq: i64,
    /// The OpenAI project.
    pub project: String,
    /// The workflow's name.
    pub workflow: String,
    /// Which prompt; none for work of another program.
    pub prompt_version: Option<String>,
    /// Goes up with everything a person does.
    pub version: i64,
    /// Where it stands.
    pub state: State,
    /// In this state since, in ms.
    pub since_ms: i64,
    /// Where it comes from.
    pub origin: Origin,
    /// Who asked for it.
    pub actor: String,
    /// The batch whose lines were not executed.
    pub again_of: Option<String>,
    /// In ms.
    pub created_at_ms: i64,
    /// Why a person decides: `size` or `drift`.
    pub waits_for: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// In ms.
    pub decided_at_ms: Option<i64>,
    /// Who paused it; `frontdesk` after too many failures.
    pub paused_by: Option<String>,
    /// In ms.
    pub paused_at_ms: Option<i64>,
    /// Why, as a code or in their words.
    pub pause_reason: Option<String>,
    /// Jobs of lines that have not ended.
    pub in_flight: i64,
    /// Who had it undone.
    pub undone_by: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// By name: `lines`, `result/ok`, `fate/applied`, `reason/refused`, `set/priority/urgent`.
    pub counts: Counts,
    /// The same of the last runs of its workflow, added up.
    pub before: Counts,
    /// Its parts at OpenAI, in order.
    pub parts: Vec<Part>,
}

impl Batch {
    /// One of its counts; 0 for what never happened.
    #[must_use]
    pub fn count(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// How much of what can be applied has been dealt with, or put back while it
    /// is being undone, 0 to 100; none when there is nothing to apply.
    #[must_use]
    pub fn percent_done(&self) -> Option<i64> {
        let fate = |fate: Fate| self.count(&format!("fate/{}", fate.word()));
        let back = fate(Fate::Undone) + fate(Fate::Kept);
        let (done, all) = match &self.undone_by {
            Some(_) if self.state == State::Undone => (1, 1),
            Some(_) => (back, back + fate(Fate::Applied)),
            None => (
                back + fate(Fate::Applied) + fate(Fate::Held) + fate(Fate::Skipped) + fate(Fate::Failed),
                self.count("result/ok") + self.count("result/held"),
            ),
        };
        (all > 0).then(|| (done * 100 / all).clamp(0, 100))
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place, from 1.
    pub number: i64,
    /// As in the files; none when it could not be read.
    pub custom_id: Option<String>,
    /// The ticket.
    pub ticket_id: Option<String>,
    /// Where its result was read, as `output:17`.
    pub found: Option<String>,
    /// What OpenAI's files say.
    pub result: LineResult,
    /// What became of it.
    pub fate: Option<Fate>,
    /// A code.
    pub reason: Option<String>,
    /// The resource id of its result, `batch_…/CUSTOM_ID`; none where there is no result.
    pub resource_id: Option<String>,
}

impl Line {
    /// What it came to, in one word: what became of it, or else what the files say.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.fate.map_or(self.result.word(), Fate::word)
    }
}

impl Store {
    /// One batch, by its own id or by one of OpenAI's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batch(&self, id: String) -> Result<Option<Batch>, StoreError> {
        self.look_up(move |connection| {
            let Some(id) = named(connection, &id)? else { return Ok(None) };
            one(connection, &id)
        })
        .await
    }

    /// Batches, newest first; of one state when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batches(&self, state: Option<State>, page: PageRequest) -> Result<Page<Batch>, StoreError> {
        self.read(move |connection| {
            // Two statements, because only a plain comparison walks the index.
            let of_state = if state.is_some() { "state = ?2" } else { "?2 IS NULL" };
            let mut list = connection.prepare_cached(&format!(
                "SELECT id, seq FROM batches WHERE {of_state} AND seq < ?1 ORDER BY seq DESC LIMIT ?3"
            ))?;
            let ids: Vec<(String, i64)> = list
                .query_map((page.before(), state.map(State::word), page.limit_and_one()), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            let (ids, next) = page.cut(ids, |(_, seq)| *seq);
            let items = ids.iter().filter_map(|(id, _)| one(connection, id).transpose()).collect::<Result<_, _>>()?;
            Ok(Page { items, next })
        })
        .await
    }

    /// Lines of a batch in the order of their numbers; of one outcome when given.
    /// The cursor of the page is the last number seen.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batch_lines(
        &self,
        batch_id: String,
        outcome: Option<String>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Line>, StoreError> {
        self.read(move |connection| {
            let of_outcome = if outcome.is_some() { "coalesce(fate, result) = ?3" } else { "?3 IS NULL" };
            let mut list = connection.prepare_cached(&format!(
                "SELECT l.*, (SELECT p.resource_id FROM batch_parts p WHERE p.batch_id = l.batch_id AND p.number = l.part) AS resource_id
                 FROM batch_lines l WHERE batch_id = ?1 AND number > ?2 AND {of_outcome} ORDER BY number LIMIT ?4"
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            list.query_map((&batch_id, after, &outcome, limit), |row| Ok(line(row)))?.map(|row| row?).collect()
        })
        .await
    }
}

impl Store {
    /// Usable lines from all over a batch, at most `limit`, each with its result;
    /// none where that has been erased.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batch_sample(
        &self,
        batch_id: String,
        limit: usize,
    ) -> Result<Vec<(Line, Option<String>)>, StoreError> {
        self.read(move |connection| sample(connection, &batch_id, limit)).await
    }
}

fn sample(connection: &Connection, batch_id: &str, limit: usize) -> Result<Vec<(Line, Option<String>)>, StoreError> {
    let last: i64 = connection
        .prepare_cached("SELECT coalesce(max(number), 0) FROM batch_lines WHERE batch_id = ?1")?
        .query_row([batch_id], |row| row.get(0))?;
    let mut next = connection.prepare_cached(
        "SELECT l.*, p.resource_id, r.raw FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         LEFT JOIN results r ON r.resource_id = p.resource_id || '/' || l.custom_id AND r.project = p.project
         WHERE l.batch_id = ?1 AND l.number > ?2 AND l.result IN ('ok','held') ORDER BY l.number LIMIT 1",
    )?;
    let (mut found, limit) = (Vec::new(), i64::try_from(limit).unwrap_or(i64::MAX).max(1));
    let mut seen = 0;
    for step in 0..limit {
        let after = seen.max(last * step / limit);
        let Some(sampled) = next.query_row((batch_id, after), |row| Ok((line(row), row.get("raw")?))).optional()?
        else {
            break;
        };
        let (line, raw) = (sampled.0?, sampled.1);
        seen = line.number;
        found.push((line, raw));
    }
    Ok(found)
}

/// The batch that an id of ours or of OpenAI's names.
pub(super) fn named(connection: &Connection, id: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT id FROM batches WHERE id = ?1 UNION ALL SELECT batch_id FROM batch_parts WHERE resource_id = ?1
             UNION ALL SELECT batch_id FROM batch_parts WHERE id = ?1 LIMIT 1",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// One batch, by its own id.
pub(super) fn one(connection: &Connection, id: &str) -> Result<Option<Batch>, StoreError> {
    let found = connection
        .prepare_cached("SELECT * FROM batches WHERE id = ?1")?
        .query_row([id], |row| Ok(batch(row)))
        .optional()?;
    let Some(found) = found.transpose()? else { return Ok(None) };
    Ok(Some(Batch {
        counts: counts(connection, id)?,
        before: finish::runs_before(connection, id)?,
        parts: place::parts(connection, id)?,
        ..found
    }))
}

fn batch(row: &Row<'_>) -> Result<Batch, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "batches", column };
    Ok(Batch {
        id: row.get("id")?,
        seq: row.get("seq")?,
        project: row.get("project")?,
        workflow: row.get("workflow")?,
        prompt_version: row.get("prompt_version")?,
        version: row.get("version")?,
        state: State::parse(&row.get::<_, String>("state")?).ok_or(corrupt("state"))?,
        since_ms: row.get("since")?,
        origin: Origin::parse(&row.get::<_, String>("origin")?).ok_or(corrupt("origin"))?,
        actor: row.get("actor")?,
        again_of: row.get("again_of")?,
        created_at_ms: row.get("created_at")?,
        waits_for: row.get("waits_for")?,
        decided_by: row.get("decided_by")?,
        decided_at_ms: row.get("decided_at")?,
        paused_by: row.get("paused_by")?,
        paused_at_ms: row.get("paused_at")?,
        pause_reason: row.get("pause_reason")?,
        in_flight: row.get("in_flight")?,
        undone_by: row.get("undone_by")?,
        error: row.get("error")?,
        counts: Counts::new(),
        before: Counts::new(),
        parts: Vec::new(),
    })
}

fn line(row: &Row<'_>) -> Result<Line, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "batch_lines", column };
    let fate: Option<String> = row.get("fate")?;
    let (result, custom_id) = (row.get::<_, String>("result")?, row.get::<_, Option<String>>("custom_id")?);
    let result = LineResult::parse(&result).ok_or(corrupt("result"))?;
    let resource_id = row.get::<_, Option<String>>("resource_id")?.zip(custom_id.as_deref());
    Ok(Line {
        number: row.get("number")?,
        ticket_id: row.get("ticket_id")?,
        found: row.get("found")?,
        fate: fate.map(|word| Fate::parse(&word).ok_or(corrupt("fate"))).transpose()?,
        reason: row.get("reason")?,
        resource_id: resource_id
            .filter(|_| matches!(result, LineResult::Ok | LineResult::Held))
            .map(|(batch, custom_id)| crate::domain::batch::line_id(&batch, custom_id)),
        custom_id,
        result,
    })
}

/// All counts of a batch.
pub(super) fn counts(connection: &Connection, batch_id: &str) -> Result<Counts, StoreError> {
    let mut list = connection.prepare_cached("SELECT name, count FROM batch_counts WHERE batch_id = ?1")?;
    Ok(list.query_map([batch_id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// What is counted of all batches together, beside each one's own counts.
const OF_ALL: [&str; 13] = [
    "result/ok",
    "result/held",
    "result/failed",
    "result/missing",
    "result/unknown",
    "result/duplicate",
    "result/unreadable",
    "fate/applied",
    "fate/held",
    "fate/skipped",
    "fate/failed",
    "fate/undone",
    "fate/kept",
];

/// Counts something as it happens.
fn count(connection: &Connection, batch_id: &str, name: &str, by: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO batch_counts (batch_id, name, count) VALUES (?1, ?2, ?3)
             ON CONFLICT (batch_id, name) DO UPDATE SET count = batch_counts.count + excluded.count",
        )?
        .execute((batch_id, name, by))?;
    if OF_ALL.contains(&name) {
        super::settle::count(connection, &format!("batch/{name}"), by)?;
    }
    Ok(())
}

/// One count of a batch; 0 for what never happened.
fn counted(connection: &Connection, batch_id: &str, name: &str) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT coalesce((SELECT count FROM batch_counts WHERE batch_id = ?1 AND name = ?2), 0)")?
        .query_row((batch_id, name), |row| row.get(0))?)
}
