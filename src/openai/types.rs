//! The JSON of OpenAI, as far as we read it. Every field may be missing or of
//! another type, so that what OpenAI adds or changes costs us one field and
//! never the whole object.
//!
//! The shapes are those of OpenAI's OpenAPI document 2.3.0 (2026-08) and of its
//! SDKs of autumn 2026, which are ahead of that document.

use super::lenient::{ErrorJson, List, Object, Whole, Word, Words};

/// A response (`GET /responses/{id}`).
#[derive(serde::Deserialize)]
pub(super) struct ResponseJson<'a> {
    #[serde(borrow, default)]
    pub(super) object: Word<'a>,
    #[serde(borrow, default)]
    pub(super) id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) status: Word<'a>,
    #[serde(borrow, default)]
    pub(super) error: Object<CodeJson<'a>>,
    #[serde(borrow, default)]
    pub(super) incomplete_details: Object<ReasonJson<'a>>,
    #[serde(borrow, default)]
    pub(super) metadata: Words<'a>,
    #[serde(borrow, default)]
    pub(super) output: List<ItemJson<'a>>,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(borrow, default)]
    pub(super) model: Word<'a>,
    #[serde(borrow, default)]
    pub(super) text: Object<TextJson<'a>>,
    #[serde(default)]
    pub(super) usage: Object<UsageJson>,
}

/// `text` of a response: what its starter asked for.
#[derive(Default, serde::Deserialize)]
pub(super) struct TextJson<'a> {
    #[serde(borrow, default)]
    pub(super) format: Object<FormatJson<'a>>,
}

/// `text.format`; the schema is kept as it is written.
#[derive(Default, serde::Deserialize)]
pub(super) struct FormatJson<'a> {
    #[serde(borrow, default)]
    pub(super) schema: Option<&'a serde_json::value::RawValue>,
}

/// One item of a response's `output`: the fields of all item types side by
/// side. A tagged enum would buffer each item before it knew its type.
#[derive(Default, serde::Deserialize)]
pub(super) struct ItemJson<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Word<'a>,
    #[serde(borrow, default)]
    pub(super) id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) call_id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) approval_request_id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) status: Word<'a>,
    #[serde(borrow, default)]
    pub(super) role: Word<'a>,
    #[serde(borrow, default)]
    pub(super) phase: Word<'a>,
    #[serde(borrow, default)]
    pub(super) execution: Word<'a>,
    #[serde(borrow, default)]
    pub(super) content: List<PartJson<'a>>,
    #[serde(borrow, default)]
    pub(super) error: ErrorJson<'a>,
}

/// One part of a message's `content`.
#[derive(Default, serde::Deserialize)]
pub(super) struct PartJson<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Word<'a>,
    #[serde(borrow, default)]
    pub(super) text: Word<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Word<'a>,
}

/// The `error` of a failed response, and of an answer that is not 2xx.
#[derive(Default, serde::Deserialize)]
pub(super) struct CodeJson<'a> {
    #[serde(borrow, default)]
    pub(super) code: Word<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Word<'a>,
}

/// The body of an answer that is not 2xx.
#[derive(Default, serde::Deserialize)]
pub(super) struct FaultJson<'a> {
    #[serde(borrow, default)]
    pub(super) error: Object<CodeJson<'a>>,
}

/// `incomplete_details`.
#[derive(Default, serde::Deserialize)]
pub(super) struct ReasonJson<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Word<'a>,
}

/// A batch (`GET /batches/{id}`).
#[derive(Default, serde::Deserialize)]
pub(super) struct BatchJson<'a> {
    #[serde(borrow, default)]
    pub(super) id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) status: Word<'a>,
    #[serde(borrow, default)]
    pub(super) metadata: Words<'a>,
    #[serde(borrow, default)]
    pub(super) output_file_id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) error_file_id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) errors: Object<BatchErrorsJson<'a>>,
    #[serde(default)]
    pub(super) request_counts: Object<CountsJson>,
    #[serde(borrow, default)]
    pub(super) endpoint: Word<'a>,
    #[serde(borrow, default)]
    pub(super) input_file_id: Word<'a>,
    #[serde(default)]
    pub(super) created_at: Whole,
    #[serde(default)]
    pub(super) usage: Object<UsageJson>,
}

