//! Numbers under names: how far somebody has read, when something was last done.

use super::StoreError;
use super::sql::{Connection, OptionalExtension as _};

/// The number under a name; 0 when there is none.
pub(super) fn get(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let value = connection
        .prepare_cached("SELECT value FROM marks WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

/// Writes it down.
pub(super) fn set(connection: &Connection, name: &str, value: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute((name, value))?;
    Ok(())
}
