//! A Zammad as its documentation describes it, for as long as a test runs: articles
//! that are public unless they say otherwise, and one shared draft a ticket that any
//! `PUT` writes over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Happened, Zammad};
use serde_json::{Value, json};

use super::standin::{Contract, Counter, headers, hex, http, names, serve, sha1};
use super::system::System;

const US: i64 = 7;
const ALICE: i64 = 22;
const ANN: i64 = 31;

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
    articles: Vec<Value>,
    tags: Vec<String>,
    draft: Option<Value>,
}

type Desks = State<Arc<Inner>>;

impl Desk {
    pub async fn open() -> Desk {
        let contract = Contract::of(include_str!("../data/helpdesks/zammad.json"));
        let inner = Arc::new(Inner { tickets: Mutex::default(), counter: Counter::new(), contract });
        let app = Router::new()
            .route("/api/v1/users/me", get(async || Json(json!({"id": US}))))
            .route("/api/v1/tickets/{id}", get(show).put(update))
            .route("/api/v1/tickets/{id}/shared_draft", get(draft).put(set_draft).delete(drop_draft))
            .route("/api/v1/ticket_articles", post(say))
            .route("/api/v1/ticket_articles/by_ticket/{id}", get(articles))
            .route("/api/v1/ticket_articles/{id}", delete(remove))
            .route("/api/v1/tags", get(tags))
            .route("/api/v1/tags/add", post(add_tag))
            .layer(from_fn(let_in))
            .with_state(Arc::clone(&inner));
        Desk { url: serve(app).await, inner }
    }
}

async fn let_in(request: Request, next: Next) -> Response {
    match request.headers().get("authorization").is_some_and(|token| token == "Token token=good") {
        true => next.run(request).await,
        false => refused(401),
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"error": "refused"}))).into_response()
}

impl Inner {
    fn add(&self, id: i64, who: i64, article: &Value) -> Value {
        let mut article = article.clone();
        article["id"] = json!(self.counter.next());
        article["ticket_id"] = json!(id);
        article["created_by_id"] = json!(who);
        article["created_at"] = json!(self.counter.now());
        article["sender"] = json!(if who == ANN { "Customer" } else { "Agent" });
        article["from"] = json!(if who == ANN { "Ann <ann@example.com>" } else { "Support" });
        // It is public unless it says otherwise.
        article["internal"] = json!(article["internal"] == true);
        self.tickets.lock().unwrap().get_mut(&id).unwrap().articles.push(article.clone());
        article
    }

    fn of<T>(&self, id: i64, read: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.tickets.lock().unwrap().get_mut(&id).map(read)
    }
}

fn answer(found: Option<Value>) -> Response {
    found.map_or_else(|| refused(404), |value| Json(value).into_response())
}

async fn show(State(inner): Desks, Path(id): Path<i64>) -> Response {
    answer(inner.of(id, |held| held.shown.clone()))
}

async fn update(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("update", &body);
    if body.get("group").is_some_and(|group| *group != "Support" && *group != "Logistics") {
        return refused(422);
    }
    let done = inner.of(id, |held| {
        for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "article") {
            held.shown[name] = value.clone();
        }
        held.shown.clone()
    });
    if body.get("article").is_some() {
        inner.add(id, US, &body["article"]);
    }
    answer(done)
}

async fn say(State(inner): Desks, Json(body): Json<Value>) -> Response {
    inner.contract.holds("article", &body);
    let id = body["ticket_id"].as_i64().unwrap();
    (StatusCode::CREATED, Json(inner.add(id, US, &body))).into_response()
}

async fn articles(State(inner): Desks, Path(id): Path<i64>) -> Response {
    answer(inner.of(id, |held| json!(held.articles)))
}

async fn remove(State(inner): Desks, Path(article): Path<i64>) -> Response {
    for held in inner.tickets.lock().unwrap().values_mut() {
        held.articles.retain(|one| one["id"] != article);
    }
    StatusCode::OK.into_response()
}

async fn tags(State(inner): Desks, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    answer(inner.of(asked["o_id"].parse().unwrap(), |held| json!({"tags": held.tags})))
}

async fn add_tag(State(inner): Desks, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tag", &body);
    let tag = body["item"].as_str().unwrap().to_owned();
    inner.of(body["o_id"].as_i64().unwrap(), |held| held.tags.push(tag));
    (StatusCode::CREATED, Json(json!(true))).into_response()
}

async fn draft(State(inner): Desks, Path(id): Path<i64>) -> Response {
    let shown = |held: &mut Held| match &held.draft {
        None => json!({"shared_draft_id": null, "assets": {}}),
        Some(draft) => json!({
            "shared_draft_id": draft["id"],
            "assets": {"TicketSharedDraftZoom": {draft["id"].to_string(): draft}},
        }),
    };
    answer(inner.of(id, shown))
}

