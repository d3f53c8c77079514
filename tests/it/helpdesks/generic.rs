//! The receiver of `examples/`, as anybody would run it, with its own tickets.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;
use frontdesk::clock::Clock;
use frontdesk::domain::secret::Secret;
use frontdesk::helpdesk::{Connector, Generic, Happened};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::standin::{self, Counter, SECRET, base64, headers, http, names};
use super::system::System;
use crate::harness::START_MS;

pub struct Desk {
    url: String,
    counter: Counter,
    http: reqwest::Client,
    receiver: Child,
    _place: tempfile::TempDir,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.receiver.kill();
        let _ = self.receiver.wait();
    }
}

/// The secret of the receiver; what is signed by hand here uses `SECRET` as well.
fn secret() -> String {
    format!("whsec_{}", base64(&SECRET.repeat(3).into_bytes()))
}

impl Desk {
    pub async fn open() -> Desk {
        frontdesk::tls::install_provider();
        let place = tempfile::tempdir().unwrap();
        let mut receiver = Command::new("python3")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/examples/helpdesk_receiver.py"), "0"])
            .arg(place.path().join("tickets.db"))
            // Tests have a day of their own, and move it.
            .env("FRONTDESK_SECRET", secret())
            .env("RECEIVER_TOLERANCE_S", "1000000000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(receiver.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let url = said.trim().trim_start_matches("listening on ").trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Desk { url, counter: Counter::new(), http, receiver, _place: place }
    }

    async fn team(&self, path: &str, body: &Value) {
        let asked = self.http.post(format!("{}/team/{path}", self.url)).body(body.to_string());
        assert!(asked.send().await.unwrap().status().is_success());
    }

    async fn said(&self, id: &str, by: &str, words: &str, is_draft: bool) {
        let said = json!({"ticket": id, "by": by, "text": words, "public": by == "customer", "draft": is_draft});
        self.team("messages", &said).await;
    }

    async fn read(&self, id: &str) -> Value {
        let body = json!({"type": "ticket.read", "ticket": id}).to_string();
        let (id, at) = (format!("look-{}", self.counter.next()), START_MS / 1000);
        let asked = self.http.post(&self.url).headers(signed(&id, at, &body, &secret())).body(body);
        serde_json::from_str::<Value>(&asked.send().await.unwrap().text().await.unwrap()).unwrap()["ticket"].clone()
    }

    async fn ours(&self, id: &str, public: bool) -> Vec<Value> {
        let ticket = self.read(id).await;
        let is_ours = |one: &&Value| one["by"] == "frontdesk" && one["public"] == public;
        ticket["messages"].as_array().unwrap().iter().filter(is_ours).cloned().collect()
    }
}

fn text(one: &Value) -> String {
    one["text"].as_str().unwrap().to_owned()
}

fn signed(id: &str, at_s: i64, body: &str, secret: &str) -> HeaderMap {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let tag = mac.chain_update(format!("{id}.{at_s}.{body}")).finalize().into_bytes();
    headers(&[
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at_s.to_string()),
        ("webhook-signature", format!("v1,{}", base64(&tag))),
    ])
}

#[async_trait]
impl System for Desk {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let names = names("frontdesk", "logistics", "ai_intent");
        Arc::new(Generic::new(http(url, None, clock), Secret::parse(&secret()).unwrap(), names))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let id = format!("T-{}", self.counter.next());
        self.team("tickets", &json!({"id": id, "subject": subject})).await;
        self.customer_writes(&id, words).await;
        id
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        self.said(id, "customer", words, false).await;
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        self.said(id, "agent", words, false).await;
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.ours(id, false).await.iter().map(text).collect()
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.ours(id, true).await.iter().map(text).collect()
    }

    async fn drafts(&self, id: &str) -> Option<Vec<String>> {
        Some(self.read(id).await["drafts"].as_array().unwrap().iter().map(text).collect())
    }

    async fn agent_drafts(&self, id: &str, words: &str) {
        self.said(id, "agent", words, true).await;
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        let notes = self.ours(id, false).await;
        let files = notes.iter().filter(|one| one["file"].is_object()).map(|one| &one["file"]);
        let both =
            |file: &Value| (file["name"].as_str().unwrap().to_owned(), file["content"].as_str().unwrap().to_owned());
        files.map(both).collect()
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let ticket = self.read(id).await;
        let queue = if ticket["queue"] == "logistics" { "Logistics" } else { "Support" };
        let intent = standin::shown(&ticket["fields"]["ai_intent"]);
        (queue.to_owned(), ticket["priority"].as_str().unwrap().to_owned(), intent)
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        let ticket = self.read(id).await;
        ticket["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    /// In our own form, with the delivery's id; the suite's secret is not one of
    /// Standard Webhooks, so this one takes its place.
    fn tells(&self, what: Happened, ticket: &str, by_us: bool, now_ms: i64) -> Option<(HeaderMap, String)> {
        let user = if by_us { "frontdesk" } else { "alice" };
        let body = json!({"frontdesk": what.word(), "ticket": ticket, "user": user}).to_string();
        Some((signed(&format!("msg_{}", self.counter.next()), now_ms / 1000, &body, &secret()), body))
    }

    fn secret(&self) -> String {
        secret()
    }

    fn nowhere(&self) -> &'static str {
        "T-999999"
    }
}
