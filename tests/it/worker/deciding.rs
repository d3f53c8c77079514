//! From a held result to what a person made of it.

use frontdesk::domain::job::State;
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, Refused, RejectReason};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::{Act, Pausable, Review, TicketPatch};
use frontdesk::worker::Step;
use serde_json::json;

use crate::fake_openai::{completed, to};
use crate::harness::TestDesk;

pub const UNDO_MS: i64 = 5_000;

pub fn yes() -> Action {
    Action::yes()
}

pub fn no(said: &str) -> Action {
    Action::Reject { reason: RejectReason::meant(said), said: said.to_owned() }
}

impl TestDesk {
    /// A draft that waits for a person, and its review.
    pub async fn drafted(&self, resource_id: &str, text: &str) -> Review {
        let output = json!({"reply": text, "confidence": 0.99, "topics": []}).to_string();
        self.openai.put(&completed(resource_id, &output, &to("T-1", "draft_reply")));
        self.tell(resource_id).await;
        self.work().await;
        self.reviews_of(resource_id).await.remove(0)
    }

    pub async fn act(&self, name: &str, review: &Review, action: Action) -> Result<Review, Refused> {
        let act = Act {
            review: review.id.clone(),
            version: Some(review.version),
            person: Person { name: name.to_owned(), role: Role::Agent },
            action,
            lease_ms: 300_000,
            now_ms: self.now_ms(),
        };
        self.store.act_on_review(act).await.unwrap().expect("the review exists")
    }

    async fn review_again(&self, review: &Review) -> Review {
        self.store.review(review.id.clone()).await.unwrap().unwrap()
    }

    /// Bodies of what the customer sees from the team.
    pub async fn sent(&self) -> Vec<String> {
        let ticket = self.read_ticket("T-1").await;
        let by_team = ticket.messages.into_iter().filter(|message| message.author != Author::Customer);
        by_team.filter(|message| message.visibility == Visibility::Public).map(|message| message.body).collect()
    }

    async fn draft_state(&self) -> String {
        self.read_ticket("T-1").await.drafts[0].state.clone()
    }
}

async fn desk_with_a_ticket() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk
}

#[tokio::test]
async fn an_approved_reply_is_sent_once_after_its_undo_window_under_the_agent_s_name() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    assert_eq!(desk.sent().await, Vec::<String>::new());
    let approved = desk.act("lena", &review, yes()).await.unwrap();
    assert_eq!((approved.state.as_str(), approved.decided_by.as_deref()), ("approved", Some("lena")));
    desk.clock.advance(UNDO_MS - 1);
    assert_eq!(desk.work().await, 0, "the window is open");
    desk.clock.advance(1);
    assert_eq!(desk.work().await, 1);
    assert_eq!(desk.work().await, 0);
    assert_eq!(desk.sent().await, ["It comes tomorrow."]);
    assert_eq!(desk.draft_state().await, "sent");
    let feedback = desk.store.feedback(None).await.unwrap();
    assert_eq!((feedback[0].kept, feedback[0].edited, feedback[0].mean_distance), (1, 0, Some(0.0)));
}

#[tokio::test]
async fn the_text_of_the_reviewer_is_sent_and_its_distance_to_the_draft_is_kept() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow morning.").await;
    desk.act("lena", &review, Action::yes_with("It comes on Monday morning.")).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await, ["It comes on Monday morning."]);
    let feedback = desk.store.feedback(None).await.unwrap().remove(0);
    assert_eq!((feedback.kept, feedback.edited), (0, 1));
    assert!((feedback.mean_distance.unwrap() - 0.4).abs() < 1e-9);
}

#[tokio::test]
async fn a_draft_with_a_place_to_be_filled_in_is_not_sent_before_somebody_fills_it_in() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes on {{day}}, [name].").await;
    assert_eq!(desk.act("lena", &review, yes()).await, Err(Refused::Unfilled { places: 2 }));
    let half = Action::yes_with("It comes on Monday, [name].");
    assert_eq!(desk.act("lena", &review, half).await, Err(Refused::Unfilled { places: 1 }));
    desk.act("lena", &review, Action::yes_with("It comes on Monday, Ann.")).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await, ["It comes on Monday, Ann."]);
}

#[tokio::test]
async fn an_approval_taken_back_in_time_sends_nothing_and_can_be_given_again() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    let approved = desk.act("lena", &review, yes()).await.unwrap();
    let again = desk.act("lena", &approved, Action::Undo).await.unwrap();
    assert_eq!((again.state.as_str(), again.claimed_by.as_deref()), ("claimed", Some("lena")));
    desk.clock.advance(UNDO_MS);
    assert_eq!(desk.work().await, 0);
    let approved = desk.act("lena", &again, yes()).await.unwrap();
    desk.clock.advance(UNDO_MS);
    desk.work().await;
    assert_eq!(desk.act("lena", &approved, Action::Undo).await, Err(Refused::TooLate));
    assert_eq!(desk.sent().await.len(), 1);
}

