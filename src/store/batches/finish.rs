//! The end of reading. When every part of a batch has been read, what is
//! missing is entered, and it is known whether a person decides.

use crate::store::sql::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{again, count, counted, counts, feed};
use crate::domain::batch::change_set::ChangeSet;
use crate::domain::batch::{Counts, Rules, WaitsFor};
use crate::store::row::to_json;
use crate::store::settle::count as tally;
use crate::store::{Part, Store, StoreError, alerts};

/// How a part has ended at OpenAI.
#[derive(Debug, Clone)]
pub struct PartEnd {
    /// The part.
    pub part: Part,
    /// OpenAI's word: `completed`, `expired`, `cancelled`, `failed`.
    pub status: String,
    /// OpenAI's own counts and usage.
    pub said: Value,
    /// OpenAI's errors of the input file, with their lines.
    pub errors: Vec<(String, Option<i64>)>,
    /// What tunes the rest.
    pub rules: Rules,
    /// Why there are no results at all.
    pub error: Option<String>,
}

/// How the batch stands then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// Other parts are still to come.
    Partly,
    /// A person decides.
    Waits,
    /// It is being applied, or there was nothing to apply.
    Goes,
    /// It had been read before.
    Before,
}

/// How many runs a change-set is compared with.
const RUNS_BEFORE: i64 = 5;

/// They are looked for among so many of the last ones.
const LOOKED_AT: i64 = 200;

/// Told once when OpenAI has two batches of one part: only the first one's results are used.
pub const BATCH_TWIN: &str = "batch_twin";

/// Told once of lines that need nobody's leave and are not on any ticket either.
pub(in crate::store) const BATCH_LINES: &str = "batch_lines";

/// Told once of a batch that nobody has decided about in time.
pub(in crate::store) const BATCH_EXPIRED: &str = "batch_expired";

impl Store {
    /// The files of a part have been read to their ends, or there are none.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn finish_part(&self, end: PartEnd, now_ms: i64) -> Result<Entered, StoreError> {
        self.close_lines(&end).await?;
        let entered = self.write(move |connection| finish(connection, &end, now_ms)).await?;
        self.ring();
        Ok(entered)
    }

    /// What the last runs of a workflow came to, added up: what a change-set is compared with.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_before(&self, batch_id: String) -> Result<Counts, StoreError> {
        self.read(move |connection| runs_before(connection, &batch_id)).await
    }
}

fn finish(connection: &Connection, end: &PartEnd, now_ms: i64) -> Result<Entered, StoreError> {
    let part = &end.part;
    let read = connection
        .prepare_cached(
            "UPDATE batch_parts SET read_at = ?2, status = ?3, said = ?4, errors = ?5 WHERE id = ?1 AND read_at IS NULL",
        )?
        .execute(params![part.id, now_ms, end.status, to_json(&end.said)?, to_json(&end.errors)?])?;
    if read == 0 {
        return Ok(Entered::Before);
    }
    if let Some(error) = &end.error {
        connection.prepare_cached("UPDATE batches SET error = ?2 WHERE id = ?1")?.execute((&part.batch_id, error))?;
    }
    let open: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM batch_parts WHERE batch_id = ?1 AND read_at IS NULL)
                 -- Failed here is given up while it was built: a person goes on with it, or discards the job.
                 OR EXISTS (SELECT 1 FROM batches WHERE id = ?1 AND state IN ('building','failed'))",
        )?
        .query_row([&part.batch_id], |row| row.get(0))?;
    if open {
        return Ok(Entered::Partly);
    }
    conclude(connection, &part.batch_id, &end.rules, now_ms)
}

/// All parts have been read.
pub(in crate::store) fn conclude(
    connection: &Connection,
    batch_id: &str,
    rules: &Rules,
    now_ms: i64,
) -> Result<Entered, StoreError> {
    enter_missing(connection, batch_id)?;
    again::begin_again(connection, batch_id, rules, now_ms)?;
    let found = counts(connection, batch_id)?;
    let of = |name: &str| found.get(name).copied().unwrap_or(0);
    let usable = of("result/ok") + of("result/held");
    if usable == 0 && all_failed(connection, batch_id)? {
        set_state(connection, batch_id, "failed", None, now_ms)?;
        return Ok(Entered::Goes);
    }
    tell_of_losses(connection, batch_id, &found, now_ms)?;
    keep_pace(connection, batch_id, rules)?;
    let waits = ChangeSet::of(&found, &runs_before(connection, batch_id)?).waits_for(rules);
    match waits.filter(|_| usable > 0) {
        Some(why) => {
            set_state(connection, batch_id, "waiting", Some(why), now_ms)?;
            Ok(Entered::Waits)
        }
        None => {
            set_state(connection, batch_id, "applying", None, now_ms)?;
            feed::feed(connection, batch_id, now_ms)?;
            Ok(Entered::Goes)
        }
    }
}

