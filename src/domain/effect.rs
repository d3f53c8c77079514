//! One change to one ticket, as data. Only `worker/apply` carries effects out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::permission::{Permission, Reply};

/// A change. The only one that a customer sees is a [`Reply`], and that cannot
/// be made without leave of a person or of the policy.
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
    /// Named values, as an extraction finds them.
    Fields {
        /// By name.
        fields: Map<String, Value>,
    },
    /// A text kept with the ticket, as a transcript.
    Attachment {
        /// A file name.
        name: String,
        /// Plain text.
        text: String,
    },
    /// Work to start when this is applied.
    Start {
        /// The workflow's name.
        workflow: String,
    },
    /// A message to the customer.
    #[serde(skip_deserializing)]
    Reply(Reply),
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

impl Route {
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        parts.extend(self.intent.as_ref().map(|intent| format!("intent {intent}")));
        parts.extend(self.priority.map(|priority| format!("priority {}", priority.word())));
        parts.extend(self.queue.as_ref().map(|queue| format!("queue {queue}")));
        parts
    }

    fn in_words(&self) -> String {
        let mut parts = self.parts();
        if !self.tags.is_empty() {
            parts.push(format!("tags {}", self.tags.join(", ")));
        }
        parts.join(" · ")
    }
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
    /// Named values, in one write.
    Fields,
    /// The attachment.
    Attachment,
    /// Work started after it.
    Start,
    /// The message to the customer.
    Reply,
}

impl Slot {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Slot::Note => "note",
            Slot::Draft => "draft",
            Slot::Route => "route",
            Slot::Fields => "fields",
            Slot::Attachment => "attachment",
            Slot::Start => "start",
            Slot::Reply => "reply",
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
            Effect::Fields { .. } => Slot::Fields,
            Effect::Attachment { .. } => Slot::Attachment,
            Effect::Start { .. } => Slot::Start,
            Effect::Reply(_) => Slot::Reply,
        }
    }

    /// As a reviewer reads it.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Effect::Note { text } | Effect::Draft { text } | Effect::Attachment { text, .. } => text.clone(),
            Effect::Route(route) => route.in_words(),
            Effect::Fields { fields } => {
                fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
            }
            Effect::Start { workflow } => format!("start {workflow}"),
            Effect::Reply(reply) => reply.text().to_owned(),
        }
    }

    /// What it does, as it is counted over many: labels, and no text.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        match self {
            Effect::Route(route) => {
                route.parts().into_iter().chain(route.tags.iter().map(|tag| format!("tag {tag}"))).collect()
            }
            Effect::Fields { fields } => fields.keys().map(|name| format!("field {name}")).collect(),
            _ => vec![self.slot().word().to_owned()],
        }
    }

    /// By whose leave a customer may see it; none for what only the team sees.
    #[must_use]
    pub fn permission(&self) -> Option<&Permission> {
        match self {
            Effect::Reply(reply) => Some(reply.permission()),
            _ => None,
        }
    }
}
