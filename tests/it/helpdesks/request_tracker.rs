//! A real Request Tracker, as `scripts/request-tracker` starts it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::Clock;
use frontdesk::helpdesk::{Connector, Happened, RequestTracker};
use serde_json::{Value, json};

use super::standin::{headers, hex, http, names, sha256};
use super::system::System;

pub struct Tracker {
    url: String,
    token: String,
    password: String,
    http: reqwest::Client,
}

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start with scripts/request-tracker run …"))
}

impl Tracker {
    /// The one that the tests were started with.
    pub fn found() -> Tracker {
        frontdesk::tls::install_provider();
        Tracker {
            url: given("FRONTDESK_TEST_RT_URL"),
            token: given("FRONTDESK_TEST_RT_TOKEN"),
            password: given("FRONTDESK_TEST_RT_PASSWORD"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let method = method.parse().unwrap();
        let asked = self.http.request(method, format!("{}/REST/2.0{path}", self.url));
        let asked = asked.basic_auth(who, Some(&self.password));
        let asked = match body {
            Some(body) => asked.json(&body),
            None => asked,
        };
        let answer = asked.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("root", "GET", path, None).await
    }

    /// Transactions of our user of a kind, and the parts of each.
    async fn ours(&self, id: &str, kind: &str) -> Vec<Vec<Value>> {
        let history = self.get(&format!("/ticket/{id}/history?fields=Type,Creator&per_page=100")).await;
        let fields = "TransactionId,ContentType,Filename,Content";
        let parts = self.get(&format!("/ticket/{id}/attachments?fields={fields}&per_page=100")).await;
        let is_ours = |one: &&Value| one["Type"] == kind && one["Creator"]["id"] == "frontdesk";
        let of = |one: &Value| {
            let parts = parts["items"].as_array().unwrap().iter();
            parts.filter(|part| part["TransactionId"] == one["id"]).cloned().collect()
        };
        history["items"].as_array().unwrap().iter().filter(is_ours).map(of).collect()
    }

    async fn texts(&self, id: &str, kind: &str) -> Vec<String> {
        let text = |parts: &Vec<Value>| {
            let plain = parts.iter().find(|part| part["ContentType"] == "text/plain" && part["Filename"] == "");
            plain.map_or_else(String::new, |part| part["Content"].as_str().unwrap().to_owned())
        };
        self.ours(id, kind).await.iter().map(text).collect()
    }

    async fn field(&self, id: &str, name: &str) -> Vec<String> {
        let ticket = self.get(&format!("/ticket/{id}")).await;
        let fields = ticket["CustomFields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no field {name}"));
        field["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    }
}

#[async_trait]
impl System for Tracker {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn connector(&self, url: &str, clock: Clock) -> Arc<dyn Connector> {
        let token = format!("token {}", self.token);
        let mut names = names("frontdesk", "Logistics", "AI Intent");
        let others = [("confidence", "AI Confidence"), ("tags", "Tags"), ("order", "Order"), ("key", "Frontdesk Ref")];
        names.fields.extend(others.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())));
        Arc::new(RequestTracker::new(http(url, Some(("authorization", &token)), clock), names))
    }

    async fn ticket(&self, subject: &str, words: &str) -> String {
        let new = json!({"Queue": "Support", "Subject": subject, "Requestor": "ann@example.com", "Content": words,
                         "ContentType": "text/plain"});
        self.ask("root", "POST", "/ticket", Some(new)).await["id"].as_str().unwrap().to_owned()
    }

    async fn customer_writes(&self, id: &str, words: &str) {
        let mail = format!(
            "From: ann@example.com\nTo: support@support.example.com\nSubject: Re: [frontdesk.test #{id}]\nMessage-Id: <{id}.{}@example.com>\n\n{words}\n",
            words.len()
        );
        let form = [("queue", "Support"), ("action", "correspond"), ("SessionType", "REST")]
            .into_iter()
            .fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(name, value))
            .text("message", mail);
        let answer =
            self.http.post(format!("{}/REST/1.0/NoAuth/mail-gateway", self.url)).multipart(form).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.starts_with("ok"), "{text}");
    }

    async fn agent_notes(&self, id: &str, words: &str) {
        let note = json!({"Content": words, "ContentType": "text/plain"});
        self.ask("alice", "POST", &format!("/ticket/{id}/comment"), Some(note)).await;
    }

    async fn notes(&self, id: &str) -> Vec<String> {
        self.texts(id, "Comment").await
    }

    async fn replies(&self, id: &str) -> Vec<String> {
        self.texts(id, "Correspond").await
    }

    async fn files(&self, id: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for part in self.ours(id, "Comment").await.into_iter().flatten().filter(|part| part["Filename"] != "") {
            let content = self.get(&format!("/attachment/{}", part["id"].as_str().unwrap())).await;
            let bytes = STANDARD.decode(content["Content"].as_str().unwrap().replace('\n', "")).unwrap();
            files.push((part["Filename"].as_str().unwrap().to_owned(), String::from_utf8(bytes).unwrap()));
        }
        files
    }

    async fn route(&self, id: &str) -> (String, String, String) {
        let ticket = self.get(&format!("/ticket/{id}?fields=Queue&fields[Queue]=Name")).await;
        let priority = match ticket["Priority"].as_str().unwrap().parse().unwrap() {
            0..25 => "low",
            25..65 => "normal",
            65..90 => "high",
            _ => "urgent",
        };
        let intent = self.field(id, "AI Intent").await.concat();
        (ticket["Queue"]["Name"].as_str().unwrap().to_owned(), priority.to_owned(), intent)
    }

    async fn tags(&self, id: &str) -> Vec<String> {
        self.field(id, "Tags").await
    }

    /// As the scrip of docs/helpdesks.md sends it; the real one is in the end-to-end tests.
    fn tells(&self, what: Happened, ticket: &str, by_us: bool, now_ms: i64) -> Option<(HeaderMap, String)> {
        let (kind, value, is_requestor) = match what {
            Happened::Created => ("Create", "", false),
            Happened::CustomerWrote => ("Correspond", "", !by_us),
            Happened::HandedOver => ("Give", "12", false),
            Happened::Solved => ("Status", "resolved", false),
            Happened::CallEnded => return None,
            Happened::Other => ("Comment", "", false),
        };
        let body = json!({
            "transaction": "79", "ticket": ticket, "type": kind, "new_value": value,
            "user": if by_us { "frontdesk" } else { "alice" }, "is_requestor": is_requestor,
        });
        let (body, time) = (body.to_string(), (now_ms / 1000).to_string());
        let signature = hex(&sha256(&[time.as_bytes(), b".", body.as_bytes()]));
        Some((headers(&[("x-frontdesk-signature", signature), ("x-frontdesk-time", time)]), body))
    }

    fn nowhere(&self) -> &'static str {
        "999999"
    }
}
