//! Questions that change nothing: whether OpenAI accepts the key, and which
//! endpoints it sends webhooks to.

use serde::Deserialize;

use super::client::{Client, body, refusal, unsent};
use super::error::OpenAiError;
use super::headers;

/// An id that no response has.
const NOBODY: &str = "resp_frontdesk_doctor";
const MAX_LIST_BYTES: usize = 1024 * 1024;

/// An answer, and OpenAI's own time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe<T> {
    /// The `Date` header, in ms; none when nothing was answered.
    pub date_ms: Option<i64>,
    /// What was answered.
    pub answer: Result<T, OpenAiError>,
}

impl<T> Probe<T> {
    fn unanswered(error: OpenAiError) -> Probe<T> {
        Probe { date_ms: None, answer: Err(error) }
    }
}

/// Where OpenAI sends webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// The address.
    #[serde(default)]
    pub url: String,
    /// The event types it has subscribed to.
    #[serde(default)]
    pub event_types: Vec<String>,
}

#[derive(Deserialize)]
struct Endpoints {
    data: Vec<Endpoint>,
}

impl Client {
    /// Whether OpenAI lets this key read responses: it is asked for one that
    /// there is not, and saying so is the good answer.
    pub async fn may_read(&self) -> Probe<()> {
        let sent = self.http.get(format!("{}/responses/{NOBODY}", self.base_url)).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Probe::unanswered(unsent(&error)),
        };
        let date_ms = headers::date_ms(answer.headers());
        let answer = match answer.status().as_u16() {
            200 | 400 | 404 => Ok(()),
            _ => Err(refusal(answer, false).await),
        };
        Probe { date_ms, answer }
    }

    /// The project's webhook endpoints, a hundred at most. Many keys may not ask.
    pub async fn webhook_endpoints(&self) -> Probe<Vec<Endpoint>> {
        let sent = self.http.get(format!("{}/webhook_endpoints?limit=100", self.base_url)).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Probe::unanswered(unsent(&error)),
        };
        let date_ms = headers::date_ms(answer.headers());
        if !answer.status().is_success() {
            return Probe { date_ms, answer: Err(refusal(answer, false).await) };
        }
        let list = body(answer, MAX_LIST_BYTES).await.and_then(|bytes| {
            let list: Result<Endpoints, _> = serde_json::from_slice(&bytes);
            list.map(|list| list.data)
                .map_err(|error| OpenAiError::Unreadable { line: error.line(), column: error.column() })
        });
        Probe { date_ms, answer: list }
    }
}
