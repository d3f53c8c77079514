//! Every way a response or a batch can end.

use frontdesk::domain::job::State;
use frontdesk::domain::ticket::Author;
use serde_json::{Value, json};

use crate::fake_openai::{Answer, completed, ended, message, to};
use crate::harness::TestDesk;

/// A desk with one ticket, one ended resource and the word of it, worked.
async fn worked(resource: &Value) -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(resource);
    desk.tell(resource["id"].as_str().unwrap()).await;
    assert_eq!(desk.work().await, 1);
    desk
}

/// The resource ends as an open review with this reason, and the ticket is as it was.
async fn is_held(resource: &Value, reason: &str) -> TestDesk {
    let desk = worked(resource).await;
    let id = resource["id"].as_str().unwrap();
    let job = desk.job(id).await;
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("held")), "{reason}");
    assert_eq!(job.reason.as_deref(), Some(reason));
    let reviews = desk.reviews_of(id).await;
    assert_eq!(reviews.len(), 1);
    assert_eq!((reviews[0].state.as_str(), reviews[0].reason.as_str()), ("open", reason));
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.messages.len(), ticket.drafts.len(), ticket.queue.as_str()), (1, 0, "support"));
    desk
}

/// The resource ends as failed for good with this error, and an alert if it should.
async fn is_failed(resource: &Value, error: &str, alert: Option<&str>) {
    let desk = worked(resource).await;
    let job = desk.job(resource["id"].as_str().unwrap()).await;
    assert_eq!((job.status, job.outcome), (State::FailedFinal, None));
    assert_eq!(job.last_error.as_deref(), Some(error));
    assert_eq!(desk.alerts_about("default").await, alert.into_iter().collect::<Vec<_>>());
    let placed = resource["metadata"]["ticket_id"].as_str().map(str::to_owned);
    assert_eq!(job.ticket_id, placed, "a failed job says which ticket waits for it");
}

fn summary(text: &str) -> Value {
    completed("resp_1", text, &to("T-1", "summary"))
}

fn with_output(workflow: &str, output: Value) -> Value {
    ended("resp_1", "completed", output, &to("T-1", workflow))
}

fn batch(status: &str, more: &Value) -> Value {
    let mut batch = json!({"id": "batch_1", "object": "batch", "status": status, "metadata": {"workflow": "summary"},
                           "request_counts": {"total": 3, "completed": 2, "failed": 1}});
    batch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    batch
}

#[tokio::test]
async fn a_clean_summary_becomes_one_internal_note() {
    let desk = worked(&summary("The parcel is late.")).await;
    let job = desk.job("resp_1").await;
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("applied")));
    assert_eq!((job.ticket_id.as_deref(), job.workflow.as_deref()), (Some("T-1"), Some("summary")));
    let ticket = desk.read_ticket("T-1").await;
    let note = &ticket.messages[1];
    assert_eq!(note.author, Author::Frontdesk);
    assert_eq!(note.visibility.word(), "internal");
    assert!(note.body.contains("The parcel is late."));
    assert!(note.reference.as_deref().unwrap().starts_with("fd_"));
    assert_eq!(ticket.revision, 1, "our own writing is no change by a person");
}

#[tokio::test]
async fn a_sure_classification_sets_the_fields_and_an_unsure_one_waits() {
    let output = |confidence: f64| {
        let output = json!({"intent": "shipping", "priority": "high", "confidence": confidence, "topics": ["parcel"]});
        completed("resp_1", &output.to_string(), &to("T-1", "classification"))
    };
    let desk = worked(&output(0.8)).await;
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.intent.as_deref(), ticket.priority.as_str()), (Some("shipping"), "high"));
    assert_eq!((ticket.queue.as_str(), ticket.tags), ("logistics", vec!["parcel".to_owned()]));
    is_held(&output(0.79), "low_confidence").await;
}

#[tokio::test]
async fn a_reply_is_a_draft_that_waits_for_a_person_and_a_sensitive_one_is_not_even_that() {
    let reply = |text: &str| {
        let output = json!({"reply": text, "confidence": 0.99, "topics": []});
        completed("resp_1", &output.to_string(), &to("T-1", "draft_reply"))
    };
    let desk = worked(&reply("Your parcel is on its way.")).await;
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.drafts.len(), ticket.messages.len()), (1, 1));
    assert_eq!(desk.reviews_of("resp_1").await[0].reason, "customer_facing");
    is_held(&reply("You get your money back."), "sensitive").await;
}

#[tokio::test]
async fn a_refused_answer_waits_for_a_person() {
    let refusal = json!([{"type": "message", "role": "assistant", "status": "completed",
                          "content": [{"type": "refusal", "refusal": "I cannot help with that."}]}]);
    is_held(&with_output("summary", refusal), "refused").await;
}

#[tokio::test]
async fn an_answer_of_another_shape_waits_for_a_person() {
    for text in ["not json", "{\"intent\":\"shipping\"", "{\"intent\":1}", "[]"] {
        is_held(&with_output("classification", json!([message(text)])), "invalid_output").await;
    }
}

#[tokio::test]
async fn two_answers_that_differ_wait_for_a_person() {
    is_held(&with_output("summary", json!([message("One."), message("Two.")])), "ambiguous_output").await;
}

#[tokio::test]
async fn an_answer_without_words_waits_for_a_person() {
    is_held(&with_output("summary", json!([])), "empty_output").await;
}

