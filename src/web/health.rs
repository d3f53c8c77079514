//! For load balancers and Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Mutex;

use super::Web;
use super::access::bearer;
use super::problem::Problem;
use crate::store::{Counts, StoreError};
use crate::telemetry;

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

/// How long the database's counts are good, so that no number of callers keeps it busy.
const COUNTS_GOOD_FOR_MS: i64 = 1_000;

/// What `/metrics` needs.
pub(super) struct Scrape {
    web: Arc<Web>,
    /// When the database counted last, and what.
    last: Mutex<Option<(i64, Arc<Counts>)>>,
}

impl Scrape {
    pub(super) fn new(web: Arc<Web>) -> Arc<Scrape> {
        Arc::new(Scrape { web, last: Mutex::new(None) })
    }

    /// Whoever comes while the database counts waits for that count.
    async fn counts(&self, now_ms: i64) -> Result<Arc<Counts>, StoreError> {
        let mut last = self.last.lock().await;
        if let Some((at, counts)) = &*last
            && (*at..*at + COUNTS_GOOD_FOR_MS).contains(&now_ms)
        {
            return Ok(Arc::clone(counts));
        }
        let counts = Arc::new(self.web.store.counts().await?);
        *last = Some((now_ms, Arc::clone(&counts)));
        Ok(counts)
    }
}

pub(super) async fn metrics(State(scrape): State<Arc<Scrape>>, headers: HeaderMap) -> Result<Response, Problem> {
    let web = &scrape.web;
    if let Some(token) = &web.metrics_token {
        let given = bearer(&headers).unwrap_or_default();
        if !same(given, token) {
            return Err(Problem::new(401, "Who are you?", "metrics need their token ([metrics] token)"));
        }
    }
    let now_ms = web.clock.now_ms();
    let text = web.metrics.render(&*scrape.counts(now_ms).await?, now_ms);
    let (kind, text) = if asks_for_open_metrics(&headers) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", telemetry::as_plain_text(&text))
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::VARY, "accept")], text).into_response())
}

/// By name, and not liked less than plain text.
fn asks_for_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds: Vec<(String, f32)> = accepted.flat_map(|value| value.split(',')).map(liked).collect();
    let most = |kind: &str| kinds.iter().filter(|(known, _)| known == kind).map(|(_, q)| *q).fold(0.0, f32::max);
    let open = most("application/openmetrics-text");
    open > 0.0 && open >= most("text/plain")
}

/// One media type of an Accept header, and how much it is liked.
fn liked(range: &str) -> (String, f32) {
    let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let q = parts.find_map(|part| part.strip_prefix("q=").map(|q| q.parse().unwrap_or(0.0)));
    (kind, q.unwrap_or(1.0))
}

/// Compares hashes, so that the time taken tells nothing of the token.
fn same(given: &str, token: &str) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(given.as_bytes()) == Sha256::digest(token.as_bytes())
}
