//! Policies that have decided, and what they decided.

use crate::store::sql::{Connection, params};

use super::page::stretch;
use super::{Store, StoreError};

/// A policy as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPolicy {
    /// Its number.
    pub version: i64,
    /// Of its text, in hex.
    pub sha256: String,
    /// The file.
    pub text: String,
}

/// A decision of the past whose result is still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastDecision {
    /// The job that decided.
    pub job_id: i64,
    /// What it was about.
    pub resource_id: String,
    /// The ticket.
    pub ticket_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// `applied` or `held`.
    pub outcome: String,
    /// Why it was held.
    pub reason: Option<String>,
    /// When, in ms.
    pub at_ms: i64,
    /// The policy that decided.
    pub policy_version: Option<i64>,
    /// The result as OpenAI sent it.
    pub raw: String,
}

impl Store {
    /// Keeps the policy that is about to decide, once. False when another text
    /// has been used under this version before; with `may_differ` it is kept
    /// all the same.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn use_policy(&self, policy: UsedPolicy, may_differ: bool, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let others: i64 = connection.query_row(
                "SELECT count(*) FROM policies WHERE version = ?1 AND sha256 <> ?2",
                (policy.version, &policy.sha256),
                |row| row.get(0),
            )?;
            if others > 0 && !may_differ {
                return Ok(false);
            }
            connection.execute(
                "INSERT INTO policies (version, sha256, text, first_used_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![policy.version, policy.sha256, policy.text, now_ms],
            )?;
            Ok(true)
        })
        .await
    }

    /// Results that were applied or held since `since_ms` and are still kept,
    /// the last queued first. It looks back, in short reads, until enough are found
    /// or for a long stretch there was none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn past_decisions(&self, since_ms: i64, limit: usize) -> Result<Vec<PastDecision>, StoreError> {
        let (mut found, mut before, mut without) = (Vec::new(), i64::MAX, 0);
        while found.len() < limit && before > 1 && without < WITHOUT {
            let left = limit - found.len();
            let (more, end) = self.read(move |connection| decided(connection, since_ms, before, left)).await?;
            without = if more.is_empty() { without + 1 } else { 0 };
            found.extend(more);
            before = end;
        }
        Ok(found)
    }
}

/// So many stretches in a row without a decision that is kept are the end.
const WITHOUT: usize = 20;

/// The decisions of one stretch of jobs, and where the next one ends.
fn decided(
    connection: &Connection,
    since_ms: i64,
    before: i64,
    limit: usize,
) -> Result<(Vec<PastDecision>, i64), StoreError> {
    let end = stretch(connection, "SELECT max(id) FROM jobs", before)?;
    let mut list = connection.prepare_cached(
        "SELECT j.id, j.resource_id, j.ticket_id, j.workflow, j.outcome, j.reason, j.since, j.policy_version, r.raw
         FROM jobs j JOIN results r ON r.resource_id = j.resource_id AND r.project = j.project
         WHERE j.id < ?1 AND j.id >= ?2 AND j.kind = 'ending' AND j.outcome IN ('applied','held') AND j.since >= ?3
               AND r.raw IS NOT NULL AND j.ticket_id IS NOT NULL AND j.workflow IS NOT NULL AND j.event_type LIKE 'response.%'
         ORDER BY j.id DESC LIMIT ?4",
    )?;
    let rows = list.query_map((before, end, since_ms, i64::try_from(limit).unwrap_or(i64::MAX)), |row| {
        Ok(PastDecision {
            job_id: row.get(0)?,
            resource_id: row.get(1)?,
            ticket_id: row.get(2)?,
            workflow: row.get(3)?,
            outcome: row.get(4)?,
            reason: row.get(5)?,
            at_ms: row.get(6)?,
            policy_version: row.get(7)?,
            raw: row.get(8)?,
        })
    })?;
    Ok((rows.collect::<Result<_, _>>()?, end))
}
