//! Building a batch: its lines in chunks, and for each part the rows before the
//! calls. Everything is written under the claim of the job that builds it:
//! whoever has lost that changes nothing more.

use crate::store::sql::{Connection, OptionalExtension, Subject, params};
use serde_json::json;

use super::finish::{conclude, keep_pace, moving, rules_at_hand, set_state};
use super::restored::{BeforeRestore, before_restore};
use super::{count, counts, place};
use crate::domain::batch::{Rules, Wanted};
use crate::domain::id::effect_ref;
use crate::store::row;
use crate::store::{ClaimedJob, Store, StoreError, audit_trail, ledger};

/// Lines that are written or taken away in one transaction: the front desk waits for it.
const CHUNK: i64 = 200;

/// How a part ended that was never sent.
pub(super) const NOT_SENT: &str = "not_sent";

/// The right to build a batch.
#[derive(Debug, Clone)]
pub struct BuildClaim {
    batch_id: String,
    job: i64,
    claim: i64,
}

impl BuildClaim {
    /// The right that a job of the kind `build` gives.
    #[must_use]
    pub fn of(job: &ClaimedJob) -> BuildClaim {
        BuildClaim { batch_id: job.resource_id.clone(), job: job.id(), claim: job.claim() }
    }
}

/// A batch that is to be built, or to be built to its end.
#[derive(Debug, Clone)]
pub struct Building {
    /// The OpenAI project.
    pub project: String,
    /// The workflow's name.
    pub workflow: String,
    /// What it is to be made of.
    pub wanted: Wanted,
    /// When it was asked for, in ms.
    pub created_at_ms: i64,
    /// The parts whose files OpenAI has, in order.
    pub uploaded: Vec<PartToStart>,
    /// OpenAI may have parts that are not known here any more: the batch was asked
    /// for before the database was restored.
    pub before_restore: Option<BeforeRestore>,
}

/// A part whose file OpenAI has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartToStart {
    /// `sub_…`
    pub id: String,
    /// How many lines it has.
    pub lines: i64,
    /// The size of its file.
    pub bytes: i64,
    /// Its file at OpenAI.
    pub file_id: String,
    /// What is known of its start.
    pub start: Start,
}

/// What is known of the start of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// OpenAI does not have it.
    NotMade,
    /// It was asked for, and nobody knows whether OpenAI has it.
    Unknown {
        /// No earlier than this, in ms.
        since_ms: i64,
        /// When it was last asked for, in ms.
        last_ms: i64,
    },
    /// OpenAI has it.
    Made,
}

/// A line about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The ticket, and the line's `custom_id`.
    pub ticket_id: String,
    /// The ticket's revision that the prompt was made from.
    pub revision: i64,
    /// When the prompt was made, in ms.
    pub made_at_ms: i64,
}

/// A part whose file is written and not uploaded.
#[derive(Debug, Clone)]
pub struct NewPart {
    /// From 1.
    pub number: i64,
    /// How many lines it has.
    pub lines: i64,
    /// The size of its file.
    pub bytes: i64,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
}

/// How a start is to be written down before the call.
#[derive(Debug, Clone, Copy)]
pub struct Starting {
    /// Now, in ms.
    pub now_ms: i64,
    /// When to ask OpenAI ourselves, in ms.
    pub check_at_ms: i64,
    /// Past it somebody is told, in ms.
    pub deadline_ms: i64,
}

/// What a batch was built to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// All its lines.
    pub lines: i64,
    /// Its parts at OpenAI.
    pub parts: i64,
}

/// The id of a part: the same in every attempt.
#[must_use]
pub fn part_id(project: &str, batch_id: &str, number: i64) -> String {
    effect_ref(project, batch_id, &number.to_string(), "part").replacen("fd_", "sub_", 1)
}

impl Store {
    /// Takes up the building of a batch, also of one that was given up. None
    /// when there is nothing left to build.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed.
    pub async fn take_up_build(
        &self,
        claim: BuildClaim,
        rules: Rules,
        now_ms: i64,
    ) -> Result<Option<Building>, StoreError> {
        self.write(move |connection| {
            claim.must_hold(connection)?;
            moving(connection, &claim.batch_id, || {
                Ok(connection.execute(
                    "UPDATE batches SET state = 'building', since = ?2, error = NULL
                     WHERE id = ?1 AND state = 'failed' AND error IS NOT NULL",
                    (&claim.batch_id, now_ms),
                )?)
            })?;
            send_after_all(connection, &claim.batch_id)?;
            keep_pace(connection, &claim.batch_id, &rules)?;
            building(connection, &claim.batch_id)
        })
        .await
    }

