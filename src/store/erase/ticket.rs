//! Everything that is kept of one ticket's content goes, on request.

use std::collections::BTreeSet;

use crate::store::sql::{self, Connection, OptionalExtension};
use serde_json::json;

use super::reviews::OldReview;
use super::{erase_bodies, reviews};
use crate::store::{Store, StoreError, audit_trail, batches};

/// A request to erase one ticket's content.
#[derive(Debug, Clone)]
pub struct Erasure {
    ticket_id: String,
    actor: String,
    reason: String,
    now_ms: i64,
}

impl Erasure {
    /// None when the reason is empty, longer than 500 characters or on several lines.
    #[must_use]
    pub fn new(ticket_id: String, actor: String, reason: String, now_ms: i64) -> Option<Erasure> {
        let reason = reason.trim().to_owned();
        let is_line = !reason.is_empty() && reason.chars().count() <= 500 && !reason.chars().any(char::is_control);
        is_line.then_some(Erasure { ticket_id, actor, reason, now_ms })
    }
}

/// How many rows lost their content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// The ticket.
    pub ticket_id: String,
    /// In ms.
    pub at_ms: i64,
    /// Each kind and its rows.
    pub counts: Vec<(&'static str, usize)>,
}

/// Why nothing was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotErased {
    /// Nothing here has this ticket's id.
    Unknown,
    /// These jobs would bring content back.
    Moving(Vec<i64>),
}

impl Store {
    /// Erases the content of one ticket, wherever it is kept. Reviews of it that
    /// wait expire, approvals that no worker has begun are taken back, and lines of
    /// batches that have not been applied are left out.
    ///
    /// The old bytes may lie in the file until [`Store::scrub`].
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was erased then.
    pub async fn erase_ticket(&self, erasure: Erasure) -> Result<Result<Erased, NotErased>, StoreError> {
        self.write(move |connection| erase(connection, &erasure)).await
    }
}

fn erase(connection: &Connection, erasure: &Erasure) -> Result<Result<Erased, NotErased>, StoreError> {
    let resources = resources_of(connection, &erasure.ticket_id)?;
    let on_desk = connection
        .query_row("SELECT 1 FROM tickets WHERE id = ?1", [&erasure.ticket_id], |_| Ok(()))
        .optional()?
        .is_some();
    if !on_desk && resources.is_empty() {
        return Ok(Err(NotErased::Unknown));
    }
    let moving = moving(connection, &erasure.ticket_id, &resources)?;
    if !moving.is_empty() {
        return Ok(Err(NotErased::Moving(moving)));
    }
    let left_out = batches::leave_out(connection, &erasure.ticket_id, erasure.now_ms)?;
    let mut counts = erase_reviews(connection, erasure)?;
    counts.push(("lines_left_out", left_out));
    counts.extend(erase_work(connection, erasure, &resources)?);
    counts.extend(erase_desk(connection, &erasure.ticket_id, erasure.now_ms)?);
    let told: serde_json::Map<_, _> = counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    let detail = json!({"reason": erasure.reason, "erased": told});
    audit_trail::add(connection, &erasure.actor, "ticket.erase", &erasure.ticket_id, &detail, erasure.now_ms)?;
    Ok(Ok(Erased { ticket_id: erasure.ticket_id.clone(), at_ms: erasure.now_ms, counts }))
}

