//! The back office's queue. The job row *is* the queue entry: it is claimed by
//! lease, and settled by whoever still holds the claim it was made under.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::domain::resource::Usage;
use crate::store::sql::{self, Connection, Row, params};

use super::deciding::DRAFT_OVER;
use super::ledger::FoundBy;
use super::settle::count;
use super::{
    Approved, DraftOver, LineFacts, Store, StoreError, alerts, batches, deciding, effects, failed, ledger, restored,
    samples,
};
use crate::domain::effect::Effect;
use crate::domain::failure::Cause;
use crate::domain::job::Kind;
use crate::domain::submission::Placement;

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The worker's name, shown to people.
    pub worker: String,
    /// The project to take from.
    pub project: String,
    /// Most jobs to take.
    pub limit: usize,
    /// Which of those that are due.
    pub which: Which,
    /// How long the jobs are ours, in ms.
    pub lease_ms: i64,
    /// The time, in ms.
    pub now_ms: i64,
    /// A lease that ends on this attempt ends the job: what kills its worker
    /// each time would otherwise go round for ever.
    pub max_attempts: i64,
}

/// Which jobs a claim takes first, or at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All, by when OpenAI may forget their result.
    SoonestForgotten,
    /// Those tried longest ago, to see whether OpenAI accepts us again. By forget
    /// time it would be the same job each time, and one that OpenAI refuses for a
    /// reason of its own would stand for all the others.
    LongestUntried,
    /// Only what OpenAI has no part in, while it refuses us.
    WithoutOpenAi,
}

/// A job that is ours until its lease ends. It is made only here, cannot be
/// copied, and [`Store::settle`] consumes it.
#[derive(Debug)]
pub struct ClaimedJob {
    id: i64,
    claim: i64,
    called: AtomicBool,
    forgets: AtomicBool,
    /// Tokens in and out, as OpenAI says.
    used: [AtomicI64; 2],
    /// The policy that decided about it; 0 while none has.
    policy_version: AtomicI64,
    /// What it does.
    pub kind: Kind,
    /// What is after the `/` of its key: the event, the review, the submission.
    pub work: String,
    /// Attempts so far, with this one.
    pub attempt: i64,
    /// The OpenAI project.
    pub project: String,
    /// As `response.completed`.
    pub event_type: String,
    /// The resource to fetch.
    pub resource_id: String,
    /// What an earlier attempt has fetched already.
    pub kept: Option<String>,
    /// What an earlier attempt has written down and may have put on the ticket.
    pub unfinished: Vec<Effect>,
    /// Where it belongs, when we started it and know its id.
    pub placement: Option<Placement>,
    /// The line of a batch that it is for.
    pub line: Option<LineFacts>,
    /// What it carries out, for the approval of a review that still stands.
    pub approved: Option<Approved>,
    /// The draft that it takes away, when that is what it does.
    pub draft_over: Option<DraftOver>,
    /// When OpenAI may forget the result, in ms.
    pub forget_at_ms: i64,
    /// When the job was queued, in ms.
    pub queued_at_ms: i64,
}

impl ClaimedJob {
    /// The job's number.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// OpenAI is being asked for it: the call counts, whatever becomes of it.
    pub fn mark_called(&self) {
        self.called.store(true, Ordering::Relaxed);
    }

