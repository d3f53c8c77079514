//! What goes of a batch, and what it then comes to: change-sets that nobody has
//! decided about in time, lines of a ticket that was erased, and the outputs of
//! what a person has rejected.

use crate::store::sql::{Connection, OptionalExtension};
use serde_json::json;

use super::finish::{BATCH_EXPIRED, set_state};
use super::{count, counted, feed};
use crate::domain::batch::{Fate, State, line_id};
use crate::store::{StoreError, alerts, audit_trail};

/// Why a line is left out whose ticket was erased.
pub(in crate::store) const ERASED: &str = "erased";

/// Why a line is left out that nobody let go on in time.
const EXPIRED: &str = "expired";

/// Lines that one transaction deals with: the front desk waits for it.
const CHUNK: i64 = 500;

/// What a step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Expired {
    /// Outputs that are gone.
    pub(in crate::store) erased: usize,
    /// Batches whose time was over.
    pub(in crate::store) batches: usize,
    /// There is more to do.
    pub(in crate::store) more: bool,
}

/// Ends what has waited since before this time: a change-set is rejected, one
/// that is paused ends where it is, one whose last part was lost has failed.
pub(in crate::store) fn expire(connection: &Connection, before_ms: i64, now_ms: i64) -> Result<Expired, StoreError> {
    let mut done = Expired::default();
    for (sql, state, why) in [
        (WAITING, State::Rejected, "nobody had decided before its content was to be erased"),
        (STUCK, State::Failed, "a part of it had not come back before its content was to be erased"),
    ] {
        for id in ids(connection, sql, before_ms)? {
            set_state(connection, &id, state.word(), None, now_ms)?;
            connection
                .prepare_cached(
                    "UPDATE batches SET version = version + 1, error = ?2, decided_at = ?3,
                            decided_by = CASE WHEN state = 'rejected' THEN 'frontdesk' ELSE decided_by END WHERE id = ?1",
                )?
                .execute((&id, why, now_ms))?;
            tell(connection, &id, why, now_ms)?;
            done.batches += 1;
        }
    }
    if let Some(id) = ids(connection, PAUSED, before_ms)?.first() {
        end_paused(connection, id, now_ms, &mut done)?;
    }
    Ok(done)
}

const WAITING: &str = "SELECT id FROM batches WHERE state = 'waiting' AND since < ?1 ORDER BY seq LIMIT 100";

const PAUSED: &str =
    "SELECT id FROM batches WHERE state = 'applying' AND paused_at < ?1 AND undone_by IS NULL ORDER BY seq LIMIT 1";

/// Nothing that would still bring a part's results back by itself.
const STUCK: &str = "SELECT id FROM batches b WHERE state IN ('submitted','ended') AND since < ?1
   AND NOT EXISTS (SELECT 1 FROM batch_parts p JOIN submissions s ON s.id = p.id
                    WHERE p.batch_id = b.id AND p.read_at IS NULL AND s.state NOT IN ('lost','refused','ended'))
   AND NOT EXISTS (SELECT 1 FROM batch_parts p JOIN jobs j ON j.resource_id = p.resource_id AND j.project = p.project
                    WHERE p.batch_id = b.id AND j.state NOT IN ('processed','failed_final'))
   ORDER BY seq LIMIT 100";

