//! The built-in desk: tickets, messages, drafts and fields in our database.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};

use super::row::{hit_one, json, next_seq, to_json};
use super::{Page, PageRequest, Store, StoreError};
use crate::domain::effect::{Effect, Priority, Route};
use crate::domain::ticket::{Author, Visibility};

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
    /// Oldest first.
    pub messages: Vec<StoredMessage>,
    /// Oldest first.
    pub drafts: Vec<Draft>,
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
        self.write(move |connection| create(connection, &new, now_ms)).await
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
        self.write(move |connection| {
            let changed = connection.execute(
                "UPDATE tickets SET subject = coalesce(?2, subject), status = coalesce(?3, status), queue = coalesce(?4, queue),
                        priority = coalesce(?5, priority), intent = coalesce(?6, intent), tags = coalesce(?7, tags),
                        revision = revision + 1, updated_at = ?8 WHERE id = ?1",
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
        self.write(move |connection| {
            let touched = connection
                .execute("UPDATE tickets SET revision = revision + 1, updated_at = ?2 WHERE id = ?1", (&id, now_ms))?;
            if touched == 1 {
                add_message(connection, &id, author, visibility, &body, now_ms)?;
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

/// Carries one effect out, once a reference, and returns the desk's id of it.
pub(super) fn write(
    connection: &Connection,
    ticket_id: &str,
    effect: &Effect,
    reference: &str,
    now_ms: i64,
) -> Result<String, StoreError> {
    // Our own writing is seen on the ticket but does not count as a change by a person.
    let touched =
        connection.prepare_cached("UPDATE tickets SET updated_at = ?2 WHERE id = ?1")?.execute((ticket_id, now_ms))?;
    hit_one(touched, "ticket")?;
    let written = match effect {
        Effect::Note { text } => connection
            .prepare_cached(
                "INSERT INTO messages (ticket_id, author, visibility, body, ref, created_at)
                 VALUES (?1, 'frontdesk', 'internal', ?2, ?3, ?4) ON CONFLICT (ref) DO NOTHING RETURNING 'message/' || id",
            )?
            .query_row((ticket_id, text, reference, now_ms), |row| row.get(0))
            .optional()?,
        Effect::Draft { text } => connection
            .prepare_cached(
                "INSERT INTO drafts (ticket_id, body, ref, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (ref) DO NOTHING RETURNING 'draft/' || id",
            )?
            .query_row((ticket_id, text, reference, now_ms), |row| row.get(0))
            .optional()?,
        Effect::Route(route) => {
            write_route(connection, ticket_id, route, reference, now_ms)?;
            None
        }
    };
    match written {
        Some(written) => Ok(written),
        // It was there before, or is a change of fields.
        None => find(connection, reference)?.ok_or(StoreError::Missing("change")),
    }
}

fn create(connection: &Connection, new: &NewTicket, now_ms: i64) -> Result<Option<String>, StoreError> {
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
    if made == 0 {
        return Ok(None);
    }
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

fn find(connection: &Connection, reference: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 'message/' || id FROM messages WHERE ref = ?1
             UNION ALL SELECT 'draft/' || id FROM drafts WHERE ref = ?1
             UNION ALL SELECT 'change/' || ref FROM desk_changes WHERE ref = ?1",
        )?
        .query_row([reference], |row| row.get(0))
        .optional()?)
}

fn write_route(
    connection: &Connection,
    id: &str,
    route: &Route,
    reference: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    if find(connection, reference)?.is_some() {
        return Ok(());
    }
    let before = fields_of(connection, id)?.ok_or(StoreError::Missing("ticket"))?;
    let after = before.with(route);
    connection
        .prepare_cached(
            "INSERT INTO desk_changes (ref, ticket_id, before, after, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((reference, id, to_json(&before)?, to_json(&after)?, now_ms))?;
    let changed = connection
        .prepare_cached(
            "UPDATE tickets SET intent = ?2, priority = ?3, queue = ?4, tags = ?5, fields = ?6 WHERE id = ?1",
        )?
        .execute(params![
            id,
            after.intent,
            after.priority,
            after.queue,
            to_json(&after.tags)?,
            to_json(&after.fields)?
        ])?;
    hit_one(changed, "ticket")
}

/// The columns a route touches, as they were or will be.
#[derive(Clone, serde::Serialize)]
struct Fields {
    intent: Option<String>,
    priority: String,
    queue: String,
    tags: Vec<String>,
    fields: Map<String, Value>,
}

impl Fields {
    fn with(&self, route: &Route) -> Fields {
        let mut after = self.clone();
        after.intent = route.intent.clone().or(after.intent);
        after.priority = route.priority.map_or(after.priority, |priority| priority.word().to_owned());
        after.queue = route.queue.clone().unwrap_or(after.queue);
        for tag in &route.tags {
            if !after.tags.contains(tag) {
                after.tags.push(tag.clone());
            }
        }
        if let Some(confidence) = route.confidence {
            after.fields.insert("confidence".to_owned(), Value::from(confidence));
        }
        after
    }
}

fn fields_of(connection: &Connection, id: &str) -> Result<Option<Fields>, StoreError> {
    let row = connection
        .prepare_cached("SELECT intent, priority, queue, tags, fields FROM tickets WHERE id = ?1")?
        .query_row([id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
        })
        .optional()?;
    let Some((intent, priority, queue, tags, fields)) = row else { return Ok(None) };
    Ok(Some(Fields {
        intent,
        priority,
        queue,
        tags: json(&tags, "tickets", "tags")?,
        fields: json(&fields, "tickets", "fields")?,
    }))
}

fn ticket(connection: &Connection, id: &str) -> Result<Option<DeskTicket>, StoreError> {
    let head = connection
        .prepare_cached("SELECT subject, status, revision, updated_at FROM tickets WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((subject, status, revision, updated_at_ms)) = head else { return Ok(None) };
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
        messages: messages(connection, id)?,
        drafts: drafts(connection, id)?,
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

fn drafts(connection: &Connection, id: &str) -> Result<Vec<Draft>, StoreError> {
    let mut list =
        connection.prepare_cached("SELECT id, body, state, ref FROM drafts WHERE ticket_id = ?1 ORDER BY id")?;
    let read =
        |row: &Row<'_>| Ok(Draft { id: row.get(0)?, body: row.get(1)?, state: row.get(2)?, reference: row.get(3)? });
    Ok(list.query_map([id], read)?.collect::<Result<_, _>>()?)
}
