//! The third gate: intents before changes, each slot of a resource once.

use frontdesk::domain::effect::{Effect, Route};
use frontdesk::store::{Change, ClaimedJob, Intent, Settled, Settlement, Standing};

use super::{DONE, Fresh, for_every_store, retry};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    a_first_intent_is_new_and_has_a_reference_that_every_attempt_shares,
    after_a_lost_lease_the_effect_may_be_there_and_is_the_one_first_written_down,
    an_applied_effect_stays_applied_for_every_event_of_the_resource,
    an_effect_that_another_job_is_writing_is_in_other_hands_until_its_lease_ends,
    another_slot_ticket_resource_or_project_is_another_effect,
    a_stale_worker_leaves_no_receipt,
    a_kept_result_is_the_first_one_and_comes_with_the_next_claim,
    an_unfinished_effect_comes_with_the_next_claim_until_its_receipt,
}

fn note(text: &str) -> Effect {
    Effect::Note { text: text.to_owned() }
}

fn intent(job: &ClaimedJob, effect: Effect) -> Intent {
    Intent {
        project: job.project.clone(),
        resource_id: job.resource_id.clone(),
        ticket_id: "T-1".to_owned(),
        effect,
        job_id: job.id(),
    }
}

impl Fresh {
    async fn plan(&self, intent: Intent, now_ms: i64) -> (Standing, String, Effect) {
        let planned = self.store.plan(None, vec![intent], now_ms).await.unwrap().planned.remove(0);
        (planned.standing, planned.reference, planned.effect)
    }

    /// Two jobs about one resource, both claimed.
    async fn two_jobs(&self) -> (ClaimedJob, ClaimedJob) {
        self.deliver("wh_1", "evt_1", "resp_1").await;
        self.deliver("wh_2", "evt_2", "resp_1").await;
        let mut jobs = self.claim_at(START_MS, 2).await;
        let second = jobs.remove(1);
        (jobs.remove(0), second)
    }
}

fn applied(reference: &str) -> Settlement {
    Settlement::Applied {
        changes: vec![Change::Made {
            reference: reference.to_owned(),
            external_id: "message/1".to_owned(),
            ticket_id: "T-1".to_owned(),
            effect: Effect::Note { text: String::new() },
        }],
    }
}

async fn a_first_intent_is_new_and_has_a_reference_that_every_attempt_shares(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let (standing, first, effect) = fresh.plan(intent(&job, note("one")), START_MS).await;
    assert_eq!((standing, effect), (Standing::New, note("one")));
    assert!(first.starts_with("fd_"));
    let (standing, second, _) = fresh.plan(intent(&job, note("one")), START_MS).await;
    assert_eq!((standing, second), (Standing::MayBeThere, first), "the same job looks before it writes again");
}

async fn after_a_lost_lease_the_effect_may_be_there_and_is_the_one_first_written_down(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    fresh.plan(intent(&job, note("the first version")), START_MS).await;
    let again = fresh.claim_one(START_MS + LEASE_MS).await;
    let (standing, _, effect) = fresh.plan(intent(&again, note("another version")), START_MS + LEASE_MS).await;
    assert_eq!((standing, effect), (Standing::MayBeThere, note("the first version")));
}

