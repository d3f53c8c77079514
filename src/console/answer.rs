//! What a page answers with: itself, another address, or what went wrong.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use minijinja::context;
use serde_json::Value;

use super::Console;
use super::render::Page;
use super::visitor::Visitor;

/// What went wrong, as the API said it.
#[derive(Debug, Clone)]
pub struct Failure {
    status: u16,
    title: String,
    detail: String,
    /// Where to go instead.
    to: Option<String>,
}

impl Failure {
    pub(super) fn new(status: u16, title: &str, detail: impl Into<String>) -> Failure {
        Failure { status, title: title.to_owned(), detail: detail.into(), to: None }
    }

    /// A problem document.
    pub(super) fn of(status: u16, problem: &Value) -> Failure {
        let said = |name: &str, otherwise: &str| problem[name].as_str().unwrap_or(otherwise).to_owned();
        Failure { status, title: said("title", "It did not work"), detail: said("detail", ""), to: None }
    }

    /// Somebody has to go elsewhere first.
    pub(super) fn instead(to: impl Into<String>) -> Failure {
        Failure { status: 303, title: String::new(), detail: String::new(), to: Some(to.into()) }
    }

    /// What to tell whoever looks at the page on which it happened; anything else
    /// than a request that could not be done as it was is a page of its own.
    pub(super) fn said(self) -> Result<String, Failure> {
        if matches!(self.status, 400 | 403 | 409 | 422) { Ok(self.detail) } else { Err(self) }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }
}

impl From<minijinja::Error> for Failure {
    fn from(error: minijinja::Error) -> Failure {
        // The kind and the place; the values of a template are content.
        tracing::error!(kind = ?error.kind(), template = error.name(), line = error.line(), "a page could not be made");
        Failure::new(500, "Internal error", "This page could not be made; the log says where.")
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Failure {
        tracing::error!(%error, "a page could not be answered");
        Failure::new(503, "Not now", "The database could not be read or written.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if let Some(to) = &self.to {
            return go(to);
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        // The page is made where the templates are.
        response.extensions_mut().insert(self);
        response
    }
}

/// Shows what went wrong as a page.
pub(super) async fn show_failures(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    dressed(&console, asked, next.run(Request::from_parts(parts, body)).await).await
}

async fn dressed(console: &Arc<Console>, mut asked: Parts, mut response: Response) -> Response {
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    // Whoever is signed in finds their way on from there.
    let visitor = Visitor::from_request_parts(&mut asked, console).await.ok();
    let page = match &visitor {
        Some(visitor) => Page::of(console, visitor, "", failure.title.clone()).await.ok(),
        None => None,
    };
    let page = page.unwrap_or_else(|| Page::plain(console, failure.title.clone()));
    let shown = page.render(
        "failure.html",
        context! { status => failure.status, heading => failure.title, detail => failure.detail },
    );
    let Ok(Html(text)) = shown else { return response };
    *response.body_mut() = text.into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// An address at which there is nothing, as a page for whoever browses; programs get
/// what they always get.
pub(super) async fn show_missing(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_browsing = accepts.contains("text/html") && !request.uri().path().starts_with("/api/");
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    if !is_browsing || response.status() != StatusCode::NOT_FOUND || is_page(&response) {
        return response;
    }
    dressed(&console, asked, super::no_such_page().into_response()).await
}

pub(super) fn is_page(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// To another page of ours, after something was done.
pub(super) fn go(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// An answer of a page.
pub(super) type Shown = Result<Response, Failure>;
