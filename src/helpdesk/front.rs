//! Front, by its Core interface. Ids are words, as `cnv_1`. Signs in with a token, and
//! writes as a teammate.
//!
//! - It has drafts of its own, any number; one that a person has changed has another
//!   author or another text, and stays.
//! - Replies and drafts go out by a channel, which the settings name as the account.
//! - Custom fields take the place of all there are, so the union is sent; tags are added.
//! - Of a rule's webhook `inbound` is a customer's message, the first one too.

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Heard, NotHeard, Signed, Told, text_of};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Pages that are read of one list.
const MOST_PAGES: usize = 50;

/// A Front.
pub struct Front {
    http: Http,
    /// Queues are named by the id of an inbox, fields by their name; the account is the
    /// channel.
    names: Names,
}

impl Front {
    /// The one that `http` reaches; it sends the token.
    #[must_use]
    pub fn new(http: Http, names: Names) -> Front {
        Front { http, names }
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.http.read(self.http.request(Method::GET, url)).await?.shaped()
    }

    async fn send(&self, method: Method, parts: &[&str], body: &Value) -> Result<Value, HelpdeskError> {
        Ok(self.http.change(self.http.request(method, self.http.url(parts)).json(body)).await?.body)
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(self.http.url(&["conversations", id])).await
    }

    /// All of a list. What the answer says of the next page is only taken for its mark.
    async fn all<T: DeserializeOwned>(&self, parts: &[&str]) -> Result<Vec<T>, HelpdeskError> {
        let (mut all, mut mark) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut url = self.http.url(parts);
            if let Some(mark) = &mark {
                url.query_pairs_mut().append_pair("page_token", mark);
            }
            let Listed { results, pagination } = self.get(url).await?;
            all.extend(results);
            mark = pagination.and_then(|told| told.next).and_then(|next| page_token(&next));
            if mark.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Messages and comments, the oldest first.
    async fn said(&self, id: &str) -> Result<Vec<Said>, HelpdeskError> {
        let messages: Vec<Sent> = self.all(&["conversations", id, "messages"]).await?;
        let comments: Vec<Comment> = self.all(&["conversations", id, "comments"]).await?;
        let sent = messages.into_iter().filter(|message| !message.is_draft).map(Sent::said);
        let mut all: Vec<Said> = sent.chain(comments.into_iter().map(Comment::said)).collect();
        all.sort_by_key(|said| said.at_ms);
        Ok(all)
    }

    async fn our_draft(&self, id: &str, words: &str) -> Result<Option<Draft>, HelpdeskError> {
        let drafts: Vec<Draft> = self.all(&["conversations", id, "drafts"]).await?;
        let is_it = |draft: &Draft| {
            draft.author.as_ref().is_some_and(|author| author.id == self.names.user)
                && (words.is_empty() || text::is_same(&text::plain(&draft.body), words))
        };
        Ok(drafts.into_iter().find(is_it))
    }

    async fn comment(&self, id: &str, words: &str) -> Result<String, HelpdeskError> {
        let body = json!({"author_id": self.names.user, "body": words});
        let made = self.send(Method::POST, &["conversations", id, "comments"], &body).await?;
        written("comment", &made)
    }

    async fn attach(&self, id: &str, words: String, name: &str, content: &str) -> Result<String, HelpdeskError> {
        let file = Part::bytes(content.as_bytes().to_vec()).file_name(name.to_owned());
        let file =
            file.mime_str("text/plain").map_err(|_| HelpdeskError::Refused("the kind of the file".to_owned()))?;
        let author = self.names.user.clone();
        let form = Form::new().text("author_id", author).text("body", words).part("attachments[0]", file);
        let url = self.http.url(&["conversations", id, "comments"]);
        written("comment", &self.http.change(self.http.request(Method::POST, url).multipart(form)).await?.body)
    }

    /// What goes to the customer, as a draft or at once.
    fn message(&self, words: &str) -> Value {
        json!({"author_id": self.names.user, "channel_id": self.names.account, "body": text::html(words)})
    }

    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let inbox = patch.queue.as_ref().map(|queue| self.names.queue(queue)).transpose()?.map(str::to_owned);
        let mut fields: Map<String, Value> =
            self.names.values(patch)?.into_iter().map(|(name, value)| (name, json!(values::plain(&value)))).collect();
        if let (Some(field), Some(priority)) = (self.names.field("priority"), patch.priority) {
            fields.insert(field.to_owned(), json!(priority.word()));
        }
        Ok(Wanted { inbox, fields, tags: patch.tags.clone() })
    }

