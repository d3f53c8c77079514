//! Results set aside for a person.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::row::{json, next_seq, to_json};
use super::{ClaimedJob, Page, PageRequest, Store, StoreError};
use crate::domain::hold::HoldReason;
use crate::domain::submission::Placement;

/// What a person will see of a held result.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReview {
    /// `rev_…`
    pub id: String,
    /// Why it is held.
    pub reason: HoldReason,
    /// One line in our words.
    pub detail: String,
    /// Sensitive topics found.
    pub topics: Vec<String>,
    /// What would be done.
    pub proposed: Vec<Proposed>,
    /// The model's words, as they came.
    pub output: Option<String>,
}

/// One change that waits for approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// `reply`, `note`, `route`…
    pub slot: String,
    /// What would be written, as a person reads it.
    pub text: String,
}

/// A review as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// `rev_…`
    pub id: String,
    /// Its place in the order of making.
    pub seq: i64,
    /// Goes up with every action.
    pub version: i64,
    /// `open`, `claimed`, `approved`, `rejected`, `stale` or `expired`.
    pub state: String,
    /// Why it is held.
    pub reason: String,
    /// One line in our words.
    pub detail: String,
    /// Sensitive topics found.
    pub topics: Vec<String>,
    /// The OpenAI project.
    pub project: String,
    /// None when the result could not be placed.
    pub ticket_id: Option<String>,
    /// The resource it came from.
    pub resource_id: String,
    /// None when the result could not be placed.
    pub workflow: Option<String>,
    /// What would be done.
    pub proposed: Vec<Proposed>,
    /// The model's words, as they came.
    pub output: Option<String>,
    /// In ms.
    pub created_at_ms: i64,
    /// Who has it open.
    pub claimed_by: Option<String>,
    /// Until when, in ms.
    pub claimed_until_ms: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When, in ms.
    pub decided_at_ms: Option<i64>,
}

impl Store {
    /// Reviews, newest first; of one state when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reviews(&self, state: Option<String>, page: PageRequest) -> Result<Page<Review>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT * FROM reviews WHERE seq < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY seq DESC LIMIT ?3",
            )?;
            let rows =
                list.query_map((page.before(), &state, page.limit_and_one()), read)?.collect::<Result<Vec<_>, _>>()?;
            let reviews = rows.into_iter().map(Raw::open).collect::<Result<Vec<_>, _>>()?;
            let (items, next) = page.cut(reviews, |review| review.seq);
            Ok(Page { items, next })
        })
        .await
    }

    /// One review.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn review(&self, id: String) -> Result<Option<Review>, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT * FROM reviews WHERE id = ?1")?
                .query_row([&id], read)
                .optional()?
                .map(Raw::open)
                .transpose()
        })
        .await
    }
}

/// Opens a review for a held job. One resource is reviewed once, however many
/// events told of it.
pub(super) fn open(
    connection: &Connection,
    job: &ClaimedJob,
    placement: Option<&Placement>,
    review: &NewReview,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO reviews (id, seq, reason, detail, topics, project, ticket_id, resource_id, workflow, job_id, proposed, output, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (resource_id, project) DO NOTHING",
        )?
        .execute(params![
            review.id,
            next_seq(connection, "reviews")?,
            review.reason.code(),
            review.detail,
            to_json(&review.topics)?,
            job.project,
            placement.map(|placement| &placement.ticket_id),
            job.resource_id,
            placement.map(|placement| &placement.workflow),
            job.id(),
            to_json(&review.proposed)?,
            review.output,
            now_ms,
        ])?;
    Ok(())
}

/// Reviews of one ticket or resource.
pub(super) fn of(connection: &Connection, sql: &str, id: &str) -> Result<Vec<Review>, StoreError> {
    let rows = connection.prepare_cached(sql)?.query_map([id], read)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(Raw::open).collect()
}

/// A row whose JSON columns have not been read yet.
struct Raw {
    review: Review,
    topics: String,
    proposed: String,
}

impl Raw {
    fn open(self) -> Result<Review, StoreError> {
        Ok(Review {
            topics: json(&self.topics, "reviews", "topics")?,
            proposed: json(&self.proposed, "reviews", "proposed")?,
            ..self.review
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        topics: row.get("topics")?,
        proposed: row.get("proposed")?,
        review: Review {
            id: row.get("id")?,
            seq: row.get("seq")?,
            version: row.get("version")?,
            state: row.get("state")?,
            reason: row.get("reason")?,
            detail: row.get("detail")?,
            topics: Vec::new(),
            project: row.get("project")?,
            ticket_id: row.get("ticket_id")?,
            resource_id: row.get("resource_id")?,
            workflow: row.get("workflow")?,
            proposed: Vec::new(),
            output: row.get("output")?,
            created_at_ms: row.get("created_at")?,
            claimed_by: row.get("claimed_by")?,
            claimed_until_ms: row.get("claimed_until")?,
            decided_by: row.get("decided_by")?,
            decided_at_ms: row.get("decided_at")?,
        },
    })
}
