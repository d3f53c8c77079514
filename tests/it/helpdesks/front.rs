//! A Front as its documentation describes it, for as long as a test runs: pages with a
//! mark, drafts with a version, custom fields that take the place of all.

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
use frontdesk::helpdesk::{Connector, Front, Happened};
use serde_json::{Value, json};

use super::standin::{Contract, Counter, base64, headers, http, names, serve, sha1};
use super::system::System;

const US: &str = "tea_7";
const ALICE: &str = "tea_22";
/// Items of a page: few, so that there are several.
const PAGE: usize = 2;

pub struct Desk {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    conversations: Mutex<BTreeMap<String, Held>>,
    tags: Mutex<Vec<Value>>,
    counter: Counter,
    contract: Contract,
}

struct Held {
    shown: Value,
    inbox: String,
    messages: Vec<Value>,
    comments: Vec<Value>,
    drafts: Vec<Value>,
    files: Vec<(String, String)>,
}

type Desks = State<Arc<Inner>>;
type Asked = Query<BTreeMap<String, String>>;

impl Desk {
    pub async fn open() -> Desk {
        let inner = Arc::new(Inner {
            conversations: Mutex::default(),
            tags: Mutex::default(),
            counter: Counter::new(),
            contract: Contract::of(include_str!("../data/helpdesks/front.json")),
        });
        let there = || get(async |Path(id): Path<String>| Json(json!({"id": id})));
        let app = Router::new()
            .route("/teammates/{id}", there())
            .route("/channels/{id}", there())
            .route("/inboxes/{id}", there())
            .route("/tags", get(all_tags).post(make_tag))
            .route("/conversations/{id}", get(show).patch(update))
            .route("/conversations/{id}/inboxes", get(inboxes))
            .route("/conversations/{id}/messages", get(messages).post(reply))
            .route("/conversations/{id}/comments", get(comments).post(comment))
            .route("/conversations/{id}/drafts", get(drafts).post(draft))
            .route("/conversations/{id}/tags", post(tag))
            .route("/drafts/{id}", delete(drop_draft))
            .layer(from_fn(let_in))
            .with_state(Arc::clone(&inner));
        Desk { url: serve(app).await, inner }
    }
}

async fn let_in(request: Request, next: Next) -> Response {
    match request.headers().get("authorization").is_some_and(|token| token == "Bearer good") {
        true => next.run(request).await,
        false => refused(401),
    }
}

fn refused(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"_error": {"status": status}}))).into_response()
}

/// A page, and where the next one is.
fn page(all: &[Value], asked: &BTreeMap<String, String>) -> Response {
    let from: usize = asked.get("page_token").map_or(0, |mark| mark.parse().unwrap());
    let next = (from + PAGE < all.len()).then(|| format!("https://api2.frontapp.com/x?page_token={}", from + PAGE));
    let results: Vec<&Value> = all.iter().skip(from).take(PAGE).collect();
    Json(json!({"_results": results, "_pagination": {"next": next}})).into_response()
}

impl Inner {
    fn of<T>(&self, id: &str, read: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.conversations.lock().unwrap().get_mut(id).map(read)
    }

