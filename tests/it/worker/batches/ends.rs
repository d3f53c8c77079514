//! Every way a batch ends, and what may happen on the way.

use frontdesk::domain::job::State;
use frontdesk::worker::Step;
use serde_json::{Value, json};

use super::{batch, classified, count, not_executed, text};
use crate::fake_openai::Answer;
use crate::harness::TestDesk;
use crate::support::database::TestDatabase;

fn all(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|number| classified(&format!("T-{number}"), "shipping", "high")).collect()
}

#[tokio::test]
async fn a_small_change_set_is_applied_at_once() {
    let desk = TestDesk::open().await;
    desk.tickets(3).await;
    let batch = desk.batch_ends("completed", &all(1..=3), &[]).await;
    assert_eq!((batch.state.word(), batch.origin.word(), batch.id.as_str()), ("applied", "elsewhere", "batch_1"));
    assert_eq!((count(&batch, "lines"), count(&batch, "fate/applied")), (3, 3));
    assert_eq!(desk.route("T-3").await, (Some("shipping".to_owned()), "high".to_owned()));
    let job = desk.job("batch_1").await;
    assert_eq!(
        (job.status, job.outcome.as_deref(), job.reason.as_deref()),
        (State::Processed, Some("applied"), Some("batch_1"))
    );
}

#[tokio::test]
async fn a_large_one_waits_for_a_person_and_changes_nothing_meanwhile() {
    let desk = TestDesk::open().await;
    desk.tickets(51).await;
    let batch = desk.batch_ends("completed", &all(1..=51), &[]).await;
    assert_eq!((batch.state.word(), batch.waits_for.as_deref()), ("waiting", Some("size")));
    assert_eq!(desk.job("batch_1").await.outcome.as_deref(), Some("held"));
    assert_eq!(desk.route("T-1").await.0, None);
    assert_eq!(desk.outcome("T-1").await, text("ok", ""));
}

#[tokio::test]
async fn expired_and_cancelled_batches_give_what_was_paid_for() {
    for status in ["expired", "cancelled"] {
        let desk = TestDesk::open().await;
        desk.tickets(3).await;
        let batch = desk.batch_ends(status, &all(1..=2), &[not_executed("T-3")]).await;
        assert_eq!((batch.state.word(), batch.parts[0].status.as_deref()), ("applied", Some(status)));
        assert_eq!(desk.outcome("T-2").await, text("applied", ""));
        assert_eq!(desk.outcome("T-3").await, text("failed", "not_executed"));
    }
}

#[tokio::test]
async fn a_completed_batch_may_have_only_an_error_file_or_no_file_at_all() {
    for absent in [Value::Null, json!("")] {
        let desk = TestDesk::open().await;
        desk.tickets(1).await;
        desk.openai.put_file("file-err", &not_executed("T-1"));
        desk.openai.put(&batch("completed", absent.clone(), json!("file-err")));
        desk.tell("batch_1").await;
        desk.work().await;
        assert_eq!(desk.batch().await.state.word(), "applied", "there is nothing to apply");
        assert_eq!(desk.outcome("T-1").await, text("failed", "not_executed"));
        let desk = TestDesk::open().await;
        desk.openai.put(&batch("completed", absent.clone(), absent));
        desk.tell("batch_1").await;
        desk.work().await;
        assert_eq!((desk.batch().await.state.word(), desk.lines().await.len()), ("applied", 0));
    }
}

#[tokio::test]
async fn another_event_about_a_batch_changes_nothing() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let before = desk.batch_ends("completed", &all(1..=2), &[]).await;
    desk.deliver("wh_2", "evt_2", "batch.completed", "batch_1").await;
    desk.work().await;
    assert_eq!(desk.batch().await, before);
    let jobs = desk.jobs_of("batch_1").await;
    assert_eq!(jobs[0].reason.as_deref(), Some("its results are in batch_1 already"));
}

