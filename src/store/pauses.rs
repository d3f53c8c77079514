//! What a person has paused: a workflow, or a dependency that all work needs.

use crate::store::sql::Connection;
use serde_json::json;

use super::{Store, StoreError, audit_trail};

/// What can be paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pausable {
    /// Results of one workflow, and new work of it.
    Workflow(String),
    /// Calls to OpenAI.
    OpenAi,
    /// Changes to tickets. Results are still fetched and kept.
    Helpdesk,
}

impl Pausable {
    /// `workflow` or `dependency`, and the name.
    #[must_use]
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Pausable::Workflow(name) => ("workflow", name),
            Pausable::OpenAi => ("dependency", "openai"),
            Pausable::Helpdesk => ("dependency", "helpdesk"),
        }
    }

    /// What these words name.
    #[must_use]
    pub fn parse(kind: &str, name: &str) -> Option<Pausable> {
        match (kind, name) {
            ("workflow", name) if !name.is_empty() => Some(Pausable::Workflow(name.to_owned())),
            ("dependency", "openai") => Some(Pausable::OpenAi),
            ("dependency", "helpdesk") => Some(Pausable::Helpdesk),
            _ => None,
        }
    }
}

/// One pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What is paused.
    pub what: Pausable,
    /// Who paused it.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// Since when, in ms.
    pub since_ms: i64,
}

impl Store {
    /// All pauses.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.look_up(|connection| {
            let mut list =
                connection.prepare_cached("SELECT kind, name, actor, reason, since FROM pauses ORDER BY kind, name")?;
            let rows = list.query_map([], |row| {
                let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
                Ok((kind, name, row.get(2)?, row.get(3)?, row.get(4)?))
            })?;
            rows.map(|row| {
                let (kind, name, actor, reason, since_ms) = row?;
                let what =
                    Pausable::parse(&kind, &name).ok_or(StoreError::Corrupt { table: "pauses", column: "name" })?;
                Ok(Pause { what, actor, reason, since_ms })
            })
            .collect()
        })
        .await
    }

    /// Pauses something. False when it is paused already.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn pause(&self, what: Pausable, actor: String, reason: String, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let (kind, name) = what.words();
            let made = connection.execute(
                "INSERT INTO pauses (kind, name, actor, reason, since) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                (kind, name, &actor, &reason, now_ms),
            )?;
            if made == 1 {
                audit_trail::add(connection, &actor, "pause", &format!("{kind}/{name}"), &json!({"reason": reason}), now_ms)?;
            }
            Ok(made == 1)
        })
        .await
    }

    /// Ends a pause; what waited for it goes on at once. False when it is not paused.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn resume(&self, what: Pausable, actor: String, now_ms: i64) -> Result<bool, StoreError> {
        let resumed = self
            .write(move |connection| {
                let (kind, name) = what.words();
                let gone = connection.execute("DELETE FROM pauses WHERE kind = ?1 AND name = ?2", (kind, name))?;
                if gone == 1 {
                    release(connection, now_ms)?;
                    audit_trail::add(connection, &actor, "resume", &format!("{kind}/{name}"), &json!({}), now_ms)?;
                }
                Ok(gone == 1)
            })
            .await?;
        self.ring();
        Ok(resumed)
    }
}

/// Whether a pause stops this job still. One that ended while the attempt was
/// under way released what was waiting then, and nobody will release it again.
pub(super) fn stop(connection: &Connection, job: i64, workflow: Option<&str>) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pauses
                            WHERE kind = 'dependency' OR name = coalesce(?2, (SELECT workflow FROM jobs WHERE id = ?1)))",
        )?
        .query_row((job, workflow), |row| row.get(0))?)
}

/// What still waits for another pause goes back to waiting by itself.
fn release(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE jobs SET claimable_at = ?1
         WHERE state IN ('processing','failed_retryable') AND state = 'failed_retryable' AND error_cause = 'paused' AND claimable_at > ?1",
        [now_ms],
    )?;
    Ok(())
}
