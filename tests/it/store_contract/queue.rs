//! Claim, heartbeat, settle; and what a person may do.

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::job::State;
use frontdesk::store::{Discarded, Pausable, Retried, Settled, Settlement, StoreError};

use super::{DONE, Fresh, claim_at, for_every_store, gave_up, ignored, placement, retry};
use crate::harness::{ALL, LEASE_MS, RETENTION_MS, START_MS, signed};

for_every_store! {
    what_openai_forgets_first_is_claimed_first,
    a_claimed_job_is_nobody_elses_until_its_lease_ends,
    workers_that_claim_at_once_never_get_the_same_job,
    a_retryable_job_is_claimed_when_it_is_due_and_not_before,
    a_stale_worker_that_settles_after_the_lease_was_taken_over_changes_nothing,
    a_late_worker_whose_lease_nobody_took_over_still_settles,
    a_lease_that_ends_on_the_last_attempt_ends_the_job_and_raises_an_alert,
    a_heartbeat_extends_only_the_claims_it_names,
    an_uncounted_retry_burns_no_attempt,
    a_job_given_up_raises_one_alert_however_many_follow,
    a_person_retries_a_failed_job_with_all_its_attempts,
    a_person_discards_a_failed_job_once,
    a_person_can_neither_retry_nor_discard_what_has_not_failed,
    a_person_who_retries_or_discards_what_is_not_there_is_told,
    release_frees_the_paused_jobs_of_one_project_and_no_others,
    a_job_that_met_a_pause_which_has_ended_since_does_not_wait_for_it,
    a_settlement_writes_where_the_result_belongs,
    a_finished_wait_rings_for_the_workers,
}

async fn what_openai_forgets_first_is_claimed_first(fresh: Fresh) {
    for (n, age_s) in [(1, 10), (2, 30), (3, 20), (4, 0)] {
        let created = START_MS / 1000 - age_s;
        let body = format!(
            r#"{{"id":"evt_{n}","type":"response.completed","created_at":{created},"data":{{"id":"resp_{n}"}}}}"#
        );
        fresh.store.record(signed("default", &format!("wh_{n}"), &body, START_MS)).await.unwrap();
    }
    let first = fresh.claim_at(START_MS, 1).await.remove(0);
    assert_eq!((first.resource_id.as_str(), first.forget_at_ms), ("resp_2", START_MS - 30_000 + RETENTION_MS));
    fresh.settle(first, retry(START_MS, true), START_MS).await;
    let order: Vec<String> = fresh.claim_at(START_MS, 3).await.into_iter().map(|job| job.resource_id).collect();
    assert_eq!(order, ["resp_2", "resp_3", "resp_1"], "a due one has its place among the waiting ones");
}

async fn a_claimed_job_is_nobody_elses_until_its_lease_ends(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    assert_eq!((job.attempt, job.claim()), (1, 1));
    let stored = fresh.store.job(job.id()).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.worker.as_deref()), (State::Processing, Some("w")));
    assert_eq!(stored.next_at_ms, Some(START_MS + LEASE_MS));
    assert!(fresh.claim_at(START_MS + LEASE_MS - 1, 10).await.is_empty());
    let again = fresh.claim_one(START_MS + LEASE_MS).await;
    assert_eq!((again.attempt, again.claim()), (2, 2));
}

async fn workers_that_claim_at_once_never_get_the_same_job(fresh: Fresh) {
    fresh.queued(40).await;
    let claims = (0..16).map(|_| {
        let store = fresh.store.clone();
        tokio::spawn(async move { store.claim(claim_at(START_MS, 3)).await.unwrap() })
    });
    let mut ids = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        ids.extend(claim.await.unwrap().iter().map(frontdesk::store::ClaimedJob::id));
    }
    let claimed = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((claimed, ids.len()), (40, 40));
}

async fn a_retryable_job_is_claimed_when_it_is_due_and_not_before(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    assert_eq!(fresh.settle(job, retry(START_MS + 500, true), START_MS).await, DONE);
    let stored = fresh.store.job(id).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.worker), (State::FailedRetryable, None));
    assert_eq!(stored.last_error.as_deref(), Some("openai_server: HTTP 500"));
    assert!(fresh.claim_at(START_MS + 499, 10).await.is_empty());
    assert_eq!(fresh.claim_one(START_MS + 500).await.attempt, 2);
}

