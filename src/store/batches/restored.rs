//! Parts that OpenAI may have had since before the database was restored.

use crate::store::sql::{Connection, OptionalExtension as _};
use crate::store::{StoreError, restored};

/// When a part that was forgotten in a restore may have been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeforeRestore {
    /// No earlier than this, in ms.
    pub since_ms: i64,
    /// No later than this, in ms.
    pub last_ms: i64,
}

/// A batch that a schedule begins late has the id that it would have had in time.
pub(super) fn before_restore(
    connection: &Connection,
    batch_id: &str,
    created_at_ms: i64,
) -> Result<Option<BeforeRestore>, StoreError> {
    let due_ms: Option<i64> = connection
        .prepare_cached("SELECT last_at FROM batch_schedules WHERE last_batch = ?1")?
        .query_row([batch_id], |row| row.get(0))
        .optional()?
        .flatten();
    let since_ms = due_ms.map_or(created_at_ms, |due_ms| due_ms.min(created_at_ms));
    let restored = restored::standing(connection)?.filter(|restored| since_ms < restored.at_ms);
    Ok(restored.map(|restored| BeforeRestore { since_ms, last_ms: restored.at_ms }))
}
