//! Every kind of line, and what it comes to. One bad line costs one line.

use serde_json::{Value, json};

use super::{answer, answered, classified, count, not_executed, text};
use crate::fake_openai::{ended, message};
use crate::harness::TestDesk;

fn incomplete(custom_id: &str) -> String {
    let mut body = ended("resp_x", "incomplete", json!([message("{\"intent\":\"ship")]), &json!({}));
    body["incomplete_details"] = json!({"reason": "max_output_tokens"});
    answer(custom_id, 200, &body)
}

fn refusal(custom_id: &str) -> String {
    let refusal = json!([{"type": "message", "role": "assistant", "status": "completed",
                          "content": [{"type": "refusal", "refusal": "I cannot help with that."}]}]);
    answered(custom_id, refusal)
}

fn api_error(custom_id: &str) -> String {
    answer(custom_id, 400, &json!({"error": {"message": "max_tokens is too large", "code": null}}))
}

fn ids(desk: &[frontdesk::store::Line], outcome: &str) -> Vec<Option<String>> {
    desk.iter().filter(|line| line.outcome() == outcome).map(|line| line.custom_id.clone()).collect()
}

/// What the lines of the next test are counted as.
const COUNTS: [(&str, i64); 10] = [
    ("lines", 11),
    ("result/ok", 2),
    ("result/held", 4),
    ("result/failed", 5),
    ("result/unknown", 2),
    ("result/duplicate", 1),
    ("result/unreadable", 3),
    ("fate/applied", 2),
    ("fate/held", 4),
    ("fate/queued", 0),
];

#[tokio::test]
async fn each_irregular_line_has_its_own_end_and_the_clean_ones_are_applied() {
    let desk = TestDesk::open().await;
    desk.tickets(12).await;
    let output = [
        classified("T-1", "shipping", "high"),
        String::new(),
        "{\"custom_id\": \"T-2\", \"response\": {\"status".to_owned(),
        "\u{feff}nonsense".to_owned(),
        api_error("T-3"),
        answer("T-4", 0, &json!({})),
        refusal("T-5"),
        incomplete("T-6"),
        answered("T-7", json!([message("not json")])),
        classified("T-8", "refund", "high"),
        classified("T-404", "shipping", "low"),
        classified("no ticket at all", "shipping", "low"),
        classified("T-9", "shipping", "low"),
        classified("T-9", "shipping", "low"),
        answer("T-10", 200, &ended("resp_x", "failed", json!([]), &json!({}))),
        json!({"custom_id": 7, "response": null, "error": null}).to_string(),
        json!({"custom_id": "T-12", "response": null, "error": null}).to_string(),
    ];
    let batch = desk.batch_ends("completed", &output, &[not_executed("T-11")]).await;
    for (custom_id, outcome, reason) in [
        ("T-1", "applied", ""),
        ("T-3", "failed", "api_error_400"),
        ("T-4", "failed", "api_error_0"),
        ("T-5", "held", "refused"),
        ("T-6", "held", "incomplete"),
        ("T-7", "held", "invalid_output"),
        ("T-8", "held", "sensitive"),
        ("T-404", "unknown", "no_ticket"),
        ("no ticket at all", "unknown", "no_ticket_id"),
        ("T-9", "applied", ""),
        ("T-10", "failed", "response_failed"),
        ("T-11", "failed", "not_executed"),
        ("T-12", "failed", "no_answer"),
    ] {
        assert_eq!(desk.outcome(custom_id).await, text(outcome, reason), "{custom_id}");
    }
    let lines = desk.lines().await;
    assert_eq!(ids(&lines, "unreadable"), [None, None, None], "cut off, nonsense, no id");
    assert_eq!(ids(&lines, "duplicate"), [Some("T-9".to_owned())]);
    assert_eq!(batch.state.word(), "applied");
    for (name, number) in COUNTS {
        assert_eq!(count(&batch, name), number, "{name}: {:?}", batch.counts);
    }
    assert_eq!(desk.route("T-1").await, (Some("shipping".to_owned()), "high".to_owned()));
    assert_eq!(desk.route("T-2").await, (None, "normal".to_owned()), "its line was cut off");
    assert_eq!(desk.reviews_of("batch_1/T-5").await[0].reason, "refused");
    let told = desk.store.alerts(false, crate::harness::ALL).await.unwrap().items;
    let told: Vec<_> = told.iter().map(|alert| (alert.kind.as_str(), alert.subject.as_str(), alert.notice)).collect();
    assert_eq!(told, [("batch_lines", "batch_1", true)], "somebody hears of what came to nothing");
}