    /// What the result has cost.
    pub fn mark_used(&self, usage: Usage) {
        for (kept, tokens) in self.used.iter().zip([usage.input_tokens, usage.output_tokens]) {
            kept.store(tokens.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Tokens in and out.
    pub(super) fn used(&self) -> [i64; 2] {
        [0, 1].map(|at: usize| self.used[at].load(Ordering::Relaxed))
    }

    /// Its end keeps no content: results, texts of changes and reviews that are
    /// over are erased together with it.
    pub fn mark_forgets(&self) {
        self.forgets.store(true, Ordering::Relaxed);
    }

    pub(super) fn forgets(&self) -> bool {
        self.forgets.load(Ordering::Relaxed)
    }

    /// A policy has decided about it.
    pub fn mark_decided(&self, policy_version: i64) {
        self.policy_version.store(policy_version, Ordering::Relaxed);
    }

    pub(super) fn policy_version(&self) -> Option<i64> {
        Some(self.policy_version.load(Ordering::Relaxed)).filter(|version| *version != 0)
    }

    pub(super) fn called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// The fence: the number of this claim.
    #[must_use]
    pub fn claim(&self) -> i64 {
        self.claim
    }
}

impl Store {
    /// Takes jobs that are due, soonest forgotten first.
    ///
    /// # Errors
    /// When the transaction could not be committed; nothing was claimed then.
    pub async fn claim(&self, claim: Claim) -> Result<Vec<ClaimedJob>, StoreError> {
        let wanted = claim.clone();
        let taken = self.write_beside(move |connection| {
            if restored::must_be_noticed(connection)? || has_lost(connection, &wanted)? {
                return Ok(None);
            }
            take_due(connection, &wanted).map(Some)
        });
        if let Some(jobs) = taken.await? {
            return Ok(jobs);
        }
        // These touch batches, submissions and alerts: alone, and seldom.
        self.write(move |connection| {
            restored::notice(connection, claim.now_ms)?;
            give_up_lost(connection, &claim)?;
            take_due(connection, &claim)
        })
        .await
    }

    /// Extends the leases of jobs, named by id and claim. Those that have been
    /// claimed by someone else since are left alone.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn heartbeat(&self, jobs: Vec<(i64, i64)>, until_ms: i64) -> Result<(), StoreError> {
        self.write_beside(move |connection| {
            let mut extend = connection.prepare_cached(
                "UPDATE jobs SET claimable_at = ?3 WHERE id = ?1 AND claims = ?2 AND state = 'processing'",
            )?;
            for (id, claim) in &jobs {
                extend.execute((id, claim, until_ms))?;
            }
            Ok(())
        })
        .await
    }

    /// Makes the jobs that wait because OpenAI refused us due at once.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn release_paused(&self, project: String, now_ms: i64) -> Result<usize, StoreError> {
        let released = self
            .write(move |connection| {
                Ok(connection.execute(
                    "UPDATE jobs SET claimable_at = ?2
                     WHERE project = ?1 AND state IN ('processing','failed_retryable') AND state = 'failed_retryable'
                       AND error_cause IN ('openai_auth','openai_quota') AND claimable_at > ?2",
                    (&project, now_ms),
                )?)
            })
            .await?;
        self.ring();
        Ok(released)
    }
}

const LOST: &str = "project = ?1 AND state IN ('processing','failed_retryable') AND claimable_at <= ?2
               AND state = 'processing' AND attempts >= ?3";

fn has_lost(connection: &Connection, claim: &Claim) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached(&format!("SELECT 1 FROM jobs WHERE {LOST} LIMIT 1"))?.exists((
        &claim.project,
        claim.now_ms,
        claim.max_attempts,
    ))?)
}

fn give_up_lost(connection: &Connection, claim: &Claim) -> Result<(), StoreError> {
    let detail = format!("the lease ended {} times without a word from the worker", claim.max_attempts);
    let lost = connection
        .prepare_cached(&format!(
            "UPDATE jobs SET state = 'failed_final', since = ?2, claimable_at = NULL, worker = NULL,
                             error_cause = 'lease_lost', error_detail = ?4
             WHERE {LOST} RETURNING resource_id, event_type, kind, id"
        ))?
        .query_map((&claim.project, claim.now_ms, claim.max_attempts, &detail), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<Vec<(String, String, String, i64)>, _>>()?;
    for (resource_id, event_type, kind, id) in &lost {
        failed::mark_deliveries(connection, *id)?;
        if let Some(kind) = Kind::parse(kind) {
            batches::lost(connection, kind, &claim.project, resource_id, event_type, claim.now_ms)?;
        }
        let placement = ledger::placement_of(connection, &claim.project, resource_id)?;
        if let Some(submission_id) = placement.and_then(|placement| placement.submission_id) {
            ledger::end(connection, &submission_id, Some(FoundBy::of(event_type)), claim.now_ms)?;
        }
    }
    if !lost.is_empty() {
        if alerts::raise(connection, Cause::LeaseLost.code(), &claim.project, &detail, claim.now_ms)? {
            tracing::error!(alert = Cause::LeaseLost.code(), project = claim.project, jobs = lost.len(), "alert");
        }
        let jobs = i64::try_from(lost.len()).unwrap_or(i64::MAX);
        count(connection, "failed_final", jobs)?;
        samples::measure_failed(connection, Cause::LeaseLost, jobs)?;
    }
    Ok(())
}

/// Waiting jobs by when OpenAI forgets their result, and due ones; each part
/// walks an index of just those rows, so a long queue does not slow a claim.
const SOONEST_FORGOTTEN: &str = "SELECT id FROM (
    SELECT * FROM (SELECT id, forget_at FROM jobs WHERE project = ?1 AND state = 'queued' AND claimable_at <= ?2
                   ORDER BY forget_at, id LIMIT ?5 {claiming}) AS waiting
    UNION ALL
    SELECT * FROM (SELECT id, forget_at FROM jobs
                   WHERE project = ?1 AND state IN ('processing','failed_retryable') AND claimable_at <= ?2
                   ORDER BY claimable_at LIMIT ?5 {claiming}) AS due
  ) AS either ORDER BY forget_at, id LIMIT ?5";

