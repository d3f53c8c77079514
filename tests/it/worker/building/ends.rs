//! Wherever it stops, whatever OpenAI answers: nothing is lost, nothing is doubled.

use frontdesk::domain::job::State;
use frontdesk::store::{Discarded, Pausable, Retried};
use frontdesk::worker::{Limits, Step};
use serde_json::json;

use super::tickets;
use crate::fake_openai::Answer;
use crate::harness::{LEASE_MS, TestDesk};
use crate::worker::batches::classified;

const ALL: [&str; 5] = ["T-1", "T-2", "T-3", "T-4", "T-5"];

/// Five tickets, two in a part.
async fn desk() -> (TestDesk, String) {
    let mut desk = TestDesk::open().await;
    desk.tickets(5).await;
    desk.settings.limits = Limits { lines: 2, bytes: 200_000_000 };
    let id = desk.ask(tickets(&ALL)).await;
    (desk, id)
}

#[tokio::test]
async fn a_worker_that_stops_after_any_step_is_followed_by_one_that_sends_the_rest_once() {
    for step in Step::BUILD {
        for occurrence in 1..=3 {
            let (desk, id) = desk().await;
            desk.worker_that_stops(step, occurrence).work_until_idle().await.unwrap();
            desk.clock.advance(LEASE_MS);
            desk.work_to_the_end(&desk.worker()).await;
            assert_eq!(desk.batch_of(&id).await.state.word(), "submitted", "{step:?} {occurrence}");
            desk.assert_sent_once(&id, &ALL).await;
        }
    }
}

#[tokio::test]
async fn workers_that_stop_one_after_the_other_at_any_two_steps_still_send_everything_once() {
    for first in Step::BUILD {
        for second in Step::BUILD {
            let (desk, id) = desk().await;
            for step in [first, second] {
                desk.work_to_the_end_or_stop(step).await;
                desk.clock.advance(LEASE_MS);
            }
            desk.work_to_the_end(&desk.worker()).await;
            assert_eq!(desk.batch_of(&id).await.state.word(), "submitted", "{first:?} {second:?}");
            desk.assert_sent_once(&id, &ALL).await;
        }
    }
}

#[tokio::test]
async fn a_part_that_openai_made_without_telling_is_found_in_its_list() {
    let (desk, id) = desk().await;
    desk.openai.be_silent_about(1);
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
}

#[tokio::test]
async fn a_part_that_comes_into_the_list_late_is_waited_for() {
    let (mut desk, id) = desk().await;
    desk.leaves_work("it waits for the list");
    desk.openai.be_silent_about(1);
    desk.openai.do_not_list(1);
    desk.work().await;
    // Somebody makes it due at once.
    desk.sql().execute("UPDATE jobs SET claimable_at = 0", []).unwrap();
    desk.work().await;
    let job = desk.build_job(&id).await;
    assert_eq!(job.status, State::FailedRetryable);
    assert!(job.last_error.unwrap().starts_with("openai_unreachable"));
    assert_eq!(desk.openai.batches().len(), 1, "it is not made again within two minutes");
}

#[tokio::test]
async fn a_part_that_was_never_made_is_made_when_the_list_has_shown_it_long_enough() {
    let (desk, id) = desk().await;
    desk.openai.answer_starts([Answer::error(500, "server_error")]);
    let asked_at_ms = desk.now_ms();
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
    assert!(desk.now_ms() - asked_at_ms >= 120_000);
}

#[tokio::test]
async fn a_passing_refusal_sends_nothing_twice() {
    let (desk, id) = desk().await;
    desk.openai.answer_uploads([Answer::error(500, "server_error"), Answer::error(429, "rate_limit_exceeded")]);
    desk.openai.answer_starts([Answer::error(429, "rate_limit_exceeded")]);
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
    assert_eq!(desk.openai.uploads(), 3, "what was uploaded is not uploaded again");
}

#[tokio::test]
async fn a_refusal_for_good_fails_the_batch_in_openais_words_and_a_retry_takes_it_up_again() {
    let (desk, id) = desk().await;
    desk.openai.answer_starts([Answer::error(400, "billing_hard_limit_reached")]);
    desk.work().await;
    let (batch, job) = (desk.batch_of(&id).await, desk.build_job(&id).await);
    assert_eq!((batch.state.word(), job.status), ("failed", State::FailedFinal));
    assert!(batch.error.unwrap().contains("billing_hard_limit_reached"));
    assert_eq!(desk.alerts_about("default").await, ["openai_refused"]);
    let retried = desk.store.retry_job(job.id, "ada".to_owned(), None, desk.now_ms()).await.unwrap();
    assert_eq!(retried, Retried::Queued);
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.error), ("submitted", None));
    desk.assert_sent_once(&id, &ALL).await;
}