#[tokio::test]
async fn the_same_line_twice_counts_once_and_two_that_differ_are_for_a_person() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let output = [
        classified("T-1", "shipping", "high"),
        classified("T-1", "shipping", "high"),
        classified("T-2", "shipping", "high"),
        classified("T-2", "billing", "low"),
    ];
    let batch = desk.batch_ends("completed", &output, &[]).await;
    assert_eq!(desk.outcome("T-1").await, text("applied", ""));
    assert_eq!(desk.outcome("T-2").await, text("held", "ambiguous_output"));
    assert_eq!(desk.reviews_of("batch_1/T-2").await[0].reason, "ambiguous_output");
    assert_eq!(
        (count(&batch, "result/duplicate"), count(&batch, "result/ok"), count(&batch, "result/held")),
        (2, 1, 1)
    );
    assert_eq!(desk.route("T-2").await, (None, "normal".to_owned()));
}

#[tokio::test]
async fn a_success_and_an_error_of_one_line_leave_the_success() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    let batch = desk.batch_ends("completed", &[classified("T-1", "shipping", "high")], &[not_executed("T-1")]).await;
    assert_eq!(desk.outcome("T-1").await, text("applied", ""));
    assert_eq!(count(&batch, "result/duplicate"), 1);
}

#[tokio::test]
async fn a_ticket_may_have_several_lines_under_ids_that_begin_with_it() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    let output = [classified("T-1:first", "shipping", "high"), classified("T-1:second", "shipping", "urgent")];
    let batch = desk.batch_ends("completed", &output, &[]).await;
    assert_eq!((batch.state.word(), count(&batch, "lines")), ("applied", 2));
    assert_eq!(desk.outcome("T-1:second").await, text("applied", ""));
}

#[tokio::test]
async fn a_person_who_approves_a_held_line_applies_it() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.batch_ends("completed", &[classified("T-1", "refund", "high")], &[]).await;
    let review = desk.reviews_of("batch_1/T-1").await.remove(0);
    desk.act("lena", &review, crate::worker::deciding::yes()).await.unwrap();
    desk.clock.advance(60_000);
    desk.work().await;
    assert_eq!(desk.route("T-1").await.0.as_deref(), Some("refund"));
}

#[tokio::test]
async fn a_ticket_that_a_person_changed_since_the_batch_was_made_is_held() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let closed = frontdesk::store::TicketPatch { status: Some("closed".to_owned()), ..Default::default() };
    desk.store.patch_ticket("T-1".to_owned(), closed, 1_780_000_001_000).await.unwrap();
    let output = [classified("T-1", "shipping", "high"), classified("T-2", "shipping", "high")];
    desk.batch_ends("completed", &output, &[]).await;
    assert_eq!(desk.outcome("T-1").await, text("held", "changed_since"));
    assert_eq!(desk.outcome("T-2").await, text("applied", ""));
}

#[tokio::test]
async fn a_setting_leaves_changed_tickets_out_instead() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.changed = frontdesk::domain::batch::Changed::Skip;
    desk.tickets(1).await;
    let edited = frontdesk::store::TicketPatch { subject: Some("Another".to_owned()), ..Default::default() };
    desk.store.patch_ticket("T-1".to_owned(), edited, 1_780_000_001_000).await.unwrap();
    let batch = desk.batch_ends("completed", &[classified("T-1", "shipping", "high")], &[]).await;
    assert_eq!(desk.outcome("T-1").await, text("skipped", "changed_since"));
    assert_eq!((batch.state.word(), desk.route("T-1").await.0), ("applied", None));
    assert_eq!(desk.reviews_of("batch_1/T-1").await.len(), 0);
}

#[tokio::test]
async fn labels_of_the_model_that_never_repeat_do_not_fill_the_database() {
    let desk = TestDesk::open().await;
    desk.tickets(150).await;
    let output: Vec<String> = (1..=150).map(|n| classified(&format!("T-{n}"), &format!("intent_{n}"), "low")).collect();
    let batch = desk.batch_ends("completed", &output, &[]).await;
    let intents: Vec<_> = batch.counts.iter().filter(|(name, _)| name.starts_with("set/intent/")).collect();
    assert!(intents.len() <= 101, "{}", intents.len());
    assert_eq!(intents.iter().map(|(_, count)| **count).sum::<i64>(), 150);
}

#[tokio::test]
async fn lines_of_other_endpoints_are_read_as_well() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    let output = json!({"intent": "shipping", "priority": "high", "confidence": 0.95, "topics": []}).to_string();
    let body: Value = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000, "model": "gpt-test",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": output, "refusal": null}}]});
    desk.batch_ends("completed", &[answer("T-1", 200, &body)], &[]).await;
    assert_eq!(desk.outcome("T-1").await, text("applied", ""));
}
