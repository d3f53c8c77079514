//! A Zendesk as its documentation describes it, for as long as a test runs. It
//! remembers what it was told, checks each request against the contract, changes
//! nothing for whoever read an older state, and takes tags as they come: all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use frontdesk::clock::{Clock, rfc3339};
use frontdesk::helpdesk::{Connector, Happened, OauthClient, Zendesk};
use serde_json::{Map, Value, json};

use super::standin::{Contract, Counter, base64, headers, http, names, serve, sha256};
use super::system::System;

const US: i64 = 7;
const ANN: i64 = 21;
const ALICE: i64 = 22;
const SUPPORT: i64 = 100;
const LOGISTICS: i64 = 101;
const INTENT: i64 = 9001;
/// Items of a page: few, so that there are several.
const PAGE: usize = 3;

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    tickets: Mutex<BTreeMap<i64, Held>>,
    counter: Counter,
    uploads: Mutex<BTreeMap<String, (String, String)>>,
    contract: Contract,
}

#[derive(Default)]
struct Held {
    fields: Map<String, Value>,
    comments: Vec<Value>,
    audits: Vec<Value>,
}

impl Desk {
    pub async fn open() -> Desk {
        let inner = Arc::new(Inner {
            tickets: Mutex::default(),
            counter: Counter::new(),
            uploads: Mutex::default(),
            contract: Contract::of(include_str!("../data/helpdesks/zendesk.json")),
        });
        let app = Router::new()
            .route("/oauth/tokens", post(token))
            .route("/api/v2/tickets/{id}", get(show).put(update))
            .route("/api/v2/tickets/{id}/comments", get(comments))
            .route("/api/v2/tickets/{id}/audits", get(audits))
            .route("/api/v2/uploads", post(upload))
            .with_state(Arc::clone(&inner));
        let url = serve(app).await;
        Desk { url, inner }
    }
}

impl Inner {
    /// A change by somebody: what it sets, and what it says.
    fn change(&self, id: i64, who: i64, set: &Map<String, Value>) -> Value {
        let (at, mut events) = (self.counter.now(), Vec::new());
        let mut tickets = self.tickets.lock().unwrap();
        let held = tickets.get_mut(&id).unwrap();
        for (name, value) in set {
            match name.as_str() {
                "comment" => {
                    let comment = self.counter.next();
                    let files: Vec<Value> = value["uploads"].as_array().cloned().unwrap_or_default();
                    held.comments.push(json!({
                        "id": comment, "type": "Comment", "author_id": who, "body": value["body"], "plain_body": value["body"],
                        "public": value["public"], "attachments": files, "created_at": at,
                    }));
                    events.push(json!({"id": comment, "type": "Comment", "public": value["public"]}));
                }
                "custom_fields" => set_fields(&mut held.fields, value),
                "safe_update" | "updated_stamp" | "metadata" => {}
                _ => {
                    held.fields.insert(name.clone(), value.clone());
                    events
                        .push(json!({"id": self.counter.next(), "type": "Change", "field_name": name, "value": value}));
                }
            }
        }
        held.fields.insert("updated_at".to_owned(), json!(at));
        let audit =
            json!({"id": self.counter.next(), "ticket_id": id, "author_id": who, "created_at": at, "events": events});
        held.audits.push(audit.clone());
        audit
    }

    fn of(&self, id: i64, read: impl Fn(&Held) -> Value) -> Value {
        read(&self.tickets.lock().unwrap()[&id])
    }
}

fn set_fields(fields: &mut Map<String, Value>, given: &Value) {
    for one in given.as_array().unwrap() {
        for there in fields["custom_fields"].as_array_mut().unwrap() {
            if there["id"] == one["id"] {
                there["value"] = one["value"].clone();
            }
        }
    }
}

fn refused(status: u16, code: &str) -> Response {
    let body = json!({"error": code, "description": "refused"});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn is_let_in(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == "Bearer good")
}

async fn token(Json(asked): Json<Value>) -> Response {
    match asked["grant_type"] == "client_credentials" && asked["client_secret"] == "secret" {
        true => Json(json!({"access_token": "good", "token_type": "bearer", "expires_in": 3600})).into_response(),
        false => refused(401, "invalid_client"),
    }
}

async fn show(State(inner): State<Arc<Inner>>, Path(id): Path<i64>, headers: HeaderMap) -> Response {
    match (is_let_in(&headers), inner.tickets.lock().unwrap().get(&id)) {
        (false, _) => refused(401, "Unauthorized"),
        (_, None) => refused(404, "RecordNotFound"),
        (_, Some(held)) => Json(json!({"ticket": held.fields})).into_response(),
    }
}

async fn update(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    inner.contract.holds("update", &body);
    let ticket = body["ticket"].as_object().unwrap();
    let stamp = match inner.tickets.lock().unwrap().get(&id) {
        _ if !is_let_in(&headers) => return refused(401, "Unauthorized"),
        None => return refused(404, "RecordNotFound"),
        Some(held) => held.fields["updated_at"].clone(),
    };
    if ticket.get("safe_update") == Some(&json!(true)) && ticket.get("updated_stamp") != Some(&stamp) {
        return refused(409, "UpdateConflict");
    }
    if ticket.get("group_id").is_some_and(|group| *group != SUPPORT && *group != LOGISTICS) {
        return refused(422, "RecordInvalid");
    }
    let audit = inner.change(id, US, ticket);
    Json(json!({"ticket": inner.of(id, |held| json!(held.fields)), "audit": audit})).into_response()
}

