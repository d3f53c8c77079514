//! `POST /webhooks/helpdesk`: verify, remember, plan, answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use super::{Hooks, hash};
use crate::helpdesk::{NotHeard, Told};
use crate::telemetry::trouble;

/// Largest body that is read: helpdesks send whole tickets.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The route.
pub fn router(hooks: Arc<Hooks>) -> Router {
    Router::new()
        .route("/webhooks/helpdesk", post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(hooks)
}

async fn receive(State(hooks): State<Arc<Hooks>>, headers: HeaderMap, body: Bytes) -> Response {
    let told = Told { headers: &headers, body: &body, secret: &hooks.secret, now_ms: hooks.clock.now_ms() };
    let heard = match hooks.desk.heard(&told) {
        Ok(heard) => heard,
        Err(why) => return refuse(&hooks, why),
    };
    match hooks.take_in(heard, &hash(&body), None).await {
        Ok(Some(_)) => (StatusCode::OK, "ok").into_response(),
        Ok(None) => refuse(&hooks, NotHeard::Shapeless),
        Err(error) => {
            trouble!(error, "what the helpdesk told could not be stored; answered 503");
            let mut response = (StatusCode::SERVICE_UNAVAILABLE, "try again").into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

/// The caller learns nothing but that it was refused; the operator learns why.
fn refuse(hooks: &Hooks, why: NotHeard) -> Response {
    let code = match why {
        NotHeard::Unsigned => "helpdesk_unsigned",
        NotHeard::Forged => "helpdesk_forged",
        NotHeard::Late => "helpdesk_late",
        NotHeard::Shapeless => "helpdesk_shapeless",
        NotHeard::NotOffered => "helpdesk_not_offered",
    };
    hooks.metrics.refused(code);
    tracing::warn!(
        code,
        "a webhook of the helpdesk was refused: {why}; look at helpdesk.webhook_secret and docs/helpdesks.md"
    );
    (StatusCode::BAD_REQUEST, "not verified").into_response()
}
