//! What OpenAI holds for us, in our words: the parts of a response or a batch
//! that decisions are made from. The `openai` module builds these from JSON.

use std::collections::BTreeMap;

/// One OpenAI object as it was fetched.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    /// A response (`resp_…`).
    Response(Response),
    /// A batch (`batch_…`).
    Batch(Batch),
}

impl Resource {
    /// OpenAI's id of it.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Resource::Response(response) => &response.id,
            Resource::Batch(batch) => &batch.id,
        }
    }
}

/// Where a response or a batch stands. Decisions are made from the *fetched*
/// status, never from the type or the order of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Still at work (`queued`, `in_progress`, `validating`, `finalizing`, `cancelling`).
    Moving(String),
    /// Ended well.
    Completed,
    /// Ended early, with partial output.
    Incomplete,
    /// Ended with an error.
    Failed,
    /// Cancelled by someone.
    Cancelled,
    /// A batch that ran out of its window.
    Expired,
    /// A word we do not know.
    Unknown(String),
}

/// The parts of a response that decisions read.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// `resp_…`
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// OpenAI's error code, when failed. An open list.
    pub error_code: Option<String>,
    /// Why it is incomplete (`max_output_tokens`, `content_filter`, …). An open list.
    pub incomplete_reason: Option<String>,
    /// What the starter attached; the link to ticket and workflow.
    pub metadata: BTreeMap<String, String>,
    /// Each output text on its own, in order. Never concatenated: in responses
    /// with several messages the concatenation is what breaks.
    pub texts: Vec<Text>,
    /// Refusals found in the output, in the model's words.
    pub refusals: Vec<String>,
    /// Tools that failed, were left unanswered, or wait for an approval.
    pub tools: Vec<ToolTrouble>,
    /// Output items of types we do not know, by type.
    pub unknown_items: Vec<String>,
    /// Unix seconds; OpenAI may send fractions, which are dropped.
    pub created_at_s: Option<i64>,
    /// The model that answered.
    pub model: Option<String>,
    /// The JSON schema that its starter asked for, as JSON text.
    pub schema: Option<String>,
    /// What it cost, as far as OpenAI says.
    pub usage: Usage,
}

/// One output text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `commentary`, `final_answer`, or nothing.
    pub phase: Option<String>,
    /// The words themselves.
    pub body: String,
}

/// A tool call that keeps a completed response from being clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolTrouble {
    /// The item's type, as `mcp_call` or `function_call`.
    pub tool: String,
    /// What is the matter.
    pub kind: ToolTroubleKind,
    /// A status or an error type; never the tool's output.
    pub detail: String,
}

/// What is the matter with a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolTroubleKind {
    /// The tool failed.
    Failed,
    /// The model waits for output that nobody gave.
    Unanswered,
    /// The model waits for a person's approval.
    AwaitingApproval,
}

/// The parts of a batch that decisions read.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `batch_…`
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// What the starter attached.
    pub metadata: BTreeMap<String, String>,
    /// The file with successful lines; OpenAI's `""` and `null` are both none.
    pub output_file_id: Option<String>,
    /// The file with failed lines.
    pub error_file_id: Option<String>,
    /// Errors of the input file, when validation failed.
    pub errors: Vec<BatchError>,
    /// What OpenAI counts; not to be trusted, only shown.
    pub counts: BatchCounts,
    /// What its lines are sent to, as `/v1/responses`.
    pub endpoint: Option<String>,
    /// The file with the requests.
    pub input_file_id: Option<String>,
    /// When it was made, in Unix seconds by OpenAI's clock.
    pub created_at_s: Option<i64>,
    /// The tokens of all its lines.
    pub usage: Usage,
}

/// One error of a batch's input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    /// An open list, as `duplicate_custom_id`.
    pub code: String,
    /// Line in the input file, from 1.
    pub line: Option<i64>,
}

/// OpenAI's own counts of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// All requests.
    pub total: i64,
    /// Requests OpenAI calls completed.
    pub completed: i64,
    /// Requests OpenAI calls failed.
    pub failed: i64,
}

/// Tokens of a batch, as far as OpenAI has told them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: Option<i64>,
    /// Tokens written.
    pub output_tokens: Option<i64>,
}
