//! Freshdesk. Signs in with an agent's API key.
//!
//! - Notes and replies are HTML; a note is private unless it says otherwise, and that
//!   is said each time.
//! - `tags` of a change takes the place of all, so the union is sent.
//! - Webhooks of automation rules are not signed: a header bears the secret, and what
//!   they say is only believed to be worth a look. The ticket itself is read anew.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Heard, NotHeard, Told};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::clock::parse_rfc3339;
use crate::domain::effect::Priority;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Items of one page; Freshdesk gives no more.
const PAGE: usize = 100;
/// Pages that are read of one ticket.
const MOST_PAGES: usize = 50;
/// The header of a webhook that bears the secret.
const TOKEN_HEADER: &str = "x-frontdesk-token";

/// A Freshdesk.
pub struct Freshdesk {
    http: Http,
    /// Queues are named by the number of a group, fields by their name as `cf_…`.
    names: Names,
}

impl Freshdesk {
    /// The one that `http` reaches; it sends the key.
    #[must_use]
    pub fn new(http: Http, names: Names) -> Freshdesk {
        Freshdesk { http, names }
    }

    fn url(&self, parts: &[&str]) -> Url {
        self.http.url(&[&["api", "v2"], parts].concat())
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.http.read(self.http.request(Method::GET, url)).await?.shaped()
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(self.url(&["tickets", id])).await
    }

    async fn said(&self, id: &str) -> Result<Vec<Said>, HelpdeskError> {
        let mut all: Vec<Said> = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut url = self.url(&["tickets", id, "conversations"]);
            url.query_pairs_mut().append_pair("page", &page.to_string()).append_pair("per_page", &PAGE.to_string());
            let some: Vec<Said> = self.get(url).await?;
            let is_last = some.len() < PAGE;
            all.extend(some);
            if is_last {
                break;
            }
        }
        all.sort_by_key(|said| said.id);
        Ok(all)
    }

    async fn post(&self, id: &str, verb: &str, body: &Value) -> Result<String, HelpdeskError> {
        let request = self.http.request(Method::POST, self.url(&["tickets", id, verb])).json(body);
        written(&self.http.change(request).await?.body)
    }

    async fn note(&self, id: &str, words: &str) -> Result<String, HelpdeskError> {
        self.post(id, "notes", &json!({"body": text::html(words), "private": true, "notify_emails": []})).await
    }

    async fn attach(&self, id: &str, words: &str, name: &str, content: &str) -> Result<String, HelpdeskError> {
        let file = Part::bytes(content.as_bytes().to_vec()).file_name(name.to_owned());
        let file =
            file.mime_str("text/plain").map_err(|_| HelpdeskError::Refused("the kind of the file".to_owned()))?;
        let form = Form::new().text("body", text::html(words)).text("private", "true").part("attachments[]", file);
        let request = self.http.request(Method::POST, self.url(&["tickets", id, "notes"])).multipart(form);
        written(&self.http.change(request).await?.body)
    }

    fn is_ours(&self, said: &Said) -> bool {
        said.user_id == self.names.user_id()
    }

    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let group = patch.queue.as_ref().map(|queue| self.names.queue_id(queue)).transpose()?;
        let fields = self.names.values(patch)?.into_iter().map(|(name, value)| (name, values::plain(&value))).collect();
        Ok(Wanted { group, priority: patch.priority.map(number), fields, tags: patch.tags.clone() })
    }
}

