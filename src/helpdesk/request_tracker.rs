//! Request Tracker 5, by its REST 2 interface. Measured against 5.0.3:
//!
//! - `PUT /ticket/ID` answers 200 with messages although a queue, a field or a
//!   value was refused: what was set is read back.
//! - Lists of transactions have no `total`: a page with less than was asked for is
//!   the last one.
//! - The field of a transaction is written after the comment itself, so the mark
//!   in the text is the one that counts.

mod telling;

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::LOCATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use self::telling::{Recent, Scrip, meaning};
use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happening, Heard, NotHeard, Signed, Told};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::clock::parse_rfc3339;
use crate::domain::effect::Priority;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Items of one page; RT gives no more.
const PAGE: usize = 100;
/// Pages that are read of one ticket.
const MOST_PAGES: usize = 50;
/// Who writes what RT does by itself.
const SYSTEM: &str = "RT_System";

/// A Request Tracker.
pub struct RequestTracker {
    http: Http,
    /// A queue that has no name of ours has the same; fields may name `tags`, and `key`
    /// of a transaction.
    names: Names,
}

impl RequestTracker {
    /// The one that `http` reaches; it sends the token.
    #[must_use]
    pub fn new(http: Http, names: Names) -> RequestTracker {
        RequestTracker { http, names }
    }

    async fn get<T: DeserializeOwned>(&self, parts: &[&str], query: &[(&str, &str)]) -> Result<T, HelpdeskError> {
        let mut url = self.http.url(&[&["REST", "2.0"], parts].concat());
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.read(self.http.request(Method::GET, url)).await?.shaped()
    }

    /// All items of a list below a ticket.
    async fn list<T: DeserializeOwned>(&self, id: &str, what: &str, fields: &str) -> Result<Vec<T>, HelpdeskError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let (page, most) = (page.to_string(), PAGE.to_string());
            let query = [("fields", fields), ("per_page", most.as_str()), ("page", page.as_str())];
            let Items { items } = self.get(&["ticket", id, what], &query).await?;
            let is_last = items.len() < PAGE;
            all.extend(items);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn history(&self, id: &str) -> Result<Vec<Transaction>, HelpdeskError> {
        let mut all: Vec<Transaction> = self.list(id, "history", "Type,Creator,Created").await?;
        all.sort_by_key(|one| one.id.parse::<u64>().unwrap_or(u64::MAX));
        Ok(all)
    }

    /// What was said, by transaction: the plain text of each.
    async fn texts(&self, id: &str) -> Result<BTreeMap<String, String>, HelpdeskError> {
        let parts: Vec<Part> = self.list(id, "attachments", "TransactionId,ContentType,Filename,Content").await?;
        let mut texts = BTreeMap::new();
        for part in parts {
            if part.content_type == "text/plain" && part.filename.is_empty() {
                texts.entry(part.transaction_id.plain()).or_insert(part.content.replace("\r\n", "\n"));
            }
        }
        Ok(texts)
    }

    async fn post(&self, id: &str, verb: &str, body: Value) -> Result<String, HelpdeskError> {
        let url = self.http.url(&["REST", "2.0", "ticket", id, verb]);
        let answer = self.http.change(self.http.request(Method::POST, url).json(&body)).await?;
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match location.rsplit_once("/transaction/") {
            Some((_, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(format!("transaction/{number}"))
            }
            _ => Err(HelpdeskError::Unknown("it does not say what it has written".to_owned())),
        }
    }

    /// With the mark in a field of the transaction, where there is one.
    fn body(&self, text: &str, reference: &str) -> Value {
        let mut body = json!({"Content": text, "ContentType": "text/plain"});
        if let Some(field) = self.names.fields.get("key") {
            body["TxnCustomFields"] = json!({field: reference});
        }
        body
    }

    /// What a patch is in RT's words.
    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let values = self.names.values(patch)?.into_iter();
        let fields = values.map(|(field, value)| (field, json!(values::plain(&value)))).collect();
        let tags = self
            .names
            .fields
            .get("tags")
            .filter(|_| !patch.tags.is_empty())
            .map(|field| (field.clone(), patch.tags.clone()));
        let queue = patch.queue.as_ref().map(|queue| self.names.queues.get(queue).unwrap_or(queue).clone());
        Ok(Wanted { queue, priority: patch.priority.map(number), fields, tags })
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(&["ticket", id], &[("fields", "CustomFields,Queue"), ("fields[Queue]", "Name")]).await
    }
}