async fn an_applied_effect_stays_applied_for_every_event_of_the_resource(fresh: Fresh) {
    let (first, second) = fresh.two_jobs().await;
    let (_, reference, _) = fresh.plan(intent(&first, note("one")), START_MS).await;
    assert_eq!(fresh.settle(first, applied(&reference), START_MS).await, DONE);
    let (standing, same, _) = fresh.plan(intent(&second, note("two")), START_MS).await;
    assert_eq!((standing, same.as_str()), (Standing::Applied, reference.as_str()));
    // A second receipt changes neither the time nor the place of the first.
    let later = Change::Made {
        reference,
        external_id: "message/2".to_owned(),
        ticket_id: "T-1".to_owned(),
        effect: Effect::Note { text: String::new() },
    };
    fresh.settle(second, Settlement::Applied { changes: vec![later] }, START_MS + 9).await;
    let row: (i64, String) = fresh
        .sql()
        .query_row("SELECT applied_at, external_id FROM effects", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(row, (START_MS, "message/1".to_owned()));
}

async fn an_effect_that_another_job_is_writing_is_in_other_hands_until_its_lease_ends(fresh: Fresh) {
    let (first, second) = fresh.two_jobs().await;
    fresh.plan(intent(&first, note("one")), START_MS).await;
    let at = |now_ms| fresh.plan(intent(&second, note("two")), now_ms);
    assert_eq!(at(START_MS + LEASE_MS - 1).await.0, Standing::InOtherHands);
    assert_eq!(at(START_MS + LEASE_MS).await.0, Standing::MayBeThere);
    // It is the second's to finish now, and in other hands for the first.
    fresh.store.heartbeat(vec![(second.id(), second.claim())], START_MS + 3 * LEASE_MS).await.unwrap();
    let (standing, ..) = fresh.plan(intent(&first, note("one")), START_MS + LEASE_MS).await;
    assert_eq!(standing, Standing::InOtherHands);
    // A job that waits for its next attempt holds nothing.
    fresh.settle(second, retry(START_MS + 5 * LEASE_MS, true), START_MS + LEASE_MS).await;
    let (standing, ..) = fresh.plan(intent(&first, note("one")), START_MS + LEASE_MS).await;
    assert_eq!(standing, Standing::MayBeThere);
}

async fn another_slot_ticket_resource_or_project_is_another_effect(fresh: Fresh) {
    fresh.queued(1).await;
    let job = fresh.claim_one(START_MS).await;
    let base = intent(&job, note("one"));
    let others = vec![
        base.clone(),
        Intent { effect: Effect::Draft { text: "one".to_owned() }, ..base.clone() },
        Intent { effect: Effect::Route(Route::default()), ..base.clone() },
        Intent { ticket_id: "T-2".to_owned(), ..base.clone() },
        Intent { resource_id: "resp_other".to_owned(), ..base.clone() },
        Intent { project: "second".to_owned(), ..base },
    ];
    let planned = fresh.store.plan(None, others, START_MS).await.unwrap().planned;
    assert!(planned.iter().all(|planned| planned.standing == Standing::New));
    let mut references: Vec<_> = planned.into_iter().map(|planned| planned.reference).collect();
    references.sort();
    references.dedup();
    assert_eq!(references.len(), 6);
}

async fn a_stale_worker_leaves_no_receipt(fresh: Fresh) {
    fresh.queued(1).await;
    let stale = fresh.claim_one(START_MS).await;
    let (_, reference, _) = fresh.plan(intent(&stale, note("one")), START_MS).await;
    let next = fresh.claim_one(START_MS + LEASE_MS).await;
    assert_eq!(fresh.settle(stale, applied(&reference), START_MS + LEASE_MS).await, Settled::Fenced);
    let (standing, ..) = fresh.plan(intent(&next, note("one")), START_MS + LEASE_MS).await;
    assert_eq!(standing, Standing::MayBeThere);
}

async fn a_kept_result_is_the_first_one_and_comes_with_the_next_claim(fresh: Fresh) {
    fresh.queued(1).await;
    assert_eq!(fresh.claim_one(START_MS).await.kept, None);
    for raw in ["first", "second"] {
        let (project, resource) = ("default".to_owned(), "resp_0".to_owned());
        fresh.store.keep_result(project, resource, raw.to_owned(), START_MS).await.unwrap().committed().await.unwrap();
    }
    fresh
        .store
        .keep_result("second".to_owned(), "resp_0".to_owned(), "other".to_owned(), START_MS)
        .await
        .unwrap()
        .committed()
        .await
        .unwrap();
    assert_eq!(fresh.claim_one(START_MS + LEASE_MS).await.kept.as_deref(), Some("first"));
}

async fn an_unfinished_effect_comes_with_the_next_claim_until_its_receipt(fresh: Fresh) {
    let (first, second) = fresh.two_jobs().await;
    fresh
        .store
        .keep_result("default".to_owned(), "resp_1".to_owned(), "{}".to_owned(), START_MS)
        .await
        .unwrap()
        .committed()
        .await
        .unwrap();
    let (_, reference, _) = fresh.plan(intent(&first, note("one")), START_MS).await;
    fresh.settle(first, retry(START_MS, true), START_MS).await;
    let first = fresh.claim_one(START_MS).await;
    assert_eq!(first.unfinished, [note("one")]);
    fresh.settle(first, applied(&reference), START_MS).await;
    fresh.settle(second, retry(START_MS, true), START_MS).await;
    assert!(fresh.claim_one(START_MS).await.unfinished.is_empty());
}
