//! A database that went back to an older state, with a helpdesk and an OpenAI
//! that did not: nothing is written, sent or started twice.

use frontdesk::domain::batch::schedule::{Schedule, When};
use frontdesk::domain::batch::{Filter, Select, Wanted};
use frontdesk::domain::hold::HoldReason;
use frontdesk::domain::job::State;
use frontdesk::domain::submission::SUBMISSION_KEY;
use frontdesk::domain::ticket::Author;
use frontdesk::store::{AuditAt, DeskTicket};
use frontdesk::worker::Step;
use serde_json::{Value, json};

use super::batches::classified;
use super::building::tickets;
use super::deciding::{UNDO_MS, yes};
use crate::fake_openai::{completed, to};
use crate::harness::{LATE_MS, LEASE_MS, OVERDUE_MS, START_MS, TestDesk};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// One result for each slot of an effect, each with a ticket of its own.
const SLOTS: [(&str, &str, &str); 5] = [
    ("T-note", "summary", "It is late."),
    ("T-route", "classification", r#"{"intent": "shipping", "priority": "high", "confidence": 0.9, "topics": []}"#),
    ("T-draft", "draft_reply", r#"{"reply": "Tomorrow.", "confidence": 0.95, "topics": []}"#),
    (
        "T-fields",
        "extraction",
        r#"{"order_number": "81233", "product": "lamp", "problem": "broken", "wants": "refund"}"#,
    ),
    (
        "T-call",
        "call_report",
        r#"{"outcome": "Promised", "summary": "It broke.", "follow_ups": [], "transcript": "Customer: It broke."}"#,
    ),
];

fn resource(ticket: &str) -> String {
    ticket.replace("T-", "resp_")
}

impl TestDesk {
    /// A desk where a result for each slot has just been told of.
    async fn with_every_slot() -> TestDesk {
        let desk = TestDesk::open_in_a_file().await;
        for (ticket, workflow, output) in SLOTS {
            desk.ticket(ticket, "Where is my parcel 81233?").await;
            desk.openai.put(&completed(&resource(ticket), output, &to(ticket, workflow)));
            desk.tell(&resource(ticket)).await;
        }
        desk
    }

    /// All tickets, to the last time that anything touched them.
    async fn all_tickets(&self) -> Vec<DeskTicket> {
        let mut all = Vec::new();
        for (ticket, _, _) in SLOTS {
            all.push(self.read_ticket(ticket).await);
        }
        all
    }

    /// Sends the draft on its ticket.
    async fn send_draft(&self) {
        let review = self.reviews_of("resp_draft").await.remove(0);
        self.act("lena", &review, yes()).await.unwrap();
        self.clock.advance(UNDO_MS);
        self.work_to_the_end(&self.worker()).await;
    }

    fn replies(ticket: &DeskTicket) -> usize {
        ticket.messages.iter().filter(|message| message.author == Author::Agent).count()
    }
}

#[tokio::test]
async fn what_the_helpdesk_has_already_is_found_there_and_not_written_again() {
    let mut desk = TestDesk::with_every_slot().await;
    let copy = desk.backup("copy.db");
    desk.work_to_the_end(&desk.worker()).await;
    desk.send_draft().await;
    let (before, started) = (desk.all_tickets().await, desk.openai.started().len());
    assert_eq!((TestDesk::replies(&before[2]), before[4].attachments.len(), started), (1, 1, 1));

    desk.clock.advance(HOUR_MS);
    desk.go_back_to(&copy);
    desk.work_to_the_end(&desk.worker()).await;
    desk.clock.advance(MINUTE_MS);
    // The decision is lost: a person is asked again, and answers again.
    desk.send_draft().await;
    assert_eq!(desk.all_tickets().await, before, "not even touched");
    for (ticket, _, _) in SLOTS {
        let jobs = desk.jobs_of(&resource(ticket)).await;
        assert!(jobs.iter().all(|job| job.status == State::Processed), "{ticket}");
    }
    assert_eq!(desk.openai.started().len(), started, "nobody pays twice");
    close_starts_in_doubt(&desk).await;
    let at = AuditAt { now_ms: desk.now_ms(), overdue_ms: OVERDUE_MS };
    assert_eq!(desk.store.audit(at).await.unwrap().findings, []);
    // The reply on the ticket names a decision that is lost.
    desk.is_spoiled();
}

/// What cannot be known is told to somebody, who closes it.
async fn close_starts_in_doubt(desk: &TestDesk) {
    desk.clock.advance(LATE_MS);
    desk.worker().reconcile_once().await.unwrap();
    desk.clock.advance(HOUR_MS);
    desk.worker().reconcile_once().await.unwrap();
    assert_eq!(desk.alerts_about("default").await, ["submission_lost"]);
}

#[tokio::test]
async fn wherever_a_worker_stood_when_the_copy_was_made_everything_is_there_once() {
    for step in Step::ALL {
        let mut desk = TestDesk::with_every_slot().await;
        desk.worker_that_stops(step, 1).work_until_idle().await.unwrap();
        let copy = desk.backup("copy.db");
        desk.clock.advance(LEASE_MS);
        desk.work_to_the_end(&desk.worker()).await;
        let before = desk.all_tickets().await;
        desk.clock.advance(MINUTE_MS);
        desk.go_back_to(&copy);
        desk.work_to_the_end(&desk.worker()).await;
        assert_eq!(desk.all_tickets().await, before, "{step:?}");
        assert_eq!(desk.openai.started().len(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_result_that_openai_tells_of_again_after_the_restore_is_not_written_again() {
    let mut desk = TestDesk::open_in_a_file().await;
    let copy = desk.backup("copy.db");
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(&completed("resp_1", "It is late.", &to("T-1", "summary")));
    desk.tell("resp_1").await;
    desk.work().await;
    let before = desk.read_ticket("T-1").await;
    desk.clock.advance(24 * HOUR_MS);
    desk.go_back_to(&copy);
    desk.tell("resp_1").await;
    desk.work().await;
    assert_eq!(desk.read_ticket("T-1").await, before);
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn an_approval_that_was_carried_out_after_the_copy_gets_its_receipt_and_is_not_stale() {
    let mut desk = TestDesk::open_in_a_file().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.act("lena", &review, yes()).await.unwrap();
    let copy = desk.backup("copy.db");
    desk.clock.advance(UNDO_MS);
    desk.work().await;
    assert_eq!(desk.sent().await, ["It comes tomorrow."]);
    desk.clock.advance(MINUTE_MS);
    desk.go_back_to(&copy);
    desk.work().await;
    assert_eq!(desk.sent().await, ["It comes tomorrow."]);
    let review = desk.store.review(review.id).await.unwrap().unwrap();
    assert_eq!(review.state, "approved");
    assert_eq!(desk.jobs_of("resp_1").await[0].outcome.as_deref(), Some("applied"));
}

/// Work whose passing failure has planned a second start, ten seconds on.
async fn failed_in_passing() -> TestDesk {
    let desk = TestDesk::open_in_a_file().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.started("sub_1", "T-1", "summary", "resp_1").await;
    desk.openai
        .put(&json!({"id": "resp_1", "object": "response", "status": "failed", "error": {"code": "server_error"},
        "output": [], "metadata": {}}));
    desk.deliver("wh_1", "evt_1", "response.failed", "resp_1").await;
    desk
}

#[tokio::test]
async fn a_planned_start_is_not_made_again_and_its_webhook_still_finds_the_ticket() {
    for planned_in_the_copy in [true, false] {
        let mut desk = failed_in_passing().await;
        let mut copy = desk.backup("before.db");
        desk.work().await;
        if planned_in_the_copy {
            copy = desk.backup("after.db");
        }
        desk.clock.advance(10_000);
        desk.work().await;
        assert_eq!(desk.openai.started().len(), 1);
        desk.clock.advance(MINUTE_MS);
        let done = desk.go_back_to(&copy);
        let in_doubt = done.marked.map(|marked| marked.starts_in_doubt);
        assert_eq!(in_doubt, Some(usize::from(planned_in_the_copy)));
        desk.work_to_the_end(&desk.worker()).await;
        assert_eq!(desk.openai.started().len(), 1, "planned in the copy: {planned_in_the_copy}");
        let metadata = desk.openai.started()[0]["metadata"].clone();
        let id = metadata[SUBMISSION_KEY].as_str().unwrap().to_owned();
        assert_eq!(desk.store.submission(id.clone()).await.unwrap().unwrap().state, "unknown");
        desk.openai.put(&completed("resp_new_1", "It is late.", &metadata));
        desk.tell("resp_new_1").await;
        desk.work().await;
        let submission = desk.store.submission(id).await.unwrap().unwrap();
        assert_eq!((submission.state.as_str(), submission.resource_id.as_deref()), ("ended", Some("resp_new_1")));
        assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
    }
}

#[tokio::test]
async fn a_batch_that_was_sent_after_the_copy_is_found_in_openai_s_list_and_read() {
    let mut desk = TestDesk::open_in_a_file().await;
    desk.tickets(2).await;
    let id = desk.ask(tickets(&["T-1", "T-2"])).await;
    let copy = desk.backup("copy.db");
    desk.work().await;
    assert_eq!(desk.openai.batches().len(), 1);
    desk.clock.advance(HOUR_MS);
    desk.go_back_to(&copy);
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.openai.batches().len(), 1, "it is not made again");
    batch_ends(&desk, &desk.openai.batches()[0]["metadata"]).await;
    assert_eq!(desk.store.batch(id).await.unwrap().unwrap().state.word(), "applied");
    assert_eq!(desk.read_ticket("T-1").await.queue, "logistics");
}

/// The first batch at OpenAI has ended with an answer for two tickets.
async fn batch_ends(desk: &TestDesk, metadata: &Value) {
    let lines: Vec<String> = ["T-1", "T-2"].iter().map(|id| classified(id, "shipping", "high")).collect();
    desk.openai.put_file("file-out", &(lines.join("\n") + "\n"));
    desk.openai.put(&json!({"id": "batch_1", "object": "batch", "status": "completed", "created_at": START_MS / 1000,
        "metadata": metadata, "output_file_id": "file-out", "error_file_id": null}));
    desk.tell("batch_1").await;
    desk.work_to_the_end(&desk.worker()).await;
}

#[tokio::test]
async fn lines_that_were_applied_after_the_copy_are_not_applied_again() {
    let mut desk = TestDesk::open_in_a_file().await;
    desk.tickets(2).await;
    desk.ask(tickets(&["T-1", "T-2"])).await;
    desk.work().await;
    let copy = desk.backup("copy.db");
    let metadata = desk.openai.batches()[0]["metadata"].clone();
    batch_ends(&desk, &metadata).await;
    let before = (desk.read_ticket("T-1").await, desk.read_ticket("T-2").await);
    assert_eq!(before.0.queue, "logistics");
    desk.clock.advance(HOUR_MS);
    desk.go_back_to(&copy);
    batch_ends(&desk, &metadata).await;
    assert_eq!((desk.read_ticket("T-1").await, desk.read_ticket("T-2").await), before);
}

#[tokio::test]
async fn a_schedule_whose_time_lies_between_copy_and_restore_finds_the_batch_that_it_began() {
    let mut desk = TestDesk::open_in_a_file().await;
    desk.tickets(2).await;
    let select = Select::Filter(Filter { status: Some("open".to_owned()), ..Filter::default() });
    desk.settings.schedules = vec![Schedule {
        name: "hourly".to_owned(),
        project: "default".to_owned(),
        workflow: "classification".to_owned(),
        when: When::read("0 * * * *", "UTC").unwrap(),
        wanted: Wanted { select, cap: None, budget_tokens: None },
    }];
    desk.worker().begin_due().await.unwrap();
    let copy = desk.backup("copy.db");
    desk.clock.advance(HOUR_MS - desk.now_ms() % HOUR_MS);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 1);
    desk.work().await;
    desk.clock.advance(10 * MINUTE_MS);
    desk.go_back_to(&copy);
    desk.clock.advance(MINUTE_MS);
    assert_eq!(desk.worker().begin_due().await.unwrap(), 1);
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.openai.batches().len(), 1, "the same batch");
}

#[tokio::test]
async fn old_work_for_a_ticket_whose_number_was_given_again_goes_to_a_person() {
    let mut desk = TestDesk::open_in_a_file().await;
    let copy = desk.backup("copy.db");
    // The ticket that it was for is lost with the desk.
    desk.openai.put(&completed("resp_1", "It is late.", &to("T-1001", "summary")));
    desk.clock.advance(HOUR_MS);
    desk.go_back_to(&copy);
    desk.clock.advance(1);
    desk.ticket("T-1001", "Somebody else's lamp is broken").await;
    desk.tell("resp_1").await;
    desk.work().await;
    assert_eq!(desk.read_ticket("T-1001").await.messages.len(), 1, "nothing of another customer");
    let reviews = desk.reviews_of("resp_1").await;
    assert_eq!(reviews[0].reason, HoldReason::Unplaced.code());
}
