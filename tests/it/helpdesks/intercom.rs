//! An Intercom as its description tells of it, for as long as a test runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Happened, Intercom};
use serde_json::{Value, json};

use super::standin::{Contract, Counter, headers, hex, http, names, serve, sha1};
use super::system::System;

const US: &str = "7";
const LOGISTICS: &str = "101";

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    conversations: Mutex<BTreeMap<i64, Value>>,
    tags: Mutex<Vec<String>>,
    files: Mutex<Vec<(i64, String, String)>>,
    counter: Counter,
    contract: Contract,
}

type Desks = State<Arc<Inner>>;

impl Desk {
    pub async fn open() -> Desk {
        let inner = Arc::new(Inner {
            conversations: Mutex::default(),
            tags: Mutex::default(),
            files: Mutex::default(),
            counter: Counter::new(),
            contract: Contract::of(include_str!("../data/helpdesks/intercom.json")),
        });
        let app = Router::new()
            .route("/admins/{id}", get(async |Path(id): Path<String>| Json(json!({"type": "admin", "id": id}))))
            .route("/teams/{id}", get(async |Path(id): Path<String>| Json(json!({"type": "team", "id": id}))))
            .route("/tags", post(tag))
            .route("/conversations/{id}", get(show).put(update))
            .route("/conversations/{id}/reply", post(reply))
            .route("/conversations/{id}/parts", post(assign))
            .route("/conversations/{id}/tags", post(add_tag))
            .layer(from_fn(let_in))
            .with_state(Arc::clone(&inner));
        Desk { url: serve(app).await, inner }
    }
}

async fn let_in(request: Request, next: Next) -> Response {
    let is_good = [("authorization", "Bearer good"), ("intercom-version", "2.15")]
        .iter()
        .all(|(name, value)| request.headers().get(*name).is_some_and(|there| there == value));
    match is_good {
        true => next.run(request).await,
        false => refused(401),
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"type": "error.list", "errors": []}))).into_response()
}

/// As `display_as=plaintext` shows it.
fn plain(html: &str) -> String {
    let html = html.replace("<br>", "\n");
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(html, |html, (from, to)| html.replace(from, to))
}

impl Inner {
    fn of<T>(&self, id: i64, read: impl FnOnce(&mut Value) -> T) -> Option<T> {
        self.conversations.lock().unwrap().get_mut(&id).map(read)
    }

    fn add(&self, id: i64, kind: &str, who: (&str, &str), body: Value) -> Option<Value> {
        let part = json!({
            "type": "conversation_part", "id": self.counter.next().to_string(), "part_type": kind, "body": body,
            "author": {"type": who.0, "id": who.1}, "created_at": self.counter.now_ms() / 1000,
        });
        self.of(id, |shown| {
            shown["conversation_parts"]["conversation_parts"].as_array_mut().unwrap().push(part);
            shown.clone()
        })
    }
}

fn answer(found: Option<Value>) -> Response {
    found.map_or_else(|| refused(404), |value| Json(value).into_response())
}

async fn show(State(inner): Desks, Path(id): Path<i64>) -> Response {
    answer(inner.of(id, |shown| shown.clone()))
}

async fn update(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("update", &body);
    answer(inner.of(id, |shown| {
        for (name, value) in body["custom_attributes"].as_object().unwrap() {
            shown["custom_attributes"][name] = value.clone();
        }
        shown.clone()
    }))
}

async fn reply(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("reply", &body);
    for file in body["attachment_files"].as_array().into_iter().flatten() {
        let content = STANDARD.decode(file["data"].as_str().unwrap()).unwrap();
        let file = (id, file["name"].as_str().unwrap().to_owned(), String::from_utf8(content).unwrap());
        inner.files.lock().unwrap().push(file);
    }
    let words = plain(body["body"].as_str().unwrap());
    answer(inner.add(id, body["message_type"].as_str().unwrap(), ("admin", US), json!(words)))
}

