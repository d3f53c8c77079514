//! How the database itself is doing, and the doctor's test delivery.

use super::{Store, StoreError};

/// The event type of the doctor's test. Nobody handles it, and it is put away
/// at once.
pub(super) const TEST_TYPE: &str = "frontdesk.doctor";

/// How the database is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As `wal`.
    pub journal: String,
    /// Whether a commit is on the disk before it is answered.
    pub is_durable: bool,
    /// When a job was claimed last, in ms.
    pub last_claim_ms: Option<i64>,
    /// Jobs whose lease ended at least a minute ago, with nobody taking over.
    pub abandoned: i64,
    /// Jobs whose result OpenAI may have forgotten by now.
    pub forgotten: i64,
}

impl Store {
    /// How the database is doing at `now_ms`.
    ///
    /// # Errors
    /// When it cannot be read, or no write can be made.
    pub async fn facts(&self, now_ms: i64) -> Result<Facts, StoreError> {
        self.ping().await?;
        let synchronous: i64 =
            self.write(|connection| Ok(connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?)).await?;
        self.read(move |connection| {
            let one = |sql: &str| connection.query_row(sql, [now_ms], |row| row.get::<_, i64>(0));
            Ok(Facts {
                journal: connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?,
                is_durable: synchronous >= 2,
                last_claim_ms: connection.query_row("SELECT max(started_at) FROM (SELECT started_at FROM jobs ORDER BY id DESC LIMIT 1000) AS latest", [], |row| row.get(0))?,
                abandoned: one(
                    "SELECT count(*) FROM jobs WHERE state IN ('processing','failed_retryable') AND state = 'processing' AND claimable_at < ?1 - 60000",
                )?,
                forgotten: one(
                    "SELECT count(*) FROM jobs WHERE state = 'queued' AND kind = 'ending' AND forget_at < ?1",
                )?,
            })
        })
        .await
    }

    /// Puts the doctor's test delivery away. None when it is not here; otherwise
    /// how often it has come.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn put_test_away(&self, delivery_id: String, now_ms: i64) -> Result<Option<i64>, StoreError> {
        self.write(move |connection| {
            let mut put_away = connection.prepare_cached(
                "UPDATE deliveries SET dismissed_at = ?2, dismissed_by = 'doctor'
                 WHERE delivery_id = ?1 AND event_type = ?3 AND job_key IS NULL RETURNING copies",
            )?;
            let copies = put_away
                .query_map((&delivery_id, now_ms, TEST_TYPE), |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()?;
            Ok((!copies.is_empty()).then(|| copies.iter().sum()))
        })
        .await
    }
}
