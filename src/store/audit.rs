//! Proves over the database that no work ended silently. Each rule is a query
//! for rows that break it; no row, no finding. A rule is about what *must* be
//! there, so that work nobody thought of fails it as well. It looks at every row by
//! nature, and does so in steps.

use std::collections::BTreeMap;

use crate::store::sql::Connection;

use super::{Location, Restored, Store, StoreError, postgres, restored, sqlite};

/// When work counts as forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAt {
    /// Now, in ms.
    pub now_ms: i64,
    /// Claimable work that has waited longer is overdue, in ms.
    pub overdue_ms: i64,
}

/// One thing that ended silently, or no longer moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, the same words each time.
    pub rule: &'static str,
    /// `submission`, `delivery`, `job`, `review`, `effect`, `batch` or `line`.
    pub thing: &'static str,
    /// Its id.
    pub id: String,
    /// Since when, in ms.
    pub since_ms: i64,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// How many rows of each kind there are.
    pub checked: Vec<(&'static str, i64)>,
    /// Oldest first; at most 1000 a rule.
    pub findings: Vec<Finding>,
    /// That the database was restored.
    pub restored: Option<Restored>,
}

/// Most findings that one rule lists.
pub const MAX_FINDINGS: i64 = 1000;

/// A worker that is alive claims a lost lease well within this, in ms.
const LEASE_GRACE_MS: i64 = 60_000;

/// Rows that one step looks at: each step is a short read of its own, so that
/// nobody waits for the audit, however much there is.
const STEP: i64 = 5_000;

struct Rule {
    rule: &'static str,
    thing: &'static str,
    /// Selects id and since; `?1` now, `?2` overdue, `?3` the lease's grace. With
    /// `{part}`, which stands for a stretch of its table, it is asked in steps.
    sql: &'static str,
}

