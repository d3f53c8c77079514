//! What a helpdesk outside tells us, each once, and the work that it starts: planned
//! in the same transaction, so that neither a crash nor a second telling starts
//! twice or not at all.

use std::collections::BTreeMap;

use crate::store::sql::{self, Connection, OptionalExtension, Row, params};

use super::starts::{self, NewStart};
use super::{Store, StoreError, alerts, deciding, marks};
use crate::domain::id::effect_ref;
use crate::domain::submission::{Kind, Patience};
use crate::domain::ticket::WROTE_AGAIN;

/// The alert for what was told and started nothing, because of a limit.
pub const STARTS_CAPPED: &str = "starts_capped";

/// How long what was told is remembered, in ms: longer than any helpdesk tells again.
const KEPT_MS: i64 = 30 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// Work waits so many times the time to settle at most, however much goes on.
const SETTLES_AT_MOST: i64 = 10;
/// The name under which stands how far the helpdesk has been asked.
const ASKED: &str = "helpdesk/asked";

/// What starts what, and how much of it.
#[derive(Debug, Clone)]
pub struct Starts {
    /// The OpenAI project.
    pub project: String,
    /// The workflow, by what happened.
    pub workflows: BTreeMap<&'static str, String>,
    /// What happened when a customer writes: a draft that waits is made anew.
    pub redrafts: Option<&'static str>,
    /// Work begins once nothing has happened to the ticket for this long, in ms.
    pub settle_ms: i64,
    /// Most starts for one ticket in an hour.
    pub per_ticket: i64,
    /// Most starts in an hour.
    pub per_hour: i64,
    /// Nothing is started any more on a day on which so many tokens have been used.
    pub tokens_a_day: Option<i64>,
    /// When somebody is told that a result is missing.
    pub patience: Patience,
}

/// Something that happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHeard {
    /// The same when it is told again.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// As `created`.
    pub what: &'static str,
    /// Whether our own user did it.
    pub by_us: bool,
    /// When it happened, in ms, if we asked for it: work started since then was
    /// started for it.
    pub asked_for_ms: Option<i64>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It was told before.
    Known,
    /// It starts work.
    Starts,
    /// Work that has not begun yet waits a little longer.
    Joins,
    /// We did it ourselves.
    Ours,
    /// It starts nothing.
    Nothing,
    /// It would have started work, but for a limit. Somebody is told.
    Capped,
}

impl Became {
    /// The word for it in the database, in counts and in lists.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Became::Known => "known",
            Became::Starts => "starts",
            Became::Joins => "joins",
            Became::Ours => "ours",
            Became::Nothing => "nothing",
            Became::Capped => "capped",
        }
    }
}

/// What was told, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardEvent {
    /// The helpdesk's id of it, or a hash.
    pub id: String,
    /// The ticket.
    pub ticket_id: String,
    /// As `created`.
    pub what: String,
    /// A word of [`Became`].
    pub became: String,
    /// The work it starts or joins.
    pub submission_id: Option<String>,
    /// When it was heard, in ms.
    pub at_ms: i64,
}

impl Store {
    /// Takes in what happened, and plans what it starts.
    ///
    /// # Errors
    /// When the transaction could not be committed: then nothing was heard.
    pub async fn hear(&self, heard: NewHeard, starts: Starts, now_ms: i64) -> Result<Became, StoreError> {
        let became = self.write(move |connection| hear(connection, &heard, &starts, now_ms)).await?;
        if became == Became::Starts {
            self.ring();
        }
        Ok(became)
    }

    /// The newest of what was told, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn heard(&self, limit: usize) -> Result<Vec<HeardEvent>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let mut list = connection.prepare_cached(
                "SELECT id, ticket_id, what, became, submission_id, at FROM heard ORDER BY at DESC, id LIMIT ?1",
            )?;
            Ok(list.query_map([limit], event)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Until when the helpdesk has been asked for what happened, in ms; 0 when never.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn helpdesk_asked(&self) -> Result<i64, StoreError> {
        self.look_up(|connection| marks::get(connection, ASKED)).await
    }

    /// Writes that down.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn set_helpdesk_asked(&self, until_ms: i64) -> Result<(), StoreError> {
        self.write(move |connection| marks::set(connection, ASKED, until_ms)).await
    }
}

fn event(row: &Row<'_>) -> sql::Result<HeardEvent> {
    Ok(HeardEvent {
        id: row.get(0)?,
        ticket_id: row.get(1)?,
        what: row.get(2)?,
        became: row.get(3)?,
        submission_id: row.get(4)?,
        at_ms: row.get(5)?,
    })
}

fn hear(connection: &Connection, heard: &NewHeard, starts: &Starts, now_ms: i64) -> Result<Became, StoreError> {
    let known: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM heard WHERE id = ?1)")?
        .query_row([&heard.id], |row| row.get(0))?;
    if known {
        return Ok(Became::Known);
    }
    connection.prepare_cached("DELETE FROM heard WHERE at < ?1")?.execute([now_ms - KEPT_MS])?;
    let mut became = (if heard.by_us { Became::Ours } else { Became::Nothing }, None);
    if !heard.by_us {
        for workflow in wanted(connection, heard, starts, now_ms)? {
            became = start(connection, heard, starts, &workflow, now_ms)?;
        }
    }
    let (became, submission_id) = became;
    connection
        .prepare_cached(
            "INSERT INTO heard (id, ticket_id, what, became, submission_id, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![heard.id, heard.ticket_id, heard.what, became.word(), submission_id, now_ms])?;
    Ok(became)
}