#[tokio::test]
async fn a_revoked_key_makes_the_batch_wait_however_long_it_lasts() {
    let (desk, id) = desk().await;
    desk.openai.refuse("sk-default", Answer::error(401, "invalid_api_key"));
    for _ in 0..20 {
        desk.work().await;
        desk.clock.advance(60_000);
    }
    let job = desk.build_job(&id).await;
    assert_eq!((job.status, desk.batch_of(&id).await.state.word()), (State::FailedRetryable, "building"));
    assert!(job.last_error.unwrap().starts_with("openai_auth"));
    desk.openai.accept("sk-default");
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
}

#[tokio::test]
async fn a_paused_workflow_sends_nothing_and_goes_on_when_the_pause_ends() {
    let (desk, id) = desk().await;
    let paused = || Pausable::Workflow("classification".to_owned());
    desk.store.pause(paused(), "ada".to_owned(), "a new prompt".to_owned(), desk.now_ms()).await.unwrap();
    desk.work().await;
    assert_eq!((desk.batch_of(&id).await.state.word(), desk.openai.uploads()), ("building", 0));
    desk.store.resume(paused(), "ada".to_owned(), desk.now_ms()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
}

#[tokio::test]
async fn whoever_lost_the_claim_writes_nothing_more() {
    let (desk, id) = desk().await;
    desk.worker_that_stops(Step::Uploaded, 1).work_until_idle().await.unwrap();
    let claim = desk.claimed_build(&id).await;
    desk.clock.advance(2 * LEASE_MS);
    desk.work_to_the_end(&desk.worker()).await;
    let late =
        desk.store.part_uploaded(claim.clone(), desk.batch_of(&id).await.parts[0].id.clone(), "file-x".to_owned());
    assert!(late.await.is_err());
    assert!(desk.store.add_lines(claim, 1, Vec::new()).await.is_err());
    desk.assert_sent_once(&id, &ALL).await;
}

/// The webhook of a part, and its results.
fn ends(desk: &TestDesk, batch: usize, ids: &[&str]) {
    let output: String = ids.iter().map(|id| classified(id, "shipping", "high") + "\n").collect();
    let file = format!("file-out-{batch}");
    desk.openai.put_file(&file, &output);
    let made = desk.openai.batches()[batch - 1].clone();
    desk.openai.put(&json!({"id": format!("batch_{batch}"), "object": "batch", "status": "completed",
        "created_at": 1_780_000_000, "metadata": made["metadata"], "output_file_id": file}));
}

#[tokio::test]
async fn a_webhook_that_overtakes_the_answer_finds_its_part_and_nothing_is_made_again() {
    let (desk, id) = desk().await;
    desk.openai.be_silent_about(1);
    desk.work().await;
    ends(&desk, 1, &ALL[..2]);
    desk.tell("batch_1").await;
    desk.work_to_the_end(&desk.worker()).await;
    desk.assert_sent_once(&id, &ALL).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.counts["result/ok"]), ("submitted", 2));
}

#[tokio::test]
async fn results_that_are_all_read_before_the_building_has_ended_are_applied_when_it_has() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let id = desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.worker_that_stops(Step::Created, 1).work_until_idle().await.unwrap();
    ends(&desk, 1, &["T-1", "T-2"]);
    desk.tell("batch_1").await;
    desk.work().await;
    assert_eq!(desk.batch_of(&id).await.state.word(), "building");
    desk.clock.advance(LEASE_MS);
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.counts["fate/applied"]), ("applied", 2));
    assert_eq!(desk.openai.batches().len(), 1);
}

#[tokio::test]
async fn what_was_sent_before_a_refusal_goes_on_when_a_person_discards_the_rest() {
    let (desk, id) = desk().await;
    desk.worker_that_stops(Step::Created, 1).work_until_idle().await.unwrap();
    desk.clock.advance(LEASE_MS);
    desk.openai.answer_starts([Answer::error(400, "no_more")]);
    desk.work().await;
    ends(&desk, 1, &ALL[..2]);
    desk.tell("batch_1").await;
    desk.work().await;
    assert_eq!(desk.batch_of(&id).await.state.word(), "failed", "a person may still go on with it");
    let job = desk.build_job(&id).await.id;
    let discarded = desk.store.discard_job(job, "ada".to_owned(), "enough".to_owned(), desk.now_ms()).await.unwrap();
    assert_eq!(discarded, Discarded::Done);
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.counts["result/ok"], batch.counts["result/missing"]), ("waiting", 2, 2));
    assert_eq!(batch.parts[1].status.as_deref(), Some("not_sent"));
}
