//! A Help Scout as its documentation describes it, for as long as a test runs: pages of
//! threads in HTML, tags and fields that take the place of all, and a closed
//! conversation that opens when a thread comes without a status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::extract::{Form, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Happened, HelpScout, OauthClient};
use serde_json::{Value, json};

use super::standin::{Contract, Counter, base64, headers, http, names, serve, sha1};
use super::system::System;

const US: i64 = 7;
const ALICE: i64 = 22;
const ANN: i64 = 31;
const SUPPORT: i64 = 100;
const LOGISTICS: i64 = 101;
const INTENT: i64 = 900;
const PRIORITY: i64 = 901;
/// Threads of a page: few, so that there are several.
const PAGE: usize = 3;

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    conversations: Mutex<BTreeMap<i64, Held>>,
    counter: Counter,
    contract: Contract,
}

struct Held {
    shown: Value,
    threads: Vec<Value>,
    files: Vec<(String, String)>,
}

type Desks = State<Arc<Inner>>;

impl Desk {
    pub async fn open() -> Desk {
        let contract = Contract::of(include_str!("../data/helpdesks/helpscout.json"));
        let inner = Arc::new(Inner { conversations: Mutex::default(), counter: Counter::new(), contract });
        let app = Router::new()
            .route("/v2/users/me", get(async || Json(json!({"id": US}))))
            .route("/v2/mailboxes/{id}", get(async |Path(id): Path<i64>| Json(json!({"id": id}))))
            .route("/v2/conversations/{id}", get(show).patch(change))
            .route("/v2/conversations/{id}/threads", get(threads))
            .route("/v2/conversations/{id}/tags", put(tags))
            .route("/v2/conversations/{id}/fields", put(fields))
            .route("/v2/conversations/{id}/{verb}", post(say))
            .layer(from_fn(let_in))
            .route("/v2/oauth2/token", post(token))
            .with_state(Arc::clone(&inner));
        Desk { url: serve(app).await, inner }
    }
}

async fn token(Form(asked): Form<BTreeMap<String, String>>) -> Response {
    match asked["grant_type"] == "client_credentials" && asked["client_secret"] == "secret" {
        true => Json(json!({"access_token": "good", "token_type": "bearer", "expires_in": 172_800})).into_response(),
        false => refused(401),
    }
}

async fn let_in(request: Request, next: Next) -> Response {
    match request.headers().get("authorization").is_some_and(|token| token == "Bearer good") {
        true => next.run(request).await,
        false => refused(401),
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"message": "refused"}))).into_response()
}

impl Inner {
    fn of<T>(&self, id: i64, read: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.conversations.lock().unwrap().get_mut(&id).map(read)
    }

    fn add(&self, id: i64, kind: &str, who: (&str, i64), body: &str) -> Option<i64> {
        let number = self.counter.next();
        let thread = json!({
            "id": number, "type": kind, "state": "published", "body": body, "createdAt": self.counter.now(),
            "createdBy": {"type": who.0, "id": who.1},
        });
        self.of(id, |held| held.threads.push(thread)).map(|()| number)
    }
}

async fn show(State(inner): Desks, Path(id): Path<i64>) -> Response {
    inner.of(id, |held| held.shown.clone()).map_or_else(|| refused(404), |shown| Json(shown).into_response())
}

async fn threads(State(inner): Desks, Path(id): Path<i64>, Query(asked): Query<BTreeMap<String, usize>>) -> Response {
    let page = |held: &mut Held| {
        let part: Vec<Value> = held.threads.iter().skip((asked["page"] - 1) * PAGE).take(PAGE).cloned().collect();
        json!({"_embedded": {"threads": part}, "page": {"totalPages": held.threads.len().div_ceil(PAGE)}})
    };
    inner.of(id, page).map_or_else(|| refused(404), |page| Json(page).into_response())
}

async fn change(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("patch", &body);
    if body["path"] != "/mailboxId" || body["value"] != LOGISTICS {
        return refused(400);
    }
    inner.of(id, |held| held.shown["mailboxId"] = body["value"].clone());
    StatusCode::NO_CONTENT.into_response()
}

async fn tags(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tags", &body);
    let all = body["tags"].as_array().unwrap().iter().map(|tag| json!({"id": 1, "tag": tag})).collect::<Vec<_>>();
    inner.of(id, |held| held.shown["tags"] = json!(all));
    StatusCode::NO_CONTENT.into_response()
}

