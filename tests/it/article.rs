//! The article's tables, row by row, each from the signed webhook to the ticket.
//! A test is named after its row: the table, then the row's own words. The rows
//! that are about the HTTP endpoint are in `tests/e2e/article.rs`.

use frontdesk::domain::delivery::Receipt;
use frontdesk::domain::job::State;
use frontdesk::domain::ticket::Visibility;
use frontdesk::store::Job;
use serde_json::{Value, json};

use crate::fake_openai::{Answer, completed, ended, message, to};
use crate::harness::TestDesk;

/// What the customer wrote; nothing in it is sensitive.
const PARCEL: &str = "Where is my parcel?";

/// A ticket, and a webhook of this type about this resource, worked to its end.
async fn told(kind: &str, resource: &Value, words: &str) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", words).await;
    desk.openai.put(resource);
    desk.deliver("wh_1", "evt_1", kind, resource["id"].as_str().unwrap()).await;
    desk.work_to_the_end(&desk.worker()).await;
    desk
}

async fn only_job(desk: &TestDesk) -> Job {
    let mut jobs = desk.store.jobs(None, crate::harness::ALL).await.unwrap().items;
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}

/// It waits for a person for this reason, and the customer saw nothing.
async fn is_in_review(desk: &TestDesk, reason: &str) {
    let job = only_job(desk).await;
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("held")));
    let review = desk.reviews_of(&job.resource_id).await.remove(0);
    assert_eq!((review.state.as_str(), review.reason.as_str()), ("open", reason));
    nothing_public(desk).await;
}

/// It failed for good, with this error and this alert.
async fn is_failed(desk: &TestDesk, error: &str, alerts: &[&str]) {
    let job = only_job(desk).await;
    assert_eq!((job.status, job.outcome), (State::FailedFinal, None));
    assert!(job.last_error.as_deref().unwrap().starts_with(error), "{:?}", job.last_error);
    assert_eq!(desk.alerts_about("default").await, alerts);
    nothing_public(desk).await;
}

async fn nothing_public(desk: &TestDesk) {
    let ticket = desk.read_ticket("T-1").await;
    let ours = ticket.messages.iter().skip(1);
    assert!(ours.clone().all(|message| message.visibility == Visibility::Internal), "{ticket:?}");
}

fn reply(text: &str) -> String {
    json!({"reply": text, "confidence": 0.95, "topics": []}).to_string()
}

fn failed(code: &str) -> Value {
    let mut response = ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    response["error"] = json!({"code": code, "message": "words of the other side"});
    response
}

fn batch(status: &str) -> Value {
    json!({"id": "batch_1", "object": "batch", "status": status, "metadata": {"workflow": "classification"},
           "output_file_id": "file-out", "error_file_id": "file-err", "errors": {"data": [{"code": "empty_file", "line": 1}]},
           "request_counts": {"total": 3, "completed": 2, "failed": 1}})
}

/// A desk with two tickets whose batch has ended like this: the first was
/// classified, the second was not come to.
async fn told_of_batch(status: &str) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", PARCEL).await;
    desk.ticket("T-2", PARCEL).await;
    let output = json!({"intent": "shipping", "priority": "high", "confidence": 0.95, "topics": []}).to_string();
    let body = completed("resp_1", &output, &json!({}));
    let done = json!({"custom_id": "T-1", "response": {"status_code": 200, "body": body}, "error": null});
    let left = json!({"custom_id": "T-2", "response": null, "error": {"code": "batch_expired", "message": "late"}});
    desk.openai.put_file("file-out", &done.to_string());
    desk.openai.put_file("file-err", &left.to_string());
    desk.openai.put(&batch(status));
    desk.deliver("wh_1", "evt_1", &format!("batch.{status}"), "batch_1").await;
    desk.work_to_the_end(&desk.worker()).await;
    desk
}

