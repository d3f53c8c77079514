//! What is sent, and what is left out.

use frontdesk::domain::batch::Filter;
use frontdesk::domain::job::State;
use frontdesk::worker::Limits;
use serde_json::json;

use super::{filter, tickets};
use crate::harness::TestDesk;

#[tokio::test]
async fn a_list_of_tickets_becomes_one_part_that_openai_has() {
    let desk = TestDesk::open().await;
    desk.tickets(3).await;
    let id = desk.ask(tickets(&["T-1", "T-2", "T-3"])).await;
    assert_eq!(desk.batch_of(&id).await.state.word(), "building");
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.parts.len()), ("submitted", 1));
    desk.assert_sent_once(&id, &["T-1", "T-2", "T-3"]).await;
    let part = &batch.parts[0];
    assert_eq!(
        (part.lines, part.file_id.as_deref(), part.resource_id.as_deref()),
        (3, Some("file-1"), Some("batch_1"))
    );
    let made = &desk.openai.batches()[0];
    assert_eq!(made["metadata"], json!({"fd_submission": part.id, "workflow": "classification"}));
    assert_eq!(made["endpoint"], "/v1/responses");
    let submission = desk.store.submission(part.id.clone()).await.unwrap().unwrap();
    assert_eq!(
        (submission.state.as_str(), submission.kind.as_str(), submission.ticket_id),
        ("started", "batch", id.clone())
    );
    let job = desk.build_job(&id).await;
    assert_eq!((job.status, job.reason.as_deref()), (State::Processed, Some("sent: 3 lines in 1 part")));
}

#[tokio::test]
async fn a_line_is_a_request_that_openai_answers_without_keeping_it() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.ask(tickets(&["T-1"])).await;
    desk.work().await;
    let line = &desk.openai.input_of(1)[0];
    assert_eq!(
        (&line["custom_id"], &line["method"], &line["url"]),
        (&json!("T-1"), &json!("POST"), &json!("/v1/responses"))
    );
    let body = &line["body"];
    assert_eq!((&body["store"], &body["model"]), (&json!(false), &json!("gpt-test")));
    assert!(body.get("background").is_none() && body.get("metadata").is_none());
    assert_eq!(body["text"]["format"]["name"], "classification");
}

#[tokio::test]
async fn tickets_that_are_not_there_are_left_out_and_counted() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let id = desk.ask(tickets(&["T-2", "T-404", "T-1", "T-405", "T-2"])).await;
    desk.work().await;
    desk.assert_sent_once(&id, &["T-2", "T-1"]).await;
    assert_eq!(desk.batch_of(&id).await.counts["left_out/no_ticket"], 2);
}

#[tokio::test]
async fn no_ticket_at_all_is_an_end_and_not_a_failure() {
    let desk = TestDesk::open().await;
    let id = desk.ask(filter(Filter::default())).await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.parts.len(), desk.openai.uploads()), ("applied", 0, 0));
    let job = desk.build_job(&id).await;
    assert_eq!(job.reason.as_deref(), Some("nothing to do: no ticket was found that can be sent"));
}

#[tokio::test]
async fn a_cap_and_a_budget_end_the_selection_and_the_rest_is_counted() {
    let desk = TestDesk::open().await;
    desk.tickets(5).await;
    let mut wanted = filter(Filter::default());
    wanted.cap = Some(2);
    let id = desk.ask(wanted.clone()).await;
    desk.work().await;
    desk.assert_sent_once(&id, &["T-1", "T-2"]).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!(batch.counts["left_out/cap"], 3);
    // Two lines and a half.
    wanted.cap = None;
    wanted.budget_tokens = Some(batch.parts[0].bytes * 5 / 4 / 4);
    let id = desk.ask(wanted).await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.parts[0].lines, batch.counts["left_out/budget"]), (2, 1));
}

#[tokio::test]
async fn what_another_batch_has_in_hand_is_not_asked_for_again_by_a_filter() {
    let desk = TestDesk::open().await;
    desk.tickets(3).await;
    desk.ask(tickets(&["T-1", "T-3"])).await;
    desk.work().await;
    let id = desk.ask(filter(Filter::default())).await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.parts[0].lines, batch.counts["left_out/other_batch"]), (1, 2));
    let id = desk.ask(tickets(&["T-1"])).await;
    desk.work().await;
    assert_eq!(desk.batch_of(&id).await.parts[0].lines, 1, "a list means what it says");
}

#[tokio::test]
async fn a_part_ends_at_the_lines_or_the_bytes_that_openai_takes_in_a_file() {
    let mut desk = TestDesk::open().await;
    desk.tickets(5).await;
    desk.settings.limits = Limits { lines: 2, bytes: 200_000_000 };
    let all = ["T-1", "T-2", "T-3", "T-4", "T-5"];
    let id = desk.ask(tickets(&all)).await;
    desk.work().await;
    desk.assert_sent_once(&id, &all).await;
    let parts: Vec<i64> = desk.batch_of(&id).await.parts.iter().map(|part| part.lines).collect();
    assert_eq!(parts, [2, 2, 1]);
    let two = desk.batch_of(&id).await.parts[0].bytes;
    let mut desk = TestDesk::open().await;
    desk.tickets(5).await;
    desk.settings.limits = Limits { lines: 50_000, bytes: two };
    let id = desk.ask(tickets(&all)).await;
    desk.work().await;
    desk.assert_sent_once(&id, &all).await;
    assert!(desk.batch_of(&id).await.parts.iter().all(|part| part.bytes <= two));
    // Not even one line fits.
    desk.settings.limits = Limits { lines: 50_000, bytes: 100 };
    let id = desk.ask(tickets(&all)).await;
    desk.work().await;
    assert_eq!(desk.batch_of(&id).await.counts["left_out/too_large"], 5);
}

#[tokio::test]
async fn many_lines_are_written_down_in_pieces_and_selected_in_pages() {
    let desk = TestDesk::open().await;
    desk.tickets(450).await;
    let id = desk.ask(filter(Filter { status: Some("open".to_owned()), ..Filter::default() })).await;
    desk.work().await;
    let expected: Vec<String> = (1..=450).map(|number| format!("T-{number}")).collect();
    desk.assert_sent_once(&id, &expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
}
