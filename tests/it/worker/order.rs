//! Results that come late, twice, or in another order than they were made.

use frontdesk::domain::job::State;
use frontdesk::worker::Step;
use serde_json::{Value, json};

use crate::fake_openai::{completed, to};
use crate::harness::TestDesk;

/// Two pieces of our own work on one ticket, the second made later.
async fn older_and_newer(workflow: &str, older: &Value, newer: &Value) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.started("sub_old", "T-1", workflow, "resp_old").await;
    desk.clock.advance(60_000);
    desk.started("sub_new", "T-1", workflow, "resp_new").await;
    desk.openai.put(older);
    desk.openai.put(newer);
    desk
}

fn route(id: &str, intent: &str) -> Value {
    let output = json!({"intent": intent, "priority": "normal", "confidence": 0.9, "topics": []});
    completed(id, &output.to_string(), &json!({}))
}

fn reply(id: &str, text: &str) -> Value {
    completed(id, &json!({"reply": text, "confidence": 0.9, "topics": []}).to_string(), &json!({}))
}

#[tokio::test]
async fn an_older_classification_that_comes_later_is_superseded() {
    let desk = older_and_newer("classification", &route("resp_old", "bug"), &route("resp_new", "shipping")).await;
    for resource in ["resp_new", "resp_old"] {
        desk.tell(resource).await;
        desk.work().await;
    }
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    let old = desk.job("resp_old").await;
    assert_eq!((old.status, old.outcome.as_deref()), (State::Processed, Some("superseded")));
    assert_eq!(desk.job("resp_new").await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn a_newer_classification_goes_over_an_older_one() {
    let desk = older_and_newer("classification", &route("resp_old", "bug"), &route("resp_new", "shipping")).await;
    for resource in ["resp_old", "resp_new"] {
        desk.tell(resource).await;
        desk.work().await;
    }
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    assert_eq!(desk.job("resp_old").await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn a_newer_draft_makes_the_older_one_stale_and_an_older_one_opens_no_review() {
    let desk = older_and_newer("draft_reply", &reply("resp_old", "One."), &reply("resp_new", "Two.")).await;
    desk.tell("resp_old").await;
    desk.work().await;
    desk.tell("resp_new").await;
    desk.work().await;
    assert_eq!(desk.reviews_of("resp_old").await[0].state, "stale");
    assert_eq!(desk.reviews_of("resp_new").await[0].state, "open");
    let drafts: Vec<_> = desk.read_ticket("T-1").await.drafts.into_iter().map(|draft| draft.state).collect();
    assert_eq!(drafts, ["stale", "open"]);

    let desk = older_and_newer("draft_reply", &reply("resp_old", "One."), &reply("resp_new", "Two.")).await;
    desk.tell("resp_new").await;
    desk.work().await;
    desk.tell("resp_old").await;
    desk.work().await;
    assert!(desk.reviews_of("resp_old").await.is_empty());
    assert_eq!(desk.job("resp_old").await.outcome.as_deref(), Some("superseded"));
    assert_eq!(desk.read_ticket("T-1").await.drafts.len(), 1);
}

#[tokio::test]
async fn work_of_other_programs_is_ordered_by_when_openai_made_it() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    for (id, made, intent) in [("resp_new", 1_780_000_100, "shipping"), ("resp_old", 1_780_000_000, "bug")] {
        let mut response = route(id, intent);
        response["metadata"] = to("T-1", "classification");
        response["created_at"] = json!(made);
        desk.openai.put(&response);
        desk.tell(id).await;
        desk.work().await;
    }
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    assert_eq!(desk.job("resp_old").await.outcome.as_deref(), Some("superseded"));
}

#[tokio::test]
async fn an_older_result_that_was_planned_before_a_crash_is_dropped_when_a_newer_one_has_been_applied() {
    let desk = older_and_newer("classification", &route("resp_old", "bug"), &route("resp_new", "shipping")).await;
    desk.tell("resp_old").await;
    desk.worker_that_stops(Step::Planned, 1).work_until_idle().await.unwrap();
    desk.tell("resp_new").await;
    desk.work().await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    assert_eq!(desk.job("resp_old").await.outcome.as_deref(), Some("superseded"));
}

#[tokio::test]
async fn different_workflows_and_tickets_do_not_supersede_each_other() {
    let desk = older_and_newer("classification", &route("resp_old", "bug"), &route("resp_new", "shipping")).await;
    desk.ticket("T-2", "Hello").await;
    desk.started("sub_note", "T-1", "summary", "resp_note").await;
    desk.openai.put(&completed("resp_note", "A summary.", &json!({})));
    for resource in ["resp_new", "resp_note"] {
        desk.tell(resource).await;
    }
    desk.work().await;
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
    desk.tell("resp_old").await;
    desk.work().await;
}
