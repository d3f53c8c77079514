//! Leave to write to a customer that was never given, was taken back, or is
//! about something older: whatever comes twice, late or after a crash.

use std::sync::{Arc, Mutex};

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::policy::Policy;
use frontdesk::domain::review::{Action, Amended, RejectReason};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::Pausable;
use frontdesk::worker::Step;
use serde_json::{Value, json};

use super::deciding::{UNDO_MS, yes};
use crate::fake_openai::{completed, ended, to};
use crate::harness::{TestDesk, event, signed};

const PUBLISH: &str = "[workflow.draft_reply]\npublish = \"auto\"\n";

fn policy(more: &str) -> Policy {
    Policy::read(&format!("version = 2\n{more}{PUBLISH}"), &[]).unwrap()
}

async fn desk_with_a_ticket() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk
}

impl TestDesk {
    async fn customer_writes(&self) {
        let (id, body) = ("T-1".to_owned(), "It has come by now.".to_owned());
        self.store.add_message(id, Author::Customer, Visibility::Public, body, self.now_ms()).await.unwrap();
    }

    /// Another event tells of the same resource.
    async fn tell_again(&self, resource_id: &str) {
        self.deliver("wh_again", "evt_again", "response.completed", resource_id).await;
        self.work().await;
    }
}

fn reply(id: &str, text: &str, metadata: &Value) -> Value {
    completed(id, &json!({"reply": text, "confidence": 0.95, "topics": []}).to_string(), metadata)
}

#[tokio::test]
async fn what_a_person_rejected_is_not_sent_when_another_event_of_it_comes_under_a_milder_policy() {
    let mut desk = desk_with_a_ticket().await;
    desk.policy = policy("kill_switch = true\n");
    desk.started("sub_1", "T-1", "draft_reply", "resp_1").await;
    desk.openai.put(&reply("resp_1", "It comes on Monday.", &json!({})));
    desk.tell("resp_1").await;
    desk.work().await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    let no = Action::Reject { reason: RejectReason::WrongFacts, said: "wrong facts".to_owned() };
    desk.act("lena", &review, no).await.unwrap();
    desk.policy = policy("");
    desk.tell_again("resp_1").await;
    assert_eq!(desk.sent().await, Vec::<String>::new());
    let again = desk.jobs_of("resp_1").await.into_iter().find(|job| job.key == "event/evt_again").unwrap();
    assert_eq!(again.outcome.as_deref(), Some("ignored"));
}

