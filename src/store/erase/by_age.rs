//! Content goes by its age, in small steps: so many rows, and so many bytes.
//! Bodies, results and effects are walked in the order they came, with a mark for
//! how far: an index would cost every delivery a write. What has to stay because it
//! is still needed is written down, and looked at again in turns. Rows stay when
//! their content goes: an old delivery is still known when it comes again.

use crate::store::sql::{self, Connection};
use serde_json::json;

use super::reviews;
use crate::store::{Store, StoreError, batches, marks};

/// Rows a step looks at.
pub(super) const STEP: i64 = 500;

/// Bytes of content a step erases, but for the last row: what is freed is
/// overwritten.
const STEP_BYTES: i64 = 4 * 1024 * 1024;

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
    kind: &'static str,
    /// Rows in order, of those that `{which}` says: key, time, whether there is
    /// content, how many bytes, and whether the work that needs it has ended.
    find: &'static str,
    key: &'static str,
    erase: &'static str,
    mark: &'static str,
}

const BODIES: Walk = Walk {
    kind: "bodies",
    find: "SELECT seq, received_at, body IS NOT NULL, coalesce(octet_length(body), 0), NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.key = deliveries.job_key AND j.project = deliveries.project AND j.state NOT IN ('processed','failed_final'))
           FROM deliveries WHERE {which}",
    key: "seq",
    erase: "UPDATE deliveries SET body = NULL WHERE seq = ?1 AND received_at <= ?2",
    mark: "erased/bodies",
};

const RESULTS: Walk = Walk {
    kind: "results",
    find: "SELECT seq, fetched_at, erased_at IS NULL, coalesce(octet_length(raw), 0), NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.resource_id = results.resource_id AND j.project = results.project AND j.kind IN ('ending','line')
                 AND j.state NOT IN ('processed','failed_final'))
               -- The output of a line, while its batch waits or is applied.
               AND NOT EXISTS (
               SELECT 1 FROM batch_parts p JOIN batches b ON b.id = p.batch_id
                WHERE p.resource_id = CASE WHEN instr(results.resource_id, '/') > 0
                                           THEN substr(results.resource_id, 1, instr(results.resource_id, '/') - 1) END AND p.project = results.project
                  AND b.state NOT IN ('applied','undone','rejected','failed'))
           FROM results WHERE {which}",
    key: "seq",
    erase: "UPDATE results SET raw = NULL, erased_at = ?2 WHERE seq = ?1",
    mark: "erased/results",
};

const EFFECTS: Walk = Walk {
    kind: "effects",
    find: "SELECT effects.id, planned_at, payload IS NOT NULL, coalesce(octet_length(payload), 0), EXISTS (
               SELECT 1 FROM jobs j WHERE j.id = effects.job_id AND j.state IN ('processed','failed_final')
                  AND (effects.state <> 'applying' OR j.outcome IS NOT DISTINCT FROM 'discarded'))
           FROM effects WHERE {which}",
    key: "effects.id",
    erase: "UPDATE effects SET payload = NULL WHERE id = ?1 AND planned_at <= ?2",
    mark: "erased/effects",
};

/// A row on the way.
struct Passed {
    key: i64,
    at_ms: i64,
    has_content: bool,
    bytes: i64,
    can_go: bool,
}

/// The first walk: on from the mark, as far as it is old enough.
fn walk(connection: &Connection, walk: &Walk, step: &Step) -> Result<Stepped, StoreError> {
    let from = marks::get(connection, walk.mark)?;
    let mut found = rows(connection, walk, &format!("{key} > ?1 ORDER BY {key} LIMIT ?2", key = walk.key), from)?;
    let old_enough = found.iter().take_while(|row| row.at_ms < step.before_ms).count();
    found.truncate(old_enough);
    let old = within(found);
    let to = old.last().map_or(from, |row| row.key);
    move_mark(connection, walk.mark, from, to)?;
    for row in old.iter().filter(|row| row.has_content && !row.can_go) {
        later(connection, walk.kind, row.key)?;
    }
    let erased = erase_rows(connection, walk, &old, step)?;
    // It stopped at its bounds and not at something young.
    if old.len() < old_enough || i64::try_from(old_enough).unwrap_or(STEP) == STEP {
        return Ok(Stepped { erased, expired: 0, more: true });
    }
    let (again, more) = look_again(connection, walk, step)?;
    Ok(Stepped { erased: erased + again, expired: 0, more })
}

