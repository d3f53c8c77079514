//! Chat completions, read as if they were responses. Frontdesk asks for none
//! itself; batches of other programs hold them.

use crate::domain::resource::{Response, Status, Text, ToolTrouble, ToolTroubleKind, Usage};

use super::error::OpenAiError;
use super::lenient::ErrorJson;
use super::read::{code, owned, unreadable};
use super::types::{ChatJson, ChatMessageJson, ChoiceJson};

/// Reads a chat completion.
pub(super) fn response(json: &str) -> Result<Response, OpenAiError> {
    let read: ChatJson<'_> = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
    let choices = read.choices.0;
    let incomplete_reason = choices.iter().find_map(interruption);
    let tools = choices.iter().flat_map(calls).collect();
    let mut response = Response {
        id: read.id.into_string().ok_or(OpenAiError::NoId)?,
        status: if incomplete_reason.is_some() { Status::Incomplete } else { Status::Completed },
        error_code: None,
        incomplete_reason,
        metadata: owned(read.metadata.0),
        texts: Vec::new(),
        refusals: Vec::new(),
        tools,
        unknown_items: Vec::new(),
        created_at_s: read.created.0,
        model: read.model.into_string(),
        schema: None,
        usage: Usage::default(),
    };
    for choice in choices {
        let ChatMessageJson { content, refusal, .. } = choice.message.0;
        response.texts.extend(content.into_string().map(|body| Text { phase: None, body }));
        response.refusals.extend(refusal.into_string());
    }
    Ok(response)
}

/// Why a choice stopped before its end. Reasons that we do not know, or none at
/// all, count as such: a text may only be used if it is sure to be whole.
fn interruption(choice: &ChoiceJson<'_>) -> Option<String> {
    match choice.finish_reason.get() {
        Some("stop" | "tool_calls" | "function_call") => None,
        Some("length") => Some("max_output_tokens".to_owned()),
        Some(reason) => Some(code(reason)),
        None => Some("no_finish_reason".to_owned()),
    }
}

/// The tools whose output a choice waits for; nobody gives it any in a batch.
fn calls(choice: &ChoiceJson<'_>) -> Vec<ToolTrouble> {
    let message = &choice.message.0;
    let waits = |tool: &str| ToolTrouble {
        tool: tool.to_owned(),
        kind: ToolTroubleKind::Unanswered,
        detail: "tool_calls".to_owned(),
    };
    let mut calls: Vec<ToolTrouble> = message
        .tool_calls
        .0
        .iter()
        .map(|call| waits(if call.kind.is("custom") { "custom_tool_call" } else { "function_call" }))
        .collect();
    let told = matches!(choice.finish_reason.get(), Some("tool_calls" | "function_call"));
    let older = !matches!(message.function_call, ErrorJson::Absent);
    if calls.is_empty() && (told || older) {
        calls.push(waits("function_call"));
    }
    calls
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chat(choices: Value) -> Response {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000,
            "model": "gpt-4.1", "choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        super::super::read::response(&body.to_string()).unwrap()
    }

    fn choice(finish_reason: &str, message: Value) -> Value {
        json!({"index": 0, "finish_reason": finish_reason, "logprobs": null, "message": message})
    }

    fn said(text: &str) -> Value {
        json!({"role": "assistant", "content": text, "refusal": null, "annotations": []})
    }

    #[test]
    fn a_chat_completion_reads_as_a_completed_response() {
        let read = chat(json!([choice("stop", said("hello"))]));
        assert_eq!((read.id.as_str(), &read.status), ("chatcmpl-1", &Status::Completed));
        assert_eq!(read.texts, [Text { phase: None, body: "hello".to_owned() }]);
        assert_eq!((read.created_at_s, read.model.as_deref()), (Some(1_780_000_000), Some("gpt-4.1")));
        assert!(read.refusals.is_empty() && read.tools.is_empty());
    }

    #[test]
    fn what_stopped_early_or_for_an_unknown_reason_is_incomplete() {
        for (reason, told) in [
            ("length", "max_output_tokens"),
            ("content_filter", "content_filter"),
            ("budget", "budget"),
            ("Dear Mrs Smith", "not_a_code"),
            ("", "no_finish_reason"),
        ] {
            let read = chat(json!([choice("stop", said("a")), choice(reason, said("hel"))]));
            assert_eq!(read.status, Status::Incomplete, "{reason}");
            assert_eq!(read.incomplete_reason.as_deref(), Some(told));
        }
    }

    #[test]
    fn refusals_and_tool_calls_are_found() {
        let refused = json!({"role": "assistant", "content": null, "refusal": "I cannot help with that."});
        let read = chat(json!([choice("stop", refused)]));
        assert_eq!((read.texts.len(), read.refusals), (0, vec!["I cannot help with that.".to_owned()]));

        let call = |kind| json!({"content": null, "tool_calls": [{"id": "c", "type": kind, "function": {}}]});
        let older = json!({"content": null, "function_call": {"name": "refund", "arguments": "{}"}});
        for (message, tool) in [
            (choice("tool_calls", call("function")), "function_call"),
            (choice("stop", call("custom")), "custom_tool_call"),
            (choice("function_call", older.clone()), "function_call"),
            (choice("stop", older), "function_call"),
            (choice("tool_calls", said("half an answer")), "function_call"),
        ] {
            let read = chat(json!([message]));
            assert_eq!(read.tools.len(), 1, "{tool}");
            assert_eq!((read.tools[0].tool.as_str(), read.tools[0].kind), (tool, ToolTroubleKind::Unanswered));
        }
    }

    #[test]
    fn whatever_else_stands_there_costs_only_itself() {
        let read = chat(json!([7, null, {"message": "x", "finish_reason": "stop"},
            choice("stop", json!({"content": [{"type": "text", "text": "x"}], "tool_calls": {}}))]));
        assert_eq!((read.texts.len(), read.status), (0, Status::Incomplete));
        assert_eq!(chat(Value::Null).texts, []);
        let nameless = json!({"object": "chat.completion", "choices": []}).to_string();
        assert_eq!(response(&nameless).unwrap_err(), OpenAiError::NoId);
    }
}
