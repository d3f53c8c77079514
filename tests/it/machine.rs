//! The states of a job: random histories, told to the store and to a model of
//! ten lines a rule; after each step the two must agree.

use std::collections::BTreeMap;

use crate::support::database::{Sql, TestDatabase};
use frontdesk::domain::decision::Hold;
use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::job::{AfterFailure, RetryPolicy};
use frontdesk::store::{Claim, ClaimedJob, Discarded, NewReview, Retried, Settled, Settlement, Store, Which};
use proptest::prelude::*;

use super::harness::{START_MS, event, histories, signed};
use super::invariants;

const EVENTS: usize = 4;
const ATTEMPTS: i64 = 3;
const LEASE_MS: i64 = 1_000;

#[derive(Debug, Clone)]
enum Op {
    /// A new webhook-id about this event.
    Deliver(usize),
    /// The n-th webhook-id so far once more.
    Repeat(usize),
    /// A body that nobody can use.
    Unusable,
    Claim(usize),
    /// One of the claims that workers still hold in their hands, stale or not.
    Settle(usize, Ending),
    Heartbeat(usize),
    Wait(i64),
    Retry(usize),
    Discard(usize),
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Ignored,
    Held,
    Retry(i64),
    Uncounted(i64),
    GaveUp,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let ending = prop_oneof![
        Just(Ending::Ignored),
        Just(Ending::Held),
        (0..1500_i64).prop_map(Ending::Retry),
        (0..1500_i64).prop_map(Ending::Uncounted),
        Just(Ending::GaveUp),
    ];
    let op = prop_oneof![
        3 => (0..EVENTS).prop_map(Op::Deliver),
        1 => any::<usize>().prop_map(Op::Repeat),
        1 => Just(Op::Unusable),
        4 => (1..4_usize).prop_map(Op::Claim),
        4 => (any::<usize>(), ending).prop_map(|(which, ending)| Op::Settle(which, ending)),
        1 => any::<usize>().prop_map(Op::Heartbeat),
        3 => (1..1500_i64).prop_map(Op::Wait),
        1 => (0..EVENTS).prop_map(Op::Retry),
        1 => (0..EVENTS).prop_map(Op::Discard),
    ];
    prop::collection::vec(op, 1..40)
}

#[derive(Debug, Clone, PartialEq)]
struct Job {
    state: &'static str,
    outcome: Option<&'static str>,
    attempts: i64,
    claims: i64,
    due_ms: Option<i64>,
}

/// A history: the store under test, and what should be in it.
struct History<'a> {
    store: &'a Store,
    sql: Sql<'a>,
    project: String,
    now_ms: i64,
    jobs: BTreeMap<usize, Job>,
    /// Webhook-id, and the body it came with.
    deliveries: Vec<(String, String)>,
    hands: Vec<ClaimedJob>,
}

