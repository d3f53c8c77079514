//! Proves over the database that no work ended silently. Each rule is a query
//! for rows that break it; no row, no finding. A rule is about what *must* be
//! there, so that work nobody thought of fails it as well.

use crate::store::sql::Connection;

use super::{Location, Store, StoreError, postgres, sqlite};

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
}

/// Most findings that one rule lists.
pub const MAX_FINDINGS: i64 = 1000;

/// A worker that is alive claims a lost lease well within this, in ms.
const LEASE_GRACE_MS: i64 = 60_000;

struct Rule {
    rule: &'static str,
    thing: &'static str,
    /// Selects id and since; `?1` now, `?2` overdue, `?3` the lease's grace.
    sql: &'static str,
}

const RULES: [Rule; 20] = [
    Rule {
        rule: "its lease ended and nobody claims it",
        thing: "job",
        sql: "SELECT 'job_' || id, claimable_at FROM jobs WHERE state = 'processing' AND claimable_at < ?1 - ?3",
    },
    Rule {
        rule: "it could be worked on, and has waited too long",
        thing: "job",
        sql: "SELECT 'job_' || id, claimable_at FROM jobs WHERE state IN ('queued','failed_retryable') AND claimable_at < ?1 - ?2",
    },
    Rule {
        rule: "it failed for good, and nobody was told",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE state = 'failed_final' AND outcome IS NULL AND error_cause <> 'resource_cancelled'
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = j.error_cause AND a.subject = j.project AND a.last_at >= j.since)",
    },
    Rule {
        rule: "it says that it changed the ticket, and there is no such change",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE outcome = 'applied' AND kind NOT IN ('start','build','undo')
                AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id AND p.project = j.project) AND NOT EXISTS (
                SELECT 1 FROM effects e WHERE e.project = j.project AND e.resource_id = j.resource_id AND e.state = 'applied')",
    },
    Rule {
        rule: "it says that a person decides, and there is no review",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE outcome = 'held' AND NOT EXISTS (
                SELECT 1 FROM reviews r WHERE r.project = j.project AND r.resource_id = j.resource_id)
                AND NOT EXISTS (SELECT 1 FROM batch_parts p WHERE p.resource_id = j.resource_id AND p.project = j.project)",
    },
    Rule {
        rule: "it ended without a change, and gives no reason",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs WHERE outcome IN ('ignored','superseded','discarded') AND coalesce(reason, '') = ''",
    },
    Rule {
        rule: "it was superseded by nothing",
        thing: "job",
        sql: "SELECT 'job_' || id, since FROM jobs j WHERE outcome = 'superseded'
                AND NOT EXISTS (SELECT 1 FROM submissions s WHERE s.retry_of = j.resource_id)
                AND NOT EXISTS (SELECT 1 FROM newest n WHERE n.ticket_id = j.ticket_id AND n.workflow = j.workflow
                                  AND n.resource_id <> j.resource_id)",
    },
    Rule {
        rule: "it is written down, its job has ended, and nobody knows whether it is there",
        thing: "effect",
        sql: "SELECT ref, planned_at FROM effects e WHERE state = 'applying'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.job_id AND (j.state <> 'processed'))",
    },
    Rule {
        rule: "it was stored with work to do, and there is no job",
        thing: "delivery",
        sql: "SELECT delivery_id, received_at FROM deliveries d WHERE job_key IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = d.job_key AND j.project = d.project)",
    },
    Rule {
        rule: "it is parked without a job, and nobody was told",
        thing: "delivery",
        sql: "SELECT delivery_id, received_at FROM deliveries d
               WHERE job_key IS NULL AND dismissed_at IS NULL AND duplicate_of IS NULL AND received_at < ?1 - ?2
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = 'received' AND a.subject = coalesce(d.event_type, 'unreadable')
                                  AND (a.closed_at IS NULL OR a.last_at >= d.received_at))
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind IN ('fine_tuning_ended','eval_ended')
                                  AND a.subject = coalesce(d.resource_id, d.event_id, d.delivery_id))",
    },
    Rule {
        rule: "it was approved, and nothing carries it out",
        thing: "review",
        sql: "SELECT id, decided_at FROM reviews r WHERE state = 'approved'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'review/' || r.id AND j.project = r.project
                                  AND (j.state <> 'processed' OR j.outcome = 'applied'))",
    },
    Rule {
        rule: "it is past its deadline",
        thing: "submission",
        sql: "SELECT id, deadline_at FROM submissions WHERE state IN ('planned','starting','started','unknown') AND deadline_at < ?1",
    },
    Rule {
        rule: "OpenAI refused to start it, and nobody was told",
        thing: "submission",
        sql: "SELECT id, created_at FROM submissions s WHERE state = 'refused' AND origin <> 'person'
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.key = 'start/' || s.id AND j.project = s.project AND j.state <> 'processed')",
    },
    Rule {
        rule: "it was lost, and nobody was told",
        thing: "submission",
        sql: "SELECT id, deadline_at FROM submissions s WHERE state = 'lost'
                AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.kind = 'submission_lost' AND a.subject = s.project)",
    },
    Rule {
        rule: "it has ended, and nothing says how",
        thing: "submission",
        sql: "SELECT id, coalesce(ended_at, created_at) FROM submissions s WHERE state = 'ended'
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

const KINDS: [(&str, &str); 5] = [
    ("submissions", "SELECT count(*) FROM submissions"),
    ("deliveries", "SELECT count(*) FROM deliveries"),
    ("jobs", "SELECT count(*) FROM jobs"),
    ("reviews", "SELECT count(*) FROM reviews"),
    ("batches", "SELECT count(*) FROM batches"),
];

impl Store {
    /// Looks for work that ended silently.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit(&self, at: AuditAt) -> Result<Audit, StoreError> {
        self.read(move |connection| audit(connection, at)).await
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

fn audit(connection: &Connection, at: AuditAt) -> Result<Audit, StoreError> {
    let mut found = Audit::default();
    for (kind, sql) in KINDS {
        found.checked.push((kind, connection.query_row(sql, [], |row| row.get(0))?));
    }
    for Rule { rule, thing, sql } in &RULES {
        // A rule uses what it needs of the three numbers; the CTE takes them all.
        let sql = format!(
            "WITH given AS (SELECT CAST(?1 AS BIGINT), CAST(?2 AS BIGINT), CAST(?3 AS BIGINT))
             SELECT * FROM ({sql}) AS found ORDER BY 2 LIMIT {MAX_FINDINGS}"
        );
        let mut broken = connection.prepare_cached(&sql)?;
        let rows = broken.query_map((at.now_ms, at.overdue_ms, LEASE_GRACE_MS), |row| {
            Ok(Finding { rule, thing, id: row.get(0)?, since_ms: row.get(1)? })
        })?;
        found.findings.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    found.findings.sort_by_key(|finding| finding.since_ms);
    Ok(found)
}