#[async_trait]
impl Connector for RequestTracker {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Request Tracker",
            notes: true,
            drafts: Drafts::AsNote,
            files: true,
            priority: true,
            queues: true,
            tags: self.names.fields.contains_key("tags"),
            fields: true,
            together: false,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let now = self.now(id).await?;
        let (history, texts) = (self.history(id).await?, self.texts(id).await?);
        let by_people: Vec<&Transaction> =
            history.iter().filter(|one| one.creator.id != self.names.user && one.creator.id != SYSTEM).collect();
        let is_customer = |who: &str| now.requestors.iter().any(|requestor| requestor.id == who);
        let message = |one: &Transaction| {
            let visibility = match one.kind.as_str() {
                "Create" | "Correspond" => Visibility::Public,
                "Comment" => Visibility::Internal,
                _ => return None,
            };
            let author = match one.creator.id.as_str() {
                who if who == self.names.user => Author::Frontdesk,
                who if is_customer(who) => Author::Customer,
                // An agent who writes down what a customer said on the phone makes the ticket for them.
                _ if one.kind == "Create" => Author::Customer,
                _ => Author::Agent,
            };
            Some(Message { author, visibility, body: texts.get(&one.id).cloned().unwrap_or_default() })
        };
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: now.status.clone(),
            queue: now.queue.name.clone(),
            priority: word(now.priority.number()).word().to_owned(),
            tags: now.tags(self.names.fields.get("tags")),
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX),
            changed_at_ms: by_people.last().and_then(|one| parse_rfc3339(&one.created)),
            messages: history.iter().filter_map(message).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let id = values::number(id)?;
        let (history, texts) = (self.history(id).await?, self.texts(id).await?);
        let is_it = |one: &&Transaction| {
            let said = texts.get(&one.id).map(String::as_str).unwrap_or_default();
            let is_ours = one.creator.id == self.names.user;
            let is_new = parse_rfc3339(&one.created).is_none_or(|at_ms| at_ms >= sought.since_ms);
            let is_said = match sought.reply {
                Some(reply) => one.kind == "Correspond" && said.trim() == reply.trim(),
                None => one.kind == "Comment" && text::bears(said, sought.reference),
            };
            // Somebody who quotes us has our mark as well.
            is_ours && is_new && is_said
        };
        Ok(history.iter().find(is_it).map(|one| format!("transaction/{}", one.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, reference } => self.post(id, "comment", self.body(&text, reference)).await,
            Write::File { name, content, text, reference } => {
                let mut body = self.body(&text, reference);
                body["Attachments"] =
                    json!([{"FileName": name, "FileType": "text/plain", "FileContent": STANDARD.encode(content)}]);
                self.post(id, "comment", body).await
            }
            Write::Reply { text, reference } => self.post(id, "correspond", self.body(text, reference)).await,
            Write::Draft { .. } | Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
            Write::Set(patch) => {
                let mut wanted = self.wanted(&patch)?;
                if let Some((field, tags)) = wanted.tags.take() {
                    // A list is put in place of the one there is.
                    let mut all = self.now(id).await?.tags(Some(&field));
                    all.extend(tags.into_iter().filter(|tag| !all.contains(tag)).collect::<Vec<_>>());
                    wanted.fields.insert(field, json!(all));
                }
                let url = self.http.url(&["REST", "2.0", "ticket", id]);
                let body = wanted.body();
                if body != json!({}) {
                    self.http.change(self.http.request(Method::PUT, url).json(&body)).await?;
                }
                Ok(format!("ticket/{id}"))
            }
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let wanted = self.wanted(patch)?;
        Ok(wanted.lacking(&self.now(values::number(id)?).await?))
    }

    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked> {
        let version: Result<About, _> = self.get(&["rt"], &[]).await;
        let mut checked = vec![Checked::of("address and token", version.map(|about| format!("RT {}", about.version)))];
        if checked[0].found.is_err() {
            return checked;
        }
        for queue in self.names.queues.values() {
            let found: Result<Queue, _> = self.get(&["queue", queue], &[]).await;
            let found = found.map(|_| "is there").map_err(|error| match error {
                HelpdeskError::NoTicket => {
                    "is not there, or our user may not see it: put [helpdesk.queues] right".to_owned()
                }
                error => error.to_string(),
            });
            checked.push(Checked::of(format!("queue {queue}"), found));
        }
        let Some(Ok(now)) = (match ticket.map(values::number) {
            Some(Ok(id)) => Some(self.now(id).await),
            _ => None,
        }) else {
            return checked;
        };
        for (ours, field) in self.names.fields.iter().filter(|(ours, _)| *ours != "key") {
            let is_there = now.custom_fields.iter().any(|there| there.name == *field);
            let found = if is_there {
                Ok("is there")
            } else {
                Err("is not on this ticket: put [helpdesk.fields] right, or apply it to the queue")
            };
            checked.push(Checked::of(format!("field {field} ({ours})"), found));
        }
        checked
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), HelpdeskError> {
        Err(HelpdeskError::NotOffered("removing a note"))
    }

    /// A scrip tells once, while RT waits for the answer.
    async fn happened(&self, since_ms: i64) -> Result<Vec<Happening>, HelpdeskError> {
        // In RT's own words for time: its zone is not known.
        let minutes = (self.http.now_ms() - since_ms).max(0) / 60_000 + 1;
        let query = format!("ObjectType = 'RT::Ticket' AND Created > '{minutes} minutes ago'");
        let (mut all, fields) = (Vec::new(), "Type,Field,NewValue,Creator,Created,Object");
        for page in 1..=MOST_PAGES {
            let (page, most) = (page.to_string(), PAGE.to_string());
            let query = [("query", query.as_str()), ("fields", fields), ("per_page", &most), ("page", &page)];
            let Items { items } = self.get::<Items<Recent>>(&["transactions"], &query).await?;
            let is_last = items.len() < PAGE;
            for one in items {
                all.extend(self.happening(one).await?);
            }
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// RT has no webhooks; a scrip of ours (docs/helpdesks.md) is one, signed as
    /// `time.body`.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-frontdesk-signature")?;
        let time = told.header("x-frontdesk-time")?;
        told.is_signed(Signed::Sha256Hex, &[time.as_bytes(), b".", told.body], signature)?;
        told.is_now(time.parse::<i64>().map_err(|_| NotHeard::Late)?.saturating_mul(1000))?;
        if let Some(heard) = told.rule(&self.names.user)? {
            return Ok(heard);
        }
        let one: Scrip = told.json()?;
        let what = meaning(&one.kind, &one.new_value, one.is_requestor);
        let by_us = one.user == self.names.user;
        Ok(Heard { id: Some(one.transaction.plain()), ticket: one.ticket.plain(), what, by_us })
    }
}

/// What is to be set, in RT's names.
struct Wanted {
    queue: Option<String>,
    priority: Option<i64>,
    fields: Map<String, Value>,
    tags: Option<(String, Vec<String>)>,
}

impl Wanted {
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.extend(self.queue.iter().map(|queue| ("Queue".to_owned(), json!(queue))));
        body.extend(self.priority.iter().map(|priority| ("Priority".to_owned(), json!(priority))));
        if !self.fields.is_empty() {
            body.insert("CustomFields".to_owned(), Value::Object(self.fields.clone()));
        }
        Value::Object(body)
    }

    fn lacking(&self, now: &Now) -> Option<&'static str> {
        let has = |field: &str, value: &Value| {
            let there = now.field(field);
            match value {
                Value::Array(all) => all.iter().all(|one| there.contains(&values::plain(one))),
                one => there.contains(&values::plain(one)),
            }
        };
        match () {
            () if self.queue.as_ref().is_some_and(|queue| !queue.eq_ignore_ascii_case(&now.queue.name)) => {
                Some("the queue")
            }
            () if self.priority.is_some_and(|priority| priority != now.priority.number()) => Some("the priority"),
            () if !self.fields.iter().all(|(field, value)| has(field, value)) => Some("a custom field"),
            () if self.tags.as_ref().is_some_and(|(field, tags)| !has(field, &json!(tags))) => Some("a tag"),
            () => None,
        }
    }
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct About {
    #[serde(rename = "Version")]
    version: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Queue {
    #[serde(rename = "Name")]
    name: String,
}

/// The ticket as RT has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Now {
    subject: String,
    status: String,
    queue: Queue,
    priority: Loose,
    #[serde(default, rename = "Requestor")]
    requestors: Vec<Named>,
    #[serde(default)]
    custom_fields: Vec<Field>,
}

