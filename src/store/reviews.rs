//! Results set aside for a person.

use crate::store::sql::{self, Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::page::end_of_walk;
use super::row::{json, next_seq, to_json};
use super::{ClaimedJob, Page, PageRequest, Store, StoreError};
use crate::domain::decision::{Hold, Match};
use crate::domain::effect::Slot;
use crate::domain::review::State;
use crate::domain::submission::Placement;
use crate::domain::ticket::{Seen, Ticket};

/// What a person will see of a held result.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReview {
    /// `rev_…`
    pub id: String,
    /// What is held, and why.
    pub hold: Hold,
    /// The draft that lies on the ticket meanwhile, by its reference.
    pub draft_ref: Option<String>,
    /// The ticket as it was; none when it could not be placed.
    pub ticket: Option<Ticket>,
    /// Where a text of the reviewer's own would go.
    pub text_slot: Option<Slot>,
    /// The policy that decided.
    pub policy_version: Option<i64>,
}

impl NewReview {
    /// A review of what is held, with nothing known of a ticket.
    #[must_use]
    pub fn of(id: impl Into<String>, hold: Hold) -> NewReview {
        NewReview { id: id.into(), hold, draft_ref: None, ticket: None, text_slot: None, policy_version: None }
    }
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
    /// Why it was rejected or escalated.
    pub decision_reason: Option<String>,
    /// Until when the decision can be taken back, in ms.
    pub undo_until_ms: Option<i64>,
    /// The text as a person changed or wrote it.
    pub text: Option<String>,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// One, or two different people.
    pub approvals_needed: i64,
    /// Who has approved it already, of two.
    pub first_approved_by: Option<String>,
    /// Who handed it to the leads.
    pub escalated_by: Option<String>,
    /// Why it no longer fits.
    pub stale_reason: Option<String>,
    /// The rules of the policy that hit.
    pub matches: Vec<Match>,
    /// The policy that decided.
    pub policy_version: Option<i64>,
    /// The prompt that made it.
    pub prompt_version: Option<String>,
    /// The ticket as it was.
    pub ticket: Option<Ticket>,
    /// When its content was erased, in ms.
    pub erased_at_ms: Option<i64>,
}

impl Store {
    /// Reviews, newest first; of one state, ticket or reason when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reviews(
        &self,
        state: Option<State>,
        ticket: Option<String>,
        reason: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Review>, StoreError> {
        let state = state.map(State::word);
        self.read(move |connection| {
            let asked = Asked { ticket: ticket.as_deref(), state, reason: reason.as_deref() };
            let walk = asked.walk();
            let end = match walk {
                Some((column, first)) if asked.left() > 1 => {
                    let sql = format!(
                        "SELECT seq FROM reviews INDEXED BY reviews_{column} WHERE {} = ?2 AND seq < ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?3",
                        column_of(column)
                    );
                    end_of_walk(connection, &sql, page.before(), Some(first))?
                }
                _ => 1,
            };
            let reviews = list(connection, &asked, walk.map(|(column, _)| column), end, page)?;
            Ok(page.of_stretch(reviews, end, |review| review.seq))
        })
        .await
    }

    /// One review.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn review(&self, id: String) -> Result<Option<Review>, StoreError> {
        self.read(move |connection| one(connection, &id)).await
    }

    /// The review of a resource and where it stands, if a person was ever asked
    /// about it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn review_of(&self, project: String, resource_id: String) -> Result<Option<(String, State)>, StoreError> {
        self.look_up(move |connection| {
            let found: Option<(String, String)> = connection
                .prepare_cached("SELECT id, state FROM reviews WHERE resource_id = ?1 AND project = ?2")?
                .query_row((&resource_id, &project), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let wrong = StoreError::Corrupt { table: "reviews", column: "state" };
            found.map(|(id, word)| Ok((id, State::parse(&word).ok_or(wrong)?))).transpose()
        })
        .await
    }

    /// Reviews that nobody has decided and that were opened before this time, in
    /// ms: of each project how many, and since when the oldest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reviews_waiting_since(&self, before_ms: i64) -> Result<Vec<(String, i64, i64)>, StoreError> {
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT project, count(*), min(created_at) FROM reviews INDEXED BY reviews_waiting
                 WHERE state IN ('open','claimed') AND created_at < ?1 GROUP BY project ORDER BY project",
            )?;
            let rows = list.query_map([before_ms], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Which reviews are asked for.
struct Asked<'a> {
    ticket: Option<&'a str>,
    state: Option<&'a str>,
    reason: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// The index that has the fewest rows besides those asked for, by the end of its
    /// name, and the value of its first column.
    fn walk(&self) -> Option<(&'static str, &'a str)> {
        let by_ticket = self.ticket.map(|ticket| ("ticket", ticket));
        let by_state = self.state.map(|state| ("state", state));
        by_ticket.or(by_state).or(self.reason.map(|reason| ("reason", reason)))
    }

    /// How many things are asked.
    fn left(&self) -> usize {
        [self.ticket, self.state, self.reason].into_iter().flatten().count()
    }
}

fn column_of(index: &str) -> &'static str {
    match index {
        "ticket" => "ticket_id",
        "state" => "state",
        _ => "reason",
    }
}

