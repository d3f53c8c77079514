//! Messages about alerts: which are due over a channel, and what became of
//! them. What was told is held against what is: nobody has to remember to send
//! anything, a recovery cannot be missed, and a restart changes nothing.

use std::collections::BTreeMap;

use crate::store::sql::{self, Connection, OptionalExtension, Row};

use super::{Alert, Store, StoreError, alerts};
use crate::domain::alert::{LOOK_BACK_MS, Word, quiet_ms};

/// The kind of the alert that a channel takes no messages; its subject is the channel.
pub const ALERT_CHANNEL: &str = "alert_channel";

/// A message that is ours to send until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSend {
    /// Its number.
    pub id: i64,
    /// This attempt, from 1.
    pub attempt: i64,
    /// Which message it is.
    pub word: Word,
    /// Which telling of it, from 1.
    pub told: i64,
    /// When this telling was due, in ms.
    pub since_ms: i64,
    /// What it tells of, as it is now.
    pub alert: Alert,
}

impl Store {
    /// Writes down what is to be told over a channel just now. An alert that is
    /// still open `remind_ms` after it was told is told again.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn plan_sends(&self, channel: String, remind_ms: Option<i64>, now_ms: i64) -> Result<(), StoreError> {
        self.write(move |connection| Plan { connection, channel: &channel, remind_ms, now_ms }.make()).await
    }

    /// Takes the oldest message that is due over a channel.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn claim_send(&self, channel: String, lease_ms: i64, now_ms: i64) -> Result<Option<DueSend>, StoreError> {
        self.write(move |connection| claim(connection, &channel, lease_ms, now_ms)).await
    }

    /// The message is out, and so the channel works.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn sent(&self, channel: String, send: &DueSend, now_ms: i64) -> Result<(), StoreError> {
        let (id, attempt, told) = (send.id, send.attempt, send.told);
        self.write(move |connection| {
            connection.execute(
                "UPDATE alert_sends SET state = 'sent', sent_at = ?4, error = NULL
                 WHERE id = ?1 AND attempts = ?2 AND told = ?3 AND state = 'waiting'",
                (id, attempt, told, now_ms),
            )?;
            alerts::close(connection, ALERT_CHANNEL, &channel, now_ms)?;
            Ok(())
        })
        .await
    }

    /// The message is not out; it is tried again at `next_at_ms`, or given up.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn not_sent(&self, send: &DueSend, error: String, next_at_ms: Option<i64>) -> Result<(), StoreError> {
        let (id, attempt, told) = (send.id, send.attempt, send.told);
        self.write(move |connection| {
            connection.execute(
                "UPDATE alert_sends SET error = ?4, next_at = coalesce(?5, next_at),
                        state = CASE WHEN ?5 IS NULL THEN 'given_up' ELSE state END
                 WHERE id = ?1 AND attempts = ?2 AND told = ?3 AND state = 'waiting'",
                (id, attempt, told, &error, next_at_ms),
            )?;
            Ok(())
        })
        .await
    }

    /// Gives up what waits for channels that are not in the settings any more.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn keep_channels(&self, channels: Vec<&'static str>, now_ms: i64) -> Result<(), StoreError> {
        let list = serde_json::Value::from(channels).to_string();
        self.write(move |connection| {
            connection.execute(
                "UPDATE alert_sends SET state = 'given_up', error = 'the channel is not in the settings'
                 WHERE state = 'waiting' AND channel NOT IN (SELECT value FROM json_each(?1))",
                [&list],
            )?;
            connection.execute(
                "UPDATE alerts SET closed_at = ?2
                 WHERE kind = ?3 AND closed_at IS NULL AND subject NOT IN (SELECT value FROM json_each(?1))",
                (&list, now_ms, ALERT_CHANNEL),
            )?;
            Ok(())
        })
        .await
    }
}

fn claim(connection: &Connection, channel: &str, lease_ms: i64, now_ms: i64) -> Result<Option<DueSend>, StoreError> {
    let taken = connection
        .prepare_cached(
            "UPDATE alert_sends SET attempts = attempts + 1, next_at = ?2 + ?3
             WHERE id = (SELECT id FROM alert_sends WHERE channel = ?1 AND state = 'waiting' AND next_at <= ?2
                         ORDER BY id LIMIT 1)
             RETURNING id, attempts, word, told, since, alert_id",
        )?
        .query_row((channel, now_ms, lease_ms), |row| {
            let word = Word::parse(&row.get::<_, String>(2)?).ok_or(sql::Error::Unreadable)?;
            Ok((row.get(0)?, row.get(1)?, word, row.get(3)?, row.get(4)?, row.get::<_, i64>(5)?))
        })
        .optional()?;
    let Some((id, attempt, word, told, since_ms, alert_id)) = taken else { return Ok(None) };
    let alert = alerts::one(connection, alert_id)?;
    Ok(Some(DueSend { id, attempt, word, told, since_ms, alert }))
}

/// A condition: its kind and subject.
type Key = (String, String);

/// A condition that was told over a channel, or is to be, and whose end was not.
struct Standing {
    send_id: i64,
    alert_id: i64,
    key: Key,
    waits: bool,
    attempts: i64,
    since_ms: i64,
    went_out: bool,
}

struct Plan<'a> {
    connection: &'a Connection,
    channel: &'a str,
    remind_ms: Option<i64>,
    now_ms: i64,
}

