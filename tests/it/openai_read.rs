//! What is read from OpenAI's JSON: realistic bodies row by row, and bodies of a
//! future that nobody has told us about.

use frontdesk::domain::resource::{Response, Status, Text, ToolTroubleKind};
use frontdesk::openai::error::OpenAiError;
use frontdesk::openai::read;
use serde_json::{Value, json};

/// A completed response as OpenAI sends it, fields that we do not read included.
fn completed() -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_750_287_018, "status": "completed",
        "background": true, "completed_at": 1_750_287_020, "error": null, "incomplete_details": null,
        "instructions": null, "max_output_tokens": null, "model": "gpt-5.6-2026-08-01",
        "metadata": {"fd_job": "job_1", "fd_kind": "summary"},
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
             "phase": "final_answer",
             "content": [{"type": "output_text", "text": "{\"summary\":\"…\"}",
                          "annotations": [{"type": "url_citation", "url": "https://example.org",
                                           "title": "t", "start_index": 0, "end_index": 1}],
                          "logprobs": []}]}
        ],
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": {"effort": "medium", "summary": null}, "service_tier": "default", "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}],
        "truncation": "disabled",
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                  "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
    })
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_9", "role": "assistant", "status": "completed",
           "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn with_output(items: &[Value]) -> Response {
    let mut body = completed();
    body["output"] = Value::from(items.to_vec());
    response(&body)
}

fn response(body: &Value) -> Response {
    read::response(&body.to_string()).unwrap()
}

#[test]
fn a_completed_response_is_read_whole() {
    let response = response(&completed());
    assert_eq!(response.id, "resp_1");
    assert_eq!(response.status, Status::Completed);
    assert_eq!(response.model.as_deref(), Some("gpt-5.6-2026-08-01"));
    assert_eq!(response.created_at_s, Some(1_750_287_018));
    assert_eq!(response.metadata["fd_kind"], "summary");
    let text = Text { phase: Some("final_answer".to_owned()), body: "{\"summary\":\"…\"}".to_owned() };
    assert_eq!(response.texts, vec![text]);
    assert!(response.tools.is_empty() && response.refusals.is_empty());
    assert!(response.unknown_items.is_empty());
}

#[test]
fn the_schema_that_was_asked_for_is_kept_as_it_is_written_whatever_else_stands_there() {
    let asked = |text: Value| {
        let mut body = completed();
        body["text"] = text;
        response(&body).schema
    };
    let schema = json!({"type": "object", "properties": {"a": {"const": 1}}});
    assert_eq!(asked(json!({"format": {"type": "json_schema", "schema": schema}})), Some(schema.to_string()));
    for text in [json!(null), json!(7), json!({"format": "text"}), json!({"format": {"schema": null}}), json!([])] {
        assert_eq!(asked(text.clone()), None, "{text}");
    }
}

#[test]
fn failed_and_incomplete_responses_keep_their_codes() {
    let mut body = completed();
    body["status"] = json!("failed");
    body["output"] = json!([]);
    body["error"] = json!({"code": "server_error", "message": "An error occurred…", "param": null});
    let failed = response(&body);
    assert_eq!((failed.status, failed.error_code.as_deref()), (Status::Failed, Some("server_error")));

    let mut body = completed();
    body["status"] = json!("incomplete");
    body["incomplete_details"] = json!({"reason": "max_output_tokens"});
    body["output"][1]["status"] = json!("incomplete");
    let incomplete = response(&body);
    assert_eq!(incomplete.status, Status::Incomplete);
    assert_eq!(incomplete.incomplete_reason.as_deref(), Some("max_output_tokens"));
    assert_eq!(incomplete.texts.len(), 1, "half a text is kept for a person");
}

#[test]
fn an_unfinished_message_of_a_completed_response_is_no_answer() {
    let mut half = message("{\"summ");
    half["status"] = json!("incomplete");
    let response = with_output(&[half, message("whole")]);
    let bodies: Vec<&str> = response.texts.iter().map(|text| text.body.as_str()).collect();
    assert_eq!(bodies, ["whole"]);
}

#[test]
fn every_text_stays_on_its_own_and_refusals_go_apart() {
    let refusal = json!({"type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"},
                    {"type": "refusal", "refusal": "I cannot help with that."}]});
    let mut echo = message("the customer's words");
    echo["role"] = json!("user");
    let response = with_output(&[message("first"), echo, refusal]);
    let bodies: Vec<&str> = response.texts.iter().map(|text| text.body.as_str()).collect();
    assert_eq!(bodies, ["first", "a", "b"]);
    assert_eq!(response.refusals, ["I cannot help with that."]);
}

