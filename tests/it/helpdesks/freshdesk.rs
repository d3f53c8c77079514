//! A Freshdesk as its documentation describes it, for as long as a test runs: notes
//! and replies in HTML, pages, tags that take the place of all there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{FromRequest as _, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Freshdesk, Happened};
use serde_json::{Value, json};

use super::standin::{Contract, Counter, SECRET, base64, headers, http, names, serve};
use super::system::System;

const US: i64 = 7;
const ALICE: i64 = 22;
const ANN: i64 = 31;
const SUPPORT: i64 = 100;
const LOGISTICS: i64 = 101;

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    tickets: Mutex<BTreeMap<i64, Held>>,
    counter: Counter,
    contract: Contract,
}

struct Held {
    shown: Value,
    said: Vec<Value>,
    files: Vec<(String, String)>,
}

type Desks = State<Arc<Inner>>;

impl Desk {
    pub async fn open() -> Desk {
        let contract = Contract::of(include_str!("../data/helpdesks/freshdesk.json"));
        let inner = Arc::new(Inner { tickets: Mutex::default(), counter: Counter::new(), contract });
        let app = Router::new()
            .route("/api/v2/agents/me", get(async || Json(json!({"id": US}))))
            .route("/api/v2/tickets/{id}", get(show).put(update))
            .route("/api/v2/tickets/{id}/conversations", get(said))
            .route("/api/v2/tickets/{id}/notes", post(note))
            .route("/api/v2/tickets/{id}/reply", post(reply))
            .route("/api/v2/conversations/{id}", delete(remove))
            .layer(from_fn(let_in))
            .with_state(Arc::clone(&inner));
        Desk { url: serve(app).await, inner }
    }
}

async fn let_in(request: Request, next: Next) -> Response {
    let good = format!("Basic {}", base64(b"good:X"));
    match request.headers().get("authorization").is_some_and(|token| token == good.as_str()) {
        true => next.run(request).await,
        false => refused(401),
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"code": "refused"}))).into_response()
}

/// What shows when the markup is taken away, as Freshdesk itself tells it.
fn shown(html: &str) -> String {
    let html = html.replace("<br>", "\n");
    ["&lt;", "&gt;", "&quot;", "&#39;", "&amp;"]
        .iter()
        .zip(["<", ">", "\"", "'", "&"])
        .fold(html, |html, (from, to)| html.replace(from, to))
}

impl Inner {
    fn of<T>(&self, id: i64, read: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.tickets.lock().unwrap().get_mut(&id).map(read)
    }

    fn add(&self, id: i64, who: i64, body: &str, private: bool) -> Option<Value> {
        let said = json!({
            "id": self.counter.next(), "body": format!("<div>{body}</div>"), "body_text": shown(body), "private": private,
            "incoming": who == ANN, "user_id": who, "created_at": self.counter.now(),
        });
        self.of(id, |held| {
            held.said.push(said.clone());
            said
        })
    }
}

fn made(said: Option<Value>) -> Response {
    said.map_or_else(|| refused(404), |said| (StatusCode::CREATED, Json(said)).into_response())
}

async fn show(State(inner): Desks, Path(id): Path<i64>) -> Response {
    inner.of(id, |held| held.shown.clone()).map_or_else(|| refused(404), |shown| Json(shown).into_response())
}

/// A page of them.
async fn said(State(inner): Desks, Path(id): Path<i64>, Query(asked): Query<BTreeMap<String, usize>>) -> Response {
    let page = |held: &mut Held| {
        let part = held.said.iter().skip((asked["page"] - 1) * asked["per_page"]).take(asked["per_page"]);
        json!(part.cloned().collect::<Vec<_>>())
    };
    inner.of(id, page).map_or_else(|| refused(404), |page| Json(page).into_response())
}

