//! A batch comes to its end, whatever becomes of its build or of one of its parts.

use frontdesk::domain::batch::{Filter, State as Stage};
use frontdesk::store::{Batch, Discarded, Retried};
use frontdesk::worker::{Limits, Step};
use serde_json::json;

use super::{answered, classified, count, text};
use crate::fake_openai::{Answer, message};
use crate::harness::{ALL, LEASE_MS, TestDesk};
use crate::worker::building::{filter, tickets};

fn all(count: usize) -> Vec<String> {
    (1..=count).map(|number| classified(&format!("T-{number}"), "shipping", "high")).collect()
}

impl TestDesk {
    async fn discards(&self, resource_id: &str) {
        let job = self.job(resource_id).await.id;
        let done = self.store.discard_job(job, "ada".to_owned(), "enough".to_owned(), self.now_ms()).await.unwrap();
        assert_eq!(done, Discarded::Done);
    }

    async fn retries(&self, resource_id: &str) {
        let job = self.job(resource_id).await.id;
        let done = self.store.retry_job(job, "ada".to_owned(), None, self.now_ms()).await.unwrap();
        assert_eq!(done, Retried::Queued);
    }

    /// The n-th batch at OpenAI has ended with lines for these tickets.
    async fn part_ends(&self, number: usize, lines: &[String]) {
        let file = format!("file-out-{number}");
        self.openai.put_file(&file, &lines.join("\n"));
        let made = self.openai.batches()[number - 1].clone();
        self.openai.put(&json!({"id": format!("batch_{number}"), "object": "batch", "status": "completed",
            "created_at": 1_780_000_000, "metadata": made["metadata"], "output_file_id": file}));
        self.tell(&format!("batch_{number}")).await;
        self.work().await;
    }

    /// A batch of four tickets in two parts, of which the first has ended.
    async fn two_parts(&mut self) -> String {
        self.settings.limits = Limits { lines: 2, bytes: 200_000_000 };
        self.tickets(4).await;
        let id = self.ask(tickets(&["T-1", "T-2", "T-3", "T-4"])).await;
        self.work().await;
        self.part_ends(1, &all(2)).await;
        assert_eq!(self.batch_of(&id).await.state, Stage::Submitted);
        id
    }
}

fn usable_and_missing(batch: &Batch) -> (&str, i64, i64) {
    (batch.state.word(), count(batch, "result/ok"), count(batch, "result/missing"))
}

#[tokio::test]
async fn a_part_that_openai_has_forgotten_is_lost_and_the_others_are_used() {
    let mut desk = TestDesk::open().await;
    let id = desk.two_parts().await;
    desk.openai.script("batch_2", [Answer::error(404, "not_found")]);
    desk.tell("batch_2").await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!(usable_and_missing(&batch), ("applied", 2, 2));
    assert_eq!(batch.parts[1].status.as_deref(), Some("lost"));
    assert_eq!(desk.alerts_about("default").await, ["lost_to_retention"]);
}

#[tokio::test]
async fn a_batch_that_was_discarded_before_anything_was_sent_can_be_tried_again_and_its_results_count() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let id = desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.openai.answer_starts([Answer::error(400, "no_more")]);
    desk.work().await;
    desk.discards(&id).await;
    assert_eq!(desk.batch_of(&id).await.state, Stage::Failed);
    desk.retries(&id).await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!((desk.batch_of(&id).await.state, desk.openai.batches().len()), (Stage::Submitted, 1));
    desk.part_ends(1, &all(2)).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state, count(&batch, "fate/applied")), (Stage::Applied, 2));
}

#[tokio::test]
async fn a_discarded_batch_sends_nothing_more_whatever_was_not_executed_of_it() {
    let mut desk = TestDesk::open().await;
    desk.settings.limits = Limits { lines: 2, bytes: 200_000_000 };
    desk.tickets(4).await;
    let id = desk.ask(tickets(&["T-1", "T-2", "T-3", "T-4"])).await;
    desk.worker_that_stops(Step::Created, 1).work_until_idle().await.unwrap();
    desk.clock.advance(LEASE_MS);
    desk.openai.answer_starts([Answer::error(400, "no_more")]);
    desk.work().await;
    desk.part_ends(1, &all(1)).await;
    desk.discards(&id).await;
    assert_eq!(usable_and_missing(&desk.batch_of(&id).await), ("waiting", 1, 3));
    assert_eq!(desk.store.batches(None, ALL).await.unwrap().items.len(), 1, "no batch of the rest");
}