    /// Takes away lines of parts that OpenAI has no file of: these are built
    /// anew. True when there are more.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed.
    pub async fn drop_unsent(&self, claim: BuildClaim) -> Result<bool, StoreError> {
        self.write(move |connection| {
            claim.must_hold(connection)?;
            drop_some(connection, &claim.batch_id)
        })
        .await
    }

    /// Writes lines of a part down.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed.
    pub async fn add_lines(&self, claim: BuildClaim, part: i64, lines: Vec<NewLine>) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Batch(&claim.batch_id))?;
            claim.must_hold(connection)?;
            let mut add = connection.prepare_cached(
                "INSERT INTO batch_lines (batch_id, number, part, custom_id, ticket_id, revision, made_at, result)
                 SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?3, ?4, ?5, 'awaited' FROM batch_lines WHERE batch_id = ?1",
            )?;
            for line in &lines {
                add.execute(params![claim.batch_id, part, line.ticket_id, line.revision, line.made_at_ms])?;
            }
            count_lines(connection, &claim.batch_id, i64::try_from(lines.len()).unwrap_or(0))
        })
        .await
    }

    /// Writes a part and its submission down, before anything of it is sent.
    /// Returns the part's id.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed.
    pub async fn enter_part(&self, claim: BuildClaim, new: NewPart, now_ms: i64) -> Result<String, StoreError> {
        self.write(move |connection| {
            claim.must_hold(connection)?;
            enter(connection, &claim.batch_id, &new, now_ms)
        })
        .await
    }

    /// OpenAI has the file of a part.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed; the
    /// part is then built anew.
    pub async fn part_uploaded(&self, claim: BuildClaim, part_id: String, file_id: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            claim.must_hold(connection)?;
            connection.execute("UPDATE batch_parts SET file_id = ?2 WHERE id = ?1", (&part_id, &file_id))?;
            Ok(())
        })
        .await
    }

    /// A part is about to be started. False when OpenAI has it: a webhook came
    /// in between.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed; nothing
    /// must be started then.
    pub async fn part_starting(
        &self,
        claim: BuildClaim,
        part_id: String,
        starting: Starting,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            claim.must_hold(connection)?;
            let begun = connection.execute(
                "UPDATE submissions SET state = 'starting', made_at = ?2, check_at = ?3, deadline_at = ?4, ended_at = NULL,
                        error_cause = NULL, error_detail = NULL
                 WHERE id = ?1 AND resource_id IS NULL",
                (&part_id, starting.now_ms, starting.check_at_ms, starting.deadline_ms),
            )?;
            Ok(begun == 1)
        })
        .await
    }

    /// OpenAI has a part, under this id. False when it has it under another id
    /// too: its results are the first one's.
    ///
    /// # Errors
    /// When the transaction could not be committed; its webhook ties them too.
    pub async fn part_started(
        &self,
        project: String,
        part_id: String,
        resource_id: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            // It runs after all: somebody looks after it again.
            connection.execute(
                "UPDATE submissions SET state = 'unknown', ended_at = NULL
                 WHERE id = ?1 AND resource_id IS NULL AND state IN ('ended','lost')",
                [&part_id],
            )?;
            place::tie(connection, &project, &part_id, &resource_id, now_ms)?;
            let tied: Option<String> = connection
                .prepare_cached("SELECT resource_id FROM batch_parts WHERE id = ?1")?
                .query_row([&part_id], |row| row.get(0))?;
            Ok(tied.as_deref() == Some(resource_id.as_str()))
        })
        .await
    }

    /// OpenAI has every part, or there is none. When their results have been
    /// read already, the batch goes on from there.
    ///
    /// # Errors
    /// When the claim is lost or the transaction could not be committed.
    pub async fn batch_built(
        &self,
        claim: BuildClaim,
        left_out: Vec<(&'static str, i64)>,
        rules: Rules,
        now_ms: i64,
    ) -> Result<Built, StoreError> {
        let built = self
            .write(move |connection| {
                claim.must_hold(connection)?;
                end(connection, &claim.batch_id, &left_out, &rules, now_ms)
            })
            .await?;
        self.ring();
        Ok(built)
    }
}