async fn update(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("update", &body);
    if body.get("group_id").is_some_and(|group| *group != SUPPORT && *group != LOGISTICS) {
        return refused(400);
    }
    let done = inner.of(id, |held| {
        for (name, value) in body.as_object().unwrap() {
            match name.as_str() {
                "custom_fields" => {
                    for (field, value) in value.as_object().unwrap() {
                        held.shown["custom_fields"][field] = value.clone();
                    }
                }
                name => held.shown[name] = value.clone(),
            }
        }
        held.shown.clone()
    });
    done.map_or_else(|| refused(404), |shown| Json(shown).into_response())
}

async fn note(State(inner): Desks, Path(id): Path<i64>, request: Request) -> Response {
    if !request.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("multipart/") {
        let Json(body) = Json::<Value>::from_request(request, &()).await.unwrap();
        inner.contract.holds("note", &body);
        return made(inner.add(id, US, body["body"].as_str().unwrap(), body["private"] == true));
    }
    let mut form = Multipart::from_request(request, &()).await.unwrap();
    let (mut given, mut file) = (BTreeMap::new(), None);
    while let Some(part) = form.next_field().await.unwrap() {
        let name = part.name().unwrap().to_owned();
        match part.file_name().map(str::to_owned) {
            Some(file_name) => file = Some((file_name, part.text().await.unwrap())),
            None => drop(given.insert(name, part.text().await.unwrap())),
        }
    }
    assert_eq!(given["private"], "true");
    inner.of(id, |held| held.files.extend(file));
    made(inner.add(id, US, &given["body"], true))
}

async fn reply(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("reply", &body);
    made(inner.add(id, US, body["body"].as_str().unwrap(), false))
}

async fn remove(State(inner): Desks, Path(said): Path<i64>) -> Response {
    for held in inner.tickets.lock().unwrap().values_mut() {
        held.said.retain(|one| one["id"] != said);
    }
    StatusCode::NO_CONTENT.into_response()
}

impl Desk {
    fn ours(&self, id: &str, private: bool) -> Vec<String> {
        let is_ours = |one: &&Value| one["user_id"] == US && one["private"] == private;
        let text = |one: &Value| one["body_text"].as_str().unwrap().to_owned();
        self.inner.of(id.parse().unwrap(), |held| held.said.iter().filter(is_ours).map(text).collect()).unwrap()
    }
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let basic = format!("Basic {}", base64(b"good:X"));
        let http = http(url, Some(("authorization", &basic)), clock);
        Arc::new(Freshdesk::new(http, names(US, LOGISTICS, "cf_ai_intent")))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let shown = json!({
            "id": id, "subject": subject, "description_text": words, "status": 2, "priority": 2, "group_id": SUPPORT,
            "tags": [], "custom_fields": {"cf_ai_intent": null},
        });
        let held = Held { shown, said: Vec::new(), files: Vec::new() };
        self.inner.tickets.lock().unwrap().insert(id, held);
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), ANN, words, false);
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), ALICE, words, true);
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, true)
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, false)
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        self.inner.of(id.parse().unwrap(), |held| held.files.clone()).unwrap()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let shown = self.inner.of(id.parse().unwrap(), |held| held.shown.clone()).unwrap();
        let group = if shown["group_id"] == LOGISTICS { "Logistics" } else { "Support" };
        let priority = ["low", "normal", "high", "urgent"][shown["priority"].as_u64().unwrap() as usize - 1];
        let intent = shown["custom_fields"]["cf_ai_intent"].as_str().unwrap_or_default();
        (group.to_owned(), priority.to_owned(), intent.to_owned())
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let tags = self.inner.of(id.parse().unwrap(), |held| held.shown["tags"].clone()).unwrap();
        tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    /// What the rules of docs/helpdesks.md send.
    fn tells(&self, what: Happened, ticket: &str, by_us: bool, _: i64) -> Option<(HeaderMap, String)> {
        let user = if by_us { US } else { ALICE };
        let body = json!({"frontdesk": what.word(), "ticket": ticket, "user": user.to_string()}).to_string();
        Some((headers(&[("x-frontdesk-token", SECRET.to_owned())]), body))
    }

    fn signs(&self) -> bool {
        false
    }

    fn signs_times(&self) -> bool {
        false
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}