fn ids(connection: &Connection, sql: &str, before_ms: i64) -> Result<Vec<String>, StoreError> {
    let mut list = connection.prepare_cached(sql)?;
    Ok(list.query_map([before_ms], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn tell(connection: &Connection, id: &str, why: &str, now_ms: i64) -> Result<(), StoreError> {
    let lines = counted(connection, id, "result/ok")? + counted(connection, id, "result/held")?;
    audit_trail::add(connection, "frontdesk", "batch.expire", id, &json!({"reason": why, "lines": lines}), now_ms)?;
    alerts::notice(connection, BATCH_EXPIRED, id, &format!("{why}; it had {lines} lines to apply"), now_ms)
}

/// Leaves out what is left of it, a piece at a time, and lets it end.
fn end_paused(connection: &Connection, id: &str, now_ms: i64, done: &mut Expired) -> Result<(), StoreError> {
    let lines = without_fate(connection, id, 0)?;
    let left_out = i64::try_from(lines.len()).unwrap_or(CHUNK);
    for line in &lines {
        connection
            .prepare_cached("UPDATE batch_lines SET fate = 'skipped', reason = ?3 WHERE batch_id = ?1 AND number = ?2")?
            .execute((id, line.number, EXPIRED))?;
        feed::left_out(connection, id, line.number)?;
        done.erased += erase_output(connection, line, now_ms)?;
    }
    count(connection, id, "fate/skipped", left_out)?;
    done.more = left_out == CHUNK;
    if done.more {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE batches SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, version = version + 1 WHERE id = ?1",
        )?
        .execute([id])?;
    alerts::close(connection, feed::BATCH_STOPPED, id, now_ms)?;
    tell(connection, id, "nobody had let it go on before its content was to be erased", now_ms)?;
    done.batches += 1;
    feed::feed(connection, id, now_ms).map(drop)
}

/// A usable line with which nothing has been done.
struct Unused {
    number: i64,
    project: String,
    resource_id: String,
}

fn without_fate(connection: &Connection, batch_id: &str, after: i64) -> Result<Vec<Unused>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT l.number, p.project, p.resource_id, l.custom_id FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         WHERE l.batch_id = ?1 AND l.number > ?2 AND l.result IN ('ok','held') AND l.fate IS NULL ORDER BY l.number LIMIT ?3",
    )?;
    let rows = list.query_map((batch_id, after, CHUNK), |row| {
        let (resource, custom_id): (String, String) = (row.get(2)?, row.get(3)?);
        Ok(Unused { number: row.get(0)?, project: row.get(1)?, resource_id: line_id(&resource, &custom_id) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn erase_output(connection: &Connection, line: &Unused, now_ms: i64) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(
            "UPDATE results SET raw = NULL, erased_at = ?3 WHERE resource_id = ?1 AND project = ?2 AND erased_at IS NULL",
        )?
        .execute((&line.resource_id, &line.project, now_ms))?)
}

/// Where no content is kept: outputs of lines that no job will ever end, because
/// their batch was rejected, or undone before it came to them. A mark says how
/// far each batch has been gone through.
pub(in crate::store) fn erase_unused(
    connection: &Connection,
    projects: &[String],
    now_ms: i64,
) -> Result<Expired, StoreError> {
    if projects.is_empty() {
        return Ok(Expired::default());
    }
    let next: Option<(String, i64)> = connection
        .prepare_cached(
            "SELECT b.id, coalesce(m.value, 0) FROM batches b LEFT JOIN marks m ON m.name = 'erased/batch/' || b.id
             WHERE b.state IN ('rejected','undone') AND b.project IN (SELECT value FROM json_each(?1))
               AND coalesce(m.value, 0) < ?2 ORDER BY b.seq LIMIT 1",
        )?
        .query_row((json!(projects).to_string(), i64::MAX), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, after)) = next else { return Ok(Expired::default()) };
    let lines = without_fate(connection, &id, after)?;
    let mut erased = 0;
    for line in &lines {
        erased += erase_output(connection, line, now_ms)?;
    }
    let is_whole = i64::try_from(lines.len()).unwrap_or(CHUNK) < CHUNK;
    let mark = if is_whole { i64::MAX } else { lines.last().map_or(i64::MAX, |line| line.number) };
    connection
        .prepare_cached(
            "INSERT INTO marks (name, value) VALUES ('erased/batch/' || ?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute((&id, mark))?;
    Ok(Expired { erased, batches: 0, more: true })
}

/// Leaves out the lines of a ticket that have not been applied, because it is
/// being erased. No worker has touched them: the caller has made sure of that.
pub(in crate::store) fn leave_out(connection: &Connection, ticket_id: &str, now_ms: i64) -> Result<usize, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT p.project, p.resource_id, l.custom_id FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         WHERE l.ticket_id = ?1 AND l.result IN ('ok','held') AND (l.fate IS NULL OR l.fate = 'queued')
           AND p.resource_id IS NOT NULL",
    )?;
    let lines: Vec<(String, String, String)> =
        list.query_map([ticket_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
    for (project, resource, custom_id) in &lines {
        let resource_id = line_id(resource, custom_id);
        connection
            .prepare_cached(
                "DELETE FROM jobs WHERE key = 'line/' || ?1 AND project = ?2 AND state = 'queued' AND claims = 0",
            )?
            .execute((&resource_id, project))?;
        feed::line_ended(connection, project, &resource_id, Fate::Skipped, Some(ERASED), now_ms)?;
    }
    Ok(lines.len())
}
