//! What goes of a review, and when: once nothing can happen to it any more, or
//! once its time is over. One that nobody has decided by then expires.

use std::collections::BTreeMap;

use crate::store::sql::{self, Connection};
use serde_json::json;

use super::by_age::{STEP as STEP_ROWS, Step, Stepped};
use crate::store::{StoreError, alerts, audit_trail};

const REVIEW_EXPIRED: &str = "review_expired";

/// Whether nothing can happen any more to what was decided. `{busy}` says of an
/// approval's job that it still needs the content.
macro_rules! review_is_over {
    ($busy:literal) => {
        concat!(
            "(state IN ('stale','expired') OR (state = 'rejected' AND coalesce(undo_until, 0) <= ?1)
              OR (state = 'approved' AND NOT EXISTS (
                   SELECT 1 FROM jobs j WHERE j.key = 'review/' || reviews.id AND j.project = reviews.project AND ",
            $busy,
            ")))"
        )
    };
}

/// What the rest reads: id, whether somebody still waits for it, project. An
/// approval that failed waits to be tried again.
macro_rules! of_reviews {
    ($by:literal) => {
        concat!(
            "SELECT id, state IN ('open','claimed') OR (state = 'approved' AND EXISTS (
               SELECT 1 FROM jobs j WHERE j.key = 'review/' || reviews.id AND j.project = reviews.project AND j.state = 'failed_final')), project
             FROM reviews ",
            $by,
            " WHERE "
        )
    };
}

// Looked for every minute by the one that writes: by state it would walk all that were ever decided.
const OLD: &str = concat!(
    of_reviews!("INDEXED BY reviews_unerased"),
    "erased_at IS NULL AND created_at < ?2 AND (state IN ('open','claimed') OR ",
    review_is_over!("j.state NOT IN ('processed','failed_final')"),
    ") ORDER BY created_at LIMIT ?3"
);

/// An approval that failed may be tried again, and needs its text until then.
const DONE: &str = concat!(
    of_reviews!("INDEXED BY reviews_unerased_project"),
    "erased_at IS NULL AND project IN (SELECT value FROM json_each(?2)) AND ",
    review_is_over!("NOT (j.state = 'processed' OR j.outcome IS NOT DISTINCT FROM 'discarded')"),
    " LIMIT ?3"
);

pub(super) const OF_TICKET: &str = concat!(of_reviews!(""), "ticket_id = ?1 AND erased_at IS NULL");

pub(super) const DONE_OF_RESOURCE: &str = concat!(
    of_reviews!(""),
    "resource_id = ?2 AND project = ?3 AND erased_at IS NULL AND ",
    review_is_over!("NOT (j.state = 'processed' OR j.outcome IS NOT DISTINCT FROM 'discarded')"),
);

pub(super) fn erase_old(connection: &Connection, step: &Step) -> Result<Stepped, StoreError> {
    let mut found = find(connection, OLD, (step.now_ms, step.before_ms, STEP_ROWS))?;
    let more = i64::try_from(found.len()).unwrap_or(STEP_ROWS) == STEP_ROWS;
    if !step.ids_only.is_empty() {
        found.extend(find(connection, DONE, (step.now_ms, json!(step.ids_only).to_string(), STEP_ROWS))?);
    }
    let mut expired: BTreeMap<&str, usize> = BTreeMap::new();
    let mut erased = 0;
    for review in &found {
        if review.waits {
            expire(connection, review, "frontdesk", step.now_ms)?;
            *expired.entry(&review.project).or_default() += 1;
        }
        erased += erase(connection, &review.id, step.now_ms)?;
    }
    for (project, count) in &expired {
        let detail = format!("{count} reviews that nobody had decided expired: the time to keep their content is over");
        alerts::notice(connection, REVIEW_EXPIRED, project, &detail, step.now_ms)?;
    }
    Ok(Stepped { erased, expired: expired.values().sum(), more })
}

/// A review that is about to lose its content.
pub(super) struct OldReview {
    pub(super) id: String,
    pub(super) waits: bool,
    pub(super) project: String,
}

pub(super) fn find(connection: &Connection, sql: &str, params: impl sql::Params) -> Result<Vec<OldReview>, StoreError> {
    let mut list = connection.prepare_cached(sql)?;
    let read = |row: &sql::Row<'_>| Ok(OldReview { id: row.get(0)?, waits: row.get(1)?, project: row.get(2)? });
    Ok(list.query_map(params, read)?.collect::<Result<_, _>>()?)
}

/// Nobody can decide it any more.
pub(super) fn expire(connection: &Connection, review: &OldReview, actor: &str, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE drafts SET state = 'stale' WHERE state = 'open' AND ref = (SELECT draft_ref FROM reviews WHERE id = ?1)",
        )?
        .execute([&review.id])?;
    connection
        .prepare_cached(
            "UPDATE reviews SET state = 'expired', version = version + 1, claimed_by = NULL, claimed_until = NULL WHERE id = ?1",
        )?
        .execute([&review.id])?;
    audit_trail::add(connection, actor, "review.expire", &review.id, &json!({}), now_ms)
}

/// Takes the content out of a review. Of a rejection's reason the code stays;
/// other words of a person go.
pub(super) fn erase(connection: &Connection, id: &str, now_ms: i64) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(
            "UPDATE reviews SET output = NULL, proposed = '[]', effects = '[]', reply = NULL, ticket = NULL, text = NULL, undo_until = NULL,
                    route = NULL, decision_reason = CASE WHEN state = 'rejected' THEN substr(decision_reason, 1, instr(decision_reason || ':', ':') - 1) END,
                    erased_at = ?2
             WHERE id = ?1 AND erased_at IS NULL",
        )?
        .execute((id, now_ms))?)
}
