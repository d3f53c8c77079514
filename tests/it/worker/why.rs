//! "Where is my summary?": the answer at each point of a piece of work's life.

use frontdesk::domain::failure::{Cause, Failure};
use frontdesk::domain::person::{Person, Role};
use frontdesk::domain::review::{Action, RejectReason};
use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::domain::trail::Why;
use frontdesk::store::{Act, Pausable};
use serde_json::json;

use crate::fake_openai::{Answer, completed, ended, to};
use crate::harness::{LATE_MS, TestDesk};

const UPDATED: &str = "Was the ticket updated?";

impl TestDesk {
    pub(super) async fn why(&self, id: &str) -> Why {
        self.store
            .trail(id.to_owned())
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("nothing known of {id}"))
            .why(self.now_ms())
    }

    /// What happens next, and who owns it.
    pub(super) async fn is_next(&self, id: &str, words: &str, owner: &str) {
        let why = self.why(id).await;
        assert!(why.next.contains(words), "{id}: {}", why.next);
        assert_eq!(why.owner, owner, "{}", why.next);
    }

    pub(super) async fn answers(&self, id: &str, question: &str, words: &str) {
        let why = self.why(id).await;
        let answer = why.answers.iter().find(|answer| answer.question == question).expect("the question");
        assert!(answer.answer.contains(words), "{question} {}", answer.answer);
    }
}

async fn desk() -> TestDesk {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk
}

#[tokio::test]
async fn it_answers_before_during_and_after_the_work() {
    let desk = desk().await;
    desk.is_next("T-1", "start it with", "operator").await;
    desk.begin("sub_1", "T-1", "summary").await;
    desk.answers("T-1", "Was work started at OpenAI?", "the call is being made").await;
    let (project, now_ms) = ("default".to_owned(), desk.now_ms());
    desk.store.submission_started(project, "sub_1".to_owned(), "resp_1".to_owned(), now_ms).await.unwrap();
    desk.is_next("T-1", "webhook", "openai").await;
    assert_eq!(desk.why("T-1").await.next_at_ms, Some(desk.now_ms() + LATE_MS));
    desk.openai.put(&completed("resp_1", "A summary.", &json!({})));
    desk.tell("resp_1").await;
    desk.is_next("T-1", "a worker takes it", "frontdesk").await;
    desk.work().await;
    for id in ["T-1", "resp_1", "evt_resp_1", "wh_resp_1", "sub_1"] {
        desk.is_next(id, "it is done", "nobody").await;
        desk.answers(id, "Was its signature good?", "with secret").await;
        desk.answers(id, UPDATED, "yes: note on T-1").await;
    }
}

#[tokio::test]
async fn a_result_that_waits_for_people_names_them_until_it_is_settled() {
    let desk = desk().await;
    let reply = json!({"reply": "Soon.", "confidence": 0.9, "topics": []}).to_string();
    desk.openai.put(&completed("resp_1", &reply, &to("T-1", "draft_reply")));
    desk.tell("resp_1").await;
    desk.work().await;
    desk.is_next("resp_1", "(for: agent)", "reviewer").await;
    desk.answers("resp_1", UPDATED, "draft on T-1; held for a person as rev_").await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    let act = |action| {
        let act = Act {
            review: review.id.clone(),
            version: None,
            person: Person { name: "lena".to_owned(), role: Role::Agent },
            action,
            lease_ms: 60_000,
            now_ms: desk.now_ms(),
        };
        desk.store.act_on_review(act)
    };
    act(Action::Claim).await.unwrap().unwrap().unwrap();
    desk.is_next("resp_1", "lena decides rev_", "reviewer").await;
    act(Action::yes()).await.unwrap().unwrap().unwrap();
    desk.is_next("resp_1", "is carried out in 5 s", "frontdesk").await;
    desk.is_next(&review.id, "is carried out in 5 s", "frontdesk").await;
    desk.answers("resp_1", UPDATED, "draft on T-1; lena approved rev_").await;
    act(Action::Undo).await.unwrap().unwrap().unwrap();
    let said = "tone".to_owned();
    act(Action::Reject { reason: RejectReason::Tone, said }).await.unwrap().unwrap().unwrap();
    desk.is_next("resp_1", "lena rejected it (tone)", "nobody").await;
    desk.answers("resp_1", UPDATED, "lena rejected rev_").await;
}

#[tokio::test]
async fn what_went_stale_says_why_and_what_to_do() {
    let desk = desk().await;
    let reply = json!({"reply": "Soon.", "confidence": 0.9, "topics": []}).to_string();
    desk.openai.put(&completed("resp_1", &reply, &to("T-1", "draft_reply")));
    desk.tell("resp_1").await;
    desk.work().await;
    let hello = "Hello?".to_owned();
    desk.store.add_message("T-1".to_owned(), Author::Customer, Visibility::Public, hello, desk.now_ms()).await.unwrap();
    desk.is_next("resp_1", "the customer wrote again; start it again", "operator").await;
    desk.answers("resp_1", UPDATED, "is stale").await;
}

#[tokio::test]
async fn failed_paused_and_restarted_work_each_have_an_owner() {
    let mut desk = desk().await;
    let mut failed = ended("resp_1", "failed", json!([]), &to("T-1", "summary"));
    failed["error"] = json!({"code": "invalid_prompt"});
    desk.openai.put(&failed);
    failed["id"] = json!("resp_2");
    failed["error"] = json!({"code": "server_error"});
    desk.openai.put(&failed);
    desk.tell("resp_1").await;
    desk.tell("resp_2").await;
    desk.work().await;
    desk.is_next("resp_1", "jobs retry job_", "operator").await;
    desk.is_next("resp_2", "started again: see sub_", "frontdesk").await;
    let again = desk.store.trail("resp_2".to_owned()).await.unwrap().unwrap().again.unwrap();
    desk.is_next(&again, "is carried out in 10 s", "frontdesk").await;
    desk.answers(&again, "Was work started at OpenAI?", "is planned").await;
    let (actor, reason) = ("mia".to_owned(), "prompt is wrong".to_owned());
    desk.store.pause(Pausable::Workflow("summary".to_owned()), actor, reason, desk.now_ms()).await.unwrap();
    desk.clock.advance(10_000);
    desk.work().await;
    desk.is_next(&again, "when the pause ends", "operator").await;
    desk.leaves_work("the workflow is paused");
}

#[tokio::test]
async fn a_start_that_was_refused_or_interrupted_says_so() {
    let desk = desk().await;
    desk.openai.answer_starts([Answer::error(401, "invalid_api_key")]);
    desk.submitter().submit("default", "summary", "T-1", "lena").await.unwrap_err();
    desk.answers("T-1", "Was work started at OpenAI?", "no: OpenAI did not accept it (openai_auth").await;
    desk.is_next("T-1", "once the cause is mended", "operator").await;
    desk.begin("sub_2", "T-1", "classification").await;
    let failure = Failure::retryable(Cause::OpenAiUnreachable, "timed out");
    desk.store.submission_failed("sub_2".to_owned(), failure, false).await.unwrap();
    desk.is_next("sub_2", "an alert is raised", "openai").await;
}
