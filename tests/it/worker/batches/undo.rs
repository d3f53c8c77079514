//! Putting back what a batch has changed, as far as it is still ours.

use frontdesk::domain::batch::acts::{Act, Refused};
use frontdesk::domain::job::State;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::Action;
use frontdesk::store::{self, Batch, TicketPatch};
use frontdesk::worker::Step;
use serde_json::json;

use super::{answered, classified, count, text};
use crate::fake_openai::{completed, message, to};
use crate::harness::{ALL, LEASE_MS, TestDesk};

impl TestDesk {
    /// Mia has it undone, and everything that follows is worked.
    async fn undo(&self) -> Batch {
        self.undo_of("batch_1").await
    }

    async fn undo_of(&self, id: &str) -> Batch {
        self.mia_says_of(id, Act::Undo, None).await.expect("allowed");
        self.work_to_the_end(&self.worker()).await;
        let batch = self.store.batch(id.to_owned()).await.unwrap().unwrap();
        assert_eq!((batch.state.word(), batch.undone_by.as_deref()), ("undone", Some("mia")));
        batch
    }

    async fn patch(&self, id: &str, patch: TicketPatch) {
        assert!(self.store.patch_ticket(id.to_owned(), patch, self.now_ms()).await.unwrap());
    }

    /// Another batch, made a second later, with this output.
    async fn second_batch(&self, output: &[String]) {
        self.openai.put_file("file-two", &output.join("\n"));
        let mut batch = super::batch("completed", json!("file-two"), json!(null));
        batch["id"] = json!("batch_2");
        batch["created_at"] = json!(1_780_000_001);
        self.openai.put(&batch);
        self.tell("batch_2").await;
        self.work().await;
    }

    /// A batch of a workflow whose lines are these texts, for `T-1` and so on.
    async fn batch_with(&mut self, workflow: &str, outputs: &[serde_json::Value]) -> Batch {
        self.tickets(outputs.len()).await;
        let lines: Vec<String> = outputs
            .iter()
            .enumerate()
            .map(|(n, output)| answered(&format!("T-{}", n + 1), json!([message(&as_text(output))])))
            .collect();
        self.files_are("completed", &lines, &[]);
        let mut batch = super::batch("completed", json!("file-out"), json!(null));
        batch["metadata"]["workflow"] = json!(workflow);
        self.openai.put(&batch);
        self.tell("batch_1").await;
        self.work().await;
        self.batch().await
    }
}

fn as_text(output: &serde_json::Value) -> String {
    output.as_str().map_or_else(|| output.to_string(), str::to_owned)
}

fn queue(queue: &str) -> TicketPatch {
    TicketPatch { queue: Some(queue.to_owned()), ..TicketPatch::default() }
}

#[tokio::test]
async fn an_undo_puts_every_ticket_back_to_what_it_was() {
    let desk = TestDesk::open().await;
    desk.tickets(2).await;
    let before = desk.read_ticket("T-1").await;
    let output = ["T-1", "T-2"].map(|ticket| classified(ticket, "shipping", "high"));
    desk.batch_ends("completed", &output, &[]).await;
    assert_eq!(desk.read_ticket("T-1").await.queue, "logistics");
    desk.clock.advance(5);
    let batch = desk.undo().await;
    assert_eq!((count(&batch, "fate/undone"), count(&batch, "fate/applied"), batch.percent_done()), (2, 0, Some(100)));
    let after = desk.read_ticket("T-1").await;
    assert_eq!(after.updated_at_ms, before.updated_at_ms + 5, "it is seen on the ticket");
    assert_eq!(store::DeskTicket { updated_at_ms: before.updated_at_ms, ..after }, before, "and counts as no change");
    assert_eq!(desk.outcome("T-2").await, text("undone", ""));
    assert_eq!(desk.try_act(Act::Undo, None).await, Err(Refused::NothingToUndo { state: "undone" }));
}

