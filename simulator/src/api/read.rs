//! Answers to reads, and what goes wrong with them.

use super::error::ApiError;
use crate::fault::Fault;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(1500);

/// So long half a body takes to leave before the connection is cut.
const FLUSH: Duration = Duration::from_millis(20);

/// How long a poller should wait.
const POLL_AFTER_MS: u32 = 500;

/// The body as it is, or as the fault spoils it.
pub(crate) async fn answer(fault: Option<Fault>, kind: &'static str, body: Bytes) -> Result<Response, ApiError> {
    match fault {
        Some(Fault::RateLimited) => Err(ApiError::rate_limited()),
        Some(Fault::ServerError) => Err(ApiError::server()),
        Some(Fault::Truncated) => Ok(cut(kind, &body)),
        Some(Fault::Slow) => {
            tokio::time::sleep(SLOW).await;
            Ok(whole(kind, body))
        }
        _ => Ok(whole(kind, body)),
    }
}

/// JSON as it is.
pub(crate) fn json(body: impl Into<Bytes>) -> Response {
    whole("application/json", body.into())
}

/// Tells a poller when to look again.
pub(crate) fn poll_later(mut response: Response) -> Response {
    let name = HeaderName::from_static("openai-poll-after-ms");
    response.headers_mut().insert(name, HeaderValue::from(POLL_AFTER_MS));
    response
}

fn whole(kind: &'static str, body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Promises the whole body and hangs up half way.
fn cut(kind: &'static str, body: &Bytes) -> Response {
    let half = body.slice(..body.len() / 2);
    let broken = async {
        // Without a pause the head and the half would be thrown away unsent.
        tokio::time::sleep(FLUSH).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let parts = stream::once(async { Ok(half) }).chain(stream::once(broken));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
    ];
    (headers, Body::from_stream(parts)).into_response()
}
