//! The audit trail: who did what. Rows are only ever added; triggers refuse the rest.

use crate::store::sql::Connection;
use serde_json::Value;

use super::page::end_of_walk;
use super::{Page, PageRequest, Store, StoreError};

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place in the order.
    pub seq: i64,
    /// In ms.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What, as `review.approve`.
    pub action: String,
    /// To which thing, by id.
    pub subject: String,
    /// Codes, ids and counts; never content.
    pub detail: Value,
}

const OF_SUBJECT: &str = "SELECT seq FROM audit_trail INDEXED BY audit_trail_subject
    WHERE subject = ?2 AND seq < ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?3";

impl Store {
    /// The trail, newest first; of one subject or actor when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_trail(
        &self,
        subject: Option<String>,
        actor: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Entry>, StoreError> {
        self.read(move |connection| {
            // Only a plain comparison walks an index.
            let (index, of_subject, of_actor) = match (&subject, &actor) {
                (None, None) => ("", "?2 IS NULL", "?3 IS NULL"),
                (None, Some(_)) => ("INDEXED BY audit_trail_actor", "?2 IS NULL", "actor = ?3"),
                (Some(_), None) => ("INDEXED BY audit_trail_subject", "subject = ?2", "?3 IS NULL"),
                (Some(_), Some(_)) => ("INDEXED BY audit_trail_subject", "subject = ?2", "actor = ?3"),
            };
            let end = match (&subject, &actor) {
                (Some(subject), Some(_)) => end_of_walk(connection, OF_SUBJECT, page.before(), Some(subject))?,
                _ => 1,
            };
            let mut list = connection.prepare_cached(&format!(
                "SELECT seq, at, actor, action, subject, detail FROM audit_trail {index}
                 WHERE seq < ?1 AND seq >= ?5 AND {of_subject} AND {of_actor} ORDER BY seq DESC LIMIT ?4"
            ))?;
            let rows = list.query_map((page.before(), &subject, &actor, page.limit_and_one(), end), |row| {
                let detail: String = row.get(5)?;
                Ok(Entry {
                    seq: row.get(0)?,
                    at_ms: row.get(1)?,
                    actor: row.get(2)?,
                    action: row.get(3)?,
                    subject: row.get(4)?,
                    detail: serde_json::from_str(&detail).unwrap_or_default(),
                })
            })?;
            Ok(page.of_stretch(rows.collect::<Result<_, _>>()?, end, |entry| entry.seq))
        })
        .await
    }

    /// Writes down what somebody did that changes no other row of ours.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn note_action(
        &self,
        actor: String,
        action: &'static str,
        subject: String,
        detail: Value,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(move |connection| add(connection, &actor, action, &subject, &detail, now_ms)).await
    }
}

/// Adds an entry in the transaction of what it tells of, and numbers it.
pub(super) fn add_numbered(
    connection: &Connection,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &Value,
    now_ms: i64,
) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached(
            "INSERT INTO audit_trail (at, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq",
        )?
        .query_row((now_ms, actor, action, subject, detail.to_string()), |row| row.get(0))?)
}

/// Adds an entry in the transaction of what it tells of.
pub(super) fn add(
    connection: &Connection,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &Value,
    now_ms: i64,
) -> Result<(), StoreError> {
    add_numbered(connection, actor, action, subject, detail, now_ms).map(drop)
}
