//! How drafts fared with the people who decide: counts and distances, no text.

use crate::store::sql::{self, Row};

use super::{Store, StoreError};

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

impl Store {
    /// How drafts fared since `since_ms` (none: ever), by workflow and prompt version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn feedback(&self, since_ms: Option<i64>) -> Result<Vec<Feedback>, StoreError> {
        self.read(move |connection| {
            let since = since_ms.unwrap_or(i64::MIN);
            let mut list = connection.prepare_cached(
                "SELECT workflow, prompt_version, count(*) FILTER (WHERE verdict = 'kept'), count(*) FILTER (WHERE verdict = 'edited'),
                        count(*) FILTER (WHERE verdict = 'rejected'), avg(distance)
                 FROM feedback WHERE at >= ?1 GROUP BY workflow, prompt_version ORDER BY workflow, prompt_version NULLS FIRST",
            )?;
            let mut all = list.query_map([since], read)?.collect::<Result<Vec<_>, _>>()?;
            let mut reasons = connection.prepare_cached(
                "SELECT reason, count(*) FROM feedback
                 WHERE at >= ?1 AND workflow = ?2 AND prompt_version IS NOT DISTINCT FROM ?3 AND reason IS NOT NULL GROUP BY reason ORDER BY 2 DESC, 1",
            )?;
            for one in &mut all {
                one.reasons = reasons
                    .query_map((since, &one.workflow, &one.prompt_version), |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
            }
            Ok(all)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> sql::Result<Feedback> {
    Ok(Feedback {
        workflow: row.get(0)?,
        prompt_version: row.get(1)?,
        kept: row.get(2)?,
        edited: row.get(3)?,
        rejected: row.get(4)?,
        mean_distance: row.get(5)?,
        reasons: Vec::new(),
    })
}
