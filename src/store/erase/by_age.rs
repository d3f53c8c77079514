//! Content goes by its age, in small steps. Bodies, results and effects are
//! walked in the order they came, with a mark for how far: an index would cost
//! every delivery a write. What was passed because it was still moving is found
//! by a second, slow walk that goes round for ever.

use crate::store::sql::{self, Connection, OptionalExtension};
use serde_json::json;

use super::reviews;
use crate::store::{Store, StoreError, batches};

/// Rows a step looks at.
pub(super) const STEP: i64 = 500;

/// A lease that ended for good is looked for this long, in ms.
const LOST_LEASES_MS: i64 = 86_400_000;

/// A kind of content that has a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What webhooks said.
    Bodies,
    /// What was fetched.
    Results,
    /// What was written to tickets.
    Effects,
    /// What people were shown, and what they wrote.
    Reviews,
}

impl Content {
    /// Every kind.
    pub const ALL: [Content; 4] = [Content::Bodies, Content::Results, Content::Effects, Content::Reviews];

    /// The word used in logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Content::Bodies => "bodies",
            Content::Results => "results",
            Content::Effects => "effects",
            Content::Reviews => "reviews",
        }
    }
}

/// One step of forgetting by age.
#[derive(Debug, Clone)]
pub struct Step {
    /// What.
    pub content: Content,
    /// What is older than this, in ms.
    pub before_ms: i64,
    /// Projects whose ended work keeps no content at all.
    pub ids_only: Vec<String>,
    /// In ms.
    pub now_ms: i64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stepped {
    /// Rows that lost their content.
    pub erased: usize,
    /// Reviews and batches that nobody had decided about.
    pub expired: usize,
    /// Whether there is more that is old enough.
    pub more: bool,
}

impl Store {
    /// Forgets a few hundred rows that are old enough and whose work has ended.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was forgotten then.
    pub async fn erase_step(&self, step: Step) -> Result<Stepped, StoreError> {
        self.write(move |connection| match step.content {
            Content::Bodies => walk(connection, &BODIES, &step),
            Content::Results => {
                let lost = erase_lost(connection, &step)?;
                let unused = batches::erase_unused(connection, &step.ids_only, step.now_ms)?;
                let walked = walk(connection, &RESULTS, &step)?;
                let erased = walked.erased + lost + unused.erased;
                Ok(Stepped { erased, more: walked.more || unused.more, ..walked })
            }
            Content::Effects => walk(connection, &EFFECTS, &step),
            Content::Reviews => {
                let ended = batches::expire(connection, step.before_ms, step.now_ms)?;
                let reviews = reviews::erase_old(connection, &step)?;
                Ok(Stepped {
                    erased: reviews.erased + ended.erased,
                    expired: reviews.expired + ended.batches,
                    more: reviews.more || ended.more,
                })
            }
        })
        .await
    }
}

/// A table that is walked.
struct Walk {
    /// Rows after a key, in order: key, time, and whether there is content whose
    /// work has ended.
    find: &'static str,
    erase: &'static str,
    mark: &'static str,
    again: &'static str,
}

const BODIES: Walk = Walk {
    find: "SELECT seq, received_at, body IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.key = deliveries.job_key AND j.project = deliveries.project AND j.state NOT IN ('processed','failed_final'))
           FROM deliveries WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    erase: "UPDATE deliveries SET body = NULL WHERE seq = ?1 AND received_at <= ?2",
    mark: "erased/bodies",
    again: "erased/bodies/again",
};

const RESULTS: Walk = Walk {
    find: "SELECT seq, fetched_at, erased_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.resource_id = results.resource_id AND j.project = results.project AND j.kind IN ('ending','line')
                 AND j.state NOT IN ('processed','failed_final'))
               -- The output of a line, while its batch waits or is applied.
               AND NOT EXISTS (
               SELECT 1 FROM batch_parts p JOIN batches b ON b.id = p.batch_id
                WHERE p.resource_id = CASE WHEN instr(results.resource_id, '/') > 0
                                           THEN substr(results.resource_id, 1, instr(results.resource_id, '/') - 1) END AND p.project = results.project
                  AND b.state NOT IN ('applied','undone','rejected','failed'))
           FROM results WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    erase: "UPDATE results SET raw = NULL, erased_at = ?2 WHERE seq = ?1",
    mark: "erased/results",
    again: "erased/results/again",
};

