//! One change to one ticket, as data. Only `worker/apply` carries effects out.

use serde::{Deserialize, Serialize};

/// A change that a workflow proposes. There is deliberately no variant that a
/// customer would see: a public reply exists only as the text of a review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Effect {
    /// An internal note that agents read.
    Note {
        /// Plain text.
        text: String,
    },
    /// A reply that waits for a person to send it.
    Draft {
        /// Plain text.
        text: String,
    },
    /// What the ticket is about, and where it goes.
    Route(Route),
}

/// The fields a classification sets. `None` leaves the ticket's value alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// What the customer wants.
    pub intent: Option<String>,
    /// How soon.
    pub priority: Option<Priority>,
    /// Which queue it goes to.
    pub queue: Option<String>,
    /// Tags to add; none is removed.
    pub tags: Vec<String>,
    /// How sure the model was, 0 to 1; kept as a field of the ticket.
    pub confidence: Option<f64>,
}

/// The four priorities of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Can wait.
    Low,
    /// As usual.
    Normal,
    /// Before the others.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// The word used in the database, the API and the model's schema.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Urgent => "urgent",
        }
    }

    /// The priority with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Priority> {
        match word {
            "low" => Some(Priority::Low),
            "normal" => Some(Priority::Normal),
            "high" => Some(Priority::High),
            "urgent" => Some(Priority::Urgent),
            _ => None,
        }
    }
}

/// Which change of a resource to a ticket this is. With the resource and the
/// ticket it is the key of the third gate: each slot is filled once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The internal note.
    Note,
    /// The draft.
    Draft,
    /// Intent, priority, queue and tags, in one write.
    Route,
}

impl Slot {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Slot::Note => "note",
            Slot::Draft => "draft",
            Slot::Route => "route",
        }
    }
}

impl Effect {
    /// The slot this effect fills.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Effect::Note { .. } => Slot::Note,
            Effect::Draft { .. } => Slot::Draft,
            Effect::Route(_) => Slot::Route,
        }
    }
}