fn list(
    connection: &Connection,
    asked: &Asked<'_>,
    walk: Option<&str>,
    end: i64,
    page: PageRequest,
) -> Result<Vec<Review>, StoreError> {
    // Only a plain comparison walks an index.
    let given = |column: &str, place: &str, given: bool| {
        if given { format!("{column} = {place}") } else { format!("{place} IS NULL") }
    };
    let index = walk.map(|walk| format!("INDEXED BY reviews_{walk}")).unwrap_or_default();
    let sql = format!(
        "SELECT * FROM reviews {index} WHERE seq < ?1 AND seq >= ?2 AND {} AND {} AND {} ORDER BY seq DESC LIMIT ?3",
        given("ticket_id", "?4", asked.ticket.is_some()),
        given("state", "?5", asked.state.is_some()),
        given("reason", "?6", asked.reason.is_some()),
    );
    let limit = page.limit_and_one();
    read_rows(connection, &sql, params![page.before(), end, limit, asked.ticket, asked.state, asked.reason])
}

/// The reviews that `sql` selects, whole.
pub(super) fn read_rows(
    connection: &Connection,
    sql: &str,
    params: &[&dyn sql::ToValue],
) -> Result<Vec<Review>, StoreError> {
    let rows = connection.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(Raw::open).collect()
}

pub(super) fn one(connection: &Connection, id: &str) -> Result<Option<Review>, StoreError> {
    connection
        .prepare_cached("SELECT * FROM reviews WHERE id = ?1")?
        .query_row([id], read)
        .optional()?
        .map(Raw::open)
        .transpose()
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
    let hold = &review.hold;
    connection
        .prepare_cached(
            "INSERT INTO reviews (id, seq, reason, detail, topics, project, ticket_id, resource_id, workflow, job_id, proposed, output, created_at,
                                  effects, reply, draft_ref, ticket, seen, text_slot, prompt_version, policy_version, matches, reviewers,
                                  approvals_needed, undo_ms, made_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)
             ON CONFLICT (resource_id, project) DO NOTHING",
        )?
        .execute(params![
            review.id,
            next_seq(connection, "reviews")?,
            hold.reason.code(),
            hold.detail,
            to_json(&hold.topics)?,
            job.project,
            placement.map(|placement| &placement.ticket_id),
            job.resource_id,
            placement.map(|placement| &placement.workflow),
            job.id(),
            to_json(&proposed(hold))?,
            hold.output,
            now_ms,
            to_json(&hold.effects)?,
            hold.reply,
            review.draft_ref,
            review.ticket.as_ref().filter(|_| !job.forgets()).map(to_json).transpose()?,
            review.ticket.as_ref().map(|ticket| to_json(&Seen::of(ticket))).transpose()?,
            review.text_slot.map(Slot::word),
            placement.and_then(|placement| placement.prompt_version.as_ref()),
            review.policy_version,
            to_json(&hold.matches)?,
            to_json(&hold.reviewers)?,
            hold.approvals_needed,
            hold.undo_ms,
            placement.and_then(|placement| placement.made_at_ms),
        ])?;
    Ok(())
}

fn proposed(hold: &Hold) -> Vec<Proposed> {
    hold.proposed().into_iter().map(|(slot, text)| Proposed { slot, text }).collect()
}

/// Reviews of one ticket or resource.
pub(super) fn of(connection: &Connection, sql: &str, id: &str) -> Result<Vec<Review>, StoreError> {
    read_rows(connection, sql, params![id])
}

/// A row whose JSON columns have not been read yet.
struct Raw {
    review: Review,
    topics: String,
    proposed: String,
    reviewers: String,
    matches: String,
    ticket: Option<String>,
}

impl Raw {
    fn open(self) -> Result<Review, StoreError> {
        Ok(Review {
            topics: json(&self.topics, "reviews", "topics")?,
            proposed: json(&self.proposed, "reviews", "proposed")?,
            reviewers: json(&self.reviewers, "reviews", "reviewers")?,
            matches: json(&self.matches, "reviews", "matches")?,
            ticket: self.ticket.as_deref().map(|ticket| json(ticket, "reviews", "ticket")).transpose()?,
            ..self.review
        })
    }
}

fn read(row: &Row<'_>) -> sql::Result<Raw> {
    Ok(Raw {
        topics: row.get("topics")?,
        proposed: row.get("proposed")?,
        reviewers: row.get("reviewers")?,
        matches: row.get("matches")?,
        ticket: row.get("ticket")?,
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
            decision_reason: row.get("decision_reason")?,
            undo_until_ms: row.get("undo_until")?,
            text: row.get("text")?,
            reviewers: Vec::new(),
            approvals_needed: row.get("approvals_needed")?,
            first_approved_by: row.get("first_approved_by")?,
            escalated_by: row.get("escalated_by")?,
            stale_reason: row.get("stale_reason")?,
            matches: Vec::new(),
            policy_version: row.get("policy_version")?,
            prompt_version: row.get("prompt_version")?,
            ticket: None,
            erased_at_ms: row.get("erased_at")?,
        },
    })
}
