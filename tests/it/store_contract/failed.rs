//! Retry and discard, one or many, with what the trail says of them.

use frontdesk::clock::{Clock, HandClock};
use frontdesk::domain::failure::Cause;
use frontdesk::domain::job::State;
use frontdesk::operators::{Bulk, BulkDone};
use frontdesk::store::{Discarded, FailedFilter, Remedy, Retried};

use super::{Fresh, for_every_store, gave_up, ignored, retry};
use crate::harness::{ALL, START_MS};

for_every_store! {
    who_retried_or_discarded_a_job_and_why_is_on_the_record,
    a_refused_retry_or_discard_leaves_no_record,
    a_bulk_does_what_its_dry_run_found_and_nothing_else,
    a_bulk_is_done_in_small_steps_each_on_the_record,
    a_bulk_that_was_interrupted_is_finished_by_asking_again,
    a_bulk_closes_the_alerts_that_told_of_its_jobs_and_no_others,
    each_part_of_a_filter_narrows_it,
    a_bulk_leaves_alone_what_is_discarded_under_way_or_fails_meanwhile,
}

/// `count` jobs that failed for good, every third for another cause.
async fn failed(fresh: &Fresh, count: usize) {
    fresh.queued(count).await;
    for (n, job) in fresh.claim_at(START_MS, count).await.into_iter().enumerate() {
        let cause = if n % 3 == 0 { Cause::OpenAiServer } else { Cause::Internal };
        fresh.settle(job, gave_up(cause), START_MS).await;
    }
}

fn all(remedy: Remedy) -> Bulk {
    Bulk { filter: FailedFilter::default(), remedy, limit: None }
}

fn discard() -> Remedy {
    Remedy::Discard { reason: "no use".to_owned() }
}

async fn run(fresh: &Fresh, bulk: &Bulk) -> BulkDone {
    bulk.run(&fresh.store, &Clock::Hand(HandClock::at(START_MS + 1)), "lena", |_| {}).await.unwrap()
}

async fn actions(fresh: &Fresh) -> Vec<(String, String)> {
    let page = fresh.store.audit_trail(None, None, ALL).await.unwrap();
    page.items.into_iter().map(|entry| (entry.action, entry.subject)).collect()
}

async fn count(fresh: &Fresh, state: State) -> usize {
    fresh.store.jobs(Some(state), ALL).await.unwrap().items.len()
}

