//! The API, asked in this process: by the same routes as everybody else, in the
//! name of who looks at the page.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::answer::Failure;
use crate::domain::person::Person;
use crate::people::LetIn;

/// Largest answer, in bytes: a page of the longest tickets.
const MAX_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Api {
    router: Router,
}

impl Api {
    pub(super) fn new(router: Router) -> Api {
        Api { router }
    }

    /// What the API answers at a path below `/api/v1`.
    pub(super) async fn get(&self, person: &Person, path: &str) -> Result<Value, Failure> {
        self.ask(person, Method::GET, path, Body::empty()).await
    }

    /// As [`Api::get`], for what changes something.
    pub(super) async fn post(&self, person: &Person, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(person, Method::POST, path, Body::from(body.to_string())).await
    }

    /// As [`Api::post`], with another method.
    pub(super) async fn send(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        self.ask(person, method, path, Body::from(body.to_string())).await
    }

    async fn ask(&self, person: &Person, method: Method, path: &str, body: Body) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .extension(LetIn(person.clone()))
            .body(body)
            .map_err(|_| Failure::new(404, "Nothing here", "There is nothing of this name."))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|_| Failure::new(500, "Too much", "The answer is too long for a page."))?.to_bytes();
        // An answer without content, and one that is no JSON, is none.
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() { Ok(value) } else { Err(Failure::of(status.as_u16(), &value)) }
    }
}

/// A part of a path, whatever is in it.
pub(super) fn part(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && text.len() > 2) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A query of pairs; those without a value are left out. Begins with `?` unless it is empty.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", part(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_an_id_stays_one_part_of_the_path() {
        assert_eq!(part("T-1001"), "T-1001");
        assert_eq!(part("a/../b?c#d e%"), "a%2F%2E%2E%2Fb%3Fc%23d%20e%25".replace("%2E", "."));
        assert_eq!(part(".."), "%2E%2E");
        assert_eq!(query(&[("q", ""), ("type", "a&b")]), "?type=a%26b");
    }
}
