//! What came in and what went out, newest kept.

use crate::fault::Fault;
use crate::sync::lock;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// How many requests and deliveries are remembered.
const KEPT: usize = 100_000;

/// Longer paths are cut in the log.
const PATH_LIMIT: usize = 200;

/// One call of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLog {
    /// `GET`, `POST`…
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
}

/// One attempt to deliver a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLog {
    /// The `webhook-id` header.
    pub webhook_id: String,
    /// The event inside.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// What it is about.
    pub resource_id: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The receiver's answer, if there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// The fault that this copy is owed to; `None` for the delivery that was due.
    pub fault: Option<Fault>,
}

impl DeliveryLog {
    /// Whether the receiver took it: any 2xx.
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The newest entries of a log.
#[derive(Debug)]
pub(crate) struct Ring<T>(Mutex<VecDeque<T>>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }
}

impl<T: Clone> Ring<T> {
    /// Adds an entry; the one that had to make room comes back.
    pub(crate) fn push(&self, entry: T) -> Option<T> {
        let mut entries = lock(&self.0);
        let pushed_out = if entries.len() >= KEPT { entries.pop_front() } else { None };
        entries.push_back(entry);
        pushed_out
    }

    /// All that is left, oldest first.
    pub(crate) fn all(&self) -> Vec<T> {
        lock(&self.0).iter().cloned().collect()
    }

    fn count(&self, wanted: impl Fn(&T) -> bool) -> u64 {
        lock(&self.0).iter().filter(|entry| wanted(entry)).count() as u64
    }
}

/// Every call of the API: the newest one by one, older ones as numbers.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    newest: Ring<RequestLog>,
    older: Mutex<HashMap<(String, String), u64>>,
}

impl Requests {
    pub(crate) fn push(&self, method: &str, path: &str, status: u16) {
        let path = path.chars().take(PATH_LIMIT).collect();
        let entry = RequestLog { method: method.to_owned(), path, status };
        if let Some(old) = self.newest.push(entry) {
            let route = route(&old.path);
            *lock(&self.older).entry((old.method, route)).or_default() += 1;
        }
    }

    pub(crate) fn all(&self) -> Vec<RequestLog> {
        self.newest.all()
    }

    pub(crate) fn count(&self, method: &str, path_prefix: &str) -> u64 {
        let newest = self.newest.count(|entry| entry.method == method && entry.path.starts_with(path_prefix));
        let older: u64 = lock(&self.older)
            .iter()
            .filter(|((verb, path), _)| verb == method && path.starts_with(path_prefix))
            .map(|(_, count)| count)
            .sum();
        newest + older
    }
}

/// The path without its ids, so that the table of older calls cannot grow with them.
fn route(path: &str) -> String {
    let words = ["v1", "responses", "files", "batches", "models", "cancel", "content", "input_items"];
    path.split('/')
        .take(6)
        .map(|part| if part.is_empty() || words.contains(&part) { part } else { "…" })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Requests};

    #[test]
    fn calls_are_counted_by_route_even_when_the_log_is_full() {
        let requests = Requests::default();
        for number in 0..KEPT + 500 {
            requests.push("GET", &format!("/v1/responses/resp_{number}"), 200);
        }
        requests.push("POST", "/v1/responses", 200);
        assert_eq!(requests.all().len(), KEPT);
        assert_eq!(requests.count("GET", "/v1/responses"), KEPT as u64 + 500);
        assert_eq!(requests.count("POST", "/v1/"), 1);
        assert!(requests.older.lock().unwrap().len() < 3);
    }
}
