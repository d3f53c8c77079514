//! A ticket as decisions read it, whichever helpdesk it lives in.

/// A customer conversation.
#[derive(Debug, Clone, PartialEq)]
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
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
}

/// One message of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub author: Author,
    /// Whether the customer sees it.
    pub visibility: Visibility,
    /// Plain text.
    pub body: String,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
