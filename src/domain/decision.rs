//! What a workflow proposes, and what policy lets happen.

use serde::{Deserialize, Serialize};

use super::effect::{Effect, Slot};
use super::hold::HoldReason;
use super::person::Role;

/// What a workflow makes of a clean output. It proposes; it decides nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposal {
    /// Changes that only the team would see.
    pub effects: Vec<Effect>,
    /// Text meant for the customer. It goes there only by leave of a person or the policy.
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

/// A rule of the policy that hit, and where: never the words themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The rule's id, as `topic/refund` or `rule/vip`.
    pub rule: String,
    /// Where: `subject`, `message/3` (from 1), `output`, `reply`, `note`, `queue`, `tag`, `intent`, `topics`, `policy`.
    pub place: String,
    /// Where in that text it begins and ends, in bytes; none for a label.
    pub span: Option<(usize, usize)>,
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
    /// What an approval would change.
    pub effects: Vec<Effect>,
    /// What an approval would send.
    pub reply: Option<String>,
    /// The model's words.
    pub output: Option<String>,
    /// What may be put on the ticket at once all the same: a draft, which no
    /// customer sees until a person sends it.
    pub meanwhile: Vec<Effect>,
    /// The rules that hit.
    pub matches: Vec<Match>,
    /// Roles and names that may decide.
    pub reviewers: Vec<String>,
    /// One, or two different people.
    pub approvals_needed: i64,
    /// How long an approval can be taken back, in ms.
    pub undo_ms: i64,
}

impl Hold {
    /// A hold with nothing proposed, open to every agent.
    pub fn because(reason: HoldReason, detail: impl Into<String>) -> Hold {
        Hold {
            reason,
            detail: detail.into(),
            topics: Vec::new(),
            effects: Vec::new(),
            reply: None,
            output: None,
            meanwhile: Vec::new(),
            matches: Vec::new(),
            reviewers: vec![Role::Agent.word().to_owned()],
            approvals_needed: 1,
            undo_ms: 5_000,
        }
    }

    /// What an approval would do, as slot and words.
    #[must_use]
    pub fn proposed(&self) -> Vec<(String, String)> {
        let effects = self.effects.iter().map(|effect| (effect.slot().word().to_owned(), effect.in_words()));
        effects.chain(self.reply.iter().map(|text| (Slot::Reply.word().to_owned(), text.clone()))).collect()
    }
}