    async fn set(&self, id: &str, wanted: &Wanted) -> Result<(), HelpdeskError> {
        let now = self.now(id).await?;
        let mut body = Map::new();
        body.extend(wanted.inbox.iter().map(|inbox| ("inbox_id".to_owned(), json!(inbox))));
        if !wanted.fields.is_empty() {
            let mut all = now.custom_fields.clone();
            all.extend(wanted.fields.clone());
            body.insert("custom_fields".to_owned(), Value::Object(all));
        }
        if !body.is_empty() {
            self.send(Method::PATCH, &["conversations", id], &Value::Object(body)).await?;
        }
        let new: Vec<&String> = wanted.tags.iter().filter(|tag| !now.has_tag(tag)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let known: Vec<Tag> = self.all(&["tags"]).await?;
        let mut ids = Vec::new();
        for name in new {
            ids.push(match known.iter().find(|tag| tag.name == *name) {
                Some(tag) => tag.id.clone(),
                None => {
                    let made = self.send(Method::POST, &["tags"], &json!({"name": name})).await?;
                    text_of(&made["id"]).ok_or_else(|| HelpdeskError::Unknown("it made no tag".to_owned()))?
                }
            });
        }
        self.send(Method::POST, &["conversations", id, "tags"], &json!({"tag_ids": ids})).await.map(drop)
    }
}

#[async_trait]
impl Connector for Front {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Front",
            notes: true,
            drafts: Drafts::Many,
            files: true,
            priority: self.names.field("priority").is_some(),
            queues: true,
            tags: true,
            fields: true,
            together: false,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::word(id)?;
        let (now, said) = (self.now(id).await?, self.said(id).await?);
        let inboxes: Vec<Inbox> = self.all(&["conversations", id, "inboxes"]).await?;
        let is_ours = |said: &&Said| said.author.as_deref() == Some(self.names.user.as_str());
        let by_people: Vec<&Said> = said.iter().filter(|said| !is_ours(said)).collect();
        let message = |said: &Said| Message {
            author: match () {
                () if said.inbound => Author::Customer,
                () if is_ours(&said) => Author::Frontdesk,
                () => Author::Agent,
            },
            visibility: if said.internal { Visibility::Internal } else { Visibility::Public },
            body: said.words.clone(),
        };
        let priority = self.names.field("priority").and_then(|field| now.custom_fields.get(field));
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: if now.status == "archived" { "closed".to_owned() } else { now.status.clone() },
            queue: inboxes.first().map(|inbox| self.names.our_queue(&inbox.id)).unwrap_or_default(),
            priority: priority.and_then(Value::as_str).unwrap_or("normal").to_owned(),
            tags: now.tags.iter().map(|tag| tag.name.clone()).collect(),
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX),
            changed_at_ms: by_people.last().map(|said| said.at_ms),
            messages: said.iter().map(message).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let id = values::word(id)?;
        if let Some(words) = sought.draft {
            return Ok(self.our_draft(id, words).await?.map(|draft| format!("draft/{}", draft.id)));
        }
        let said = self.said(id).await?;
        let is_it = |said: &&Said| {
            let is_said = match sought.reply {
                Some(reply) => !said.internal && text::is_same(&said.words, reply),
                None => said.internal && text::bears(&said.words, sought.reference),
            };
            let is_ours = said.author.as_deref() == Some(self.names.user.as_str());
            is_ours && said.at_ms >= sought.since_ms && is_said
        };
        Ok(said.iter().find(is_it).map(|said| said.id.clone()))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::word(id)?;
        match write {
            Write::Note { text, .. } => self.comment(id, &text).await,
            Write::File { name, content, text, .. } => self.attach(id, text, name, content).await,
            Write::Draft { text, .. } => {
                let mut body = self.message(text);
                body["mode"] = json!("shared");
                written("draft", &self.send(Method::POST, &["conversations", id, "drafts"], &body).await?)
            }
            Write::Reply { text, .. } => {
                let mut body = self.message(text);
                body["options"] = json!({"archive": false});
                self.send(Method::POST, &["conversations", id, "messages"], &body).await?;
                // It is on its way, and has no id before it is sent.
                Ok(format!("conversation/{id}"))
            }
            Write::Set(patch) => self.set(id, &self.wanted(&patch)?).await.map(|()| format!("conversation/{id}")),
            Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let id = values::word(id)?;
        let (wanted, now) = (self.wanted(patch)?, self.now(id).await?);
        let has = |(name, value): (&String, &Value)| now.custom_fields.get(name) == Some(value);
        if let Some(inbox) = &wanted.inbox {
            let inboxes: Vec<Inbox> = self.all(&["conversations", id, "inboxes"]).await?;
            if !inboxes.iter().any(|there| there.id == *inbox) {
                return Ok(Some("the inbox"));
            }
        }
        Ok(match () {
            () if !wanted.fields.iter().all(has) => Some("a field"),
            () if !wanted.tags.iter().all(|tag| now.has_tag(tag)) => Some("a tag"),
            () => None,
        })
    }