/// Items of failed tools, and the detail that is told of them.
const FAILED: [(&str, &str); 14] = [
    (r#"{"type":"mcp_call","error":{"type":"http_error","code":502,"message":"x"},"status":"failed"}"#, "http_error"),
    (
        r#"{"type":"mcp_call","error":{"type":"mcp_tool_execution_error","content":[]},"status":"completed"}"#,
        "mcp_tool_execution_error",
    ),
    (r#"{"type":"mcp_call","error":"the server said no","status":"completed"}"#, "error"),
    (r#"{"type":"mcp_call","error":{"type":"free text about a customer"}}"#, "not_a_code"),
    (r#"{"type":"mcp_call","error":null,"status":"incomplete"}"#, "incomplete"),
    (r#"{"type":"mcp_list_tools","error":"could not connect","tools":[]}"#, "error"),
    (r#"{"type":"file_search_call","status":"failed","results":null}"#, "failed"),
    (r#"{"type":"web_search_call","status":"failed"}"#, "failed"),
    (r#"{"type":"code_interpreter_call","status":"incomplete"}"#, "incomplete"),
    (r#"{"type":"image_generation_call","status":"failed"}"#, "failed"),
    (r#"{"type":"program_output","status":"incomplete"}"#, "incomplete"),
    (r#"{"type":"apply_patch_call_output","call_id":"c","status":"failed"}"#, "failed"),
    (r#"{"type":"shell_call_output","call_id":"c","status":"incomplete"}"#, "incomplete"),
    (r#"{"type":"some_new_call","status":"failed"}"#, "failed"),
];

#[test]
fn a_failed_tool_is_found_whatever_way_it_shows() {
    for (item, detail) in FAILED {
        let parsed: Value = serde_json::from_str(item).unwrap();
        let tools = with_output(&[parsed.clone(), message("done")]).tools;
        assert_eq!(tools.len(), 1, "{item}");
        assert_eq!(tools[0].tool, parsed["type"], "{item}");
        assert_eq!(tools[0].kind, ToolTroubleKind::Failed, "{item}");
        assert_eq!(tools[0].detail, detail, "{item}");
    }
}

#[test]
fn tools_that_did_their_work_are_no_trouble() {
    let items = [
        json!({"type": "mcp_list_tools", "error": null, "tools": []}),
        json!({"type": "mcp_call", "error": null, "status": "completed", "output": "{}"}),
        json!({"type": "file_search_call", "status": "completed"}),
        json!({"type": "tool_search_call", "execution": "server", "status": "completed"}),
        json!({"type": "tool_search_output", "status": "completed"}),
        json!({"type": "mcp_approval_request", "id": "mcpr_1"}),
        json!({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": true}),
        json!({"type": "shell_call", "call_id": "c1", "status": "completed"}),
        json!({"type": "shell_call_output", "call_id": "c1", "status": "completed"}),
        json!({"type": "reasoning", "status": "incomplete", "summary": []}),
    ];
    let response = with_output(&items);
    assert_eq!(response.tools, vec![]);
    assert_eq!(response.unknown_items, Vec::<String>::new());
}

#[test]
fn a_call_without_a_message_after_it_is_unanswered() {
    for kind in [
        "function_call",
        "custom_tool_call",
        "shell_call",
        "local_shell_call",
        "apply_patch_call",
        "computer_call",
        "tool_search_call",
    ] {
        let call = json!({"type": kind, "call_id": "c1", "status": "completed", "execution": "client"});
        let asked = with_output(&[message("let me look"), call.clone()]).tools;
        assert_eq!(asked.len(), 1, "{kind}");
        assert_eq!(asked[0].kind, ToolTroubleKind::Unanswered, "{kind}");
        let answered = with_output(&[call.clone(), message("done")]).tools;
        assert_eq!(answered, vec![], "{kind}");

        let mut talk = message("one moment");
        talk["phase"] = json!("commentary");
        let waiting = with_output(&[call, talk]).tools;
        assert_eq!(waiting.len(), 1, "{kind}: commentary is not an answer");
    }
}

#[test]
fn an_approval_request_waits_for_a_person() {
    let request = json!({"type": "mcp_approval_request", "id": "mcpr_1", "name": "refund"});
    let tools = with_output(&[request, message("waiting")]).tools;
    assert_eq!(tools[0].kind, ToolTroubleKind::AwaitingApproval);
}

#[derive(serde::Deserialize)]
struct Mutation {
    name: String,
    set: Option<String>,
    #[serde(default)]
    value: Value,
    remove: Option<String>,
}

impl Mutation {
    fn applied(&self) -> Value {
        let mut body = completed();
        if let Some(field) = &self.remove {
            assert!(body.as_object_mut().unwrap().remove(field).is_some());
        }
        if let Some(path) = &self.set {
            let (parent, last) = path.rsplit_once('/').unwrap();
            match body.pointer_mut(parent).unwrap() {
                Value::Array(list) => {
                    let at: usize = last.parse().unwrap();
                    list.splice(at..list.len().min(at + 1), [self.value.clone()]);
                }
                parent => parent[last] = self.value.clone(),
            }
        }
        assert_ne!(body, completed(), "{}", self.name);
        body
    }
}

#[test]
fn whatever_the_future_sends_the_text_is_still_read() {
    let mutations: Vec<Mutation> = serde_json::from_str(include_str!("data/future-responses.json")).unwrap();
    assert!(mutations.len() >= 23);
    for mutation in mutations {
        let name = &mutation.name;
        let read = read::response(&mutation.applied().to_string());
        let response = read.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(response.id, "resp_1", "{name}");
        assert_eq!(response.texts[0].body, "{\"summary\":\"…\"}", "{name}");
    }
}

#[test]
fn what_is_unknown_is_named_but_only_if_it_looks_like_a_code() {
    let mut body = completed();
    body["status"] = json!("a whole sentence");
    body["output"] = json!([{"type": "hologram"}, {"type": "Dear Mrs Smith"}, {"type": "message"}]);
    let response = response(&body);
    assert_eq!(response.status, Status::Unknown("not_a_code".to_owned()));
    assert_eq!(response.unknown_items, ["hologram", "not_a_code"]);
}

#[test]
fn what_is_not_a_response_is_an_error_that_quotes_nothing() {
    let truncated = completed().to_string();
    let table = [
        (&truncated[..truncated.len() / 2], OpenAiError::Truncated),
        ("", OpenAiError::Truncated),
        ("<html>secret</html>", OpenAiError::Unreadable { line: 1, column: 1 }),
        ("{}", OpenAiError::NoId),
        ("{\"id\":\"\"}", OpenAiError::NoId),
        ("{\"error\":{\"message\":\"secret\"}}", OpenAiError::NoId),
    ];
    for (json, error) in table {
        let got = read::response(json).unwrap_err();
        assert!(!format!("{got} {got:?}").contains("secret"));
        assert_eq!(got, error, "{json}");
    }
    assert!(matches!(read::response("\"secret\""), Err(OpenAiError::Unreadable { .. })));
}

#[test]
fn a_batch_is_read_and_empty_ids_are_none() {
    let body = json!({
        "id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "status": "completed",
        "errors": null, "input_file_id": "file_0", "completion_window": "24h", "created_at": 1.5,
        "output_file_id": "file_1", "error_file_id": "", "metadata": {"fd_job": "job_1"},
        "request_counts": {"total": 3, "completed": 2, "failed": 1}, "usage": {"total_tokens": 1}
    });
    let batch = read::batch(&body.to_string()).unwrap();
    assert_eq!((batch.id.as_str(), &batch.status), ("batch_1", &Status::Completed));
    assert_eq!(batch.output_file_id.as_deref(), Some("file_1"));
    assert_eq!(batch.error_file_id, None);
    assert_eq!(batch.metadata["fd_job"], "job_1");
    let counts = (batch.counts.total, batch.counts.completed, batch.counts.failed);
    assert_eq!(counts, (3, 2, 1));
}

#[test]
fn a_failed_batch_keeps_the_codes_and_lines_of_its_errors() {
    let body = json!({"id": "batch_1", "status": "failed", "errors": {"object": "list", "data": [
        {"code": "duplicate_custom_id", "message": "secret", "param": null, "line": 7},
        {"code": null, "line": null}, "odd"]}, "metadata": null});
    let batch = read::batch(&body.to_string()).unwrap();
    assert_eq!(batch.status, Status::Failed);
    let errors: Vec<(&str, Option<i64>)> = batch.errors.iter().map(|e| (e.code.as_str(), e.line)).collect();
    assert_eq!(errors, [("duplicate_custom_id", Some(7)), ("unknown", None), ("unknown", None)]);
    assert!(!format!("{batch:?}").contains("secret"));
}

#[test]
fn every_status_has_its_place() {
    for word in ["queued", "in_progress", "validating", "finalizing", "cancelling"] {
        let batch = read::batch(&json!({"id": "b", "status": word}).to_string()).unwrap();
        assert_eq!(batch.status, Status::Moving(word.to_owned()));
    }
    for (word, status) in [("cancelled", Status::Cancelled), ("expired", Status::Expired)] {
        let batch = read::batch(&json!({"id": "b", "status": word}).to_string()).unwrap();
        assert_eq!(batch.status, status);
    }
}
