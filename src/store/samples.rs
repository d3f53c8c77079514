//! How things go over time: what is counted as it happens, and how far the counts
//! had come at regular times. Nothing here looks at rows, and nothing is written
//! on the way of a delivery: two samples tell what came in between.

use std::collections::BTreeMap;

use super::counts::{NUMBERED, TALLIED};
use super::settle::count;
use super::sql::{Connection, OptionalExtension};
use super::{Change, ClaimedJob, Settlement, Store, StoreError};
use crate::domain::effect::Effect;
use crate::domain::failure::Cause;
use crate::domain::job::Kind;
use crate::domain::measure::{self, Samples, Span};
use crate::domain::submission::Placement;

/// Samples of ten minutes are kept so long, in ms; those of days for good.
const KEPT_MS: i64 = 35 * 86_400_000;

/// Different categories that are counted by name: models invent them.
const CATEGORIES: i64 = 100;
const MAX_CATEGORY_CHARS: usize = 40;

/// No single result, and no batch, uses more: counts must never run over.
const MAX_TOKENS: i64 = 10_000_000_000;

/// The workflow whose note people wait for, and the one that scores.
const SUMMARY: &str = "summary";
const QUALITY_CHECK: &str = "quality_check";

/// What is sampled: all that ends, and all below these names.
const SAMPLED: &str = "name IN ('applied','held','ignored','superseded','failed_final')
    OR (name >= 'category/' AND name < 'category0') OR (name >= 'failure/' AND name < 'failure0')
    OR (name >= 'latency/' AND name < 'latency0') OR (name >= 'override/' AND name < 'override0')
    OR (name >= 'qa/' AND name < 'qa0') OR (name >= 'summary/' AND name < 'summary0')
    OR (name >= 'tokens/' AND name < 'tokens0')";

/// The name under which stands how many deliveries there are.
const DELIVERIES: &str = "deliveries";

impl Store {
    /// Writes down how far the counts have come, once in ten minutes and once a day,
    /// and forgets what is too old. Whoever comes first does it.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn sample(&self, now_ms: i64) -> Result<(), StoreError> {
        let due = self.look_up(move |connection| {
            Span::ALL
                .into_iter()
                .filter_map(|span| is_due(connection, span, now_ms).transpose())
                .collect::<Result<Vec<_>, _>>()
        });
        let due = due.await?;
        if due.is_empty() {
            return Ok(());
        }
        self.write(move |connection| {
            for span in &due {
                take(connection, *span, span.begin(now_ms))?;
            }
            let old = now_ms - KEPT_MS;
            connection.execute("DELETE FROM samples WHERE span = ?1 AND at < ?2", (Span::TenMinutes.ms(), old))?;
            Ok(())
        })
        .await
    }

    /// The samples from `from_ms` on, with one of now at the end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn samples(&self, span: Span, from_ms: i64, now_ms: i64) -> Result<Samples, StoreError> {
        self.read(move |connection| {
            let mut list = connection
                .prepare_cached("SELECT at, name, count FROM samples WHERE span = ?1 AND at >= ?2 ORDER BY at")?;
            let rows = list.query_map((span.ms(), from_ms), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut samples = Samples::default();
            for row in rows {
                let (at_ms, name, count): (i64, String, i64) = row?;
                samples.add(at_ms, name, count);
            }
            for (name, count) in counted(connection)? {
                samples.add(now_ms, name, count);
            }
            Ok(samples)
        })
        .await
    }
}

fn is_due(connection: &Connection, span: Span, now_ms: i64) -> Result<Option<Span>, StoreError> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM samples WHERE span = ?1 AND at = ?2 AND name = ?3")?
        .query_row((span.ms(), span.begin(now_ms), DELIVERIES), |row| row.get(0))
        .optional()?;
    Ok(found.is_none().then_some(span))
}

fn take(connection: &Connection, span: Span, at_ms: i64) -> Result<(), StoreError> {
    for (name, count) in counted(connection)? {
        connection
            .prepare_cached("INSERT INTO samples (span, at, name, count) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (span, at, name) DO NOTHING")?
            .execute((span.ms(), at_ms, &name, count))?;
    }
    Ok(())
}

/// All that is sampled, as it stands. What there is none of is said by the deliveries,
/// which are in every sample.
fn counted(connection: &Connection) -> Result<BTreeMap<String, i64>, StoreError> {
    let sql = format!("SELECT name, CAST(sum(count) AS BIGINT) FROM tallies WHERE {SAMPLED} GROUP BY name");
    let mut list = connection.prepare_cached(&sql)?;
    let rows = list.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut counted: BTreeMap<String, i64> = rows.collect::<Result<_, _>>()?;
    let sql = if connection.sqlite().is_some() { NUMBERED } else { TALLIED };
    counted.insert(DELIVERIES.to_owned(), connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?);
    Ok(counted)
}

