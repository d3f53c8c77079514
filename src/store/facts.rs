//! How the database itself is doing, and the doctor's test delivery.

use super::sql::{Company, Connection};
use super::{COUNTED, Store, StoreError};

/// The event type of the doctor's test. Nobody handles it, and it is put away
/// at once.
pub(super) const TEST_TYPE: &str = "frontdesk.doctor";

/// How the database is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Why a commit is not on the disk before it is answered, when it is not.
    pub not_durable: Option<String>,
    /// When a job was claimed last, in ms.
    pub last_claim_ms: Option<i64>,
    /// Jobs whose lease ended at least a minute ago, with nobody taking over.
    pub abandoned: i64,
    /// Jobs whose result OpenAI may have forgotten by now.
    pub forgotten: i64,
}

fn not_durable(connection: &Connection) -> Result<Option<String>, StoreError> {
    let is_file = connection.sqlite().is_some();
    // A standby may be named in synchronous_commit; `off` is what waits for no disk.
    let wanted: &[(&str, &[&str])] = if is_file {
        &[("PRAGMA journal_mode", &["wal"]), ("PRAGMA synchronous", &["2", "3"])]
    } else {
        &[
            ("SHOW fsync", &["on"]),
            ("SHOW full_page_writes", &["on"]),
            ("SHOW synchronous_commit", &["on", "remote_apply", "remote_write", "local"]),
        ]
    };
    for (question, good) in wanted {
        let found = connection.query_row(question, [], |row| {
            row.get::<_, String>(0).or_else(|_| row.get::<_, i64>(0).map(|number| number.to_string()))
        })?;
        if !good.contains(&found.as_str()) {
            let name = question.rsplit(' ').next().unwrap_or(question);
            return Ok(Some(format!("{name} is {found}")));
        }
    }
    Ok(None)
}

impl Store {
    /// How the database is doing at `now_ms`.
    ///
    /// # Errors
    /// When it cannot be read, or no write can be made.
    pub async fn facts(&self, now_ms: i64) -> Result<Facts, StoreError> {
        self.ping().await?;
        let not_durable = self.writer.run(Company::Anybody, not_durable).await?;
        self.read(move |connection| {
            let one = |sql: &str| connection.query_row(sql, [now_ms, COUNTED], |row| row.get::<_, i64>(0));
            Ok(Facts {
                not_durable: not_durable.clone(),
                last_claim_ms: connection.query_row(
                    "SELECT max(started_at) FROM (SELECT started_at FROM jobs ORDER BY id DESC LIMIT 1000) AS latest",
                    [],
                    |row| row.get(0),
                )?,
                abandoned: one("SELECT count(*) FROM (SELECT state, claimable_at FROM jobs INDEXED BY jobs_due
                       WHERE state IN ('processing','failed_retryable') ORDER BY project, claimable_at LIMIT ?2) AS due
                     WHERE state = 'processing' AND claimable_at < ?1 - 60000")?,
                forgotten: one("SELECT count(*) FROM (SELECT kind, forget_at FROM jobs INDEXED BY jobs_queued
                       WHERE state = 'queued' ORDER BY project, forget_at, id LIMIT ?2) AS soonest
                     WHERE kind = 'ending' AND forget_at < ?1")?,
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
