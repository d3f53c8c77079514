//! The console: where people look, and decide. It is a client of the JSON API in
//! the same process: a page asks the API in the name of who looks at it, and shows
//! the answer. So it can show and do what the API can, and nothing else; every rule
//! about who may do what stands there. All of it works without JavaScript.

mod answer;
mod api;
mod assets;
mod batches;
mod charts;
mod deliveries;
mod diff;
mod done;
mod insights;
mod jobs;
mod policy;
mod render;
mod reviews;
mod setup;
mod sign_in;
mod tickets;
mod time;
mod today;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

use self::answer::Failure;
use self::api::Api;
use self::render::Templates;
use crate::clock::Clock;
use crate::people::People;

/// Largest form that is taken, in bytes.
const MAX_FORM_BYTES: usize = 512 * 1024;

/// No script and no style but our own files; nothing may frame a page, and no
/// form leads elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the pages need.
pub struct Console {
    api: Api,
    people: People,
    clock: Clock,
    templates: Templates,
}

impl Console {
    /// Pages over `api`, which answers under `/api/v1`.
    ///
    /// # Errors
    /// When a template is broken; a test renders each.
    pub fn new(api: Router, people: People, clock: Clock) -> Result<Console, minijinja::Error> {
        Ok(Console { api: Api::new(api), people, clock, templates: Templates::new()? })
    }
}

/// What every page may be told in its address: a code for what was just done.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Done {
    done: Option<String>,
}

/// Why somebody does something, in their words.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Reason {
    reason: String,
}

impl Reason {
    /// As the API takes it.
    fn body(&self) -> serde_json::Value {
        if self.reason.trim().is_empty() { serde_json::json!({}) } else { serde_json::json!({"reason": self.reason}) }
    }
}

/// The pages.
pub fn routes(console: &Arc<Console>) -> Router {
    Router::new()
        .route("/", get(today::show))
        .route("/insights", get(insights::show))
        .merge(reviews::routes())
        .merge(deliveries::routes())
        .merge(jobs::routes())
        .merge(tickets::routes())
        .merge(batches::routes())
        .merge(policy::routes())
        .merge(setup::routes())
        .merge(sign_in::routes())
        .merge(assets::routes())
        .layer(axum::extract::DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(console), answer::show_failures))
        .layer(middleware::from_fn(page_policy))
        .with_state(Arc::clone(console))
}

/// What browsers are shown where there is nothing.
pub fn with_pages_for_nothing(router: Router, console: &Arc<Console>) -> Router {
    let show = middleware::from_fn_with_state(Arc::clone(console), answer::show_missing);
    router.layer(show).layer(middleware::from_fn(page_policy))
}

/// The pages' policy, for what is one.
async fn page_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if answer::is_page(&response) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    response
}

/// An address that nothing answers, for people: a page that says so.
pub fn no_such_page() -> Failure {
    Failure::new(404, "Nothing here", "There is no page at this address.")
}
