//! Why a result waits for a person.

use std::fmt;

/// Why a result is held. The code is what the API, the database and metrics say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// The response ended early; its output may be half a sentence.
    Incomplete,
    /// The model refused.
    Refused,
    /// The output does not have the shape the workflow asks for.
    InvalidOutput,
    /// A tool failed while the response was made.
    ToolFailed,
    /// The model waits for a tool's output or an approval that nobody gave.
    ToolUnanswered,
    /// Several valid outputs that say different things.
    AmbiguousOutput,
    /// No output text at all.
    EmptyOutput,
    /// The ticket or the output touches a sensitive topic.
    Sensitive,
    /// The model was not sure enough.
    LowConfidence,
    /// The ticket has changed since the work was started.
    ChangedSince,
    /// A customer would see it.
    CustomerFacing,
    /// No ticket or no workflow could be found for it.
    Unplaced,
    /// A batch whose results wait to be applied.
    Batch,
}

impl HoldReason {
    /// Every reason.
    pub const ALL: [HoldReason; 13] = [
        HoldReason::Incomplete,
        HoldReason::Refused,
        HoldReason::InvalidOutput,
        HoldReason::ToolFailed,
        HoldReason::ToolUnanswered,
        HoldReason::AmbiguousOutput,
        HoldReason::EmptyOutput,
        HoldReason::Sensitive,
        HoldReason::LowConfidence,
        HoldReason::ChangedSince,
        HoldReason::CustomerFacing,
        HoldReason::Unplaced,
        HoldReason::Batch,
    ];

    /// The stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            HoldReason::Incomplete => "incomplete",
            HoldReason::Refused => "refused",
            HoldReason::InvalidOutput => "invalid_output",
            HoldReason::ToolFailed => "tool_failed",
            HoldReason::ToolUnanswered => "tool_unanswered",
            HoldReason::AmbiguousOutput => "ambiguous_output",
            HoldReason::EmptyOutput => "empty_output",
            HoldReason::Sensitive => "sensitive",
            HoldReason::LowConfidence => "low_confidence",
            HoldReason::ChangedSince => "changed_since",
            HoldReason::CustomerFacing => "customer_facing",
            HoldReason::Unplaced => "unplaced",
            HoldReason::Batch => "batch",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn parse(code: &str) -> Option<HoldReason> {
        HoldReason::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
