//! Drafts of reviews: on the built-in desk, and those of helpdesks outside that have
//! drafts of their own.

use super::Row;
use crate::domain::effect::Effect;
use crate::store::StoreError;
use crate::store::row::json as from_json;
use crate::store::sql::{Connection, OptionalExtension, params};

/// The event of a job that takes a helpdesk's own draft away.
pub(in crate::store) const DRAFT_OVER: &str = "review.draft_over";

/// A draft that waits in a helpdesk outside and is not wanted there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftOver {
    /// The ticket it is on.
    pub ticket_id: String,
    /// `fd_…`
    pub reference: String,
    /// What we wrote; empty when that has been erased here.
    pub text: String,
}

pub(super) fn set_draft(
    connection: &Connection,
    reference: Option<&str>,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    if let Some(reference) = reference {
        connection
            .prepare_cached("UPDATE drafts SET state = ?3 WHERE ref = ?1 AND state = ?2")?
            .execute((reference, from, to))?;
    }
    Ok(())
}

/// A draft that waits in a helpdesk outside as one of its own is over: a job takes it
/// away there. What was written as a note stays, as a record.
pub(super) fn take_draft_away(connection: &Connection, row: &Row, at_ms: i64, now_ms: i64) -> Result<(), StoreError> {
    let Some(reference) = &row.draft_ref else { return Ok(()) };
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at, ticket_id, workflow)
             SELECT ?1, 'draft/' || ?2, 'approval', ?3, ?4, 'queued', ?5, ?5, ?6, ?5, ?7, ?8
             WHERE EXISTS (SELECT 1 FROM effects WHERE ref = ?9 AND state = 'applied' AND external_id LIKE 'draft/%')
               AND NOT EXISTS (SELECT 1 FROM drafts WHERE ref = ?9)
             ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute(params![
            row.project,
            row.review.id,
            DRAFT_OVER,
            row.resource_id,
            now_ms,
            at_ms,
            row.ticket_id,
            row.workflow,
            reference
        ])?;
    Ok(())
}

/// The draft waits again. What a worker has taken away already waits in Frontdesk alone.
pub(super) fn leave_draft(connection: &Connection, row: &Row) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM jobs WHERE key = 'draft/' || ?1 AND project = ?2 AND state = 'queued' AND claims = 0",
        )?
        .execute((&row.review.id, &row.project))?;
    Ok(())
}

/// What a helpdesk's own draft is known by. None when nothing is left of it here.
pub(in crate::store) fn draft_over(connection: &Connection, review: &str) -> Result<Option<DraftOver>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT effects.ticket_id, ref, payload FROM reviews JOIN effects ON effects.ref = reviews.draft_ref WHERE reviews.id = ?1",
        )?
        .query_row([review], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?)))
        .optional()?;
    let Some((ticket_id, reference, payload)) = found else { return Ok(None) };
    let effect: Option<Effect> = payload.map(|payload| from_json(&payload, "effects", "payload")).transpose()?;
    let text = effect.map(|effect| effect.in_words()).unwrap_or_default();
    Ok(Some(DraftOver { ticket_id, reference, text }))
}

/// The workflows of drafts for a ticket that wait for a person.
pub(in crate::store) fn waiting_drafts(connection: &Connection, ticket_id: &str) -> Result<Vec<String>, StoreError> {
    let mut drafts = connection.prepare_cached(
        "SELECT DISTINCT workflow FROM reviews
         WHERE ticket_id = ?1 AND text_slot = 'reply' AND workflow IS NOT NULL AND state IN ('open','claimed','approved')",
    )?;
    Ok(drafts.query_map([ticket_id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