#[tokio::test]
async fn a_failed_tool_waits_for_a_person_though_the_response_is_completed() {
    let call =
        json!({"type": "mcp_call", "id": "mcp_1", "name": "lookup", "error": {"type": "http_error", "code": 500}});
    is_held(&with_output("summary", json!([call, message("The parcel is late.")])), "tool_failed").await;
}

#[tokio::test]
async fn an_unanswered_tool_waits_for_a_person() {
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "refund", "arguments": "{}",
                      "status": "completed"});
    is_held(&with_output("summary", json!([message("Let me see."), call])), "tool_unanswered").await;
}

#[tokio::test]
async fn an_incomplete_answer_is_never_applied_and_shows_what_there_is() {
    let mut response = ended("resp_1", "incomplete", json!([message("The parcel is")]), &to("T-1", "summary"));
    response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let desk = is_held(&response, "incomplete").await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    assert_eq!(review.detail, "max_output_tokens");
    assert_eq!(review.output.as_deref(), Some("The parcel is"));
}

#[tokio::test]
async fn a_response_that_failed_at_openai_fails_with_its_code_and_an_alert() {
    let mut response = ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    response["error"] = json!({"code": "invalid_prompt", "message": "words of the other side"});
    is_failed(&response, "resource_failed: OpenAI ended it as failed (invalid_prompt)", Some("resource_failed")).await;
}

#[tokio::test]
async fn a_response_that_failed_with_a_passing_code_is_started_once_more_and_not_twice() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.answer_starts([Answer::error(429, "rate_limit_exceeded")]);
    let failed = |id: &str| {
        let mut response = ended(id, "failed", json!([]), &to("T-1", "summary"));
        response["error"] = json!({"code": "server_error", "message": "words of the other side"});
        response
    };
    desk.openai.put(&failed("resp_1"));
    desk.tell("resp_1").await;
    desk.work_to_the_end(&desk.worker()).await;
    let job = desk.job("resp_1").await;
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("superseded")));
    assert_eq!(desk.openai.started().len(), 1);
    assert_eq!(desk.alerts_about("default").await, Vec::<String>::new());
    desk.openai.put(&failed("resp_new_1"));
    desk.tell("resp_new_1").await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.job("resp_new_1").await.status, State::FailedFinal);
    assert_eq!(desk.openai.started().len(), 1);
    assert_eq!(desk.alerts_about("default").await, ["resource_failed"]);
}

#[tokio::test]
async fn a_response_that_was_cancelled_fails_without_an_alert() {
    let response = ended("resp_1", "cancelled", json!([]), &to("T-1", "summary"));
    is_failed(&response, "resource_cancelled: cancelled at OpenAI", None).await;
}

#[tokio::test]
async fn our_own_work_that_failed_at_openai_has_ended_and_names_its_ticket() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.openai.put(&ended("resp_1", "failed", json!([]), &json!({"fd_submission": "sub_1"})));
    desk.tell("resp_1").await;
    desk.work().await;
    let job = desk.job("resp_1").await;
    assert_eq!((job.ticket_id.as_deref(), job.submission_id.as_deref()), (Some("T-1"), Some("sub_1")));
    assert_eq!(desk.store.submission("sub_1".to_owned()).await.unwrap().unwrap().state, "ended");
}

#[tokio::test]
async fn a_result_that_openai_has_forgotten_is_lost_to_retention_with_an_alert() {
    let desk = TestDesk::open().await;
    desk.tell("resp_gone").await;
    desk.tell("batch_gone").await;
    assert_eq!(desk.work().await, 2);
    for id in ["resp_gone", "batch_gone"] {
        let job = desk.job(id).await;
        assert_eq!(job.status, State::FailedFinal);
        assert!(job.last_error.unwrap().starts_with("lost_to_retention: HTTP 404"), "{id}");
    }
    assert_eq!(desk.alerts_about("default").await, ["lost_to_retention"], "one alert for both");
}

#[tokio::test]
async fn a_batch_that_openai_refused_fails_with_its_errors_by_line_and_an_alert() {
    let errors = json!({"errors": {"object": "list", "data": [
        {"code": "invalid_json_line", "message": "words of the other side", "line": 3},
        {"code": "empty_file", "message": "words of the other side"}]}});
    let error = "resource_failed: OpenAI refused the batch: invalid_json_line in line 3, empty_file";
    is_failed(&batch("failed", &errors), error, Some("resource_failed")).await;
}

#[tokio::test]
async fn the_fetched_status_decides_whatever_the_event_says() {
    for kind in ["response.failed", "response.incomplete", "response.cancelled"] {
        let desk = TestDesk::open().await;
        desk.ticket("T-1", "Where is my parcel?").await;
        desk.openai.put(&summary("The parcel is late."));
        desk.deliver("wh_1", "evt_1", kind, "resp_1").await;
        desk.work().await;
        assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"), "{kind}");
    }
}

#[tokio::test]
async fn several_events_about_one_resource_change_the_ticket_once() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(&summary("The parcel is late."));
    for n in 0..4 {
        desk.deliver(&format!("wh_{n}"), &format!("evt_{n}"), "response.completed", "resp_1").await;
    }
    assert_eq!(desk.work().await, 4);
    let outcomes: Vec<_> = desk.jobs_of("resp_1").await.into_iter().filter_map(|job| job.outcome).collect();
    assert_eq!(outcomes, ["ignored", "ignored", "ignored", "applied"]);
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
}
