//! What people do about failed jobs of batches, and what is counted of them.

use frontdesk::domain::batch::acts::Act;
use frontdesk::domain::job::State;
use frontdesk::store::{Batch, Closed, Discarded, FailedFilter, Pausable, Remedy, Retried, ToReplay, Window};
use frontdesk::telemetry::Metrics;
use frontdesk::worker::Step;

use super::{classified, count, not_executed, text};
use crate::fake_openai::Answer;
use crate::harness::{DEADLINE_MS, LEASE_MS, TestDesk};
use crate::worker::building::tickets;

impl TestDesk {
    async fn discard(&self, job: i64) -> Discarded {
        self.store.discard_job(job, "ada".to_owned(), "not wanted".to_owned(), self.now_ms()).await.unwrap()
    }

    async fn retry(&self, job: i64) -> Retried {
        self.store.retry_job(job, "ada".to_owned(), None, self.now_ms()).await.unwrap()
    }

    /// A batch of two tickets, one in a part; the first part has come back.
    async fn half_back(&mut self) -> String {
        self.tickets(2).await;
        self.settings.limits.lines = 1;
        let id = self.ask(tickets(&["T-1", "T-2"])).await;
        self.work().await;
        self.files_are("completed", &[classified("T-1", "shipping", "high")], &[]);
        self.tell("batch_1").await;
        self.work().await;
        assert_eq!(self.batch_of(&id).await.state.word(), "submitted");
        id
    }

    /// An undo whose worker was never heard of again, after it had put something back.
    async fn broken_undo(&mut self) -> i64 {
        self.settings.retry.attempts = 1;
        self.applied_batch(2).await;
        self.mia_says(Act::Undo).await;
        self.worker_that_stops(Step::Written, 1).work_until_idle().await.unwrap();
        self.clock.advance(LEASE_MS + 1);
        self.work().await;
        let job = self.undo_job().await;
        assert_eq!(job.1, State::FailedFinal);
        job.0
    }

    async fn undo_job(&self) -> (i64, State) {
        let job = self.jobs_of("batch_1").await.into_iter().find(|job| job.kind == "undo").unwrap();
        (job.id, job.status)
    }
}

fn fates(batch: &Batch) -> (i64, i64, i64) {
    (count(batch, "fate/applied"), count(batch, "fate/failed"), batch.in_flight)
}

#[tokio::test]
async fn lines_are_jobs_with_their_ticket_and_many_of_them_can_be_retried_and_discarded_at_once() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(3).await;
    let paused = Pausable::Workflow("classification".to_owned());
    desk.store.pause(paused.clone(), "mia".to_owned(), "look".to_owned(), desk.now_ms()).await.unwrap();
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    desk.is_next("batch_1", "lines of batch_1 wait: mia has paused the workflow classification", "operator").await;
    desk.is_next("T-2", "when the pause ends", "operator").await;
    let job = desk.job("batch_1/T-2").await;
    assert_eq!(
        (job.kind.as_str(), job.event_type.as_str(), job.ticket_id.as_deref()),
        ("line", "batch.line", Some("T-2"))
    );
    assert_eq!(job.status, State::FailedRetryable);

    let filter = FailedFilter { waiting: true, workflow: Some("classification".to_owned()), ..FailedFilter::default() };
    let remedy = Remedy::Discard { reason: "not wanted".to_owned() };
    let (actor, now_ms) = ("ada".to_owned(), desk.now_ms() + 1);
    let done = desk.store.remedy_some(filter, remedy, actor.clone(), None, 10, now_ms).await.unwrap();
    assert_eq!(done.jobs.len(), 3);
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), fates(&batch)), ("applied", (0, 3, 0)));
    assert_eq!(desk.outcome("T-2").await, text("failed", "discarded"));
    desk.store.resume(paused, actor, desk.now_ms()).await.unwrap();
    assert_eq!(desk.retry(job.id).await, Retried::Queued);
    desk.work().await;
    assert_eq!(fates(&desk.batch().await), (1, 2, 0));
    assert_eq!(desk.route("T-2").await.0.as_deref(), Some("shipping"));
}

#[tokio::test]
async fn a_failed_line_that_is_discarded_stays_failed() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    desk.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = 'batch_1/T-1'", []).unwrap();
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    let before = desk.batch().await;
    assert_eq!(fates(&before), (1, 1, 0));
    assert_eq!(desk.discard(desk.job("batch_1/T-1").await.id).await, Discarded::Done);
    assert_eq!(desk.batch().await, before);
}

