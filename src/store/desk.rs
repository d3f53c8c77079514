//! The built-in desk: tickets, messages, drafts and fields in our database.

mod overrides;
mod select;
mod undo;
mod write;

use crate::store::sql::{Connection, OptionalExtension, Row, Subject, params};
use serde_json::{Map, Value};

pub use select::Selected;
pub(super) use undo::{Back, Left, put_back};
pub(super) use write::write;
use write::{Fields, fields_of, find};

use super::row::{next_seq, to_json};
use super::{Page, PageRequest, Store, StoreError, deciding};
use crate::domain::effect::Priority;
use crate::domain::ticket::{AGENT_REPLIED, Author, Message, TICKET_CLOSED, Ticket, Visibility, WROTE_AGAIN, is_over};

/// A ticket to be made.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// Chosen by the caller, or `T-1001` and so on.
    pub id: Option<String>,
    /// One line.
    pub subject: String,
    /// Where it waits.
    pub queue: String,
    /// Free words.
    pub tags: Vec<String>,
    /// The conversation so far; author is customer or agent.
    pub messages: Vec<(Author, String)>,
}

/// Changes a person makes to a ticket. `None` leaves the value alone.
#[derive(Debug, Clone, Default)]
pub struct TicketPatch {
    /// One line.
    pub subject: Option<String>,
    /// `open`, `pending`, `closed`…
    pub status: Option<String>,
    /// Where it waits.
    pub queue: Option<String>,
    /// How soon.
    pub priority: Option<Priority>,
    /// What the customer wants.
    pub intent: Option<String>,
    /// All tags; replaces them.
    pub tags: Option<Vec<String>>,
}

/// A ticket with all that is on it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskTicket {
    /// `T-1001`
    pub id: String,
    /// One line.
    pub subject: String,
    /// `open`, `pending`, `closed`…
    pub status: String,
    /// Where it waits.
    pub queue: String,
    /// `low`, `normal`, `high`, `urgent`.
    pub priority: String,
    /// What the customer wants, once somebody has said.
    pub intent: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Anything else, by name.
    pub fields: Map<String, Value>,
    /// Goes up with each change by a person.
    pub revision: i64,
    /// In ms.
    pub updated_at_ms: i64,
    /// When a person last changed it, in ms; none when nobody has since it was made.
    pub changed_at_ms: Option<i64>,
    /// When its content was erased, in ms.
    pub erased_at_ms: Option<i64>,
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// Oldest first.
    pub drafts: Vec<Draft>,
    /// Oldest first.
    pub attachments: Vec<Attachment>,
}

/// A text kept with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// A file name.
    pub name: String,
    /// Its length.
    pub bytes: i64,
    /// Our marker.
    pub reference: String,
}

/// A message of the built-in desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Who wrote it.
    pub author: Author,
    /// Whether the customer sees it.
    pub visibility: Visibility,
    /// Plain text.
    pub body: String,
    /// In ms.
    pub created_at_ms: i64,
    /// Our marker, on what we wrote.
    pub reference: Option<String>,
}

impl DeskTicket {
    /// The ticket as decisions read it.
    #[must_use]
    pub fn for_deciding(self) -> Ticket {
        let message = |message: StoredMessage| Message {
            author: message.author,
            visibility: message.visibility,
            body: message.body,
        };
        Ticket {
            id: self.id,
            subject: self.subject,
            status: self.status,
            queue: self.queue,
            priority: self.priority,
            tags: self.tags,
            revision: self.revision,
            changed_at_ms: self.changed_at_ms,
            messages: self.messages.into_iter().map(message).collect(),
        }
    }
}

/// A reply that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its number.
    pub id: i64,
    /// Plain text.
    pub body: String,
    /// `open`, `sent`, `rejected` or `stale`.
    pub state: String,
    /// Our marker.
    pub reference: String,
}

impl Store {
    /// Makes a ticket. None when one with this id exists.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn create_ticket(&self, new: NewTicket, now_ms: i64) -> Result<Option<String>, StoreError> {
        self.write_beside(move |connection| create(connection, &new, now_ms)).await
    }

    /// One ticket, with all that is on it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ticket(&self, id: String) -> Result<Option<DeskTicket>, StoreError> {
        self.look_up(move |connection| ticket(connection, &id)).await
    }

    /// Tickets, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tickets(&self, page: PageRequest) -> Result<Page<DeskTicket>, StoreError> {
        self.read(move |connection| {
            let mut list =
                connection.prepare_cached("SELECT id, seq FROM tickets WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2")?;
            let ids: Vec<(String, i64)> = list
                .query_map((page.before(), page.limit_and_one()), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let (ids, next) = page.cut(ids, |(_, seq)| *seq);
            let items =
                ids.iter().filter_map(|(id, _)| ticket(connection, id).transpose()).collect::<Result<_, _>>()?;
            Ok(Page { items, next })
        })
        .await
    }

    /// A person changes fields. Returns false when there is no such ticket.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn patch_ticket(&self, id: String, patch: TicketPatch, now_ms: i64) -> Result<bool, StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Ticket(&id))?;
            overrides::measure(connection, &id, patch.intent.as_deref())?;
            let changed = connection.execute(
                "UPDATE tickets SET subject = coalesce(?2, subject), status = coalesce(?3, status), queue = coalesce(?4, queue),
                        priority = coalesce(?5, priority), intent = coalesce(?6, intent), tags = coalesce(?7, tags),
                        revision = revision + 1, updated_at = ?8, changed_at = ?8 WHERE id = ?1",
                params![
                    id,
                    patch.subject,
                    patch.status,
                    patch.queue,
                    patch.priority.map(Priority::word),
                    patch.intent,
                    patch.tags.as_ref().map(to_json).transpose()?,
                    now_ms
                ],
            )?;
            if changed == 1 && patch.status.as_deref().is_some_and(is_over) {
                deciding::ticket_moved(connection, &id, TICKET_CLOSED, now_ms)?;
            }
            Ok(changed == 1)
        })
        .await
    }

    /// A customer or an agent writes. Returns false when there is no such ticket.
    ///
    /// # Errors
    /// When the transaction could not be committed.
    pub async fn add_message(
        &self,
        id: String,
        author: Author,
        visibility: Visibility,
        body: String,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write_beside(move |connection| {
            connection.alone_with(Subject::Ticket(&id))?;
            let touched = connection.execute(
                "UPDATE tickets SET revision = revision + 1, updated_at = ?2, changed_at = ?2 WHERE id = ?1",
                (&id, now_ms),
            )?;
            if touched == 1 {
                add_message(connection, &id, author, visibility, &body, now_ms)?;
                let why = match (author, visibility) {
                    (Author::Customer, _) => Some(WROTE_AGAIN),
                    (Author::Agent, Visibility::Public) => Some(AGENT_REPLIED),
                    _ => None,
                };
                why.map_or(Ok(()), |why| deciding::ticket_moved(connection, &id, why, now_ms))?;
            }
            Ok(touched == 1)
        })
        .await
    }

    /// What has been written under a reference; looked for before a second write.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_written(&self, reference: String) -> Result<Option<String>, StoreError> {
        self.look_up(move |connection| find(connection, &reference)).await
    }
}

