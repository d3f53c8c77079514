//! What a helpdesk tells, over the wire, and the work that begins by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Happened, Outside};
use frontdesk::hooks::{self, Hooks};
use frontdesk::store::Starts;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::standin::SECRET;
use super::system::System;
use super::{chatwoot, zendesk};
use crate::fake_openai::{completed, to};
use crate::harness::{PATIENCE, TestDesk};

const SETTLE_MS: i64 = 20_000;

fn starts() -> Starts {
    let workflows = [("created", "classification"), ("handed_over", "summary"), ("solved", "quality_check")];
    Starts {
        project: "default".to_owned(),
        workflows: workflows.into_iter().map(|(what, workflow)| (what, workflow.to_owned())).collect(),
        redrafts: Some("customer_wrote"),
        settle_ms: SETTLE_MS,
        per_ticket: 3,
        per_hour: 5,
        tokens_a_day: None,
        patience: PATIENCE,
    }
}

/// A desk that hears from a helpdesk.
struct Hearing {
    desk: TestDesk,
    system: Box<dyn System>,
    hooks: Arc<Hooks>,
}

impl Hearing {
    async fn of(system: Box<dyn System>, starts: Starts) -> Hearing {
        let mut desk = TestDesk::open().await;
        let clock = Clock::Hand(desk.clock.clone());
        let outside = Outside::new(system.connector(&system.url(), clock.clone()));
        desk.helpdesk = Some(outside.clone());
        let secret = SECRET.as_bytes().to_vec();
        let hooks = Hooks::new(desk.store.clone(), clock, outside, secret, starts, Arc::clone(&desk.metrics));
        Hearing { desk, system, hooks }
    }

    async fn at_zendesk(starts: Starts) -> Hearing {
        Hearing::of(Box::new(zendesk::Desk::open().await), starts).await
    }

    async fn post(&self, headers: &HeaderMap, body: &str) -> StatusCode {
        let mut request = Request::post("/webhooks/helpdesk").body(Body::from(body.to_owned())).unwrap();
        *request.headers_mut() = headers.clone();
        hooks::router(Arc::clone(&self.hooks)).oneshot(request).await.unwrap().status()
    }

    async fn tell(&self, what: Happened, ticket: &str, by_us: bool) {
        let (headers, body) = self.system.tells(what, ticket, by_us, self.desk.now_ms()).unwrap();
        assert_eq!(self.post(&headers, &body).await, StatusCode::OK);
        self.desk.clock.advance(1);
    }

    /// What became of all that was told, the oldest first.
    async fn became(&self) -> Vec<String> {
        let mut heard = self.desk.store.heard(100).await.unwrap();
        heard.reverse();
        heard.into_iter().map(|one| one.became).collect()
    }

    /// The workflows and tickets that OpenAI has been asked about, in turn.
    fn asked(&self) -> Vec<(String, String)> {
        let started = self.desk.openai.started();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = started.iter().map(|one| &one["metadata"]);
        asked.map(|metadata| (text(&metadata["workflow"]), text(&metadata["ticket_id"]))).collect()
    }

