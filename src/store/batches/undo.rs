//! Puts back what a batch has changed, the last line first, in small transactions:
//! the cursor moves with what was put back, so that a crash goes on where it
//! stopped.

use crate::store::sql::{Connection, OptionalExtension, params};

use super::finish::set_state;
use super::{Batch, count, feed};
use crate::domain::batch::{Fate, line_id};
use crate::domain::job::Outcome;
use crate::store::desk::{self, Back, Left};
use crate::store::{Store, StoreError, alerts, deciding, effects, newest, settle, starts};

/// Why a line of an undone batch comes to nothing.
pub const BATCH_UNDONE: &str = "the batch was undone";

/// Lines that one transaction puts back.
const LINES_AT_ONCE: i64 = 100;

/// Lines are counted from 1, and an undo goes down.
const NOT_BEGUN: i64 = 0;

/// How far an undo has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Workers are at some of its lines just now; it has to wait for them.
    Waits,
    /// There is more to put back.
    More,
    /// Everything that could be put back has been.
    Done,
}

impl Store {
    /// Puts back the next lines of a batch that is being undone.
    ///
    /// # Errors
    /// When the transaction could not be committed; it can be asked again.
    pub async fn undo_some(&self, batch_id: String, now_ms: i64) -> Result<Undone, StoreError> {
        self.write(move |connection| undo_some(connection, &batch_id, now_ms)).await
    }
}

/// A person asked for it: one job does it. People wait for it, so it goes before
/// the backlog.
pub(super) fn begin(connection: &Connection, batch: &Batch, by: &str, now_ms: i64) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE batches SET undone_by = ?2 WHERE id = ?1")?.execute((&batch.id, by))?;
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at, workflow)
             VALUES (?1, 'undo/' || ?2, 'undo', 'batch.undo', ?2, 'queued', ?3, ?3, ?3, ?3, ?4)
             -- One that was discarded is begun anew.
             ON CONFLICT (key, project) DO UPDATE SET state = 'queued', since = ?3, claimable_at = ?3, attempts = 0, outcome = NULL, reason = NULL",
        )?
        .execute((&batch.project, &batch.id, now_ms, &batch.workflow))?;
    alerts::close(connection, feed::BATCH_STOPPED, &batch.id, now_ms).map(drop)
}

fn undo_some(connection: &Connection, id: &str, now_ms: i64) -> Result<Undone, StoreError> {
    let standing: Option<(String, i64)> = connection
        .prepare_cached(
            "SELECT project, undone_to FROM batches WHERE id = ?1 AND undone_by IS NOT NULL AND state <> 'undone'",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((project, undone_to)) = standing else { return Ok(Undone::Done) };
    // Once it has begun nothing moves any more: a line that is tried again ends at once.
    if undone_to == NOT_BEGUN && !call_off(connection, &project, id, now_ms)? {
        return Ok(Undone::Waits);
    }
    let lines = next_lines(connection, id, if undone_to == NOT_BEGUN { i64::MAX } else { undone_to })?;
    let Some(last) = lines.last() else {
        connection
            .prepare_cached("UPDATE batches SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE id = ?1")?
            .execute([id])?;
        set_state(connection, id, "undone", None, now_ms)?;
        return Ok(Undone::Done);
    };
    for line in &lines {
        put_back(connection, &project, id, line, now_ms)?;
    }
    connection.prepare_cached("UPDATE batches SET undone_to = ?2 WHERE id = ?1")?.execute((id, last.number))?;
    Ok(Undone::More)
}

/// Ends the jobs of lines that no worker is at: those that were under way, and
/// those that a person has tried again. False while a worker is at one.
fn call_off(connection: &Connection, project: &str, id: &str, now_ms: i64) -> Result<bool, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT j.id, j.resource_id, j.state = 'processing' FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         JOIN jobs j ON j.key = 'line/' || p.resource_id || '/' || l.custom_id AND j.project = p.project
         WHERE l.batch_id = ?1 AND coalesce(l.fate, l.result) IN ('queued','failed') AND l.fate IS NOT NULL
           AND j.state NOT IN ('processed','failed_final')",
    )?;
    let moving: Vec<(i64, String, bool)> =
        list.query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    for (job, resource_id, _) in moving.iter().filter(|(.., is_at_work)| !is_at_work) {
        connection
            .prepare_cached(
                "UPDATE jobs SET state = 'processed', since = ?2, claimable_at = NULL, outcome = ?3, reason = ?4 WHERE id = ?1",
            )?
            .execute(params![job, now_ms, Outcome::Ignored.word(), BATCH_UNDONE])?;
        settle::count(connection, Outcome::Ignored.word(), 1)?;
        effects::withdraw(connection, project, resource_id, *job)?;
        feed::line_ended(connection, project, resource_id, Fate::Skipped, Some("batch_undone"), now_ms)?;
    }
    Ok(moving.iter().all(|(.., is_at_work)| !is_at_work))
}

