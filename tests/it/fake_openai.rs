//! A stand-in for OpenAI inside the test process: answers by id, in a sequence
//! whose last one repeats, and remembers who asked for what.

mod batches;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use frontdesk::openai::{client, client::Client};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// One answer.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// The connection breaks after the body, before the announced end.
    breaks: bool,
    /// The answer waits until it is let go.
    waits: Option<Arc<Semaphore>>,
}

impl Answer {
    pub fn json(body: &Value) -> Answer {
        Answer::text(200, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Answer {
        Answer { status, headers: Vec::new(), body: body.to_owned(), breaks: false, waits: None }
    }

    /// An error as OpenAI words it.
    pub fn error(status: u16, code: &str) -> Answer {
        let body = json!({"error": {"message": "words of the other side", "type": "some_type", "code": code}});
        Answer::text(status, &body.to_string())
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Answer {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn that_breaks(self) -> Answer {
        Answer { breaks: true, ..self }
    }

    /// This answer is only given once a permit is added to the semaphore.
    pub fn that_waits(self, until: &Arc<Semaphore>) -> Answer {
        Answer { waits: Some(Arc::clone(until)), ..self }
    }

    fn build(&self) -> Response<Body> {
        let body = if self.breaks {
            let parts = [Ok(self.body.clone()), Err(std::io::Error::other("broken on purpose"))];
            Body::from_stream(futures_util::stream::iter(parts))
        } else {
            Body::from(self.body.clone())
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in &self.headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        answer
    }
}

/// A client that calls this base URL with this key.
pub fn client_of(base_url: &str, key: &str) -> Client {
    Client::new(client::Settings {
        base_url: base_url.to_owned(),
        api_key: Some(key.to_owned()),
        connect_timeout_ms: 2_000,
        read_timeout_ms: 10_000,
        ..client::Settings::default()
    })
    .unwrap()
}

/// A completed response with one text.
pub fn completed(id: &str, text: &str, metadata: &Value) -> Value {
    ended(id, "completed", json!([message(text)]), metadata)
}

/// A response with this status and these output items.
pub fn ended(id: &str, status: &str, output: Value, metadata: &Value) -> Value {
    json!({"id": id, "object": "response", "created_at": 1_780_000_000, "status": status, "model": "gpt-test",
           "output": output, "metadata": metadata})
}

/// One message of the model.
pub fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
           "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

/// Metadata as another program attaches it.
pub fn to(ticket: &str, workflow: &str) -> Value {
    json!({"ticket_id": ticket, "workflow": workflow})
}

#[derive(Default)]
struct Shelf {
    answers: HashMap<String, VecDeque<Answer>>,
    calls: HashMap<String, usize>,
    refused: HashMap<String, Answer>,
    /// Bodies of the starts that were accepted; the n-th got the id `resp_new_n`.
    created: Vec<Value>,
    /// What starts are answered with, one each, before they are accepted again.
    start_answers: VecDeque<Answer>,
    batches: batches::Batches,
}

/// The server, and the way to script it.
#[derive(Clone)]
pub struct FakeOpenAi {
    base_url: String,
    shelf: Arc<Mutex<Shelf>>,
    /// One permit a request that has come in.
    arrived: Arc<Semaphore>,
}

impl FakeOpenAi {
    pub async fn start() -> FakeOpenAi {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let openai = FakeOpenAi { base_url, shelf: Arc::default(), arrived: Arc::new(Semaphore::new(0)) };
        let app = Router::new()
            .route("/v1/responses", post(create))
            .route("/v1/responses/{id}", get(answer))
            .route("/v1/batches", post(batches::create).get(batches::list))
            .route("/v1/batches/{id}", get(answer))
            .route("/v1/files", post(batches::upload))
            .route("/v1/files/{id}/content", get(answer))
            .with_state(openai.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        openai
    }

    /// A client that calls this server with this key.
    pub fn client(&self, key: &str) -> Client {
        client_of(&self.base_url, key)
    }

    /// Answers to this id, in order; the last one repeats.
    pub fn script(&self, id: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shelf().answers.insert(id.to_owned(), answers.into_iter().collect());
    }

    /// The plain case: this JSON, always.
    pub fn put(&self, body: &Value) {
        self.script(body["id"].as_str().unwrap(), [Answer::json(body)]);
    }

    /// A file with this text.
    pub fn put_file(&self, id: &str, text: &str) {
        self.script(id, [Answer::text(200, text)]);
    }

    /// From now on everything asked with this key gets this answer.
    pub fn refuse(&self, key: &str, answer: Answer) {
        self.shelf().refused.insert(format!("Bearer {key}"), answer);
    }

    /// Ends [`FakeOpenAi::refuse`].
    pub fn accept(&self, key: &str) {
        self.shelf().refused.remove(&format!("Bearer {key}"));
    }

    /// The bodies of the starts that were accepted; the n-th (from 1) got the id `resp_new_n`.
    pub fn started(&self) -> Vec<Value> {
        self.shelf().created.clone()
    }

    /// The next starts get these answers instead of being accepted.
    pub fn answer_starts(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shelf().start_answers.extend(answers);
    }

    /// How often this id was asked for.
    pub fn calls(&self, id: &str) -> usize {
        self.shelf().calls.get(id).copied().unwrap_or(0)
    }

    /// How often anything was asked for.
    pub fn all_calls(&self) -> usize {
        self.shelf().calls.values().sum()
    }

    /// Waits for the next request that has not been waited for yet.
    pub async fn next_call(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    fn take(&self, id: &str, key: &str) -> Answer {
        let mut shelf = self.shelf();
        *shelf.calls.entry(id.to_owned()).or_default() += 1;
        if let Some(refusal) = shelf.refused.get(key) {
            return refusal.clone();
        }
        match shelf.answers.get_mut(id) {
            None => Answer::error(404, "not_found"),
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers.front().cloned().unwrap_or_else(|| Answer::error(404, "not_found")),
        }
    }
}

async fn create(State(openai): State<FakeOpenAi>, headers: HeaderMap, Json(body): Json<Value>) -> Response<Body> {
    let key = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    let answer = {
        let mut shelf = openai.shelf();
        let refusal = shelf.refused.get(&key).cloned();
        refusal.or_else(|| shelf.start_answers.pop_front()).unwrap_or_else(|| {
            shelf.created.push(body.clone());
            let id = format!("resp_new_{}", shelf.created.len());
            Answer::json(&json!({"id": id, "object": "response", "status": "queued", "output": [], "metadata": body["metadata"]}))
        })
    };
    openai.arrived.add_permits(1);
    answer.build()
}

async fn answer(State(openai): State<FakeOpenAi>, Path(id): Path<String>, headers: HeaderMap) -> Response<Body> {
    let key = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    let answer = openai.take(&id, key);
    openai.arrived.add_permits(1);
    if let Some(waits) = &answer.waits {
        waits.acquire().await.unwrap().forget();
    }
    answer.build()
}
