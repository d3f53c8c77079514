//! Changes to tickets of the built-in desk, once a reference.

use crate::store::sql::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use crate::domain::effect::{Effect, Route};
use crate::domain::permission::Reply;
use crate::domain::ticket::Author;
use crate::store::StoreError;
use crate::store::row::{hit_one, json, to_json};

/// Carries one effect out, once a reference, and returns the desk's id of it.
pub(in crate::store) fn write(
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
        Effect::Attachment { name, text } => connection
            .prepare_cached(
                "INSERT INTO attachments (ticket_id, name, body, ref, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (ref) DO NOTHING RETURNING 'attachment/' || id",
            )?
            .query_row((ticket_id, name, text, reference, now_ms), |row| row.get(0))
            .optional()?,
        Effect::Reply(reply) => write_reply(connection, ticket_id, reply, reference, now_ms)?,
        Effect::Route(route) => {
            write_fields(connection, ticket_id, |before| before.with(route), reference, now_ms)?;
            None
        }
        Effect::Fields { fields } => {
            write_fields(connection, ticket_id, |before| before.with_fields(fields), reference, now_ms)?;
            None
        }
        // Work to start is planned in our own database and is nothing of the desk's.
        Effect::Start { .. } => None,
    };
    match written {
        Some(written) => Ok(written),
        // It was there before, or is a change of fields.
        None => find(connection, reference)?.ok_or(StoreError::Missing("change")),
    }
}

/// A reply is the agent's who approved it; the customer sees a person's name.
fn write_reply(
    connection: &Connection,
    ticket_id: &str,
    reply: &Reply,
    reference: &str,
    now_ms: i64,
) -> Result<Option<String>, StoreError> {
    let author = if reply.permission().person().is_some() { Author::Agent } else { Author::Frontdesk };
    Ok(connection
        .prepare_cached(
            "INSERT INTO messages (ticket_id, author, visibility, body, ref, permission, created_at)
             VALUES (?1, ?2, 'public', ?3, ?4, ?5, ?6) ON CONFLICT (ref) DO NOTHING RETURNING 'message/' || id",
        )?
        .query_row((ticket_id, author.word(), reply.text(), reference, reply.permission().word(), now_ms), |row| {
            row.get(0)
        })
        .optional()?)
}

fn write_fields(
    connection: &Connection,
    id: &str,
    change: impl FnOnce(&Fields) -> Fields,
    reference: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    if find(connection, reference)?.is_some() {
        return Ok(());
    }
    let before = fields_of(connection, id)?.ok_or(StoreError::Missing("ticket"))?;
    let after = change(&before);
    connection
        .prepare_cached(
            "INSERT INTO desk_changes (ref, ticket_id, before, after, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((reference, id, to_json(&before)?, to_json(&after)?, now_ms))?;
    set_fields(connection, id, &after)
}

pub(super) fn set_fields(connection: &Connection, id: &str, to: &Fields) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE tickets SET intent = ?2, priority = ?3, queue = ?4, tags = ?5, fields = ?6 WHERE id = ?1",
        )?
        .execute(params![id, to.intent, to.priority, to.queue, to_json(&to.tags)?, to_json(&to.fields)?])?;
    hit_one(changed, "ticket")
}

/// The columns a route touches, as they were or will be.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Fields {
    pub(super) intent: Option<String>,
    pub(super) priority: String,
    pub(super) queue: String,
    pub(super) tags: Vec<String>,
    pub(super) fields: Map<String, Value>,
}

impl Fields {
    fn with_fields(&self, fields: &Map<String, Value>) -> Fields {
        let mut after = self.clone();
        after.fields.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        after
    }

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

pub(super) fn fields_of(connection: &Connection, id: &str) -> Result<Option<Fields>, StoreError> {
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

pub(super) fn find(connection: &Connection, reference: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 'message/' || id FROM messages WHERE ref = ?1
             UNION ALL SELECT 'draft/' || id FROM drafts WHERE ref = ?1
             UNION ALL SELECT 'attachment/' || id FROM attachments WHERE ref = ?1
             UNION ALL SELECT 'change/' || ref FROM desk_changes WHERE ref = ?1",
        )?
        .query_row([reference], |row| row.get(0))
        .optional()?)
}