#[tokio::test]
async fn errors_by_input_line_find_their_lines_in_a_large_part_that_openai_refused() {
    const LINES: i64 = 502;
    let desk = TestDesk::open().await;
    desk.tickets(502).await;
    let names: Vec<String> = (1..=LINES).map(|number| format!("T-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = desk.ask(tickets(&names)).await;
    desk.work().await;
    let made = desk.openai.batches()[0].clone();
    let errors = json!({"object": "list", "data": [{"code": "too_long", "line": 2}, {"code": "bad_model", "line": 501},
        {"code": "of_no_line", "line": null}, {"code": "beyond", "line": 503}]});
    desk.openai.put(&json!({"id": "batch_1", "object": "batch", "status": "failed", "created_at": 1_780_000_000,
        "metadata": made["metadata"], "errors": errors}));
    desk.tell("batch_1").await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state, count(&batch, "result/failed")), (Stage::Failed, LINES));
    assert_eq!((count(&batch, "reason/batch_failed"), count(&batch, "reason/too_long")), (LINES - 2, 1));
    let lines = desk.store.batch_lines(id, None, 0, 1_000).await.unwrap();
    let reason = |number: usize| lines[number - 1].reason.as_deref().unwrap();
    assert_eq!([2, 3, 501, 502].map(reason), ["too_long", "batch_failed", "bad_model", "batch_failed"]);
}

#[tokio::test]
async fn a_batch_that_is_being_read_has_ended() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.files_are("completed", &all(1), &[]);
    desk.tell("batch_1").await;
    desk.worker_that_stops(Step::Entered, 1).work_until_idle().await.unwrap();
    assert_eq!(desk.batch().await.state, Stage::Ended);
    desk.clock.advance(LEASE_MS);
    desk.work().await;
    assert_eq!(desk.batch().await.state, Stage::Applied);
}

#[tokio::test]
async fn a_line_whose_ticket_appears_between_two_readings_is_counted_once() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.files_are("completed", &all(2), &[]);
    desk.tell("batch_1").await;
    desk.worker_that_stops(Step::Entered, 1).work_until_idle().await.unwrap();
    desk.ticket("T-2", "Where is my parcel?").await;
    desk.clock.advance(LEASE_MS);
    desk.work().await;
    let batch = desk.batch().await;
    assert_eq!((count(&batch, "lines"), count(&batch, "result/ok"), count(&batch, "result/unknown")), (1, 1, 1));
}

#[tokio::test]
async fn an_approval_that_nobody_hears_of_any_more_says_nothing_of_its_line() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    let unsure = json!({"intent": "shipping", "priority": "high", "confidence": 0.1, "topics": []}).to_string();
    desk.batch_ends("completed", &[answered("T-1", json!([message(&unsure)]))], &[]).await;
    assert_eq!(desk.outcome("T-1").await.0, "held");
    desk.sql()
        .execute(
            "INSERT INTO jobs (project, key, kind, event_type, resource_id, state, since, queued_at, claimable_at, forget_at, claims, attempts, worker)
             VALUES ('default', 'review/rev_x', 'approval', 'review.approved', 'batch_1/T-1', 'processing', 0, 0, 1, 1, 5, 5, 'dead')",
            [],
        )
        .unwrap();
    desk.work().await;
    assert_eq!(desk.outcome("T-1").await, text("held", "low_confidence"));
}

#[tokio::test]
async fn runs_without_a_line_do_not_take_the_place_of_what_a_change_set_is_compared_with() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.preview_over = 100;
    desk.tickets(60).await;
    let names: Vec<String> = (1..=60).map(|number| format!("T-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    desk.ask(tickets(&names)).await;
    desk.work().await;
    desk.part_ends(1, &all(60)).await;
    for _ in 0..6 {
        let id = desk.ask(filter(Filter { tag: Some("nobody".to_owned()), ..Filter::default() })).await;
        desk.work().await;
        assert_eq!(desk.batch_of(&id).await.state, Stage::Applied);
    }
    let id = desk.ask(tickets(&names[..30])).await;
    desk.work().await;
    let urgent: Vec<String> = names[..30].iter().map(|ticket| classified(ticket, "shipping", "urgent")).collect();
    desk.part_ends(2, &urgent).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state, batch.waits_for.as_deref()), (Stage::Waiting, Some("drift")));
}