impl Now {
    fn field(&self, name: &str) -> Vec<String> {
        self.custom_fields.iter().find(|field| field.name == name).map(|field| field.values.clone()).unwrap_or_default()
    }

    fn tags(&self, field: Option<&String>) -> Vec<String> {
        field.map(|field| self.field(field)).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
struct Transaction {
    id: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Creator")]
    creator: Named,
    #[serde(rename = "Created")]
    created: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    transaction_id: Loose,
    content_type: String,
    #[serde(default)]
    filename: String,
    #[serde(default)]
    content: String,
}

/// RT sends numbers as text, and some of them not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
}

impl Loose {
    fn number(&self) -> i64 {
        match self {
            Loose::Number(number) => *number,
            Loose::Text(text) => text.trim().parse().unwrap_or(0),
        }
    }

    fn plain(&self) -> String {
        match self {
            Loose::Number(number) => number.to_string(),
            Loose::Text(text) => text.clone(),
        }
    }
}

/// RT's priority goes from 0 to 100.
fn number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 50,
        Priority::High => 80,
        Priority::Urgent => 100,
    }
}

fn word(number: i64) -> Priority {
    match number {
        ..25 => Priority::Low,
        25..65 => Priority::Normal,
        65..90 => Priority::High,
        90.. => Priority::Urgent,
    }
}
