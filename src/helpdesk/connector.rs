//! What every helpdesk outside has to be able to do. A new one is one file that
//! speaks this trait; when it is asked, in which order, and what is looked at
//! before, is the same for all and stands in `outside`.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::HelpdeskError;
use crate::domain::effect::{Effect, Priority, Route};
use crate::domain::ticket::Ticket;

/// What a helpdesk offers. What it does not have is said as a note, kept here, or
/// refused: never put where a customer would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name, as people know it.
    pub name: &'static str,
    /// Notes that only the team sees. Without them nothing is written to a ticket
    /// but fields and approved replies.
    pub notes: bool,
    /// Drafts of its own.
    pub drafts: Drafts,
    /// Files with a note.
    pub files: bool,
    /// A priority of its own.
    pub priority: bool,
    /// Queues, groups or teams that a ticket can be moved to.
    pub queues: bool,
    /// Tags.
    pub tags: bool,
    /// Named fields.
    pub fields: bool,
}

/// Whether a reply can wait in the helpdesk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drafts {
    /// It cannot; a draft is a note that says so.
    AsNote,
    /// One for each ticket; one of a person is never written over.
    OnePerTicket,
    /// Any number.
    Many,
}

/// One change to a ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Write<'a> {
    /// A note that only the team sees, with its mark in the text.
    Note {
        /// Plain text, with the mark.
        text: String,
        /// The mark, for helpdesks with a place of their own for it.
        reference: &'a str,
    },
    /// A file that only the team sees, with a note that has the mark.
    File {
        /// A file name.
        name: &'a str,
        /// Plain text.
        content: &'a str,
        /// The note's text, with the mark.
        text: String,
        /// The mark.
        reference: &'a str,
    },
    /// A reply that waits for a person; only for those that have drafts.
    Draft {
        /// Plain text.
        text: &'a str,
        /// The mark.
        reference: &'a str,
    },
    /// A message to the customer. Only what came by somebody's leave gets here.
    Reply {
        /// Plain text.
        text: &'a str,
        /// The mark, where the helpdesk has a place for it that customers do not see.
        reference: &'a str,
    },
    /// Fields, in one change.
    Set(Patch),
}

/// What fields should be. What is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// What the customer wants.
    pub intent: Option<String>,
    /// How sure the model was, 0 to 1.
    pub confidence: Option<f64>,
    /// How soon.
    pub priority: Option<Priority>,
    /// The queue, group or team, in our name for it.
    pub queue: Option<String>,
    /// Tags to add; none is removed.
    pub tags: Vec<String>,
    /// Named values.
    pub fields: Map<String, Value>,
}

impl Patch {
    /// The fields that an effect sets; none when it sets none.
    #[must_use]
    pub fn of(effect: &Effect) -> Option<Patch> {
        match effect {
            Effect::Route(Route { intent, priority, queue, tags, confidence }) => Some(Patch {
                intent: intent.clone(),
                confidence: *confidence,
                priority: *priority,
                queue: queue.clone(),
                tags: tags.clone(),
                fields: Map::new(),
            }),
            Effect::Fields { fields } => Some(Patch { fields: fields.clone(), ..Patch::default() }),
            _ => None,
        }
    }
}

/// What is looked for on a ticket.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// The mark of a note, a draft or a file.
    pub reference: &'a str,
    /// What a reply said: it bears no mark that a customer would see.
    pub reply: Option<&'a str>,
    /// Written no earlier than this, by the helpdesk's clock, in ms.
    pub since_ms: i64,
}

/// A helpdesk outside.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What it offers.
    fn capabilities(&self) -> Capabilities;

    /// The ticket as decisions read it: messages of the customer, of people and of
    /// our own user told apart, and a revision that our own changes do not raise.
    ///
    /// # Errors
    /// [`HelpdeskError::NoTicket`], or why it could not be read.
    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError>;

    /// The helpdesk's own id of what is sought, written by our own user. Looks
    /// through the ticket itself, never in a search index: those are late.
    ///
    /// # Errors
    /// Why it could not be looked for.
    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError>;

    /// Makes one change and gives the helpdesk's own id of it. Sent once; a change
    /// that may have been made is [`HelpdeskError::Unknown`].
    ///
    /// # Errors
    /// Why it was not made, or is not known to have been.
    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError>;

    /// The first part of a patch that the ticket does not have; none when it has
    /// all. An answer of 200 is no proof, so this is asked after each one.
    ///
    /// # Errors
    /// Why it could not be read.
    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError>;
}
