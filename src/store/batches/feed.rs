//! Applying in stages. A window of lines has jobs at a time; the transaction
//! that settles one of them feeds the next, so that a batch goes on wherever
//! there is a worker, and stops where it was when there is none.

use crate::store::sql::{self, Connection, OptionalExtension, Params, Subject, params};

use super::finish::set_state;
use super::forget::ERASED;
use super::undo::BATCH_UNDONE;
use super::{build, count, counted};
use crate::domain::batch::{Fate, line_id, split_line_id};
use crate::domain::failure::Cause;
use crate::domain::hold::HoldReason;
use crate::domain::job::Kind;
use crate::domain::submission::Placement;
use crate::store::erase::TICKET_ERASED;
use crate::store::ledger::{self, FoundBy};
use crate::store::{ClaimedJob, Part, Settlement, Store, StoreError, alerts, audit_trail};

/// What a worker must know of a line beside its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFacts {
    /// Where it belongs.
    pub placement: Placement,
    /// The files hold two different results for it.
    pub is_ambiguous: bool,
    /// Its batch is being undone, or has been.
    pub is_called_off: bool,
}

/// A job of a line that nobody need hurry with has this long, in ms.
const TIME_MS: i64 = 30 * 86_400_000;

/// Raised when a batch stops by itself; over when a person lets it go on.
pub(in crate::store) const BATCH_STOPPED: &str = "batch_stopped";

/// Why a line was left out.
pub const CHANGED_SINCE: &str = "the ticket has changed since the batch was made";

struct Stage {
    project: String,
    workflow: String,
    fed_to: i64,
    in_flight: i64,
    next_at: i64,
    pace: i64,
    window: i64,
}

/// Gives the next lines their jobs when there is room, or ends the batch when
/// every line has been dealt with. True when there are new jobs.
pub(in crate::store) fn feed(connection: &Connection, batch_id: &str, now_ms: i64) -> Result<bool, StoreError> {
    let Some(stage) = stage(connection, batch_id)? else { return Ok(false) };
    // Half a window at a time: one by one would cost a look for each line.
    if stage.in_flight > stage.window / 2 {
        return Ok(false);
    }
    let lines = next_lines(connection, batch_id, &stage)?;
    if lines.is_empty() {
        if stage.in_flight == 0 {
            set_state(connection, batch_id, "applied", None, now_ms)?;
        }
        return Ok(false);
    }
    let (mut at_ms, between_ms) = (stage.next_at.max(now_ms), if stage.pace > 0 { 60_000 / stage.pace } else { 0 });
    let fed = i64::try_from(lines.len()).unwrap_or(0);
    let held = i64::try_from(lines.iter().filter(|line| line.is_held).count()).unwrap_or(0);
    let fed_to = lines.last().map_or(stage.fed_to, |line| line.number);
    for line in lines {
        give_job(connection, &stage, &line, at_ms, now_ms)?;
        connection
            .prepare_cached("UPDATE batch_lines SET fate = 'queued' WHERE batch_id = ?1 AND number = ?2")?
            .execute((batch_id, line.number))?;
        at_ms += between_ms;
    }
    count(connection, batch_id, "fate/queued", fed)?;
    // What is held is what has not been fed, and what is held by then.
    count(connection, batch_id, "fed/held", held)?;
    connection
        .prepare_cached("UPDATE batches SET fed_to = ?2, in_flight = in_flight + ?3, next_at = ?4 WHERE id = ?1")?
        .execute((batch_id, fed_to, fed, at_ms))?;
    Ok(true)
}

fn stage(connection: &Connection, batch_id: &str) -> Result<Option<Stage>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT project, workflow, fed_to, in_flight, next_at, pace, \"window\" FROM batches
             WHERE id = ?1 AND state = 'applying' AND paused_at IS NULL",
        )?
        .query_row([batch_id], |row| {
            Ok(Stage {
                project: row.get(0)?,
                workflow: row.get(1)?,
                fed_to: row.get(2)?,
                in_flight: row.get(3)?,
                next_at: row.get(4)?,
                pace: row.get(5)?,
                window: row.get(6)?,
            })
        })
        .optional()?)
}