/// What was done is on its ticket, and of the rest somebody is told.
async fn its_results_are_used(desk: &TestDesk) {
    let (first, second) = (desk.read_ticket("T-1").await, desk.read_ticket("T-2").await);
    assert_eq!((first.intent.as_deref(), first.queue.as_str()), (Some("shipping"), "logistics"));
    assert_eq!((second.intent.as_deref(), second.queue.as_str()), (None, "support"));
    let lines = desk.store.batch_lines("batch_1".to_owned(), None, 0, 10).await.unwrap();
    let outcomes: Vec<_> = lines.iter().map(|line| (line.outcome(), line.reason.as_deref())).collect();
    assert_eq!(outcomes, [("applied", None), ("failed", Some("not_executed"))]);
    let told = desk.store.alerts(false, crate::harness::ALL).await.unwrap().items;
    assert_eq!((told.len(), told[0].kind.as_str()), (1, "batch_lines"));
}

// Handling Batch API webhook events: "Event | Recommended Action".

#[tokio::test]
async fn batch_completed_retrieve_the_output_file_and_apply_the_results() {
    its_results_are_used(&told_of_batch("completed").await).await;
}

#[tokio::test]
async fn batch_cancelled_mark_batch_as_cancelled() {
    let desk = told_of_batch("cancelled").await;
    its_results_are_used(&desk).await;
    let batch = desk.store.batch("batch_1".to_owned()).await.unwrap().unwrap();
    assert_eq!(batch.parts[0].status.as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn batch_expired_mark_pending_records_as_unprocessed_and_decide_whether_to_retry() {
    its_results_are_used(&told_of_batch("expired").await).await;
}

#[tokio::test]
async fn batch_failed_log_failure_and_alert_the_owning_team() {
    let desk = told("batch.failed", &batch("failed"), PARCEL).await;
    is_failed(&desk, "resource_failed: OpenAI refused the batch: empty_file in line 1", &["resource_failed"]).await;
}

// How to handle failed and incomplete responses.

#[tokio::test]
async fn response_completed_is_applied() {
    let desk = told("response.completed", &completed("resp_1", "It is late.", &to("T-1", "summary")), PARCEL).await;
    assert_eq!(only_job(&desk).await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn response_failed_with_a_code_that_passes_is_started_once_more() {
    let desk = told("response.failed", &failed("server_error"), PARCEL).await;
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("superseded"));
    assert_eq!(desk.openai.started().len(), 1);
    assert_eq!(desk.openai.started()[0]["metadata"]["ticket_id"], "T-1");
}

#[tokio::test]
async fn response_failed_with_a_code_that_stays_fails_and_alerts() {
    let desk = told("response.failed", &failed("invalid_prompt"), PARCEL).await;
    is_failed(&desk, "resource_failed: OpenAI ended it as failed (invalid_prompt)", &["resource_failed"]).await;
}

#[tokio::test]
async fn response_incomplete_is_sent_to_manual_review() {
    let mut response = completed("resp_1", "The parcel is", &to("T-1", "summary"));
    response["status"] = json!("incomplete");
    response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    is_in_review(&told("response.incomplete", &response, PARCEL).await, "incomplete").await;
}

#[tokio::test]
async fn response_cancelled_ends_as_cancelled_at_openai() {
    let response = ended("resp_1", "cancelled", json!([]), &to("T-1", "summary"));
    is_failed(&told("response.cancelled", &response, PARCEL).await, "resource_cancelled: cancelled at OpenAI", &[])
        .await;
}

#[tokio::test]
async fn a_result_that_openai_no_longer_keeps_is_lost_to_retention_final_and_alarmed() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", PARCEL).await;
    desk.openai.script("resp_1", [Answer::error(404, "not_found")]);
    desk.deliver("wh_1", "evt_1", "response.completed", "resp_1").await;
    desk.work_to_the_end(&desk.worker()).await;
    is_failed(&desk, "lost_to_retention", &["lost_to_retention"]).await;
}

/// "This is especially important for": a draft about it never reaches a customer by itself.
#[tokio::test]
async fn refunds_billing_disputes_account_access_healthcare_and_legal_conversations_default_to_review() {
    let words = [
        ("refund", "I want a refund for my order"),
        ("billing_dispute", "I dispute the charge on my card"),
        ("account_access", "I am locked out of my account"),
        ("healthcare", "The medication for my patient is late"),
        ("legal", "My lawyer will write to you"),
        ("compliance", "I ask you under the GDPR to delete my data"),
    ];
    for (topic, said) in words {
        let response = completed("resp_1", &reply("We look into it."), &to("T-1", "draft_reply"));
        let desk = told("response.completed", &response, said).await;
        is_in_review(&desk, "sensitive").await;
        assert!(desk.reviews_of("resp_1").await[0].topics.contains(&topic.to_owned()), "{topic}");
        assert!(desk.read_ticket("T-1").await.drafts.is_empty(), "{topic}");
    }
}

// Support workflow examples: "Webhook Event | Backend Action | Support Workflow Action".

#[tokio::test]
async fn ai_summary_completed_show_the_summary_to_the_agent_before_the_handoff() {
    let desk = told("response.completed", &completed("resp_1", "It is late.", &to("T-1", "summary")), PARCEL).await;
    let ticket = desk.read_ticket("T-1").await;
    assert!(ticket.messages[1].body.contains("It is late."));
    assert_eq!(ticket.messages[1].visibility, Visibility::Internal);
}

#[tokio::test]
async fn classification_completed_route_ticket_or_queue_for_review() {
    let output = |confidence: f64| {
        let output = json!({"intent": "shipping", "priority": "high", "confidence": confidence, "topics": []});
        completed("resp_1", &output.to_string(), &to("T-1", "classification"))
    };
    let ticket = told("response.completed", &output(0.9), PARCEL).await.read_ticket("T-1").await;
    assert_eq!((ticket.intent.as_deref(), ticket.priority.as_str()), (Some("shipping"), "high"));
    assert_eq!((ticket.queue.as_str(), &ticket.fields["confidence"]), ("logistics", &json!(0.9)));
    is_in_review(&told("response.completed", &output(0.5), PARCEL).await, "low_confidence").await;
}

#[tokio::test]
async fn draft_reply_ready_ask_the_agent_to_review_before_sending() {
    let response = completed("resp_1", &reply("It comes tomorrow."), &to("T-1", "draft_reply"));
    let desk = told("response.completed", &response, PARCEL).await;
    is_in_review(&desk, "customer_facing").await;
    assert_eq!(desk.read_ticket("T-1").await.drafts[0].body, "It comes tomorrow.");
}

#[tokio::test]
async fn tool_lookup_failed_trigger_fallback_or_human_handoff() {
    let tool =
        json!({"type": "mcp_call", "id": "mcp_1", "status": "failed", "error": {"type": "http_error", "code": 502}});
    let response = ended("resp_1", "completed", json!([tool, message("I could not look.")]), &to("T-1", "summary"));
    let desk = told("response.completed", &response, PARCEL).await;
    is_in_review(&desk, "tool_failed").await;
    assert!(desk.reviews_of("resp_1").await[0].detail.contains("mcp_call"));
}

#[tokio::test]
async fn post_call_transcript_ready_attach_the_transcript_and_outcome_trigger_qa_or_follow_up() {
    let output = json!({"outcome": "resolved", "summary": "The customer asked for the parcel.", "follow_ups": ["Call back on Monday"],
                        "transcript": "Agent: Hello. Customer: Where is my parcel?"});
    let response = completed("resp_1", &output.to_string(), &to("T-1", "call_report"));
    let desk = told("response.completed", &response, PARCEL).await;
    let ticket = desk.read_ticket("T-1").await;
    let note = &ticket.messages[1];
    assert!(note.body.contains("resolved") && note.body.contains("Call back on Monday"), "{}", note.body);
    assert_eq!((note.visibility, ticket.attachments.len()), (Visibility::Internal, 1));
    let started = desk.openai.started();
    assert_eq!((started.len(), &started[0]["metadata"]["workflow"]), (1, &json!("quality_check")));
}

#[tokio::test]
async fn batch_job_completed_apply_classifications_to_the_ticket_queue() {
    its_results_are_used(&told_of_batch("completed").await).await;
}

#[tokio::test]
async fn response_failed_notify_the_agent_or_send_to_the_review_queue() {
    let desk = told("response.failed", &failed("bio_policy"), PARCEL).await;
    is_failed(&desk, "resource_failed", &["resource_failed"]).await;
}

#[tokio::test]
async fn response_incomplete_prevent_auto_publish_and_request_review() {
    let mut response = completed("resp_1", &reply("Half a")[..20], &to("T-1", "draft_reply"));
    response["status"] = json!("incomplete");
    let desk = told("response.incomplete", &response, PARCEL).await;
    is_in_review(&desk, "incomplete").await;
    assert!(desk.read_ticket("T-1").await.drafts.is_empty());
}

// Common mistakes and how to avoid them: those that happen behind the endpoint.

#[tokio::test]
async fn mistake_no_idempotency_check() {
    let desk = told("response.completed", &completed("resp_1", "It is late.", &to("T-1", "summary")), PARCEL).await;
    assert_eq!(
        desk.deliver("wh_1", "evt_1", "response.completed", "resp_1").await,
        Receipt::Duplicate { altered: false }
    );
    assert_eq!(desk.deliver("wh_2", "evt_1", "response.completed", "resp_1").await, Receipt::KnownEvent);
    assert_eq!(desk.deliver("wh_3", "evt_2", "response.completed", "resp_1").await, Receipt::Queued);
    desk.work().await;
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
}

#[tokio::test]
async fn mistake_no_event_logging() {
    let desk = told("response.completed", &completed("resp_1", "It is late.", &to("T-1", "summary")), PARCEL).await;
    let delivery = desk.store.delivery("wh_1".to_owned()).await.unwrap().unwrap();
    assert_eq!(delivery.event_type.as_deref(), Some("response.completed"));
    assert_eq!((delivery.event_id.as_deref(), delivery.status), (Some("evt_1"), State::Processed));
    assert!(delivery.received_at_ms > 0);
}

#[tokio::test]
async fn mistake_auto_publishing_ai_output() {
    let response = completed("resp_1", &reply("It comes tomorrow."), &to("T-1", "draft_reply"));
    nothing_public(&told("response.completed", &response, PARCEL).await).await;
}

#[tokio::test]
async fn mistake_ignoring_failed_events() {
    for kind in ["response.failed", "batch.failed", "batch.cancelled", "batch.expired"] {
        let desk = match kind.strip_prefix("batch.") {
            Some(status) => told_of_batch(status).await,
            None => told(kind, &failed("invalid_prompt"), PARCEL).await,
        };
        let told = desk.store.alerts(false, crate::harness::ALL).await.unwrap().items;
        assert!(!told.is_empty(), "{kind} disappeared");
    }
}

#[tokio::test]
async fn mistake_ignoring_incomplete_events() {
    let mut response = completed("resp_1", "{\"intent\":\"ship", &to("T-1", "classification"));
    response["status"] = json!("incomplete");
    let desk = told("response.incomplete", &response, PARCEL).await;
    is_in_review(&desk, "incomplete").await;
    assert_eq!(desk.read_ticket("T-1").await.intent, None);
}

#[tokio::test]
async fn mistake_no_retry_or_final_failure_distinction() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", PARCEL).await;
    let summary = completed("resp_1", "It is late.", &to("T-1", "summary"));
    desk.openai.script("resp_1", [Answer::error(500, "server_error"), Answer::json(&summary)]);
    desk.deliver("wh_1", "evt_1", "response.completed", "resp_1").await;
    desk.work().await;
    assert_eq!(desk.job("resp_1").await.status, State::FailedRetryable);
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"));
    is_failed(
        &told("response.failed", &failed("invalid_prompt"), PARCEL).await,
        "resource_failed",
        &["resource_failed"],
    )
    .await;
}

// And event types nobody has heard of yet.

#[tokio::test]
async fn an_unknown_event_type_is_kept_as_received_and_an_unreadable_body_as_well() {
    let desk = TestDesk::open().await;
    let receipt = desk.deliver("wh_1", "evt_1", "agent.session.completed", "sess_1").await;
    assert_eq!(receipt, Receipt::Stored);
    assert_eq!(desk.deliver_to("default", "wh_2", "{\"half").await, Receipt::Stored);
    for id in ["wh_1", "wh_2"] {
        assert_eq!(desk.store.delivery(id.to_owned()).await.unwrap().unwrap().status, State::Received);
    }
}
