//! The same of a batch, a part or a line of one.

use crate::store::sql::{Connection, OptionalExtension, Row};

use super::{deliveries, job_by_key, job_facts, one, submission_facts};
use crate::domain::batch::{Fate, LineResult, line_id, split_line_id};
use crate::domain::job::State;
use crate::domain::trail::{BatchFacts, JobFacts, LineFacts, PartFacts, Trail};
use crate::store::{Batch, Part, StoreError, batches, ledger};

/// What an id names of a batch.
pub(super) struct Named {
    batch: String,
    part: Option<i64>,
    line: Option<i64>,
}

/// The batch, part or line with this id; ours or OpenAI's.
pub(super) fn named(connection: &Connection, id: &str) -> Result<Option<Named>, StoreError> {
    if let Some((batch, custom_id)) = split_line_id(id)
        && let Some(batch) = batches::named(connection, batch)?
    {
        // The line that was asked for, or else one that only came with the files.
        let line = connection
            .prepare_cached(
                "SELECT number, part FROM batch_lines WHERE batch_id = ?1 AND custom_id = ?2
                 ORDER BY result IN ('unknown','duplicate','unreadable'), number LIMIT 1",
            )?
            .query_row((&batch, custom_id), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        return Ok(line.map(|(line, part)| Named { batch, part: Some(part), line: Some(line) }));
    }
    let Some(batch) = batches::named(connection, id)? else { return Ok(None) };
    let part = one(
        connection,
        "SELECT number FROM batch_parts WHERE batch_id = ?1 AND (id = ?2 OR resource_id = ?2)",
        (&batch, id),
    )?;
    Ok(Some(Named { batch, part, line: None }))
}

/// The newest line of a ticket, if nothing else of it is newer than this, in ms.
pub(super) fn newest_line(
    connection: &Connection,
    ticket: &str,
    last_ms: Option<i64>,
) -> Result<Option<Named>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT l.batch_id, l.part, l.number FROM batch_lines l JOIN batches b ON b.id = l.batch_id
             WHERE l.ticket_id = ?1 AND (?2 IS NULL OR b.created_at >= ?2) ORDER BY b.seq DESC, l.number LIMIT 1",
        )?
        .query_row((ticket, last_ms), |row| {
            Ok(Named { batch: row.get(0)?, part: Some(row.get(1)?), line: Some(row.get(2)?) })
        })
        .optional()?)
}

/// Adds what is known of it; a job that was asked for stays the job.
pub(super) fn add(connection: &Connection, named: &Named, trail: &mut Trail) -> Result<(), StoreError> {
    let Some(batch) = batches::one(connection, &named.batch)? else { return Ok(()) };
    trail.workflow = Some(batch.workflow.clone());
    let asked = batch.parts.iter().find(|part| Some(part.number) == named.part);
    let asked = asked.or(batch.parts.first().filter(|_| batch.parts.len() == 1));
    if let Some(part) = asked {
        trail.submission =
            ledger::one(connection, "SELECT * FROM submissions WHERE id = ?1", &part.id)?.map(submission_facts);
    }
    let number = asked.map(|part| part.number);
    trail.deliveries = deliveries(connection, DELIVERIES, (&batch.id, number))?;
    trail.event_id = trail.event_id.take().or(one(connection, EVENT, (&batch.id, number))?);
    match named.line {
        Some(line) => add_line(connection, &batch, line, asked, trail)?,
        None => {
            trail.ticket_id = None;
            trail.resource_id = asked.and_then(|part| part.resource_id.clone());
            if trail.job.is_none() {
                trail.job = job_of(connection, &batch, number)?;
            }
        }
    }
    trail.batch = Some(facts(connection, &batch, named.part.filter(|_| named.line.is_none()))?);
    Ok(())
}

/// Deliveries that told of the end of a part, or of any.
const DELIVERIES: &str = "SELECT d.* FROM deliveries d WHERE d.seq IN (
      SELECT d.seq FROM batch_parts p JOIN jobs j ON j.resource_id = p.resource_id AND j.project = p.project AND j.kind = 'ending'
        JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project
       WHERE p.batch_id = ?1 AND (?2 IS NULL OR p.number = ?2)
      UNION ALL
      SELECT d.seq FROM batch_parts p JOIN jobs j ON j.resource_id = p.resource_id AND j.project = p.project AND j.kind = 'ending'
        JOIN deliveries d ON d.duplicate_of = j.delivery_id AND d.project = j.project
       WHERE p.batch_id = ?1 AND (?2 IS NULL OR p.number = ?2) AND d.duplicate_of IS NOT NULL)
    ORDER BY d.seq LIMIT 100";

const EVENT: &str = "SELECT j.event_id FROM batch_parts p
    JOIN jobs j ON j.resource_id = p.resource_id AND j.project = p.project AND j.kind = 'ending'
    WHERE p.batch_id = ?1 AND (?2 IS NULL OR p.number = ?2) AND j.event_id IS NOT NULL ORDER BY j.id LIMIT 1";

type LineColumns = (Option<String>, Option<String>, String, Option<String>, Option<String>);