struct Line {
    number: i64,
    fate: String,
    resource_id: String,
}

fn next_lines(connection: &Connection, id: &str, before: i64) -> Result<Vec<Line>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT l.number, l.fate, p.resource_id, l.custom_id FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         WHERE l.batch_id = ?1 AND l.number < ?2 AND l.fate IN ('applied','held') ORDER BY l.number DESC LIMIT ?3",
    )?;
    let rows = list.query_map((id, before, LINES_AT_ONCE), |row| {
        let (resource, custom_id): (String, String) = (row.get(2)?, row.get(3)?);
        Ok(Line { number: row.get(0)?, fate: row.get(1)?, resource_id: line_id(&resource, &custom_id) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn put_back(connection: &Connection, project: &str, id: &str, line: &Line, now_ms: i64) -> Result<(), StoreError> {
    if line.fate == Fate::Held.word() {
        return ask_nobody(connection, project, &line.resource_id, now_ms);
    }
    let mut whole = Back::default();
    for effect in effects_of(connection, project, &line.resource_id)? {
        let back = match (effect.slot.as_str(), &effect.external_id) {
            ("start", Some(submission)) if starts::withdraw(connection, submission, BATCH_UNDONE, now_ms)? => Back::ALL,
            ("start", _) => Back::left(Left::FollowUpStarted),
            (slot, _) => desk::put_back(connection, &effect.ticket_id, slot, &effect.reference, now_ms)?,
        };
        connection
            .prepare_cached("UPDATE effects SET undone_at = ?2 WHERE ref = ?1")?
            .execute((&effect.reference, now_ms))?;
        whole = whole.and(back);
    }
    let fate = if whole.left.is_some() { Fate::Kept } else { Fate::Undone };
    connection
        .prepare_cached(
            "UPDATE batch_lines SET fate = ?3, reason = coalesce(?4, reason) WHERE batch_id = ?1 AND number = ?2",
        )?
        .execute((id, line.number, fate.word(), whole.reason()))?;
    newest::step_back(connection, project, &line.resource_id)?;
    count(connection, id, "fate/applied", -1)?;
    count(connection, id, &format!("fate/{}", fate.word()), 1)
}

/// A review that waits for somebody is about a change that nobody wants any
/// more. What was decided stays: that was a person.
fn ask_nobody(connection: &Connection, project: &str, resource_id: &str, now_ms: i64) -> Result<(), StoreError> {
    let open: Option<String> = connection
        .prepare_cached(
            "SELECT id FROM reviews WHERE resource_id = ?1 AND project = ?2 AND state IN ('open','claimed')",
        )?
        .query_row((resource_id, project), |row| row.get(0))
        .optional()?;
    let Some(review) = open else { return Ok(()) };
    deciding::go_stale(connection, &review, BATCH_UNDONE, now_ms)?;
    newest::step_back(connection, project, resource_id)
}

struct Written {
    reference: String,
    ticket_id: String,
    slot: String,
    external_id: Option<String>,
}

fn effects_of(connection: &Connection, project: &str, resource_id: &str) -> Result<Vec<Written>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT ref, ticket_id, slot, external_id FROM effects
         WHERE project = ?1 AND resource_id = ?2 AND state = 'applied' AND undone_at IS NULL ORDER BY id DESC",
    )?;
    let rows = list.query_map((project, resource_id), |row| {
        Ok(Written { reference: row.get(0)?, ticket_id: row.get(1)?, slot: row.get(2)?, external_id: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