#[tokio::test]
async fn a_discarded_ending_is_told_of_on_its_batch_which_goes_on_without_that_part() {
    let mut desk = TestDesk::open().await;
    let id = desk.half_back().await;
    desk.openai.script("batch_2", [Answer::error(400, "odd")]);
    desk.tell("batch_2").await;
    desk.work().await;
    let job = desk.job("batch_2").await;
    assert_eq!(job.status, State::FailedFinal);
    desk.is_next(&id, "jobs retry job_", "operator").await;
    desk.discard(job.id).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), count(&batch, "result/missing")), ("waiting", 1));
    assert_eq!(batch.error.as_deref(), Some("part 2 was given up by ada: not wanted"));
    assert_eq!(batch.parts[1].status.as_deref(), Some("given_up"));

    let mut second = super::batch("completed", serde_json::json!("file-two"), serde_json::Value::Null);
    second["id"] = serde_json::json!("batch_2");
    desk.openai.put_file("file-two", &classified("T-2", "billing", "low"));
    desk.openai.put(&second);
    desk.retry(job.id).await;
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), batch.error.as_deref()), ("applied", None), "it has come back after all");
    assert_eq!((count(&batch, "result/missing"), count(&batch, "reason/in_no_file")), (0, 0));
    assert_eq!(desk.route("T-2").await.0.as_deref(), Some("billing"));
}

#[tokio::test]
async fn a_part_that_nobody_heard_of_can_be_forgotten_and_the_batch_goes_on() {
    let mut desk = TestDesk::open().await;
    let id = desk.half_back().await;
    let part = desk.batch_of(&id).await.parts[1].id.clone();
    let close = |now_ms| desk.store.close_submission(part.clone(), "ada".to_owned(), "lost".to_owned(), now_ms);
    assert_eq!(close(desk.now_ms()).await.unwrap(), Closed::NotHanging);
    desk.clock.advance(2 * 86_400_000 + DEADLINE_MS);
    assert_eq!(close(desk.now_ms()).await.unwrap(), Closed::Done);
    let batch = desk.batch_of(&id).await;
    assert_eq!((batch.state.word(), count(&batch, "result/missing")), ("waiting", 1));
    desk.is_next(&id, "a lead decides about ", "reviewer").await;
}

#[tokio::test]
async fn an_undo_that_was_discarded_can_be_asked_for_again() {
    let mut desk = TestDesk::open().await;
    let job = desk.broken_undo().await;
    desk.is_next("batch_1", "jobs retry job_", "operator").await;
    desk.discard(job).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.undone_by.as_deref()), ("applied", None));
    assert_eq!(batch.error.as_deref(), Some("the undo was discarded by ada: not wanted"));
    desk.mia_says(Act::Undo).await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!((desk.batch().await.state.word(), desk.route("T-1").await.0), ("undone", None));
}

#[tokio::test]
async fn a_discarded_undo_that_is_tried_again_goes_on_for_whoever_tries() {
    let mut desk = TestDesk::open().await;
    let job = desk.broken_undo().await;
    desk.discard(job).await;
    desk.retry(job).await;
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.undone_by.as_deref(), batch.error), ("undone", Some("ada"), None));
}

#[tokio::test]
async fn a_replay_leaves_batches_alone_that_have_been_read() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(2).await;
    let jobs = desk.store.jobs(None, crate::harness::ALL).await.unwrap().items.len();
    let window = Window { since_ms: 0, until_ms: i64::MAX, event_type: None, status: None, all: true };
    let ToReplay { order, would, .. } = desk.store.to_replay(window, 0, 10).await.unwrap();
    assert_eq!((order.len(), would.left, would.again), (1, 1, 0));
    let done = desk.store.replay(1, order, true, desk.now_ms()).await.unwrap();
    assert_eq!((done.left, desk.store.jobs(None, crate::harness::ALL).await.unwrap().items.len()), (1, jobs));
}

#[tokio::test]
async fn batches_and_their_lines_are_counted_over_all() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.preview_over = 1;
    desk.tickets(3).await;
    let lines = [1, 2].map(|n| classified(&format!("T-{n}"), "shipping", "high"));
    desk.batch_ends("completed", &lines, &[not_executed("T-3")]).await;
    let since = desk.now_ms();
    desk.clock.advance(7_000);
    let counts = desk.store.counts().await.unwrap().batches;
    assert_eq!(counts.states.iter().find(|(state, _)| *state == "waiting"), Some(&("waiting", 1)));
    assert_eq!((counts.states.len(), counts.oldest_waiting_ms), (9, Some(since)));
    assert_eq!(counts.entered, [("failed".to_owned(), 1), ("ok".to_owned(), 2)]);
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    let counts = desk.store.counts().await.unwrap();
    assert_eq!(counts.batches.ended, [("applied".to_owned(), 2)]);
    let told = Metrics::default().render(&counts, desk.now_ms());
    for line in [
        "frontdesk_batches{state=\"applied\"} 1",
        "frontdesk_batch_lines_entered{result=\"ok\"} 2",
        "frontdesk_batch_lines_ended{outcome=\"applied\"} 2",
        "frontdesk_oldest_waiting_batch_age_seconds 0.0",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    desk.mia_says(Act::Undo).await;
    desk.work().await;
    let ended = desk.store.counts().await.unwrap().batches.ended;
    assert_eq!(ended, [("applied".to_owned(), 0), ("undone".to_owned(), 2)]);
}
