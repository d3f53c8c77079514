//! What a person must hear of: conditions, opened once however often they are
//! met and closed when they are over, and notices, which are told once.

use std::collections::BTreeSet;

use crate::store::sql::{self, Connection, Row};

use super::{Page, PageRequest, Store, StoreError};

/// A condition or a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// A cause, as `openai_auth`.
    pub kind: String,
    /// What it is about, as a project.
    pub subject: String,
    /// One line in our words.
    pub detail: String,
    /// When it was opened, in ms.
    pub opened_at_ms: i64,
    /// When it was last met, in ms.
    pub last_at_ms: i64,
    /// How often it was met.
    pub times: i64,
    /// When it was over, in ms; none while it is open.
    pub closed_at_ms: Option<i64>,
    /// Told once and over at once.
    pub notice: bool,
    /// What was, or is to be, sent of it; none where nobody asked for that.
    pub sends: Vec<AlertSend>,
}

/// One message about an alert over one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSend {
    /// As `email`.
    pub channel: String,
    /// `opened`, `recovered` or `notice`.
    pub word: String,
    /// `waiting`, `sent` or `given_up`.
    pub state: String,
    /// Of the last telling.
    pub attempts: i64,
    /// How often it was told, counting the one that waits.
    pub told: i64,
    /// When it is tried next, in ms; none when it does not wait.
    pub next_at_ms: Option<i64>,
    /// When it last went out, in ms.
    pub sent_at_ms: Option<i64>,
    /// Why the last attempt failed, in our words.
    pub error: Option<String>,
}

/// What changed when the conditions of a kind were set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Subjects and details of those that are new.
    pub opened: Vec<(String, String)>,
    /// Subjects of those that are over.
    pub closed: Vec<String>,
}

impl Store {
    /// Raises an alert. True when it was not open before: then, and only then,
    /// somebody is told.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn raise_alert(
        &self,
        kind: &'static str,
        subject: String,
        detail: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| raise(connection, kind, &subject, &detail, now_ms)).await
    }

    /// Closes an alert. True when it was open.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn close_alert(&self, kind: &'static str, subject: String, now_ms: i64) -> Result<bool, StoreError> {
        self.write(move |connection| close(connection, kind, &subject, now_ms)).await
    }

    /// Makes a notice: somebody is told once, and nothing stays open.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn notice(
        &self,
        kind: &'static str,
        subject: String,
        detail: String,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(move |connection| notice(connection, kind, &subject, &detail, now_ms)).await
    }

    /// Says which conditions of a kind there are just now, by subject and detail:
    /// the new ones are raised, those that are not among them are over.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn set_conditions(
        &self,
        kind: &'static str,
        conditions: Vec<(String, String)>,
        now_ms: i64,
    ) -> Result<Changed, StoreError> {
        self.write(move |connection| set_conditions(connection, kind, &conditions, now_ms)).await
    }

    /// All open alerts, newest first, without what was sent of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.read(|connection| {
            let mut list = connection.prepare_cached(
                "SELECT * FROM alerts WHERE closed_at IS NULL ORDER BY last_at DESC, id DESC LIMIT 100",
            )?;
            Ok(list.query_map([], alert)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Alerts, newest first, with what was sent of them; only the open ones, or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn alerts(&self, open_only: bool, page: PageRequest) -> Result<Page<Alert>, StoreError> {
        self.read(move |connection| {
            let which = if open_only { "INDEXED BY alerts_open_number WHERE closed_at IS NULL AND" } else { "WHERE" };
            let sql = format!("SELECT * FROM alerts {which} id < ?1 ORDER BY id DESC LIMIT ?2");
            let mut list = connection.prepare_cached(&sql)?;
            let rows = list.query_map((page.before(), page.limit_and_one()), alert)?;
            let (mut items, next) = page.cut(rows.collect::<Result<Vec<_>, _>>()?, |alert| alert.id);
            for alert in &mut items {
                alert.sends = sends(connection, alert.id)?;
            }
            Ok(Page { items, next })
        })
        .await
    }
}