impl BuildClaim {
    fn must_hold(&self, connection: &Connection) -> Result<(), StoreError> {
        let holds: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND claims = ?2 AND state = 'processing')",
            )?
            .query_row((self.job, self.claim), |row| row.get(0))?;
        if holds { Ok(()) } else { Err(StoreError::Missing("the claim of this job")) }
    }
}

fn building(connection: &Connection, batch_id: &str) -> Result<Option<Building>, StoreError> {
    let head = connection
        .prepare_cached(
            "SELECT project, workflow, wanted, created_at FROM batches WHERE id = ?1 AND state = 'building'",
        )?
        .query_row([batch_id], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?, row.get(3)?)))
        .optional()?;
    let Some((project, workflow, wanted, created_at_ms)) = head else { return Ok(None) };
    let wanted = row::json(wanted.as_deref().unwrap_or_default(), "batches", "wanted")?;
    let uploaded = connection
        .prepare_cached(
            "SELECT p.id, p.lines, p.bytes, p.file_id, p.resource_id IS NOT NULL, s.state IN ('planned','refused'),
                    s.created_at, coalesce(s.made_at, s.created_at)
             FROM batch_parts p JOIN submissions s ON s.id = p.id
             WHERE p.batch_id = ?1 AND p.file_id IS NOT NULL ORDER BY p.number",
        )?
        .query_map([batch_id], |row| {
            let (is_made, is_not_made): (bool, bool) = (row.get(4)?, row.get(5)?);
            let start = match (is_made, is_not_made) {
                (true, _) => Start::Made,
                (false, true) => Start::NotMade,
                (false, false) => Start::Unknown { since_ms: row.get(6)?, last_ms: row.get(7)? },
            };
            Ok(PartToStart { id: row.get(0)?, lines: row.get(1)?, bytes: row.get(2)?, file_id: row.get(3)?, start })
        })?
        .collect::<Result<_, _>>()?;
    let before_restore = before_restore(connection, batch_id, created_at_ms)?;
    Ok(Some(Building { project, workflow, wanted, created_at_ms, uploaded, before_restore }))
}

/// Lines of the parts without a file, a chunk at a time, and then those parts.
fn drop_some(connection: &Connection, batch_id: &str) -> Result<bool, StoreError> {
    let sent: i64 = connection
        .prepare_cached("SELECT coalesce(max(number), 0) FROM batch_parts WHERE batch_id = ?1 AND file_id IS NOT NULL")?
        .query_row([batch_id], |row| row.get(0))?;
    let dropped = connection
        .prepare_cached(
            "DELETE FROM batch_lines WHERE batch_id = ?1 AND number IN (
               SELECT number FROM batch_lines WHERE batch_id = ?1 AND part > ?2 ORDER BY number DESC LIMIT ?3)",
        )?
        .execute((batch_id, sent, CHUNK))?;
    if dropped > 0 {
        count_lines(connection, batch_id, -i64::try_from(dropped).unwrap_or(0))?;
        return Ok(true);
    }
    connection
        .prepare_cached(
            "DELETE FROM submissions WHERE id IN (SELECT id FROM batch_parts WHERE batch_id = ?1 AND number > ?2)",
        )?
        .execute((batch_id, sent))?;
    connection
        .prepare_cached("DELETE FROM batch_parts WHERE batch_id = ?1 AND number > ?2")?
        .execute((batch_id, sent))?;
    Ok(false)
}

fn count_lines(connection: &Connection, batch_id: &str, by: i64) -> Result<(), StoreError> {
    count(connection, batch_id, "lines", by)?;
    count(connection, batch_id, "result/awaited", by)
}