#[tokio::test]
async fn an_approval_that_went_stale_after_a_crash_is_not_sent_by_another_event_of_its_resource() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.act("lena", &review, yes()).await.unwrap();
    desk.clock.advance(UNDO_MS);
    desk.worker_that_stops(Step::Planned, 1).work_until_idle().await.unwrap();
    desk.customer_writes().await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.reviews_of("resp_1").await[0].state, "stale");
    desk.tell_again("resp_1").await;
    assert_eq!(desk.sent().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_plan_to_send_by_leave_of_the_policy_does_not_outlive_that_leave() {
    for turn in ["the kill switch", "the customer"] {
        let mut desk = desk_with_a_ticket().await;
        desk.policy = policy("");
        desk.started("sub_1", "T-1", "draft_reply", "resp_1").await;
        desk.openai.put(&reply("resp_1", "It comes on Monday.", &json!({})));
        desk.tell("resp_1").await;
        desk.worker_that_stops(Step::Planned, 1).work_until_idle().await.unwrap();
        match turn {
            "the customer" => desk.customer_writes().await,
            _ => desk.policy = policy("kill_switch = true\n"),
        }
        desk.work_to_the_end(&desk.worker()).await;
        assert_eq!(desk.sent().await, Vec::<String>::new(), "{turn}");
        let review = desk.reviews_of("resp_1").await.remove(0);
        assert_eq!(review.state, "open", "{turn}");
        let text = Some("It came on Sunday.".to_owned());
        desk.act("lena", &review, Action::Approve(Amended { text, route: None })).await.unwrap();
        desk.work_to_the_end(&desk.worker()).await;
        assert_eq!(desk.sent().await, ["It came on Sunday."], "{turn}: what the person wrote, by that leave");
    }
}

#[tokio::test]
async fn an_approval_that_waited_does_not_go_over_a_newer_result() {
    let desk = desk_with_a_ticket().await;
    for (n, (id, intent, confidence)) in [("resp_old", "bug", 0.3), ("resp_new", "shipping", 0.95)].iter().enumerate() {
        let output =
            json!({"intent": intent, "priority": "normal", "confidence": confidence, "topics": []}).to_string();
        desk.started(&format!("sub_{n}"), "T-1", "classification", id).await;
        desk.openai.put(&completed(id, &output, &json!({})));
        desk.clock.advance(60_000);
    }
    desk.tell("resp_old").await;
    desk.work().await;
    let review = desk.reviews_of("resp_old").await.remove(0);
    desk.act("lena", &review, yes()).await.unwrap();
    desk.store.pause(Pausable::Helpdesk, "mia".to_owned(), "upgrade".to_owned(), desk.now_ms()).await.unwrap();
    desk.clock.advance(UNDO_MS);
    desk.work().await;
    desk.store.resume(Pausable::Helpdesk, "mia".to_owned(), desk.now_ms()).await.unwrap();
    // The newer one first: the other waits for its turn once more.
    desk.sql().execute("UPDATE jobs SET claimable_at = claimable_at + 1000 WHERE kind = 'approval'", []).unwrap();
    desk.tell("resp_new").await;
    desk.work().await;
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    assert_eq!(desk.reviews_of("resp_old").await[0].state, "stale");
}

#[tokio::test]
async fn a_reply_that_we_sent_makes_other_drafts_of_the_ticket_stale() {
    let desk = desk_with_a_ticket().await;
    let first = desk.drafted("resp_1", "It comes tomorrow.").await;
    // Of another program, which says nothing of when it was made: neither is the newer one.
    let mut other = reply("resp_2", "It comes on Monday.", &to("T-1", "draft_reply"));
    other.as_object_mut().unwrap().remove("created_at");
    desk.openai.put(&other);
    desk.tell("resp_2").await;
    desk.work().await;
    let second = desk.reviews_of("resp_2").await.remove(0);
    desk.act("lena", &first, yes()).await.unwrap();
    desk.clock.advance(1);
    desk.act("omar", &second, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await, ["It comes tomorrow."]);
    let second = desk.reviews_of("resp_2").await.remove(0);
    assert_eq!((second.state.as_str(), second.stale_reason.as_deref()), ("stale", Some("another reply was sent")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_results_that_are_worked_at_the_same_time_the_newer_one_stays_whichever_ends_last() {
    let desk = desk_with_a_ticket().await;
    for (n, (id, intent)) in [("resp_old", "bug"), ("resp_new", "shipping")].iter().enumerate() {
        let output = json!({"intent": intent, "priority": "normal", "confidence": 0.95, "topics": []}).to_string();
        desk.started(&format!("sub_{n}"), "T-1", "classification", id).await;
        desk.openai.put(&completed(id, &output, &json!({})));
        desk.clock.advance(60_000);
    }
    desk.tell("resp_old").await;
    // The newer one is worked from its begin to its end just before the older one ends.
    let (store, newer) = (desk.store.clone(), Arc::new(desk.worker()));
    let told = signed("default", "wh_new", &event("evt_new", "response.completed", "resp_new"), desk.now_ms());
    let told = Mutex::new(Some(told));
    let older = desk.worker().stop_after(Box::new(move |step| {
        if step == Step::Applied
            && let Some(told) = told.lock().unwrap().take()
        {
            let (store, newer) = (store.clone(), Arc::clone(&newer));
            let between = async move {
                store.record(told).await.unwrap();
                newer.work_until_idle().await.unwrap();
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(between));
        }
        false
    }));
    older.work_until_idle().await.unwrap();
    assert_eq!(desk.read_ticket("T-1").await.intent.as_deref(), Some("shipping"));
    assert_eq!(desk.job("resp_old").await.outcome.as_deref(), Some("superseded"));
    assert_eq!(desk.job("resp_new").await.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn an_approval_that_failed_and_whose_text_was_erased_has_expired_and_a_retry_sends_nothing() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.act("lena", &review, yes()).await.unwrap();
    let fail = "UPDATE jobs SET state = 'failed_final', claimable_at = NULL, claims = 1, error_cause = 'lease_lost' WHERE kind = 'approval'
                RETURNING id";
    let job: i64 = desk.sql().query_row(fail, [], |row| row.get(0)).unwrap();
    desk.store.raise_alert("lease_lost", "default".to_owned(), String::new(), desk.now_ms()).await.unwrap();
    desk.clock.advance(desk.settings.keeping.reviews_ms + 1);
    desk.worker().tidy().await;
    assert_eq!(desk.reviews_of("resp_1").await[0].state, "expired");
    desk.store.retry_job(job, "mia".to_owned(), None, desk.now_ms()).await.unwrap();
    desk.work().await;
    assert_eq!(desk.sent().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_that_comes_after_its_start_was_given_up_leaves_it_to_be_told_as_lost() {
    let mut desk = desk_with_a_ticket().await;
    desk.leaves_work("the start is at work for ever");
    let mut failed = ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": "server_error"});
    desk.openai.put(&failed);
    desk.tell("resp_1").await;
    desk.work().await;
    desk.sql()
        .execute("UPDATE submissions SET state = 'unknown', prompt_version = '1', check_at = created_at", [])
        .unwrap();
    let id: String = desk.sql().query_row("SELECT id FROM submissions", [], |row| row.get(0)).unwrap();
    let refused = Failure::last(Cause::OpenAiRefused, "HTTP 400");
    desk.store.submission_failed(id.clone(), refused, true).await.unwrap();
    assert_eq!(desk.store.submission(id).await.unwrap().unwrap().state, "unknown");
}
