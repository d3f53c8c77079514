//! When schedules are due, and what they began last. A batch begins in the
//! transaction that moves the time: once, however many processes look.

use crate::store::sql::Connection;

use super::begin::begin;
use crate::store::{NewBatch, Store, StoreError};

/// A schedule that has been seen by a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its name in the settings.
    pub name: String,
    /// Its times, as the settings state them.
    pub stated: String,
    /// When it is due next, in ms.
    pub next_at_ms: i64,
    /// When it was due last, in ms; none when it has begun nothing yet.
    pub last_at_ms: Option<i64>,
    /// The batch that it began last.
    pub last_batch: Option<String>,
}

/// A schedule whose time has come.
#[derive(Debug, Clone)]
pub struct Fire {
    /// As it was seen.
    pub seen: Scheduled,
    /// When it is due again, in ms.
    pub next_at_ms: i64,
    /// When what begins was due, in ms, and the batch; none when it was missed for too long.
    pub begins: Option<(i64, NewBatch)>,
}

impl Store {
    /// Every schedule that a worker has seen, by name. One that is no longer in
    /// the settings is among them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn schedules(&self) -> Result<Vec<Scheduled>, StoreError> {
        self.look_up(all).await
    }

    /// A schedule is new, or its times have changed: it is due then.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn note_schedule(&self, name: String, stated: String, next_at_ms: i64) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO batch_schedules (name, stated, next_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET stated = excluded.stated, next_at = excluded.next_at
                 WHERE batch_schedules.stated <> excluded.stated",
                (&name, &stated, next_at_ms),
            )?;
            Ok(())
        })
        .await
    }

    /// Begins what is due and moves the schedule on. False when another process
    /// was there first, or the schedule has changed.
    ///
    /// # Errors
    /// When the transaction could not be committed; it is due still.
    pub async fn fire_schedule(&self, fire: Fire, now_ms: i64) -> Result<bool, StoreError> {
        let fired = self
            .write(move |connection| {
                let Fire { seen, next_at_ms, begins } = &fire;
                let moved = connection.execute(
                    "UPDATE batch_schedules SET next_at = ?4, last_at = coalesce(?5, last_at), last_batch = coalesce(?6, last_batch)
                     WHERE name = ?1 AND stated = ?2 AND next_at = ?3",
                    (
                        &seen.name,
                        &seen.stated,
                        seen.next_at_ms,
                        next_at_ms,
                        begins.as_ref().map(|(due_ms, _)| due_ms),
                        begins.as_ref().map(|(_, batch)| &batch.id),
                    ),
                )?;
                match begins {
                    Some((_, batch)) if moved == 1 => begin(connection, batch, now_ms).map(|()| true),
                    _ => Ok(moved == 1),
                }
            })
            .await?;
        self.ring();
        Ok(fired)
    }
}

fn all(connection: &Connection) -> Result<Vec<Scheduled>, StoreError> {
    let mut list = connection
        .prepare_cached("SELECT name, stated, next_at, last_at, last_batch FROM batch_schedules ORDER BY name")?;
    let rows = list.query_map([], |row| {
        Ok(Scheduled {
            name: row.get(0)?,
            stated: row.get(1)?,
            next_at_ms: row.get(2)?,
            last_at_ms: row.get(3)?,
            last_batch: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