#[tokio::test]
async fn what_a_person_has_changed_since_is_left_and_said() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(4).await;
    desk.patch("T-1", queue("vip desk")).await;
    let all = TicketPatch {
        priority: Some(frontdesk::domain::effect::Priority::Low),
        intent: Some("x".into()),
        ..queue("y")
    };
    desk.patch("T-2", all).await;
    desk.patch("T-3", queue("support")).await;
    let batch = desk.undo().await;
    assert_eq!((count(&batch, "fate/undone"), count(&batch, "fate/kept")), (2, 2));
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.queue.as_str(), ticket.priority.as_str(), ticket.intent), ("vip desk", "normal", None));
    assert_eq!(desk.outcome("T-1").await, text("kept", "partly_changed_since"));
    let ticket = desk.read_ticket("T-2").await;
    assert_eq!((ticket.queue.as_str(), ticket.priority.as_str(), ticket.intent.as_deref()), ("y", "low", Some("x")));
    assert!(!ticket.fields.contains_key("confidence"), "what is ours goes");
    assert_eq!(desk.outcome("T-2").await, text("kept", "partly_changed_since"));
    assert_eq!(desk.outcome("T-3").await, text("undone", ""), "a person has put it back already");
    let revision = desk.read_ticket("T-4").await.revision;
    assert_eq!((revision, desk.read_ticket("T-4").await.changed_at_ms), (1, None));
}

#[tokio::test]
async fn tags_that_were_added_go_and_others_stay() {
    let desk = TestDesk::open().await;
    let output = json!({"intent": "parcel", "priority": "normal", "confidence": 0.95, "topics": ["vip", "late"]});
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.patch("T-1", TicketPatch { tags: Some(vec!["vip".into(), "own".into()]), ..TicketPatch::default() }).await;
    let line = answered("T-1", json!([message(&output.to_string())]));
    desk.batch_ends("completed", &[line], &[]).await;
    assert_eq!(desk.read_ticket("T-1").await.tags, ["vip", "own", "late"]);
    let tags = ["late", "vip", "own", "new"].map(str::to_owned).to_vec();
    desk.patch("T-1", TicketPatch { tags: Some(tags), ..TicketPatch::default() }).await;
    desk.undo().await;
    assert_eq!(desk.read_ticket("T-1").await.tags, ["vip", "own", "new"]);
    assert_eq!(desk.outcome("T-1").await, text("undone", ""));
}

#[tokio::test]
async fn a_note_an_attachment_and_a_follow_up_that_has_not_been_started_are_taken_away() {
    let mut desk = TestDesk::open().await;
    let output = json!({"outcome": "solved", "summary": "All well.", "follow_ups": [], "transcript": "A: hello"});
    // So that the follow-up is not started before the undo.
    let paused = store::Pausable::Workflow("quality_check".to_owned());
    desk.store.pause(paused, "mia".to_owned(), "wait".to_owned(), desk.now_ms()).await.unwrap();
    let batch = desk.batch_with("call_report", &[output]).await;
    assert_eq!(count(&batch, "fate/applied"), 1);
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.messages.len(), ticket.attachments.len()), (2, 1));
    desk.undo().await;
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!((ticket.messages.len(), ticket.attachments.len()), (1, 0));
    assert_eq!(desk.outcome("T-1").await, text("undone", ""));
    let submission = desk.store.submissions(None, None, ALL).await.unwrap().items.remove(0);
    assert_eq!((submission.state.as_str(), desk.openai.started().len()), ("ended", 0));
}

#[tokio::test]
async fn a_follow_up_that_has_been_started_stays_and_is_said() {
    let mut desk = TestDesk::open().await;
    let output = json!({"outcome": "solved", "summary": "All well.", "follow_ups": []});
    desk.batch_with("call_report", &[output]).await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.openai.started().len(), 1);
    desk.undo().await;
    assert_eq!(desk.outcome("T-1").await, text("kept", "partly_follow_up_started"));
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 1);
    desk.sql().execute("UPDATE submissions SET state = 'ended', check_at = NULL", []).unwrap();
    desk.is_spoiled();
}

