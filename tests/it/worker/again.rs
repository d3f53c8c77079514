//! Deliveries that are worked again, and starts that are discarded.

use frontdesk::clock::Clock;
use frontdesk::domain::job::State;
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::operators::Replay;
use frontdesk::store::{Replayed, Window};
use serde_json::{Value, json};

use crate::fake_openai::{Answer, completed, ended, to};
use crate::harness::{START_MS, TestDesk};

fn everything() -> Window {
    Window { since_ms: START_MS, until_ms: i64::MAX, event_type: None, status: None, all: true }
}

impl TestDesk {
    async fn replay(&self, window: Window) -> Replayed {
        let replay = Replay { window };
        let would = replay.look(&self.store).await.unwrap();
        let clock = Clock::Hand(self.clock.clone());
        let done = replay.run(&self.store, &clock, "lena", |_| {}).await.unwrap();
        assert_eq!(would, done, "the dry run tells what will be done");
        done
    }
}

/// One result of each workflow, worked to its end.
async fn worked() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let route = json!({"intent": "shipping", "priority": "high", "confidence": 0.9, "topics": []});
    let reply = json!({"reply": "Tomorrow.", "confidence": 0.9, "topics": []});
    desk.started("sub_note", "T-1", "summary", "resp_note").await;
    for (id, workflow, output) in [
        ("resp_note", "summary", "It is late.".to_owned()),
        ("resp_route", "classification", route.to_string()),
        ("resp_reply", "draft_reply", reply.to_string()),
        ("resp_bad", "classification", "no JSON".to_owned()),
    ] {
        desk.openai.put(&completed(id, &output, &to("T-1", workflow)));
        desk.tell(id).await;
        desk.work().await;
        desk.clock.advance(1_000);
    }
    desk
}

#[tokio::test]
async fn replaying_what_was_applied_or_held_changes_no_ticket_and_asks_nobody_again() {
    let desk = worked().await;
    // The ticket moves on from what the prompt of the note was made of.
    desk.store
        .add_message("T-1".to_owned(), Author::Customer, Visibility::Public, "Hello?".to_owned(), desk.now_ms())
        .await
        .unwrap();
    let (ticket, reviews) = (desk.read_ticket("T-1").await, desk.reviews_of("resp_reply").await);
    assert_eq!(desk.replay(everything()).await, Replayed { again: 4, ..Replayed::default() });
    assert_eq!(desk.work().await, 4);
    assert_eq!(desk.read_ticket("T-1").await, ticket);
    assert_eq!(desk.reviews_of("resp_reply").await, reviews);
    for resource in ["resp_note", "resp_route"] {
        let jobs = desk.jobs_of(resource).await;
        let outcomes: Vec<_> = jobs.iter().map(|job| job.outcome.as_deref().unwrap()).collect();
        assert_eq!(outcomes, ["ignored", "applied"], "{resource}");
        assert!(jobs[0].key.starts_with("replay/") && jobs[0].key.ends_with(&jobs[1].key), "{}", jobs[0].key);
        assert_eq!(desk.openai.calls(resource), 1);
        assert_eq!(desk.reviews_of(resource).await.len(), 0);
    }
    let delivery = desk.store.delivery("wh_resp_note".to_owned()).await.unwrap().unwrap();
    assert_eq!(delivery.outcome.as_deref(), Some("applied"), "the delivery keeps to its first job");
}

#[tokio::test]
async fn without_all_only_what_failed_or_came_to_nothing_is_worked_again() {
    let desk = worked().await;
    let usual = || Window { all: false, ..everything() };
    assert_eq!(desk.replay(usual()).await, Replayed { left: 4, ..Replayed::default() });
    desk.openai.script("resp_lost", [Answer::error(404, "not_found"), summary("resp_lost")]);
    desk.tell("resp_lost").await;
    desk.work().await;
    assert_eq!(desk.alerts_about("default").await, ["lost_to_retention"]);
    let only = Window { status: Some(State::FailedFinal), ..usual() };
    assert_eq!(desk.replay(only).await, Replayed { retried: 1, ..Replayed::default() });
    assert!(desk.alerts_about("default").await.is_empty());
    assert_eq!(desk.replay(usual()).await, Replayed { left: 5, ..Replayed::default() }, "it is under way");
    desk.work().await;
    assert_eq!(desk.job("resp_lost").await.outcome.as_deref(), Some("applied"));
}

fn summary(id: &str) -> Answer {
    Answer::json(&completed(id, "Found again.", &to("T-1", "summary")))
}