    async fn examine(&self, _: Option<&str>) -> Vec<Checked> {
        let there = [("teammate", &self.names.user), ("channel", &self.names.account)];
        let inboxes = self.names.queues.values().map(|inbox| ("inbox", inbox));
        let mut checked = Vec::new();
        for (kind, id) in there.into_iter().chain(inboxes) {
            let list = match kind {
                "teammate" => "teammates",
                "channel" => "channels",
                _ => "inboxes",
            };
            let found: Result<Value, _> = match values::word(id.trim()) {
                Ok(id) => self.get(self.http.url(&[list, id])).await,
                Err(error) => Err(error),
            };
            checked.push(Checked::of(format!("{kind} {id}"), found.map(|_| "is there")));
        }
        checked
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), HelpdeskError> {
        Err(HelpdeskError::NotOffered("removing a note"))
    }

    async fn withdraw(&self, id: &str, _: &str, words: &str) -> Result<(), HelpdeskError> {
        // Without its words ours cannot be told from what a person made of it.
        if words.is_empty() {
            return Ok(());
        }
        match self.our_draft(values::word(id)?, words).await? {
            None => Ok(()),
            Some(draft) => {
                let body = json!({"version": draft.version});
                self.send(Method::DELETE, &["drafts", values::word(&draft.id)?], &body).await.map(drop)
            }
        }
    }

    /// A rule's webhook: signed over the body alone.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        told.is_signed(Signed::Sha1Base64, &[told.body], told.header("x-front-signature")?)?;
        let body: Value = told.json()?;
        let what = match body["type"].as_str().ok_or(NotHeard::Shapeless)? {
            "inbound" => Happened::CustomerWrote,
            "assign" => Happened::HandedOver,
            "archive" => Happened::Solved,
            _ => Happened::Other,
        };
        let ticket = text_of(&body["conversation"]["id"]).ok_or(NotHeard::Shapeless)?;
        let by_us = body["source"]["data"]["id"] == self.names.user.as_str();
        Ok(Heard { id: text_of(&body["id"]), ticket, what, by_us })
    }
}

fn written(kind: &str, answer: &Value) -> Result<String, HelpdeskError> {
    text_of(&answer["id"])
        .map(|id| format!("{kind}/{id}"))
        .ok_or_else(|| HelpdeskError::Unknown("it does not say what it has written".to_owned()))
}

/// The mark in the address of a next page.
fn page_token(next: &str) -> Option<String> {
    let url = Url::parse(next).ok()?;
    url.query_pairs().find(|(name, _)| name == "page_token").map(|(_, mark)| mark.into_owned())
}

/// What is to be set, in Front's names.
struct Wanted {
    inbox: Option<String>,
    fields: Map<String, Value>,
    tags: Vec<String>,
}

/// One thing that was said.
struct Said {
    id: String,
    author: Option<String>,
    inbound: bool,
    internal: bool,
    words: String,
    at_ms: i64,
}

#[derive(Deserialize)]
struct Listed<T> {
    #[serde(rename = "_results")]
    results: Vec<T>,
    #[serde(rename = "_pagination")]
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<String>,
}

/// The conversation as Front has it.
#[derive(Deserialize)]
struct Now {
    #[serde(default)]
    subject: String,
    status: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    custom_fields: Map<String, Value>,
}

impl Now {
    fn has_tag(&self, name: &str) -> bool {
        self.tags.iter().any(|tag| tag.name == name)
    }
}

#[derive(Deserialize)]
struct Tag {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Inbox {
    id: String,
}

#[derive(Deserialize)]
struct Who {
    id: String,
}

#[derive(Deserialize)]
struct Sent {
    id: String,
    is_inbound: bool,
    #[serde(default)]
    is_draft: bool,
    author: Option<Who>,
    #[serde(default)]
    body: String,
    text: Option<String>,
    /// In seconds, with a fraction.
    created_at: f64,
}

impl Sent {
    fn said(self) -> Said {
        Said {
            id: format!("message/{}", self.id),
            author: self.author.map(|author| author.id),
            inbound: self.is_inbound,
            internal: false,
            words: self.text.unwrap_or_else(|| text::plain(&self.body)),
            at_ms: ms(self.created_at),
        }
    }
}

#[derive(Deserialize)]
struct Comment {
    id: String,
    author: Option<Who>,
    body: String,
    /// In seconds, with a fraction.
    posted_at: f64,
}

impl Comment {
    fn said(self) -> Said {
        Said {
            id: format!("comment/{}", self.id),
            author: self.author.map(|author| author.id),
            inbound: false,
            internal: true,
            words: self.body,
            at_ms: ms(self.posted_at),
        }
    }
}

#[derive(Deserialize)]
struct Draft {
    id: String,
    #[serde(default)]
    version: String,
    author: Option<Who>,
    #[serde(default)]
    body: String,
}

#[allow(clippy::cast_possible_truncation, reason = "saturates, for times that are none")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