#[tokio::test]
async fn of_two_who_approve_the_same_version_one_is_refused() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.act("lena", &review, yes()).await.unwrap();
    assert_eq!(desk.act("omar", &review, yes()).await, Err(Refused::Changed { now: 2 }));
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await.len(), 1);
}

#[tokio::test]
async fn a_rejected_draft_is_withdrawn_with_a_reason_that_is_counted() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    let rejected = desk.act("lena", &review, no("wrong facts")).await.unwrap();
    assert_eq!((rejected.state.as_str(), rejected.decision_reason.as_deref()), ("rejected", Some("wrong_facts")));
    assert_eq!(desk.draft_state().await, "rejected");
    assert_eq!(desk.store.feedback(None).await.unwrap()[0].reasons, [("wrong_facts".to_owned(), 1)]);
    let again = desk.act("lena", &rejected, Action::Undo).await.unwrap();
    assert_eq!((again.state.as_str(), desk.draft_state().await.as_str()), ("claimed", "open"));
    assert_eq!(desk.store.feedback(None).await.unwrap(), []);
}

#[tokio::test]
async fn whatever_moves_the_ticket_on_makes_a_draft_stale_and_says_what() {
    let cases = [
        ("the customer wrote again", Some(Author::Customer), None),
        ("an agent replied", Some(Author::Agent), None),
        ("the ticket was closed or merged", None, Some("closed")),
        ("the ticket was closed or merged", None, Some("merged")),
    ];
    for (why, author, status) in cases {
        let desk = desk_with_a_ticket().await;
        let review = desk.drafted("resp_1", "It comes tomorrow.").await;
        let before = desk.sent().await.len();
        let approved = desk.act("lena", &review, yes()).await.unwrap();
        if let Some(author) = author {
            let (id, body) = ("T-1".to_owned(), "Hello?".to_owned());
            desk.store.add_message(id, author, Visibility::Public, body, desk.now_ms()).await.unwrap();
        }
        if let Some(status) = status {
            let patch = TicketPatch { status: Some(status.to_owned()), ..TicketPatch::default() };
            desk.store.patch_ticket("T-1".to_owned(), patch, desk.now_ms()).await.unwrap();
        }
        let stale = desk.review_again(&review).await;
        assert_eq!((stale.state.as_str(), stale.stale_reason.as_deref()), ("stale", Some(why)));
        assert!(stale.version > approved.version);
        assert_eq!(desk.draft_state().await, "stale");
        assert!(desk.act("lena", &stale, yes()).await.is_err());
        desk.work_to_the_end(&desk.worker()).await;
        let ours = desk.sent().await.into_iter().filter(|body| body.contains("tomorrow")).count();
        assert_eq!((ours, before), (0, 0), "{why}: what was approved is not sent any more");
    }
}

#[tokio::test]
async fn what_was_sent_stays_approved_when_the_customer_writes_again() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    let approved = desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    let (id, thanks) = ("T-1".to_owned(), "Thank you!".to_owned());
    assert!(desk.store.add_message(id, Author::Customer, Visibility::Public, thanks, desk.now_ms()).await.unwrap());
    let after = desk.review_again(&review).await;
    assert_eq!((after.state.as_str(), after.version), ("approved", approved.version));
    assert_eq!((desk.sent().await.len(), desk.draft_state().await.as_str()), (1, "sent"));
}

#[tokio::test]
async fn an_internal_note_of_a_colleague_does_not_make_a_draft_stale() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    let (id, body) = ("T-1".to_owned(), "I look into it".to_owned());
    desk.store.add_message(id, Author::Agent, Visibility::Internal, body, desk.now_ms()).await.unwrap();
    assert_eq!(desk.review_again(&review).await.state, "open");
}

#[tokio::test]
async fn an_unsure_classification_is_applied_once_it_is_approved() {
    let desk = desk_with_a_ticket().await;
    let output = json!({"intent": "shipping", "priority": "high", "confidence": 0.3, "topics": []}).to_string();
    desk.openai.put(&completed("resp_1", &output, &to("T-1", "classification")));
    desk.tell("resp_1").await;
    desk.work().await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    assert_eq!(desk.act("lena", &review, Action::yes_with("words")).await, Err(Refused::NoText));
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.read_ticket("T-1").await.queue, "logistics");
}

#[tokio::test]
async fn an_incomplete_summary_is_applied_only_with_a_person_s_own_words() {
    let desk = desk_with_a_ticket().await;
    let mut response = completed("resp_1", "The parcel is", &to("T-1", "summary"));
    response["status"] = json!("incomplete");
    desk.openai.put(&response);
    desk.tell("resp_1").await;
    desk.work().await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    assert_eq!(desk.act("lena", &review, yes()).await, Err(Refused::NothingProposed));
    desk.act("lena", &review, Action::yes_with("The parcel is late.")).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.read_ticket("T-1").await.messages[1].body, "The parcel is late.");
    assert_eq!(desk.sent().await, Vec::<String>::new(), "a note stays a note");
}

