//! What people and programs see: the JSON API, health and metrics. It reads,
//! it starts work, it queues; it never changes a ticket of a helpdesk by itself.

mod access;
mod alerts;
mod batches;
mod bulk;
mod checklist;
mod deliveries;
mod erase;
mod events;
mod health;
mod input;
mod insights;
mod jobs;
mod openapi;
mod pauses;
mod policy;
mod problem;
mod reviews;
mod submissions;
mod tickets;
mod users;
mod why;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use crate::clock::Clock;
use crate::people::People;
use crate::store::Store;
use crate::submit::Submitter;
use crate::telemetry::Metrics;
use crate::trial::Trial;
pub use checklist::Checklist;
pub use events::Events;
use problem::Problem;

/// Largest body of an API request, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the routes need.
pub struct Web {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// What a million tokens cost, in and out; none when nobody has said so.
    pub prices: Option<(f64, f64)>,
    /// Who may come in.
    pub people: People,
    /// The production checklist.
    pub checklist: Checklist,
    /// Who listens for what is new.
    pub events: Events,
    /// Starts work.
    pub submitter: Submitter,
    /// What this process measures.
    pub metrics: Arc<Metrics>,
    /// Who may read `/metrics`; none: everybody.
    pub metrics_token: Option<String>,
    /// Claimable work that has waited longer is overdue, in ms.
    pub overdue_ms: i64,
    /// How long a claim of a review lasts, in ms.
    pub claim_ms: i64,
    /// The policy in force, for those who ask about it.
    pub trial: Trial,
    /// The project that work is started in.
    pub default_project: String,
}

/// Health and metrics: every process has them, whatever its roles.
pub fn health_routes(web: Arc<Web>) -> Router {
    let metrics = get(health::metrics).with_state(health::Scrape::new(Arc::clone(&web)));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", metrics)
        // Named, because the router's own fallback loses its headers when routers are merged.
        .fallback(no_such_route)
        .with_state(web)
}

/// The API.
pub fn api_routes(web: Arc<Web>) -> Router {
    let api = Router::new()
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/replay", post(bulk::deliveries))
        .route("/deliveries/{id}", get(deliveries::show))
        .route("/deliveries/{id}/body", get(deliveries::body))
        .route("/deliveries/{id}/dismiss", post(deliveries::dismiss))
        .route("/alerts", get(alerts::list))
        .merge(batch_routes())
        .route("/jobs", get(jobs::list))
        .route("/jobs/bulk", post(bulk::jobs))
        .route("/jobs/{id}", get(jobs::show))
        .route("/jobs/{id}/effects", get(jobs::effects))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/discard", post(jobs::discard))
        .route("/policy", get(policy::show))
        .route("/policy/test", post(policy::test))
        .route("/policy/replay", post(policy::replay))
        .route("/workflows", get(policy::workflows))
        .route("/workflows/{name}", get(policy::workflow))
        .route("/doctor", get(checklist::show))
        .route("/reviews", get(reviews::list))
        .route("/reviews/next", post(reviews::next))
        .route("/reviews/bulk", post(reviews::together))
        .route("/reviews/{id}", get(reviews::show))
        .route("/reviews/{id}/claim", post(reviews::claim))
        .route("/reviews/{id}/heartbeat", post(reviews::heartbeat))
        .route("/reviews/{id}/release", post(reviews::release))
        .route("/reviews/{id}/approve", post(reviews::approve))
        .route("/reviews/{id}/reject", post(reviews::reject))
        .route("/reviews/{id}/escalate", post(reviews::escalate))
        .route("/reviews/{id}/undo", post(reviews::undo))
        .route("/feedback", get(reviews::feedback))
        .route("/submissions", get(submissions::list).post(submissions::create))
        .route("/submissions/{id}", get(submissions::show))
        .route("/submissions/{id}/close", post(submissions::close))
        .route("/tickets", get(tickets::list).post(tickets::create))
        .route("/tickets/{id}", get(tickets::show).patch(tickets::patch))
        .route("/tickets/{id}/erase", post(erase::ticket))
        .route("/tickets/{id}/messages", post(tickets::add_message))
        .route("/why/{id}", get(why::show))
        .route("/rates", get(insights::rates))
        .route("/insights", get(insights::show))
        .route("/insights.csv", get(insights::csv))
        .route("/events", get(events::listen))
        .route("/audit", get(why::audit))
        .route("/stats", get(why::stats))
        .route("/pauses", get(pauses::list).post(pauses::create))
        .route("/pauses/{kind}/{name}", delete(pauses::end))
        .route("/audit-trail", get(pauses::trail))
        .route("/me", get(users::me))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{name}", axum::routing::patch(users::change))
        .route("/users/{name}/invite", post(users::invite))
        .route("/tokens", get(users::tokens).post(users::create_token))
        .route("/tokens/{name}", delete(users::revoke_token))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::map_response(unreadable_address));
    Router::new().nest("/api/v1", api).route("/api/openapi.json", get(openapi::show)).with_state(web)
}

fn batch_routes() -> Router<Arc<Web>> {
    let create = post(batches::create).layer(DefaultBodyLimit::max(batches::MAX_BODY_BYTES));
    Router::new()
        .route("/batches", get(batches::list).merge(create))
        .route("/batches/{id}", get(batches::show))
        .route("/batches/{id}/lines", get(batches::lines))
        .route("/batches/{id}/lines.csv", get(batches::csv))
        .route("/batches/{id}/lines.jsonl", get(batches::jsonl))
        .route("/batches/{id}/sample", get(batches::sample))
        .route("/batches/{id}/apply", post(batches::apply))
        .route("/batches/{id}/reject", post(batches::reject))
        .route("/batches/{id}/pause", post(batches::pause))
        .route("/batches/{id}/resume", post(batches::resume))
        .route("/batches/{id}/undo", post(batches::undo))
}

/// Headers that no answer goes without: nothing is cached, sniffed or framed.
pub async fn guard(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    const GUARDS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in GUARDS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn no_such_route() -> Response {
    Problem::new(404, "No such address", "there is nothing at this address").into_response()
}

/// The router answers an address that is not UTF-8 by itself, in plain text.
async fn unreadable_address(response: Response) -> Response {
    let plain = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
    if response.status() == StatusCode::BAD_REQUEST && plain { no_such_route().await } else { response }
}

async fn wrong_method() -> Response {
    Problem::new(405, "Wrong method", "this address does not take this method").into_response()
}
