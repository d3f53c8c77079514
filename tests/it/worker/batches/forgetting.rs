//! What batches keep of tickets goes like everything else, and only then.

use frontdesk::domain::batch::acts::Act;
use frontdesk::domain::job::State;
use frontdesk::shapes;
use frontdesk::store::{Erased, Erasure, NotErased};
use frontdesk::worker::Step;
use serde_json::json;

use super::{answered, classified, count, text};
use crate::fake_openai::message;
use crate::harness::{ALL, LEASE_MS, RETENTION_MS, TestDesk};
use crate::support::database::TestDatabase;
use crate::worker::building::tickets;

impl TestDesk {
    /// Lines whose output is kept.
    fn outputs(&self) -> Vec<String> {
        let kept = "SELECT resource_id FROM results WHERE raw IS NOT NULL AND resource_id LIKE '%/%' ORDER BY 1";
        self.sql().rows(kept, [], |row| row.get(0)).unwrap()
    }

    async fn forget(&self, ticket: &str) -> Result<Erased, NotErased> {
        let asked = Erasure::new(ticket.to_owned(), "ana".to_owned(), "asked".to_owned(), self.now_ms()).unwrap();
        self.store.erase_ticket(asked).await.unwrap()
    }

    async fn told_of(&self, kind: &str) -> usize {
        let alerts = self.store.alerts(false, ALL).await.unwrap().items;
        alerts.iter().filter(|alert| alert.kind == kind).count()
    }
}

fn all(count: usize) -> Vec<String> {
    (1..=count).map(|n| classified(&format!("T-{n}"), "shipping", "high")).collect()
}

#[tokio::test]
async fn an_output_stays_while_its_batch_waits_and_goes_when_that_has_come_to_rest() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    desk.clock.advance(RETENTION_MS + 60_000);
    desk.worker().tidy().await;
    assert_eq!(desk.outputs(), ["batch_1/T-1", "batch_1/T-2"]);
    desk.mia_says(Act::Apply).await;
    desk.worker().tidy().await;
    assert_eq!(desk.outputs().len(), 2, "they are being applied");
    desk.work().await;
    assert_eq!(count(&desk.batch().await, "fate/applied"), 2);
    desk.worker().tidy().await;
    assert_eq!(desk.outputs(), Vec::<String>::new());
}

#[tokio::test]
async fn a_change_set_that_nobody_decides_about_in_time_is_rejected_and_somebody_hears_of_it() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    desk.clock.advance(3 * RETENTION_MS - 60_000);
    desk.worker().tidy().await;
    assert_eq!(desk.batch().await.state.word(), "waiting");
    desk.clock.advance(120_000);
    desk.worker().tidy().await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.decided_by.as_deref(), batch.version), ("rejected", Some("frontdesk"), 2));
    assert_eq!(desk.told_of("batch_expired").await, 1);
    desk.is_next("batch_1", "frontdesk rejected batch_1 (nobody had decided", "nobody").await;
    desk.worker().tidy().await;
    assert_eq!((desk.outputs().len(), desk.told_of("batch_expired").await), (0, 1));
    assert!(desk.try_act(Act::Apply, None).await.is_err());
}

#[tokio::test]
async fn one_that_is_paused_for_too_long_ends_where_it_is() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.tickets(3).await;
    desk.batch_ends("completed", &all(3), &[]).await;
    desk.mia_says(Act::Pause { reason: None }).await;
    desk.clock.advance(3 * RETENTION_MS + 1);
    desk.worker().tidy().await;
    assert_eq!(desk.outputs(), ["batch_1/T-1"], "until the next look");
    desk.worker().tidy().await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.paused_at_ms, batch.in_flight), ("applied", None, 0));
    assert_eq!((count(&batch, "fate/applied"), count(&batch, "fate/skipped")), (1, 2));
    assert_eq!(desk.outcome("T-3").await, text("skipped", "expired"));
    assert_eq!((desk.outputs().len(), desk.told_of("batch_expired").await), (0, 1));
    desk.answers("T-3", "Was the ticket updated?", "nobody let the batch go on").await;
}

#[tokio::test]
async fn one_whose_last_part_was_lost_is_given_up_when_its_time_is_over() {
    let mut desk = TestDesk::open().await;
    desk.tickets(2).await;
    desk.settings.limits.lines = 1;
    let id = desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.work().await;
    desk.files_are("completed", &all(1), &[]);
    desk.tell("batch_1").await;
    desk.work().await;
    desk.clock.advance(3 * RETENTION_MS + 1);
    desk.worker().tidy().await;
    assert_eq!(desk.batch_of(&id).await.state.word(), "submitted", "it may still come");
    desk.sql()
        .execute("UPDATE submissions SET state = 'lost', check_at = NULL WHERE resource_id = 'batch_2'", [])
        .unwrap();
    desk.worker().tidy().await;
    desk.worker().tidy().await;
    assert_eq!((desk.batch_of(&id).await.state.word(), desk.outputs().len()), ("failed", 0));
    desk.is_spoiled();
}