/// What the first walk had to leave, in turns: each row is looked at once in a
/// round. Whether there is more to erase right now.
fn look_again(connection: &Connection, walk: &Walk, step: &Step) -> Result<(usize, bool), StoreError> {
    let name = format!("{}/again", walk.mark);
    let from = marks::get(connection, &name)?;
    let which = format!(
        "{} IN (SELECT key FROM erase_later WHERE kind = '{}' AND key > ?1 ORDER BY key LIMIT ?2) ORDER BY {}",
        walk.key, walk.kind, walk.key
    );
    let found = rows(connection, walk, &which, from)?;
    let is_whole = i64::try_from(found.len()).unwrap_or(STEP) < STEP;
    let looked_at = found.len();
    let passed = within(found);
    let is_round = is_whole && passed.len() == looked_at;
    move_mark(connection, &name, from, if is_round { 0 } else { passed.last().map_or(0, |row| row.key) })?;
    let old: Vec<Passed> = passed.into_iter().filter(|row| row.at_ms < step.before_ms).collect();
    let erased = erase_rows(connection, walk, &old, step)?;
    let mut done = connection.prepare_cached("DELETE FROM erase_later WHERE kind = ?1 AND key = ?2")?;
    for row in old.iter().filter(|row| row.can_go || !row.has_content) {
        done.execute((walk.kind, row.key))?;
    }
    Ok((erased, erased > 0 && !is_round))
}

/// As many of these rows as one transaction may rewrite; the front desk waits for it.
fn within(rows: Vec<Passed>) -> Vec<Passed> {
    let mut bytes = 0;
    let fits = |row: &Passed| {
        let before = bytes;
        bytes += row.bytes;
        before < STEP_BYTES
    };
    rows.into_iter().take_while(fits).collect()
}

fn rows(connection: &Connection, walk: &Walk, which: &str, key: i64) -> Result<Vec<Passed>, StoreError> {
    let mut find = connection.prepare_cached(&walk.find.replace("{which}", which))?;
    let read = |row: &sql::Row<'_>| {
        Ok(Passed {
            key: row.get(0)?,
            at_ms: row.get(1)?,
            has_content: row.get(2)?,
            bytes: row.get(3)?,
            can_go: row.get(4)?,
        })
    };
    Ok(find.query_map((key, STEP), read)?.collect::<Result<_, _>>()?)
}

fn erase_rows(connection: &Connection, walk: &Walk, rows: &[Passed], step: &Step) -> Result<usize, StoreError> {
    let mut erase = connection.prepare_cached(walk.erase)?;
    let mut erased = 0;
    for row in rows.iter().filter(|row| row.has_content && row.can_go) {
        erased += erase.execute((row.key, step.now_ms))?;
    }
    Ok(erased)
}

/// Old content that is still needed, or is there again: somebody comes back to it.
fn later(connection: &Connection, kind: &str, key: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO erase_later (kind, key) VALUES (?1, ?2) ON CONFLICT (kind, key) DO NOTHING")?
        .execute((kind, key))?;
    Ok(())
}

/// The text of a change has been written down once more: the walk may have passed it.
pub(in crate::store) fn effect_again(connection: &Connection, reference: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO erase_later (kind, key) SELECT 'effects', id FROM effects
             WHERE ref = ?1 AND id <= (SELECT value FROM marks WHERE name = ?2) ON CONFLICT (kind, key) DO NOTHING",
        )?
        .execute((reference, EFFECTS.mark))?;
    Ok(())
}

/// Nothing is written when nothing has moved: an idle desk commits nothing.
fn move_mark(connection: &Connection, name: &str, from: i64, to: i64) -> Result<(), StoreError> {
    if from == to { Ok(()) } else { marks::set(connection, name, to) }
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