async fn who_retried_or_discarded_a_job_and_why_is_on_the_record(fresh: Fresh) {
    failed(&fresh, 1).await;
    let job = fresh.store.jobs(None, ALL).await.unwrap().items.remove(0);
    fresh.store.discard_job(job.id, "ada".to_owned(), "no use".to_owned(), START_MS + 1).await.unwrap();
    fresh.store.retry_job(job.id, "lena".to_owned(), Some("use".to_owned()), START_MS + 2).await.unwrap();
    let page = fresh.store.audit_trail(Some(format!("job_{}", job.id)), None, ALL).await.unwrap();
    let told: Vec<_> = page
        .items
        .iter()
        .map(|entry| (entry.at_ms - START_MS, &*entry.actor, &*entry.action, entry.detail["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(2, "lena", "job.retry", "use"), (1, "ada", "job.discard", "no use")]);
    assert_eq!(page.items[0].detail["cause"], "openai_server");
    let of_ada = fresh.store.audit_trail(None, Some("ada".to_owned()), ALL).await.unwrap();
    assert_eq!(of_ada.items.len(), 1);
}

async fn a_refused_retry_or_discard_leaves_no_record(fresh: Fresh) {
    fresh.queued(1).await;
    let id = fresh.store.jobs(None, ALL).await.unwrap().items[0].id;
    let actor = || "ada".to_owned();
    assert_eq!(fresh.store.retry_job(id, actor(), None, START_MS).await.unwrap(), Retried::NotFailed);
    let discarded = fresh.store.discard_job(id, actor(), "no use".to_owned(), START_MS).await.unwrap();
    assert_eq!(discarded, Discarded::NotFailed);
    assert!(actions(&fresh).await.is_empty());
}

async fn a_bulk_does_what_its_dry_run_found_and_nothing_else(fresh: Fresh) {
    failed(&fresh, 7).await;
    let bulk = Bulk {
        filter: FailedFilter { cause: Some("openai_server".to_owned()), ..FailedFilter::default() },
        ..all(Remedy::Retry)
    };
    let would = bulk.look(&fresh.store).await.unwrap();
    assert_eq!((would.found.matched, would.found.sample.len(), would.done), (3, 3, 0));
    assert_eq!(would.found.by_cause, [("openai_server".to_owned(), 3)]);
    assert_eq!(
        (count(&fresh, State::FailedFinal).await, actions(&fresh).await.len()),
        (7, 0),
        "looking changes nothing"
    );
    let done = run(&fresh, &bulk).await;
    assert_eq!((done.found, done.done), (would.found, 3));
    assert_eq!((count(&fresh, State::Queued).await, count(&fresh, State::FailedFinal).await), (3, 4));
    assert_eq!(fresh.claim_at(START_MS + 1, 10).await[0].attempt, 1, "with all its attempts");
}

async fn a_bulk_is_done_in_small_steps_each_on_the_record(fresh: Fresh) {
    failed(&fresh, 450).await;
    let mut steps = Vec::new();
    let clock = Clock::Hand(HandClock::at(START_MS + 1));
    let done = all(discard()).run(&fresh.store, &clock, "lena", |bulk| steps.push(bulk.done)).await.unwrap();
    assert_eq!((steps, done.done), (vec![200, 400, 450], 450));
    assert_eq!(actions(&fresh).await, vec![("job.discard".to_owned(), "jobs".to_owned()); 3]);
    let page = fresh.store.audit_trail(None, None, ALL).await.unwrap();
    let named: usize = page.items.iter().map(|entry| entry.detail["jobs"].as_array().unwrap().len()).sum();
    assert_eq!((named, page.items[0].detail["count"].as_i64()), (450, Some(50)));
    let job = fresh.store.jobs(None, ALL).await.unwrap().items.remove(0);
    assert_eq!((job.outcome.as_deref(), job.reason.as_deref()), (Some("discarded"), Some("lena: no use")));
}

async fn a_bulk_that_was_interrupted_is_finished_by_asking_again(fresh: Fresh) {
    failed(&fresh, 10).await;
    for remedy in [discard(), Remedy::Retry] {
        let part = Bulk { limit: Some(4), ..all(remedy) };
        assert_eq!((run(&fresh, &part).await.done, run(&fresh, &all(part.remedy.clone())).await.done), (4, 6));
        assert_eq!(run(&fresh, &all(part.remedy)).await.done, 0);
        if count(&fresh, State::FailedFinal).await == 10 {
            for job in fresh.store.jobs(None, ALL).await.unwrap().items {
                fresh.store.retry_job(job.id, "ada".to_owned(), None, START_MS).await.unwrap();
            }
            for job in fresh.claim_at(START_MS, 10).await {
                fresh.settle(job, gave_up(Cause::Internal), START_MS).await;
            }
        }
    }
    assert_eq!(count(&fresh, State::Queued).await, 10);
}

async fn a_bulk_closes_the_alerts_that_told_of_its_jobs_and_no_others(fresh: Fresh) {
    failed(&fresh, 6).await;
    let kinds = async || {
        let alerts = fresh.store.open_alerts().await.unwrap();
        let mut kinds: Vec<String> = alerts.into_iter().map(|alert| alert.kind).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds().await, ["internal", "openai_server"]);
    let filter = FailedFilter { cause: Some("openai_server".to_owned()), ..FailedFilter::default() };
    run(&fresh, &Bulk { filter: filter.clone(), limit: Some(1), ..all(discard()) }).await;
    assert_eq!(kinds().await, ["internal", "openai_server"], "one of them is left");
    run(&fresh, &Bulk { filter, ..all(Remedy::Retry) }).await;
    assert_eq!(kinds().await, ["internal"]);
}

async fn each_part_of_a_filter_narrows_it(fresh: Fresh) {
    failed(&fresh, 4).await;
    fresh
        .sql()
        .execute_batch(
            "UPDATE jobs SET workflow = 'summary' WHERE id = 1; UPDATE jobs SET event_type = 'batch.failed' WHERE id = 2;
             UPDATE jobs SET project = 'second' WHERE id = 3; UPDATE jobs SET since = since + 1000 WHERE id = 4",
        )
        .unwrap();
    let none = FailedFilter::default;
    let table = [
        (none(), vec![1, 2, 3, 4]),
        (FailedFilter { workflow: Some("summary".to_owned()), ..none() }, vec![1]),
        (FailedFilter { event_type: Some("batch.failed".to_owned()), ..none() }, vec![2]),
        (FailedFilter { project: Some("second".to_owned()), ..none() }, vec![3]),
        (FailedFilter { since_ms: Some(START_MS + 1000), ..none() }, vec![4]),
        (FailedFilter { until_ms: Some(START_MS + 1000), ..none() }, vec![1, 2, 3]),
        (FailedFilter { cause: Some("paused".to_owned()), ..none() }, vec![]),
        (FailedFilter { waiting: true, ..none() }, vec![]),
    ];
    for (filter, ids) in table {
        assert_eq!(fresh.store.failed_jobs(filter.clone()).await.unwrap().sample, ids, "{filter:?}");
    }
}

async fn a_bulk_leaves_alone_what_is_discarded_under_way_or_fails_meanwhile(fresh: Fresh) {
    fresh.queued(5).await;
    let mut jobs = fresh.claim_at(START_MS, 4).await;
    let at_work = jobs.pop().unwrap();
    let endings = [gave_up(Cause::Internal), retry(START_MS + 9, true), gave_up(Cause::Internal)];
    let mut ids = Vec::new();
    for (job, ending) in jobs.into_iter().zip(endings) {
        ids.push(job.id());
        fresh.settle(job, ending, START_MS).await;
    }
    fresh.store.discard_job(ids[0], "ada".to_owned(), "no use".to_owned(), START_MS).await.unwrap();
    fresh.sql().execute("UPDATE jobs SET since = ?1 WHERE id = ?2", (START_MS + 60_000, ids[2])).unwrap();
    assert_eq!(run(&fresh, &all(Remedy::Retry)).await.done, 0, "it failed after the bulk began");
    let waiting = Bulk { filter: FailedFilter { waiting: true, ..FailedFilter::default() }, ..all(Remedy::Retry) };
    assert_eq!(run(&fresh, &waiting).await.found.sample, [ids[1]]);
    fresh.settle(at_work, ignored(), START_MS).await;
    assert_eq!(count(&fresh, State::Queued).await, 2);
}