/// One that has never been tried, or else the one tried longest ago; what does not
/// ask OpenAI would show nothing.
const LONGEST_UNTRIED: &str = "SELECT id FROM (
    SELECT * FROM (SELECT id, 0 AS tried_at FROM jobs WHERE project = ?1 AND state = 'queued' AND claimable_at <= ?2 AND kind NOT IN ('approval','line','undo')
                   ORDER BY forget_at, id LIMIT ?5 {claiming}) AS waiting
    UNION ALL
    SELECT * FROM (SELECT id, coalesce(started_at, 0) AS tried_at FROM jobs
                   WHERE project = ?1 AND state IN ('processing','failed_retryable') AND claimable_at <= ?2 AND kind NOT IN ('approval','line','undo')
                   ORDER BY tried_at, id LIMIT ?5 {claiming}) AS due
  ) AS either ORDER BY tried_at, id LIMIT ?5";

/// What people have approved, and lines of batches, whose results are here. The
/// words of the index as they stand there.
const WITHOUT_OPENAI: &str =
    "SELECT id FROM jobs WHERE project = ?1 AND kind IN ('approval','line','undo') AND claimable_at IS NOT NULL
   AND claimable_at <= ?2 ORDER BY claimable_at, id LIMIT ?5 {claiming}";

fn take_due(connection: &Connection, claim: &Claim) -> Result<Vec<ClaimedJob>, StoreError> {
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let which = match claim.which {
        Which::SoonestForgotten => SOONEST_FORGOTTEN,
        Which::LongestUntried => LONGEST_UNTRIED,
        Which::WithoutOpenAi => WITHOUT_OPENAI,
    };
    let due = connection.among(which);
    let mut take = connection.prepare_cached(&format!(
        "UPDATE jobs SET state = 'processing', since = ?2, started_at = ?2, worker = ?3, claimable_at = ?2 + ?4,
                         claims = claims + 1, attempts = attempts + 1
         WHERE {due}
         RETURNING id, claims, attempts, project, event_type, resource_id, forget_at, queued_at, kind, key"
    ))?;
    let mut jobs = take
        .query_map(params![claim.project, claim.now_ms, claim.worker, claim.lease_ms, limit], claimed)?
        .collect::<Result<Vec<_>, _>>()?;
    for job in jobs.iter_mut().filter(|job| job.kind == Kind::Approval) {
        match job.event_type == DRAFT_OVER {
            true => job.draft_over = deciding::draft_over(connection, &job.work)?,
            false => job.approved = deciding::approved(connection, &job.work)?,
        }
    }
    for job in jobs.iter_mut().filter(|job| job.kind == Kind::Line) {
        job.line = batches::line_of(connection, &job.project, &job.resource_id)?;
    }
    for job in jobs.iter_mut().filter(|job| matches!(job.kind, Kind::Ending | Kind::Line)) {
        job.kept = effects::kept(connection, &job.project, &job.resource_id)?;
        if job.claim > 1 || job.kept.is_some() {
            job.unfinished = effects::unfinished(connection, &job.project, &job.resource_id)?;
        }
        job.placement = match &job.line {
            Some(line) => Some(line.placement.clone()),
            None => ledger::placement_of(connection, &job.project, &job.resource_id)?,
        };
    }
    // RETURNING gives no order.
    jobs.sort_by_key(|job| (job.forget_at_ms, job.id));
    Ok(jobs)
}

fn claimed(row: &Row<'_>) -> sql::Result<ClaimedJob> {
    Ok(ClaimedJob {
        id: row.get(0)?,
        claim: row.get(1)?,
        called: AtomicBool::new(false),
        forgets: AtomicBool::new(false),
        policy_version: AtomicI64::new(0),
        used: [AtomicI64::new(0), AtomicI64::new(0)],
        attempt: row.get(2)?,
        project: row.get(3)?,
        event_type: row.get(4)?,
        resource_id: row.get(5)?,
        forget_at_ms: row.get(6)?,
        queued_at_ms: row.get(7)?,
        kind: Kind::parse(&row.get::<_, String>(8)?).ok_or(sql::Error::Unreadable)?,
        work: row.get::<_, String>(9)?.split_once('/').map(|(_, work)| work.to_owned()).unwrap_or_default(),
        line: None,
        approved: None,
        draft_over: None,
        kept: None,
        unfinished: Vec::new(),
        placement: None,
    })
}
