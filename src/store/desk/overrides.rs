//! A person changes what a classification has set.

use serde_json::Value;

use crate::store::sql::{Connection, OptionalExtension};
use crate::store::{StoreError, row, samples};

/// So many of the last routes of a ticket are looked through for the one that has set its intent.
const ROUTES: i64 = 20;

/// Counts, before it happens, that a person gives a ticket another intent than the
/// one that a result has set: under the name of the one that was wrong.
pub(super) fn measure(connection: &Connection, ticket_id: &str, intent: Option<&str>) -> Result<(), StoreError> {
    let Some(wanted) = intent else { return Ok(()) };
    let there: Option<Option<String>> = connection
        .prepare_cached("SELECT intent FROM tickets WHERE id = ?1")?
        .query_row([ticket_id], |row| row.get(0))
        .optional()?;
    let Some(there) = there.flatten().filter(|there| there != wanted) else { return Ok(()) };
    if last_set(connection, ticket_id)?.as_ref() == Some(&there) {
        samples::measure_override(connection, &there)?;
    }
    Ok(())
}

/// The intent that a result has set last; none when none did, or it was erased or put back.
fn last_set(connection: &Connection, ticket_id: &str) -> Result<Option<String>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT c.before, c.after FROM effects e JOIN desk_changes c ON c.ref = e.ref
         WHERE e.ticket_id = ?1 AND e.slot = 'route' AND c.undone_at IS NULL ORDER BY c.seq DESC LIMIT ?2",
    )?;
    let routes = list
        .query_map((ticket_id, ROUTES), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    for (before, after) in routes {
        let before: Value = row::json(&before, "desk_changes", "before")?;
        let after: Value = row::json(&after, "desk_changes", "after")?;
        if before["intent"] != after["intent"] {
            return Ok(after["intent"].as_str().map(str::to_owned));
        }
    }
    Ok(None)
}
