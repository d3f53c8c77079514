//! Working deliveries again: those that were parked and are handled by now, and
//! those whose work has ended. A job that ended is never opened again; it gets a
//! successor, so that what happened stays on record.

use crate::store::sql::{self, Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::{LOOKED_AT, Store, StoreError, audit_trail, failed};
use crate::domain::event::HANDLED;
use crate::domain::job::State;

/// How long OpenAI keeps results unless told otherwise, in ms.
const USUAL_RETENTION_MS: i64 = 30 * 86_400_000;

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Received at this time or later, in ms.
    pub since_ms: i64,
    /// Received before this time, in ms.
    pub until_ms: i64,
    /// Only this event type.
    pub event_type: Option<String>,
    /// Only those in this state.
    pub status: Option<State>,
    /// Also those that were applied or held.
    pub all: bool,
}

/// What is, or would be, done about the deliveries of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Parked before, and queued now that their type is handled.
    pub unparked: i64,
    /// Their job had failed for good and is queued again.
    pub retried: i64,
    /// Their job had ended, and a new one works the result again.
    pub again: i64,
    /// Left alone.
    pub left: i64,
}

impl Replayed {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Unpark => self.unparked += 1,
            Verdict::Retry => self.retried += 1,
            Verdict::Again => self.again += 1,
            Verdict::Leave => self.left += 1,
        }
    }

    /// Both together.
    pub fn add(&mut self, more: &Replayed) {
        self.unparked += more.unparked;
        self.retried += more.retried;
        self.again += more.again;
        self.left += more.left;
    }
}

/// A step through the deliveries of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToReplay {
    /// Those of the window, by their place in the order.
    pub order: Vec<i64>,
    /// What would be done about them.
    pub would: Replayed,
    /// What the next step begins after; none at the end of the window.
    pub next: Option<i64>,
}

/// So far may a clock have been set back, or be behind another, in ms, and what
/// came in is still found by its time.
const SLACK_MS: i64 = 3_600_000;

/// The last delivery that came before a time: deliveries are numbered as they come.
fn before_time(connection: &Connection, at_ms: i64) -> Result<i64, StoreError> {
    let mut came =
        connection.prepare_cached("SELECT received_at FROM deliveries WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let newest: i64 =
        connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM deliveries")?.query_row([], |row| row.get(0))?;
    let (mut before, mut from) = (0, newest + 1);
    while from - before > 1 {
        let middle = before + (from - before) / 2;
        let is_before =
            came.query_row([middle], |row| row.get::<_, i64>(0)).optional()?.is_some_and(|came| came < at_ms);
        if is_before { before = middle } else { from = middle }
    }
    Ok(before)
}

impl Store {
    /// Deliveries of the window after `after`, by their place in the order, and
    /// what would be done about them. Looks at a fixed number of deliveries.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn to_replay(&self, window: Window, after: i64, limit: usize) -> Result<ToReplay, StoreError> {
        self.read(move |connection| {
            let after = after.max(before_time(connection, window.since_ms.saturating_sub(SLACK_MS))?);
            let end = after + LOOKED_AT;
            let mut list = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} {FROM} WHERE d.seq > ?1 AND d.received_at >= ?2 AND d.received_at < ?3
                   AND (?4 IS NULL OR d.event_type = ?4) AND (?5 IS NULL OR coalesce(j.state, 'received') = ?5)
                   AND d.seq <= ?7 ORDER BY d.seq LIMIT ?6"
            ))?;
            let status = window.status.map(State::word);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = list.query_map(
                params![after, window.since_ms, window.until_ms, window.event_type, status, limit, end],
                candidate,
            )?;
            let (mut order, mut would) = (Vec::new(), Replayed::default());
            for row in rows {
                let row = row?;
                order.push(row.seq);
                would.count(row.verdict(window.all));
            }
            let is_full = i64::try_from(order.len()).is_ok_and(|found| found >= limit);
            let next = if is_full { order.last().copied() } else { Some(end) };
            let last = before_time(connection, window.until_ms.saturating_add(SLACK_MS))?;
            Ok(ToReplay { order, would, next: next.filter(|next| *next < last) })
        })
        .await
    }

    /// Writes down that a replay begins, and numbers it.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn begin_replay(&self, actor: String, detail: Value, now_ms: i64) -> Result<i64, StoreError> {
        self.write(move |connection| {
            audit_trail::add_numbered(connection, &actor, "deliveries.replay", "deliveries", &detail, now_ms)
        })
        .await
    }

    /// Works these deliveries again, in one transaction. `number` is the
    /// replay's: within one, nothing is worked twice.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was done then.
    pub async fn replay(
        &self,
        number: i64,
        deliveries: Vec<i64>,
        all: bool,
        now_ms: i64,
    ) -> Result<Replayed, StoreError> {
        let done = self
            .write(move |connection| {
                let mut done = Replayed::default();
                for seq in &deliveries {
                    done.count(replay_one(connection, number, *seq, all, now_ms)?);
                }
                Ok(done)
            })
            .await?;
        self.ring();
        Ok(done)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Unpark,
    Retry,
    Again,
    Leave,
}