#[tokio::test]
async fn a_window_is_kept_to() {
    let desk = worked().await;
    let from_second = Window { since_ms: START_MS + 1_000, until_ms: START_MS + 3_000, ..everything() };
    assert_eq!(desk.replay(from_second).await.again, 2);
    desk.work().await;
    let of_type = Window { event_type: Some("batch.completed".to_owned()), ..everything() };
    assert_eq!(desk.replay(of_type).await, Replayed::default());
}

#[tokio::test]
async fn a_parked_delivery_whose_type_is_handled_by_now_gets_its_job_once() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(&completed("resp_1", "It is late.", &to("T-1", "summary")));
    desk.deliver("wh_1", "evt_1", "response.completed", "resp_1").await;
    desk.deliver("wh_2", "evt_2", "response.unheard_of", "resp_2").await;
    // As a version that did not handle the type has left them.
    desk.sql()
        .execute_batch(
            "UPDATE deliveries SET job_key = NULL, note = 'nobody handles this type'; DELETE FROM jobs;
             INSERT INTO deliveries (project, delivery_id, event_id, event_type, resource_id, duplicate_of, body_sha256, signed_at, secret_hint, received_at, note)
             SELECT project, 'wh_3', event_id, event_type, resource_id, 'wh_1', body_sha256, signed_at, secret_hint, received_at, note FROM deliveries WHERE delivery_id = 'wh_1';
             UPDATE tallies SET count = count + 1 WHERE name = 'deliveries' AND shard = (SELECT min(shard) FROM tallies WHERE name = 'deliveries')",
        )
        .unwrap();
    assert_eq!(desk.replay(everything()).await, Replayed { unparked: 2, left: 1, ..Replayed::default() });
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
    for id in ["wh_1", "wh_3"] {
        let delivery = desk.store.delivery(id.to_owned()).await.unwrap().unwrap();
        assert_eq!((delivery.status, delivery.note), (State::Processed, None), "{id}");
    }
}

#[tokio::test]
async fn a_replay_is_on_the_record_with_what_was_asked() {
    let desk = worked().await;
    desk.replay(everything()).await;
    desk.work().await;
    let page = desk.store.audit_trail(Some("deliveries".to_owned()), None, crate::harness::ALL).await.unwrap();
    assert_eq!((page.items[0].actor.as_str(), page.items[0].action.as_str()), ("lena", "deliveries.replay"));
    assert_eq!(page.items[0].detail["all"], Value::Bool(true));
}

/// Failed work whose replacement OpenAI refuses for good.
async fn refused_start() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let mut failed = ended("resp_1", "failed", json!([]), &json!({}));
    failed["error"] = json!({"code": "server_error", "message": "words of the other side"});
    desk.openai.put(&failed);
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.tell("resp_1").await;
    desk.work().await;
    desk.openai.answer_starts([Answer::error(400, "invalid_request")]);
    desk.clock.advance(60_000);
    desk.work().await;
    desk
}

#[tokio::test]
async fn a_start_that_never_had_a_prompt_can_be_discarded_and_made_after_all() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let mut failed = ended("resp_1", "failed", json!([]), &json!({}));
    failed["error"] = json!({"code": "server_error", "message": "words of the other side"});
    desk.openai.put(&failed);
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.tell("resp_1").await;
    desk.work().await;
    desk.sql().execute("UPDATE submissions SET workflow = 'gone' WHERE state = 'planned'", []).unwrap();
    desk.clock.advance(60_000);
    desk.work().await;
    let start = desk.store.jobs(Some(State::FailedFinal), crate::harness::ALL).await.unwrap().items.remove(0);
    desk.store.discard_job(start.id, "lena".to_owned(), "no use".to_owned(), desk.now_ms()).await.unwrap();
    let submission = desk.store.submission(start.resource_id.clone()).await.unwrap().unwrap();
    assert_eq!((submission.state.as_str(), submission.prompt_version), ("ended", None));
    desk.sql().execute("UPDATE submissions SET workflow = 'summary' WHERE id = ?1", [&start.resource_id]).unwrap();
    desk.store.retry_job(start.id, "lena".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.work().await;
    assert_eq!(desk.openai.started().len(), 1);
}

#[tokio::test]
async fn a_start_that_was_discarded_can_be_made_after_all() {
    let desk = refused_start().await;
    let start = desk.store.jobs(Some(State::FailedFinal), crate::harness::ALL).await.unwrap().items.remove(0);
    let (lena, now_ms) = (|| "lena".to_owned(), desk.now_ms());
    desk.store.discard_job(start.id, lena(), "no use".to_owned(), now_ms).await.unwrap();
    assert_eq!(desk.work().await, 0);
    assert!(desk.alerts_about("default").await.is_empty());
    desk.store.retry_job(start.id, lena(), None, now_ms).await.unwrap();
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.openai.started().len(), 1, "it is started now, and not only said to be");
}
