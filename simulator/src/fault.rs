//! What can go wrong on demand.

use std::fmt;
use std::str::FromStr;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)*) => {
        /// One thing that goes wrong, by rate or by script.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            /// Every fault, in the order in which they are considered.
            pub const ALL: &'static [Fault] = &[$(Fault::$fault,)*];

            /// The name on the command line and in the control plane.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// The webhook arrives twice, at once, under one `webhook-id`.
    DuplicateSameId = "duplicate_same_id",
    /// The same event arrives twice, at once, under two webhook ids.
    DuplicateNewId = "duplicate_new_id",
    /// A second event, with ids of its own, about the same resource.
    SecondEvent = "second_event",
    /// The webhook waits until a later one has overtaken it.
    Reorder = "reorder",
    /// The webhook is never sent.
    Drop = "drop",
    /// The webhook comes much later than the result.
    Delay = "delay",
    /// One extra delivery, signed with a key that nobody knows.
    TamperedSignature = "tampered_signature",
    /// One extra delivery of the event, correctly signed ten minutes ago.
    StaleTimestamp = "stale_timestamp",
    /// One extra, correctly signed event of a type that nobody has heard of.
    UnknownType = "unknown_type",
    /// One extra, correctly signed delivery whose body is not JSON.
    UnreadableBody = "unreadable_body",
    /// The first two reads answer 429 with `Retry-After`.
    RateLimited = "rate_limited",
    /// The first two reads answer 500.
    ServerError = "server_error",
    /// The first two reads take a second and a half.
    Slow = "slow",
    /// The first two reads break off half way through the body.
    Truncated = "truncated",
    /// The first two reads after the end still say `in_progress`.
    LateModel = "late_model",
    /// Reads answer 404 once the work has ended.
    Expired = "expired",
    /// Ends as `cancelled` though nobody asked.
    Cancelled = "cancelled",
    /// Ends as `failed` with `server_error`, which may be worth another try.
    Failed = "failed",
    /// Ends as `failed` with `invalid_prompt`, which is not.
    FailedFinal = "failed_final",
    /// Ends as `incomplete` for `max_output_tokens`, with half the text.
    Incomplete = "incomplete",
    /// Ends as `incomplete` for `content_filter`, with no text.
    ContentFilter = "content_filter",
    /// Completed, but the message is a refusal.
    Refusal = "refusal",
    /// Completed with no message at all.
    NoMessage = "no_message",
    /// Completed with a function call that waits for an answer.
    UnansweredTool = "unanswered_tool",
    /// A file search or an MCP call failed; a message follows all the same.
    FailedTool = "failed_tool",
    /// Two messages: the first breaks off, the second is complete.
    SeveralMessages = "several_messages",
    /// Two final answers, each valid, that differ.
    Contradictory = "contradictory",
    /// Prose where JSON was asked for.
    BadJson = "bad_json",
    /// JSON that does not satisfy the schema.
    SchemaMismatch = "schema_mismatch",
    /// A confidence of 0.4.
    LowConfidence = "low_confidence",
    /// A refund becomes the topic of the answer.
    Sensitive = "sensitive",
    /// The batch fails its validation.
    BatchFailed = "batch_failed",
    /// The batch's window ends: partial output, the rest as `batch_expired`.
    BatchExpired = "batch_expired",
    /// The batch is cancelled: partial output.
    BatchCancelled = "batch_cancelled",
    /// Every line is rejected: an error file and no output file.
    BatchRejected = "batch_rejected",
    /// Lines rejected, unexecuted, missing, doubled, unknown and unreadable.
    BatchIrregular = "batch_irregular",
}

impl Fault {
    /// The fault of that name.
    pub fn parse(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

/// No fault has that name.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        write!(out, "no fault is called {:?}; there are: {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Fault::parse(name).ok_or_else(|| UnknownFault(name.chars().take(80).collect()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn every_fault_is_found_by_its_name_and_no_two_share_one() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse(fault.name()), Some(*fault));
            assert_eq!(fault.to_string().parse(), Ok(*fault));
        }
        let hint = "no_such".parse::<Fault>().unwrap_err().to_string();
        assert!(hint.contains("no_such") && hint.contains("duplicate_same_id"));
    }

    #[test]
    fn the_readme_names_every_fault() {
        let readme = include_str!("../README.md");
        for fault in Fault::ALL {
            assert!(readme.contains(&format!("`{fault}`")), "{fault} is missing");
        }
    }
}
