//! Applying in stages: the pace, the window, stopping, and going on after a crash.

use frontdesk::domain::job::State;
use frontdesk::store::Batch;
use frontdesk::worker::{Pool, Step};
use tokio_util::sync::CancellationToken;

use super::{classified, count, text};
use crate::fake_openai::{Answer, completed, to};
use crate::harness::{LEASE_MS, TestDesk};

fn all(count: usize) -> Vec<String> {
    (1..=count).map(|number| classified(&format!("T-{number}"), "shipping", "high")).collect()
}

async fn applied(desk: &TestDesk) -> i64 {
    count(&desk.batch().await, "fate/applied")
}

impl TestDesk {
    /// Somebody erases what the lines of these tickets said.
    fn lose_outputs(&self, numbers: std::ops::RangeInclusive<usize>) {
        for number in numbers {
            let id = format!("batch_1/T-{number}");
            self.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = ?1", [&id]).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_held_is_counted_once_whether_its_output_or_its_ticket_is_the_reason() {
    let desk = TestDesk::open().await;
    desk.tickets(4).await;
    let held = || async { frontdesk::shapes::batch(&desk.batch().await)["counts"]["held"].clone() };
    let mut output = all(3);
    output.push(classified("T-4", "refund", "high"));
    let patch = frontdesk::store::TicketPatch { intent: Some("by_hand".to_owned()), ..Default::default() };
    desk.store.patch_ticket("T-2".to_owned(), patch, 1_780_000_001_000).await.unwrap();
    desk.batch_ends("completed", &output, &[]).await;
    assert_eq!(held().await, 2);
    let lines = desk.store.batch_lines("batch_1".to_owned(), Some("held".to_owned()), 0, 10).await.unwrap();
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn a_pace_spreads_the_lines_over_time() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.settings.batch.window = 2;
    desk.tickets(5).await;
    desk.batch_ends("completed", &all(5), &[]).await;
    for second in 1..=5 {
        assert_eq!(applied(&desk).await, second, "one a second");
        desk.clock.advance(1_000);
        desk.work().await;
    }
    assert_eq!(desk.batch().await.state.word(), "applied");
}

#[tokio::test]
async fn lines_go_on_while_openai_refuses_the_key_and_are_never_its_probe() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.tickets(9).await;
    desk.batch_ends("completed", &all(8), &[]).await;
    let worker = desk.worker();
    desk.openai.put(&completed("resp_1", "The parcel is late.", &to("T-9", "summary")));
    desk.openai.refuse("sk-default", Answer::error(401, "invalid_api_key"));
    desk.tell("resp_1").await;
    worker.work_until_idle().await.unwrap();
    let before = applied(&desk).await;
    for _ in 0..4 {
        desk.clock.advance(1_000);
        worker.work_until_idle().await.unwrap();
    }
    assert_eq!(applied(&desk).await, before + 4, "OpenAI has no part in it");
    desk.openai.accept("sk-default");
    desk.clock.advance(40_000);
    worker.work_until_idle().await.unwrap();
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"), "one probe has shown it");
    assert_eq!(desk.batch().await.state.word(), "applied");
}

#[tokio::test]
async fn no_more_lines_than_the_window_have_jobs_at_a_time() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.window = 4;
    desk.settings.batch.pace = 60_000;
    desk.tickets(20).await;
    desk.files_are("completed", &all(20), &[]);
    desk.tell("batch_1").await;
    for _ in 0..100 {
        desk.work().await;
        assert!(desk.batch().await.in_flight <= 4);
        desk.clock.advance(1);
    }
    assert_eq!((desk.batch().await.state.word(), applied(&desk).await), ("applied", 20));
}

