//! What people see of submissions, and what they may do about one that hangs.

use crate::store::sql::{self, Connection, OptionalExtension, Row};
use serde_json::json;

use super::batches::Said;
use super::page::{LOOKED_AT, numbers, stretch};
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
            let (state, ticket) = (state.map(State::word), ticket.as_deref());
            // A ticket has few, and its index has them in the order of the list.
            let found = match (ticket, state) {
                (Some(_), _) => walk(connection, OF_TICKET, state, ticket, 1, page)?,
                (None, None) => walk(connection, ALL, state, ticket, 1, page)?,
                (None, Some("refused")) => walk(connection, REFUSED, state, ticket, 1, page)?,
                (None, Some(word)) => match waiting_in(connection, word)? {
                    Some(picked) => return pick(connection, picked, page),
                    None => {
                        let end = stretch(connection, "SELECT max(seq) FROM submissions", page.before())?;
                        let found = walk(connection, ALL, state, ticket, end, page)?;
                        return Ok(without_numbers(page.of_stretch(found, end, |(seq, _)| *seq)));
                    }
                },
            };
            Ok(without_numbers(page.of_stretch(found, 1, |(seq, _)| *seq)))
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

/// An index, and what it is of.
type Walk = (&'static str, &'static str);

const ALL: Walk = ("", "?5 IS NULL");
const OF_TICKET: Walk = ("INDEXED BY submissions_ticket", "ticket_id = ?5");
const REFUSED: Walk = ("INDEXED BY submissions_refused", "state = 'refused' AND ?5 IS NULL");

/// A submission with its place in the order.
type Numbered = (i64, Submission);

fn walk(
    connection: &Connection,
    (index, of): Walk,
    state: Option<&str>,
    ticket: Option<&str>,
    end: i64,
    page: PageRequest,
) -> Result<Vec<Numbered>, StoreError> {
    let mut list = connection.prepare_cached(&format!(
        "SELECT * FROM submissions {index} WHERE {of} AND seq < ?1 AND seq >= ?2 AND (?3 IS NULL OR state = ?3)
         ORDER BY seq DESC LIMIT ?4"
    ))?;
    let rows = list.query_map((page.before(), end, state, page.limit_and_one(), ticket), numbered)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A page of submissions that are known by number.
fn pick(connection: &Connection, picked: Vec<i64>, page: PageRequest) -> Result<Page<Submission>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT submissions.* FROM (SELECT CAST(value AS BIGINT) AS seq FROM json_each(?1)) AS picked
           JOIN submissions ON submissions.seq = picked.seq ORDER BY submissions.seq DESC",
    )?;
    let rows = list.query_map([numbers(&page.of_numbers(picked))], numbered)?;
    Ok(without_numbers(page.of_stretch(rows.collect::<Result<_, _>>()?, 1, |(seq, _)| *seq)))
}

/// The submissions in a state that waits for something, when they are few. Those
/// that move share an index.
fn waiting_in(connection: &Connection, word: &str) -> Result<Option<Vec<i64>>, StoreError> {
    let index = match word {
        "ended" => return Ok(None),
        "lost" => "submissions_lost WHERE state = 'lost'",
        _ => "submissions_open WHERE state IN ('planned','starting','started','unknown')",
    };
    let sql = format!("SELECT seq, state FROM submissions INDEXED BY {index} LIMIT ?1");
    let found: Vec<(i64, String)> = connection
        .prepare_cached(&sql)?
        .query_map([LOOKED_AT + 1], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let is_few = i64::try_from(found.len()).is_ok_and(|found| found <= LOOKED_AT);
    Ok(is_few.then(|| found.into_iter().filter(|(_, state)| state == word).map(|(seq, _)| seq).collect()))
}

fn numbered(row: &Row<'_>) -> sql::Result<Numbered> {
    Ok((row.get("seq")?, ledger::read(row)?))
}

fn without_numbers(page: Page<Numbered>) -> Page<Submission> {
    Page { items: page.items.into_iter().map(|(_, submission)| submission).collect(), next: page.next }
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