async fn fields(State(inner): Desks, Path(id): Path<i64>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("fields", &body);
    inner.of(id, |held| held.shown["customFields"] = body["fields"].clone());
    StatusCode::NO_CONTENT.into_response()
}

async fn say(State(inner): Desks, Path((id, verb)): Path<(i64, String)>, Json(body): Json<Value>) -> Response {
    let kind = if verb == "notes" { "note" } else { "reply" };
    inner.contract.holds(kind, &body);
    let status = body.get("status").cloned().unwrap_or(json!("active"));
    for file in body["attachments"].as_array().into_iter().flatten() {
        let content = String::from_utf8(STANDARD.decode(file["data"].as_str().unwrap()).unwrap()).unwrap();
        inner.of(id, |held| held.files.push((file["fileName"].as_str().unwrap().to_owned(), content)));
    }
    let kind = if kind == "note" { "note" } else { "message" };
    match inner.add(id, kind, ("user", US), body["text"].as_str().unwrap()) {
        None => refused(404),
        Some(number) => {
            inner.of(id, |held| held.shown["status"] = status);
            (StatusCode::CREATED, [("resource-id", number.to_string())]).into_response()
        }
    }
}

impl Desk {
    fn ours(&self, id: &str, kind: &str) -> Vec<String> {
        let is_ours = |one: &&Value| one["type"] == kind && one["createdBy"]["id"] == US;
        let text = |one: &Value| one["body"].as_str().unwrap().replace("<br>", "\n");
        self.inner.of(id.parse().unwrap(), |held| held.threads.iter().filter(is_ours).map(text).collect()).unwrap()
    }

    fn shown(&self, id: &str) -> Value {
        self.inner.of(id.parse().unwrap(), |held| held.shown.clone()).unwrap()
    }
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let client = OauthClient { id: "frontdesk".to_owned(), secret: "secret".to_owned() };
        let mut names = names(US, LOGISTICS, INTENT);
        names.fields.insert("priority".to_owned(), PRIORITY.to_string());
        Arc::new(HelpScout::new(http(url, None, clock.clone()), clock, client, names))
    }

    /// One that is closed: so it must stay.
    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = self.inner.counter.next();
        let shown = json!({
            "id": id, "subject": subject, "status": "closed", "mailboxId": SUPPORT, "primaryCustomer": {"id": ANN}, "tags": [],
            "customFields": [{"id": 999, "name": "Plan", "value": "gold"}],
        });
        let held = Held { shown, threads: Vec::new(), files: Vec::new() };
        self.inner.conversations.lock().unwrap().insert(id, held);
        self.customer_writes(&id.to_string(), words).await;
        id.to_string()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), "customer", ("customer", ANN), &format!("<p>{words}</p>"));
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.inner.add(id.parse().unwrap(), "note", ("user", ALICE), words);
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        assert_eq!(self.shown(id)["status"], "closed", "a note opens nothing");
        self.ours(id, "note")
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, "message")
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        self.inner.of(id.parse().unwrap(), |held| held.files.clone()).unwrap()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let shown = self.shown(id);
        let field = |id: i64| {
            let all = shown["customFields"].as_array().unwrap();
            all.iter()
                .find(|field| field["id"] == id)
                .map_or_else(String::new, |field| field["value"].as_str().unwrap().to_owned())
        };
        assert_eq!(field(999), "gold", "what was there stays");
        let mailbox = if shown["mailboxId"] == LOGISTICS { "Logistics" } else { "Support" };
        (mailbox.to_owned(), field(PRIORITY), field(INTENT))
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let tags = self.shown(id)["tags"].clone();
        tags.as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap().to_owned()).collect()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, _: i64) -> Option<(HeaderMap, String)> {
        let (event, status) = match what {
            Happened::Created => ("convo.created", "active"),
            Happened::CustomerWrote if by_us => ("convo.agent.reply.created", "active"),
            Happened::CustomerWrote => ("convo.customer.reply.created", "active"),
            Happened::HandedOver => ("convo.assigned", "active"),
            Happened::Solved => ("convo.status", "closed"),
            Happened::Other => ("convo.tags", "active"),
            Happened::CallEnded => return None,
        };
        let id: i64 = ticket.parse().unwrap();
        let body = json!({"id": id, "status": status, "number": self.inner.counter.next()}).to_string();
        let signature = base64(&sha1(&[body.as_bytes()]));
        Some((headers(&[("x-helpscout-signature", signature), ("x-helpscout-event", event.to_owned())]), body))
    }

    fn signs_times(&self) -> bool {
        false
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}
