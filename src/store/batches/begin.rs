//! A batch that is wanted: one row and the job that builds it, in one
//! transaction. What comes after can stop anywhere and be taken up again.

use crate::store::sql::{Connection, params};
use serde_json::json;

use super::finish::moving;
use crate::domain::batch::{Origin, Wanted};
use crate::store::row::{next_seq, to_json};
use crate::store::{Store, StoreError, audit_trail};

/// A batch that is wanted.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// `bat_…`
    pub id: String,
    /// The OpenAI project.
    pub project: String,
    /// The workflow's name.
    pub workflow: String,
    /// Which prompt.
    pub prompt_version: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who asked.
    pub actor: String,
    /// Which tickets, and how many at most.
    pub wanted: Wanted,
    /// The batch whose lines OpenAI did not execute.
    pub again_of: Option<String>,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
}

impl Store {
    /// Writes down that a batch is wanted. A worker builds it.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing is wanted then.
    pub async fn begin_batch(&self, new: NewBatch, now_ms: i64) -> Result<(), StoreError> {
        self.write(move |connection| begin(connection, &new, now_ms)).await?;
        self.ring();
        Ok(())
    }
}

/// Writes the batch and the job that builds it. An id that is there is left alone.
pub(in crate::store) fn begin(connection: &Connection, new: &NewBatch, now_ms: i64) -> Result<(), StoreError> {
    let made = moving(connection, &new.id, || {
        Ok(connection
        .prepare_cached(
            "INSERT INTO batches (id, seq, project, workflow, prompt_version, state, since, origin, actor, wanted, again_of, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'building', ?6, ?7, ?8, ?9, ?10, ?6) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            new.id,
            next_seq(connection, "batches")?,
            new.project,
            new.workflow,
            new.prompt_version,
            now_ms,
            new.origin.word(),
            new.actor,
            to_json(&new.wanted)?,
            new.again_of,
        ])?)
    })?;
    if made == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at, workflow)
             VALUES (?1, 'build/' || ?2, 'build', 'batch.planned', ?2, 'queued', ?3, ?3, ?3, ?4, ?5)",
        )?
        .execute((&new.project, &new.id, now_ms, new.deadline_ms, &new.workflow))?;
    let detail = json!({"workflow": new.workflow, "origin": new.origin.word()});
    audit_trail::add(connection, &new.actor, "batch.submit", &new.id, &detail, now_ms)
}