#[tokio::test]
async fn newer_work_on_the_same_field_is_not_ours_to_put_back() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(1).await;
    desk.clock.advance(1_000_000);
    let newer = |priority: &str| json!({"intent": "shipping", "priority": priority, "confidence": 0.9, "topics": []});
    desk.openai.put(&completed("resp_1", &newer("urgent").to_string(), &to("T-1", "classification")));
    desk.tell("resp_1").await;
    desk.work().await;
    desk.undo().await;
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!(
        (ticket.priority.as_str(), ticket.queue.as_str()),
        ("urgent", "logistics"),
        "the newer work says so too"
    );
    assert_eq!(desk.outcome("T-1").await, text("kept", "changed_since"));
}

#[tokio::test]
async fn two_batches_that_are_both_undone_leave_what_was_before_both_in_either_order() {
    for order in [["batch_1", "batch_2"], ["batch_2", "batch_1"]] {
        let mut desk = TestDesk::open().await;
        desk.applied_batch(1).await;
        desk.settings.batch.preview_over = 50;
        desk.second_batch(&[classified("T-1", "billing", "high")]).await;
        let ticket = desk.read_ticket("T-1").await;
        assert_eq!((ticket.intent.as_deref(), ticket.queue.as_str()), (Some("billing"), "logistics"));
        for id in order {
            desk.undo_of(id).await;
        }
        let ticket = desk.read_ticket("T-1").await;
        assert_eq!((ticket.intent, ticket.priority.as_str(), ticket.queue.as_str()), (None, "normal", "support"));
        assert!(ticket.fields.is_empty(), "{order:?}: {:?}", ticket.fields);
        let kept = if order[0] == "batch_1" { text("kept", "partly_changed_since") } else { text("undone", "") };
        assert_eq!(desk.outcome("T-1").await, kept, "{order:?}");
    }
}

#[tokio::test]
async fn what_was_undone_is_not_newer_than_older_work_that_comes_later() {
    let mut desk = TestDesk::open().await;
    desk.tickets(2).await;
    desk.second_batch(&[classified("T-1", "billing", "high"), classified("T-2", "billing", "high")]).await;
    desk.undo_of("batch_2").await;
    desk.settings.batch.preview_over = 50;
    desk.batch_ends("completed", &[classified("T-1", "shipping", "low")], &[]).await;
    assert_eq!(desk.route("T-1").await, (Some("shipping".to_owned()), "low".to_owned()));
    assert_eq!(desk.route("T-2").await, (None, "normal".to_owned()));
}

#[tokio::test]
async fn after_an_undo_what_still_stands_is_the_newest() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(1).await;
    desk.settings.batch.preview_over = 50;
    desk.second_batch(&[classified("T-1", "billing", "high")]).await;
    desk.undo_of("batch_2").await;
    let older = json!({"intent": "question", "priority": "low", "confidence": 0.9, "topics": []});
    let mut response = completed("resp_1", &older.to_string(), &to("T-1", "classification"));
    response["created_at"] = json!(1_779_999_999);
    desk.openai.put(&response);
    desk.tell("resp_1").await;
    desk.work().await;
    assert_eq!(desk.route("T-1").await, (Some("shipping".to_owned()), "high".to_owned()), "older than batch_1");
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("superseded"));
}

#[tokio::test]
async fn a_ticket_with_two_lines_goes_back_to_what_was_before_both() {
    let mut desk = TestDesk::open().await;
    desk.settings.concurrency = 1;
    desk.tickets(1).await;
    let before = desk.read_ticket("T-1").await;
    let output = [classified("T-1:a", "shipping", "high"), classified("T-1:b", "billing", "low")];
    desk.batch_ends("completed", &output, &[]).await;
    assert_eq!(desk.route("T-1").await, (Some("billing".to_owned()), "low".to_owned()));
    let batch = desk.undo().await;
    assert_eq!(desk.read_ticket("T-1").await, before);
    assert_eq!((count(&batch, "fate/undone"), count(&batch, "fate/kept")), (2, 0));
}

