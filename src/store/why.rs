//! Gathers what is known of one piece of work, from whichever id it is asked by.

mod batch;

use crate::store::sql::{self, Connection, OptionalExtension, Params, Row};

use super::records::{error_text, state};
use super::{Store, StoreError, Submission, ledger, reviews};
use crate::domain::trail::{DeliveryFacts, EffectFacts, JobFacts, ReviewFacts, SubmissionFacts, Trail};

/// The rows that a piece of work is gathered from.
#[derive(Default)]
struct Found {
    batch: Option<batch::Named>,
    job: Option<i64>,
    delivery: Option<i64>,
    resource: Option<String>,
    submission: Option<String>,
    ticket: Option<String>,
}

impl Store {
    /// What is known of a ticket, submission, resource, event, delivery, job,
    /// review, batch or line of a batch; none when nothing has this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn trail(&self, id: String) -> Result<Option<Trail>, StoreError> {
        self.read(move |connection| {
            let Some(found) = find(connection, &id)? else { return Ok(None) };
            gather(connection, found).map(Some)
        })
        .await
    }
}

fn one<T: sql::Column>(connection: &Connection, sql: &str, params: impl Params) -> Result<Option<T>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

fn find(connection: &Connection, id: &str) -> Result<Option<Found>, StoreError> {
    if let Some(batch) = batch::named(connection, id)? {
        return Ok(Some(Found { batch: Some(batch), ..Found::default() }));
    }
    if let Some(job) = find_job(connection, id)? {
        return Ok(Some(Found { job: Some(job), ..Found::default() }));
    }
    if let Some(seq) = find_parked(connection, id)? {
        return Ok(Some(Found { delivery: Some(seq), ..Found::default() }));
    }
    let submission = match job_number(id) {
        Some(number) => one(connection, "SELECT submission_id FROM jobs WHERE id = ?1 AND kind = 'start'", [number])?,
        None => one(connection, "SELECT id FROM submissions WHERE id = ?1 OR resource_id = ?1", [id])?,
    };
    if submission.is_some() {
        return Ok(Some(Found { submission, ..Found::default() }));
    }
    find_ticket(connection, id)
}

fn job_number(id: &str) -> Option<i64> {
    id.strip_prefix("job_")?.parse().ok()
}