async fn a_stale_worker_that_settles_after_the_lease_was_taken_over_changes_nothing(fresh: Fresh) {
    let endings = [
        ignored(),
        retry(START_MS, true),
        retry(START_MS, false),
        gave_up(Cause::ResourceFailed),
        Settlement::Applied { changes: Vec::new() },
    ];
    fresh.queued(endings.len()).await;
    let stale = fresh.claim_at(START_MS, 10).await;
    let taken_over = fresh.claim_at(START_MS + LEASE_MS, 10).await;
    let before = fresh.store.jobs(None, ALL).await.unwrap();
    for (job, ending) in stale.into_iter().zip(endings) {
        assert_eq!(fresh.settle(job, ending, START_MS + LEASE_MS).await, Settled::Fenced);
    }
    assert_eq!(fresh.store.jobs(None, ALL).await.unwrap(), before);
    assert!(fresh.store.open_alerts().await.unwrap().is_empty());
    assert!(fresh.store.counts().await.unwrap().outcomes.is_empty());
    for job in taken_over {
        assert_eq!(fresh.settle(job, ignored(), START_MS + LEASE_MS).await, DONE);
    }
}

async fn a_late_worker_whose_lease_nobody_took_over_still_settles(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    assert_eq!(fresh.settle(job, ignored(), START_MS + 10 * LEASE_MS).await, DONE);
}

async fn a_lease_that_ends_on_the_last_attempt_ends_the_job_and_raises_an_alert(fresh: Fresh) {
    fresh.queued(1).await;
    let mut now_ms = START_MS;
    let mut last = None;
    for attempt in 1..=3 {
        let job = fresh.claim_one(now_ms).await;
        assert_eq!(job.attempt, attempt);
        now_ms += LEASE_MS;
        last = Some(job);
    }
    assert!(fresh.claim_at(now_ms - 1, 10).await.is_empty());
    assert!(fresh.store.open_alerts().await.unwrap().is_empty(), "not while it may still be at work");
    assert!(fresh.claim_at(now_ms, 10).await.is_empty());
    let last = last.unwrap();
    let job = fresh.store.job(last.id()).await.unwrap().unwrap();
    assert_eq!((job.status, job.next_at_ms, job.worker), (State::FailedFinal, None, None));
    assert!(job.last_error.unwrap().starts_with("lease_lost: "));
    let alerts = fresh.store.open_alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].kind.as_str(), alerts[0].subject.as_str()), (1, "lease_lost", "default"));
    assert_eq!(fresh.settle(last, ignored(), now_ms).await, Settled::Fenced, "its worker comes too late");
}

async fn a_heartbeat_extends_only_the_claims_it_names(fresh: Fresh) {
    fresh.queued(3).await;
    let jobs = fresh.claim_at(START_MS, 3).await;
    let named = |at: usize| (jobs[at].id(), jobs[at].claim());
    // The second is named by a claim that is not its newest; the third not at all.
    let beat = vec![named(0), (jobs[1].id(), jobs[1].claim() + 1)];
    fresh.store.heartbeat(beat, START_MS + 2 * LEASE_MS).await.unwrap();
    let due: Vec<i64> = fresh.claim_at(START_MS + LEASE_MS, 10).await.iter().map(|job| job.id()).collect();
    assert_eq!(due, [jobs[1].id(), jobs[2].id()]);
    fresh.store.heartbeat(vec![named(1)], START_MS + 9 * LEASE_MS).await.unwrap();
    let until = fresh.store.job(jobs[1].id()).await.unwrap().unwrap().next_at_ms;
    assert_eq!(until, Some(START_MS + 2 * LEASE_MS), "an old claim extends nothing");
}

async fn an_uncounted_retry_burns_no_attempt(fresh: Fresh) {
    fresh.queued(1).await;
    for claim in 1..=20 {
        let job = fresh.claim_one(START_MS).await;
        assert_eq!((job.attempt, job.claim()), (1, claim), "the fence goes on all the same");
        fresh.settle(job, retry(START_MS, false), START_MS).await;
    }
    assert_eq!(fresh.store.jobs(None, ALL).await.unwrap().items[0].attempt_count, 0);
}