const RULES: [Rule; 20] = [
    Rule {
        rule: "its lease ended and nobody claims it",
        thing: "job",
        sql: "SELECT 'job_' || id, claimable_at FROM jobs WHERE {part} AND state = 'processing' AND claimable_at < ?1 - ?3",
    },
    Rule {
        rule: "it could be worked on, and has waited too long",
        thing: "job",
        sql: "SELECT 'job_' || id, claimable_at FROM jobs WHERE {part} AND state IN ('queued','failed_retryable') AND claimable_at < ?1 - ?2",
    },
    Rule {
        rule: "it failed for good, and nobody was told",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE {part} AND state = 'failed_final' AND outcome IS NULL AND error_cause <> 'resource_cancelled'
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = j.error_cause AND a.subject = j.project AND a.last_at >= j.since)",
    },
    Rule {
        rule: "it says that it changed the ticket, and there is no such change",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE {part} AND outcome = 'applied' AND kind NOT IN ('start','build','undo')
                AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id AND p.project = j.project) AND NOT EXISTS (
                SELECT 1 FROM effects e WHERE e.project = j.project AND e.resource_id = j.resource_id AND e.state = 'applied')",
    },
    Rule {
        rule: "it says that a person decides, and there is no review",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE {part} AND outcome = 'held' AND NOT EXISTS (
                SELECT 1 FROM reviews r WHERE r.project = j.project AND r.resource_id = j.resource_id)
                AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id AND p.project = j.project)",
    },
    Rule {
        rule: "it ended without a change, and gives no reason",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs WHERE {part} AND outcome IN ('ignored','superseded','discarded') AND coalesce(reason, '') = ''",
    },
    Rule {
        rule: "it was superseded by nothing",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE {part} AND outcome = 'superseded'
                AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.retry_of = j.resource_id)
                AND NOT EXISTS (SELECT 1 FROM newest n WHERE n.ticket_id = j.ticket_id AND n.workflow = j.workflow
                                  AND n.resource_id <> j.resource_id)",
    },
    Rule {
        rule: "it is written down, its job has ended, and nobody knows whether it is there",
        thing: "effect",
        sql: "SELECT ref, planned_at FROM effects e WHERE {part} AND state = 'applying'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.job_id AND (j.state <> 'processed'))",
    },
    Rule {
        rule: "it was stored with work to do, and there is no job",
        thing: "delivery",
        sql: "SELECT delivery_id, received_at FROM deliveries d WHERE {part} AND job_key IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = d.job_key AND j.project = d.project)",
    },
    Rule {
        rule: "it is parked without a job, and nobody was told",
        thing: "delivery",
        sql: "SELECT delivery_id, received_at FROM deliveries d
               WHERE {part} AND job_key IS NULL AND dismissed_at IS NULL AND duplicate_of IS NULL AND received_at < ?1 - ?2
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = 'received' AND a.subject = coalesce(d.event_type, 'unreadable')
                                  AND (a.closed_at IS NULL OR a.last_at >= d.received_at))
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind IN ('fine_tuning_ended','eval_ended')
                                  AND a.subject = coalesce(d.resource_id, d.event_id, d.delivery_id))",
    },
    Rule {
        rule: "it was approved, and nothing carries it out",
        thing: "review",
        sql: "SELECT id, decided_at FROM reviews r WHERE {part} AND state = 'approved'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'review/' || r.id AND j.project = r.project
                                  AND (j.state <> 'processed' OR j.outcome = 'applied'))",
    },
    Rule {
        rule: "it is past its deadline",
        thing: "submission",
        sql: "SELECT id, deadline_at FROM submissions WHERE {part} AND state IN ('planned','starting','started','unknown') AND deadline_at < ?1",
    },
    Rule {
        rule: "OpenAI refused to start it, and nobody was told",
        thing: "submission",
        sql: "SELECT id, created_at FROM submissions s WHERE {part} AND state = 'refused' AND origin <> 'person'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'start/' || s.id AND j.project = s.project AND j.state <> 'processed')",
    },
    Rule {
        rule: "it was lost, and nobody was told",
        thing: "submission",
        sql: "SELECT id, deadline_at FROM submissions s WHERE {part} AND state = 'lost'
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = 'submission_lost' AND a.subject = s.project)",
    },
    Rule {
        rule: "it has ended, and nothing says how",
        thing: "submission",
        sql: "SELECT id, coalesce(ended_at, created_at) FROM submissions s WHERE {part} AND state = 'ended'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.project = s.project AND j.resource_id IN (s.resource_id, s.id)
                                  AND j.state IN ('processed','failed_final'))
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.project = s.project AND j.resource_id = s.resource_id)
                AND NOT EXISTS (SELECT 1 FROM audit_trail t WHERE t.subject = s.id AND t.action = 'submission.close')",
    },
    Rule {
        rule: "it is to be built, and nothing builds it",
        thing: "batch",
        sql: "SELECT id, since FROM batches b WHERE state = 'building'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'build/' || b.id AND j.project = b.project AND j.state <> 'processed')",
    },
    Rule {
        rule: "it is being applied, and no line of it moves",
        thing: "batch",
        sql: "SELECT id, since FROM batches WHERE state = 'applying' AND paused_at IS NULL AND in_flight = 0",
    },
    Rule {
        rule: "it counts other lines as under way than there are",
        thing: "batch",
        sql: "SELECT id, since FROM batches b WHERE in_flight <> (
                SELECT count(*) FROM batch_lines l WHERE l.batch_id = b.id AND coalesce(l.fate, l.result) = 'queued')",
    },
    Rule {
        rule: "it is under way, and has no job",
        thing: "line",
        sql: "SELECT coalesce(p.resource_id, b.id) || '/' || l.custom_id, b.since FROM batches b
                JOIN batch_lines l ON l.batch_id = b.id AND coalesce(l.fate, l.result) = 'queued'
                JOIN batch_parts p ON p.batch_id = b.id AND p.number = l.part
               WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'line/' || p.resource_id || '/' || l.custom_id
                                   AND j.project = p.project AND j.state NOT IN ('processed','failed_final'))",
    },
    Rule {
        rule: "it is to be undone, and nothing undoes it",
        thing: "batch",
        sql: "SELECT id, since FROM batches b WHERE undone_by IS NOT NULL AND state <> 'undone'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'undo/' || b.id AND j.project = b.project AND j.state <> 'processed')",
    },
];

/// What is walked in steps, and the column that numbers it.
struct Table {
    thing: &'static str,
    name: &'static str,
    number: &'static str,
    is_shown: bool,
}

const fn table(thing: &'static str, name: &'static str, number: &'static str) -> Table {
    Table { thing, name, number, is_shown: true }
}

const TABLES: [Table; 5] = [
    table("submission", "submissions", "seq"),
    table("delivery", "deliveries", "seq"),
    table("job", "jobs", "id"),
    table("review", "reviews", "seq"),
    Table { is_shown: false, ..table("effect", "effects", "id") },
];

impl Store {
    /// Looks for work that ended silently, in steps; what comes in meanwhile is
    /// not looked at.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit(&self, at: AuditAt) -> Result<Audit, StoreError> {
        let mut audit = Audit { restored: self.restored().await?, ..Audit::default() };
        for table in &TABLES {
            let mut part = self.read(|connection| Part::whole(connection, table)).await?;
            while let Some(next) = part.take() {
                let (count, found) = self.read(move |connection| look(connection, table, next, at)).await?;
                audit.add(table, count, found);
            }
        }
        let (batches, found) = self.read(move |connection| look_at_batches(connection, at)).await?;
        Ok(audit.whole(batches, found))
    }

    /// The same, of a database that no process need be running on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit_at(location: &Location, at: AuditAt) -> Result<Audit, StoreError> {
        match location {
            Location::Sqlite(path) => audit(&sqlite::connect_to_read(path)?, at),
            Location::Postgres(url) => postgres::apart(|| audit(&postgres::connect(url)?, at)),
        }
    }
}