#[tokio::test]
async fn a_line_of_an_erased_ticket_is_left_out_of_a_batch_that_waits() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(3).await;
    let erased = desk.forget("T-2").await.unwrap();
    assert!(erased.counts.contains(&("lines_left_out", 1)) && erased.counts.contains(&("results", 1)), "{erased:?}");
    assert_eq!(desk.outputs(), ["batch_1/T-1", "batch_1/T-3"]);
    assert_eq!(desk.outcome("T-2").await, text("skipped", "erased"));
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), count(&batch, "fate/applied"), count(&batch, "fate/skipped")), ("applied", 2, 1));
    assert_eq!(desk.route("T-2").await.0, None);
    desk.answers("batch_1/T-2", "Was the ticket updated?", "its ticket was erased").await;
}

#[tokio::test]
async fn a_line_that_waits_for_its_turn_is_taken_back_and_the_batch_still_comes_to_its_end() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.tickets(3).await;
    desk.batch_ends("completed", &all(3), &[]).await;
    assert_eq!(desk.outcome("T-3").await, text("queued", ""));
    desk.forget("T-3").await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.in_flight), ("applied", 0));
    assert_eq!((count(&batch, "fate/applied"), count(&batch, "fate/skipped")), (2, 1));
}

#[tokio::test]
async fn a_line_that_a_worker_is_at_keeps_its_ticket_from_being_erased() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.files_are("completed", &all(1), &[]);
    desk.tell("batch_1").await;
    desk.worker_that_stops(Step::Decided, 1).work_until_idle().await.unwrap();
    let job = desk.job("batch_1/T-1").await.id;
    assert_eq!(desk.forget("T-1").await, Err(NotErased::Moving(vec![job])));
    desk.clock.advance(LEASE_MS + 1);
    desk.work().await;
    desk.forget("T-1").await.unwrap();
    assert_eq!(desk.outcome("T-1").await, text("applied", ""), "what has happened has happened");
    assert_eq!(desk.outputs(), Vec::<String>::new());
}

#[tokio::test]
async fn an_output_that_comes_after_the_erasure_is_not_kept() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let id = desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.work().await;
    desk.clock.advance(1_000);
    desk.forget("T-1").await.unwrap();
    desk.files_are("completed", &[classified("T-1", "canary-late", "high"), all(2).remove(1)], &[]);
    desk.tell("batch_1").await;
    desk.work().await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((count(&batch, "fate/applied"), count(&batch, "fate/skipped")), (1, 1));
    assert_eq!((count(&batch, "result/ok"), count(&batch, "result/held")), (1, 1), "erasing is a change, too");
    assert_eq!(shapes::batch(&batch)["counts"]["held"], 0);
    assert_eq!(desk.outputs(), ["batch_1/T-2"]);
    desk.store.scrub(false).await.unwrap();
    assert_eq!(desk.found(&["canary-late"]), Vec::<&str>::new());
    if TestDatabase::is_on_a_server() {
        return;
    }
    let files: Vec<_> = std::fs::read_dir(desk.file().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("desk.db"))
        .collect();
    assert_eq!(files, Vec::<String>::new(), "the file that was sent has no name, and is gone");
}

#[tokio::test]
async fn a_failed_line_of_an_erased_ticket_that_is_tried_again_is_left_out() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(1).await;
    desk.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = 'batch_1/T-1'", []).unwrap();
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    assert_eq!(desk.outcome("T-1").await, text("failed", "lost_to_retention"));
    desk.forget("T-1").await.unwrap();
    let job = desk.job("batch_1/T-1").await;
    desk.store.retry_job(job.id, "ada".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.work().await;
    let job = desk.job("batch_1/T-1").await;
    assert_eq!((job.status, job.outcome.as_deref()), (State::Processed, Some("ignored")));
    assert_eq!(desk.outcome("T-1").await, text("skipped", "erased"));
    assert_eq!(count(&desk.batch().await, "fate/failed"), 0);
}

#[tokio::test]
async fn where_only_ids_are_kept_an_output_goes_with_the_end_of_its_line() {
    let mut desk = TestDesk::open().await;
    desk.settings.keeping.ids_only.insert("default".to_owned());
    desk.settings.batch.preview_over = 0;
    desk.tickets(3).await;
    let held = answered("T-3", json!([message("no JSON")]));
    desk.batch_ends("completed", &[all(1).remove(0), all(2).remove(1), held], &[]).await;
    desk.worker().tidy().await;
    assert_eq!(desk.outputs().len(), 3, "somebody still decides");
    desk.settings.batch.pace = 0;
    desk.mia_says(Act::Apply).await;
    desk.sql().execute("UPDATE tickets SET revision = revision + 1 WHERE id = 'T-2'", []).unwrap();
    desk.work().await;
    assert_eq!(desk.outputs(), Vec::<String>::new());
    let shown = desk.reviews_of("batch_1/T-3").await.remove(0);
    assert_eq!(
        (shown.state.as_str(), shown.output.as_deref()),
        ("open", Some("no JSON")),
        "whoever decides must see it"
    );
}

#[tokio::test]
async fn where_only_ids_are_kept_the_outputs_of_a_rejected_batch_go_at_once() {
    let mut desk = TestDesk::open().await;
    desk.settings.keeping.ids_only.insert("default".to_owned());
    desk.waiting_batch(501).await;
    desk.mia_says(Act::Reject { reason: None }).await;
    assert_eq!(desk.outputs().len(), 501);
    desk.worker().tidy().await;
    assert_eq!(desk.outputs(), Vec::<String>::new());
}