#[async_trait]
impl Connector for Freshdesk {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Freshdesk",
            notes: true,
            drafts: Drafts::AsNote,
            files: true,
            priority: true,
            queues: true,
            tags: true,
            fields: true,
            together: false,
        }
    }

    /// What the customer wrote first is the ticket's description, and no conversation.
    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let (now, said) = (self.now(id).await?, self.said(id).await?);
        let by_people: Vec<&Said> = said.iter().filter(|said| !self.is_ours(said)).collect();
        let first = Message {
            author: Author::Customer,
            visibility: Visibility::Public,
            body: now.description_text.clone().unwrap_or_default(),
        };
        let message = |said: &Said| Message {
            author: match () {
                () if self.is_ours(said) => Author::Frontdesk,
                () if said.incoming => Author::Customer,
                () => Author::Agent,
            },
            visibility: if said.private { Visibility::Internal } else { Visibility::Public },
            body: said.words(),
        };
        let group = now.group_id.map(|group| group.to_string()).unwrap_or_default();
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: status(now.status).to_owned(),
            queue: self.names.our_queue(&group),
            priority: meant(now.priority).word().to_owned(),
            tags: now.tags.clone(),
            // The description counts as one.
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX).saturating_add(1),
            changed_at_ms: by_people.last().and_then(|said| parse_rfc3339(&said.created_at)),
            messages: std::iter::once(first).chain(said.iter().map(message)).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let said = self.said(values::number(id)?).await?;
        let is_it = |said: &&Said| {
            let words = said.words();
            let is_new = parse_rfc3339(&said.created_at).is_none_or(|at_ms| at_ms >= sought.since_ms);
            let is_said = match sought.reply {
                Some(reply) => !said.private && text::is_same(&words, reply),
                None => said.private && text::bears(&words, sought.reference),
            };
            self.is_ours(said) && is_new && is_said
        };
        Ok(said.iter().find(is_it).map(|said| format!("conversation/{}", said.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.note(id, &text).await,
            Write::File { name, content, text, .. } => self.attach(id, &text, name, content).await,
            Write::Reply { text, .. } => self.post(id, "reply", &json!({"body": text::html(text)})).await,
            Write::Draft { .. } | Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
            Write::Set(patch) => {
                let wanted = self.wanted(&patch)?;
                let body = wanted.body(&self.now(id).await?);
                if !body.is_empty() {
                    let request = self.http.request(Method::PUT, self.url(&["tickets", id])).json(&body);
                    self.http.change(request).await?;
                }
                Ok(format!("ticket/{id}"))
            }
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let (wanted, now) = (self.wanted(patch)?, self.now(values::number(id)?).await?);
        let has = |(name, value): (&String, &String)| {
            now.custom_fields.get(name).is_some_and(|there| values::plain(there) == *value)
        };
        Ok(match () {
            () if wanted.group.is_some() && wanted.group != now.group_id => Some("the group"),
            () if wanted.priority.is_some_and(|priority| priority != now.priority) => Some("the priority"),
            () if !wanted.fields.iter().all(has) => Some("a field"),
            () if !wanted.tags.iter().all(|tag| now.tags.contains(tag)) => Some("a tag"),
            () => None,
        })
    }

    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked> {
        let me: Result<Numbered, _> = self.get(self.url(&["agents", "me"])).await;
        let ours = self.names.user_id();
        let found = me.map_err(|error| error.to_string()).and_then(|me| match me.id == ours {
            true => Ok("is our agent's"),
            false => Err(format!("belongs to agent {}, and helpdesk.user says {ours}", me.id)),
        });
        let mut checked = vec![Checked::of("address and key", found)];
        let Some(Ok(now)) = (match ticket.map(values::number).filter(|_| checked[0].found.is_ok()) {
            Some(Ok(id)) => Some(self.now(id).await),
            _ => None,
        }) else {
            return checked;
        };
        for (ours, field) in &self.names.fields {
            let there = now.custom_fields.contains_key(field.trim());
            let found = if there { Ok("is there") } else { Err("is not on this ticket: put [helpdesk.fields] right") };
            checked.push(Checked::of(format!("field {field} ({ours})"), found));
        }
        checked
    }

    async fn remove(&self, id: &str, external_id: &str) -> Result<(), HelpdeskError> {
        values::number(id)?;
        let number = external_id.strip_prefix("conversation/").ok_or(HelpdeskError::NoTicket)?;
        let url = self.url(&["conversations", values::number(number)?]);
        self.http.change(self.http.request(Method::DELETE, url)).await.map(drop)
    }

    /// Only in our own form: a rule says what it is to send.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        told.bears_secret(TOKEN_HEADER)?;
        told.rule(&self.names.user)?.ok_or(NotHeard::Shapeless)
    }
}

fn written(answer: &Value) -> Result<String, HelpdeskError> {
    let id = answer["id"].as_i64();
    id.map(|id| format!("conversation/{id}"))
        .ok_or_else(|| HelpdeskError::Unknown("it does not say what it has written".to_owned()))
}

/// What is to be set, in Freshdesk's numbers.
struct Wanted {
    group: Option<i64>,
    priority: Option<i64>,
    fields: BTreeMap<String, String>,
    tags: Vec<String>,
}

impl Wanted {
    fn body(&self, now: &Now) -> Map<String, Value> {
        let mut body = Map::new();
        body.extend(self.group.iter().map(|group| ("group_id".to_owned(), json!(group))));
        body.extend(self.priority.iter().map(|priority| ("priority".to_owned(), json!(priority))));
        if !self.fields.is_empty() {
            body.insert("custom_fields".to_owned(), json!(self.fields));
        }
        if self.tags.iter().any(|tag| !now.tags.contains(tag)) {
            let new = self.tags.iter().filter(|tag| !now.tags.contains(tag));
            body.insert("tags".to_owned(), json!(now.tags.iter().chain(new).collect::<Vec<_>>()));
        }
        body
    }
}

#[derive(Deserialize)]
struct Now {
    #[serde(default)]
    subject: String,
    description_text: Option<String>,
    status: i64,
    priority: i64,
    group_id: Option<i64>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    custom_fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Said {
    id: i64,
    #[serde(default)]
    body: String,
    body_text: Option<String>,
    private: bool,
    incoming: bool,
    user_id: i64,
    created_at: String,
}

impl Said {
    fn words(&self) -> String {
        self.body_text.clone().unwrap_or_else(|| text::plain(&self.body))
    }
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

fn number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 1,
        Priority::Normal => 2,
        Priority::High => 3,
        Priority::Urgent => 4,
    }
}

fn meant(number: i64) -> Priority {
    match number {
        1 => Priority::Low,
        3 => Priority::High,
        4 => Priority::Urgent,
        _ => Priority::Normal,
    }
}

/// A team may make more; those are open.
fn status(number: i64) -> &'static str {
    match number {
        3 => "pending",
        4 => "resolved",
        5 => "closed",
        _ => "open",
    }
}