/// Over one connection, whatever it sees.
pub(super) fn audit(connection: &Connection, at: AuditAt) -> Result<Audit, StoreError> {
    let mut audit = Audit { restored: restored::standing(connection)?, ..Audit::default() };
    for table in &TABLES {
        let mut part = Part::whole(connection, table)?;
        while let Some(next) = part.take() {
            let (count, found) = look(connection, table, next, at)?;
            audit.add(table, count, found);
        }
    }
    let (batches, found) = look_at_batches(connection, at)?;
    Ok(audit.whole(batches, found))
}

impl Audit {
    fn add(&mut self, table: &Table, count: i64, found: Vec<Finding>) {
        if table.is_shown {
            match self.checked.iter_mut().find(|(name, _)| *name == table.name) {
                Some((_, counted)) => *counted += count,
                None => self.checked.push((table.name, count)),
            }
        }
        self.findings.extend(found);
        // Now and then, so that a rule that everything breaks does not fill the memory.
        if self.findings.len() > KEPT {
            self.keep_oldest();
        }
    }

    /// Keeps the oldest findings of each rule.
    fn keep_oldest(&mut self) {
        self.findings.sort_by_key(|finding| finding.since_ms);
        let mut kept: BTreeMap<&str, i64> = BTreeMap::new();
        self.findings.retain(|finding| {
            let of_rule = kept.entry(finding.rule).or_default();
            *of_rule += 1;
            *of_rule <= MAX_FINDINGS
        });
    }

    fn whole(mut self, batches: i64, found: Vec<Finding>) -> Audit {
        for table in TABLES.iter().filter(|table| table.is_shown) {
            self.add(table, 0, Vec::new());
        }
        self.checked.push(("batches", batches));
        self.findings.extend(found);
        self.keep_oldest();
        self
    }
}

/// Findings in the memory at most: twice what all rules together list.
const KEPT: usize = 40_000;

/// A stretch of a table that is still to be looked at: after the first number, up
/// to the second.
#[derive(Clone, Copy)]
struct Part(i64, i64);

impl Part {
    fn whole(connection: &Connection, table: &Table) -> Result<Part, StoreError> {
        let sql = format!("SELECT coalesce(max({}), 0) FROM {}", table.number, table.name);
        Ok(Part(0, connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?))
    }

    /// The next step of it; none at the end.
    fn take(&mut self) -> Option<Part> {
        let Part(after, to) = *self;
        self.0 = (after + STEP).min(to);
        (after < to).then_some(Part(after, self.0))
    }
}

/// How many rows there are in a part, and what is wrong with them.
fn look(connection: &Connection, table: &Table, part: Part, at: AuditAt) -> Result<(i64, Vec<Finding>), StoreError> {
    let Part(after, to) = part;
    let number = table.number;
    let count = connection
        .prepare_cached(&format!("SELECT count(*) FROM {} WHERE {number} > ?1 AND {number} <= ?2", table.name))?
        .query_row((after, to), |row| row.get(0))?;
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.thing == table.thing) {
        found.extend(broken(connection, rule, &format!("{number} > ?4 AND {number} <= ?5"), part, at)?);
    }
    Ok((count, found))
}

fn look_at_batches(connection: &Connection, at: AuditAt) -> Result<(i64, Vec<Finding>), StoreError> {
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| TABLES.iter().all(|table| table.thing != rule.thing)) {
        found.extend(broken(connection, rule, "", Part(0, 0), at)?);
    }
    Ok((connection.query_row("SELECT count(*) FROM batches", [], |row| row.get(0))?, found))
}

fn broken(
    connection: &Connection,
    Rule { rule, thing, sql }: &Rule,
    stretch: &str,
    Part(after, to): Part,
    at: AuditAt,
) -> Result<Vec<Finding>, StoreError> {
    // A rule uses what it needs of the numbers; the CTE takes them all.
    let sql = sql.replace("{part}", stretch);
    let sql = format!(
        "WITH given AS (SELECT CAST(?1 AS BIGINT), CAST(?2 AS BIGINT), CAST(?3 AS BIGINT), CAST(?4 AS BIGINT), CAST(?5 AS BIGINT))
         SELECT * FROM ({sql}) AS found ORDER BY 2 LIMIT {MAX_FINDINGS}"
    );
    let mut broken = connection.prepare_cached(&sql)?;
    let rows = broken.query_map((at.now_ms, at.overdue_ms, LEASE_GRACE_MS, after, to), |row| {
        Ok(Finding { rule, thing, id: row.get(0)?, since_ms: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
