//! Puts one change back, as far as it is still ours. What somebody has changed
//! since, and what newer work has written, is left alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::sql::{self, Connection, params};
use serde_json::Value;

use super::write::{Fields, fields_of, set_fields};
use crate::domain::effect::Effect;
use crate::store::StoreError;
use crate::store::row::to_json;

/// Why something was left, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Left {
    /// The customer has it.
    ReplySent,
    /// Somebody has sent the draft.
    DraftSent,
    /// The work that it started is under way, or done.
    FollowUpStarted,
    /// Somebody has changed it since, or newer work has.
    ChangedSince,
}

impl Left {
    fn code(self) -> &'static str {
        match self {
            Left::ReplySent => "reply_sent",
            Left::DraftSent => "draft_sent",
            Left::FollowUpStarted => "follow_up_started",
            Left::ChangedSince => "changed_since",
        }
    }
}

/// What was put back, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::store) struct Back {
    /// Something was.
    is_some: bool,
    /// Why something was not.
    pub(in crate::store) left: Option<Left>,
}

impl Back {
    /// All of it.
    pub(in crate::store) const ALL: Back = Back { is_some: true, left: None };
    /// There was nothing of ours left.
    const NOTHING: Back = Back { is_some: false, left: None };

    /// None of it.
    pub(in crate::store) fn left(why: Left) -> Back {
        Back { is_some: false, left: Some(why) }
    }

    /// The two together.
    pub(in crate::store) fn and(self, other: Back) -> Back {
        Back { is_some: self.is_some || other.is_some, left: self.left.into_iter().chain(other.left).min() }
    }

    /// A code, as `partly_changed_since`; none when nothing was left.
    pub(in crate::store) fn reason(self) -> Option<String> {
        let code = self.left?.code();
        Some(if self.is_some { format!("partly_{code}") } else { code.to_owned() })
    }
}

/// Puts back what was written under a reference. It is seen on the ticket, and
/// does not count as a change by a person, as its writing did not.
pub(in crate::store) fn put_back(
    connection: &Connection,
    ticket_id: &str,
    slot: &str,
    reference: &str,
    now_ms: i64,
) -> Result<Back, StoreError> {
    let back = match slot {
        "note" => remove(connection, "DELETE FROM messages WHERE ref = ?1 AND permission IS NULL", reference)?,
        "attachment" => remove(connection, "DELETE FROM attachments WHERE ref = ?1", reference)?,
        "draft" => put_back_draft(connection, reference)?,
        "reply" => Back::left(Left::ReplySent),
        _ => put_back_fields(connection, ticket_id, reference, now_ms)?,
    };
    if back.is_some {
        connection.prepare_cached("UPDATE tickets SET updated_at = ?2 WHERE id = ?1")?.execute((ticket_id, now_ms))?;
    }
    Ok(back)
}

fn remove(connection: &Connection, sql: &str, reference: &str) -> Result<Back, StoreError> {
    let gone = connection.prepare_cached(sql)?.execute([reference])?;
    Ok(if gone == 1 { Back::ALL } else { Back::NOTHING })
}

/// One that was rejected or is stale waits for nobody: it may lie there.
fn put_back_draft(connection: &Connection, reference: &str) -> Result<Back, StoreError> {
    let is_sent: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM drafts WHERE ref = ?1 AND state = 'sent')")?
        .query_row([reference], |row| row.get(0))?;
    if is_sent {
        return Ok(Back::left(Left::DraftSent));
    }
    remove(connection, "DELETE FROM drafts WHERE ref = ?1 AND state = 'open'", reference)
}

/// What a ticket says, value by value: `queue`, `tag/vip`, `field/score`. What is
/// not set is not there.
type Values = BTreeMap<String, Value>;

fn values(fields: &Fields) -> Values {
    let mut found = Values::from([
        ("priority".to_owned(), Value::from(fields.priority.clone())),
        ("queue".to_owned(), Value::from(fields.queue.clone())),
    ]);
    found.extend(fields.intent.clone().map(|intent| ("intent".to_owned(), Value::from(intent))));
    found.extend(fields.tags.iter().map(|tag| (format!("tag/{tag}"), Value::from(true))));
    found.extend(fields.fields.iter().map(|(name, value)| (format!("field/{name}"), value.clone())));
    found
}

fn set(fields: &mut Fields, name: &str, value: Option<&Value>) {
    let text = || value.and_then(Value::as_str).map(str::to_owned);
    match name.split_once('/') {
        Some(("tag", tag)) => {
            fields.tags.retain(|there| there != tag);
            fields.tags.extend(value.map(|_| tag.to_owned()));
        }
        Some((_, field)) => {
            match value {
                Some(value) => fields.fields.insert(field.to_owned(), value.clone()),
                None => fields.fields.remove(field),
            };
        }
        None if name == "intent" => fields.intent = text(),
        None if name == "queue" => fields.queue = text().unwrap_or_default(),
        None => fields.priority = text().unwrap_or_default(),
    }
}