async fn assign(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("parts", &body);
    if body["assignee_id"] != LOGISTICS {
        return refused(422);
    }
    inner.of(id, |shown| shown["team_assignee_id"] = json!(101));
    answer(inner.add(id, "assignment", ("admin", US), Value::Null))
}

async fn tag(State(inner): Desks, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tag", &body);
    let (mut tags, name) = (inner.tags.lock().unwrap(), body["name"].as_str().unwrap().to_owned());
    let at = tags.iter().position(|tag| *tag == name).unwrap_or_else(|| {
        tags.push(name.clone());
        tags.len() - 1
    });
    Json(json!({"type": "tag", "id": at.to_string(), "name": name})).into_response()
}

async fn add_tag(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tags", &body);
    let at: usize = body["id"].as_str().unwrap().parse().unwrap();
    let tag = json!({"id": body["id"], "name": inner.tags.lock().unwrap()[at]});
    answer(inner.of(id, |shown| {
        shown["tags"]["tags"].as_array_mut().unwrap().push(tag.clone());
        tag
    }))
}

impl Desk {
    fn ours(&self, id: &str, kind: &str) -> Vec<String> {
        let shown = self.inner.of(id.parse().unwrap(), |shown| shown.clone()).unwrap();
        let is_ours = |one: &&Value| one["part_type"] == kind && one["author"]["id"] == US;
        let parts = shown["conversation_parts"]["conversation_parts"].as_array().unwrap();
        parts.iter().filter(is_ours).map(|one| one["body"].as_str().unwrap().to_owned()).collect()
    }
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let mut names = names(US, LOGISTICS, "ai_intent");
        names.fields.insert("priority".to_owned(), "ai_priority".to_owned());
        Arc::new(Intercom::new(http(url, Some(("authorization", "Bearer good")), clock), names))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let shown = json!({
            "type": "conversation", "id": id.to_string(), "title": subject, "state": "open", "team_assignee_id": 100,
            "tags": {"tags": []}, "custom_attributes": {"vip": true}, "source": {"body": words},
            "conversation_parts": {"conversation_parts": []},
        });
        self.inner.conversations.lock().unwrap().insert(id, shown);
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), "comment", ("user", "u1"), json!(words));
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), "note", ("admin", "22"), json!(words));
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, "note")
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, "comment")
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        let (id, files): (i64, _) = (id.parse().unwrap(), self.inner.files.lock().unwrap());
        files.iter().filter(|file| file.0 == id).map(|file| (file.1.clone(), file.2.clone())).collect()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let shown = self.inner.of(id.parse().unwrap(), |shown| shown.clone()).unwrap();
        let attribute = |name: &str| shown["custom_attributes"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(shown["custom_attributes"]["vip"], true, "what was there stays");
        let team = if shown["team_assignee_id"] == 101 { "Logistics" } else { "Support" };
        (team.to_owned(), attribute("ai_priority"), attribute("ai_intent"))
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let tags = self.inner.of(id.parse().unwrap(), |shown| shown["tags"]["tags"].clone()).unwrap();
        tags.as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, _: i64) -> Option<(HeaderMap, String)> {
        let topic = match what {
            Happened::Created => "conversation.user.created",
            Happened::CustomerWrote if by_us => "conversation.admin.replied",
            Happened::CustomerWrote => "conversation.user.replied",
            Happened::Solved => "conversation.admin.closed",
            Happened::Other => "conversation.admin.noted",
            Happened::HandedOver | Happened::CallEnded => return None,
        };
        let id = format!("notif_{}", self.inner.counter.next());
        let item = json!({"type": "conversation", "id": ticket});
        let body = json!({"type": "notification_event", "id": id, "topic": topic, "data": {"item": item}}).to_string();
        Some((headers(&[("x-hub-signature", format!("sha1={}", hex(&sha1(&[body.as_bytes()]))))]), body))
    }

    fn signs_times(&self) -> bool {
        false
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}
