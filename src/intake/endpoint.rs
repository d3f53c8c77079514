//! `POST /webhooks/openai[/PROJECT]`: verify, store, answer. Nothing else
//! happens here, so nothing else can make it slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refusals::Refusals;
use crate::clock::Clock;
use crate::domain::delivery::{NewDelivery, Receipt};
use crate::domain::verify::{Refusal, Verifier};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, trouble};

/// Largest body that is read. OpenAI's are some hundred bytes; a telephone
/// event with its SIP headers a few KiB.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// How much of a body that is too large is read and dropped.
const MAX_PASSED_OVER_BYTES: usize = 16 * MAX_BODY_BYTES;

/// A commit that takes longer than this is answered with 503. Should it succeed
/// after all, the sender's next try is a duplicate and gets its 200.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// When a sender that met 503 should come back, in seconds.
const RETRY_AFTER_S: &str = "5";

/// One OpenAI project at the front desk.
pub struct Project {
    /// Its signing secrets.
    pub verifier: Verifier,
    /// How long OpenAI keeps its results, in ms.
    pub retention_ms: i64,
    keeps_bodies: bool,
    matched_before: AtomicBool,
}

impl Project {
    /// A project with these secrets.
    #[must_use]
    pub fn new(verifier: Verifier, retention_ms: i64) -> Project {
        Project { verifier, retention_ms, keeps_bodies: true, matched_before: AtomicBool::new(false) }
    }

    /// The same, but what its webhooks say is not stored.
    #[must_use]
    pub fn without_bodies(self) -> Project {
        Project { keeps_bodies: false, ..self }
    }
}

/// What answers OpenAI.
pub struct FrontDesk {
    store: Store,
    clock: Clock,
    projects: HashMap<String, Project>,
    default_project: String,
    body_timeout: Duration,
    metrics: Arc<Metrics>,
    refusals: Arc<Refusals>,
}

impl FrontDesk {
    /// A front desk for these projects; `default_project` is the one without a
    /// name in the path.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        projects: HashMap<String, Project>,
        default_project: &str,
        body_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Arc<FrontDesk> {
        let refusals = Arc::new(Refusals::new(store.clone(), Arc::clone(&metrics)));
        Arc::new(FrontDesk {
            store,
            clock,
            projects,
            default_project: default_project.to_owned(),
            body_timeout,
            metrics,
            refusals,
        })
    }

    /// What was refused, for the task that writes it down.
    #[must_use]
    pub fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.refusals)
    }
}

/// The routes.
pub fn router(desk: Arc<FrontDesk>) -> Router {
    Router::new()
        .route("/webhooks/openai", post(receive_default))
        .route("/webhooks/openai/{project}", post(receive_named))
        .with_state(desk)
}

async fn receive_default(State(desk): State<Arc<FrontDesk>>, request: Request) -> Response {
    let project = desk.default_project.clone();
    receive(&desk, &project, request).await
}

async fn receive_named(
    State(desk): State<Arc<FrontDesk>>,
    project: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A name that is not UTF-8 is the name of no project.
    let name = project.map_or_else(|_| String::new(), |Path(name)| name);
    receive(&desk, &name, request).await
}

async fn receive(desk: &FrontDesk, name: &str, request: Request) -> Response {
    let started = Instant::now();
    let Some(project) = desk.projects.get(name) else {
        return (StatusCode::NOT_FOUND, "no such project").into_response();
    };
    let (head, body) = request.into_parts();
    let body = match read_body(body, desk.body_timeout).await {
        Ok(body) => body,
        Err(problem) => return desk.refuse_body(name, problem),
    };
    let now_ms = desk.clock.now_ms();
    // `Bytes` is counted, not copied: the body is still here to explain a refusal.
    match project.verifier.verify(&head.headers, body.clone(), now_ms.div_euclid(1000)) {
        Ok(verified) => {
            project.matched_before.store(true, Ordering::Relaxed);
            let delivery = NewDelivery::read(name, verified, now_ms, project.retention_ms);
            let delivery = if project.keeps_bodies { delivery } else { delivery.without_body() };
            desk.record(delivery, started).await
        }
        Err(refusal) => desk.refuse(name, project, &head.headers, &body, now_ms, &refusal),
    }
}

enum BodyProblem {
    TooLarge,
    TooSlow,
    Broken,
}

async fn read_body(mut body: Body, timeout: Duration) -> Result<Bytes, BodyProblem> {
    let whole = Limited::new(&mut body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(timeout, whole).await {
        Err(_) => Err(BodyProblem::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let _ = tokio::time::timeout(timeout, pass_over(&mut body)).await;
            Err(BodyProblem::TooLarge)
        }
        Ok(Err(_)) => Err(BodyProblem::Broken),
    }
}

/// Reads on without keeping anything: a sender whose connection is reset while
/// it writes never sees the 413.
async fn pass_over(body: &mut Body) {
    let mut passed = 0;
    while let Some(Ok(frame)) = body.frame().await {
        passed += frame.data_ref().map_or(0, Bytes::len);
        if passed > MAX_PASSED_OVER_BYTES {
            return;
        }
    }
}

impl FrontDesk {
    async fn record(&self, delivery: NewDelivery, started: Instant) -> Response {
        let recorded = tokio::time::timeout(COMMIT_TIMEOUT, self.store.record(delivery)).await;
        let receipt = match recorded {
            Ok(Ok(receipt)) => receipt,
            Ok(Err(error)) => return self.not_now(&error),
            Err(_) => return self.not_now(&StoreError::Busy),
        };
        self.metrics.delivered(word(receipt), started.elapsed().as_secs_f64());
        (StatusCode::OK, "ok").into_response()
    }

    /// Not durable, so never a 200: OpenAI keeps the event and tries again.
    fn not_now(&self, why: &StoreError) -> Response {
        self.metrics.refused("not_durable");
        trouble!(why, "a verified delivery could not be stored; answered 503");
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, "try again").into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        response
    }

    fn refuse_body(&self, project: &str, problem: BodyProblem) -> Response {
        let now_ms = self.clock.now_ms();
        let (code, status, text) = match problem {
            BodyProblem::TooLarge => {
                ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 256 KiB")
            }
            BodyProblem::TooSlow => ("body_too_slow", StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            BodyProblem::Broken => ("body_broken", StatusCode::BAD_REQUEST, "the body broke off"),
        };
        self.refusals.add(project, code, text.to_owned(), now_ms);
        let mut response = (status, "not accepted").into_response();
        // The rest of the body will not be read, so the connection is of no further use.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// The caller learns nothing but that it was refused; the operator learns why.
    fn refuse(
        &self,
        name: &str,
        project: &Project,
        headers: &axum::http::HeaderMap,
        body: &[u8],
        now_ms: i64,
        refusal: &Refusal,
    ) -> Response {
        let matched_before = project.matched_before.load(Ordering::Relaxed);
        self.refusals.explain(name, &project.verifier, headers, body, now_ms, refusal, matched_before);
        (StatusCode::BAD_REQUEST, "not verified").into_response()
    }
}

fn word(receipt: Receipt) -> &'static str {
    match receipt {
        Receipt::Queued => "queued",
        Receipt::KnownEvent => "known_event",
        Receipt::Duplicate { altered: false } => "duplicate",
        Receipt::Duplicate { altered: true } => "duplicate_altered",
        Receipt::Stored => "received",
    }
}
