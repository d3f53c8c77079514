//! How long somebody may take to send the body of a request.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// Largest body that is read before anything looks at it, in bytes. Every route
/// takes less, and says so itself.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Reads a request's body to its end before anything else is done, within `patience`:
/// whoever sends a byte now and then would keep a connection for ever.
pub async fn whole_body(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    match tokio::time::timeout(patience, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(_)) => unread(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => unread(StatusCode::REQUEST_TIMEOUT),
    }
}

/// What is left of the body is not waited for.
fn unread(status: StatusCode) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = json!({"type": "about:blank", "title": title, "status": status.as_u16()});
    let head = [(header::CONNECTION, "close"), (header::CONTENT_TYPE, "application/problem+json")];
    (status, head, problem.to_string()).into_response()
}
