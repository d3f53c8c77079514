//! Reviews: what waits for a person, and what the person decides. An approval
//! queues a job; nothing here touches a ticket.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::review::{self, Action, Refused, RejectReason};
use crate::shapes;
use crate::store::Act;

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let page = query.page()?;
    let state = match query.state.as_deref() {
        None => None,
        Some(word) => Some(review::State::parse(word).ok_or_else(|| Problem::invalid(unknown_state()))?),
    };
    let reviews = web.store.reviews(state, query.ticket, query.reason, page).await?;
    Ok(Json(shapes::page(&reviews, shapes::review)))
}

fn unknown_state() -> String {
    format!("state must be one of {}", review::State::ALL.map(review::State::word).join(", "))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = web.store.review(id.clone()).await?.ok_or_else(|| Problem::not_found("review", &id))?;
    Ok(Json(shapes::review(&found)))
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
    act((web, caller, id, body), |given| Ok(Action::Approve { text: given.text.clone() })).await
}

pub(super) async fn reject(
    web: State<Arc<Web>>,
    caller: Caller,
    id: Path<String>,
    body: Input<Decision>,
) -> Result<Json<Value>, Problem> {
    act((web, caller, id, body), |given| {
        let said = given.reason.clone().filter(|reason| !reason.trim().is_empty());
        let said = said.ok_or_else(|| Problem::invalid(reasons()))?;
        Ok(Action::Reject { reason: RejectReason::meant(&said), said })
    })
    .await
}

fn reasons() -> String {
    let codes = RejectReason::ALL.map(RejectReason::code).join(", ");
    format!("a rejection needs a reason: {codes}, or your own words")
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
        person: caller.person,
        lease_ms: web.claim_ms,
        now_ms: web.clock.now_ms(),
    };
    match web.store.act_on_review(act).await? {
        None => Err(Problem::not_found("review", &id)),
        Some(Err(refused)) => Err(refused.into()),
        Some(Ok(review)) => Ok(Json(shapes::review(&review))),
    }
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
