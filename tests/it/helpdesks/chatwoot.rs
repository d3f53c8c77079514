//! A Chatwoot as its own description and source tell of it, for as long as a test
//! runs: labels are put in place of those there are, messages come by pages, and
//! each request's body is checked against the description.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{FromRequest as _, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Chatwoot, Connector, Happened};
use serde_json::{Value, json};

use super::standin::{self, Contract, Counter, headers, hex, http, names, serve, sha256};
use super::system::System;

const US: i64 = 7;
const ALICE: i64 = 22;
const LOGISTICS: i64 = 3;

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    conversations: Mutex<BTreeMap<i64, Held>>,
    counter: Counter,
    description: Contract,
}

struct Held {
    shown: Value,
    messages: Vec<Value>,
    files: Vec<(String, String)>,
}

type Asked = (State<Arc<Inner>>, Path<(i64, String)>, HeaderMap, Json<Value>);

impl Desk {
    pub async fn open() -> Desk {
        let description = Contract::of(include_str!("../data/helpdesks/chatwoot.json"));
        let inner = Arc::new(Inner { conversations: Mutex::default(), counter: Counter::new(), description });
        let base = "/api/v1/accounts/1/conversations/{id}";
        let app = Router::new()
            .route("/api/v1/profile", get(async || Json(json!({"id": US}))))
            .route("/api/v1/accounts/1/conversations", get(list))
            .route(base, get(show))
            .route(&format!("{base}/messages"), get(messages).post(say))
            .route(&format!("{base}/messages/{{message}}"), delete(remove))
            .route(&format!("{base}/{{verb}}"), post(set))
            .with_state(Arc::clone(&inner));
        let url = serve(app).await;
        Desk { url, inner }
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"error": "refused"}))).into_response()
}

impl Inner {
    fn add(&self, id: i64, kind: i64, who: Value, words: &str, private: bool) -> Value {
        let number = self.counter.next();
        let message = json!({
            "id": number, "content": words, "message_type": kind, "private": private, "sender": who,
            "created_at": self.counter.now_ms() / 1000,
        });
        self.conversations.lock().unwrap().get_mut(&id).unwrap().messages.push(message.clone());
        message
    }

    fn is_as_described(&self, verb: &str, body: &Value) {
        self.description.holds(verb, body);
        let known = |name: &String| matches!(name.as_str(), "content" | "message_type" | "private" | "content_type");
        let is_known = verb != "messages" || body.as_object().unwrap().keys().all(known);
        assert!(is_known && (verb != "messages" || body.get("private").is_some()), "{body}");
    }

    fn refuses(&self, id: i64, headers: &HeaderMap) -> Option<Response> {
        match headers.get("api_access_token").is_some_and(|token| token == "good") {
            false => Some(refused(401)),
            true if !self.conversations.lock().unwrap().contains_key(&id) => Some(refused(404)),
            true => None,
        }
    }
}

fn us() -> Value {
    json!({"id": US, "type": "user"})
}

async fn show(State(inner): State<Arc<Inner>>, Path(id): Path<i64>, headers: HeaderMap) -> Response {
    let refuses = inner.refuses(id, &headers);
    refuses.unwrap_or_else(|| Json(inner.conversations.lock().unwrap()[&id].shown.clone()).into_response())
}

/// Those with the latest activity first, two a page.
async fn list(State(inner): State<Arc<Inner>>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    assert_eq!((asked["status"].as_str(), asked["sort_by"].as_str()), ("all", "last_activity_at_desc"));
    let held = inner.conversations.lock().unwrap();
    let mut all: Vec<Value> = held
        .values()
        .map(|one| {
            let last = one.messages.iter().rfind(|said| said["message_type"] != 2).cloned();
            let active = one.messages.iter().map(|said| said["created_at"].as_i64().unwrap()).max();
            let mut shown = one.shown.clone();
            shown["created_at"] = one.messages[0]["created_at"].clone();
            shown["last_activity_at"] = json!(active);
            shown["last_non_activity_message"] = json!(last);
            shown
        })
        .collect();
    all.sort_by_key(|one| -one["last_activity_at"].as_i64().unwrap());
    let page: usize = asked["page"].parse().unwrap();
    let payload: Vec<Value> = all.into_iter().skip((page - 1) * 2).take(2).collect();
    Json(json!({"data": {"meta": {}, "payload": payload}})).into_response()
}

async fn messages(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<i64>,
    Query(asked): Query<BTreeMap<String, i64>>,
) -> Response {
    let held = inner.conversations.lock().unwrap();
    let later = held[&id].messages.iter().filter(|message| message["id"].as_i64().unwrap() > asked["after"]);
    let payload: Vec<Value> = later.take(100).cloned().collect();
    Json(json!({"meta": {}, "payload": payload})).into_response()
}

