//! How a response ends: its status and its output items.

use super::text::half;
use super::ticket::Ticket;
use super::{Format, Maker};
use crate::chance::Dice;
use crate::fault::Fault;
use crate::plan::Plan;
use serde_json::{Value, json};

/// Faults of which only one can be the end.
const ENDS: [Fault; 8] = [
    Fault::Cancelled,
    Fault::Failed,
    Fault::FailedFinal,
    Fault::Incomplete,
    Fault::ContentFilter,
    Fault::Refusal,
    Fault::NoMessage,
    Fault::UnansweredTool,
];

/// Faults of which only one can shape the messages.
const SHAPES: [Fault; 4] = [Fault::SeveralMessages, Fault::Contradictory, Fault::BadJson, Fault::SchemaMismatch];

/// What a response came to.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) status: &'static str,
    pub(crate) output: Vec<Value>,
    pub(crate) error: Value,
    pub(crate) incomplete: Value,
}

impl Ending {
    fn completed(output: Vec<Value>) -> Ending {
        Ending { status: "completed", output, error: Value::Null, incomplete: Value::Null }
    }

    /// Nothing was said.
    pub(crate) fn cancelled() -> Ending {
        Ending { status: "cancelled", ..Ending::completed(Vec::new()) }
    }

    fn failed(code: &str, message: &str) -> Ending {
        let error = json!({"code": code, "message": message, "param": null, "type": null});
        Ending { status: "failed", error, ..Ending::completed(Vec::new()) }
    }

    fn incomplete(reason: &str, output: Vec<Value>) -> Ending {
        let incomplete = json!({ "reason": reason });
        Ending { status: "incomplete", incomplete, ..Ending::completed(output) }
    }
}

/// Ends a request: what the plan says, and otherwise the answer.
pub(crate) fn end(request: &Value, seed: u64, id: &str, plan: &Plan) -> Ending {
    let ticket = Ticket::read(request);
    let maker = Maker::new(seed, &ticket, plan);
    let mut items = Items::new(id);
    match plan.first_of(&ENDS) {
        Some(Fault::Cancelled) => Ending::cancelled(),
        Some(Fault::Failed) => Ending::failed("server_error", "An error occurred while processing your request."),
        Some(Fault::FailedFinal) => Ending::failed("invalid_prompt", "The prompt was refused for its content."),
        Some(Fault::Incomplete) => {
            let text = half(&maker.answer(request));
            let message = items.message(&text, Some("final_answer"), "incomplete");
            Ending::incomplete("max_output_tokens", vec![items.reasoning(), message])
        }
        Some(Fault::ContentFilter) => Ending::incomplete("content_filter", vec![items.reasoning()]),
        Some(Fault::Refusal) => Ending::completed(vec![items.reasoning(), items.refusal()]),
        Some(Fault::NoMessage) => Ending::completed(vec![items.reasoning()]),
        Some(Fault::UnansweredTool) => Ending::completed(vec![items.reasoning(), items.function_call(request)]),
        _ => answered(request, plan, maker, items),
    }
}

fn answered(request: &Value, plan: &Plan, maker: Maker<'_>, mut items: Items) -> Ending {
    let mut output = vec![items.reasoning()];
    if plan.has(Fault::FailedTool) {
        output.push(items.failed_tool());
    }
    let wants_json = !matches!(Format::of(request), Format::Text);
    let answer = maker.answer(request);
    let last = Some("final_answer");
    match plan.first_of(&SHAPES) {
        Some(Fault::SeveralMessages) => {
            // Of two messages of prose only the phase can tell which one counts.
            let phase = (!wants_json).then_some("commentary");
            output.push(items.message(&half(&answer), phase, "completed"));
            output.push(items.message(&answer, last, "completed"));
        }
        Some(Fault::Contradictory) => {
            output.push(items.message(&answer, last, "completed"));
            let other = maker.other().answer(request);
            output.push(items.message(&other, last, "completed"));
        }
        Some(Fault::BadJson) if wants_json => {
            let prose = format!("Here is what I found: {}", maker.summary());
            output.push(items.message(&prose, last, "completed"));
        }
        Some(Fault::SchemaMismatch) if wants_json => {
            let text = json!({"unexpected": maker.summary()}).to_string();
            output.push(items.message(&text, last, "completed"));
        }
        _ => output.push(items.message(&answer, last, "completed")),
    }
    Ending::completed(output)
}

/// Makes output items with ids of their own.
struct Items(Dice);

impl Items {
    fn new(response_id: &str) -> Self {
        Self(Dice::new(0, &[response_id.as_bytes()]))
    }

    fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.0.hex(48))
    }

    fn reasoning(&mut self) -> Value {
        json!({"type": "reasoning", "id": self.id("rs_"), "summary": []})
    }

    fn said(&mut self, content: Value, phase: Option<&str>, status: &str) -> Value {
        json!({"type": "message", "id": self.id("msg_"), "role": "assistant", "status": status,
            "phase": phase, "content": [content]})
    }

    fn message(&mut self, text: &str, phase: Option<&str>, status: &str) -> Value {
        let content = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
        self.said(content, phase, status)
    }

    fn refusal(&mut self) -> Value {
        let content = json!({"type": "refusal", "refusal": "I'm sorry, but I can't help with that."});
        self.said(content, Some("final_answer"), "completed")
    }

    fn function_call(&mut self, request: &Value) -> Value {
        let tools = request["tools"].as_array();
        let named = tools.into_iter().flatten().find_map(|tool| tool["name"].as_str());
        json!({"type": "function_call", "id": self.id("fc_"), "call_id": self.id("call_"),
            "name": named.unwrap_or("lookup_order"), "arguments": "{\"order\":\"A-1\"}",
            "status": "completed"})
    }

    fn failed_tool(&mut self) -> Value {
        if self.0.unit() < 0.5 {
            return json!({"type": "file_search_call", "id": self.id("fs_"), "status": "failed",
                "queries": ["refund policy"], "results": null});
        }
        json!({"type": "mcp_call", "id": self.id("mcp_"), "server_label": "orders",
            "name": "lookup", "arguments": "{\"order\":\"A-1\"}", "output": null,
            "error": {"type": "http_error", "code": 502, "message": "Bad Gateway"},
            "status": "failed"})
    }
}
