//! `/v1/responses`.

use super::error::ApiError;
use super::{clip, object, read, validate};
use crate::made;
use crate::state::{MOST_PENDING, State};
use crate::work::{self, Response as Made, View};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

type Answer = Result<Response, ApiError>;

pub(super) async fn create(Shared(state): Shared<Arc<State>>, body: Result<Bytes, BytesRejection>) -> Answer {
    let (bytes, request) = object(body)?;
    validate::response(&request)?;
    previous(&state, &request)?;
    if state.pending.count() >= MOST_PENDING {
        return Err(ApiError::rate_limited());
    }
    let items = items(&state, &request, &bytes);
    let stored = request["store"].as_bool().unwrap_or(true);
    let request = Arc::new(request);
    let response = work::begin(&state, &request, &bytes, items);
    if !stored && !response.background {
        state.responses.remove(&response.id);
    }
    Ok(show(response.created(&request)))
}

/// An earlier response that is named must be there.
fn previous(state: &State, request: &Value) -> Result<(), ApiError> {
    let Some(id) = request["previous_response_id"].as_str() else {
        return Ok(());
    };
    if state.responses.get(id).is_some() || made::response(id, state.seed).is_some() {
        return Ok(());
    }
    let message = format!("Previous response with id '{}' not found.", clip(id));
    Err(ApiError::invalid(message).param("previous_response_id").code("previous_response_not_found"))
}

fn items(state: &State, request: &Value, bytes: &[u8]) -> Bytes {
    let mut dice = crate::chance::Dice::new(state.seed, &[bytes, b"items"]);
    let base = dice.hex(44);
    let items = validate::input_items(request, |at| format!("msg_{base}{at:04x}"));
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(items.first()), id(items.last()));
    let list = json!({"object": "list", "data": items, "first_id": first, "last_id": last,
        "has_more": false});
    list.to_string().into()
}

fn show(view: View) -> Response {
    match view {
        View::Ended(body) => read::json(body),
        View::Working(value) => read::poll_later(read::json(value.to_string())),
    }
}

fn find(state: &State, id: &str) -> Result<Arc<Made>, ApiError> {
    state
        .responses
        .get(id)
        .filter(|response| !response.forgotten())
        .ok_or_else(|| ApiError::unknown(format!("Response with id '{}' not found.", clip(id))))
}

pub(super) async fn retrieve(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    if let Some(body) = made::response(&id, state.seed) {
        return Ok(read::json(body));
    }
    let response = find(&state, &id)?;
    let fault = response.reads.next(response.ended());
    match fault {
        None => Ok(show(response.view(false))),
        Some(crate::Fault::LateModel) => Ok(show(response.view(true))),
        Some(_) => {
            let body = match response.view(false) {
                View::Ended(body) => body,
                View::Working(value) => value.to_string().into(),
            };
            read::answer(fault, "application/json", body).await
        }
    }
}

pub(super) async fn cancel(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    let response = find(&state, &id)?;
    if !response.background {
        return Err(ApiError::invalid("Cannot cancel a synchronous response."));
    }
    response.cancel(&state);
    Ok(show(response.view(false)))
}

pub(super) async fn delete(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    find(&state, &id)?;
    state.responses.remove(&id);
    Ok(read::json(json!({"id": id, "object": "response", "deleted": true}).to_string()))
}

pub(super) async fn input_items(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    Ok(read::json(find(&state, &id)?.input_items.clone()))
}
