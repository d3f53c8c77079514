//! How drafts fared with the people who decide: counts and distances, no text.

use crate::store::sql::{self, Connection, Row, params};

use super::{Store, StoreError};

const DAY_MS: i64 = 86_400_000;

/// The day that all of them are counted under as well, whenever they were.
const EVER: i64 = 0;

/// How the drafts of one workflow and prompt fared.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// The workflow.
    pub workflow: String,
    /// The prompt; none when another program made it.
    pub prompt_version: Option<String>,
    /// Sent or applied as they were.
    pub kept: i64,
    /// Changed first.
    pub edited: i64,
    /// Rejected.
    pub rejected: i64,
    /// Mean edit distance of those kept or edited, 0 to 1.
    pub mean_distance: Option<f64>,
    /// The commonest reasons of rejections, as `tone 3`.
    pub reasons: Vec<(String, i64)>,
}

/// How many drafts of a day met one fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackDay {
    /// When the day begins, in ms.
    pub at_ms: i64,
    /// `kept`, `edited` or `rejected`.
    pub verdict: String,
    /// How many.
    pub count: i64,
}

impl Store {
    /// How many drafts met which fate, by day (UTC), since the day of `since_ms`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn feedback_by_day(&self, since_ms: i64) -> Result<Vec<FeedbackDay>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT day, verdict, CAST(sum(count) AS BIGINT) FROM feedback_days WHERE day >= ?1 AND day > 0
                 GROUP BY day, verdict HAVING sum(count) > 0 ORDER BY day, verdict",
            )?;
            let rows = list.query_map([since_ms.div_euclid(DAY_MS)], |row| {
                Ok(FeedbackDay { at_ms: row.get::<_, i64>(0)? * DAY_MS, verdict: row.get(1)?, count: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How drafts fared since `since_ms` (none: ever), by workflow and prompt version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn feedback(&self, since_ms: Option<i64>) -> Result<Vec<Feedback>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(COUNTED)?;
            let rows = match since_ms.map(|since| since.max(EVER)) {
                None => list.query_map((EVER, EVER, 0, 0), read)?,
                // The day that it begins on may be only a part of that day.
                Some(since) => {
                    let next_day = since / DAY_MS + i64::from(since % DAY_MS > 0);
                    list.query_map((next_day, i64::MAX, since, next_day.saturating_mul(DAY_MS)), read)?
                }
            };
            Ok(put_together(rows.collect::<Result<_, _>>()?))
        })
        .await
    }
}

const COUNTED: &str =
    "SELECT workflow, prompt_version, verdict, reason, CAST(sum(count) AS BIGINT), sum(distance) FROM (
       SELECT workflow, prompt_version, verdict, reason, count, distance FROM feedback_days WHERE day BETWEEN ?1 AND ?2
       UNION ALL
       SELECT workflow, coalesce(prompt_version, ''), verdict, coalesce(reason, ''), 1, coalesce(distance, 0.0)
         FROM feedback WHERE at >= ?3 AND at < ?4) AS counted
     GROUP BY workflow, prompt_version, verdict, reason HAVING sum(count) > 0
     ORDER BY workflow, prompt_version, CAST(sum(count) AS BIGINT) DESC, reason";

/// How many drafts of one workflow and prompt met one fate.
struct Fared {
    workflow: String,
    prompt_version: Option<String>,
    verdict: String,
    reason: String,
    count: i64,
    distance: f64,
}

fn read(row: &Row<'_>) -> sql::Result<Fared> {
    Ok(Fared {
        workflow: row.get(0)?,
        prompt_version: Some(row.get::<_, String>(1)?).filter(|version| !version.is_empty()),
        verdict: row.get(2)?,
        reason: row.get(3)?,
        count: row.get(4)?,
        distance: row.get(5)?,
    })
}

fn put_together(fared: Vec<Fared>) -> Vec<Feedback> {
    let mut all: Vec<Feedback> = Vec::new();
    let mut distance = 0.0;
    for one in fared {
        if all.last().is_none_or(|last| (&last.workflow, &last.prompt_version) != (&one.workflow, &one.prompt_version))
        {
            distance = 0.0;
            all.push(Feedback {
                workflow: one.workflow,
                prompt_version: one.prompt_version,
                kept: 0,
                edited: 0,
                rejected: 0,
                mean_distance: None,
                reasons: Vec::new(),
            });
        }
        let Some(last) = all.last_mut() else { continue };
        match one.verdict.as_str() {
            "kept" => last.kept += one.count,
            "edited" => last.edited += one.count,
            _ => last.rejected += one.count,
        }
        if !one.reason.is_empty() {
            last.reasons.push((one.reason, one.count));
        }
        distance += one.distance;
        let sent = last.kept + last.edited;
        last.mean_distance = (sent > 0).then(|| distance / sent as f64);
    }
    all
}

/// What somebody decided about a draft.
pub(super) struct Verdict<'a> {
    pub(super) review: &'a str,
    pub(super) workflow: &'a str,
    pub(super) prompt_version: Option<&'a str>,
    pub(super) verdict: &'static str,
    pub(super) distance: Option<f64>,
    pub(super) reason: Option<&'a str>,
    pub(super) actor: &'a str,
}

/// Writes it down, once a review.
pub(super) fn add(connection: &Connection, verdict: &Verdict<'_>, now_ms: i64) -> Result<(), StoreError> {
    let added = connection
        .prepare_cached(
            "INSERT INTO feedback (review_id, workflow, prompt_version, verdict, distance, reason, actor, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (review_id) DO NOTHING",
        )?
        .execute(params![
            verdict.review,
            verdict.workflow,
            verdict.prompt_version,
            verdict.verdict,
            verdict.distance,
            verdict.reason,
            verdict.actor,
            now_ms
        ])?;
    if added == 0 {
        return Ok(());
    }
    for day in [EVER, now_ms.div_euclid(DAY_MS)] {
        connection
            .prepare_cached(
                "INSERT INTO feedback_days (day, workflow, prompt_version, verdict, reason, count, distance) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
                 ON CONFLICT (day, workflow, prompt_version, verdict, reason)
                 DO UPDATE SET count = feedback_days.count + 1, distance = feedback_days.distance + excluded.distance",
            )?
            .execute(params![
                day,
                verdict.workflow,
                verdict.prompt_version.unwrap_or_default(),
                verdict.verdict,
                verdict.reason.unwrap_or_default(),
                verdict.distance.unwrap_or(0.0)
            ])?;
    }
    Ok(())
}

/// The decision was taken back.
pub(super) fn remove(connection: &Connection, review: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE feedback_days SET count = feedback_days.count - 1, distance = feedback_days.distance - coalesce(gone.distance, 0.0)
             FROM (SELECT * FROM feedback WHERE review_id = ?1) AS gone
             WHERE feedback_days.day IN (?3, gone.at / ?2) AND feedback_days.workflow = gone.workflow
               AND feedback_days.prompt_version = coalesce(gone.prompt_version, '')
               AND feedback_days.verdict = gone.verdict AND feedback_days.reason = coalesce(gone.reason, '')",
        )?
        .execute((review, DAY_MS, EVER))?;
    connection.prepare_cached("DELETE FROM feedback WHERE review_id = ?1")?.execute([review])?;
    Ok(())
}
