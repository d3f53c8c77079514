//! What stand-ins have in common: a port, a clock and numbers of their own, and a
//! contract that each request is held to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use frontdesk::clock::{Clock, rfc3339};
use frontdesk::helpdesk::{Http, HttpSettings, Names};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonschema::Validator;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

use crate::harness::START_MS;

/// What helpdesks sign their webhooks with.
pub const SECRET: &str = "between us";

/// Listens for as long as the test runs. Gives its address.
pub async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// A client that sends this header, if any.
pub fn http(url: &str, header: Option<(&'static str, &str)>, clock: Clock) -> Http {
    let header = header.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
    let settings = HttpSettings {
        url: url.to_owned(),
        headers: header.into_iter().collect(),
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(30),
        per_minute: None,
    };
    Http::new(settings, clock).unwrap()
}

/// The names that the suite needs: their queue of `logistics`, their field of `intent`,
/// which takes a score as well.
pub fn names(user: impl ToString, logistics: impl ToString, intent: impl ToString) -> Names {
    Names {
        user: user.to_string(),
        account: "1".to_owned(),
        queues: BTreeMap::from([("logistics".to_owned(), logistics.to_string())]),
        fields: ["intent", "quality_score"].map(|ours| (ours.to_owned(), intent.to_string())).into(),
    }
}

/// Numbers that nobody else has, and times: each a second later than the one before,
/// and later than any test's day.
pub struct Counter(Mutex<i64>);

impl Counter {
    pub fn new() -> Counter {
        Counter(Mutex::new(1000))
    }

    pub fn next(&self) -> i64 {
        let mut last = self.0.lock().unwrap();
        *last += 1;
        *last
    }

    pub fn now_ms(&self) -> i64 {
        START_MS + 30 * 86_400_000 + self.next() * 1000
    }

    pub fn now(&self) -> String {
        rfc3339(self.now_ms())
    }
}

/// Schemas of request bodies, by operation.
pub struct Contract(BTreeMap<String, Validator>);

impl Contract {
    /// From a file with `bodies` (by operation) and, for references, `components`.
    pub fn of(file: &str) -> Contract {
        let given: Value = serde_json::from_str(file).unwrap();
        let schema = |body: &Value| json!({"components": given["components"], "allOf": [body]});
        let bodies = given["bodies"].as_object().unwrap().iter();
        Contract(bodies.map(|(name, body)| (name.clone(), jsonschema::validator_for(&schema(body)).unwrap())).collect())
    }

    /// Fails the test when a body is not as this operation takes it.
    pub fn holds(&self, operation: &str, body: &Value) {
        let wrong: Vec<String> = self.0[operation].iter_errors(body).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{operation}, against the contract: {wrong:?}, {body}");
    }
}

/// What a field shows.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().to_vec()
}

pub fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn headers(all: &[(&'static str, String)]) -> HeaderMap {
    all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}
