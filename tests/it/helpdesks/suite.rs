//! What every connector has to pass.

use axum::http::HeaderMap;
use frontdesk::clock::Clock;
use frontdesk::domain::failure::Cause;
use frontdesk::domain::job::State;
use frontdesk::helpdesk::{Happened, NotHeard, Outside, Told};
use frontdesk::store::{Job, Review};
use frontdesk::worker::Step;
use serde_json::json;

use super::proxy::{Fault, Proxy};
use super::system::System;
use crate::fake_openai::{completed, to};
use crate::harness::{START_MS, TestDesk};
use crate::worker::deciding::{no, yes};

/// As long as a claim lasts, and longer.
const A_WHILE_MS: i64 = 120_000;

/// A desk whose tickets live in `system`, with something in between that may fail.
async fn desk_at(system: &dyn System) -> (TestDesk, Proxy) {
    let mut desk = TestDesk::open().await;
    let (proxy, url) = Proxy::to(system.url()).await;
    let connector = system.connector(&url, Clock::Hand(desk.clock.clone()));
    desk.helpdesk = Some(Outside::new(connector));
    (desk, proxy)
}

/// The next number that no other result has: results of several tests lie in one helpdesk.
fn resource(name: &str, ticket: &str) -> String {
    format!("resp_{name}_{ticket}")
}

async fn summarised(desk: &TestDesk, ticket: &str, name: &str, words: &str) -> String {
    let id = resource(name, ticket);
    desk.openai.put(&completed(&id, words, &to(ticket, "summary")));
    desk.tell(&id).await;
    id
}

async fn classified(desk: &TestDesk, ticket: &str, intent: &str) -> String {
    let id = resource("class", ticket);
    let output = json!({"intent": intent, "priority": "high", "confidence": 0.9, "topics": ["parcel"]});
    desk.openai.put(&completed(&id, &output.to_string(), &to(ticket, "classification")));
    desk.tell(&id).await;
    id
}

async fn drafted(desk: &TestDesk, ticket: &str, words: &str) -> Review {
    let id = resource("draft", ticket);
    let output = json!({"reply": words, "confidence": 0.99, "topics": []}).to_string();
    desk.openai.put(&completed(&id, &output, &to(ticket, "draft_reply")));
    desk.tell(&id).await;
    desk.work().await;
    desk.reviews_of(&id).await.remove(0)
}

async fn job(desk: &TestDesk, resource: &str) -> Job {
    desk.job(resource).await
}

fn times(notes: &[String], words: &str) -> usize {
    notes.iter().filter(|note| note.contains(words)).count()
}

pub async fn a_summary_becomes_one_note_that_the_customer_does_not_see(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let id = summarised(&desk, &ticket, "sum", "The parcel is late.").await;
    desk.deliver("wh_again", "evt_again", "response.completed", &id).await;
    desk.work_to_the_end(&desk.worker()).await;
    let notes = system.notes(&ticket).await;
    assert_eq!(times(&notes, "The parcel is late."), 1, "{notes:?}");
    assert!(notes[0].contains("Frontdesk ref: fd_"), "{notes:?}");
    assert_eq!(system.replies(&ticket).await, Vec::<String>::new());
    let mut outcomes: Vec<_> = desk.jobs_of(&id).await.into_iter().map(|job| job.outcome.unwrap()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["applied", "ignored"]);
}

pub async fn a_classification_sets_what_it_names_and_it_is_read_back(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let id = classified(&desk, &ticket, "shipping").await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(job(&desk, &id).await.outcome.as_deref(), Some("applied"), "{:?}", job(&desk, &id).await);
    assert_eq!(system.route(&ticket).await, ("Logistics".into(), "high".into(), "shipping".into()));
    assert_eq!(system.tags(&ticket).await, ["parcel"]);
}

pub async fn a_note_and_fields_are_both_there_and_one_change_where_that_can_be(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let id = resource("check", &ticket);
    let output = json!({"score": 87, "findings": ["Message 2 is kind"]}).to_string();
    desk.openai.put(&completed(&id, &output, &to(&ticket, "quality_check")));
    desk.tell(&id).await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(job(&desk, &id).await.outcome.as_deref(), Some("applied"), "{:?}", job(&desk, &id).await);
    assert_eq!((times(&system.notes(&ticket).await, "Score: 87"), system.route(&ticket).await.2), (1, "87".to_owned()));
    let together = desk.helpdesk.as_ref().unwrap().capabilities().together;
    assert_eq!(proxy.changes(), if together { 1 } else { 2 });
}

