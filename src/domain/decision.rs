//! What a workflow proposes, and what policy lets happen.

use super::effect::Effect;
use super::hold::HoldReason;

/// What a workflow makes of a clean output. It proposes; it decides nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposal {
    /// Changes that only the team would see.
    pub effects: Vec<Effect>,
    /// Text meant for the customer. It never becomes more than a draft here.
    pub reply: Option<String>,
    /// How sure the model says it is, 0 to 1; none when the workflow has no such number.
    pub confidence: Option<f64>,
    /// Topics the model named.
    pub topics: Vec<String>,
    /// The output as a reviewer would read it.
    pub output: String,
}

/// What happens to a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Change the ticket.
    Apply(Vec<Effect>),
    /// Ask a person.
    Hold(Hold),
}

/// A result set aside for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// One line in our words.
    pub detail: String,
    /// Sensitive topics found.
    pub topics: Vec<String>,
    /// What would be done, as slot and text.
    pub proposed: Vec<(String, String)>,
    /// The model's words.
    pub output: Option<String>,
    /// What may be put on the ticket at once all the same: a draft, which no
    /// customer sees until a person sends it.
    pub meanwhile: Vec<Effect>,
}

impl Hold {
    /// A hold with nothing proposed.
    pub fn because(reason: HoldReason, detail: impl Into<String>) -> Hold {
        Hold {
            reason,
            detail: detail.into(),
            topics: Vec::new(),
            proposed: Vec::new(),
            output: None,
            meanwhile: Vec::new(),
        }
    }
}
