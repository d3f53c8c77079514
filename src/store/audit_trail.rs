//! The audit trail: who did what. Rows are only ever added; triggers refuse the rest.

use crate::store::sql::Connection;
use serde_json::Value;

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
            let mut list = connection.prepare_cached(
                "SELECT seq, at, actor, action, subject, detail FROM audit_trail
                 WHERE seq < ?1 AND (?2 IS NULL OR subject = ?2) AND (?3 IS NULL OR actor = ?3) ORDER BY seq DESC LIMIT ?4",
            )?;
            let rows = list.query_map((page.before(), &subject, &actor, page.limit_and_one()), |row| {
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
            let (items, next) = page.cut(rows.collect::<Result<_, _>>()?, |entry| entry.seq);
            Ok(Page { items, next })
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