/// All resources that were made for the ticket, with their project.
fn resources_of(connection: &Connection, ticket_id: &str) -> Result<BTreeSet<(String, String)>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT project, resource_id FROM submissions WHERE ticket_id = ?1 AND resource_id IS NOT NULL
         UNION SELECT project, resource_id FROM jobs WHERE ticket_id = ?1
         UNION SELECT project, resource_id FROM reviews WHERE ticket_id = ?1
         UNION SELECT project, resource_id FROM effects WHERE ticket_id = ?1
         UNION SELECT p.project, coalesce(p.resource_id, p.id) || '/' || l.custom_id FROM batch_lines l
           JOIN batch_parts p ON p.batch_id = l.batch_id AND p.number = l.part WHERE l.ticket_id = ?1",
    )?;
    Ok(list.query_map([ticket_id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Jobs of the ticket that have not ended, but for approvals and lines of batches
/// that can be taken back.
fn moving(
    connection: &Connection,
    ticket_id: &str,
    resources: &BTreeSet<(String, String)>,
) -> Result<Vec<i64>, StoreError> {
    const MOVES: &str = "state NOT IN ('processed','failed_final') AND NOT (kind IN ('approval','line') AND state = 'queued' AND claims = 0)";
    let of = |by: &str, params: &dyn sql::ToValue, project: &str| -> Result<Vec<i64>, StoreError> {
        let sql = format!("SELECT id FROM jobs WHERE {by} = ?1 AND (?2 = '' OR project = ?2) AND {MOVES}");
        let mut list = connection.prepare_cached(&sql)?;
        Ok(list.query_map(sql::params![params, project], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let mut found: BTreeSet<i64> = of("ticket_id", &ticket_id, "")?.into_iter().collect();
    for (project, resource_id) in resources {
        found.extend(of("resource_id", resource_id, project)?);
    }
    Ok(found.into_iter().collect())
}

fn erase_reviews(connection: &Connection, erasure: &Erasure) -> Result<Vec<(&'static str, usize)>, StoreError> {
    let (mut erased, mut expired) = (0, 0);
    for review in reviews::find(connection, reviews::OF_TICKET, [&erasure.ticket_id])? {
        if review.waits || take_back(connection, &review)? {
            reviews::expire(connection, &review, &erasure.actor, erasure.now_ms)?;
            expired += 1;
        }
        erased += reviews::erase(connection, &review.id, erasure.now_ms)?;
    }
    Ok(vec![("reviews", erased), ("reviews_expired", expired)])
}

/// Takes back an approval that no worker has begun to carry out.
fn take_back(connection: &Connection, review: &OldReview) -> Result<bool, StoreError> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM jobs WHERE key = 'review/' || ?1 AND project = ?2 AND state = 'queued' AND claims = 0",
        )?
        .execute((&review.id, &review.project))?;
    Ok(gone == 1)
}

fn erase_work(
    connection: &Connection,
    erasure: &Erasure,
    resources: &BTreeSet<(String, String)>,
) -> Result<Vec<(&'static str, usize)>, StoreError> {
    let mut results = connection.prepare_cached(
        "UPDATE results SET raw = NULL, erased_at = ?3 WHERE project = ?1 AND resource_id = ?2 AND erased_at IS NULL",
    )?;
    let mut parked = connection.prepare_cached(
        "UPDATE deliveries SET body = NULL WHERE job_key IS NULL AND project = ?1 AND resource_id = ?2 AND body IS NOT NULL",
    )?;
    let (mut raws, mut bodies) = (0, 0);
    for (project, resource_id) in resources {
        raws += results.execute((project, resource_id, erasure.now_ms))?;
        bodies += erase_bodies(connection, project, resource_id)? + parked.execute((project, resource_id))?;
    }
    let effects = connection.execute(
        "UPDATE effects SET payload = NULL, state = CASE state WHEN 'applying' THEN 'dropped' ELSE state END
         WHERE ticket_id = ?1 AND payload IS NOT NULL",
        [&erasure.ticket_id],
    )?;
    Ok(vec![("results", raws), ("bodies", bodies), ("effects", effects)])
}

/// The built-in desk: who wrote when, how often and in which state stays.
fn erase_desk(connection: &Connection, id: &str, now_ms: i64) -> Result<Vec<(&'static str, usize)>, StoreError> {
    connection.execute(
        "UPDATE tickets SET subject = '', intent = NULL, tags = '[]', fields = '{}', revision = revision + 1, erased_at = ?2 WHERE id = ?1",
        (id, now_ms),
    )?;
    let messages = connection.execute("UPDATE messages SET body = '' WHERE ticket_id = ?1 AND body <> ''", [id])?;
    let drafts = connection.execute(
        "UPDATE drafts SET body = '', state = CASE state WHEN 'open' THEN 'stale' ELSE state END WHERE ticket_id = ?1 AND body <> ''",
        [id],
    )?;
    let attachments = connection.execute(
        "UPDATE attachments SET name = '', body = '' WHERE ticket_id = ?1 AND (name <> '' OR body <> '')",
        [id],
    )?;
    let changes = connection.execute(
        "UPDATE desk_changes SET before = '{}', after = '{}' WHERE ticket_id = ?1 AND (before <> '{}' OR after <> '{}')",
        [id],
    )?;
    Ok(vec![("messages", messages), ("drafts", drafts), ("attachments", attachments), ("changes", changes)])
}