fn alert(row: &Row<'_>) -> sql::Result<Alert> {
    Ok(Alert {
        id: row.get("id")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        detail: row.get("detail")?,
        opened_at_ms: row.get("opened_at")?,
        last_at_ms: row.get("last_at")?,
        times: row.get("times")?,
        closed_at_ms: row.get("closed_at")?,
        notice: row.get("notice")?,
        sends: Vec::new(),
    })
}

pub(super) fn one(connection: &Connection, id: i64) -> Result<Alert, StoreError> {
    Ok(connection.prepare_cached("SELECT * FROM alerts WHERE id = ?1")?.query_row([id], alert)?)
}

fn sends(connection: &Connection, alert_id: i64) -> Result<Vec<AlertSend>, StoreError> {
    let mut list = connection.prepare_cached("SELECT * FROM alert_sends WHERE alert_id = ?1 ORDER BY id")?;
    let rows = list.query_map([alert_id], |row| {
        let state: String = row.get("state")?;
        let next_at_ms: i64 = row.get("next_at")?;
        Ok(AlertSend {
            channel: row.get("channel")?,
            word: row.get("word")?,
            next_at_ms: (state == "waiting").then_some(next_at_ms),
            state,
            attempts: row.get("attempts")?,
            told: row.get("told")?,
            sent_at_ms: row.get("sent_at")?,
            error: row.get("error")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn set_conditions(
    connection: &Connection,
    kind: &str,
    conditions: &[(String, String)],
    now_ms: i64,
) -> Result<Changed, StoreError> {
    let open: Vec<(String, String)> = connection
        .prepare_cached("SELECT subject, detail FROM alerts WHERE kind = ?1 AND closed_at IS NULL ORDER BY subject")?
        .query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut changed = Changed::default();
    // One that stands as it stood is not written again.
    for (subject, detail) in conditions.iter().filter(|condition| !open.contains(condition)) {
        if raise(connection, kind, subject, detail, now_ms)? {
            changed.opened.push((subject.clone(), detail.clone()));
        }
    }
    let there: BTreeSet<&String> = conditions.iter().map(|(subject, _)| subject).collect();
    for (subject, _) in open.into_iter().filter(|(subject, _)| !there.contains(subject)) {
        close(connection, kind, &subject, now_ms)?;
        changed.closed.push(subject);
    }
    Ok(changed)
}

/// Writes down something to be told once.
pub(super) fn notice(
    connection: &Connection,
    kind: &str,
    subject: &str,
    detail: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO alerts (kind, subject, detail, opened_at, last_at, closed_at, notice) VALUES (?1, ?2, ?3, ?4, ?4, ?4, 1)",
        )?
        .execute((kind, subject, detail, now_ms))?;
    Ok(())
}

pub(super) fn close(connection: &Connection, kind: &str, subject: &str, now_ms: i64) -> Result<bool, StoreError> {
    let closed = connection
        .prepare_cached("UPDATE alerts SET closed_at = ?3 WHERE kind = ?1 AND subject = ?2 AND closed_at IS NULL")?
        .execute((kind, subject, now_ms))?;
    Ok(closed == 1)
}

pub(super) fn raise(
    connection: &Connection,
    kind: &str,
    subject: &str,
    detail: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let times: i64 = connection
        .prepare_cached(
            "INSERT INTO alerts (kind, subject, detail, opened_at, last_at) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (kind, subject) WHERE closed_at IS NULL
             DO UPDATE SET times = alerts.times + 1, last_at = max(alerts.last_at, excluded.last_at), detail = excluded.detail
             RETURNING times",
        )?
        .query_row((kind, subject, detail, now_ms), |row| row.get(0))?;
    Ok(times == 1)
}

/// Closes the alert that a failed job raised, when no other failed job of its
/// project waits for a person for the same cause.
pub(super) fn close_if_last(connection: &Connection, job_id: i64, now_ms: i64) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE alerts SET closed_at = ?2
         FROM (SELECT project, error_cause FROM jobs WHERE id = ?1) AS this
         WHERE alerts.closed_at IS NULL AND alerts.kind = this.error_cause AND alerts.subject = this.project
           AND alerts.kind NOT IN ('openai_auth', 'openai_quota')
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'failed_final' AND outcome IS NULL
                             AND jobs.project = this.project AND jobs.error_cause = this.error_cause)",
        (job_id, now_ms),
    )?;
    Ok(())
}
