//! A ticket as decisions read it, whichever helpdesk it lives in.

use serde::{Deserialize, Serialize};

/// A customer conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The helpdesk's id, as `T-1001`.
    pub id: String,
    /// One line.
    pub subject: String,
    /// `open`, `pending`, `closed`… as the helpdesk says it.
    pub status: String,
    /// The queue or group it is in.
    pub queue: String,
    /// `low`, `normal`, `high`, `urgent`.
    pub priority: String,
    /// Tags, as they are.
    pub tags: Vec<String>,
    /// Goes up with every change by a customer or an agent, never by our own:
    /// a result made from an older revision is held as `changed_since`.
    pub revision: i64,
    /// When a customer or an agent last changed it, in ms; none when nobody has
    /// since it was made, or the helpdesk does not tell.
    #[serde(default)]
    pub changed_at_ms: Option<i64>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
}

/// How far a conversation had come: counts only, so that it can be kept longer
/// than the words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Messages of the customer.
    pub customer: usize,
    /// Replies of the team that the customer saw.
    pub replies: usize,
    /// As the helpdesk says it.
    pub status: String,
}

impl Seen {
    /// How far this ticket has come.
    #[must_use]
    pub fn of(ticket: &Ticket) -> Seen {
        let is_reply =
            |message: &&Message| message.author != Author::Customer && message.visibility == Visibility::Public;
        Seen {
            customer: ticket.messages.iter().filter(|message| message.author == Author::Customer).count(),
            replies: ticket.messages.iter().filter(is_reply).count(),
            status: ticket.status.clone(),
        }
    }

    /// What has happened to the ticket since that makes a draft unfit to send.
    #[must_use]
    pub fn moved_on(&self, ticket: &Ticket) -> Option<&'static str> {
        let now = Seen::of(ticket);
        match () {
            () if now.customer > self.customer => Some(WROTE_AGAIN),
            () if now.replies > self.replies => Some(AGENT_REPLIED),
            () if now.status != self.status && is_over(&now.status) => Some(TICKET_CLOSED),
            () => None,
        }
    }
}

/// Why a draft is stale.
pub const WROTE_AGAIN: &str = "the customer wrote again";
/// Why a draft is stale.
pub const AGENT_REPLIED: &str = "an agent replied";
/// Why a draft is stale.
pub const TICKET_CLOSED: &str = "the ticket was closed or merged";

/// Why a held result is stale.
pub const NEWER_RESULT: &str = "a newer result took its place";
/// Why a draft is stale.
pub const REPLY_SENT: &str = "another reply was sent";

/// Whether nobody waits for an answer on a ticket with this status.
#[must_use]
pub fn is_over(status: &str) -> bool {
    matches!(status.to_lowercase().as_str(), "closed" | "merged" | "solved" | "resolved" | "deleted")
}

/// One message of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who wrote it.
    pub author: Author,
    /// Whether the customer sees it.
    pub visibility: Visibility,
    /// Plain text.
    pub body: String,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The person who asks.
    Customer,
    /// A person of the team.
    Agent,
    /// This program.
    Frontdesk,
}

impl Author {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Author::Customer => "customer",
            Author::Agent => "agent",
            Author::Frontdesk => "frontdesk",
        }
    }

    /// The author with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Author> {
        match word {
            "customer" => Some(Author::Customer),
            "agent" => Some(Author::Agent),
            "frontdesk" => Some(Author::Frontdesk),
            _ => None,
        }
    }
}

/// Whether the customer sees a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The customer sees it.
    Public,
    /// Only the team sees it.
    Internal,
}

impl Visibility {
    /// The word used in the database and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Internal => "internal",
        }
    }

    /// The visibility with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Visibility> {
        match word {
            "public" => Some(Visibility::Public),
            "internal" => Some(Visibility::Internal),
            _ => None,
        }
    }
}

/// True for an id that may stand in a path, a marker or a file name:
/// 1 to 128 letters, digits, `.`, `_`, `-`, not beginning with a dot.
#[must_use]
pub fn valid_ticket_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('.')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
