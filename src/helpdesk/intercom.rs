//! Intercom, version 2.15 of its interface. A ticket here is a conversation. Signs in
//! with the access token of an app, and writes as an admin.
//!
//! - It has no priority: an attribute is set, when one is named `priority`.
//! - Tags go by their ids; one that is not there is made.
//! - Replies and notes are HTML, and answer with the whole conversation.
//! - Webhooks do not say who moved a conversation to a team, so that starts nothing.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Heard, NotHeard, Signed, Told, text_of};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// The version of the interface that this speaks.
const VERSION: &str = "2.15";

/// An Intercom.
pub struct Intercom {
    http: Http,
    /// Queues are named by the number of a team, fields by the attribute's name.
    names: Names,
}

impl Intercom {
    /// The one that `http` reaches; it sends the token.
    #[must_use]
    pub fn new(http: Http, names: Names) -> Intercom {
        Intercom { http, names }
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url).header("intercom-version", VERSION)
    }

    async fn get<T: DeserializeOwned>(&self, parts: &[&str], query: &[(&str, &str)]) -> Result<T, HelpdeskError> {
        let mut url = self.http.url(parts);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.read(self.request(Method::GET, url)).await?.shaped()
    }

    async fn send(&self, method: Method, parts: &[&str], body: &Value) -> Result<Value, HelpdeskError> {
        Ok(self.http.change(self.request(method, self.http.url(parts)).json(body)).await?.body)
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(&["conversations", id], &[("display_as", "plaintext")]).await
    }

    /// A note or a message; its id is that of our newest part.
    async fn say(&self, id: &str, kind: &str, words: &str, file: Option<Value>) -> Result<String, HelpdeskError> {
        let mut body = json!({
            "message_type": kind, "type": "admin", "admin_id": self.names.user, "body": text::html(words),
        });
        if let Some(file) = file {
            body["attachment_files"] = json!([file]);
        }
        let answer = self.send(Method::POST, &["conversations", id, "reply"], &body).await?;
        let unknown = || HelpdeskError::Unknown("it does not say what it has written".to_owned());
        let now: Now = serde_json::from_value(answer).map_err(|_| unknown())?;
        let part = now.parts().iter().rev().find(|part| self.is_ours(part)).map(|part| format!("part/{}", part.id));
        part.ok_or_else(unknown)
    }

    fn is_ours(&self, part: &Part) -> bool {
        part.author.kind == "admin" && part.author.id == self.names.user
    }

    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let team = patch.queue.as_ref().map(|queue| self.names.queue_id(queue)).transpose()?;
        let mut fields: Map<String, Value> =
            self.names.values(patch)?.into_iter().map(|(name, value)| (name, json!(values::plain(&value)))).collect();
        if let (Some(field), Some(priority)) = (self.names.field("priority"), patch.priority) {
            fields.insert(field.to_owned(), json!(priority.word()));
        }
        Ok(Wanted { team, fields, tags: patch.tags.clone() })
    }

    /// Each part by itself: all of them can be set again.
    async fn set(&self, id: &str, wanted: &Wanted) -> Result<(), HelpdeskError> {
        let now = self.now(id).await?;
        if !wanted.fields.is_empty() {
            self.send(Method::PUT, &["conversations", id], &json!({"custom_attributes": wanted.fields})).await?;
        }
        if let Some(team) = wanted.team {
            let body = json!({
                "message_type": "assignment", "type": "team", "admin_id": self.names.user, "assignee_id": team.to_string(),
            });
            self.send(Method::POST, &["conversations", id, "parts"], &body).await?;
        }
        for tag in wanted.tags.iter().filter(|tag| !now.tags.names().any(|name| name == *tag)) {
            // Gives the one there is, when there is one of this name.
            let made = self.send(Method::POST, &["tags"], &json!({"name": tag})).await?;
            let tag = made["id"].as_str().ok_or_else(|| HelpdeskError::Unknown("it made no tag".to_owned()))?;
            let body = json!({"id": tag, "admin_id": self.names.user});
            self.send(Method::POST, &["conversations", id, "tags"], &body).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for Intercom {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Intercom",
            notes: true,
            drafts: Drafts::AsNote,
            files: true,
            priority: self.names.field("priority").is_some(),
            queues: true,
            tags: true,
            fields: true,
            together: false,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let now = self.now(id).await?;
        let first = Message {
            author: Author::Customer,
            visibility: Visibility::Public,
            body: now.source.body.clone().unwrap_or_default(),
        };
        let spoken: Vec<&Part> = now.parts().iter().filter(|part| part.is_said()).collect();
        let by_people: Vec<&&Part> = spoken.iter().filter(|part| !self.is_ours(part)).collect();
        let message = |part: &&Part| Message {
            author: match () {
                () if self.is_ours(part) => Author::Frontdesk,
                () if part.author.is_customer() => Author::Customer,
                () => Author::Agent,
            },
            visibility: if part.kind == "note" { Visibility::Internal } else { Visibility::Public },
            body: part.body.clone().unwrap_or_default(),
        };
        let priority = self.names.field("priority").and_then(|field| now.custom_attributes.get(field));
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.title.clone().unwrap_or_else(|| "Conversation".to_owned()),
            status: now.state.clone(),
            queue: self.names.our_queue(&now.team()),
            priority: priority.and_then(Value::as_str).unwrap_or("normal").to_owned(),
            tags: now.tags.names().cloned().collect(),
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX).saturating_add(1),
            changed_at_ms: by_people.last().map(|part| part.created_at.saturating_mul(1000)),
            messages: std::iter::once(first).chain(spoken.iter().map(message)).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let now = self.now(values::number(id)?).await?;
        let is_it = |part: &&Part| {
            let words = part.body.as_deref().unwrap_or_default();
            let is_said = match sought.reply {
                Some(reply) => part.kind == "comment" && text::is_same(words, reply),
                None => part.kind == "note" && text::bears(words, sought.reference),
            };
            self.is_ours(part) && part.created_at.saturating_mul(1000) >= sought.since_ms && is_said
        };
        Ok(now.parts().iter().find(is_it).map(|part| format!("part/{}", part.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.say(id, "note", &text, None).await,
            Write::File { name, content, text, .. } => {
                let file = json!({"content_type": "text/plain", "name": name, "data": STANDARD.encode(content)});
                self.say(id, "note", &text, Some(file)).await
            }
            Write::Reply { text, .. } => self.say(id, "comment", text, None).await,
            Write::Draft { .. } | Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
            Write::Set(patch) => self.set(id, &self.wanted(&patch)?).await.map(|()| format!("conversation/{id}")),
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let (wanted, now) = (self.wanted(patch)?, self.now(values::number(id)?).await?);
        let has = |(name, value): (&String, &Value)| {
            now.custom_attributes.get(name).is_some_and(|there| values::plain(there) == values::plain(value))
        };
        Ok(match () {
            () if wanted.team.is_some_and(|team| team.to_string() != now.team()) => Some("the team"),
            () if !wanted.fields.iter().all(has) => Some("an attribute"),
            () if !wanted.tags.iter().all(|tag| now.tags.names().any(|name| name == tag)) => Some("a tag"),
            () => None,
        })
    }

    async fn examine(&self, _: Option<&str>) -> Vec<Checked> {
        let admin: Result<Value, _> = self.get(&["admins", &self.names.user], &[]).await;
        let mut checked = vec![Checked::of("address, token and admin", admin.map(|_| "are there"))];
        if checked[0].found.is_ok() {
            for team in self.names.queues.values() {
                let found: Result<Value, _> = self.get(&["teams", team.trim()], &[]).await;
                checked.push(Checked::of(format!("team {team}"), found.map(|_| "is there")));
            }
        }
        checked
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), HelpdeskError> {
        Err(HelpdeskError::NotOffered("removing a note"))
    }

    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-hub-signature")?.strip_prefix("sha1=").ok_or(NotHeard::Forged)?;
        told.is_signed(Signed::Sha1Hex, &[told.body], signature)?;
        let body: Value = told.json()?;
        let what = match body["topic"].as_str().ok_or(NotHeard::Shapeless)? {
            "conversation.user.created" => Happened::Created,
            "conversation.user.replied" => Happened::CustomerWrote,
            "conversation.admin.closed" => Happened::Solved,
            _ => Happened::Other,
        };
        let ticket = text_of(&body["data"]["item"]["id"]).ok_or(NotHeard::Shapeless)?;
        Ok(Heard { id: text_of(&body["id"]), ticket, what, by_us: false })
    }
}

/// What is to be set, in Intercom's names.
struct Wanted {
    team: Option<i64>,
    fields: Map<String, Value>,
    tags: Vec<String>,
}

/// The conversation as Intercom has it.
#[derive(Deserialize)]
struct Now {
    title: Option<String>,
    state: String,
    #[serde(default)]
    team_assignee_id: Value,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    custom_attributes: Map<String, Value>,
    source: Source,
    conversation_parts: Parts,
}

impl Now {
    fn parts(&self) -> &[Part] {
        &self.conversation_parts.conversation_parts
    }

    /// A number in some versions, a text in others.
    fn team(&self) -> String {
        text_of(&self.team_assignee_id).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Source {
    body: Option<String>,
}

#[derive(Deserialize, Default)]
struct Tags {
    tags: Vec<Tag>,
}

impl Tags {
    fn names(&self) -> impl Iterator<Item = &String> {
        self.tags.iter().map(|tag| &tag.name)
    }
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

#[derive(Deserialize)]
struct Parts {
    conversation_parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    id: String,
    #[serde(rename = "part_type")]
    kind: String,
    body: Option<String>,
    author: Who,
    /// In seconds.
    created_at: i64,
}

impl Part {
    /// Assignments and the like are parts as well.
    fn is_said(&self) -> bool {
        matches!(self.kind.as_str(), "comment" | "note") && self.body.is_some()
    }
}

#[derive(Deserialize)]
struct Who {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl Who {
    fn is_customer(&self) -> bool {
        matches!(self.kind.as_str(), "user" | "lead" | "contact")
    }
}