async fn a_job_given_up_raises_one_alert_however_many_follow(fresh: Fresh) {
    fresh.queued(4).await;
    for (n, job) in fresh.claim_at(START_MS, 3).await.into_iter().enumerate() {
        let settled = fresh.settle(job, gave_up(Cause::ResourceFailed), START_MS).await;
        assert_eq!(settled, Settled::Done { new_alert: n == 0 });
    }
    let cancelled = fresh.claim_one(START_MS).await;
    assert_eq!(fresh.settle(cancelled, gave_up(Cause::ResourceCancelled), START_MS).await, DONE);
    let alerts = fresh.store.open_alerts().await.unwrap();
    assert_eq!((alerts.len(), alerts[0].times), (1, 3));
    assert!(fresh.claim_at(START_MS + 100 * LEASE_MS, 10).await.is_empty(), "nothing but a person moves them");
}

async fn a_person_retries_a_failed_job_with_all_its_attempts(fresh: Fresh) {
    fresh.queued(2).await;
    let jobs = fresh.claim_at(START_MS, 2).await;
    let ids: Vec<i64> = jobs.iter().map(frontdesk::store::ClaimedJob::id).collect();
    for (job, ending) in jobs.into_iter().zip([gave_up(Cause::Internal), retry(START_MS + 1_000_000, true)]) {
        fresh.settle(job, ending, START_MS).await;
    }
    for id in ids {
        assert_eq!(fresh.store.retry_job(id, "ada".to_owned(), None, START_MS + 1).await.unwrap(), Retried::Queued);
        let job = fresh.store.job(id).await.unwrap().unwrap();
        assert_eq!((job.status, job.attempt_count, job.next_at_ms), (State::Queued, 0, Some(START_MS + 1)));
    }
    assert_eq!(fresh.claim_at(START_MS + 1, 10).await.len(), 2);
}

async fn a_person_discards_a_failed_job_once(fresh: Fresh) {
    fresh.queued(2).await;
    for (n, job) in fresh.claim_at(START_MS, 2).await.into_iter().enumerate() {
        let id = job.id();
        let ending = if n == 0 { gave_up(Cause::Internal) } else { retry(START_MS, true) };
        fresh.settle(job, ending, START_MS).await;
        let discard = || fresh.store.discard_job(id, "ada".to_owned(), "no use".to_owned(), START_MS + 1);
        assert_eq!(discard().await.unwrap(), Discarded::Done);
        assert_eq!(discard().await.unwrap(), Discarded::NotFailed);
        let job = fresh.store.job(id).await.unwrap().unwrap();
        assert_eq!((job.status, job.next_at_ms), (State::FailedFinal, None));
        assert_eq!((job.outcome.as_deref(), job.reason.as_deref()), (Some("discarded"), Some("ada: no use")));
        assert!(fresh.claim_at(START_MS + 1, 10).await.is_empty());
        // A person may change their mind.
        assert_eq!(fresh.store.retry_job(id, "ada".to_owned(), None, START_MS).await.unwrap(), Retried::Queued);
        let again = fresh.claim_one(START_MS).await;
        fresh.settle(again, ignored(), START_MS).await;
    }
}

async fn a_person_can_neither_retry_nor_discard_what_has_not_failed(fresh: Fresh) {
    fresh.queued(1).await;
    let id = fresh.store.jobs(None, ALL).await.unwrap().items[0].id;
    for state in [State::Queued, State::Processing, State::Processed] {
        match state {
            State::Processing => assert_eq!(fresh.claim_one(START_MS).await.id(), id),
            State::Processed => {
                let job = fresh.claim_one(START_MS + LEASE_MS).await;
                fresh.settle(job, ignored(), START_MS).await;
            }
            _ => {}
        }
        let before = fresh.store.job(id).await.unwrap().unwrap();
        assert_eq!(before.status, state);
        assert_eq!(
            fresh.store.retry_job(id, "ada".to_owned(), None, START_MS).await.unwrap(),
            Retried::NotFailed,
            "{state}"
        );
        let discarded = fresh.store.discard_job(id, "ada".to_owned(), "no use".to_owned(), START_MS).await.unwrap();
        assert_eq!(discarded, Discarded::NotFailed, "{state}");
        assert_eq!(fresh.store.job(id).await.unwrap().unwrap(), before);
    }
}