struct Candidate {
    seq: i64,
    is_usable: bool,
    is_put_away: bool,
    job: Option<(i64, State)>,
    outcome: Option<String>,
    is_busy: bool,
    is_over: bool,
}

const COLUMNS: &str = "d.seq, d.event_type, d.resource_id, d.dismissed_at IS NOT NULL OR (d.duplicate_of IS NOT NULL AND d.job_key IS NOT NULL),
    j.id, j.state, j.outcome,
    EXISTS (SELECT 1 FROM jobs o WHERE o.resource_id = d.resource_id AND o.project = d.project AND o.claimable_at IS NOT NULL),
    EXISTS (SELECT 1 FROM results r WHERE r.resource_id = d.resource_id AND r.project = d.project AND r.erased_at IS NOT NULL)
      -- The results of a batch are read once: reading them again would bring nothing.
      OR EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = d.resource_id AND p.project = d.project AND p.read_at IS NOT NULL
                   AND p.status IS DISTINCT FROM 'given_up')";
const FROM: &str = "FROM deliveries d LEFT JOIN jobs j ON j.key = d.job_key AND j.project = d.project";

fn candidate(row: &Row<'_>) -> sql::Result<Candidate> {
    let kind: Option<String> = row.get(1)?;
    let resource: Option<String> = row.get(2)?;
    let state = row.get::<_, Option<String>>(5)?.map(|word| super::records::state(&word)).transpose()?;
    Ok(Candidate {
        seq: row.get(0)?,
        is_usable: resource.is_some() && kind.is_some_and(|kind| HANDLED.contains(&kind.as_str())),
        is_put_away: row.get(3)?,
        job: row.get::<_, Option<i64>>(4)?.zip(state),
        outcome: row.get(6)?,
        is_busy: row.get(7)?,
        is_over: row.get(8)?,
    })
}

impl Candidate {
    fn verdict(&self, all: bool) -> Verdict {
        if self.is_put_away || self.is_over {
            return Verdict::Leave;
        }
        match (self.job, self.outcome.as_deref()) {
            (None, _) if self.is_usable => Verdict::Unpark,
            (Some((_, State::FailedFinal)), None) => Verdict::Retry,
            (Some((_, State::Processed)), Some("ignored" | "superseded")) if !self.is_busy => Verdict::Again,
            (Some((_, State::Processed)), Some(_)) if all && !self.is_busy => Verdict::Again,
            // What a person discarded stays discarded; what is under way goes on by itself.
            _ => Verdict::Leave,
        }
    }
}

fn replay_one(connection: &Connection, number: i64, seq: i64, all: bool, now_ms: i64) -> Result<Verdict, StoreError> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE d.seq = ?1"))?
        .query_row([seq], candidate)
        .optional()?;
    let Some(found) = found else { return Ok(Verdict::Leave) };
    let verdict = found.verdict(all);
    match (verdict, found.job) {
        (Verdict::Unpark, _) => unpark(connection, seq, now_ms)?,
        (Verdict::Retry, Some((job, _))) => failed::retry_by_id(connection, job, now_ms)?,
        (Verdict::Again, Some((job, _))) => work_again(connection, number, job, now_ms)?,
        _ => {}
    }
    Ok(verdict)
}

/// The job that the delivery would get if it came in now; one that came under
/// several webhook-ids gets one job.
fn unpark(connection: &Connection, seq: i64, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET note = NULL, job_key = CASE WHEN event_id IS NULL THEN 'delivery/' || delivery_id ELSE 'event/' || event_id END
             WHERE seq = ?1 AND job_key IS NULL",
        )?
        .execute([seq])?;
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at, claimable_at, forget_at)
             SELECT project, job_key, event_id, event_type, resource_id, coalesce(duplicate_of, delivery_id), 'queued', ?2, ?2, ?2, received_at + ?3
             FROM deliveries WHERE seq = ?1 ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute((seq, now_ms, USUAL_RETENTION_MS))?;
    // Its job may be there already, and have failed.
    connection
        .prepare_cached(
            "UPDATE deliveries SET failed = (SELECT CASE WHEN state = 'failed_final' THEN 1 END FROM jobs
                                              WHERE project = deliveries.project AND key = deliveries.job_key) WHERE seq = ?1",
        )?
        .execute([seq])?;
    Ok(())
}

fn work_again(connection: &Connection, number: i64, job: i64, now_ms: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (project, key, event_id, event_type, resource_id, delivery_id, state, since, queued_at, claimable_at, forget_at)
             SELECT project, 'replay/' || ?2 || '/' || key, event_id, event_type, resource_id, delivery_id, 'queued', ?3, ?3, ?3, forget_at
             FROM jobs WHERE id = ?1 ON CONFLICT (key, project) DO NOTHING",
        )?
        .execute((job, number, now_ms))?;
    Ok(())
}