async fn say(State(inner): State<Arc<Inner>>, Path(id): Path<i64>, headers: HeaderMap, request: Request) -> Response {
    if let Some(refuses) = inner.refuses(id, &headers) {
        return refuses;
    }
    let is_form = headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("multipart/");
    if !is_form {
        let Json(body) = Json::<Value>::from_request(request, &()).await.unwrap();
        inner.is_as_described("messages", &body);
        let words = body["content"].as_str().unwrap();
        return Json(inner.add(id, 1, us(), words, body["private"] == true)).into_response();
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
    assert_eq!((given["private"].as_str(), given["message_type"].as_str()), ("true", "outgoing"));
    inner.conversations.lock().unwrap().get_mut(&id).unwrap().files.extend(file);
    Json(inner.add(id, 1, us(), &given["content"], true)).into_response()
}

async fn remove(State(inner): State<Arc<Inner>>, Path((id, message)): Path<(i64, i64)>) -> Response {
    let mut held = inner.conversations.lock().unwrap();
    held.get_mut(&id).unwrap().messages.retain(|one| one["id"] != message);
    StatusCode::OK.into_response()
}

async fn set((State(inner), Path((id, verb)), headers, Json(body)): Asked) -> Response {
    if let Some(refuses) = inner.refuses(id, &headers) {
        return refuses;
    }
    inner.is_as_described(&verb, &body);
    let mut held = inner.conversations.lock().unwrap();
    let shown = &mut held.get_mut(&id).unwrap().shown;
    match verb.as_str() {
        "toggle_priority" => shown["priority"] = body["priority"].clone(),
        "labels" => shown["labels"] = body["labels"].clone(),
        "custom_attributes" => shown["custom_attributes"] = body["custom_attributes"].clone(),
        "assignments" if body["team_id"] == LOGISTICS => shown["meta"]["team"] = json!({"id": LOGISTICS}),
        _ => return refused(422),
    }
    drop(held);
    // As Chatwoot tells everybody of a change.
    inner.add(id, 2, Value::Null, "Something was changed", false);
    Json(json!({})).into_response()
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let http = http(url, Some(("api_access_token", "good")), clock);
        Arc::new(Chatwoot::new(http, names(US, LOGISTICS, "ai_intent")))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let shown = json!({
            "id": id, "status": "open", "priority": null, "labels": [], "custom_attributes": {"vip": true},
            "additional_attributes": {"mail_subject": subject}, "meta": {"team": null},
        });
        let held = Held { shown, messages: Vec::new(), files: Vec::new() };
        self.inner.conversations.lock().unwrap().insert(id, held);
        self.customer_writes(&id.to_string(), words).await;
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), 0, json!({"id": 5, "type": "contact"}), words, false);
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), 1, json!({"id": ALICE, "type": "user"}), words, true);
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, true)
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, false)
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        self.inner.conversations.lock().unwrap()[&id.parse().unwrap()].files.clone()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let shown = self.inner.conversations.lock().unwrap()[&id.parse().unwrap()].shown.clone();
        assert_eq!(shown["custom_attributes"]["vip"], true, "what was there stays");
        let team = if shown["meta"]["team"]["id"] == LOGISTICS { "Logistics" } else { "Support" };
        let priority = shown["priority"].as_str().unwrap_or("normal");
        (team.to_owned(), priority.to_owned(), standin::shown(&shown["custom_attributes"]["ai_intent"]))
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let shown = self.inner.conversations.lock().unwrap()[&id.parse().unwrap()].shown.clone();
        shown["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned()).collect()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, now_ms: i64) -> Option<(HeaderMap, String)> {
        let id: i64 = ticket.parse().unwrap();
        let changed =
            |what: &str, from: Value, to: Value| json!([{what: {"previous_value": from, "current_value": to}}]);
        let body = match what {
            Happened::Created => json!({"event": "conversation_created", "id": id, "status": "open"}),
            Happened::CustomerWrote if by_us => json!({
                "event": "message_created", "message_type": "outgoing", "private": false, "sender": us(), "conversation": {"id": id},
            }),
            Happened::CustomerWrote => json!({
                "event": "message_created", "message_type": "incoming", "sender": {"id": 5}, "conversation": {"id": id},
            }),
            Happened::HandedOver => json!({
                "event": "conversation_status_changed", "id": id, "status": "open",
                "changed_attributes": changed("status", json!("pending"), json!("open")),
            }),
            Happened::Solved => json!({"event": "conversation_status_changed", "id": id, "status": "resolved"}),
            Happened::CallEnded => return None,
            Happened::Other => json!({
                "event": "conversation_updated", "id": id, "changed_attributes": changed("team_id", json!(null), json!(3)),
            }),
        };
        let (body, time) = (body.to_string(), (now_ms / 1000).to_string());
        let signature = format!("sha256={}", hex(&sha256(&[time.as_bytes(), b".", body.as_bytes()])));
        let delivery = format!("delivery-{}", self.inner.counter.next());
        let all =
            [("x-chatwoot-signature", signature), ("x-chatwoot-timestamp", time), ("x-chatwoot-delivery", delivery)];
        Some((headers(&all), body))
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}

impl Desk {
    fn ours(&self, id: &str, private: bool) -> Vec<String> {
        let held = self.inner.conversations.lock().unwrap();
        let is_ours = |one: &&Value| one["sender"]["id"] == US && one["private"] == private;
        let body = |one: &Value| one["content"].as_str().unwrap().to_owned();
        held[&id.parse().unwrap()].messages.iter().filter(is_ours).map(body).collect()
    }
}