#[tokio::test]
async fn reviews_that_nobody_has_decided_become_stale_and_a_decision_stays() {
    let mut desk = TestDesk::open().await;
    let reply = |text: &str| json!({"reply": text, "confidence": 0.9, "topics": []});
    let batch = desk.batch_with("draft_reply", &[reply("Soon."), reply("Later."), reply("Now.")]).await;
    assert_eq!(count(&batch, "fate/held"), 3);
    let person = || Person { name: "lena".to_owned(), role: Role::Agent };
    for (number, action) in [(1, Action::yes()), (2, Action::Claim)] {
        let review = desk.reviews_of(&format!("batch_1/T-{number}")).await.remove(0).id;
        let act =
            store::Act { review, version: None, person: person(), action, lease_ms: 60_000, now_ms: desk.now_ms() };
        desk.store.act_on_review(act).await.unwrap().unwrap().unwrap();
    }
    desk.undo().await;
    let mut states = Vec::new();
    for number in 1..=3 {
        states.push(desk.reviews_of(&format!("batch_1/T-{number}")).await.remove(0).state);
    }
    assert_eq!(states, ["approved", "stale", "stale"]);
    let sent = desk.read_ticket("T-1").await;
    assert_eq!((sent.messages.len(), sent.drafts[0].state.as_str()), (2, "sent"));
    assert_eq!(desk.read_ticket("T-2").await.drafts[0].state, "stale");
    assert_eq!(desk.outcome("T-3").await.0, "held");
}

#[tokio::test]
async fn fields_are_put_back_one_by_one() {
    let mut desk = TestDesk::open().await;
    let batch = desk.batch_with("quality_check", &[json!({"score": 64, "findings": ["slow"]})]).await;
    assert_eq!(count(&batch, "fate/applied"), 1);
    assert_eq!(desk.read_ticket("T-1").await.fields["quality_score"], 64);
    desk.sql().execute("UPDATE tickets SET fields = replace(fields, '{', '{\"own\":1,') WHERE id = 'T-1'", []).unwrap();
    desk.undo().await;
    let ticket = desk.read_ticket("T-1").await;
    assert_eq!(serde_json::Value::Object(ticket.fields), json!({"own": 1}));
    assert_eq!((ticket.messages.len(), desk.outcome("T-1").await), (1, text("undone", "")));
}

#[tokio::test]
async fn an_undo_of_what_is_being_applied_lets_nothing_more_through() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.waiting_batch(5).await;
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    let undoing = desk.mia_says(Act::Undo).await;
    assert_eq!((undoing.in_flight, undoing.paused_by.as_deref()), (0, Some("mia")));
    for act in [Act::Resume, Act::Undo, Act::Pause { reason: None }] {
        assert_eq!(desk.try_act(act, None).await, Err(Refused::BeingUndone));
    }
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.paused_by.as_deref()), ("undone", None));
    assert_eq!((count(&batch, "fate/undone"), count(&batch, "fate/applied")), (1, 0));
    assert_eq!(desk.route("T-1").await, (None, "normal".to_owned()));
    assert_eq!(desk.outcome("T-5").await, text("ok", ""));
}