pub async fn what_the_helpdesk_does_not_know_is_refused_for_good(system: &dyn System) {
    let (mut desk, _) = desk_at(system).await;
    desk.workflows = crate::harness::catalogue_with_queue("shipping", "nowhere-at-all");
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let id = classified(&desk, &ticket, "shipping").await;
    desk.work_to_the_end(&desk.worker()).await;
    let job = job(&desk, &id).await;
    assert_eq!(job.status, State::FailedFinal);
    assert!(job.last_error.as_deref().unwrap().starts_with(Cause::HelpdeskRefused.code()), "{job:?}");
}

pub async fn a_draft_is_no_reply_and_an_approval_sends_one(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let review = drafted(&desk, &ticket, "It comes on Monday.").await;
    assert_eq!(system.replies(&ticket).await, Vec::<String>::new());
    match system.drafts(&ticket).await {
        Some(drafts) => assert_eq!(times(&drafts, "It comes on Monday."), 1, "{drafts:?}"),
        None => {
            let notes = system.notes(&ticket).await;
            assert!(times(&notes, "It comes on Monday.") == 1 && notes[0].contains("NOT SENT"), "{notes:?}");
        }
    }
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    let replies = system.replies(&ticket).await;
    assert_eq!(times(&replies, "It comes on Monday."), 1, "{replies:?}");
    assert_eq!(replies.len(), 1);
    assert!(!replies[0].contains("fd_"), "a customer sees no mark: {replies:?}");
}

pub async fn a_draft_that_the_customer_overtook_is_not_sent(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let review = drafted(&desk, &ticket, "It comes on Monday.").await;
    system.customer_writes(&ticket, "It is here already!").await;
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(system.replies(&ticket).await, Vec::<String>::new());
    assert_eq!(desk.store.review(review.id).await.unwrap().unwrap().state, "stale");
}

pub async fn a_file_is_kept_with_the_ticket(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Call", "Call me.").await;
    let helpdesk = desk.helpdesk();
    let effect = frontdesk::domain::effect::Effect::Attachment { name: "call.txt".into(), text: "Grüße, ✓".into() };
    let planned = frontdesk::store::Planned {
        reference: format!("fd_file{ticket}"),
        effect,
        standing: frontdesk::store::Standing::New,
        planned_at_ms: START_MS,
    };
    helpdesk.write(&ticket, planned.clone()).await.unwrap();
    assert_eq!(system.files(&ticket).await, [("call.txt".to_owned(), "Grüße, ✓".to_owned())]);
    let found = helpdesk.find(&ticket, &planned.reference, &planned.effect, START_MS).await.unwrap();
    assert!(found.is_some());
}

pub async fn what_people_changed_meanwhile_is_held_for_a_person(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let started = desk.submitter().submit("default", "classification", &ticket, "lena").await.unwrap();
    system.agent_notes(&ticket, "Called them.").await;
    let output = json!({"intent": "shipping", "priority": "high", "confidence": 0.9, "topics": []}).to_string();
    desk.openai.put(&completed(&started.resource_id, &output, &json!({})));
    desk.tell(&started.resource_id).await;
    desk.work().await;
    assert_eq!(desk.reviews_of(&started.resource_id).await[0].reason, "changed_since");
}

pub async fn a_worker_that_dies_after_writing_leaves_one_note_fifty_times(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    for round in 0..50 {
        let words = format!("Round {round} of the parcel.");
        summarised(&desk, &ticket, &format!("sum{round}"), &words).await;
        // It has written, and dies before it could say so.
        assert!(desk.worker_that_stops(Step::Written, 1).work_until_idle().await.is_ok());
        desk.clock.advance(A_WHILE_MS);
        desk.work_to_the_end(&desk.worker()).await;
    }
    let notes = system.notes(&ticket).await;
    for round in 0..50 {
        assert_eq!(times(&notes, &format!("Round {round} of")), 1, "round {round}: {notes:?}");
    }
}

pub async fn a_note_whose_answer_is_lost_is_written_once(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    proxy.fail(&[Fault::AnswerLost]);
    let id = summarised(&desk, &ticket, "sum", "The parcel is late.").await;
    desk.work().await;
    assert_eq!(job(&desk, &id).await.status, State::FailedRetryable);
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(times(&system.notes(&ticket).await, "The parcel is late."), 1);
    assert_eq!((job(&desk, &id).await.outcome.as_deref(), proxy.changes()), (Some("applied"), 1));
}

