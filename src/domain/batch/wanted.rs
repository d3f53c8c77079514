//! What a batch is to be made of, as it is kept until it is built.

use serde::{Deserialize, Serialize};

/// Which tickets, and how many at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Which tickets.
    pub select: Select,
    /// No more lines than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<i64>,
    /// No more input tokens than this, estimated at four bytes each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<i64>,
}

/// Which tickets a batch is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// These.
    Tickets(Vec<String>),
    /// Those that the helpdesk finds when the batch is built.
    Filter(Filter),
}

/// A filter on the helpdesk. What is not said does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// As `open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The queue or group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Has this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Made at least this long ago, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than_ms: Option<i64>,
    /// Made at most this long ago, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_than_ms: Option<i64>,
    /// Nobody has said yet what the customer wants.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unclassified: bool,
}