fn page(all: &[Value], name: &str, asked: &BTreeMap<String, String>) -> Value {
    let from: usize = asked.get("page[after]").map_or(0, |after| after.parse().unwrap());
    let some: Vec<Value> = all.iter().skip(from).take(PAGE).cloned().collect();
    let next = from + some.len();
    json!({name: some, "meta": {"has_more": next < all.len(), "after_cursor": next.to_string()},
           "users": [{"id": ANN, "role": "end-user"}, {"id": ALICE, "role": "agent"}, {"id": US, "role": "agent"}]})
}

async fn comments(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<i64>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    Json(inner.of(id, |held| page(&held.comments, "comments", &asked))).into_response()
}

async fn audits(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<i64>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    Json(inner.of(id, |held| page(&held.audits, "audits", &asked))).into_response()
}

async fn upload(
    State(inner): State<Arc<Inner>>,
    Query(asked): Query<BTreeMap<String, String>>,
    content: Bytes,
) -> Response {
    let token = format!("upload-{}", inner.counter.next());
    let content = String::from_utf8(content.to_vec()).unwrap();
    inner.uploads.lock().unwrap().insert(token.clone(), (asked["filename"].clone(), content));
    (StatusCode::CREATED, Json(json!({"upload": {"token": token}}))).into_response()
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let client = OauthClient { id: "frontdesk".to_owned(), secret: "secret".to_owned() };
        Arc::new(Zendesk::new(http(url, None, clock.clone()), clock, client, names(US, LOGISTICS, INTENT)))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let fields = json!({
            "id": id, "subject": subject, "status": "open", "priority": "normal", "group_id": SUPPORT, "requester_id": ANN,
            "tags": [], "custom_fields": [{"id": INTENT, "value": null}], "updated_at": self.inner.counter.now(),
        });
        let held = Held { fields: fields.as_object().unwrap().clone(), ..Held::default() };
        self.inner.tickets.lock().unwrap().insert(id, held);
        self.customer_writes(&id.to_string(), words).await;
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        let said = json!({"comment": {"body": words, "public": true}});
        self.inner.change(id.parse().unwrap(), ANN, said.as_object().unwrap());
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        let said = json!({"comment": {"body": words, "public": false}});
        self.inner.change(id.parse().unwrap(), ALICE, said.as_object().unwrap());
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, false)
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, true)
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        let uploads = self.inner.uploads.lock().unwrap();
        let held = self.inner.of(id.parse().unwrap(), |held| json!(held.comments));
        let tokens = held.as_array().unwrap().iter().flat_map(|one| one["attachments"].as_array().unwrap().clone());
        tokens.map(|token| uploads[token.as_str().unwrap()].clone()).collect()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let ticket = self.inner.of(id.parse().unwrap(), |held| json!(held.fields));
        let group = if ticket["group_id"] == LOGISTICS { "Logistics" } else { "Support" };
        let intent = ticket["custom_fields"][0]["value"].as_str().unwrap_or_default();
        (group.to_owned(), ticket["priority"].as_str().unwrap().to_owned(), intent.to_owned())
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let tags = self.inner.of(id.parse().unwrap(), |held| held.fields["tags"].clone());
        tags.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, now_ms: i64) -> Option<(HeaderMap, String)> {
        let (kind, event) = match what {
            Happened::Created => ("ticket.created", json!({})),
            Happened::CustomerWrote => {
                ("ticket.comment_added", json!({"comment": {"is_public": true, "author": {"is_staff": false}}}))
            }
            Happened::HandedOver => ("ticket.agent_assignment_changed", json!({"current": "22", "previous": null})),
            Happened::Solved => ("ticket.status_changed", json!({"current": "SOLVED", "previous": "OPEN"})),
            Happened::CallEnded => return None,
            Happened::Other => ("ticket.priority_changed", json!({"current": "HIGH", "previous": null})),
        };
        let actor = if by_us { US } else { ALICE };
        let body = json!({
            "account_id": 1, "id": format!("evt-{}", self.inner.counter.next()), "subject": format!("zen:ticket:{ticket}"),
            "type": format!("zen:event-type:{kind}"), "zendesk_event_version": "2022-11-06", "time": rfc3339(now_ms),
            "detail": {"id": ticket, "actor_id": actor.to_string()}, "event": event,
        })
        .to_string();
        let time = rfc3339(now_ms);
        let signature = base64(&sha256(&[time.as_bytes(), body.as_bytes()]));
        let all = [("x-zendesk-webhook-signature", signature), ("x-zendesk-webhook-signature-timestamp", time)];
        Some((headers(&all), body))
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}

impl Desk {
    fn ours(&self, id: &str, public: bool) -> Vec<String> {
        let held = self.inner.of(id.parse().unwrap(), |held| json!(held.comments));
        let is_ours = |one: &&Value| one["author_id"] == US && one["public"] == public;
        let body = |one: &Value| one["body"].as_str().unwrap().to_owned();
        held.as_array().unwrap().iter().filter(is_ours).map(body).collect()
    }
}
