//! What OpenAI did not execute is sent again, once: a batch of its own, begun in
//! the transaction that ends the first one.

use crate::store::sql::{Connection, OptionalExtension};

use super::begin::{NewBatch, begin};
use crate::domain::batch::{Origin, Rules, Select, Wanted};
use crate::domain::id::effect_ref;
use crate::domain::submission::Kind;
use crate::store::StoreError;

/// How long it may take before somebody is told, in ms: OpenAI's window and an hour.
const TIME_MS: i64 = 3_600_000;

/// Begins a batch of the lines that were not executed, or of which no file
/// speaks. Not of a batch that is one itself, and not of another program's: how
/// it asked is not known here, and it may ask again.
pub(super) fn begin_again(
    connection: &Connection,
    batch_id: &str,
    rules: &Rules,
    now_ms: i64,
) -> Result<(), StoreError> {
    if !rules.requeue {
        return Ok(());
    }
    let head: Option<(String, String, String, String)> = connection
        .prepare_cached(
            "SELECT project, workflow, coalesce(prompt_version, ''), actor FROM batches
             WHERE id = ?1 AND origin IN ('person','schedule')",
        )?
        .query_row([batch_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((project, workflow, prompt_version, actor)) = head else { return Ok(()) };
    let tickets = not_executed(connection, batch_id)?;
    if tickets.is_empty() {
        return Ok(());
    }
    let again = NewBatch {
        id: effect_ref(&project, batch_id, "", "again").replacen("fd_", "bat_", 1),
        project,
        workflow,
        prompt_version,
        origin: Origin::Requeue,
        actor,
        wanted: Wanted { select: Select::Tickets(tickets), cap: None, budget_tokens: None },
        again_of: Some(batch_id.to_owned()),
        deadline_ms: now_ms + Kind::Batch.window_ms() + TIME_MS,
    };
    begin(connection, &again, now_ms)
}

/// Of the parts that came back: what OpenAI refused, lost or never got is not sent again.
fn not_executed(connection: &Connection, batch_id: &str) -> Result<Vec<String>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT l.ticket_id FROM batch_lines l JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         WHERE l.batch_id = ?1 AND l.ticket_id IS NOT NULL AND p.status IN ('completed','expired','cancelled')
           AND (l.result = 'missing' OR (l.result = 'failed' AND l.reason = 'not_executed'))
         GROUP BY l.ticket_id ORDER BY min(l.number)",
    )?;
    Ok(list.query_map([batch_id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
