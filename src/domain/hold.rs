//! Why something is set aside for a person.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason, as a closed list: reviews are grouped and counted by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The response ended early, with partial output.
    Incomplete,
    /// The model refused.
    Refused,
    /// The output is not what the workflow asked for.
    InvalidOutput,
    /// A tool failed on the way.
    ToolFailed,
    /// A tool waits for output or for an approval that nobody gave.
    ToolUnanswered,
    /// Several different outputs are valid.
    AmbiguousOutput,
    /// There is no output.
    EmptyOutput,
    /// The ticket or the output is sensitive.
    Sensitive,
    /// The model is not sure enough.
    LowConfidence,
    /// The ticket changed since the work was started.
    ChangedSince,
    /// A customer would see it.
    CustomerFacing,
    /// The policy asks for a person: a rule, the workflow's own setting, the kill switch.
    Policy,
    /// It is not known which ticket it belongs to.
    Unplaced,
    /// A batch that was set aside whole, as versions without a ledger of lines did.
    Batch,
    /// The work failed at OpenAI.
    Failed,
}

impl HoldReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [HoldReason; 15] = [
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
        HoldReason::Policy,
        HoldReason::Unplaced,
        HoldReason::Batch,
        HoldReason::Failed,
    ];

    /// The stable name used in the database, the API, metrics and logs.
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
            HoldReason::Policy => "policy",
            HoldReason::Unplaced => "unplaced",
            HoldReason::Batch => "batch",
            HoldReason::Failed => "failed",
        }
    }

    /// The reason with this code, if there is one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_from_its_code_and_serialises_as_it() {
        for reason in HoldReason::ALL {
            assert_eq!(HoldReason::parse(reason.code()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
        assert_eq!(HoldReason::parse("anything"), None);
    }
}