/// The workflows that it starts. A customer who writes makes drafts that wait out of
/// date: those are made anew.
fn wanted(connection: &Connection, heard: &NewHeard, starts: &Starts, now_ms: i64) -> Result<Vec<String>, StoreError> {
    let mut wanted: Vec<String> = starts.workflows.get(heard.what).cloned().into_iter().collect();
    if starts.redrafts == Some(heard.what) {
        let drafts = deciding::waiting_drafts(connection, &heard.ticket_id)?;
        deciding::ticket_moved(connection, &heard.ticket_id, WROTE_AGAIN, now_ms)?;
        wanted.extend(drafts.into_iter().filter(|workflow| starts.workflows.get(heard.what) != Some(workflow)));
    }
    Ok(wanted)
}

fn start(
    connection: &Connection,
    heard: &NewHeard,
    starts: &Starts,
    workflow: &str,
    now_ms: i64,
) -> Result<(Became, Option<String>), StoreError> {
    if let Some(submission_id) = join(connection, heard, starts, workflow, now_ms)? {
        return Ok((Became::Joins, Some(submission_id)));
    }
    if was_started_since(connection, heard, workflow)? {
        return Ok((Became::Nothing, None));
    }
    if let Some(limit) = reached(connection, heard, starts, now_ms)? {
        let detail = format!("work for a ticket was not started: {limit}");
        alerts::raise(connection, STARTS_CAPPED, &starts.project, &detail, now_ms)?;
        return Ok((Became::Capped, None));
    }
    alerts::close(connection, STARTS_CAPPED, &starts.project, now_ms)?;
    let reference = effect_ref(&starts.project, &heard.id, &heard.ticket_id, workflow);
    let at_ms = now_ms + starts.settle_ms;
    let start = NewStart {
        submission_id: reference.replacen("fd_", "sub_", 1),
        project: starts.project.clone(),
        ticket_id: heard.ticket_id.clone(),
        workflow: workflow.to_owned(),
        origin: "follow_up",
        actor: "helpdesk",
        retry_of: None,
        asked_at_ms: Some(now_ms),
        at_ms,
        deadline_ms: starts.patience.deadline_at_ms(Kind::Response, at_ms),
    };
    starts::plan(connection, &start, now_ms)?;
    Ok((Became::Starts, Some(start.submission_id)))
}

/// Lets work that has not begun wait until the ticket has settled.
fn join(
    connection: &Connection,
    heard: &NewHeard,
    starts: &Starts,
    workflow: &str,
    now_ms: i64,
) -> Result<Option<String>, StoreError> {
    let waits: Option<(i64, i64, String)> = connection
        .prepare_cached(
            "SELECT id, queued_at, submission_id FROM jobs WHERE ticket_id = ?1 AND workflow = ?2 AND kind = 'start' AND state = 'queued'
               AND claims = 0 AND project = ?3 ORDER BY id LIMIT 1",
        )?
        .query_row((&heard.ticket_id, workflow, &starts.project), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((job, queued_at_ms, submission_id)) = waits else { return Ok(None) };
    let at_ms = (now_ms + starts.settle_ms).min(queued_at_ms + SETTLES_AT_MOST * starts.settle_ms);
    connection
        .prepare_cached("UPDATE jobs SET claimable_at = ?2 WHERE id = ?1 AND claimable_at < ?2")?
        .execute((job, at_ms))?;
    Ok(Some(submission_id))
}

/// What we asked for may have been told as well.
fn was_started_since(connection: &Connection, heard: &NewHeard, workflow: &str) -> Result<bool, StoreError> {
    let Some(happened_ms) = heard.asked_for_ms else { return Ok(false) };
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM submissions WHERE ticket_id = ?1 AND workflow = ?2 AND created_at >= ?3)",
        )?
        .query_row((&heard.ticket_id, workflow, happened_ms), |row| row.get(0))?)
}

/// The limit that is reached, in words.
fn reached(
    connection: &Connection,
    heard: &NewHeard,
    starts: &Starts,
    now_ms: i64,
) -> Result<Option<&'static str>, StoreError> {
    let since_ms = now_ms - HOUR_MS;
    let all: i64 = connection
        .prepare_cached("SELECT count(*) FROM heard WHERE became = 'starts' AND at > ?1")?
        .query_row([since_ms], |row| row.get(0))?;
    let of_ticket: i64 = connection
        .prepare_cached("SELECT count(*) FROM heard WHERE became = 'starts' AND ticket_id = ?1 AND at > ?2")?
        .query_row((&heard.ticket_id, since_ms), |row| row.get(0))?;
    Ok(match () {
        () if of_ticket >= starts.per_ticket => Some("helpdesk.starts.per_ticket is reached for this hour"),
        () if all >= starts.per_hour => Some("helpdesk.starts.per_hour is reached for this hour"),
        () => match starts.tokens_a_day {
            Some(budget) if used_today(connection, now_ms)? >= budget => {
                Some("helpdesk.starts.tokens_a_day is used up for this day (UTC)")
            }
            _ => None,
        },
    })
}

/// Tokens since the day began, or since the first look at it.
fn used_today(connection: &Connection, now_ms: i64) -> Result<i64, StoreError> {
    let total: i64 = connection
        .prepare_cached(
            "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM tallies WHERE name >= 'tokens/' AND name < 'tokens0'",
        )?
        .query_row([], |row| row.get(0))?;
    let day = now_ms.div_euclid(DAY_MS);
    connection
        .prepare_cached("INSERT INTO days (day, tokens) VALUES (?1, ?2) ON CONFLICT (day) DO NOTHING")?
        .execute((day, total))?;
    let before: i64 =
        connection.prepare_cached("SELECT tokens FROM days WHERE day = ?1")?.query_row([day], |row| row.get(0))?;
    Ok(total - before)
}
