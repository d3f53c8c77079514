//! What people see of submissions, and what they may do about one that hangs.

use crate::store::sql::{Connection, OptionalExtension};
use serde_json::json;

use super::batches::Said;
use super::{Page, PageRequest, Store, StoreError, Submission, audit_trail, batches, ledger};
use crate::domain::submission::State;

/// What a person's `close` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is closed.
    Done,
    /// It has ended, or it still moves within its deadline.
    NotHanging,
}

impl Store {
    /// Submissions, newest first; of one state or ticket when given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn submissions(
        &self,
        state: Option<State>,
        ticket: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Submission>, StoreError> {
        self.read(move |connection| {
            // Two statements, because only a plain comparison walks the index.
            let of_ticket = if ticket.is_some() { "ticket_id = ?3" } else { "?3 IS NULL" };
            let mut list = connection.prepare_cached(&format!(
                "SELECT * FROM submissions
                 WHERE {of_ticket} AND seq < ?1 AND (?2 IS NULL OR state = ?2) ORDER BY seq DESC LIMIT ?4"
            ))?;
            let rows = list
                .query_map((page.before(), state.map(State::word), &ticket, page.limit_and_one()), |row| {
                    Ok((row.get::<_, i64>("seq")?, ledger::read(row)?))
                })?
                .collect::<Result<_, _>>()?;
            let (items, next) = page.cut(rows, |(seq, _)| *seq);
            Ok(Page { items: items.into_iter().map(|(_, submission)| submission).collect(), next })
        })
        .await
    }

    /// A person closes a submission that hangs. A late webhook is still worked. A
    /// batch goes on without a part that was closed.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such submission.
    pub async fn close_submission(
        &self,
        id: String,
        actor: String,
        reason: String,
        now_ms: i64,
    ) -> Result<Closed, StoreError> {
        self.write(move |connection| {
            let (state, is_overdue) = standing(connection, &id, now_ms)?;
            if !state.may_be_closed(is_overdue) {
                return Ok(Closed::NotHanging);
            }
            connection.execute(
                "UPDATE submissions SET error_detail = coalesce(error_detail || '; ', '') || ?2 WHERE id = ?1",
                (&id, format!("closed by {actor}: {reason}")),
            )?;
            ledger::end(connection, &id, None, now_ms)?;
            batches::part_given_up(connection, &id, &Said { actor: &actor, reason: &reason }, now_ms)?;
            audit_trail::add(connection, &actor, "submission.close", &id, &json!({"state": state.word()}), now_ms)?;
            Ok(Closed::Done)
        })
        .await
    }
}

fn standing(connection: &Connection, id: &str, now_ms: i64) -> Result<(State, bool), StoreError> {
    let (word, is_overdue): (String, bool) = connection
        .query_row("SELECT state, deadline_at <= ?2 FROM submissions WHERE id = ?1", (id, now_ms), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
        .ok_or(StoreError::Missing("submission"))?;
    let state = State::parse(&word).ok_or(StoreError::Corrupt { table: "submissions", column: "state" })?;
    Ok((state, is_overdue))
}