#[tokio::test]
async fn the_next_lines_wake_the_pool_that_would_look_again_in_an_hour() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.window = 2;
    desk.settings.poll_ms = 3_600_000;
    desk.tickets(20).await;
    desk.files_are("completed", &all(20), &[]);
    let stop = CancellationToken::new();
    let pool = tokio::spawn(Pool::new(desk.worker()).run(stop.clone()));
    desk.tell("batch_1").await;
    let is_applied = |batch: &Batch| batch.state.word() == "applied";
    while !desk.store.batch("batch_1".to_owned()).await.unwrap().is_some_and(|batch| is_applied(&batch)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(applied(&desk).await, 20);
    stop.cancel();
    pool.await.unwrap();
}

#[tokio::test]
async fn too_many_failures_stop_it_and_a_person_is_told() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.settings.batch.stop_after = 3;
    desk.tickets(12).await;
    desk.batch_ends("completed", &all(12), &[]).await;
    desk.lose_outputs(2..=12);
    for _ in 0..12 {
        desk.clock.advance(1_000);
        desk.work().await;
    }
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.paused_by.as_deref()), ("applying", Some("frontdesk")));
    assert_eq!(batch.pause_reason.as_deref(), Some("too_many_failures"));
    assert_eq!((count(&batch, "fate/applied"), count(&batch, "fate/failed"), batch.in_flight), (1, 3, 0));
    assert_eq!(desk.outcome("T-2").await, text("failed", "lost_to_retention"));
    assert_eq!(desk.outcome("T-5").await, text("ok", ""), "it was taken back untouched");
    assert!(desk.alerts_about("batch_1").await.contains(&"batch_stopped".to_owned()));
}

#[tokio::test]
async fn a_failed_line_that_a_person_tries_again_is_counted_once() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.tickets(2).await;
    desk.batch_ends("completed", &all(2), &[]).await;
    desk.lose_outputs(2..=2);
    desk.clock.advance(1_000);
    desk.work().await;
    assert_eq!(
        (desk.batch().await.state.word(), desk.outcome("T-2").await),
        ("applied", text("failed", "lost_to_retention"))
    );
    let back = "UPDATE results SET raw = (SELECT raw FROM results WHERE resource_id = 'batch_1/T-1') WHERE raw IS NULL";
    desk.sql().execute(back, []).unwrap();
    let job = desk.job("batch_1/T-2").await;
    assert_eq!(job.status, State::FailedFinal);
    desk.store.retry_job(job.id, "ada".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.work().await;
    let batch = desk.batch().await;
    assert_eq!((count(&batch, "fate/applied"), count(&batch, "fate/failed"), batch.in_flight), (2, 0, 0));
}

#[tokio::test]
async fn a_worker_that_stops_at_any_step_of_a_line_leaves_every_line_applied_once() {
    for step in Step::ALL {
        let mut desk = TestDesk::open().await;
        desk.settings.batch.window = 2;
        desk.tickets(5).await;
        desk.files_are("completed", &all(5), &[]);
        desk.tell("batch_1").await;
        for occurrence in 1..=4 {
            desk.worker_that_stops(step, occurrence).work_until_idle().await.unwrap();
            desk.clock.advance(LEASE_MS + 1);
        }
        desk.work().await;
        let batch = desk.batch().await;
        assert_eq!((batch.state.word(), count(&batch, "fate/applied")), ("applied", 5), "{step:?}");
    }
}

#[tokio::test]
async fn a_line_whose_worker_is_never_heard_of_again_fails_and_the_others_go_on() {
    let mut desk = TestDesk::open().await;
    desk.settings.retry.attempts = 1;
    desk.settings.batch.window = 1;
    desk.tickets(3).await;
    desk.files_are("completed", &all(3), &[]);
    desk.tell("batch_1").await;
    desk.worker_that_stops(Step::Decided, 1).work_until_idle().await.unwrap();
    desk.clock.advance(LEASE_MS + 1);
    desk.work().await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), count(&batch, "fate/applied"), count(&batch, "fate/failed")), ("applied", 2, 1));
    assert_eq!(desk.outcome("T-1").await, text("failed", "lease_lost"));
}