    fn list(&self, id: &str, asked: &BTreeMap<String, String>, read: impl FnOnce(&mut Held) -> Vec<Value>) -> Response {
        self.of(id, read).map_or_else(|| refused(404), |all| page(&all, asked))
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds with a fraction, as Front has them")]
    fn now_s(&self) -> f64 {
        self.counter.now_ms() as f64 / 1000.0
    }

    fn say(&self, id: &str, who: Option<&str>, words: &str) -> Option<()> {
        let message = json!({
            "id": format!("msg_{}", self.counter.next()), "is_inbound": who.is_none(), "is_draft": false,
            "author": who.map(|who| json!({"id": who})), "body": format!("<p>{words}</p>"), "created_at": self.now_s(),
        });
        self.of(id, |held| held.messages.push(message))
    }

    fn note(&self, id: &str, who: &str, words: &str) -> Option<Value> {
        let comment = json!({
            "id": format!("com_{}", self.counter.next()), "author": {"id": who}, "body": words, "posted_at": self.now_s(),
        });
        self.of(id, |held| held.comments.push(comment.clone())).map(|()| comment)
    }

    fn put_draft(&self, id: &str, who: &str, body: &str) -> Option<Value> {
        let number = self.counter.next();
        let draft =
            json!({"id": format!("msg_{number}"), "version": number.to_string(), "author": {"id": who}, "body": body});
        self.of(id, |held| held.drafts.push(draft.clone())).map(|()| draft)
    }
}

fn made(status: StatusCode, found: Option<Value>) -> Response {
    found.map_or_else(|| refused(404), |value| (status, Json(value)).into_response())
}

async fn show(State(inner): Desks, Path(id): Path<String>) -> Response {
    made(StatusCode::OK, inner.of(&id, |held| held.shown.clone()))
}

async fn inboxes(State(inner): Desks, Path(id): Path<String>, Query(asked): Asked) -> Response {
    inner.list(&id, &asked, |held| vec![json!({"id": held.inbox})])
}

async fn messages(State(inner): Desks, Path(id): Path<String>, Query(asked): Asked) -> Response {
    inner.list(&id, &asked, |held| held.messages.clone())
}

async fn comments(State(inner): Desks, Path(id): Path<String>, Query(asked): Asked) -> Response {
    inner.list(&id, &asked, |held| held.comments.clone())
}

async fn drafts(State(inner): Desks, Path(id): Path<String>, Query(asked): Asked) -> Response {
    inner.list(&id, &asked, |held| held.drafts.clone())
}

async fn all_tags(State(inner): Desks, Query(asked): Asked) -> Response {
    page(&inner.tags.lock().unwrap(), &asked)
}

async fn make_tag(State(inner): Desks, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tag", &body);
    let tag = json!({"id": format!("tag_{}", inner.counter.next()), "name": body["name"]});
    inner.tags.lock().unwrap().push(tag.clone());
    (StatusCode::CREATED, Json(tag)).into_response()
}

async fn update(State(inner): Desks, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("update", &body);
    inner.of(&id, |held| {
        if let Some(inbox) = body["inbox_id"].as_str() {
            held.inbox = inbox.to_owned();
        }
        if body["custom_fields"].is_object() {
            held.shown["custom_fields"] = body["custom_fields"].clone();
        }
    });
    StatusCode::NO_CONTENT.into_response()
}

async fn tag(State(inner): Desks, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("tags", &body);
    let all = inner.tags.lock().unwrap().clone();
    let new = all.into_iter().filter(|tag| body["tag_ids"].as_array().unwrap().contains(&tag["id"]));
    inner.of(&id, |held| held.shown["tags"].as_array_mut().unwrap().extend(new));
    StatusCode::NO_CONTENT.into_response()
}

async fn reply(State(inner): Desks, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("message", &body);
    match inner.say(&id, Some(US), body["body"].as_str().unwrap()) {
        Some(()) => (StatusCode::ACCEPTED, Json(json!({"status": "accepted"}))).into_response(),
        None => refused(404),
    }
}

async fn comment(State(inner): Desks, Path(id): Path<String>, request: Request) -> Response {
    if !request.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("multipart/") {
        let Json(body) = Json::<Value>::from_request(request, &()).await.unwrap();
        inner.contract.holds("comment", &body);
        return made(StatusCode::CREATED, inner.note(&id, US, body["body"].as_str().unwrap()));
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
    inner.of(&id, |held| held.files.extend(file));
    made(StatusCode::CREATED, inner.note(&id, &given["author_id"], &given["body"]))
}

async fn draft(State(inner): Desks, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("draft", &body);
    made(StatusCode::OK, inner.put_draft(&id, US, body["body"].as_str().unwrap()))
}

async fn drop_draft(State(inner): Desks, Path(draft): Path<String>, Json(body): Json<Value>) -> Response {
    inner.contract.holds("drop", &body);
    for held in inner.conversations.lock().unwrap().values_mut() {
        held.drafts.retain(|one| one["id"] != draft.as_str() || one["version"] != body["version"]);
    }
    StatusCode::NO_CONTENT.into_response()
}

fn text(one: &Value) -> String {
    one["body"].as_str().unwrap().trim_start_matches("<p>").trim_end_matches("</p>").replace("&#39;", "'")
}

impl Desk {
    fn ours(&self, id: &str, read: impl FnOnce(&mut Held) -> Vec<Value>) -> Vec<String> {
        let all = self.inner.of(id, read).unwrap();
        all.iter().filter(|one| one["author"]["id"] == US).map(text).collect()
    }
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let mut names = names(US, "inb_2", "AI Intent");
        names.account = "cha_1".to_owned();
        names.fields.insert("priority".to_owned(), "AI Priority".to_owned());
        Arc::new(Front::new(http(url, Some(("authorization", "Bearer good")), clock), names))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = format!("cnv_{}", self.inner.counter.next());
        let shown = json!({"id": id, "subject": subject, "status": "unassigned", "tags": [], "custom_fields": {"Plan": "gold"}});
        let held = Held {
            shown,
            inbox: "inb_1".to_owned(),
            messages: Vec::new(),
            comments: Vec::new(),
            drafts: Vec::new(),
            files: Vec::new(),
        };
        self.inner.conversations.lock().unwrap().insert(id.clone(), held);
        self.customer_writes(&id, words).await;
        id
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.inner.say(id, None, words).unwrap();
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.inner.note(id, ALICE, words).unwrap();
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, |held| held.comments.clone())
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, |held| held.messages.clone())
    }

    async fn drafts(&self, id: &str) -> Option<Vec<String>> {
        self.inner.of(id, |held| held.drafts.iter().map(text).collect())
    }

    async fn agent_drafts(&self, id: &str, words: &str) {
        self.inner.put_draft(id, ALICE, words).unwrap();
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        self.inner.of(id, |held| held.files.clone()).unwrap()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let (shown, inbox) = self.inner.of(id, |held| (held.shown.clone(), held.inbox.clone())).unwrap();
        let field = |name: &str| shown["custom_fields"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(field("Plan"), "gold", "what was there stays");
        let inbox = if inbox == "inb_2" { "Logistics" } else { "Support" };
        (inbox.to_owned(), field("AI Priority"), field("AI Intent"))
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let tags = self.inner.of(id, |held| held.shown["tags"].clone()).unwrap();
        tags.as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect()
    }

    fn tells(&self, what: Happened, ticket: &str, by_us: bool, _: i64) -> Option<(HeaderMap, String)> {
        let kind = match what {
            Happened::CustomerWrote if by_us => "outbound",
            Happened::CustomerWrote => "inbound",
            Happened::HandedOver => "assign",
            Happened::Solved => "archive",
            Happened::Other => "comment",
            Happened::Created | Happened::CallEnded => return None,
        };
        let source = json!({"_meta": {"type": "teammate"}, "data": {"id": if by_us { US } else { ALICE }}});
        let id = format!("evt_{}", self.inner.counter.next());
        let body = json!({"id": id, "type": kind, "conversation": {"id": ticket}, "source": source}).to_string();
        Some((headers(&[("x-front-signature", base64(&sha1(&[body.as_bytes()])))]), body))
    }

    fn signs_times(&self) -> bool {
        false
    }

    fn nowhere(&self) -> &'static str {
        "cnv_nowhere"
    }
}