async fn a_person_who_retries_or_discards_what_is_not_there_is_told(fresh: Fresh) {
    let missing = StoreError::Missing("job");
    assert_eq!(fresh.store.retry_job(7, "ada".to_owned(), None, START_MS).await.unwrap_err(), missing);
    let discarded = fresh.store.discard_job(7, "ada".to_owned(), String::new(), START_MS).await;
    assert_eq!(discarded.unwrap_err(), missing);
}

async fn a_job_that_met_a_pause_which_has_ended_since_does_not_wait_for_it(fresh: Fresh) {
    fresh.queued(1).await;
    let (what, far) = (Pausable::OpenAi, START_MS + 600_000);
    let met = |at_ms| Settlement::Retry { failure: Failure::retryable(Cause::Paused, "paused"), at_ms, counts: false };
    assert!(fresh.store.pause(what.clone(), "ada".to_owned(), String::new(), START_MS).await.unwrap());
    let job = fresh.claim_at(START_MS, 1).await.pop().unwrap();
    fresh.settle(job, met(far), START_MS).await;
    assert_eq!(fresh.claim_at(START_MS, 1).await.len(), 0, "it waits while the pause lasts");
    let job = fresh.claim_at(far, 1).await.pop().unwrap();
    assert!(fresh.store.resume(what, "ada".to_owned(), far).await.unwrap());
    fresh.settle(job, met(far + 600_000), far).await;
    assert_eq!(fresh.claim_at(far, 1).await.len(), 1, "nobody would release it");
}

async fn release_frees_the_paused_jobs_of_one_project_and_no_others(fresh: Fresh) {
    let causes = [Cause::OpenAiAuth, Cause::OpenAiQuota, Cause::OpenAiServer];
    let late_ms = START_MS + 1_000_000;
    fresh.queued(causes.len()).await;
    let body = crate::harness::event("evt_x", "response.completed", "resp_x");
    fresh.store.record(signed("second", "wh_x", &body, START_MS)).await.unwrap();
    let mut jobs = fresh.claim_at(START_MS, 10).await;
    let second = frontdesk::store::Claim { project: "second".to_owned(), ..claim_at(START_MS, 1) };
    jobs.extend(fresh.store.claim(second).await.unwrap());
    for (job, cause) in jobs.into_iter().zip(causes.into_iter().chain([Cause::OpenAiAuth])) {
        let failure = Failure::retryable(cause, "HTTP");
        fresh.settle(job, Settlement::Retry { failure, at_ms: late_ms, counts: false }, START_MS).await;
    }
    assert_eq!(fresh.store.release_paused("default".to_owned(), START_MS).await.unwrap(), 2);
    assert_eq!(fresh.store.release_paused("default".to_owned(), START_MS).await.unwrap(), 0);
    assert_eq!(fresh.claim_at(START_MS, 10).await.len(), 2);
}

async fn a_settlement_writes_where_the_result_belongs(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    fresh.store.settle(job, Some(placement("T-1", None)), ignored(), START_MS + 5).await.unwrap();
    let job = fresh.store.job(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.since_ms, job.worker), (State::Processed, START_MS + 5, None));
    assert_eq!((job.ticket_id.as_deref(), job.workflow.as_deref()), (Some("T-1"), Some("summary")));
    assert_eq!((job.outcome.as_deref(), job.reason.as_deref()), (Some("ignored"), Some("nothing to do")));
}

async fn a_finished_wait_rings_for_the_workers(fresh: Fresh) {
    let arrived = fresh.store.work_arrived();
    fresh.queued(1).await;
    arrived.await;
    let job = fresh.claim_one(START_MS).await;
    let id = job.id();
    fresh.settle(job, gave_up(Cause::Internal), START_MS).await;
    // The bell keeps one ring for whoever comes late.
    fresh.store.retry_job(id, "ada".to_owned(), None, START_MS).await.unwrap();
    fresh.store.work_arrived().await;
    fresh.store.release_paused("default".to_owned(), START_MS).await.unwrap();
    fresh.store.work_arrived().await;
}