#[tokio::test]
async fn an_undo_waits_for_the_line_that_a_worker_is_at_and_calls_off_those_to_be_tried_again() {
    let mut desk = TestDesk::open().await;
    desk.settings.batch.pace = 60;
    desk.waiting_batch(3).await;
    desk.mia_says(Act::Apply).await;
    desk.worker_that_stops(Step::Decided, 1).work_until_idle().await.unwrap();
    let paused = store::Pausable::Workflow("classification".to_owned());
    desk.store.pause(paused, "mia".to_owned(), "odd".to_owned(), desk.now_ms()).await.unwrap();
    desk.clock.advance(1_000);
    desk.work().await;
    assert_eq!(desk.job("batch_1/T-2").await.status, State::FailedRetryable, "it waits for the end of the pause");
    assert_eq!(desk.mia_says(Act::Undo).await.in_flight, 2, "T-3 was taken back untouched");
    desk.work().await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.in_flight), ("applying", 1), "a worker may be at T-1");
    assert_eq!(desk.outcome("T-2").await, text("skipped", "batch_undone"));
    desk.clock.advance(LEASE_MS);
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), batch.in_flight, count(&batch, "fate/applied")), ("undone", 0, 0));
    assert_eq!(desk.outcome("T-1").await, text("skipped", "batch_undone"));
    assert_eq!(desk.outcome("T-3").await, text("ok", ""));
    assert_eq!(desk.route("T-1").await, (None, "normal".to_owned()));
}

#[tokio::test]
async fn a_failed_line_that_is_tried_again_after_the_undo_changes_nothing() {
    let mut desk = TestDesk::open().await;
    desk.waiting_batch(2).await;
    desk.sql().execute("UPDATE results SET raw = NULL WHERE resource_id = 'batch_1/T-2'", []).unwrap();
    desk.mia_says(Act::Apply).await;
    desk.work().await;
    assert_eq!(desk.outcome("T-2").await.0, "failed");
    let batch = desk.undo().await;
    let job = desk.job("batch_1/T-2").await;
    desk.store.retry_job(job.id, "mia".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.work().await;
    assert_eq!(desk.outcome("T-2").await, text("skipped", "batch_undone"));
    assert_eq!((desk.batch().await.state, desk.route("T-2").await.0), (batch.state, None));
}

#[tokio::test]
async fn an_undo_that_a_crash_interrupts_goes_on_where_it_stopped() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(230).await;
    desk.mia_says(Act::Undo).await;
    desk.worker_that_stops(Step::Written, 2).work_until_idle().await.unwrap();
    assert_eq!(count(&desk.batch().await, "fate/undone"), 200, "two pieces of a hundred");
    desk.patch("T-230", queue("elsewhere")).await;
    desk.clock.advance(LEASE_MS);
    desk.work_to_the_end(&desk.worker()).await;
    let batch = desk.batch().await;
    assert_eq!((batch.state.word(), count(&batch, "fate/undone"), count(&batch, "fate/kept")), ("undone", 230, 0));
    assert_eq!(desk.read_ticket("T-230").await.queue, "elsewhere", "what is done is not done again");
    assert_eq!(desk.route("T-1").await, (None, "normal".to_owned()));
}

#[tokio::test]
async fn an_undo_of_erased_tickets_has_nothing_to_put_back() {
    let mut desk = TestDesk::open().await;
    desk.applied_batch(1).await;
    let erasure = store::Erasure::new("T-1".into(), "mia".into(), "asked for".into(), desk.now_ms()).unwrap();
    desk.store.erase_ticket(erasure).await.unwrap().unwrap();
    desk.undo().await;
    assert_eq!(desk.outcome("T-1").await, text("undone", ""));
}

#[tokio::test]
async fn what_was_undone_does_not_stand_before_an_older_batch_that_comes_later() {
    let desk = TestDesk::open().await;
    desk.tickets(1).await;
    desk.second_batch(&[classified("T-1", "billing", "low")]).await;
    desk.undo_of("batch_2").await;
    desk.batch_ends("completed", &[classified("T-1", "shipping", "high")], &[]).await;
    assert_eq!(desk.outcome("T-1").await, text("applied", ""));
    assert_eq!(desk.route("T-1").await, (Some("shipping".to_owned()), "high".to_owned()));
}
