//! A receiver of webhooks that keeps what it gets, and a client for the simulator.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use frontdesk_simulator::{Fault, Scripted, Settings, Simulator};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Caught {
    pub webhook_id: String,
    pub timestamp: String,
    pub signature: String,
    pub agent: String,
    pub body: String,
}

impl Caught {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn resource(&self) -> String {
        self.event()["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Whether it was signed with the secret that everyone knows.
    pub fn genuine(&self) -> bool {
        let key = frontdesk_simulator::signing::parse_secret(frontdesk_simulator::DEMO_SECRET);
        let time = self.timestamp.parse().unwrap();
        let expected = frontdesk_simulator::signing::sign(&key.unwrap(), &self.webhook_id, time, self.body.as_bytes());
        expected == self.signature
    }
}

/// A receiver that answers with the statuses it is given, and then with 200.
#[derive(Clone, Default)]
pub struct Catcher {
    caught: Arc<Mutex<Vec<Caught>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Catcher {
    pub async fn start(answers: &[u16]) -> (Catcher, String) {
        let catcher = Catcher::default();
        catcher.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/hook", axum::routing::post(catch)).with_state(catcher.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (catcher, url)
    }

    pub fn all(&self) -> Vec<Caught> {
        self.caught.lock().unwrap().clone()
    }
}

async fn catch(State(catcher): State<Catcher>, headers: HeaderMap, body: String) -> (StatusCode, HeaderMap) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    catcher.caught.lock().unwrap().push(Caught {
        webhook_id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        agent: header("user-agent"),
        body,
    });
    let status = catcher.answers.lock().unwrap().pop_front().unwrap_or(200);
    let mut answer = HeaderMap::new();
    if (300..400).contains(&status) {
        answer.insert("location", "/hook".parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), answer)
}

/// A simulator, its webhooks and a client.
pub struct Desk {
    pub simulator: Simulator,
    pub catcher: Catcher,
    client: reqwest::Client,
}

/// Work and retries without waiting.
pub fn quick() -> Settings {
    Settings { work_ms: (1, 20), first_retry_ms: 5, ..Settings::default() }
}

impl Desk {
    pub async fn new(settings: Settings, answers: &[u16]) -> Desk {
        let (catcher, url) = Catcher::start(answers).await;
        let settings = Settings { webhook_url: Some(url), ..settings };
        let simulator = Simulator::start(settings).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Desk { simulator, catcher, client }
    }

    /// With these faults for all that is asked.
    pub async fn with(faults: &[Fault]) -> Desk {
        let faults = faults.iter().map(|fault| (*fault, 1.0)).collect();
        Desk::new(Settings { faults, ..quick() }, &[]).await
    }

    /// With these faults for what belongs to ticket T-1.
    pub async fn scripted(faults: &[Fault]) -> Desk {
        let script = vec![Scripted { key: "ticket_id".into(), value: "T-1".into(), faults: faults.to_vec() }];
        Desk::new(Settings { script, ..quick() }, &[]).await
    }

    fn url(&self, path: &str) -> String {
        match path.starts_with("/_") {
            true => format!("http://{}{path}", self.simulator.addr()),
            false => format!("{}{path}", self.simulator.base_url()),
        }
    }

    pub async fn raw(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(self.url(path)).send().await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        read(self.raw(path).await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let body = serde_json::to_vec(&body).unwrap();
        read(self.client.post(self.url(path)).body(body).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.client.delete(self.url(path)).send().await.unwrap()).await
    }

    /// Starts one response in background, waits for its end and its webhooks, and gives its id.
    pub async fn ask(&self, request: Value) -> String {
        let (status, made) = self.post("/responses", request).await;
        assert_eq!((status, &made["status"]), (200, &json!("queued")), "{made}");
        self.simulator.idle().await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The same, and reads the response.
    pub async fn answer(&self, request: Value) -> Value {
        let id = self.ask(request).await;
        self.get(&format!("/responses/{id}")).await.1
    }

    pub async fn upload(&self, lines: &str) -> String {
        let part = reqwest::multipart::Part::text(lines.to_owned()).file_name("in.jsonl");
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
        let (status, file) = self.post_form("/files", form).await;
        assert_eq!((status, &file["bytes"]), (200, &json!(lines.len())));
        file["id"].as_str().unwrap().to_owned()
    }

    pub async fn post_form(&self, path: &str, form: reqwest::multipart::Form) -> (u16, Value) {
        read(self.client.post(self.url(path)).multipart(form).send().await.unwrap()).await
    }

    /// Uploads the lines, runs them as a batch to its end and reads the batch.
    pub async fn batch(&self, lines: &str, metadata: Value) -> Value {
        let file = self.upload(lines).await;
        let request = json!({"input_file_id": file, "endpoint": "/v1/responses",
            "completion_window": "24h", "metadata": metadata});
        let (status, batch) = self.post("/batches", request).await;
        assert_eq!((status, &batch["status"]), (200, &json!("validating")));
        self.simulator.idle().await;
        self.get(&format!("/batches/{}", batch["id"].as_str().unwrap())).await.1
    }

    /// The lines of a file, or none if the id is null or empty.
    pub async fn lines(&self, file: &Value) -> Vec<String> {
        let Some(id) = file.as_str().filter(|id| !id.is_empty()) else {
            return Vec::new();
        };
        let body = self.raw(&format!("/files/{id}/content")).await.unwrap().text().await.unwrap();
        body.lines().map(str::to_owned).collect()
    }
}

async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A background request about a ticket.
pub fn request(ticket: &str) -> Value {
    json!({"model": "gpt-5.6", "background": true, "store": true,
        "metadata": {"ticket_id": ticket, "workflow": "summary"},
        "input": "Summarise:\n<ticket>\nSubject: Late parcel\ncustomer: My parcel 4711 is late. I paid \
                  for the fast delivery. Where is it?\nagent: Sorry.\n</ticket>"})
}

/// The same with a JSON schema.
pub fn request_json(ticket: &str, schema: Value) -> Value {
    let mut request = request(ticket);
    request["text"] = json!({"format": {"type": "json_schema", "name": "x", "strict": true,
        "schema": schema}});
    request
}

pub fn classification() -> Value {
    json!({"type": "object", "additionalProperties": false,
        "required": ["intent", "priority", "confidence", "topics"],
        "properties": {
            "intent": {"type": "string"},
            "priority": {"type": "string", "enum": ["low", "normal", "high", "urgent"]},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "topics": {"type": "array", "items": {"type": "string"}}}})
}

/// The texts of all messages, as an SDK would join them.
pub fn texts(response: &Value) -> Vec<String> {
    let items = response["output"].as_array().unwrap();
    let parts = items.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str().map(str::to_owned)).collect()
}