fn create(connection: &Connection, new: &NewTicket, now_ms: i64) -> Result<Option<String>, StoreError> {
    let id = loop {
        let seq = next_seq(connection, "tickets")?;
        let id = match &new.id {
            Some(id) => id.clone(),
            None => free_id(connection, seq)?,
        };
        let made = connection
            .prepare_cached(
                "INSERT INTO tickets (id, seq, subject, queue, tags, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
                 ON CONFLICT (id) DO NOTHING",
            )?
            .execute((&id, seq, &new.subject, &new.queue, to_json(&new.tags)?, now_ms))?;
        match made {
            1 => break id,
            _ if new.id.is_some() => return Ok(None),
            // Somebody else took it since the look: the next one.
            _ => {}
        }
    };
    for (author, body) in &new.messages {
        add_message(connection, &id, *author, Visibility::Public, body, now_ms)?;
    }
    Ok(Some(id))
}

fn free_id(connection: &Connection, seq: i64) -> Result<String, StoreError> {
    let mut taken = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM tickets WHERE id = ?1)")?;
    let mut number = 1000 + seq;
    loop {
        let id = format!("T-{number}");
        if !taken.query_row([&id], |row| row.get::<_, bool>(0))? {
            return Ok(id);
        }
        number += 1;
    }
}

fn add_message(
    connection: &Connection,
    id: &str,
    author: Author,
    visibility: Visibility,
    body: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO messages (ticket_id, author, visibility, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((id, author.word(), visibility.word(), body, now_ms))?;
    Ok(())
}

pub(super) fn ticket(connection: &Connection, id: &str) -> Result<Option<DeskTicket>, StoreError> {
    let head = connection
        .prepare_cached(
            "SELECT subject, status, revision, updated_at, erased_at, changed_at FROM tickets WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
        .optional()?;
    let Some((subject, status, revision, updated_at_ms, erased_at_ms, changed_at_ms)) = head else { return Ok(None) };
    let Some(Fields { intent, priority, queue, tags, fields }) = fields_of(connection, id)? else { return Ok(None) };
    Ok(Some(DeskTicket {
        id: id.to_owned(),
        subject,
        status,
        queue,
        priority,
        intent,
        tags,
        fields,
        revision,
        updated_at_ms,
        changed_at_ms,
        erased_at_ms,
        messages: messages(connection, id)?,
        drafts: drafts(connection, id)?,
        attachments: attachments(connection, id)?,
    }))
}

fn messages(connection: &Connection, id: &str) -> Result<Vec<StoredMessage>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT author, visibility, body, created_at, ref FROM messages WHERE ticket_id = ?1 ORDER BY id",
    )?;
    let rows = list.query_map([id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (author, visibility, body, created_at_ms, reference) = row?;
        Ok(StoredMessage {
            author: Author::parse(&author).ok_or(StoreError::Corrupt { table: "messages", column: "author" })?,
            visibility: Visibility::parse(&visibility)
                .ok_or(StoreError::Corrupt { table: "messages", column: "visibility" })?,
            body,
            created_at_ms,
            reference,
        })
    })
    .collect()
}

fn attachments(connection: &Connection, id: &str) -> Result<Vec<Attachment>, StoreError> {
    let mut list = connection
        .prepare_cached("SELECT name, octet_length(body), ref FROM attachments WHERE ticket_id = ?1 ORDER BY id")?;
    let read = |row: &Row<'_>| Ok(Attachment { name: row.get(0)?, bytes: row.get(1)?, reference: row.get(2)? });
    Ok(list.query_map([id], read)?.collect::<Result<_, _>>()?)
}

fn drafts(connection: &Connection, id: &str) -> Result<Vec<Draft>, StoreError> {
    let mut list =
        connection.prepare_cached("SELECT id, body, state, ref FROM drafts WHERE ticket_id = ?1 ORDER BY id")?;
    let read =
        |row: &Row<'_>| Ok(Draft { id: row.get(0)?, body: row.get(1)?, state: row.get(2)?, reference: row.get(3)? });
    Ok(list.query_map([id], read)?.collect::<Result<_, _>>()?)
}