#[tokio::test]
async fn a_worker_that_stops_anywhere_in_an_approval_sends_the_reply_once() {
    for step in Step::ALL {
        let desk = desk_with_a_ticket().await;
        let review = desk.drafted("resp_1", "It comes tomorrow.").await;
        desk.act("lena", &review, yes()).await.unwrap();
        desk.clock.advance(UNDO_MS);
        desk.worker_that_stops(step, 1).work_until_idle().await.unwrap();
        desk.work_to_the_end(&desk.worker()).await;
        assert_eq!(desk.sent().await, ["It comes tomorrow."], "{step:?}");
    }
}

#[tokio::test]
async fn people_s_approvals_go_out_while_openai_refuses_the_key() {
    let mut desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.leaves_work("the other job waits for OpenAI");
    desk.openai.refuse("sk-default", crate::fake_openai::Answer::error(401, "invalid_api_key"));
    desk.tell("resp_2").await;
    let worker = desk.worker();
    worker.work_until_idle().await.unwrap();
    desk.act("lena", &review, yes()).await.unwrap();
    desk.clock.advance(UNDO_MS);
    worker.work_until_idle().await.unwrap();
    assert_eq!(desk.sent().await.len(), 1);
    assert_ne!(desk.job("resp_2").await.status, State::Processed);
}

#[tokio::test]
async fn every_action_is_in_the_audit_trail_with_its_actor_and_without_words() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    let claimed = desk.act("lena", &review, Action::Claim).await.unwrap();
    let released = desk.act("lena", &claimed, Action::Release).await.unwrap();
    desk.act("omar", &released, no("sounds like a robot")).await.unwrap();
    let trail = desk.store.audit_trail(Some(review.id.clone()), None, crate::harness::ALL).await.unwrap();
    let told: Vec<_> = trail.items.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!(told, [("omar", "review.reject"), ("lena", "review.release"), ("lena", "review.claim")]);
    assert!(!trail.items.iter().any(|entry| entry.detail.to_string().contains("robot")));
    assert!(desk.sql().execute("UPDATE audit_trail SET actor = 'nobody'", []).is_err());
    assert!(desk.sql().execute("DELETE FROM audit_trail", []).is_err());
}

#[tokio::test]
async fn two_approvals_of_two_people_are_needed_where_the_review_says_so() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.sql().execute("UPDATE reviews SET approvals_needed = 2", []).unwrap();
    let first = desk.act("lena", &review, yes()).await.unwrap();
    assert_eq!((first.state.as_str(), first.first_approved_by.as_deref()), ("open", Some("lena")));
    assert_eq!(desk.act("lena", &first, yes()).await, Err(Refused::SamePerson));
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await, Vec::<String>::new());
    desk.act("omar", &first, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(desk.sent().await.len(), 1);
}

#[tokio::test]
async fn another_event_about_what_a_person_has_decided_is_ignored() {
    let desk = desk_with_a_ticket().await;
    let review = desk.drafted("resp_1", "It comes tomorrow.").await;
    desk.deliver("wh_2", "evt_2", "response.completed", "resp_1").await;
    desk.work().await;
    desk.act("lena", &review, no("tone")).await.unwrap();
    desk.deliver("wh_3", "evt_3", "response.completed", "resp_1").await;
    desk.work().await;
    let outcomes: Vec<_> = desk.jobs_of("resp_1").await.into_iter().filter_map(|job| job.outcome).collect();
    assert_eq!(outcomes, ["ignored", "held", "held"], "newest first");
    assert_eq!(desk.draft_state().await, "rejected");
}

#[tokio::test]
async fn a_pause_that_lasts_is_told_of_until_it_ends() {
    let desk = desk_with_a_ticket().await;
    let what = Pausable::Workflow("summary".to_owned());
    let (actor, reason) = ("mia".to_owned(), "bad prompt".to_owned());
    desk.store.pause(what.clone(), actor.clone(), reason, desk.now_ms()).await.unwrap();
    let worker = desk.worker();
    worker.watch().await;
    assert_eq!(desk.alerts_about("workflow/summary").await, Vec::<String>::new());
    desk.clock.advance(crate::harness::OVERDUE_MS + 1);
    worker.watch().await;
    assert_eq!(desk.alerts_about("workflow/summary").await, ["paused"]);
    desk.store.resume(what, actor, desk.now_ms()).await.unwrap();
    worker.watch().await;
    assert_eq!(desk.alerts_about("workflow/summary").await, Vec::<String>::new());
}
