//! What every helpdesk outside has to be able to do. A new one is one file that
//! speaks this trait; when it is asked, in which order, and what is looked at
//! before, is the same for all and stands in `outside`.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::HelpdeskError;
use super::heard::{Happening, Heard, NotHeard, Told};
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
    /// A note and fields in one change.
    pub together: bool,
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
    /// A note and fields in one change; only for those that can.
    NoteAndSet {
        /// As in [`Write::Note`].
        text: String,
        /// As in [`Write::Note`].
        reference: &'a str,
        /// As in [`Write::Set`].
        patch: Patch,
    },
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
    /// What a draft says, for helpdesks whose own drafts have no place for a mark.
    pub draft: Option<&'a str>,
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

    /// Whether the credentials are good, and whether what the settings name is there;
    /// fields are looked for on a ticket, when one is given.
    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked>;

    /// Takes away a note that [`Connector::write`] made.
    ///
    /// # Errors
    /// [`HelpdeskError::NotOffered`] where that cannot be done, or why it was not.
    async fn remove(&self, id: &str, external_id: &str) -> Result<(), HelpdeskError>;

    /// Takes away a draft of ours that bears this reference and that nobody has
    /// changed; one that is not there any more, or that a person has made theirs,
    /// is left.
    ///
    /// # Errors
    /// Why it could not be looked for or taken away.
    async fn withdraw(&self, _id: &str, _reference: &str, _text: &str) -> Result<(), HelpdeskError> {
        Ok(())
    }

    /// What the helpdesk tells by a webhook, if it was the helpdesk.
    ///
    /// # Errors
    /// Why it is not believed, or not understood.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard>;

    /// What has happened since then, for helpdesks that tell once and never again.
    ///
    /// # Errors
    /// [`HelpdeskError::NotOffered`] where nobody need ask, or why it could not be read.
    async fn happened(&self, _since_ms: i64) -> Result<Vec<Happening>, HelpdeskError> {
        Err(HelpdeskError::NotOffered("asking for what happened"))
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What, as "queue Billing".
    pub what: String,
    /// What is well about it, or what is wrong and what to do.
    pub found: Result<String, String>,
}

impl Checked {
    /// From what came of asking.
    pub fn of(what: impl Into<String>, found: Result<impl Into<String>, impl ToString>) -> Checked {
        Checked { what: what.into(), found: found.map(Into::into).map_err(|error| error.to_string()) }
    }
}

impl Capabilities {
    /// What this helpdesk does not have, and what becomes of it.
    #[must_use]
    pub fn lacking(&self) -> Vec<&'static str> {
        let drafts = match self.drafts {
            Drafts::AsNote => Some("drafts: one is a note that says so, and waits in Frontdesk"),
            Drafts::OnePerTicket => {
                Some("more than one draft for a ticket: a person's is never written over, ours waits in Frontdesk")
            }
            Drafts::Many => None,
        };
        let without = [
            (self.notes, "notes that only the team sees: nothing is noted on tickets"),
            (self.files, "files with a note: a text becomes the note"),
            (self.priority, "a priority: it is not set"),
            (self.queues, "queues: tickets are not moved"),
            (self.tags, "tags, or no field is named for them: none are set"),
            (self.fields, "fields: nothing named is set"),
        ];
        drafts.into_iter().chain(without.into_iter().filter(|(has, _)| !has).map(|(_, what)| what)).collect()
    }
}
