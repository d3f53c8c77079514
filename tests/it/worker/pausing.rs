//! What people have paused waits, loses nothing, and goes on.

use frontdesk::domain::job::State;
use frontdesk::store::Pausable;
use frontdesk::submit::SubmitError;
use serde_json::json;

use crate::fake_openai::{completed, to};
use crate::harness::TestDesk;

/// A desk with a finished summary of T-1 on its way.
async fn desk_with_a_result() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(&completed("resp_1", "It is late.", &to("T-1", "summary")));
    desk.tell("resp_1").await;
    desk
}

fn summaries() -> Pausable {
    Pausable::Workflow("summary".to_owned())
}

impl TestDesk {
    async fn pause(&self, what: Pausable) {
        assert!(self.store.pause(what, "lena".to_owned(), "bad prompt".to_owned(), self.now_ms()).await.unwrap());
    }

    async fn resume(&self, what: Pausable) {
        assert!(self.store.resume(what, "lena".to_owned(), self.now_ms()).await.unwrap());
    }

    async fn is_waiting(&self, resource: &str, detail: &str) {
        let job = self.job(resource).await;
        assert_eq!(job.status, State::FailedRetryable, "{resource}");
        assert_eq!(job.last_error, Some(format!("paused: {detail} is paused by lena")));
        let attempts: i64 =
            self.sql().query_row("SELECT attempts FROM jobs WHERE id = ?1", [job.id], |row| row.get(0)).unwrap();
        assert_eq!(attempts, 0, "a pause costs no attempt");
    }

    async fn notes(&self) -> usize {
        self.read_ticket("T-1").await.messages.len() - 1
    }
}

#[tokio::test]
async fn a_paused_workflow_keeps_its_results_and_applies_them_once_when_it_goes_on() {
    let desk = desk_with_a_result().await;
    desk.pause(summaries()).await;
    for _ in 0..20 {
        desk.work().await;
        desk.clock.advance(3_600_000);
    }
    desk.is_waiting("resp_1", "workflow summary").await;
    assert_eq!((desk.openai.calls("resp_1"), desk.notes().await), (1, 0), "fetched once, and kept");
    desk.resume(summaries()).await;
    assert_eq!(desk.work().await, 1, "at once");
    assert_eq!(desk.work().await, 0);
    assert_eq!((desk.openai.calls("resp_1"), desk.notes().await), (1, 1));
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn other_workflows_go_on_beside_a_paused_one() {
    let desk = desk_with_a_result().await;
    desk.pause(Pausable::Workflow("classification".to_owned())).await;
    desk.work().await;
    assert_eq!(desk.notes().await, 1);
}

#[tokio::test]
async fn while_openai_is_paused_nobody_calls_it() {
    let desk = desk_with_a_result().await;
    desk.pause(Pausable::OpenAi).await;
    desk.work().await;
    desk.is_waiting("resp_1", "dependency openai").await;
    assert_eq!(desk.openai.calls("resp_1"), 0);
    desk.resume(Pausable::OpenAi).await;
    desk.work().await;
    assert_eq!(desk.notes().await, 1);
}

#[tokio::test]
async fn while_the_helpdesk_is_paused_results_are_fetched_and_no_ticket_changes() {
    let desk = desk_with_a_result().await;
    desk.pause(Pausable::Helpdesk).await;
    desk.work().await;
    desk.is_waiting("resp_1", "dependency helpdesk").await;
    assert_eq!((desk.openai.calls("resp_1"), desk.notes().await), (1, 0));
    desk.resume(Pausable::Helpdesk).await;
    desk.work().await;
    assert_eq!((desk.openai.calls("resp_1"), desk.notes().await), (1, 1));
}

#[tokio::test]
async fn what_waits_for_two_pauses_goes_on_when_both_are_over() {
    let desk = desk_with_a_result().await;
    desk.pause(summaries()).await;
    desk.pause(Pausable::Helpdesk).await;
    desk.work().await;
    desk.resume(Pausable::Helpdesk).await;
    assert_eq!(desk.work().await, 1, "it looks, and waits again");
    desk.is_waiting("resp_1", "workflow summary").await;
    desk.resume(summaries()).await;
    desk.work().await;
    assert_eq!(desk.notes().await, 1);
}

#[tokio::test]
async fn an_approval_waits_for_a_pause_as_well() {
    for what in [Pausable::Helpdesk, Pausable::Workflow("draft_reply".to_owned())] {
        let desk = TestDesk::open().await;
        desk.ticket("T-1", "Where is my parcel?").await;
        let review = desk.drafted("resp_1", "It comes tomorrow.").await;
        desk.act("lena", &review, super::deciding::yes()).await.unwrap();
        desk.clock.advance(super::deciding::UNDO_MS);
        desk.pause(what.clone()).await;
        assert_eq!(desk.work().await, 1);
        assert_eq!(desk.sent().await, Vec::<String>::new());
        desk.resume(what).await;
        assert_eq!(desk.work().await, 1);
        assert_eq!(desk.sent().await, ["It comes tomorrow."]);
    }
}

#[tokio::test]
async fn nothing_new_is_started_of_a_paused_workflow_or_while_openai_is_paused() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    for what in [summaries(), Pausable::OpenAi] {
        desk.pause(what.clone()).await;
        let refused = desk.submitter().submit("default", "summary", "T-1", "omar").await.unwrap_err();
        assert!(matches!(&refused, SubmitError::Paused { by, .. } if by == "lena"), "{refused}");
        desk.resume(what).await;
    }
    let rows: i64 = desk.sql().query_row("SELECT count(*) FROM submissions", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0, "nothing was begun");
    desk.submitter().submit("default", "summary", "T-1", "omar").await.unwrap();
}

#[tokio::test]
async fn a_planned_start_waits_for_a_pause_and_is_made_once() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let mut failed = crate::fake_openai::ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": "server_error", "message": "words of the other side"});
    desk.openai.put(&failed);
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.tell("resp_1").await;
    desk.pause(summaries()).await;
    desk.work().await;
    desk.is_waiting("resp_1", "workflow summary").await;
    desk.resume(summaries()).await;
    assert_eq!(desk.work().await, 1, "the failed work is replaced by planned work");
    desk.pause(Pausable::OpenAi).await;
    desk.clock.advance(60_000);
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.openai.started().len(), 0);
    desk.resume(Pausable::OpenAi).await;
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.openai.started().len(), 1);
}
