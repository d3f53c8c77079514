//! The mark of a file that was moved: `moved/` and where to, with the time.

use super::told_moved;
use crate::store::sql::{Connection, OptionalExtension as _};
use crate::store::{StoreError, marks};

const MOVED: &str = "moved/";
/// `/` and the character after it bound the names.
const PAST_MOVED: &str = "moved0";

/// Refuses a file that was moved: what is written into it is lost.
pub(in crate::store) fn refuse_moved(connection: &Connection) -> Result<(), StoreError> {
    match moved(connection)? {
        Some(told) => Err(StoreError::Open(told)),
        None => Ok(()),
    }
}

/// Where it was moved to and when, in words.
pub(super) fn moved(connection: &Connection) -> Result<Option<String>, StoreError> {
    // A file that has not been brought up to date may have no marks yet.
    if connection.sqlite().is_some() && !has_marks(connection)? {
        return Ok(None);
    }
    let found = connection
        .query_row("SELECT name, value FROM marks WHERE name >= ?1 AND name < ?2", (MOVED, PAST_MOVED), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    Ok(found.map(|(name, at_ms)| told_moved(name.strip_prefix(MOVED).unwrap_or(&name), at_ms)))
}

fn has_marks(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'marks'")?.exists([])?)
}

pub(super) fn set(connection: &Connection, place: &str, at_ms: i64) -> Result<(), StoreError> {
    marks::set(connection, &format!("{MOVED}{place}"), at_ms)
}

/// Takes it off; false when there was none.
pub(super) fn forget(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.execute("DELETE FROM marks WHERE name >= ?1 AND name < ?2", (MOVED, PAST_MOVED))? > 0)
}