struct Next {
    number: i64,
    resource_id: String,
    ticket_id: Option<String>,
    is_held: bool,
}

fn next_lines(connection: &Connection, batch_id: &str, stage: &Stage) -> Result<Vec<Next>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT l.number, p.resource_id, l.custom_id, l.ticket_id, l.result = 'held' FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         WHERE l.batch_id = ?1 AND l.number > ?2 AND l.result IN ('ok','held') AND l.fate IS NULL
         ORDER BY l.number LIMIT ?3",
    )?;
    let read = |row: &sql::Row<'_>| {
        let (resource, custom_id): (String, String) = (row.get(1)?, row.get(2)?);
        let resource_id = line_id(&resource, &custom_id);
        Ok(Next { number: row.get(0)?, resource_id, ticket_id: row.get(3)?, is_held: row.get(4)? })
    };
    let room = (stage.window - stage.in_flight).max(1);
    Ok(list.query_map((batch_id, stage.fed_to, room), read)?.collect::<Result<_, _>>()?)
}

fn give_job(connection: &Connection, stage: &Stage, line: &Next, at_ms: i64, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at,
                               ticket_id, workflow)
             VALUES (?1, 'line/' || ?2, 'line', 'batch.line', ?2, 'queued', ?3, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            stage.project,
            line.resource_id,
            now_ms,
            at_ms,
            now_ms + TIME_MS,
            line.ticket_id,
            stage.workflow
        ])?;
    Ok(())
}

/// What a worker must know of the line that this job is for.
pub(in crate::store) fn line_of(
    connection: &Connection,
    project: &str,
    resource_id: &str,
) -> Result<Option<LineFacts>, StoreError> {
    let Some((batch, custom_id)) = split_line_id(resource_id) else { return Ok(None) };
    facts(connection, "p.resource_id = ?1 AND p.project = ?2 AND l.custom_id = ?3", (batch, project, custom_id))
}

fn facts(connection: &Connection, which: &str, given: impl Params) -> Result<Option<LineFacts>, StoreError> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT l.ticket_id, b.workflow, l.revision, l.made_at, b.prompt_version, l.reason, b.undone_by IS NOT NULL
             FROM batch_parts p JOIN batches b ON b.id = p.batch_id
             JOIN batch_lines l ON l.batch_id = b.id AND l.part = p.number
             WHERE {which} AND l.result NOT IN ('unknown','duplicate','unreadable')"
        ))?
        .query_row(given, |row| {
            Ok(LineFacts {
                placement: Placement {
                    ticket_id: row.get(0)?,
                    workflow: row.get(1)?,
                    submission_id: None,
                    ticket_revision: row.get(2)?,
                    made_at_ms: row.get(3)?,
                    prompt_version: row.get(4)?,
                    retry_of: None,
                },
                is_ambiguous: row.get::<_, Option<String>>(5)?.as_deref() == Some(HoldReason::AmbiguousOutput.code()),
                is_called_off: row.get(6)?,
            })
        })
        .optional()?)
}

impl Store {
    /// What is known of a line that a part of ours asked for; none when it did not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn line_facts(&self, part: Part, custom_id: String) -> Result<Option<LineFacts>, StoreError> {
        self.look_up(move |connection| {
            let (batch, number) = (&part.batch_id, part.number);
            facts(connection, "l.batch_id = ?1 AND l.part = ?2 AND l.custom_id = ?3", (batch, number, &custom_id))
        })
        .await
    }
}

