//! What leads are told is counted once, in the transaction in which it happens.

use std::collections::BTreeMap;

use frontdesk::domain::effect::{Effect, Route};
use frontdesk::domain::failure::Cause;
use frontdesk::domain::resource::Usage;
use frontdesk::store::{Change, ClaimedJob, Intent, NewSubmission, Settled, Settlement, TicketPatch};
use serde_json::Map;

use super::{DONE, Fresh, for_every_store, gave_up, ignored, placement, retry};
use crate::harness::{LEASE_MS, START_MS};

for_every_store! {
    an_end_is_counted_once_and_a_fenced_one_not_at_all,
    an_attempt_that_does_not_count_has_not_failed,
    a_lease_that_is_lost_for_good_is_a_failure,
    a_person_who_changes_what_a_result_has_set_is_counted_and_no_other_change,
    what_is_no_name_is_counted_together,
    tokens_of_a_result_are_counted_once_however_many_events_tell_of_it,
    tokens_that_no_result_can_have_used_do_not_keep_its_job_from_ending,
    a_workflow_that_metadata_name_is_no_text,
    a_summary_is_timed_from_the_start_of_the_work,
    only_quality_checks_score,
}

impl Fresh {
    /// All that was counted so far.
    fn counted(&self) -> BTreeMap<String, i64> {
        let sql = "SELECT name, CAST(sum(count) AS BIGINT) FROM tallies GROUP BY name";
        self.sql().rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().into_iter().collect()
    }

    fn counted_as(&self, name: &str) -> i64 {
        self.counted().get(name).copied().unwrap_or(0)
    }

    /// The names below one, with their counts.
    fn counted_below(&self, prefix: &str) -> Vec<(String, i64)> {
        self.counted().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect()
    }

    /// A job of its own, claimed.
    async fn job_about(&self, resource_id: &str) -> ClaimedJob {
        self.deliver(&format!("wh_{resource_id}"), &format!("evt_{resource_id}"), resource_id).await;
        self.claim_one(START_MS).await
    }

    /// Plans and applies a change to T-1 as a result of the workflow, `took_ms` after the delivery.
    async fn apply_as(&self, resource_id: &str, workflow: &str, effect: Effect, took_ms: i64) -> Settled {
        let job = self.job_about(resource_id).await;
        let intent = Intent {
            project: job.project.clone(),
            resource_id: job.resource_id.clone(),
            ticket_id: "T-1".to_owned(),
            effect,
            job_id: job.id(),
        };
        let planned = self.store.plan(None, vec![intent], START_MS).await.unwrap().planned.remove(0);
        let change =
            Change::WithTheEnd { reference: planned.reference, ticket_id: "T-1".to_owned(), effect: planned.effect };
        let mut place = placement("T-1", None);
        workflow.clone_into(&mut place.workflow);
        let end = Settlement::Applied { changes: vec![change] };
        self.store.settle(job, Some(place), end, START_MS + took_ms).await.unwrap()
    }

    async fn person_says(&self, intent: &str) {
        let patch = TicketPatch { intent: Some(intent.to_owned()), ..TicketPatch::default() };
        assert!(self.store.patch_ticket("T-1".to_owned(), patch, START_MS).await.unwrap());
    }

    /// Ends a job about the resource, which says that it used so much.
    async fn used(&self, resource_id: &str, workflow: &str, tokens: (i64, i64)) -> Settled {
        let job = self.job_about(resource_id).await;
        job.mark_used(Usage { input_tokens: Some(tokens.0), output_tokens: Some(tokens.1) });
        let mut place = placement("T-1", None);
        workflow.clone_into(&mut place.workflow);
        self.store.settle(job, Some(place), ignored(), START_MS).await.unwrap()
    }
}

fn intent(name: &str) -> Effect {
    Effect::Route(Route { intent: Some(name.to_owned()), ..Route::default() })
}