#[tokio::test]
async fn a_batch_that_names_no_workflow_is_parked_for_a_lead() {
    for (metadata, why) in [
        (json!({}), "its metadata has no workflow"),
        (Value::Null, "its metadata has no workflow"),
        (json!({"workflow": "no\nsuch"}), "there is no workflow named no\\nsuch"),
    ] {
        let desk = TestDesk::open().await;
        let mut ended = batch("completed", json!("file-out"), Value::Null);
        ended["metadata"] = metadata;
        desk.openai.put(&ended);
        desk.tell("batch_1").await;
        desk.work().await;
        let review = desk.reviews_of("batch_1").await.remove(0);
        assert_eq!((review.reason.as_str(), review.detail.as_str()), ("unplaced", why));
        assert_eq!(desk.store.batch("batch_1".to_owned()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_download_that_is_cut_off_is_made_again_and_counts_nothing_twice() {
    let desk = TestDesk::open().await;
    desk.tickets(200).await;
    desk.files_are("completed", &all(1..=200), &[]);
    let whole: String = all(1..=200).iter().map(|line| format!("{line}\n")).collect();
    let cut = &whole[..whole.len() * 2 / 3];
    let answers = [Answer::text(200, cut).that_breaks(), Answer::error(500, "server_error"), Answer::text(200, &whole)];
    desk.openai.script("file-out", answers);
    desk.tell("batch_1").await;
    for _ in 0..3 {
        desk.work().await;
        desk.clock.advance(60_000);
    }
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), count(&batch, "lines"), count(&batch, "result/ok")), ("waiting", 200, 200));
    assert_eq!(count(&batch, "result/duplicate"), 0);
    assert_eq!(count(&batch, "set/priority/high"), 200);
}

#[tokio::test]
async fn a_worker_that_stops_after_any_piece_of_a_file_is_taken_over_and_counts_nothing_twice() {
    for stop in 1..=4 {
        let desk = TestDesk::open().await;
        desk.tickets(160).await;
        desk.files_are("completed", &all(1..=160), &[not_executed("T-161")]);
        desk.tell("batch_1").await;
        desk.work_to_the_end(&desk.worker_that_stops(Step::Entered, stop)).await;
        desk.clock.advance(crate::harness::LEASE_MS + 1);
        desk.work().await;
        let batch = desk.batch().await;
        assert_eq!((count(&batch, "lines"), count(&batch, "result/ok"), count(&batch, "result/failed")), (161, 160, 1));
        assert_eq!(count(&batch, "result/duplicate"), 0);
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_lost_to_retention_and_somebody_is_told() {
    let desk = TestDesk::open().await;
    desk.openai.put(&batch("completed", json!("file-gone"), Value::Null));
    desk.tell("batch_1").await;
    desk.work().await;
    let job = desk.job("batch_1").await;
    assert_eq!(
        (job.status, job.last_error.as_deref()),
        (State::FailedFinal, Some("lost_to_retention: HTTP 404 not_found"))
    );
    assert_eq!(desk.alerts_about("default").await, ["lost_to_retention"]);
    assert_eq!(desk.batch().await.state.word(), "failed");
}

#[tokio::test]
async fn a_long_file_costs_one_line_each_and_loses_none() {
    let desk = TestDesk::open().await;
    // As long as OpenAI allows; a server takes its time, and shows the same with less.
    let size: i64 = if TestDatabase::is_on_a_server() { 5_000 } else { 50_000 };
    desk.tickets(10).await;
    let line = |number: i64| match number % 50 {
        0 => classified(&format!("T-{}:{number}", 1 + number / 50 % 10), "shipping", "high"),
        1 => "{\"custom_id\": \"T-1".to_owned(),
        2 => String::new(),
        _ => not_executed(&format!("T-{number}")),
    };
    let output: Vec<String> = (0..size).map(line).collect();
    let batch = desk.batch_ends("expired", &output, &[]).await;
    assert_eq!((batch.state.word(), count(&batch, "lines")), ("waiting", size - size / 50 - size / 50));
    let counts =
        ["ok", "failed", "unreadable", "duplicate", "unknown"].map(|word| count(&batch, &format!("result/{word}")));
    assert_eq!(counts, [size / 50, size - 3 * size / 50, size / 50, 0, 0]);
    let last = desk.store.batch_lines("batch_1".to_owned(), None, size - size / 50 - 1, 10).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(
        last[0].found.as_deref(),
        Some(format!("output:{size}").as_str()),
        "blank lines are counted, and make no line"
    );
}