/// A job of a line has ended, in the transaction of its end. True when others
/// have got theirs.
pub(in crate::store) fn settled(
    connection: &Connection,
    job: &ClaimedJob,
    settlement: &Settlement,
    now_ms: i64,
) -> Result<bool, StoreError> {
    match job.kind {
        Kind::Line => {}
        Kind::Build => {
            let Settlement::GaveUp { failure } = settlement else { return Ok(false) };
            return build::gave_up(connection, &job.resource_id, &failure.to_string(), now_ms).map(|()| false);
        }
        Kind::Ending => {
            ledger::end_part(connection, &job.project, &job.resource_id, FoundBy::of(&job.event_type), now_ms)?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    let (fate, reason) = match settlement {
        Settlement::Applied { .. } => (Fate::Applied, None),
        Settlement::Held { review, .. } => (Fate::Held, Some(review.hold.reason.code())),
        Settlement::GaveUp { failure } => (Fate::Failed, Some(failure.cause().code())),
        Settlement::Superseded { .. } => (Fate::Skipped, Some("superseded")),
        Settlement::Ignored { reason } if reason == CHANGED_SINCE => (Fate::Skipped, Some("changed_since")),
        Settlement::Ignored { reason } if reason == TICKET_ERASED => (Fate::Skipped, Some(ERASED)),
        Settlement::Ignored { reason } if reason == BATCH_UNDONE => (Fate::Skipped, Some("batch_undone")),
        Settlement::Ignored { .. } | Settlement::Stale { .. } => (Fate::Skipped, Some("ignored")),
        Settlement::Retry { .. } | Settlement::Done { .. } | Settlement::Entered { .. } => return Ok(false),
    };
    line_ended(connection, &job.project, &job.resource_id, fate, reason, now_ms)
}

/// A job was given up because nobody heard of its worker any more. The job of an
/// approval says nothing of the line that was held.
pub(in crate::store) fn lost(
    connection: &Connection,
    kind: Kind,
    project: &str,
    resource_id: &str,
    event_type: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let why = Cause::LeaseLost.code();
    match kind {
        Kind::Build => build::gave_up(connection, resource_id, why, now_ms),
        Kind::Line => line_ended(connection, project, resource_id, Fate::Failed, Some(why), now_ms).map(drop),
        Kind::Ending => ledger::end_part(connection, project, resource_id, FoundBy::of(event_type), now_ms),
        Kind::Approval | Kind::Start | Kind::Undo => Ok(()),
    }
}

/// Enters what became of a line, and lets the next ones go. True when there are
/// new jobs.
pub(in crate::store) fn line_ended(
    connection: &Connection,
    project: &str,
    resource_id: &str,
    fate: Fate,
    reason: Option<&str>,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let Some((batch_id, ..)) = line_at(connection, project, resource_id)? else { return Ok(false) };
    connection.alone_with(Subject::Batch(&batch_id))?;
    // Looked at again: others may have worked on the batch until now.
    let Some((_, number, before)) = line_at(connection, project, resource_id)? else { return Ok(false) };
    connection
        .prepare_cached(
            "UPDATE batch_lines SET fate = ?3, reason = coalesce(?4, reason) WHERE batch_id = ?1 AND number = ?2",
        )?
        .execute((&batch_id, number, fate.word(), reason))?;
    match &before {
        Some(before) => count(connection, &batch_id, &format!("fate/{before}"), -1)?,
        None => left_out(connection, &batch_id, number)?,
    }
    count(connection, &batch_id, &format!("fate/{}", fate.word()), 1)?;
    // One that a person has tried again was counted out when it failed.
    if before.as_deref() == Some(Fate::Queued.word()) {
        connection
            .prepare_cached("UPDATE batches SET in_flight = in_flight - 1 WHERE id = ?1")?
            .execute([&batch_id])?;
    }
    if fate == Fate::Failed {
        stop_if_too_many(connection, &batch_id, now_ms)?;
    }
    feed(connection, &batch_id, now_ms)
}

/// A line that never had a job has been fed all the same: what is held is what has not been.
pub(super) fn left_out(connection: &Connection, batch_id: &str, number: i64) -> Result<(), StoreError> {
    let is_held: bool = connection
        .prepare_cached("SELECT result = 'held' FROM batch_lines WHERE batch_id = ?1 AND number = ?2")?
        .query_row((batch_id, number), |row| row.get(0))?;
    if is_held { count(connection, batch_id, "fed/held", 1) } else { Ok(()) }
}

pub(super) fn line_at(
    connection: &Connection,
    project: &str,
    resource_id: &str,
) -> Result<Option<(String, i64, Option<String>)>, StoreError> {
    let Some((batch, custom_id)) = split_line_id(resource_id) else { return Ok(None) };
    // The words of the index as they stand there: without them every line of the batch would be looked at.
    Ok(connection
        .prepare_cached(
            "SELECT l.batch_id, l.number, l.fate FROM batch_parts p
             JOIN batch_lines l ON l.batch_id = p.batch_id AND l.part = p.number AND l.custom_id = ?3
             WHERE p.resource_id = ?1 AND p.project = ?2
               AND l.result NOT IN ('unknown','duplicate','unreadable') AND l.result IN ('ok','held')",
        )?
        .query_row((batch, project, custom_id), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?)
}

/// So many failed lines are not an accident: the rest waits for a person.
fn stop_if_too_many(connection: &Connection, batch_id: &str, now_ms: i64) -> Result<(), StoreError> {
    let failed = counted(connection, batch_id, "fate/failed")?;
    let stopped = connection
        .prepare_cached(
            "UPDATE batches SET paused_at = ?3, paused_by = 'frontdesk', pause_reason = 'too_many_failures'
             WHERE id = ?1 AND state = 'applying' AND paused_at IS NULL AND stop_after <= ?2
               AND (in_flight > 0 OR EXISTS (SELECT 1 FROM batch_lines l WHERE l.batch_id = batches.id
                      AND l.number > fed_to AND l.result IN ('ok','held') AND l.fate IS NULL))",
        )?
        .execute((batch_id, failed, now_ms))?;
    if stopped == 0 {
        return Ok(());
    }
    take_back(connection, batch_id)?;
    let detail = format!("{failed} lines failed; nothing more is applied until a person lets it go on");
    audit_trail::add(
        connection,
        "frontdesk",
        "batch.pause",
        batch_id,
        &serde_json::json!({"reason": "too_many_failures"}),
        now_ms,
    )?;
    alerts::raise(connection, BATCH_STOPPED, batch_id, &detail, now_ms).map(drop)
}

/// Takes the jobs back that no worker has touched: a pause is one at once.
pub(in crate::store) fn take_back(connection: &Connection, batch_id: &str) -> Result<(), StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT l.number, j.id, l.result = 'held', j.claimable_at FROM batch_lines l
         JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
         JOIN jobs j ON j.key = 'line/' || p.resource_id || '/' || l.custom_id AND j.project = p.project
         WHERE l.batch_id = ?1 AND coalesce(l.fate, l.result) = 'queued' AND j.state = 'queued' AND j.claims = 0",
    )?;
    let untouched: Vec<(i64, i64, bool, i64)> = list
        .query_map([batch_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    // A worker may take one at this moment: then it goes on.
    let mut take = connection.prepare_cached("DELETE FROM jobs WHERE id = ?1 AND state = 'queued' AND claims = 0")?;
    let mut taken = Vec::with_capacity(untouched.len());
    for line in untouched {
        if take.execute([line.1])? == 1 {
            taken.push(line);
        }
    }
    let Some(first) = taken.iter().map(|(number, ..)| *number).min() else { return Ok(()) };
    // When the first of them would have gone: a pause and its end do not outrun the pace.
    let next_at = taken.iter().map(|(.., at)| *at).min().unwrap_or(0);
    for (number, ..) in &taken {
        connection
            .prepare_cached("UPDATE batch_lines SET fate = NULL WHERE batch_id = ?1 AND number = ?2")?
            .execute((batch_id, number))?;
    }
    let held = i64::try_from(taken.iter().filter(|(.., is_held, _)| *is_held).count()).unwrap_or(0);
    let taken = i64::try_from(taken.len()).unwrap_or(0);
    count(connection, batch_id, "fate/queued", -taken)?;
    count(connection, batch_id, "fed/held", -held)?;
    connection
        .prepare_cached(
            "UPDATE batches SET in_flight = in_flight - ?2, fed_to = min(fed_to, ?3 - 1), next_at = ?4 WHERE id = ?1",
        )?
        .execute((batch_id, taken, first, next_at))?;
    Ok(())
}