impl Inner {
    fn put_draft(&self, id: i64, who: i64, body: &Value) {
        let number = self.counter.next();
        let draft = json!({"id": number, "updated_by_id": who, "new_article": body["new_article"]});
        self.of(id, |held| held.draft = Some(draft)).unwrap();
    }
}

async fn set_draft(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("draft", &body);
    inner.put_draft(id, US, &body);
    Json(json!({"shared_draft_id": 1})).into_response()
}

async fn drop_draft(State(inner): Desks, Path(id): Path<i64>) -> Response {
    answer(inner.of(id, |held| json!(held.draft.take().is_some())))
}

impl Desk {
    fn ours(&self, id: &str, internal: bool) -> Vec<Value> {
        let is_ours = |one: &&Value| one["created_by_id"] == US && one["internal"] == internal;
        let read = |held: &mut Held| held.articles.iter().filter(is_ours).cloned().collect();
        self.inner.of(id.parse().unwrap(), read).unwrap()
    }
}

fn text(one: &Value) -> String {
    one["body"].as_str().unwrap().to_owned()
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let http = http(url, Some(("authorization", "Token token=good")), clock);
        Arc::new(Zammad::new(http, names(US, "Logistics", "ai_intent")))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let shown = json!({
            "id": id, "title": subject, "group": "Support", "state": "open", "priority": "2 normal", "ai_intent": null,
        });
        let held = Held { shown, articles: Vec::new(), tags: Vec::new(), draft: None };
        self.inner.tickets.lock().unwrap().insert(id, held);
        self.customer_writes(&id.to_string(), words).await;
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        let body = format!("<div>{words}</div>");
        self.inner.add(id.parse().unwrap(), ANN, &json!({"body": body, "content_type": "text/html", "type": "email"}));
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        let note = json!({"body": words, "content_type": "text/plain", "type": "note", "internal": true});
        self.inner.add(id.parse().unwrap(), ALICE, &note);
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, true).iter().map(text).collect()
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        let mails = self.ours(id, false);
        assert!(mails.iter().all(|mail| mail["to"] == "Ann <ann@example.com>"), "{mails:?}");
        mails.iter().map(text).collect()
    }

    async fn drafts(&self, id: &str) -> Option<Vec<String>> {
        let draft = self.inner.of(id.parse().unwrap(), |held| held.draft.clone()).unwrap();
        Some(draft.iter().map(|draft| text(&draft["new_article"])).collect())
    }

    async fn agent_drafts(&self, id: &str, words: &str) {
        self.inner.put_draft(id.parse().unwrap(), ALICE, &json!({"new_article": {"body": words}}));
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        let content =
            |file: &Value| String::from_utf8(STANDARD.decode(file["data"].as_str().unwrap()).unwrap()).unwrap();
        let both = |file: &Value| (file["filename"].as_str().unwrap().to_owned(), content(file));
        let files = |one: &Value| one["attachments"].as_array().cloned().unwrap_or_default();
        self.ours(id, true).iter().flat_map(files).map(|file| both(&file)).collect()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let shown = self.inner.of(id.parse().unwrap(), |held| held.shown.clone()).unwrap();
        let word = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let priority = word("priority").split_once(' ').unwrap().1.to_owned();
        (word("group"), priority, word("ai_intent"))
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        self.inner.of(id.parse().unwrap(), |held| held.tags.clone()).unwrap()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, _: i64) -> Option<(HeaderMap, String)> {
        let id: i64 = ticket.parse().unwrap();
        let (who, sender) = if by_us { (US, "Agent") } else { (ANN, "Customer") };
        let article = |count: i64| {
            json!({
                "ticket": {"id": id, "article_count": count},
                "article": {"id": 9, "sender": sender, "internal": false, "created_by": {"id": who}},
            })
        };
        let user = if by_us { US } else { ALICE };
        let body = match what {
            Happened::Created => article(1),
            Happened::CustomerWrote => article(2),
            Happened::Other => json!({"ticket": {"id": id, "article_count": 2}, "article": {}}),
            what => json!({"frontdesk": what.word(), "ticket": id, "user": user}),
        }
        .to_string();
        let signature = format!("sha1={}", hex(&sha1(&[body.as_bytes()])));
        let delivery = format!("delivery-{}", self.inner.counter.next());
        Some((headers(&[("x-hub-signature", signature), ("x-zammad-delivery", delivery)]), body))
    }

    fn signs_times(&self) -> bool {
        false
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}