/// What was written under a reference, and what was there before.
struct Receipt {
    reference: String,
    before: Fields,
    after: Fields,
    payload: Option<Effect>,
}

impl Receipt {
    /// The values that it changed.
    fn changed(&self) -> BTreeSet<String> {
        let (before, after) = (values(&self.before), values(&self.after));
        before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
    }

    /// The values that it stands for: also those that were so already.
    fn wrote(&self) -> BTreeSet<String> {
        let mut names = self.changed();
        match &self.payload {
            Some(Effect::Route(route)) => {
                names.extend(route.intent.iter().map(|_| "intent".to_owned()));
                names.extend(route.priority.iter().map(|_| "priority".to_owned()));
                names.extend(route.queue.iter().map(|_| "queue".to_owned()));
                names.extend(route.tags.iter().map(|tag| format!("tag/{tag}")));
                names.extend(route.confidence.iter().map(|_| "field/confidence".to_owned()));
            }
            Some(Effect::Fields { fields }) => names.extend(fields.keys().map(|name| format!("field/{name}"))),
            _ => {}
        }
        names
    }
}

fn put_back_fields(connection: &Connection, ticket_id: &str, reference: &str, now_ms: i64) -> Result<Back, StoreError> {
    let found = receipts(connection, "SELECT ref, before, after, NULL FROM desk_changes WHERE ref = ?1", [reference])?;
    connection.prepare_cached("UPDATE desk_changes SET undone_at = ?2 WHERE ref = ?1")?.execute((reference, now_ms))?;
    // An erased one says nothing any more, and nothing of it is left on the ticket.
    let Some(ours) = found.into_iter().next() else { return Ok(Back::NOTHING) };
    let Some(mut ticket) = fields_of(connection, ticket_id)? else { return Ok(Back::NOTHING) };
    let mut newer = newer(connection, ticket_id, reference)?;
    let (now, before, after) = (values(&ticket), values(&ours.before), values(&ours.after));
    let mut back = Back::NOTHING;
    for name in ours.changed() {
        let was = before.get(&name);
        let next = newer.iter_mut().find(|receipt| receipt.wrote().contains(&name));
        back = back.and(match next {
            Some(next) => {
                hand_down(connection, next, &name, after.get(&name), was)?;
                if now.get(&name) == was { Back::NOTHING } else { Back::left(Left::ChangedSince) }
            }
            None if now.get(&name) == was => Back::NOTHING,
            None if now.get(&name) == after.get(&name) => {
                set(&mut ticket, &name, was);
                Back::ALL
            }
            None => Back::left(Left::ChangedSince),
        });
    }
    if back.is_some {
        set_fields(connection, ticket_id, &ticket)?;
    }
    Ok(back)
}

/// Newer work wrote over ours: when it is put back some day, then to what was
/// there before both, and not to what was taken back here.
fn hand_down(
    connection: &Connection,
    next: &mut Receipt,
    name: &str,
    ours: Option<&Value>,
    was: Option<&Value>,
) -> Result<(), StoreError> {
    if values(&next.before).get(name) != ours {
        return Ok(());
    }
    set(&mut next.before, name, was);
    connection
        .prepare_cached("UPDATE desk_changes SET before = ?2 WHERE ref = ?1")?
        .execute(params![next.reference, to_json(&next.before)?])?;
    Ok(())
}

/// What has been written to the ticket since and not been put back, oldest first.
fn newer(connection: &Connection, ticket_id: &str, reference: &str) -> Result<Vec<Receipt>, StoreError> {
    receipts(
        connection,
        "SELECT c.ref, c.before, c.after, e.payload FROM effects e JOIN desk_changes c ON c.ref = e.ref
         WHERE e.ticket_id = ?1 AND c.undone_at IS NULL AND c.seq > (SELECT seq FROM desk_changes WHERE ref = ?2)
         ORDER BY c.seq",
        [ticket_id, reference],
    )
}

fn receipts<const N: usize>(connection: &Connection, sql: &str, given: [&str; N]) -> Result<Vec<Receipt>, StoreError> {
    type Columns = (String, String, String, Option<String>);
    let rows: Vec<Columns> = connection
        .prepare_cached(sql)?
        .query_map(sql::params_from_iter(given), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows.into_iter().filter_map(read).collect())
}

fn read((reference, before, after, payload): (String, String, String, Option<String>)) -> Option<Receipt> {
    Some(Receipt {
        reference,
        before: serde_json::from_str(&before).ok()?,
        after: serde_json::from_str(&after).ok()?,
        payload: payload.and_then(|payload| serde_json::from_str(&payload).ok()),
    })
}
