//! Errors of the API, as RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::StoreError;

/// What went wrong, for the program that asked.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    title: &'static str,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, title, detail: detail.into() }
    }

    pub(super) fn not_found(what: &str, id: &str) -> Problem {
        let id: String = id.chars().take(200).collect();
        Problem::new(404, "Not found", format!("there is no {what} {id:?}"))
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(400, "Invalid request", detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(409, "Conflict", detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::Missing(what) => Problem::new(404, "Not found", format!("there is no such {what}")),
            StoreError::Full | StoreError::Closed => Problem::new(503, "Not now", error.to_string()),
            _ => {
                tracing::error!(%error, "a request could not be answered");
                Problem::new(500, "Internal error", "the database could not be read or written; the log says more")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail});
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