fn find_job(connection: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    if let Some(number) = job_number(id) {
        // The job that carries out an approval is told of with the one that was held.
        return one(
            connection,
            "SELECT coalesce((SELECT r.job_id FROM reviews r WHERE jobs.kind = 'approval' AND r.id = substr(jobs.key, 8)), id) FROM jobs
             WHERE id = ?1 AND kind <> 'start'",
            [number],
        );
    }
    let by = [
        "SELECT id FROM jobs WHERE key = 'event/' || ?1",
        "SELECT j.id FROM deliveries d JOIN jobs j ON j.key = d.job_key AND j.project = d.project WHERE d.delivery_id = ?1",
        // Of several events about one resource, the one that did something.
        "SELECT id FROM jobs WHERE resource_id = ?1 AND kind = 'ending' ORDER BY outcome IN ('applied','held') DESC NULLS LAST, id DESC LIMIT 1",
        "SELECT job_id FROM reviews WHERE id = ?1",
        "SELECT job_id FROM effects WHERE ref = ?1",
        "SELECT id FROM jobs WHERE resource_id = (SELECT resource_id FROM submissions WHERE id = ?1) AND kind = 'ending' ORDER BY outcome IN ('applied','held') DESC NULLS LAST, id DESC LIMIT 1",
    ];
    for sql in by {
        if let Some(job) = one(connection, sql, [id])? {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

fn find_parked(connection: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    one(
        connection,
        "SELECT max(seq) FROM (
           SELECT max(seq) AS seq FROM deliveries WHERE job_key IS NULL AND delivery_id = ?1
           UNION ALL SELECT max(seq) FROM deliveries WHERE job_key IS NULL AND event_id = ?1
           UNION ALL SELECT max(seq) FROM deliveries WHERE job_key IS NULL AND resource_id = ?1) AS parked HAVING max(seq) IS NOT NULL",
        [id],
    )
}

/// The newest work on a ticket.
fn find_ticket(connection: &Connection, id: &str) -> Result<Option<Found>, StoreError> {
    let at = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let started = connection
        .prepare_cached(
            "SELECT id, created_at FROM submissions WHERE ticket_id = ?1 ORDER BY created_at DESC, seq DESC LIMIT 1",
        )?
        .query_row([id], at)
        .optional()?;
    let newest = connection
        .prepare_cached(
            "SELECT resource_id, queued_at FROM jobs WHERE ticket_id = ?1 AND kind = 'ending' ORDER BY queued_at DESC, id DESC LIMIT 1",
        )?
        .query_row([id], at)
        .optional()?;
    let last_ms = started.iter().chain(&newest).map(|(_, at_ms)| *at_ms).max();
    if let Some(line) = batch::newest_line(connection, id, last_ms)? {
        return Ok(Some(Found { batch: Some(line), ticket: Some(id.to_owned()), ..Found::default() }));
    }
    // Of several events about it, the one that did something.
    let job = newest.map(|(resource, _)| find_job(connection, &resource)).transpose()?.flatten();
    let ticket = Some(id.to_owned());
    if let Some((submission, _)) = started {
        let own = find_job(connection, &submission)?;
        // Work that another program started may be newer than our own.
        let job = own.into_iter().chain(job).max();
        return Ok(Some(Found {
            job: if own.is_none() { None } else { job },
            submission: Some(submission),
            ticket,
            ..Found::default()
        }));
    }
    if job.is_some() {
        return Ok(Some(Found { job, ticket, ..Found::default() }));
    }
    let exists = one::<String>(connection, "SELECT id FROM tickets WHERE id = ?1", [id])?;
    Ok(exists.map(|_| Found { ticket, ..Found::default() }))
}

fn gather(connection: &Connection, mut found: Found) -> Result<Trail, StoreError> {
    let mut trail = Trail { ticket_id: found.ticket.take(), ..Trail::default() };
    if let Some(job) = found.job {
        add_job(connection, job, &mut trail)?;
        found.batch = trail.resource_id.as_deref().map(|id| batch::named(connection, id)).transpose()?.flatten();
        found.submission = one(connection, "SELECT id FROM submissions WHERE resource_id = ?1", [&trail.resource_id])?;
    }
    if let Some(seq) = found.delivery {
        add_parked(connection, seq, &mut trail)?;
    }
    match (&found.batch, &found.submission) {
        (Some(batch), _) => batch::add(connection, batch, &mut trail)?,
        (None, Some(submission)) => add_submission(connection, submission, &mut trail)?,
        (None, None) => {}
    }
    if let Some(resource) = found.resource.take().or_else(|| trail.resource_id.clone()) {
        add_results(connection, &resource, &mut trail)?;
    }
    if let Some(ticket) = trail.ticket_id.clone() {
        add_others(connection, &ticket, &mut trail)?;
    }
    Ok(trail)
}

fn add_job(connection: &Connection, id: i64, trail: &mut Trail) -> Result<(), StoreError> {
    connection.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?.query_row([id], |row| {
        trail.job = Some(job_facts(row)?);
        trail.resource_id = row.get("resource_id")?;
        trail.event_id = row.get("event_id")?;
        trail.workflow = row.get("workflow")?;
        trail.ticket_id = row.get::<_, Option<String>>("ticket_id")?.or(trail.ticket_id.take());
        Ok(())
    })?;
    trail.deliveries = deliveries(
        connection,
        "SELECT d.* FROM jobs j JOIN deliveries d ON d.delivery_id = j.delivery_id AND d.project = j.project WHERE j.id = ?1
         UNION ALL
         SELECT d.* FROM jobs j JOIN deliveries d ON d.project = j.project AND d.duplicate_of = j.delivery_id
          WHERE j.id = ?1 AND d.duplicate_of IS NOT NULL
         ORDER BY seq LIMIT 100",
        [id],
    )?;
    Ok(())
}

fn job_facts(row: &Row<'_>) -> sql::Result<JobFacts> {
    Ok(JobFacts {
        id: row.get("id")?,
        by_poll: row.get::<_, String>("key")?.starts_with("poll/"),
        state: state(&row.get::<_, String>("state")?)?,
        since_ms: row.get("since")?,
        queued_at_ms: row.get("queued_at")?,
        started_at_ms: row.get("started_at")?,
        attempts: row.get("attempts")?,
        next_at_ms: row.get("claimable_at")?,
        worker: row.get("worker")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        last_error: error_text(row.get("error_cause")?, row.get("error_detail")?),
    })
}

/// The job with this key, as `review/rev_…`.
fn job_by_key(connection: &Connection, key: &str) -> Result<Option<JobFacts>, StoreError> {
    Ok(connection.prepare_cached("SELECT * FROM jobs WHERE key = ?1")?.query_row([key], job_facts).optional()?)
}

fn add_parked(connection: &Connection, seq: i64, trail: &mut Trail) -> Result<(), StoreError> {
    trail.deliveries = deliveries(connection, "SELECT * FROM deliveries WHERE seq = ?1", [seq])?;
    connection.query_row("SELECT resource_id, event_id FROM deliveries WHERE seq = ?1", [seq], |row| {
        trail.resource_id = row.get(0)?;
        trail.event_id = row.get(1)?;
        Ok(())
    })?;
    Ok(())
}

fn deliveries(connection: &Connection, sql: &str, given: impl Params) -> Result<Vec<DeliveryFacts>, StoreError> {
    let mut list = connection.prepare_cached(sql)?;
    let rows = list.query_map(given, |row| {
        Ok(DeliveryFacts {
            id: row.get("delivery_id")?,
            received_at_ms: row.get("received_at")?,
            secret_hint: row.get("secret_hint")?,
            copies: row.get("copies")?,
            note: row.get("note")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn add_submission(connection: &Connection, id: &str, trail: &mut Trail) -> Result<(), StoreError> {
    let Some(submission) = ledger::one(connection, "SELECT * FROM submissions WHERE id = ?1", id)? else {
        return Ok(());
    };
    trail.ticket_id = Some(submission.ticket_id.clone());
    trail.workflow = Some(submission.workflow.clone());
    trail.resource_id = trail.resource_id.take().or(submission.resource_id.clone());
    trail.start = job_by_key(connection, &format!("start/{id}"))?;
    trail.submission = Some(submission_facts(submission));
    Ok(())
}

fn submission_facts(submission: Submission) -> SubmissionFacts {
    SubmissionFacts {
        id: submission.id,
        state: submission.state,
        actor: submission.actor,
        retry_of: submission.retry_of,
        check_at_ms: submission.check_at_ms,
        deadline_ms: submission.deadline_ms,
        created_at_ms: submission.created_at_ms,
        started_at_ms: submission.started_at_ms,
        error: submission.error,
    }
}

fn add_results(connection: &Connection, resource: &str, trail: &mut Trail) -> Result<(), StoreError> {
    trail.fetched_at_ms = one(connection, "SELECT fetched_at FROM results WHERE resource_id = ?1", [resource])?;
    let mut list =
        connection.prepare_cached("SELECT slot, ref, applied_at FROM effects WHERE resource_id = ?1 ORDER BY id")?;
    trail.effects = list
        .query_map([resource], |row| {
            Ok(EffectFacts { slot: row.get(0)?, reference: row.get(1)?, applied_at_ms: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    let review = reviews::of(connection, "SELECT * FROM reviews WHERE resource_id = ?1", resource)?.into_iter().next();
    if let Some(review) = &review {
        trail.approval = job_by_key(connection, &format!("review/{}", review.id))?;
    }
    trail.again = one(connection, "SELECT id FROM submissions WHERE retry_of = ?1", [resource])?;
    trail.review = review.map(|review| ReviewFacts {
        why: review.stale_reason.or(review.decision_reason),
        id: review.id,
        state: review.state,
        reason: review.reason,
        topics: review.topics,
        created_at_ms: review.created_at_ms,
        claimed_by: review.claimed_by,
        reviewers: review.reviewers,
        decided_by: review.decided_by,
    });
    Ok(())
}

fn add_others(connection: &Connection, ticket: &str, trail: &mut Trail) -> Result<(), StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT coalesce(resource_id, id) AS other, created_at AS at FROM submissions WHERE ticket_id = ?1
         UNION SELECT resource_id, queued_at FROM jobs WHERE ticket_id = ?1 AND submission_id IS NULL AND kind <> 'line'
         UNION SELECT coalesce(p.resource_id, b.id) || '/' || l.custom_id, b.created_at FROM batch_lines l JOIN batches b ON b.id = l.batch_id
           LEFT JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part
          WHERE l.ticket_id = ?1 AND l.custom_id IS NOT NULL
         ORDER BY at DESC, other DESC LIMIT 20",
    )?;
    let others = list.query_map([ticket], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let this = trail.resource_id.as_ref().or(trail.submission.as_ref().map(|submission| &submission.id));
    trail.others = others.into_iter().filter(|other| Some(other) != this).collect();
    trail.others.dedup();
    Ok(())
}
