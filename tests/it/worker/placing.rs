//! Finding the ticket: our own submission, then metadata, then a person.

use frontdesk::domain::ticket::{Author, Visibility};
use frontdesk::store::TicketPatch;
use serde_json::{Value, json};

use crate::fake_openai::{completed, to};
use crate::harness::TestDesk;

async fn is_unplaced(metadata: &Value, why: &str) {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.openai.put(&completed("resp_1", "The parcel is late.", metadata));
    desk.tell("resp_1").await;
    desk.work().await;
    let review = desk.reviews_of("resp_1").await.remove(0);
    assert_eq!((review.state.as_str(), review.reason.as_str()), ("open", "unplaced"), "{metadata}");
    assert_eq!(review.detail, why);
    assert_eq!(review.output.as_deref(), Some("The parcel is late."), "a person sees what it is about");
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_placed_is_parked_for_a_person_and_never_dropped() {
    is_unplaced(&json!(null), "its metadata has no ticket_id").await;
    is_unplaced(&json!({}), "its metadata has no ticket_id").await;
    is_unplaced(&json!({"workflow": "summary"}), "its metadata has no ticket_id").await;
    is_unplaced(&json!({"ticket_id": "T-1"}), "its metadata has no workflow").await;
    is_unplaced(&to("T-1", "poetry\n"), "there is no workflow named poetry\\n").await;
    is_unplaced(&to("T-2", "summary"), "the helpdesk has no ticket T-2").await;
    is_unplaced(&to("../T-1", "summary"), "metadata ticket_id is not a ticket id").await;
    is_unplaced(&json!({"fd_submission": "sub_nobodys"}), "its metadata has no ticket_id").await;
}

#[tokio::test]
async fn our_own_work_finds_its_ticket_by_the_submission_whichever_comes_first() {
    for answer_first in [true, false] {
        let desk = TestDesk::open().await;
        desk.ticket("T-1", "Where is my parcel?").await;
        desk.begin("sub_1", "T-1", "summary").await;
        let started = || {
            let (project, id, resource) = ("default".to_owned(), "sub_1".to_owned(), "resp_1".to_owned());
            desk.store.submission_started(project, id, resource, desk.now_ms())
        };
        if answer_first {
            started().await.unwrap();
        }
        desk.openai.put(&completed("resp_1", "The parcel is late.", &json!({"fd_submission": "sub_1"})));
        desk.tell("resp_1").await;
        desk.work().await;
        if !answer_first {
            started().await.unwrap();
        }
        let job = desk.job("resp_1").await;
        assert_eq!(job.outcome.as_deref(), Some("applied"), "answer first: {answer_first}");
        assert_eq!((job.ticket_id.as_deref(), job.submission_id.as_deref()), (Some("T-1"), Some("sub_1")));
        assert_eq!(desk.store.submission("sub_1".to_owned()).await.unwrap().unwrap().state, "ended");
    }
}

#[tokio::test]
async fn a_submission_named_in_the_metadata_of_a_second_response_is_not_used_again() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    desk.begin("sub_1", "T-1", "summary").await;
    for id in ["resp_1", "resp_2"] {
        desk.openai.put(&completed(id, &format!("Of {id}."), &json!({"fd_submission": "sub_1"})));
        desk.tell(id).await;
        desk.work().await;
    }
    assert_eq!(desk.job("resp_1").await.outcome.as_deref(), Some("applied"));
    assert_eq!(desk.reviews_of("resp_2").await[0].reason, "unplaced");
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 2);
}

#[tokio::test]
async fn our_own_work_is_held_when_a_person_has_changed_the_ticket_since_it_was_started() {
    for by_message in [true, false] {
        let desk = TestDesk::open().await;
        desk.ticket("T-1", "Where is my parcel?").await;
        desk.started("sub_1", "T-1", "summary", "resp_1").await;
        let (id, now_ms) = ("T-1".to_owned(), desk.now_ms());
        if by_message {
            let body = "It has come!".to_owned();
            desk.store.add_message(id, Author::Customer, Visibility::Public, body, now_ms).await.unwrap();
        } else {
            let patch = TicketPatch { status: Some("closed".to_owned()), ..TicketPatch::default() };
            desk.store.patch_ticket(id, patch, now_ms).await.unwrap();
        }
        desk.openai.put(&completed("resp_1", "The parcel is late.", &json!({"fd_submission": "sub_1"})));
        desk.tell("resp_1").await;
        desk.work().await;
        let review = desk.reviews_of("resp_1").await.remove(0);
        assert_eq!(review.reason, "changed_since");
        assert!(review.proposed.iter().any(|proposed| proposed.text.contains("The parcel is late.")));
    }
}

#[tokio::test]
async fn our_own_notes_on_the_ticket_do_not_count_as_a_change_since() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    for n in 1..=2 {
        desk.started(&format!("sub_{n}"), "T-1", "summary", &format!("resp_{n}")).await;
        desk.openai.put(&completed(&format!("resp_{n}"), &format!("Note {n}."), &json!({})));
    }
    for n in 1..=2 {
        desk.tell(&format!("resp_{n}")).await;
        desk.work().await;
    }
    assert_eq!(desk.read_ticket("T-1").await.messages.len(), 3);
}

#[tokio::test]
async fn a_resource_id_that_two_projects_share_is_worked_for_each_of_them() {
    let desk = TestDesk::open().await;
    desk.ticket("T-1", "Where is my parcel?").await;
    let body = crate::harness::event("evt_1", "response.completed", "resp_1");
    desk.openai.put(&completed("resp_1", "The parcel is late.", &to("T-1", "draft_reply")));
    desk.deliver_to("default", "wh_1", &body).await;
    desk.deliver_to("second", "wh_1", &body).await;
    assert_eq!(desk.work().await, 2);
    let projects: Vec<_> = desk.reviews_of("resp_1").await.into_iter().map(|review| review.project).collect();
    assert_eq!(projects.len(), 2, "{projects:?}");
    desk.sql().execute("DELETE FROM drafts WHERE id = 2", []).unwrap();
    desk.sql().execute("DELETE FROM effects WHERE project = 'second'", []).unwrap();
}
