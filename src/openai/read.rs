//! From OpenAI's JSON to our words.

use crate::domain::resource::{Batch, BatchCounts, BatchError, Response, Status, Text, Usage};

use super::chat;
use super::error::OpenAiError;
use super::lenient::Whole;
use super::tools;
use super::types::{BatchErrorJson, BatchJson, ItemJson, ResponseJson, UsageJson};

/// Longest code of OpenAI's that is kept as it is.
const MAX_CODE_BYTES: usize = 64;

/// Reads a response, as fetched or as it stands in a line of a batch's output. A
/// chat completion, which batches of other programs hold, is read as one too.
///
/// # Errors
/// `Truncated` or `Unreadable`, when it is not JSON, not an object, or has no
/// id. Nothing that OpenAI adds or leaves out otherwise is an error.
pub fn response(json: &str) -> Result<Response, OpenAiError> {
    let read: ResponseJson<'_> = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
    if read.object.is("chat.completion") {
        return chat::response(json);
    }
    let status = status(read.status.get());
    let items = read.output.0;
    let tools = tools::troubles(&items);
    let unknown_items =
        items.iter().filter_map(|item| item.kind.get()).filter(|kind| !tools::is_known(kind)).map(code).collect();
    let (texts, refusals) = words(items, status == Status::Completed);
    Ok(Response {
        id: read.id.into_string().ok_or(OpenAiError::NoId)?,
        status,
        error_code: read.error.0.code.get().map(code),
        incomplete_reason: read.incomplete_details.0.reason.get().map(code),
        metadata: owned(read.metadata.0),
        texts,
        refusals,
        tools,
        unknown_items,
        created_at_s: read.created_at.0,
        model: read.model.into_string(),
        schema: read.text.0.format.0.schema.map(|schema| schema.get().to_owned()),
        usage: usage(&read.usage.0),
    })
}

/// Reads a batch.
///
/// # Errors
/// As [`response`].
pub fn batch(json: &str) -> Result<Batch, OpenAiError> {
    batch_of(serde_json::from_str(json).map_err(|error| unreadable(&error))?).ok_or(OpenAiError::NoId)
}

/// A batch in our words; none when it has no id.
pub(super) fn batch_of(read: BatchJson<'_>) -> Option<Batch> {
    let count = |number: Whole| number.0.unwrap_or(0);
    let counts = read.request_counts.0;
    Some(Batch {
        id: read.id.into_string()?,
        status: status(read.status.get()),
        metadata: owned(read.metadata.0),
        output_file_id: read.output_file_id.into_string(),
        error_file_id: read.error_file_id.into_string(),
        errors: read.errors.0.data.0.iter().map(batch_error).collect(),
        counts: BatchCounts {
            total: count(counts.total),
            completed: count(counts.completed),
            failed: count(counts.failed),
        },
        endpoint: read.endpoint.into_string(),
        input_file_id: read.input_file_id.into_string(),
        created_at_s: read.created_at.0,
        usage: usage(&read.usage.0),
    })
}

fn usage(said: &UsageJson) -> Usage {
    let tokens = |number: &Whole| number.0.filter(|tokens| *tokens >= 0);
    Usage { input_tokens: tokens(&said.input_tokens), output_tokens: tokens(&said.output_tokens) }
}

fn batch_error(error: &BatchErrorJson<'_>) -> BatchError {
    BatchError { code: error.code.get().map_or_else(|| "unknown".to_owned(), code), line: error.line.0 }
}

/// The texts and refusals of the model's messages. In a completed response a
/// message that is itself unfinished is left out: half a text is no answer. In
/// other responses it stays, for a person to see.
fn words(items: Vec<ItemJson<'_>>, completed: bool) -> (Vec<Text>, Vec<String>) {
    let (mut texts, mut refusals) = (Vec::new(), Vec::new());
    for item in items {
        let unfinished = completed && matches!(item.status.get(), Some("incomplete" | "in_progress"));
        let of_others = matches!(item.role.get(), Some("user" | "system" | "developer"));
        if !item.kind.is("message") || of_others {
            continue;
        }
        let phase = item.phase.get().map(code);
        for part in item.content.0 {
            if part.kind.is("refusal") {
                refusals.push(part.refusal.into_string().unwrap_or_default());
            } else if part.kind.is("output_text") && !unfinished {
                let body = part.text.into_string().unwrap_or_default();
                texts.push(Text { phase: phase.clone(), body });
            }
        }
    }
    (texts, refusals)
}

pub(super) fn owned<A, B>(pairs: Vec<(A, B)>) -> std::collections::BTreeMap<String, String>
where
    A: Into<String>,
    B: Into<String>,
{
    pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn status(word: Option<&str>) -> Status {
    match word {
        Some(word @ ("queued" | "in_progress" | "validating" | "finalizing" | "cancelling")) => {
            Status::Moving(word.to_owned())
        }
        Some("completed") => Status::Completed,
        Some("incomplete") => Status::Incomplete,
        Some("failed") => Status::Failed,
        Some("cancelled") => Status::Cancelled,
        Some("expired") => Status::Expired,
        Some(word) => Status::Unknown(code(word)),
        None => Status::Unknown("missing".to_owned()),
    }
}

/// A code of OpenAI's as it may be logged and shown: if it does not look like a
/// code it may hold anything, and only that much is said.
pub(super) fn code(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    if !word.is_empty() && word.len() <= MAX_CODE_BYTES && word.bytes().all(plain) {
        word.to_owned()
    } else {
        "not_a_code".to_owned()
    }
}

pub(super) fn unreadable(error: &serde_json::Error) -> OpenAiError {
    if error.is_eof() {
        return OpenAiError::Truncated;
    }
    OpenAiError::Unreadable { line: error.line(), column: error.column() }
}
