//! What there is at OpenAI: models, event types, endpoints.

use super::read;
use crate::event;
use crate::state::State;
use axum::Router;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

const MODELS: [&str; 5] = ["gpt-5.6", "gpt-5.6-mini", "gpt-5.5", "gpt-5.2", "gpt-4.1"];

const CREATED_AT: i64 = 1_767_225_600;

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/webhook_event_types", get(event_types))
        .route("/v1/webhook_endpoints", get(endpoints))
}

async fn models() -> Response {
    let model = |id: &&str| json!({"id": id, "object": "model", "created": CREATED_AT, "owned_by": "openai"});
    let data: Vec<Value> = MODELS.iter().map(model).collect();
    read::json(json!({"object": "list", "data": data}).to_string())
}

async fn event_types() -> Response {
    read::json(json!({"object": "list", "data": event::TYPES.as_slice()}).to_string())
}

async fn endpoints(Shared(state): Shared<Arc<State>>) -> Response {
    let endpoint = |url: &String| {
        json!({"id": "whe_simulator", "object": "webhook_endpoint", "name": "frontdesk",
            "url": url, "event_types": event::TYPES[..8], "created_at": CREATED_AT,
            "updated_at": CREATED_AT, "signing_secret_hint": "whsec_…"})
    };
    let data: Vec<Value> = state.tuning().webhook_url.iter().map(endpoint).collect();
    let list = json!({"object": "list", "data": data, "has_more": false});
    read::json(list.to_string())
}
