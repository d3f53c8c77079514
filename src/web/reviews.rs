//! Reviews: what waits for a person, and what the person decides. An approval
//! queues a job; nothing here touches a ticket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::person::Role;
use crate::domain::review::{self, Action, Amended, Refused, RejectReason, Reroute};
use crate::operators::DecideTogether;
use crate::shapes;
use crate::store::{Act, QueueFilter};

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    if query.state.as_deref() == Some(WAITING) {
        let filter = query.queue()?;
        return Ok(Json(shapes::page(&web.store.waiting_reviews(filter, page).await?, shapes::review)));
    }
    let state = match query.state.as_deref() {
        None => None,
        Some(word) => Some(review::State::parse(word).ok_or_else(|| Problem::invalid(unknown_state()))?),
    };
    let reviews = web.store.reviews(state, query.ticket, query.reason, page).await?;
    Ok(Json(shapes::page(&reviews, shapes::review)))
}

fn unknown_state() -> String {
    format!("state must be one of {}, or {WAITING}", review::State::ALL.map(review::State::word).join(", "))
}

/// Asks for what is open or claimed, the oldest first: the queue, as people clear it.
const WAITING: &str = "waiting";

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.store.look_at_review(id.clone(), caller.person, web.clock.now_ms()).await?;
    Ok(Json(shapes::looked(&found.ok_or_else(|| Problem::not_found("review", &id))?)))
}

/// Which review somebody wants next.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// Not this one, and first of all what is behind it.
    after: Option<String>,
    reason: Option<String>,
    topic: Option<String>,
    workflow: Option<String>,
}

/// Claims the oldest that waits and that the caller may decide; 204 when there is none.
pub(super) async fn next(
    State(web): State<Arc<Web>>,
    caller: Caller,
    given: Option<Input<Wanted>>,
) -> Result<Response, Problem> {
    let wanted = given.map(|Input(wanted)| wanted).unwrap_or_default();
    let filter =
        QueueFilter { reason: wanted.reason, topic: wanted.topic, workflow: wanted.workflow, claimed_by: None };
    let act = Act {
        review: String::new(),
        version: None,
        action: Action::Claim,
        person: caller.person.clone(),
        lease_ms: web.claim_ms,
        now_ms: web.clock.now_ms(),
    };
    match web.store.claim_next_review(act, filter, wanted.after).await? {
        None => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(review) => Ok(show(State(web), caller, Path(review.id)).await?.into_response()),
    }
}

/// How drafts fared, by workflow and prompt version.
pub(super) async fn feedback(State(web): State<Arc<Web>>, _: Caller) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({"items": web.store.feedback(None).await?.iter().map(shapes::feedback).collect::<Vec<_>>()})))
}

/// What every action says: which version the person looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    version: i64,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    route: Option<serde_json::Map<String, Value>>,
}

type Asking = (State<Arc<Web>>, Caller, Path<String>, Input<Decision>);

pub(super) async fn claim(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |_| Ok(Action::Claim)).await
}

pub(super) async fn release(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |_| Ok(Action::Release)).await
}

pub(super) async fn approve(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |given| {
        Ok(Action::Approve(Amended { text: given.text.clone(), route: given.route.clone().map(rerouted).transpose()? }))
    })
    .await
}

/// What is corrected. Read from an object alone: a list of its values would do as well otherwise.
fn rerouted(given: serde_json::Map<String, Value>) -> Result<Reroute, Problem> {
    serde_json::from_value(Value::Object(given)).map_err(|wrong| Problem::invalid(format!("route: {wrong}")))
}

pub(super) async fn reject(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |given| rejection(given.reason.clone())).await
}

fn rejection(reason: Option<String>) -> Result<Action, Problem> {
    let codes = || RejectReason::ALL.map(RejectReason::code).join(", ");
    let said = reason
        .filter(|reason| !reason.trim().is_empty())
        .ok_or_else(|| Problem::invalid(format!("a rejection needs a reason: {}, or your own words", codes())))?;
    Ok(Action::Reject { reason: RejectReason::meant(&said), said })
}

pub(super) async fn escalate(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |given| Ok(Action::Escalate { said: given.reason.clone().unwrap_or_default() })).await
}

pub(super) async fn undo(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |_| Ok(Action::Undo)).await
}

async fn act(
    (State(web), caller, Path(id), Input(given)): Asking,
    action: impl FnOnce(&Decision) -> Result<Action, Problem>,
) -> Result<Json<Value>, Problem> {
    let act = Act {
        review: id.clone(),
        version: Some(given.version),
        action: action(&given)?,
        person: caller.person.clone(),
        lease_ms: web.claim_ms,
        now_ms: web.clock.now_ms(),
    };
    match web.store.act_on_review(act).await? {
        None => Err(Problem::not_found("review", &id)),
        Some(Err(refused)) => Err(refused.into()),
        Some(Ok(_)) => show(State(web), caller, Path(id)).await,
    }
}

/// Many at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Together {
    action: String,
    items: Vec<Item>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// One of them, and which version of it the person looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    id: String,
    version: i64,
}

/// Approves or rejects many, or takes that back; says which are left out, and why.
pub(super) async fn together(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(given): Input<Together>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let action = match (given.action.as_str(), given.reason) {
        ("approve", None) => Action::yes(),
        ("undo", None) => Action::Undo,
        ("approve" | "undo", Some(_)) => return Err(Problem::invalid("only a rejection takes a reason")),
        ("reject", reason) => rejection(reason)?,
        _ => return Err(Problem::invalid("action must be approve, reject or undo")),
    };
    let items = given.items.into_iter().map(|item| (item.id, Some(item.version))).collect();
    let asked = DecideTogether::new(action, items, caller.person, web.claim_ms).map_err(Problem::invalid)?;
    let decided = match given.dry_run {
        true => asked.look(&web.store, &web.clock).await?,
        false => asked.run(&web.store, &web.clock).await?,
    };
    Ok(Json(shapes::decided_together(&decided)))
}

/// Keeps a claim while somebody works on it. No action: the version stays.
pub(super) async fn heartbeat(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now_ms = web.clock.now_ms();
    if web.store.keep_claim(id.clone(), caller.person.name.clone(), now_ms + web.claim_ms, now_ms).await? {
        return show(State(web), caller, Path(id)).await;
    }
    match web.store.review(id.clone()).await? {
        None => Err(Problem::not_found("review", &id)),
        Some(_) => Err(Problem::conflict("you do not have it any more; claim it again")),
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let detail = refused.to_string();
        match refused {
            _ if refused.is_role() => Problem::new(403, "Not allowed", detail),
            _ if refused.is_invalid() => Problem::invalid(detail),
            _ => Problem::conflict(detail),
        }
    }
}