impl History<'_> {
    async fn step(&mut self, op: Op) {
        match op {
            Op::Deliver(n) => self.deliver(n).await,
            Op::Unusable => {
                let receipt = self.record("not json".to_owned()).await;
                assert_eq!(receipt, Receipt::Stored);
            }
            Op::Repeat(_) if self.deliveries.is_empty() => {}
            Op::Repeat(which) => {
                let (webhook_id, body) = &self.deliveries[which % self.deliveries.len()];
                let again = signed(&self.project, webhook_id, body, self.now_ms);
                assert_eq!(self.store.record(again).await, Ok(Receipt::Duplicate { altered: false }));
            }
            Op::Claim(limit) => self.claim(limit).await,
            Op::Settle(_, _) | Op::Heartbeat(_) if self.hands.is_empty() => {}
            Op::Settle(which, ending) => self.settle(which % self.hands.len(), ending).await,
            Op::Heartbeat(which) => self.heartbeat(which % self.hands.len()).await,
            Op::Wait(ms) => self.now_ms += ms,
            Op::Retry(n) => self.retry(n).await,
            Op::Discard(n) => self.discard(n).await,
        }
        self.compare();
    }

    async fn record(&mut self, body: String) -> Receipt {
        let webhook_id = format!("wh_{}_{}", self.project, self.deliveries.len());
        let delivery = signed(&self.project, &webhook_id, &body, self.now_ms);
        self.deliveries.push((webhook_id, body));
        self.store.record(delivery).await.unwrap()
    }

    async fn deliver(&mut self, n: usize) {
        let receipt = self.record(event(&format!("evt_{n}"), "response.completed", &format!("resp_{n}"))).await;
        if self.jobs.contains_key(&n) {
            assert_eq!(receipt, Receipt::KnownEvent);
        } else {
            assert_eq!(receipt, Receipt::Queued);
            let due_ms = Some(self.now_ms);
            self.jobs.insert(n, Job { state: "queued", outcome: None, attempts: 0, claims: 0, due_ms });
        }
    }

    async fn claim(&mut self, limit: usize) {
        let now_ms = self.now_ms;
        let is_due = |job: &Job| job.due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        for job in self.jobs.values_mut() {
            if job.state == "processing" && is_due(job) && job.attempts >= ATTEMPTS {
                *job = Job { state: "failed_final", due_ms: None, ..job.clone() };
            }
        }
        let claim = Claim {
            which: Which::SoonestForgotten,
            worker: "w".to_owned(),
            project: self.project.clone(),
            limit,
            lease_ms: LEASE_MS,
            now_ms,
            max_attempts: ATTEMPTS,
        };
        let claimed = self.store.claim(claim).await.unwrap();
        let due = self.jobs.values().filter(|job| is_due(job)).count();
        assert_eq!(claimed.len(), due.min(limit), "as many as there are, up to the limit");
        assert!(claimed.is_sorted_by_key(|job| job.forget_at_ms));
        for held in claimed {
            let job = self.jobs.get_mut(&number(&held)).unwrap();
            assert!(is_due(job), "{job:?} was not due");
            let (attempts, claims) = (job.attempts + 1, job.claims + 1);
            *job = Job { state: "processing", outcome: None, attempts, claims, due_ms: Some(now_ms + LEASE_MS) };
            assert_eq!((held.attempt, held.claim()), (attempts, claims));
            self.hands.push(held);
        }
    }

    async fn settle(&mut self, which: usize, ending: Ending) {
        let held = self.hands.swap_remove(which);
        let job = self.jobs.get_mut(&number(&held)).unwrap();
        let ours = job.state == "processing" && job.claims == held.claim();
        if ours {
            let ended = |state, outcome| Job { state, outcome, due_ms: None, ..job.clone() };
            let waits = |ms: i64, burned: i64| Job {
                state: "failed_retryable",
                attempts: job.attempts - 1 + burned,
                due_ms: Some(self.now_ms + ms),
                ..job.clone()
            };
            *job = match ending {
                Ending::Ignored => ended("processed", Some("ignored")),
                Ending::Held => ended("processed", Some("held")),
                Ending::GaveUp => ended("failed_final", None),
                Ending::Retry(ms) => waits(ms, 1),
                Ending::Uncounted(ms) => waits(ms, 0),
            };
        }
        let settlement = settlement(ending, &held, self.now_ms);
        let settled = self.store.settle(held, None, settlement, self.now_ms).await.unwrap();
        assert_eq!(matches!(settled, Settled::Done { .. }), ours, "only the newest claim settles");
    }

    async fn heartbeat(&mut self, which: usize) {
        let held = &self.hands[which];
        let until_ms = self.now_ms + LEASE_MS;
        self.store.heartbeat(vec![(held.id(), held.claim())], until_ms).await.unwrap();
        let job = self.jobs.get_mut(&number(held)).unwrap();
        if job.state == "processing" && job.claims == held.claim() {
            job.due_ms = Some(until_ms);
        }
    }

    async fn retry(&mut self, n: usize) {
        let Some(job) = self.jobs.get_mut(&n) else { return };
        let failed = job.state.starts_with("failed");
        if failed {
            *job = Job { state: "queued", outcome: None, attempts: 0, due_ms: Some(self.now_ms), ..job.clone() };
        }
        let retried = self.store.retry_job(self.id(n), "ada".to_owned(), None, self.now_ms).await.unwrap();
        assert_eq!(retried == Retried::Queued, failed);
    }

    async fn discard(&mut self, n: usize) {
        let Some(job) = self.jobs.get_mut(&n) else { return };
        let failed = job.state.starts_with("failed") && job.outcome.is_none();
        if failed {
            *job = Job { state: "failed_final", outcome: Some("discarded"), due_ms: None, ..job.clone() };
        }
        let (actor, reason) = ("ada".to_owned(), "no use".to_owned());
        let discarded = self.store.discard_job(self.id(n), actor, reason, self.now_ms).await.unwrap();
        assert_eq!(discarded == Discarded::Done, failed);
    }

    fn id(&self, n: usize) -> i64 {
        let key = format!("event/evt_{n}");
        self.sql
            .query_row("SELECT id FROM jobs WHERE project = ?1 AND key = ?2", (&self.project, key), |row| row.get(0))
            .unwrap()
    }

    fn compare(&self) {
        let jobs = "SELECT resource_id, state, outcome, attempts, claims, claimable_at FROM jobs WHERE project = ?1";
        type Row = (String, String, Option<String>, i64, i64, Option<i64>);
        let stored: BTreeMap<usize, Row> = self
            .sql
            .rows(jobs, [&self.project], |row| {
                let resource: String = row.get(0)?;
                let row = (resource, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((row.0[5..].parse().unwrap(), row))
            })
            .unwrap()
            .into_iter()
            .collect();
        let expected = self.jobs.iter().map(|(n, job)| {
            let outcome = job.outcome.map(str::to_owned);
            (*n, (format!("resp_{n}"), job.state.to_owned(), outcome, job.attempts, job.claims, job.due_ms))
        });
        assert_eq!(stored, expected.collect());
    }
}