/// `errors` of a batch: a list object.
#[derive(Default, serde::Deserialize)]
pub(super) struct BatchErrorsJson<'a> {
    #[serde(borrow, default)]
    pub(super) data: List<BatchErrorJson<'a>>,
}

/// One error of a batch's input file.
#[derive(Default, serde::Deserialize)]
pub(super) struct BatchErrorJson<'a> {
    #[serde(borrow, default)]
    pub(super) code: Word<'a>,
    #[serde(default)]
    pub(super) line: Whole,
}

/// `request_counts` of a batch.
#[derive(Default, serde::Deserialize)]
pub(super) struct CountsJson {
    #[serde(default)]
    pub(super) total: Whole,
    #[serde(default)]
    pub(super) completed: Whole,
    #[serde(default)]
    pub(super) failed: Whole,
}

/// `usage` of a response or a batch.
#[derive(Default, serde::Deserialize)]
pub(super) struct UsageJson {
    #[serde(default)]
    pub(super) input_tokens: Whole,
    #[serde(default)]
    pub(super) output_tokens: Whole,
}

/// A page of batches (`GET /batches`).
#[derive(serde::Deserialize)]
pub(super) struct BatchesJson<'a> {
    /// The one field that must be there: without it this is no list, and nobody
    /// may conclude that a batch is not in it.
    #[serde(borrow)]
    pub(super) data: Vec<Object<BatchJson<'a>>>,
    /// Only a plain `false` says that this page is the last.
    #[serde(borrow, default)]
    pub(super) has_more: Option<&'a serde_json::value::RawValue>,
}

/// A file (`POST /files`).
#[derive(serde::Deserialize)]
pub(super) struct FileJson<'a> {
    #[serde(borrow, default)]
    pub(super) id: Word<'a>,
}

/// A line of a batch's output or error file.
#[derive(Default, serde::Deserialize)]
pub(super) struct LineJson<'a> {
    #[serde(borrow, default)]
    pub(super) custom_id: Word<'a>,
    #[serde(borrow, default)]
    pub(super) response: Object<LineAnswerJson<'a>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a serde_json::value::RawValue>,
}

/// `response` of a line; the body is kept as it is written.
#[derive(Default, serde::Deserialize)]
pub(super) struct LineAnswerJson<'a> {
    #[serde(default)]
    pub(super) status_code: Whole,
    #[serde(borrow, default)]
    pub(super) body: Option<&'a serde_json::value::RawValue>,
}

/// A chat completion: the other kind of answer that batches hold.
#[derive(serde::Deserialize)]
pub(super) struct ChatJson<'a> {
    #[serde(borrow, default)]
    pub(super) id: Word<'a>,
    #[serde(default)]
    pub(super) created: Whole,
    #[serde(borrow, default)]
    pub(super) model: Word<'a>,
    #[serde(borrow, default)]
    pub(super) metadata: Words<'a>,
    #[serde(borrow, default)]
    pub(super) choices: List<ChoiceJson<'a>>,
}

/// One of a chat completion's `choices`.
#[derive(Default, serde::Deserialize)]
pub(super) struct ChoiceJson<'a> {
    #[serde(borrow, default)]
    pub(super) finish_reason: Word<'a>,
    #[serde(borrow, default)]
    pub(super) message: Object<ChatMessageJson<'a>>,
}

/// The message of a choice.
#[derive(Default, serde::Deserialize)]
pub(super) struct ChatMessageJson<'a> {
    #[serde(borrow, default)]
    pub(super) content: Word<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Word<'a>,
    #[serde(borrow, default)]
    pub(super) tool_calls: List<PartJson<'a>>,
    /// The older way to call one function.
    #[serde(borrow, default)]
    pub(super) function_call: ErrorJson<'a>,
}