    async fn settles(&self) {
        self.desk.clock.advance(SETTLE_MS);
        self.desk.work().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_ticket_is_classified_once_however_often_it_is_told() {
    let hearing = Hearing::at_zendesk(starts()).await;
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    let (headers, body) = hearing.system.tells(Happened::Created, &ticket, false, hearing.desk.now_ms()).unwrap();
    let all = [(); 4].map(|()| hearing.post(&headers, &body));
    assert_eq!(futures_util::future::join_all(all).await, [StatusCode::OK; 4]);
    assert_eq!(hearing.became().await, ["starts"]);
    hearing.desk.work().await;
    assert_eq!(hearing.asked(), [], "the ticket may not be whole yet");
    hearing.settles().await;
    assert_eq!(hearing.asked(), [("classification".to_owned(), ticket.clone())]);
    assert_eq!(hearing.post(&headers, &body).await, StatusCode::OK);
    hearing.settles().await;
    assert_eq!(hearing.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_while_work_waits_makes_it_wait_and_not_begin_twice() {
    let hearing = Hearing::at_zendesk(starts()).await;
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    for _ in 0..3 {
        hearing.tell(Happened::HandedOver, &ticket, false).await;
        hearing.desk.clock.advance(SETTLE_MS - 2);
        hearing.desk.work().await;
    }
    assert_eq!((hearing.became().await.concat(), hearing.asked().len()), ("startsjoinsjoins".to_owned(), 0));
    hearing.settles().await;
    assert_eq!(hearing.asked(), [("summary".to_owned(), ticket.clone())]);
    // It does not wait for ever for a ticket that never settles.
    for _ in 0..20 {
        hearing.tell(Happened::HandedOver, &ticket, false).await;
        hearing.desk.clock.advance(SETTLE_MS - 2);
        hearing.desk.work().await;
    }
    assert!(hearing.asked().len() >= 2);
    hearing.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_changes_strangers_and_what_nobody_asked_for_start_nothing() {
    let hearing = Hearing::at_zendesk(starts()).await;
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    hearing.tell(Happened::Solved, &ticket, true).await;
    hearing.tell(Happened::Other, &ticket, false).await;
    hearing.tell(Happened::CustomerWrote, &ticket, false).await;
    assert_eq!(hearing.became().await, ["ours", "nothing", "nothing"]);
    let (headers, body) = hearing.system.tells(Happened::Solved, &ticket, false, hearing.desk.now_ms()).unwrap();
    assert_eq!(hearing.post(&headers, &body.replace("SOLVED", "CLOSED")).await, StatusCode::BAD_REQUEST);
    assert_eq!(hearing.post(&HeaderMap::new(), "{}").await, StatusCode::BAD_REQUEST);
    hearing.desk.clock.advance(301_000);
    assert_eq!(hearing.post(&headers, &body).await, StatusCode::BAD_REQUEST);
    assert_eq!(hearing.became().await.len(), 3);
    hearing.settles().await;
    assert_eq!(hearing.asked(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_limits_starts_nothing_and_a_person_is_told() {
    let mut hearing = Hearing::at_zendesk(starts()).await;
    // What is started does not end, though hours go by.
    hearing.desk.is_spoiled();
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    for _ in 0..4 {
        hearing.tell(Happened::Solved, &ticket, false).await;
        hearing.settles().await;
    }
    assert_eq!(hearing.became().await, ["starts", "starts", "starts", "capped"]);
    let told = hearing.desk.alerts_about("default").await;
    assert!(told.contains(&"starts_capped".to_owned()), "{told:?}");
    for name in ["One", "Two", "Three"] {
        let other = hearing.system.ticket(name, "And my parcel?").await;
        hearing.tell(Happened::Created, &other, false).await;
    }
    assert_eq!(hearing.became().await[4..], ["starts", "starts", "capped"]);
    hearing.desk.clock.advance(3_600_000);
    hearing.tell(Happened::Solved, &ticket, false).await;
    assert_eq!(hearing.became().await[7..], ["starts"]);
    assert!(!hearing.desk.alerts_about("default").await.contains(&"starts_capped".to_owned()));
    hearing.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_of_tokens_holds_for_a_day() {
    let mut hearing = Hearing::at_zendesk(Starts { tokens_a_day: Some(1_000), ..starts() }).await;
    // What is started does not end, though a day goes by.
    hearing.desk.is_spoiled();
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    hearing.tell(Happened::Solved, &ticket, false).await;
    hearing.settles().await;
    hearing
        .desk
        .sql()
        .execute("INSERT INTO tallies (name, shard, count) VALUES ('tokens/summary/in', 0, 1000)", [])
        .unwrap();
    hearing.tell(Happened::Solved, &ticket, false).await;
    hearing.desk.clock.advance(86_400_000);
    hearing.tell(Happened::Solved, &ticket, false).await;
    assert_eq!(hearing.became().await, ["starts", "capped", "starts"]);
    hearing.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_writes_while_a_draft_waits_gets_a_new_one() {
    let hearing = Hearing::at_zendesk(starts()).await;
    let (desk, ticket) = (&hearing.desk, hearing.system.ticket("Parcel", "Where is my parcel?").await);
    let output = json!({"reply": "It comes on Monday.", "confidence": 0.99, "topics": []}).to_string();
    desk.openai.put(&completed("resp_d", &output, &to(&ticket, "draft_reply")));
    desk.tell("resp_d").await;
    desk.work().await;
    hearing.system.customer_writes(&ticket, "It is here already!").await;
    hearing.tell(Happened::CustomerWrote, &ticket, false).await;
    let review = desk.reviews_of("resp_d").await.remove(0);
    assert_eq!((review.state.as_str(), hearing.became().await), ("stale", vec!["starts".to_owned()]));
    hearing.settles().await;
    assert_eq!(hearing.asked(), [("draft_reply".to_owned(), ticket)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_chatwoot_told_nobody_is_asked_for_and_starts_once() {
    let hearing = Hearing::of(Box::new(chatwoot::Desk::open().await), starts()).await;
    // The stand-in's time is later than a test's.
    hearing.desk.clock.advance(30 * 86_400_000);
    let old = hearing.system.ticket("Old", "Where was my parcel?").await;
    hearing.desk.clock.advance(3_600_000);
    hearing.hooks.ask().await;
    assert_eq!(hearing.became().await, Vec::<String>::new(), "work begins with what happens from then on");
    hearing.desk.store.set_helpdesk_asked(hearing.desk.now_ms() - 3_600_000).await.unwrap();
    let ticket = hearing.system.ticket("Parcel", "Where is my parcel?").await;
    hearing.hooks.ask().await;
    hearing.hooks.ask().await;
    hearing.settles().await;
    hearing.hooks.ask().await;
    hearing.settles().await;
    let asked: BTreeMap<String, usize> = hearing.asked().into_iter().fold(BTreeMap::new(), |mut all, (_, ticket)| {
        *all.entry(ticket).or_default() += 1;
        all
    });
    assert!(asked.get(&ticket) == Some(&1) && asked.get(&old).is_none_or(|times| *times == 1), "{asked:?}");
}