fn number(held: &ClaimedJob) -> usize {
    held.resource_id[5..].parse().unwrap()
}

fn settlement(ending: Ending, held: &ClaimedJob, now_ms: i64) -> Settlement {
    let failure = Failure::retryable(Cause::OpenAiServer, "HTTP 500");
    match ending {
        Ending::Ignored => Settlement::Ignored { reason: "nothing to do".to_owned() },
        Ending::Held => {
            let review =
                NewReview::of(format!("rev_{}_{}", held.id(), held.claim()), Hold::because(HoldReason::Refused, ""));
            Settlement::Held { review: Box::new(review), changes: Vec::new() }
        }
        Ending::Retry(ms) => Settlement::Retry { failure, at_ms: now_ms + ms, counts: true },
        Ending::Uncounted(ms) => Settlement::Retry { failure, at_ms: now_ms + ms, counts: false },
        Ending::GaveUp => Settlement::GaveUp { failure },
    }
}

#[test]
fn after_any_history_the_store_and_the_model_of_the_states_agree() {
    let database = TestDatabase::fresh();
    let (store, sql) = (database.store(), database.sql());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let case = std::cell::Cell::new(0);
    // A failing history is printed whole, and the seed file would only hide it.
    let config = ProptestConfig { cases: histories(200), failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&ops(), |ops| {
            case.set(case.get() + 1);
            // A project of its own keeps a history apart from the others.
            let mut history = History {
                store: &store,
                sql,
                project: format!("p{}", case.get()),
                now_ms: START_MS,
                jobs: BTreeMap::new(),
                deliveries: Vec::new(),
                hands: Vec::new(),
            };
            runtime.block_on(async {
                for op in ops {
                    history.step(op).await;
                }
            });
            Ok(())
        })
        .unwrap();
    invariants::of_rows(sql);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wait_is_between_half_and_all_of_the_doubled_first_wait_up_to_the_longest(
        first_ms in 1..10_000_i64, more_ms in 0..1_000_000_i64, attempt in 1..80_i64, jitter in 0.0..=1.0_f64,
    ) {
        let policy = RetryPolicy { first_ms, max_ms: first_ms + more_ms, attempts: 12 };
        let doubled = i128::from(first_ms) << (attempt - 1).min(62);
        let full = i64::try_from(doubled.min(i128::from(policy.max_ms))).unwrap();
        let wait = policy.delay_ms(attempt, jitter);
        prop_assert!((full / 2..=full).contains(&wait), "{wait} of {full}");
        prop_assert!(policy.delay_ms(attempt + 1, jitter) >= wait, "it never gets shorter");
        prop_assert_eq!(policy.delay_ms(attempt, 1.0), full);
    }

    #[test]
    fn no_number_makes_a_wait_overflow_or_pass_its_limit(
        first_ms in 0..=i64::MAX, max_ms in 0..=i64::MAX, attempt in any::<i64>(), jitter in any::<f64>(),
        now_ms in 0..=i64::MAX, asked_ms in prop::option::of(0..=i64::MAX),
    ) {
        let policy = RetryPolicy { first_ms, max_ms, attempts: 12 };
        let wait = policy.delay_ms(attempt, jitter);
        prop_assert!((0..=max_ms).contains(&wait));
        let failure = Failure::Retryable {
            cause: Cause::OpenAiServer,
            detail: String::new(),
            retry_after_ms: asked_ms,
        };
        match policy.after(&failure, attempt, now_ms, jitter) {
            AfterFailure::GiveUp => prop_assert!(attempt >= 12),
            AfterFailure::Retry { at_ms, counts } => {
                prop_assert!(attempt < 12 && counts);
                prop_assert!(at_ms >= now_ms.saturating_add(asked_ms.unwrap_or(0)), "the quiet asked for is kept");
            }
        }
    }

    #[test]
    fn a_refusal_of_us_never_gives_a_job_up_and_a_final_failure_always_does(
        attempt in any::<i64>(), jitter in 0.0..=1.0_f64,
    ) {
        let policy = RetryPolicy::default();
        for cause in Cause::ALL {
            let last = policy.after(&Failure::last(cause, ""), attempt, START_MS, jitter);
            prop_assert_eq!(last, AfterFailure::GiveUp);
            if cause.pauses() {
                let after = policy.after(&Failure::retryable(cause, ""), attempt, START_MS, jitter);
                prop_assert!(matches!(after, AfterFailure::Retry { counts: false, .. }), "{:?}", after);
            }
        }
    }
}
