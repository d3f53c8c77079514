//! The HTTP side: OpenAI's routes, and a few of the simulator's own.

mod batches;
mod catalogue;
mod control;
mod error;
mod files;
mod read;
mod responses;
pub(crate) mod validate;

use crate::settings::Access;
use crate::state::State;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error::ApiError;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The largest JSON body.
const MOST_JSON: usize = 16 << 20;

/// No call takes longer, whatever it waits for.
const LONGEST_CALL: Duration = Duration::from_secs(120);

/// Everything that is served.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::retrieve).delete(responses::delete))
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route("/v1/responses/{id}/input_items", get(responses::input_items))
        .route("/v1/files", files::upload_route())
        .route("/v1/files/{id}", get(files::retrieve).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content))
        .route("/v1/batches", get(batches::list).post(batches::create))
        .route("/v1/batches/{id}", get(batches::retrieve))
        .route("/v1/batches/{id}/cancel", post(batches::cancel))
        .merge(catalogue::router())
        .merge(control::router())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MOST_JSON))
        .layer(from_fn_with_state(Arc::clone(&state), around))
        .with_state(state)
}

/// Admits the call, bounds it, numbers its answer and writes it down.
async fn around(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let control = path.starts_with("/_simulator");
    let admitted = if control { Ok(()) } else { admit(&state, request.headers()) };
    let mut response = match admitted {
        Err(error) => error.into_response(),
        Ok(()) => tokio::time::timeout(LONGEST_CALL, next.run(request))
            .await
            .unwrap_or_else(|_| ApiError::too_slow().into_response()),
    };
    if let Ok(id) = HeaderValue::from_str(&state.request_id()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    if !control {
        state.requests.push(method.as_str(), &path, response.status().as_u16());
    }
    response
}

fn admit(state: &State, headers: &HeaderMap) -> Result<(), ApiError> {
    match state.tuning().access {
        Access::Open => {}
        Access::Unauthorized => return Err(ApiError::unauthorized(true)),
        Access::Forbidden => return Err(ApiError::forbidden()),
        Access::Quota => return Err(ApiError::quota()),
        Access::Down => return Err(ApiError::server()),
    }
    let Some(key) = &state.api_key else {
        return Ok(());
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    if token == Some(key) { Ok(()) } else { Err(ApiError::unauthorized(token.is_some())) }
}

async fn no_route(method: Method, uri: Uri) -> ApiError {
    ApiError::unknown(format!("Invalid URL ({method} {})", clip(uri.path())))
}

async fn no_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method(format!("Not allowed to {method} on {}", clip(uri.path())))
}

/// What a caller sent is repeated only so far.
fn clip(text: &str) -> String {
    crate::output::text::clip(text, 200)
}

/// A body that must be a JSON object.
fn object(body: Result<Bytes, BytesRejection>) -> Result<(Bytes, Value), ApiError> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("The request is too large."),
        _ => ApiError::invalid("The body of your request could not be read."),
    })?;
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value) if value.is_object() => Ok((bytes, value)),
        _ => Err(ApiError::invalid("We could not parse the JSON body of your request.")),
    }
}
