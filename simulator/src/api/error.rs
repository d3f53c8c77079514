//! Errors in OpenAI's shape.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What a call is refused with.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    retry: Retry,
}

/// What the answer says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Unsaid,
    After(u32),
    Never,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message, kind, param: None, code: None, retry: Retry::Unsaid }
    }

    /// 400.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// 400 for a parameter that is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required parameter: '{param}'.")).param(param).code("missing_required_parameter")
    }

    /// 404.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    /// 405.
    pub(crate) fn method(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message).code("method_not_supported")
    }

    /// 413.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    /// 401 for a key that is wrong, or for none.
    pub(crate) fn unauthorized(given: bool) -> Self {
        let kind = "invalid_request_error";
        if given {
            let message = "Incorrect API key provided. You can find your API key in your settings.";
            Self::new(StatusCode::UNAUTHORIZED, kind, message).code("invalid_api_key")
        } else {
            let message = "You didn't provide an API key in the Authorization header.";
            Self::new(StatusCode::UNAUTHORIZED, kind, message)
        }
    }

    /// 403.
    pub(crate) fn forbidden() -> Self {
        let message = "You have insufficient permissions for this operation.";
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", message).code("insufficient_permissions")
    }

    /// 429 that waiting does not cure.
    pub(crate) fn quota() -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", message).code("insufficient_quota");
        error.retry = Retry::Never;
        error
    }

    /// 429 that waiting cures.
    pub(crate) fn rate_limited() -> Self {
        let message = "Rate limit reached. Please try again in 1s.";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", message).code("rate_limit_exceeded");
        error.retry = Retry::After(1);
        error
    }

    /// 500.
    pub(crate) fn server() -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// 504.
    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "server_error", "The request took too long.")
    }

    pub(crate) fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// `{"error":{…}}`
    pub(crate) fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param,
            "code": self.code}})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match self.retry {
            Retry::Unsaid => {}
            Retry::After(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Retry::Never => {
                let name = HeaderName::from_static("x-should-retry");
                headers.insert(name, HeaderValue::from_static("false"));
            }
        }
        response
    }
}