fn add_line(
    connection: &Connection,
    batch: &Batch,
    number: i64,
    part: Option<&Part>,
    trail: &mut Trail,
) -> Result<(), StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "batch_lines", column };
    let (custom_id, ticket_id, result, fate, reason): LineColumns = connection
        .prepare_cached(
            "SELECT custom_id, ticket_id, result, fate, reason FROM batch_lines WHERE batch_id = ?1 AND number = ?2",
        )?
        .query_row((&batch.id, number), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let resource = part.and_then(|part| part.resource_id.as_deref()).zip(custom_id.as_deref());
    trail.resource_id = resource.map(|(resource, custom_id)| line_id(resource, custom_id));
    trail.ticket_id = ticket_id.or(trail.ticket_id.take());
    let line = LineFacts {
        number,
        result: LineResult::parse(&result).ok_or(corrupt("result"))?,
        fate: fate.map(|word| Fate::parse(&word).ok_or(corrupt("fate"))).transpose()?,
        reason,
    };
    trail.job = match &trail.resource_id {
        // Its twin has the job of this name.
        _ if matches!(line.result, LineResult::Unknown | LineResult::Duplicate | LineResult::Unreadable) => None,
        Some(id) => job_by_key(connection, &format!("line/{id}"))?,
        None => None,
    };
    trail.line = Some(line);
    Ok(())
}

/// The job that matters now: one that moves or has failed before one that has ended well.
fn job_of(connection: &Connection, batch: &Batch, part: Option<i64>) -> Result<Option<JobFacts>, StoreError> {
    let open = |job: &JobFacts| job.state != State::Processed;
    for kind in ["undo", "build"] {
        if let Some(job) = job_by_key(connection, &format!("{kind}/{}", batch.id))?.filter(open) {
            return Ok(Some(job));
        }
    }
    let ending = connection
        .prepare_cached(
            "SELECT j.* FROM batch_parts p JOIN jobs j ON j.resource_id = p.resource_id AND j.project = p.project AND j.kind = 'ending'
             WHERE p.batch_id = ?1 AND (?2 IS NULL OR p.number = ?2)
             ORDER BY j.state = 'processed', j.outcome IN ('applied','held') DESC NULLS LAST, j.id DESC LIMIT 1",
        )?
        .query_row((&batch.id, part), job_facts)
        .optional()?;
    match ending {
        Some(job) => Ok(Some(job)),
        None => job_by_key(connection, &format!("build/{}", batch.id)),
    }
}

fn facts(connection: &Connection, batch: &Batch, part: Option<i64>) -> Result<BatchFacts, StoreError> {
    let parts = batch.parts.iter().map(|part| part_facts(connection, part)).collect::<Result<_, _>>()?;
    Ok(BatchFacts {
        id: batch.id.clone(),
        state: batch.state,
        since_ms: batch.since_ms,
        origin: batch.origin,
        actor: batch.actor.clone(),
        created_at_ms: batch.created_at_ms,
        again_of: batch.again_of.clone(),
        again: one(connection, "SELECT id FROM batches WHERE again_of = ?1", [&batch.id])?,
        counts: batch.counts.clone(),
        waits_for: batch.waits_for.clone(),
        decided_by: batch.decided_by.clone(),
        paused_by: batch.paused_by.clone(),
        paused_at_ms: batch.paused_at_ms,
        undone_by: batch.undone_by.clone(),
        error: batch.error.clone(),
        open_failures: one(connection, OPEN_FAILURES, [&batch.id])?.unwrap_or(0),
        held_up: held_up(connection, &batch.workflow)?,
        parts,
        part,
    })
}

const OPEN_FAILURES: &str = "SELECT count(*) FROM batch_lines l JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
    JOIN jobs j ON j.key = 'line/' || p.resource_id || '/' || l.custom_id AND j.project = p.project
    WHERE l.batch_id = ?1 AND coalesce(l.fate, l.result) = 'failed' AND l.fate IS NOT NULL AND j.state = 'failed_final' AND j.outcome IS NULL";

fn held_up(connection: &Connection, workflow: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT kind, name, actor FROM pauses
             WHERE (kind = 'workflow' AND name = ?1) OR (kind = 'dependency' AND name = 'helpdesk') LIMIT 1",
        )?
        .query_row([workflow], |row: &Row<'_>| {
            let (kind, name, actor): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("{actor} has paused the {kind} {name}; `frontdesk resume {kind} {name}`"))
        })
        .optional()?)
}

fn part_facts(connection: &Connection, part: &Part) -> Result<PartFacts, StoreError> {
    let start = ledger::one(connection, "SELECT * FROM submissions WHERE id = ?1", &part.id)?;
    let by_poll = one(
        connection,
        "SELECT count(*) FILTER (WHERE key LIKE 'poll/%') = count(*) FROM jobs WHERE resource_id = ?1 AND project = ?2 AND kind = 'ending' HAVING count(*) > 0",
        (&part.resource_id, &part.project),
    )?;
    Ok(PartFacts {
        number: part.number,
        id: part.id.clone(),
        resource_id: part.resource_id.clone(),
        read_at_ms: part.read_at_ms,
        check_at_ms: start.as_ref().and_then(|start| start.check_at_ms),
        deadline_ms: start.as_ref().map(|start| start.deadline_ms),
        error: start.as_ref().and_then(|start| start.error.clone()),
        start: start.map(|start| start.state),
        by_poll,
    })
}
