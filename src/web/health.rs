//! For load balancers and Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Web;
use super::access::bearer;
use super::problem::Problem;

/// The process runs.
pub(super) async fn live() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// A delivery could be made durable now.
pub(super) async fn ready(State(web): State<Arc<Web>>) -> Response {
    match web.store.ping().await {
        Ok(()) => axum::Json(json!({"status": "ok", "database": "ok"})).into_response(),
        Err(error) => {
            let body = json!({"status": "down", "database": error.to_string()});
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
        }
    }
}

pub(super) async fn metrics(State(web): State<Arc<Web>>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = &web.metrics_token {
        let given = bearer(&headers).unwrap_or_default();
        if !same(given, token) {
            return Err(Problem::new(401, "Who are you?", "metrics need their token ([metrics] token)"));
        }
    }
    let counts = web.store.counts().await?;
    let mut response = web.metrics.render(&counts, web.clock.now_ms()).into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Compares hashes, so that the time taken tells nothing of the token.
fn same(given: &str, token: &str) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(given.as_bytes()) == Sha256::digest(token.as_bytes())
}
