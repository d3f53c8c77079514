//! The control plane: looking at a running simulator and changing it, without OpenAI's key.

use super::error::ApiError;
use super::{clip, object, read, validate};
use crate::batch;
use crate::fault::Fault;
use crate::settings::{Access, Scripted, Tuning, check_rates};
use crate::state::State;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

/// Lists show so many of the newest.
const SHOWN: usize = 1000;

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/_simulator", get(overview))
        .route("/_simulator/settings", post(change))
        .route("/_simulator/batches", post(end_batch))
        .route("/_simulator/requests", get(requests))
        .route("/_simulator/deliveries", get(deliveries))
}

async fn overview(Shared(state): Shared<Arc<State>>) -> Response {
    let tuning = state.tuning();
    let faults: Vec<Value> =
        tuning.faults.iter().map(|(fault, rate)| json!({"name": fault.name(), "rate": rate})).collect();
    let overview = json!({
        "pending": state.pending.count(),
        "responses": state.responses.len(),
        "batches": state.batches.len(),
        "files": state.files.len(),
        "webhook_url": tuning.webhook_url,
        "access": format!("{:?}", tuning.access).to_lowercase(),
        "faults": faults,
    });
    read::json(overview.to_string())
}

async fn requests(Shared(state): Shared<Arc<State>>) -> Response {
    let all = state.requests.all();
    let shown = all.iter().rev().take(SHOWN);
    let items: Vec<Value> =
        shown.map(|entry| json!({"method": entry.method, "path": entry.path, "status": entry.status})).collect();
    read::json(json!({ "items": items }).to_string())
}

async fn deliveries(Shared(state): Shared<Arc<State>>) -> Response {
    let all = state.deliveries.all();
    let shown = all.iter().rev().take(SHOWN);
    let items: Vec<Value> = shown
        .map(|entry| {
            json!({"webhook_id": entry.webhook_id, "event_id": entry.event_id,
                "event_type": entry.event_type, "resource_id": entry.resource_id,
                "attempt": entry.attempt, "status": entry.status, "error": entry.error,
                "fault": entry.fault.map(Fault::name)})
        })
        .collect();
    read::json(json!({ "items": items }).to_string())
}

/// Makes a batch that has ended: with `output_file_id`, `error_file_id`, `metadata` and `request_counts`, and
/// with `status` unless it is completed.
async fn end_batch(
    Shared(state): Shared<Arc<State>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let (bytes, mut wanted) = object(body)?;
    validate::metadata(&wanted["metadata"])?;
    for key in ["output_file_id", "error_file_id"] {
        let id = wanted[key].as_str().filter(|id| !id.is_empty() && state.files.get(id).is_none());
        if let Some(id) = id {
            return Err(ApiError::invalid(format!("Invalid file id: {}", clip(id))).param(key));
        }
    }
    let status = wanted["status"].as_str().unwrap_or("completed").to_owned();
    if !["completed", "expired", "cancelled", "failed"].contains(&status.as_str()) {
        return Err(ApiError::invalid("status is completed, expired, cancelled or failed").param("status"));
    }
    for (key, usual) in [("endpoint", "/v1/responses"), ("completion_window", "24h")] {
        if wanted[key].is_null() {
            wanted[key] = usual.into();
        }
    }
    Ok(read::json(batch::ended(&state, &wanted, &bytes, &status).to_string()))
}

/// Any of `webhook_url`, `access`, `faults` (`{"drop": 0.1}`) and `script`; the rest stays.
async fn change(Shared(state): Shared<Arc<State>>, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    let (_, wanted) = object(body)?;
    let mut changed = Tuning::clone(&state.tuning());
    apply(&mut changed, &wanted).map_err(ApiError::invalid)?;
    state.tune(|tuning| *tuning = changed);
    Ok(overview(Shared(state)).await)
}

fn apply(tuning: &mut Tuning, wanted: &Value) -> Result<(), String> {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        match name.as_str() {
            "webhook_url" => tuning.webhook_url = value.as_str().map(str::to_owned),
            "access" => {
                let access = value.as_str().and_then(Access::parse);
                tuning.access = access.ok_or("access is open, unauthorized, forbidden, quota or down".to_owned())?;
            }
            "faults" => tuning.faults = rates(value)?,
            "script" => tuning.script = script(value)?,
            _ => return Err("there are webhook_url, access, faults and script".into()),
        }
    }
    Ok(())
}

fn rates(value: &Value) -> Result<Vec<(Fault, f64)>, String> {
    let pairs = value.as_object().ok_or("faults are an object of names and rates")?;
    let rate = |(name, rate): (&String, &Value)| {
        let fault: Fault = name.parse().map_err(|error| format!("{error}"))?;
        let rate = rate.as_f64().ok_or_else(|| format!("the rate of {fault} is not a number"))?;
        Ok::<_, String>((fault, rate))
    };
    let rates = pairs.iter().map(rate).collect::<Result<Vec<_>, _>>()?;
    check_rates(&rates)?;
    Ok(rates)
}

fn script(value: &Value) -> Result<Vec<Scripted>, String> {
    let entries = value.as_array().ok_or("script is a list")?;
    entries.iter().map(scripted).collect()
}

fn scripted(entry: &Value) -> Result<Scripted, String> {
    let text = |key: &str| {
        let text = entry[key].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("an entry of the script lacks {key}"))
    };
    let names = entry["faults"].as_array().ok_or("an entry of the script lacks faults")?;
    let parse = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        name.parse::<Fault>().map_err(|error| error.to_string())
    };
    let faults = names.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Scripted { key: text("key")?, value: text("value")?, faults })
}