const EFFECTS: Walk = Walk {
    find: "SELECT effects.id, planned_at, payload IS NOT NULL AND j.state IN ('processed','failed_final')
               AND (effects.state <> 'applying' OR j.outcome IS NOT DISTINCT FROM 'discarded')
           FROM effects JOIN jobs j ON j.id = effects.job_id WHERE effects.id > ?1 ORDER BY effects.id LIMIT ?2",
    erase: "UPDATE effects SET payload = NULL WHERE id = ?1 AND planned_at <= ?2",
    mark: "erased/effects",
    again: "erased/effects/again",
};

/// A row on the way.
struct Passed {
    key: i64,
    at_ms: i64,
    can_go: bool,
}

fn walk(connection: &Connection, walk: &Walk, step: &Step) -> Result<Stepped, StoreError> {
    let from = mark(connection, walk.mark)?;
    let mut rows = rows_after(connection, walk, from)?;
    let old = rows.iter().take_while(|row| row.at_ms < step.before_ms).count();
    rows.truncate(old);
    let to = rows.last().map_or(from, |row| row.key);
    set_mark(connection, walk.mark, from, to)?;
    let mut erased = erase_rows(connection, walk, &rows, step)?;
    let more = i64::try_from(old).unwrap_or(STEP) == STEP;
    if !more {
        erased += walk_again(connection, walk, to, step)?;
    }
    Ok(Stepped { erased, expired: 0, more })
}

/// A piece of the second walk, over what the first has passed.
fn walk_again(connection: &Connection, walk: &Walk, end: i64, step: &Step) -> Result<usize, StoreError> {
    let from = mark(connection, walk.again)?;
    let rows = rows_after(connection, walk, from)?;
    let last = rows.last().map_or(0, |row| row.key);
    let passed: Vec<Passed> = rows.into_iter().filter(|row| row.key <= end && row.at_ms < step.before_ms).collect();
    set_mark(connection, walk.again, from, if last == 0 || last >= end { 0 } else { last })?;
    erase_rows(connection, walk, &passed, step)
}

fn rows_after(connection: &Connection, walk: &Walk, key: i64) -> Result<Vec<Passed>, StoreError> {
    let mut find = connection.prepare_cached(walk.find)?;
    let read = |row: &sql::Row<'_>| {
        Ok(Passed { key: row.get(0)?, at_ms: row.get(1)?, can_go: row.get::<_, Option<bool>>(2)?.unwrap_or(false) })
    };
    Ok(find.query_map((key, STEP), read)?.collect::<Result<_, _>>()?)
}

fn erase_rows(connection: &Connection, walk: &Walk, rows: &[Passed], step: &Step) -> Result<usize, StoreError> {
    let mut erase = connection.prepare_cached(walk.erase)?;
    let mut erased = 0;
    for row in rows.iter().filter(|row| row.can_go) {
        erased += erase.execute((row.key, step.now_ms))?;
    }
    Ok(erased)
}

fn mark(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    let found = connection
        .prepare_cached("SELECT value FROM marks WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// Nothing is written when nothing has moved: an idle desk commits nothing.
fn set_mark(connection: &Connection, name: &str, from: i64, to: i64) -> Result<(), StoreError> {
    if from != to {
        connection
            .prepare_cached("INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")?
            .execute((name, to))?;
    }
    Ok(())
}

/// Results of jobs whose worker died on every attempt: no settlement has erased
/// them.
fn erase_lost(connection: &Connection, step: &Step) -> Result<usize, StoreError> {
    if step.ids_only.is_empty() {
        return Ok(0);
    }
    Ok(connection
        .prepare_cached(
            "UPDATE results SET raw = NULL, erased_at = ?1 WHERE erased_at IS NULL AND (resource_id, project) IN (
               SELECT resource_id, project FROM jobs WHERE state = 'failed_final' AND since >= ?2
                  AND project IN (SELECT value FROM json_each(?3)))",
        )?
        .execute((step.now_ms, step.now_ms - LOST_LEASES_MS, json!(step.ids_only).to_string()))?)
}