pub async fn a_note_that_never_arrived_is_written(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    proxy.fail(&[Fault::Lost, Fault::Lost]);
    summarised(&desk, &ticket, "sum", "The parcel is late.").await;
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!((times(&system.notes(&ticket).await, "The parcel is late."), proxy.changes()), (1, 3));
}

pub async fn a_helpdesk_that_wants_quiet_gets_it_and_loses_nothing(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let tickets = [system.ticket("One", "One?").await, system.ticket("Two", "Two?").await];
    let helpdesk = desk.helpdesk();
    proxy.fail(&[Fault::Busy(30)]);
    for ticket in &tickets {
        summarised(&desk, ticket, "sum", "The parcel is late.").await;
    }
    desk.work().await;
    assert_eq!(proxy.changes(), 1, "the second one is not even asked");
    assert!(helpdesk.ticket(&tickets[0]).await.is_err());
    desk.clock.advance(30_000);
    desk.work_to_the_end(&desk.worker()).await;
    for ticket in &tickets {
        assert_eq!(times(&system.notes(ticket).await, "The parcel is late."), 1);
    }
}

pub async fn a_reply_whose_answer_is_lost_is_found_and_not_sent_again(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let review = drafted(&desk, &ticket, "It comes on Monday.").await;
    proxy.fail(&[Fault::AnswerLost]);
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(system.replies(&ticket).await.len(), 1);
    // A draft of the helpdesk's own is taken away again.
    let withdrawn = usize::from(system.drafts(&ticket).await.is_some());
    assert_eq!(proxy.changes(), 2 + withdrawn, "the draft, and the reply once");
}

