//! Deliveries without a job: what a watcher makes of them, and how a person
//! puts them away. They stay `received` for ever.

use crate::store::sql::{Connection, Row, Subject};
use serde_json::json;

use super::facts::TEST_TYPE;
use super::{Store, StoreError, alerts, audit_trail, marks};

/// How far the parked deliveries have been read.
const MARK: &str = "parked";
/// How many are read, or put away, at once.
const AT_ONCE: i64 = 500;
/// How many types are listed.
const TYPES: usize = 100;

/// The kind of the alert that parked deliveries wait for a person; its subject is their event type.
pub const RECEIVED: &str = "received";
/// The subject of those whose event type cannot be read.
pub const UNREADABLE: &str = "unreadable";

/// So many parked deliveries of one type are counted, and no more.
pub const PARKED_COUNTED: i64 = 10_000;

/// Parked deliveries of one event type that nobody has dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// As `video.completed`; `unreadable` when there is none.
    pub event_type: String,
    /// How many; [`PARKED_COUNTED`] of them at most are counted.
    pub count: i64,
    /// When the oldest came, in ms.
    pub oldest_ms: i64,
}

/// A parked delivery that was told of once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedNotice {
    /// The kind of the notice.
    pub kind: &'static str,
    /// The resource, or else the event or the delivery.
    pub subject: String,
    /// The event type.
    pub event_type: String,
}

impl Store {
    /// Reads on in the parked deliveries and makes a notice of each whose event
    /// type has a kind; second deliveries of an event are passed over. At most
    /// 500 at a time, so an empty answer does not mean the end.
    ///
    /// # Errors
    /// When the transaction could not be committed; then nothing was read.
    pub async fn tell_parked(
        &self,
        kind_of: fn(&str) -> Option<&'static str>,
        now_ms: i64,
    ) -> Result<Vec<ParkedNotice>, StoreError> {
        // Telling keeps everybody out for a moment: first a look whether it is worth it.
        // One that is not there yet is seen at the next look.
        if self.read(is_all_told).await? {
            return Ok(Vec::new());
        }
        self.write(move |connection| tell(connection, kind_of, now_ms)).await
    }

    /// What is parked and not dismissed, by event type, 100 of them at most. The
    /// doctor's test is put away by the doctor, and is nobody's to look at.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        self.read(parked).await
    }

    /// A person puts one parked delivery away. False when it is put away
    /// already, or has a job.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such delivery.
    pub async fn dismiss_delivery(
        &self,
        id: String,
        actor: String,
        reason: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let exists = connection.prepare_cached("SELECT 1 FROM deliveries WHERE delivery_id = ?1")?.exists([&id])?;
            if !exists {
                return Err(StoreError::Missing("delivery"));
            }
            let changed = dismiss(connection, "delivery_id = ?3", &id, &actor, now_ms)?;
            if changed > 0 {
                audit_trail::add(connection, &actor, "delivery.dismiss", &id, &json!({"reason": reason}), now_ms)?;
            }
            Ok(changed > 0)
        })
        .await
    }

    /// A person puts away all parked deliveries of one event type, some hundreds
    /// in a transaction, each with its entry in the audit trail. How many.
    ///
    /// # Errors
    /// When a transaction could not be committed; those before it are done.
    pub async fn dismiss_type(
        &self,
        event_type: String,
        actor: String,
        reason: String,
        now_ms: i64,
    ) -> Result<usize, StoreError> {
        let mut dismissed = 0;
        loop {
            let (event_type, actor, reason) = (event_type.clone(), actor.clone(), reason.clone());
            let changed =
                self.write(move |connection| dismiss_some(connection, &event_type, &actor, &reason, now_ms)).await?;
            dismissed += changed;
            if i64::try_from(changed).unwrap_or(0) < AT_ONCE {
                return Ok(dismissed);
            }
        }
    }
}