/// Counts what a job's end tells leads, in the transaction that ends it.
pub(super) fn measure(
    connection: &Connection,
    job: &ClaimedJob,
    placement: Option<&Placement>,
    settlement: &Settlement,
    now_ms: i64,
) -> Result<(), StoreError> {
    if settlement.is_end() && !matches!(settlement, Settlement::GaveUp { .. }) {
        measure_tokens(connection, job, placement)?;
    }
    let approved = job.approved.as_ref().map(|approved| approved.workflow.as_str());
    let workflow = placement.map(|placement| placement.workflow.as_str()).or(approved);
    match settlement {
        Settlement::Applied { changes } => {
            if job.kind == Kind::Ending {
                count(connection, &measure::within("latency", now_ms - job.queued_at_ms), 1)?;
            }
            let is_there = |change: &Change| matches!(change, Change::Made { .. } | Change::WithTheEnd { .. });
            if workflow == Some(SUMMARY) && job.kind != Kind::Line && changes.iter().any(is_there) {
                measure_summary(connection, job, now_ms)?;
            }
            changes.iter().try_for_each(|change| measure_change(connection, workflow, change))
        }
        // What waits for a pause, or for another job, has not failed.
        Settlement::Retry { failure, counts: true, .. } => {
            count(connection, &format!("failure/retryable/{}", failure.cause().code()), 1)
        }
        Settlement::GaveUp { failure } => measure_failed(connection, failure.cause(), 1),
        _ => Ok(()),
    }
}

/// Jobs have been given up.
pub(super) fn measure_failed(connection: &Connection, cause: Cause, jobs: i64) -> Result<(), StoreError> {
    count(connection, &format!("failure/final/{}", cause.code()), jobs)
}

/// From the start of the work to the note on the ticket; of work that another program
/// has started nobody knows the first.
fn measure_summary(connection: &Connection, job: &ClaimedJob, now_ms: i64) -> Result<(), StoreError> {
    let created: Option<i64> = connection
        .prepare_cached(
            "SELECT created_at FROM submissions WHERE resource_id = ?1 AND project = ?2 AND kind = 'response'",
        )?
        .query_row((&job.resource_id, &job.project), |row| row.get(0))
        .optional()?;
    created.map_or(Ok(()), |created_ms| count(connection, &measure::within(SUMMARY, now_ms - created_ms), 1))
}

/// A result is paid for once, however many jobs tell of it.
fn measure_tokens(connection: &Connection, job: &ClaimedJob, placement: Option<&Placement>) -> Result<(), StoreError> {
    let used = job.used().map(|tokens| tokens.clamp(0, MAX_TOKENS));
    if used == [0, 0] || was_paid_for(connection, job)? {
        return Ok(());
    }
    for (way, tokens) in ["/in", "/out"].into_iter().zip(used) {
        let name = match placement {
            // As metadata of another program name it, if it is not one of ours.
            Some(placement) => named(connection, "tokens", &placement.workflow, way)?,
            None if job.event_type.starts_with("batch.") => format!("tokens/(batches){way}"),
            None => format!("tokens/(unplaced){way}"),
        };
        count(connection, &name, tokens)?;
    }
    Ok(())
}

fn was_paid_for(connection: &Connection, job: &ClaimedJob) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM jobs WHERE resource_id = ?1 AND project = ?2 AND id <> ?3 AND state = 'processed' AND kind = 'ending'",
        )?
        .exists((&job.resource_id, &job.project, job.id()))?)
}

fn measure_change(connection: &Connection, workflow: Option<&str>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::WithTheEnd { effect: Effect::Route(route), .. } | Change::Made { effect: Effect::Route(route), .. } => {
            match &route.intent {
                Some(intent) => count(connection, &named(connection, "category", intent, "")?, 1),
                None => Ok(()),
            }
        }
        // Other workflows may set a field of the same name to anything.
        Change::WithTheEnd { effect: Effect::Fields { fields }, .. }
        | Change::Made { effect: Effect::Fields { fields }, .. }
            if workflow == Some(QUALITY_CHECK) =>
        {
            let score = fields.get("quality_score").and_then(serde_json::Value::as_f64);
            let Some(score) = score.filter(|score| (0.0..=100.0).contains(score)) else { return Ok(()) };
            count(connection, "qa/scores", 1)?;
            #[allow(clippy::cast_possible_truncation, reason = "a score is between 0 and 100")]
            count(connection, "qa/tenths", (score * 10.0).round() as i64)
        }
        _ => Ok(()),
    }
}

/// A person has set another intent than the one that a model had set.
pub(super) fn measure_override(connection: &Connection, before: &str) -> Result<(), StoreError> {
    count(connection, &named(connection, "override", before, "")?, 1)
}

/// The name under which a category or a workflow is counted. Beyond some number of
/// them, and for what is no name, all are one.
fn named(connection: &Connection, kind: &str, name: &str, rest: &str) -> Result<String, StoreError> {
    // A label, and not a sentence: what is counted outlives the ticket.
    let is_name = (1..=MAX_CATEGORY_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    let (named, other) = (format!("{kind}/{name}{rest}"), format!("{kind}/(other){rest}"));
    if !is_name {
        return Ok(other);
    }
    let (first, last) = (format!("{kind}/"), format!("{kind}0"));
    let (is_known, known): (bool, i64) = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tallies WHERE name = ?1),
                    (SELECT count(*) FROM (SELECT DISTINCT name FROM tallies WHERE name > ?2 AND name < ?3 LIMIT ?4) AS known)",
        )?
        .query_row((&named, &first, &last, CATEGORIES), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(if is_known || known < CATEGORIES { named } else { other })
}
