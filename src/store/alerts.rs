//! Conditions that a person must hear of: opened once, however often they are
//! met, and closed when they are over.

use rusqlite::Connection;

use super::{Store, StoreError};

/// An open alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// A cause, as `openai_auth`.
    pub kind: String,
    /// What it is about, as a project.
    pub subject: String,
    /// One line in our words.
    pub detail: String,
    /// When it was opened, in ms.
    pub opened_at_ms: i64,
    /// When it was last met, in ms.
    pub last_at_ms: i64,
    /// How often it was met.
    pub times: i64,
}

impl Store {
    /// Raises an alert. True when it was not open before: then, and only then,
    /// somebody is told.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn raise_alert(
        &self,
        kind: &'static str,
        subject: String,
        detail: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| raise(connection, kind, &subject, &detail, now_ms)).await
    }

    /// Closes an alert. True when it was open.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn close_alert(&self, kind: &'static str, subject: String, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let closed = connection.execute(
                "UPDATE alerts SET closed_at = ?3 WHERE kind = ?1 AND subject = ?2 AND closed_at IS NULL",
                (kind, &subject, now_ms),
            )?;
            Ok(closed == 1)
        })
        .await
    }

    /// All open alerts, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.read(|connection| {
            let mut list = connection.prepare_cached(
                "SELECT kind, subject, detail, opened_at, last_at, times FROM alerts WHERE closed_at IS NULL ORDER BY last_at DESC LIMIT 100",
            )?;
            let alerts = list.query_map([], |row| {
                Ok(Alert {
                    kind: row.get(0)?,
                    subject: row.get(1)?,
                    detail: row.get(2)?,
                    opened_at_ms: row.get(3)?,
                    last_at_ms: row.get(4)?,
                    times: row.get(5)?,
                })
            })?;
            Ok(alerts.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Writes down something to be told once.
pub(super) fn notice(
    connection: &Connection,
    kind: &str,
    subject: &str,
    detail: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO alerts (kind, subject, detail, opened_at, last_at, closed_at, notice) VALUES (?1, ?2, ?3, ?4, ?4, ?4, 1)",
        )?
        .execute((kind, subject, detail, now_ms))?;
    Ok(())
}

pub(super) fn raise(
    connection: &Connection,
    kind: &str,
    subject: &str,
    detail: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let times: i64 = connection
        .prepare_cached(
            "INSERT INTO alerts (kind, subject, detail, opened_at, last_at) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (kind, subject) WHERE closed_at IS NULL
             DO UPDATE SET times = times + 1, last_at = excluded.last_at, detail = excluded.detail
             RETURNING times",
        )?
        .query_row((kind, subject, detail, now_ms), |row| row.get(0))?;
    Ok(times == 1)
}

/// Closes the alert that a failed job raised, when no other failed job of its
/// project waits for a person for the same cause.
pub(super) fn close_if_last(connection: &Connection, job_id: i64, now_ms: i64) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE alerts SET closed_at = ?2
         FROM (SELECT project, error_cause FROM jobs WHERE id = ?1) AS this
         WHERE alerts.closed_at IS NULL AND alerts.kind = this.error_cause AND alerts.subject = this.project
           AND alerts.kind NOT IN ('openai_auth', 'openai_quota')
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'failed_final' AND outcome IS NULL
                             AND jobs.project = this.project AND jobs.error_cause = this.error_cause)",
        (job_id, now_ms),
    )?;
    Ok(())
}