impl Plan<'_> {
    fn make(&self) -> Result<(), StoreError> {
        let mut open = self.open()?;
        for standing in self.standing()? {
            match open.remove(&standing.key) {
                Some(alert_id) => self.stands(&standing, alert_id)?,
                None => self.is_over(&standing)?,
            }
        }
        for (key, alert_id) in &open {
            if !self.take_back_recovery(key)? && !self.is_too_soon(key)? {
                self.tell(*alert_id, Word::Opened)?;
            }
        }
        self.tell_notices()
    }

    /// Open conditions. That a channel fails is not told over itself.
    fn open(&self) -> Result<BTreeMap<Key, i64>, StoreError> {
        let mut list = self.connection.prepare_cached(
            "SELECT kind, subject, id FROM alerts
             WHERE closed_at IS NULL AND NOT (kind = ?1 AND subject = ?2)",
        )?;
        let rows =
            list.query_map((ALERT_CHANNEL, self.channel), |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn standing(&self) -> Result<Vec<Standing>, StoreError> {
        let mut list = self.connection.prepare_cached(
            "SELECT s.id, s.alert_id, a.kind, a.subject, s.state = 'waiting', s.attempts, s.since, s.sent_at IS NOT NULL
             FROM alert_sends s JOIN alerts a ON a.id = s.alert_id
             WHERE s.channel = ?1 AND s.word = 'opened' AND s.done = 0",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Standing {
                send_id: row.get(0)?,
                alert_id: row.get(1)?,
                key: (row.get(2)?, row.get(3)?),
                waits: row.get(4)?,
                attempts: row.get(5)?,
                since_ms: row.get(6)?,
                went_out: row.get(7)?,
            })
        };
        Ok(list.query_map([self.channel], read)?.collect::<Result<_, _>>()?)
    }

    /// It was told and is still there, or is there again: told again when it is time.
    fn stands(&self, standing: &Standing, alert_id: i64) -> Result<(), StoreError> {
        let due = self.remind_ms.is_some_and(|wait_ms| self.now_ms - standing.since_ms >= wait_ms);
        if standing.waits || !due {
            return Ok(());
        }
        if alert_id != standing.alert_id {
            self.end(standing)?;
            return self.tell(alert_id, Word::Opened);
        }
        self.connection
            .prepare_cached(
                "UPDATE alert_sends SET state = 'waiting', attempts = 0, error = NULL, since = ?2, next_at = ?2, told = told + 1
                 WHERE id = ?1",
            )?
            .execute((standing.send_id, self.now_ms))?;
        Ok(())
    }

    /// It is over. Who was told hears of it; who was not hears nothing.
    fn is_over(&self, standing: &Standing) -> Result<(), StoreError> {
        if standing.went_out {
            self.end(standing)?;
            return self.tell(standing.alert_id, Word::Recovered);
        }
        match (standing.waits, standing.attempts) {
            (true, 0) => {
                self.connection.execute("DELETE FROM alert_sends WHERE id = ?1", [standing.send_id])?;
                Ok(())
            }
            // An attempt may have come through without our knowing; the next one will tell.
            (true, _) => Ok(()),
            (false, _) => self.end(standing),
        }
    }

    fn end(&self, standing: &Standing) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE alert_sends SET done = 1, state = CASE WHEN state = 'waiting' THEN 'sent' ELSE state END WHERE id = ?1",
            )?
            .execute([standing.send_id])?;
        Ok(())
    }

    /// A recovery that nobody has tried to send yet is not told when the condition
    /// is there again: what was told before still stands.
    fn take_back_recovery(&self, (kind, subject): &Key) -> Result<bool, StoreError> {
        let taken: Option<i64> = self
            .connection
            .prepare_cached(
                "DELETE FROM alert_sends WHERE channel = ?3 AND word = 'recovered' AND state = 'waiting' AND attempts = 0
                    AND alert_id IN (SELECT id FROM alerts WHERE kind = ?1 AND subject = ?2)
                 RETURNING alert_id",
            )?
            .query_row((kind, subject, self.channel), |row| row.get(0))
            .optional()?;
        let Some(alert_id) = taken else { return Ok(false) };
        self.connection
            .prepare_cached("UPDATE alert_sends SET done = 0 WHERE alert_id = ?1 AND channel = ?2 AND word = 'opened'")?
            .execute((alert_id, self.channel))?;
        Ok(true)
    }

    /// Whether a condition that comes and goes was told so often, or so lately,
    /// that once more would be noise.
    fn is_too_soon(&self, (kind, subject): &Key) -> Result<bool, StoreError> {
        let (tellings, last_ms): (i64, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT count(*), max(s.since) FROM alerts a JOIN alert_sends s ON s.alert_id = a.id
                 WHERE a.kind = ?1 AND a.subject = ?2 AND s.channel = ?3 AND s.word = 'opened' AND s.since > ?4",
            )?
            .query_row((kind, subject, self.channel, self.now_ms - LOOK_BACK_MS), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(last_ms.is_some_and(|last_ms| self.now_ms - last_ms < quiet_ms(tellings)))
    }

    fn tell(&self, alert_id: i64, word: Word) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO alert_sends (alert_id, channel, word, next_at, since) VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (alert_id, channel, word) DO NOTHING",
            )?
            .execute((alert_id, self.channel, word.word(), self.now_ms))?;
        Ok(())
    }

    /// Notices of the last day that were not told; older ones are no news for a
    /// channel that was set up since.
    fn tell_notices(&self) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO alert_sends (alert_id, channel, word, next_at, since)
                 SELECT id, ?1, ?2, ?3, ?3 FROM alerts
                 WHERE notice = 1 AND opened_at > ?4
                   AND NOT EXISTS (SELECT 1 FROM alert_sends s WHERE s.alert_id = alerts.id AND s.channel = ?1)
                 ORDER BY id",
            )?
            .execute((self.channel, Word::Notice.word(), self.now_ms, self.now_ms - LOOK_BACK_MS))?;
        Ok(())
    }
}