pub async fn a_reply_that_may_have_been_sent_is_a_persons_to_send(system: &dyn System) {
    let (desk, proxy) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let review = drafted(&desk, &ticket, "It comes on Monday.").await;
    proxy.fail(&[Fault::Lost]);
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    let approval = desk.jobs_of(&review.resource_id).await.into_iter().find(|job| job.status == State::FailedFinal);
    let approval = approval.expect("a person has to say");
    assert!(approval.last_error.as_deref().unwrap().starts_with("reply_unknown"), "{approval:?}");
    assert_eq!((system.replies(&ticket).await.len(), proxy.changes()), (0, 2));
    desk.store.retry_job(approval.id, "mia".into(), Some("it is not there".into()), desk.now_ms()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(system.replies(&ticket).await.len(), 1);
}

pub async fn a_ticket_that_is_not_there_is_told(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    for id in [system.nowhere(), "T-1"] {
        let missing = desk.submitter().submit("default", "summary", id, "lena").await.unwrap_err();
        assert!(missing.to_string().contains("no ticket"), "{missing}");
    }
}

pub async fn two_results_for_one_ticket_are_written_one_after_the_other(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    summarised(&desk, &ticket, "sum", "The parcel is late.").await;
    classified(&desk, &ticket, "shipping").await;
    let workers = [desk.worker(), desk.worker()];
    let (one, other) = tokio::join!(workers[0].work_until_idle(), workers[1].work_until_idle());
    assert!(one.is_ok() && other.is_ok());
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(times(&system.notes(&ticket).await, "The parcel is late."), 1);
    assert_eq!(system.route(&ticket).await.2, "shipping");
}

pub async fn a_check_writes_a_note_finds_it_and_says_what_is_wrong(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let outside = desk.helpdesk.clone().unwrap();
    let reference = format!("fd_check{ticket}");
    let checked = outside.check(Some(&ticket), &reference, START_MS).await;
    let wrong: Vec<_> = checked.iter().filter(|one| one.found.is_err()).collect();
    assert!(wrong.is_empty() && checked.len() > 3, "{checked:?}");
    assert!(times(&system.notes(&ticket).await, &reference) <= 1);
    let nowhere = outside.check(Some(system.nowhere()), &reference, START_MS).await;
    assert!(nowhere.iter().any(|one| one.found.is_err()), "{nowhere:?}");
}

/// All that can be told.
const TOLD: [Happened; 6] = [
    Happened::Created,
    Happened::CustomerWrote,
    Happened::HandedOver,
    Happened::Solved,
    Happened::CallEnded,
    Happened::Other,
];

pub async fn a_webhook_is_believed_only_from_the_helpdesk_and_only_now(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let outside = desk.helpdesk.clone().unwrap();
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let heard = |headers: &HeaderMap, body: &str, secret: &str| {
        outside.heard(&Told { headers, body: body.as_bytes(), secret: secret.as_bytes(), now_ms: START_MS })
    };
    let (secret, mut told) = (system.secret(), 0);
    for what in TOLD {
        let Some((headers, body)) = system.tells(what, &ticket, false, START_MS) else { continue };
        let one = heard(&headers, &body, &secret).unwrap();
        assert_eq!((one.what, one.ticket.as_str(), one.by_us), (what, ticket.as_str(), false));
        assert_eq!(heard(&headers, &body, &secret).unwrap(), one, "the same again is the same");
        assert_eq!(heard(&headers, &body, "another"), Err(NotHeard::Forged));
        assert_eq!(heard(&headers, &body, ""), Err(NotHeard::Forged));
        assert_eq!(heard(&HeaderMap::new(), &body, &secret), Err(NotHeard::Unsigned));
        // Who cannot sign cannot show that the body is theirs either.
        if system.signs() {
            assert_eq!(heard(&headers, &format!("{body} "), &secret), Err(NotHeard::Forged));
        }
        if system.signs_times() {
            let (old, body) = system.tells(what, &ticket, false, START_MS - 301_000).unwrap();
            assert_eq!(heard(&old, &body, &secret), Err(NotHeard::Late));
        }
        told += 1;
    }
    assert!(told >= 4);
}

pub async fn what_we_did_ourselves_is_told_apart(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let outside = desk.helpdesk.clone().unwrap();
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    for what in [Happened::CustomerWrote, Happened::Other] {
        let Some((headers, body)) = system.tells(what, &ticket, true, START_MS) else { continue };
        let secret = system.secret();
        let told = Told { headers: &headers, body: body.as_bytes(), secret: secret.as_bytes(), now_ms: START_MS };
        let heard = outside.heard(&told).unwrap();
        assert!(heard.by_us || heard.what == Happened::Other, "{heard:?}");
    }
}

pub async fn a_draft_of_its_own_goes_when_it_is_decided_and_a_persons_stays(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let Some(none) = system.drafts(&ticket).await else { return };
    assert_eq!(none, Vec::<String>::new());
    let review = drafted(&desk, &ticket, "It comes on Monday.").await;
    assert_eq!(times(&system.drafts(&ticket).await.unwrap(), "It comes on Monday."), 1);
    desk.act("lena", &review, no("tone")).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    assert_eq!(system.drafts(&ticket).await.unwrap(), Vec::<String>::new());
    let taken = system.ticket("Parcel", "Where is my other parcel?").await;
    system.agent_drafts(&taken, "A person's words.").await;
    let review = drafted(&desk, &taken, "It comes on Tuesday.").await;
    let drafts = system.drafts(&taken).await.unwrap();
    assert_eq!(times(&drafts, "A person's words."), 1, "{drafts:?}");
    desk.act("lena", &review, yes()).await.unwrap();
    desk.work_to_the_end(&desk.worker()).await;
    let (drafts, replies) = (system.drafts(&taken).await.unwrap(), system.replies(&taken).await);
    assert_eq!((times(&drafts, "A person's words."), times(&drafts, "Tuesday")), (1, 0), "{drafts:?}");
    assert_eq!(times(&replies, "It comes on Tuesday."), 1, "{replies:?}");
}

pub async fn what_was_not_told_can_be_asked_for(system: &dyn System) {
    let (desk, _) = desk_at(system).await;
    let outside = desk.helpdesk.clone().unwrap();
    let ticket = system.ticket("Parcel", "Where is my parcel?").await;
    let others = [system.ticket("One", "One?").await, system.ticket("Two", "Two?").await];
    summarised(&desk, &ticket, "sum", "The parcel is late.").await;
    desk.work_to_the_end(&desk.worker()).await;
    system.customer_writes(&ticket, "It is here already!").await;
    let Ok(happened) = outside.happened(desk.now_ms() - 600_000).await else { return };
    let of = |ticket: &str| -> Vec<Happened> {
        let heard = happened.iter().map(|one| &one.heard).filter(|heard| heard.ticket == ticket && !heard.by_us);
        heard.map(|heard| heard.what).collect()
    };
    assert!(of(&ticket).contains(&Happened::Created) && of(&ticket).contains(&Happened::CustomerWrote), "{happened:?}");
    assert!(others.iter().all(|other| of(other).contains(&Happened::Created)), "{happened:?}");
}
