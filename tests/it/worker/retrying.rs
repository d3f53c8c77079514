//! Answers that pass by waiting: backed off, bounded, and honouring what OpenAI asks for.

use frontdesk::domain::job::State;
use serde_json::json;

use crate::fake_openai::{Answer, completed, ended, to};
use crate::harness::TestDesk;

async fn desk_with(answers: impl IntoIterator<Item = Answer>) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.script("resp_1", answers);
    desk.tell("resp_1").await;
    desk
}

fn good() -> Answer {
    Answer::json(&completed("resp_1", "The parcel is late.", &to("T-1", "summary")))
}

#[tokio::test]
async fn each_answer_that_may_pass_is_tried_again_and_then_applied_once() {
    let whole = completed("resp_1", "The parcel is late.", &to("T-1", "summary")).to_string();
    let half = &whole[..whole.len() / 2];
    let table = [
        (Answer::text(500, "oops"), "openai_server: HTTP 500"),
        (Answer::error(503, "overloaded"), "openai_server: HTTP 503 overloaded"),
        (Answer::error(429, "rate_limit_exceeded"), "openai_rate_limited: HTTP 429 rate_limit_exceeded"),
        (Answer::text(200, half), "openai_unreadable: the answer ended too early"),
        (Answer::text(200, half).that_breaks(), "openai_unreachable: the connection broke"),
        (Answer::text(200, "<html>"), "openai_unreadable: the answer is not readable at line 1, column 1"),
        (Answer::text(200, "{}"), "openai_unreadable: the answer has no id"),
        (Answer::text(200, &whole.replace("resp_1", "resp_2")), "openai_unreadable: the answer is about another id"),
        (
            Answer::json(&ended("resp_1", "in_progress", json!([]), &json!({}))),
            "not_ended_yet: OpenAI still says in_progress",
        ),
        (Answer::json(&ended("resp_1", "paused", json!([]), &json!({}))), "not_ended_yet: OpenAI still says paused"),
    ];
    for (answer, error) in table {
        let desk = desk_with([answer, good()]).await;
        assert_eq!(desk.work().await, 1);
        let job = desk.job("resp_1").await;
        assert_eq!(job.status, State::FailedRetryable, "{error}");
        assert_eq!((job.attempt_count, job.last_error.as_deref()), (1, Some(error)));
        desk.work_to_the_end(&desk.worker()).await;
        let job = desk.job("resp_1").await;
        assert_eq!((job.outcome.as_deref(), job.attempt_count), (Some("applied"), 2), "{error}");
        assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
    }
}

#[tokio::test]
async fn a_failing_openai_is_asked_at_growing_distances_and_at_most_as_often_as_allowed() {
    let desk = desk_with([Answer::text(500, "oops")]).await;
    let worker = desk.worker();
    let mut waits = Vec::new();
    while desk.job("resp_1").await.status != State::FailedFinal {
        assert_eq!(worker.work_until_idle().await.unwrap(), 1);
        if let Some(next_ms) = desk.job("resp_1").await.next_at_ms {
            waits.push(next_ms - desk.now_ms());
            desk.clock.advance(next_ms - desk.now_ms() - 1);
            assert_eq!(worker.work_until_idle().await.unwrap(), 0, "not before it is due");
            desk.clock.advance(1);
        }
    }
    assert_eq!(desk.openai.calls("resp_1"), 5, "as many attempts as the settings allow");
    for (at, wait) in waits.iter().enumerate() {
        let full = 1_000 << at;
        assert!((full / 2..=full).contains(wait), "wait {at}: {wait}");
    }
    assert_eq!(desk.alerts_about("default").await, ["openai_server"]);
    let job = desk.job("resp_1").await;
    desk.openai.script("resp_1", [good()]);
    desk.store.retry_job(job.id, "ada".to_owned(), None, desk.now_ms()).await.unwrap();
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"), "a person's retry finishes it");
}

#[tokio::test]
async fn the_quiet_that_openai_asks_for_is_kept_by_every_job_of_the_project() {
    let desk = desk_with([Answer::error(429, "rate_limit_exceeded").with("retry-after", "20"), good()]).await;
    desk.openai.put(&completed("resp_2", "Other words.", &to("T-1", "summary")));
    let worker = desk.worker();
    assert_eq!(worker.work_until_idle().await.unwrap(), 1);
    assert_eq!(desk.job("resp_1").await.next_at_ms, Some(desk.now_ms() + 20_000));
    desk.tell("resp_2").await;
    desk.clock.advance(19_999);
    assert_eq!(worker.work_until_idle().await.unwrap(), 0, "a fresh job waits too");
    assert_eq!(desk.openai.all_calls(), 1);
    desk.clock.advance(1);
    assert_eq!(worker.work_until_idle().await.unwrap(), 2);
    assert!(desk.alerts_about("default").await.is_empty());
}

#[tokio::test]
async fn a_webhook_that_is_ahead_of_openai_waits_as_long_as_openai_advises() {
    let moving = Answer::json(&ended("resp_1", "queued", json!([]), &json!({})));
    let desk = desk_with([moving.with("openai-poll-after-ms", "7000"), good()]).await;
    desk.work().await;
    assert_eq!(desk.job("resp_1").await.next_at_ms, Some(desk.now_ms() + 7_000));
    desk.work_to_the_end(&desk.worker()).await;
}

#[tokio::test]
async fn a_refusal_that_will_not_pass_is_final_at_once() {
    let desk = desk_with([Answer::error(400, "invalid_request")]).await;
    assert_eq!(desk.work().await, 1);
    let job = desk.job("resp_1").await;
    assert_eq!(job.status, State::FailedFinal);
    assert_eq!(job.last_error.as_deref(), Some("openai_refused: HTTP 400 invalid_request"));
    assert_eq!(desk.alerts_about("default").await, ["openai_refused"]);
}

#[tokio::test]
async fn a_result_that_was_kept_needs_no_openai_again_whatever_happens_to_it_there() {
    let desk = desk_with([good(), Answer::error(404, "not_found")]).await;
    desk.worker_that_stops(frontdesk::worker::Step::Kept, 1).work_until_idle().await.unwrap();
    desk.clock.advance(crate::harness::LEASE_MS);
    desk.work().await;
    assert_eq!(desk.openai.calls("resp_1"), 1);
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"));
}