fn enter(connection: &Connection, batch_id: &str, new: &NewPart, now_ms: i64) -> Result<String, StoreError> {
    let (project, workflow, actor): (String, String, String) = connection
        .prepare_cached("SELECT project, workflow, actor FROM batches WHERE id = ?1")?
        .query_row([batch_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let id = part_id(&project, batch_id, new.number);
    connection
        .prepare_cached(
            "INSERT INTO batch_parts (id, batch_id, project, number, lines, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id, batch_id, project, new.number, new.lines, new.bytes])?;
    connection
        .prepare_cached(
            "INSERT INTO submissions (id, project, kind, ticket_id, workflow, prompt_version, state, created_at, deadline_at, actor)
             VALUES (?1, ?2, 'batch', ?3, ?4, (SELECT prompt_version FROM batches WHERE id = ?3), 'planned', ?5, ?6, ?7)",
        )?
        .execute(params![id, project, batch_id, workflow, now_ms, new.deadline_ms, actor])?;
    Ok(id)
}

fn end(
    connection: &Connection,
    batch_id: &str,
    left_out: &[(&'static str, i64)],
    rules: &Rules,
    now_ms: i64,
) -> Result<Built, StoreError> {
    for (name, left) in left_out.iter().filter(|(_, left)| *left > 0) {
        count(connection, batch_id, name, *left)?;
    }
    let lines = counts(connection, batch_id)?.get("lines").copied().unwrap_or(0);
    let (parts, unread): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE read_at IS NULL) FROM batch_parts WHERE batch_id = ?1",
        )?
        .query_row([batch_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    set_state(connection, batch_id, if parts == 0 { "applied" } else { "submitted" }, None, now_ms)?;
    if parts > 0 && unread == 0 {
        conclude(connection, batch_id, rules, now_ms)?;
    }
    Ok(Built { lines, parts })
}

/// The job of a build has been given up: the batch says why. What OpenAI has of
/// it stays as it is, and a person's `retry` goes on from there.
pub(in crate::store) fn gave_up(
    connection: &Connection,
    batch_id: &str,
    why: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    moving(connection, batch_id, || {
        connection
            .prepare_cached(
                "UPDATE batches SET state = 'failed', since = ?3, error = ?2 WHERE id = ?1 AND state IN ('building','failed')",
            )?
            .execute((batch_id, why, now_ms))?;
        Ok(())
    })
}

/// A person has discarded the job: nothing more of the batch is sent. What was
/// sent goes on without the rest.
pub(in crate::store) fn discarded(
    connection: &Connection,
    batch_id: &str,
    actor: &str,
    reason: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    gave_up(connection, batch_id, &format!("discarded by {actor}: {reason}"), now_ms)?;
    // One that may have been started is waited for, until it is lost or closed.
    let unsent: Vec<String> = connection
        .prepare_cached(
            "SELECT p.id FROM batch_parts p JOIN submissions s ON s.id = p.id
             WHERE p.batch_id = ?1 AND p.resource_id IS NULL AND s.state IN ('planned','refused','lost','ended')",
        )?
        .query_map([batch_id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for part in &unsent {
        connection
            .prepare_cached("UPDATE batch_parts SET status = ?2, read_at = ?3 WHERE id = ?1")?
            .execute((part, NOT_SENT, now_ms))?;
        ledger::end(connection, part, None, now_ms)?;
        audit_trail::add(connection, actor, "submission.close", part, &json!({"batch": batch_id}), now_ms)?;
    }
    go_on_without_the_rest(connection, batch_id, now_ms)
}

fn go_on_without_the_rest(connection: &Connection, batch_id: &str, now_ms: i64) -> Result<(), StoreError> {
    let (sent, unread): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE read_at IS NULL) FROM batch_parts
             WHERE batch_id = ?1 AND status IS DISTINCT FROM ?2 AND EXISTS (SELECT 1 FROM batches WHERE id = ?1 AND state = 'failed')",
        )?
        .query_row((batch_id, NOT_SENT), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if sent == 0 {
        return Ok(());
    }
    set_state(connection, batch_id, "submitted", None, now_ms)?;
    if unread == 0 {
        conclude(connection, batch_id, &rules_at_hand(connection, batch_id)?, now_ms)?;
    }
    Ok(())
}

/// A discarded build is taken up again: what it has not sent is sent, and read.
fn send_after_all(connection: &Connection, batch_id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE batch_parts SET status = NULL, read_at = NULL WHERE batch_id = ?1 AND status = ?2
               AND EXISTS (SELECT 1 FROM batches WHERE id = ?1 AND state = 'building')",
        )?
        .execute((batch_id, NOT_SENT))?;
    Ok(())
}