/// From one type to the next along their index.
fn parked(connection: &Connection) -> Result<Vec<Parked>, StoreError> {
    let mut all = Vec::new();
    let mut count = connection.prepare_cached(
        "SELECT count(*), min(received_at) FROM (
           SELECT received_at FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL AND event_type = ?1
           ORDER BY received_at LIMIT ?2) AS parked",
    )?;
    let mut unreadable = connection.prepare_cached(
        "SELECT count(*), min(received_at) FROM (
           SELECT received_at FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL AND event_type IS NULL
           ORDER BY received_at LIMIT ?1) AS parked",
    )?;
    let mut next = connection.prepare_cached(
        "SELECT min(event_type) FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL AND event_type > ?1",
    )?;
    let counted = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?));
    let mut add = |event_type: &str, (count, oldest_ms): (i64, Option<i64>)| {
        if let Some(oldest_ms) = oldest_ms {
            all.push(Parked { event_type: event_type.to_owned(), count, oldest_ms });
        }
    };
    add(UNREADABLE, unreadable.query_row([PARKED_COUNTED], counted)?);
    let mut last = String::new();
    for _ in 0..TYPES {
        match next.query_row([&last], |row| row.get(0))? {
            Some(event_type) => last = event_type,
            None => break,
        }
        if last != TEST_TYPE {
            add(&last, count.query_row((&last, PARKED_COUNTED), counted)?);
        }
    }
    Ok(all)
}

/// Puts away the next of one event type.
fn dismiss_some(
    connection: &Connection,
    event_type: &str,
    actor: &str,
    reason: &str,
    now_ms: i64,
) -> Result<usize, StoreError> {
    let of = if event_type == UNREADABLE { "(event_type IS NULL OR event_type = ?3)" } else { "event_type = ?3" };
    let which = format!(
        "seq IN (SELECT seq FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL AND {of} LIMIT {AT_ONCE})"
    );
    let changed = dismiss(connection, &which, event_type, actor, now_ms)?;
    if changed > 0 {
        let detail = json!({"reason": reason, "count": changed});
        audit_trail::add(connection, actor, "delivery.dismiss_type", event_type, &detail, now_ms)?;
    }
    Ok(changed)
}

fn is_all_told(connection: &Connection) -> Result<bool, StoreError> {
    let mark = marks::get(connection, MARK)?;
    Ok(!connection
        .prepare_cached("SELECT 1 FROM deliveries WHERE job_key IS NULL AND seq > ?1 AND dismissed_at IS NULL LIMIT 1")?
        .exists([mark])?)
}

fn tell(
    connection: &Connection,
    kind_of: fn(&str) -> Option<&'static str>,
    now_ms: i64,
) -> Result<Vec<ParkedNotice>, StoreError> {
    // Of two deliveries that are stored at the same time the one with the higher
    // number may be there first: the lower one must not be passed over.
    connection.alone_with(Subject::Intake)?;
    let mark = marks::get(connection, MARK)?;
    let mut list = connection.prepare_cached(
        "SELECT seq, event_type, coalesce(resource_id, event_id, delivery_id), duplicate_of IS NULL FROM deliveries
         WHERE job_key IS NULL AND seq > ?1 AND dismissed_at IS NULL ORDER BY seq LIMIT ?2",
    )?;
    let rows: Vec<(i64, Option<String>, String, bool)> = list
        .query_map((mark, AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let Some(last) = rows.last().map(|row| row.0) else { return Ok(Vec::new()) };
    let mut notices = Vec::new();
    for (_, event_type, subject, first) in rows {
        let Some((kind, event_type)) = event_type.filter(|_| first).and_then(|name| Some((kind_of(&name)?, name)))
        else {
            continue;
        };
        alerts::notice(connection, kind, &subject, &event_type, now_ms)?;
        notices.push(ParkedNotice { kind, subject, event_type });
    }
    connection
        .prepare_cached(
            "INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute((MARK, last))?;
    Ok(notices)
}

/// Puts away what `which` selects, and closes the alerts that told of nothing else.
fn dismiss(connection: &Connection, which: &str, of: &str, actor: &str, now_ms: i64) -> Result<usize, StoreError> {
    let changed = connection
        .prepare_cached(&format!(
            "UPDATE deliveries SET dismissed_at = ?1, dismissed_by = ?2
             WHERE job_key IS NULL AND dismissed_at IS NULL AND {which}"
        ))?
        .execute((now_ms, actor, of))?;
    connection
        .prepare_cached(
            "UPDATE alerts SET closed_at = ?1 WHERE kind = ?2 AND closed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL
                                 AND event_type = alerts.subject)
               AND NOT (alerts.subject = ?3 AND EXISTS (
                     SELECT 1 FROM deliveries WHERE job_key IS NULL AND dismissed_at IS NULL AND event_type IS NULL))",
        )?
        .execute((now_ms, RECEIVED, UNREADABLE))?;
    Ok(changed)
}