/// How it is to be applied, as the settings are now.
pub(super) fn keep_pace(connection: &Connection, batch_id: &str, rules: &Rules) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE batches SET pace = ?2, \"window\" = ?3, stop_after = ?4 WHERE id = ?1")?
        .execute((batch_id, rules.pace, rules.window.max(1), rules.stop_after.max(1)))?;
    Ok(())
}

/// When a person has given up the rest: whatever the size of what there is, that
/// person looks at it, and nothing more is sent.
pub(super) fn rules_at_hand(connection: &Connection, batch_id: &str) -> Result<Rules, StoreError> {
    let rules = Rules { preview_over: -1, requeue: false, ..Rules::default() };
    Ok(connection
        .prepare_cached("SELECT pace, \"window\", stop_after FROM batches WHERE id = ?1")?
        .query_row([batch_id], |row| {
            Ok(Rules { pace: row.get(0)?, window: row.get(1)?, stop_after: row.get(2)?, ..rules })
        })?)
}

pub(in crate::store) fn set_state(
    connection: &Connection,
    batch_id: &str,
    state: &str,
    waits_for: Option<WaitsFor>,
    now_ms: i64,
) -> Result<(), StoreError> {
    moving(connection, batch_id, || {
        connection
            .prepare_cached(
                "UPDATE batches SET state = ?2, since = ?3, waits_for = coalesce(?4, waits_for) WHERE id = ?1",
            )?
            .execute((batch_id, state, now_ms, waits_for.map(WaitsFor::word)))?;
        Ok(())
    })
}

/// Does what may make a batch, or move it to another state, and counts that. No
/// state of a batch is written but in here.
pub(super) fn moving<T>(
    connection: &Connection,
    batch_id: &str,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let before = state_of(connection, batch_id)?;
    let done = work()?;
    let after = state_of(connection, batch_id)?;
    if before != after {
        for (state, by) in [(before, -1), (after, 1)] {
            state.map_or(Ok(()), |state| tally(connection, &format!("batches/{state}"), by))?;
        }
    }
    Ok(done)
}

fn state_of(connection: &Connection, batch_id: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT state FROM batches WHERE id = ?1")?
        .query_row([batch_id], |row| row.get(0))
        .optional()?)
}

fn enter_missing(connection: &Connection, batch_id: &str) -> Result<(), StoreError> {
    if counted(connection, batch_id, "result/awaited")? == 0 {
        return Ok(());
    }
    let missing = connection
        .prepare_cached("UPDATE batch_lines SET result = 'missing', reason = 'in_no_file' WHERE batch_id = ?1 AND result = 'awaited'")?
        .execute([batch_id])?;
    let missing = i64::try_from(missing).unwrap_or(0);
    count(connection, batch_id, "result/missing", missing)?;
    count(connection, batch_id, "reason/in_no_file", missing)?;
    count(connection, batch_id, "result/awaited", -missing)
}

fn all_failed(connection: &Connection, batch_id: &str) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM batch_parts WHERE batch_id = ?1 AND status NOT IN ('failed','lost','given_up','not_sent'))",
        )?
        .query_row([batch_id], |row| row.get(0))?)
}

/// Lines that come to nothing end here, so somebody hears of them.
fn tell_of_losses(connection: &Connection, batch_id: &str, found: &Counts, now_ms: i64) -> Result<(), StoreError> {
    let lost: Vec<String> = ["failed", "missing", "unknown", "duplicate", "unreadable"]
        .into_iter()
        .filter_map(|word| {
            let count = found.get(&format!("result/{word}")).copied().unwrap_or(0);
            (count > 0).then(|| format!("{count} {word}"))
        })
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    alerts::notice(connection, BATCH_LINES, batch_id, &format!("lines without a result: {}", lost.join(", ")), now_ms)
}

pub(super) fn runs_before(connection: &Connection, batch_id: &str) -> Result<Counts, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT c.name, CAST(sum(c.count) AS BIGINT) FROM batch_counts c
         WHERE c.batch_id IN (
           SELECT run FROM (SELECT b.id AS run, b.seq FROM batches b JOIN batches now ON now.id = ?1
                            WHERE b.workflow = now.workflow AND b.project = now.project AND b.state = 'applied' AND b.seq < now.seq
                            ORDER BY b.seq DESC LIMIT ?3) AS runs
            -- A night on which there was nothing to do is no run to compare with.
            WHERE EXISTS (SELECT 1 FROM batch_counts u
                          WHERE u.batch_id = run AND u.name IN ('result/ok','result/held') AND u.count > 0)
            ORDER BY seq DESC LIMIT ?2)
         GROUP BY c.name",
    )?;
    Ok(list
        .query_map((batch_id, RUNS_BEFORE, LOOKED_AT), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}
