//! Small readers of columns that hold more than a number or a text.

use crate::store::sql::Connection;
use serde::de::DeserializeOwned;

use super::StoreError;

/// Reads a JSON column, or says which one cannot be read.
pub(super) fn json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { table, column })
}

/// Writes a value as JSON text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|_| StoreError::Sqlite { code: -1, text: "a value could not be written as JSON".to_owned() })
}

/// Runs an update that must hit exactly one row.
pub(super) fn hit_one(changed: usize, what: &'static str) -> Result<(), StoreError> {
    if changed == 1 { Ok(()) } else { Err(StoreError::Missing(what)) }
}

/// The next number of a table's own order.
pub(super) fn next_seq(connection: &Connection, table: &'static str) -> Result<i64, StoreError> {
    if connection.sqlite().is_none() {
        // Two at the same time get different ones, and one that is given up leaves a gap.
        let next = "SELECT nextval(pg_get_serial_sequence(?1, 'seq'))";
        return Ok(connection.prepare_cached(next)?.query_row([table], |row| row.get(0))?);
    }
    let sql = match table {
        "tickets" => "SELECT coalesce(max(seq), 0) + 1 FROM tickets",
        "batches" => "SELECT coalesce(max(seq), 0) + 1 FROM batches",
        _ => "SELECT coalesce(max(seq), 0) + 1 FROM reviews",
    };
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
