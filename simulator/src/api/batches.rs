//! `/v1/batches`.

use super::error::ApiError;
use super::{clip, object, read, validate};
use crate::Fault;
use crate::batch::{self, Batch};
use crate::state::{MOST_PENDING, State};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State as Shared};
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const ENDPOINT: &str = "/v1/responses";
const WINDOW: &str = "24h";

type Answer = Result<Response, ApiError>;

pub(super) async fn create(Shared(state): Shared<Arc<State>>, body: Result<Bytes, BytesRejection>) -> Answer {
    let (bytes, request) = object(body)?;
    one_of(&request, "completion_window", WINDOW)?;
    one_of(&request, "endpoint", ENDPOINT)?;
    validate::metadata(&request["metadata"])?;
    let id = validate::text(&request, "input_file_id")?;
    let unknown = || ApiError::invalid(format!("Invalid file id: {}", clip(id)));
    let input = state.files.get(id).ok_or_else(unknown)?;
    if input.purpose != "batch" {
        let message = "Invalid file purpose: expected 'batch'.";
        return Err(ApiError::invalid(message).param("input_file_id"));
    }
    if state.pending.count() >= MOST_PENDING {
        return Err(ApiError::rate_limited());
    }
    let shown = batch::begin(&state, &request, &bytes, input);
    Ok(read::json(shown.to_string()))
}

fn one_of(request: &Value, param: &str, only: &str) -> Result<(), ApiError> {
    if validate::text(request, param)? == only {
        return Ok(());
    }
    let message = format!("Invalid value for '{param}': only '{only}' is supported here.");
    Err(ApiError::invalid(message).param(param).code("invalid_value"))
}

fn find(state: &State, id: &str) -> Result<Arc<Batch>, ApiError> {
    state
        .batches
        .get(id)
        .filter(|batch| !batch.forgotten())
        .ok_or_else(|| ApiError::unknown(format!("No batch found with id '{}'.", clip(id))))
}

pub(super) async fn retrieve(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    let batch = find(&state, &id)?;
    let fault = batch.reads.next(batch.ended());
    let late = fault == Some(Fault::LateModel);
    let body = batch.view(late).to_string().into();
    read::answer(fault, "application/json", body).await
}

pub(super) async fn cancel(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Answer {
    let batch = find(&state, &id)?;
    batch.cancel();
    Ok(read::json(batch.view(false).to_string()))
}

pub(super) async fn list(Shared(state): Shared<Arc<State>>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let limit = query.get("limit").map_or(Ok(20), |limit| limit.parse::<usize>());
    let limit = limit.ok().filter(|limit| (1..=100).contains(limit));
    let limit = limit.ok_or_else(|| ApiError::invalid("Invalid 'limit': expected 1 to 100.").param("limit"))?;
    let after = query.get("after").map(String::as_str);
    let (batches, more) = state
        .batches
        .page(after, limit)
        .ok_or_else(|| ApiError::unknown(format!("No batch found with id '{}'.", clip(after.unwrap_or_default()))))?;
    let data: Vec<Value> = batches.iter().map(|batch| batch.view(false)).collect();
    let id = |batch: Option<&Arc<Batch>>| batch.map(|batch| batch.id.clone());
    let list = json!({"object": "list", "data": data, "first_id": id(batches.first()),
        "last_id": id(batches.last()), "has_more": more});
    Ok(read::json(list.to_string()))
}
