//! The response object as OpenAI lays it out.

use super::answer::Ending;
use super::ticket::input_text;
use serde_json::{Value, json};

/// What identifies a response and when it came to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a str,
    pub(crate) created_at: i64,
    pub(crate) background: bool,
}

/// A response that is still `queued` or `in_progress`.
pub(crate) fn working(facts: Facts<'_>, request: &Value, status: &str) -> Value {
    object(facts, request, status)
}

/// A response that has ended.
pub(crate) fn ended(facts: Facts<'_>, request: &Value, ending: Ending, now_s: i64) -> Value {
    let mut made = object(facts, request, ending.status);
    if matches!(ending.status, "completed" | "incomplete") {
        made["usage"] = usage(request, &ending.output);
    }
    if ending.status == "completed" {
        made["completed_at"] = json!(now_s);
    }
    made["output"] = Value::Array(ending.output);
    made["error"] = ending.error;
    made["incomplete_details"] = ending.incomplete;
    made
}

fn object(facts: Facts<'_>, request: &Value, status: &str) -> Value {
    let or = |key: &str, default: Value| match request.get(key) {
        None | Some(Value::Null) => default,
        Some(given) => given.clone(),
    };
    json!({
        "id": facts.id,
        "object": "response",
        "created_at": facts.created_at,
        "completed_at": null,
        "status": status,
        "background": facts.background,
        "error": null,
        "incomplete_details": null,
        "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null),
        "max_tool_calls": or("max_tool_calls", Value::Null),
        "model": request["model"],
        "output": [],
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": or("previous_response_id", Value::Null),
        "reasoning": or("reasoning", json!({"effort": "medium", "summary": null})),
        "service_tier": "default",
        "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", json!("disabled")),
        "usage": null,
        "user": or("user", Value::Null),
        "metadata": or("metadata", json!({})),
    })
}

/// About four letters to a token, as a rule of thumb.
fn usage(request: &Value, output: &[Value]) -> Value {
    let told = request["instructions"].as_str().unwrap_or_default().len();
    let input = (input_text(request).len() + told) / 4 + 8;
    let said: usize = output
        .iter()
        .flat_map(|item| item["content"].as_array().into_iter().flatten())
        .filter_map(|part| part["text"].as_str().or(part["refusal"].as_str()))
        .map(str::len)
        .sum();
    let reasoning = 64;
    let output = said / 4 + 1 + reasoning;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": input + output,
    })
}
