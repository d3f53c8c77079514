//! What a person has given up: a line, an undo, or a part whose end could not be
//! worked. The batch says so, and goes on without it.

use crate::store::sql::{Connection, OptionalExtension};

use super::finish::{conclude, moving, rules_at_hand};
use super::{count, feed};
use crate::domain::batch::Fate;
use crate::store::StoreError;

/// How a part ended that a person has given up.
pub(super) const GIVEN_UP: &str = "given_up";

/// Who gave it up, and why.
pub(in crate::store) struct Said<'a> {
    pub(in crate::store) actor: &'a str,
    pub(in crate::store) reason: &'a str,
}

/// The job of a line was discarded. One that had failed for good has been
/// counted; one that waited for its next attempt is counted now.
pub(in crate::store) fn line_discarded(
    connection: &Connection,
    project: &str,
    resource_id: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    match feed::line_at(connection, project, resource_id)? {
        Some((_, _, Some(fate))) if fate == Fate::Queued.word() => {
            feed::line_ended(connection, project, resource_id, Fate::Failed, Some("discarded"), now_ms).map(drop)
        }
        _ => Ok(()),
    }
}

/// The job that puts a batch back was discarded: what it has put back stays so,
/// and the batch may be acted on again.
pub(in crate::store) fn undo_discarded(
    connection: &Connection,
    batch_id: &str,
    said: &Said<'_>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE batches SET undone_by = NULL, undone_to = 0, version = version + 1, error = ?2
             WHERE id = ?1 AND undone_by IS NOT NULL AND state <> 'undone'",
        )?
        .execute((batch_id, format!("the undo was discarded by {}: {}", said.actor, said.reason)))?;
    Ok(())
}

/// It is to be put back after all.
pub(in crate::store) fn undo_retried(connection: &Connection, batch_id: &str, actor: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE batches SET undone_by = ?2, version = version + 1, error = NULL
             WHERE id = ?1 AND undone_by IS NULL AND state IN ('applying','applied')",
        )?
        .execute((batch_id, actor))?;
    Ok(())
}

/// The job that reads the results of a part was discarded.
pub(in crate::store) fn ending_discarded(
    connection: &Connection,
    project: &str,
    resource_id: &str,
    said: &Said<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let part: Option<String> = connection
        .prepare_cached("SELECT id FROM batch_parts WHERE resource_id = ?1 AND project = ?2")?
        .query_row((resource_id, project), |row| row.get(0))
        .optional()?;
    part.map_or(Ok(()), |part| part_given_up(connection, &part, said, now_ms))
}

/// A part of a batch will not come back: its lines are missing. What the other
/// parts brought is looked at by a person, whatever its size.
pub(in crate::store) fn part_given_up(
    connection: &Connection,
    part_id: &str,
    said: &Said<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let given_up: Option<(String, i64)> = connection
        .prepare_cached(
            "UPDATE batch_parts SET read_at = ?2, status = ?3 WHERE id = ?1 AND read_at IS NULL
               AND EXISTS (SELECT 1 FROM batches b WHERE b.id = batch_parts.batch_id AND b.state IN ('building','submitted','ended'))
             RETURNING batch_id, number",
        )?
        .query_row((part_id, now_ms, GIVEN_UP), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((batch_id, number)) = given_up else { return Ok(()) };
    // While other parts are still being sent, the end of that concludes.
    let error = format!("part {number} was given up by {}: {}", said.actor, said.reason);
    let is_open: bool = connection
        .prepare_cached(
            "UPDATE batches SET error = ?2 WHERE id = ?1
             RETURNING state = 'building' OR EXISTS (SELECT 1 FROM batch_parts p WHERE p.batch_id = ?1 AND p.read_at IS NULL)",
        )?
        .query_row((&batch_id, error), |row| row.get(0))?;
    if !is_open {
        conclude(connection, &batch_id, &rules_at_hand(connection, &batch_id)?, now_ms)?;
    }
    Ok(())
}

/// A part that was given up has come back after all, and nothing has been done
/// with the others yet: it is read like any.
pub(super) fn take_back(connection: &Connection, part_id: &str, now_ms: i64) -> Result<(), StoreError> {
    let taken: Option<(String, i64)> = connection
        .prepare_cached(
            "UPDATE batch_parts SET read_at = NULL, status = NULL WHERE id = ?1 AND status = ?2
               AND EXISTS (SELECT 1 FROM batches b WHERE b.id = batch_parts.batch_id AND b.state IN ('submitted','ended','waiting','failed'))
             RETURNING batch_id, number",
        )?
        .query_row((part_id, GIVEN_UP), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((batch_id, number)) = taken else { return Ok(()) };
    let awaited = connection
        .prepare_cached(
            "UPDATE batch_lines SET result = 'awaited', reason = NULL WHERE batch_id = ?1 AND part = ?2 AND result = 'missing'",
        )?
        .execute((&batch_id, number))?;
    let awaited = i64::try_from(awaited).unwrap_or(0);
    if awaited > 0 {
        count(connection, &batch_id, "result/missing", -awaited)?;
        count(connection, &batch_id, "reason/in_no_file", -awaited)?;
        count(connection, &batch_id, "result/awaited", awaited)?;
    }
    moving(connection, &batch_id, || {
        connection
            .prepare_cached(
                "UPDATE batches SET state = 'submitted', since = ?2, error = NULL, version = version + 1 WHERE id = ?1",
            )?
            .execute((&batch_id, now_ms))?;
        Ok(())
    })
}