fn counts(named: &[(&str, i64)]) -> Vec<(String, i64)> {
    named.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

async fn an_end_is_counted_once_and_a_fenced_one_not_at_all(fresh: Fresh) {
    let late = fresh.job_about("resp_1").await;
    let again_ms = START_MS + LEASE_MS;
    let job = fresh.claim_one(again_ms).await;
    assert_eq!(fresh.settle(job, retry(again_ms, true), again_ms).await, DONE);
    let job = fresh.claim_one(again_ms).await;
    assert_eq!(fresh.settle(job, ignored(), again_ms).await, DONE);
    assert_eq!(fresh.settle(late, gave_up(Cause::Internal), again_ms).await, Settled::Fenced);
    assert_eq!(fresh.counted_as("ignored"), 1);
    assert_eq!(fresh.counted_below("failure/"), counts(&[("failure/retryable/openai_server", 1)]));
}

async fn an_attempt_that_does_not_count_has_not_failed(fresh: Fresh) {
    let job = fresh.job_about("resp_1").await;
    fresh.settle(job, retry(START_MS, false), START_MS).await;
    let job = fresh.claim_one(START_MS).await;
    fresh.settle(job, gave_up(Cause::ResourceFailed), START_MS).await;
    assert_eq!(fresh.counted_below("failure/"), counts(&[("failure/final/resource_failed", 1)]));
}

async fn a_lease_that_is_lost_for_good_is_a_failure(fresh: Fresh) {
    fresh.queued(1).await;
    for n in 0..3 {
        assert_eq!(fresh.claim_at(START_MS + n * LEASE_MS, 1).await.len(), 1);
    }
    assert!(fresh.claim_at(START_MS + 3 * LEASE_MS, 1).await.is_empty());
    assert_eq!(fresh.counted_as("failed_final"), 1);
    assert_eq!(fresh.counted_below("failure/"), counts(&[("failure/final/lease_lost", 1)]));
}

async fn a_person_who_changes_what_a_result_has_set_is_counted_and_no_other_change(fresh: Fresh) {
    fresh.ticket("T-1").await;
    fresh.person_says("billing").await;
    fresh.person_says("refund").await;
    assert_eq!(fresh.apply_as("resp_1", "classification", intent("shipping"), 700).await, DONE);
    assert_eq!((fresh.counted_as("category/shipping"), fresh.counted_as("latency/1000")), (1, 1));
    for (name, overridden) in [("shipping", 0), ("refund", 1), ("bug", 1)] {
        fresh.person_says(name).await;
        assert_eq!(fresh.counted_as("override/shipping"), overridden, "{name}");
    }
    // What only moves the ticket to another queue has set no intent.
    let moved = Effect::Route(Route { queue: Some("logistics".to_owned()), ..Route::default() });
    fresh.apply_as("resp_2", "classification", moved, 0).await;
    fresh.person_says("question").await;
    assert_eq!(fresh.counted_below("override/"), counts(&[("override/shipping", 1)]));
    assert_eq!(fresh.counted_below("category/"), counts(&[("category/shipping", 1)]));
}

async fn what_is_no_name_is_counted_together(fresh: Fresh) {
    fresh.ticket("T-1").await;
    for (n, name) in ["my name is Ada, card 4711", &"x".repeat(64), "a/b"].into_iter().enumerate() {
        fresh.apply_as(&format!("resp_{n}"), "classification", intent(name), 0).await;
    }
    assert_eq!(fresh.counted_below("category/"), counts(&[("category/(other)", 3)]));
}

async fn tokens_of_a_result_are_counted_once_however_many_events_tell_of_it(fresh: Fresh) {
    let used = Usage { input_tokens: Some(1_200), output_tokens: Some(80) };
    // Given up, taken up again by a person, and told of once more.
    let job = fresh.job_about("resp_1").await;
    job.mark_used(used);
    let id = job.id();
    fresh.settle(job, gave_up(Cause::Internal), START_MS).await;
    fresh.store.retry_job(id, "ada".to_owned(), None, START_MS).await.unwrap();
    for n in 0..2 {
        if n == 1 {
            fresh.deliver("wh_again", "evt_again", "resp_1").await;
        }
        let job = fresh.claim_one(START_MS).await;
        job.mark_used(used);
        fresh.store.settle(job, Some(placement("T-1", None)), ignored(), START_MS).await.unwrap();
    }
    assert_eq!(fresh.counted_below("tokens/"), counts(&[("tokens/summary/in", 1_200), ("tokens/summary/out", 80)]));
}

async fn tokens_that_no_result_can_have_used_do_not_keep_its_job_from_ending(fresh: Fresh) {
    for n in 0..3 {
        assert_eq!(fresh.used(&format!("resp_{n}"), "summary", (i64::MAX, i64::MAX)).await, DONE);
    }
    assert_eq!(fresh.counted_as("tokens/summary/in"), fresh.counted_as("tokens/summary/out"));
}

async fn a_workflow_that_metadata_name_is_no_text(fresh: Fresh) {
    assert_eq!(fresh.used("resp_1", "call Ada at 555/0100", (3, 0)).await, DONE);
    assert_eq!(fresh.counted_below("tokens/"), counts(&[("tokens/(other)/in", 3), ("tokens/(other)/out", 0)]));
}

async fn a_summary_is_timed_from_the_start_of_the_work(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let new = NewSubmission {
        id: "sub_1".to_owned(),
        project: "default".to_owned(),
        ticket_id: "T-1".to_owned(),
        workflow: "summary".to_owned(),
        prompt_version: "1".to_owned(),
        ticket_revision: 1,
        actor: "ada".to_owned(),
        created_at_ms: START_MS - 40_000,
        check_at_ms: START_MS + 1_000,
        deadline_ms: START_MS + 2_000,
    };
    fresh.store.begin_submission(new).await.unwrap();
    let (project, id) = ("default".to_owned(), "sub_1".to_owned());
    fresh.store.submission_started(project, id, "resp_1".to_owned(), START_MS - 39_000).await.unwrap();
    for resource in ["resp_1", "resp_of_others"] {
        fresh.apply_as(resource, "summary", Effect::Note { text: "n".to_owned() }, 2_000).await;
    }
    assert_eq!(fresh.counted_below("summary/"), counts(&[("summary/60000", 1)]), "only where the start is known");
    assert_eq!(fresh.counted_as("latency/2000"), 2);
}

async fn only_quality_checks_score(fresh: Fresh) {
    fresh.ticket("T-1").await;
    let scores = [("quality_check", 80.0), ("quality_check", 91.5), ("extraction", 5.0), ("quality_check", 1e300)];
    for (n, (workflow, score)) in scores.into_iter().enumerate() {
        let fields = Map::from_iter([("quality_score".to_owned(), score.into())]);
        assert_eq!(fresh.apply_as(&format!("resp_{n}"), workflow, Effect::Fields { fields }, 0).await, DONE);
    }
    assert_eq!(fresh.counted_below("qa/"), counts(&[("qa/scores", 2), ("qa/tenths", 1_715)]));
}
