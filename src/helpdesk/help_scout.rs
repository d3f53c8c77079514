//! Help Scout, by its Mailbox interface 2.0. Signs in as an OAuth client.
//!
//! - It has drafts of its own, and no way to take one away again (hiding a thread is
//!   for those that are no drafts), so one that was rejected could still be sent. A
//!   draft is therefore a note that says so.
//! - A note or a reply without a status opens a closed conversation again: the status
//!   it has is sent along.
//! - Tags and fields take the place of all there are, so the union is sent.
//! - Who moved a conversation is not told: what starts work is what we never do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Heard, NotHeard, Signed, Told, text_of};
use super::http::{Answer, Http};
use super::names::Names;
use super::oauth::{Client, Tokens};
use super::{HelpdeskError, text, values};
use crate::clock::{Clock, parse_rfc3339};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Pages that are read of one conversation.
const MOST_PAGES: usize = 50;

/// A Help Scout.
pub struct HelpScout {
    http: Http,
    client: Client,
    /// Queues are named by the number of a mailbox, fields by theirs.
    names: Names,
    tokens: Tokens,
}

impl HelpScout {
    /// The one that `http` reaches.
    #[must_use]
    pub fn new(http: Http, clock: Clock, client: Client, names: Names) -> HelpScout {
        HelpScout { http, client, names, tokens: Tokens::new(clock) }
    }

    fn url(&self, parts: &[&str]) -> Url {
        self.http.url(&[&["v2"], parts].concat())
    }

    fn sign_in(&self) -> RequestBuilder {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.id.as_str()),
            ("client_secret", self.client.secret.as_str()),
        ];
        self.http.request(Method::POST, self.url(&["oauth2", "token"])).form(&form)
    }

    async fn ask(&self, request: RequestBuilder, changes: bool) -> Result<Answer, HelpdeskError> {
        self.tokens.ask(&self.http, || self.sign_in(), request, changes).await
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.ask(self.http.request(Method::GET, url), false).await?.shaped()
    }

    async fn send(&self, method: Method, id: &str, part: &[&str], body: &Value) -> Result<Answer, HelpdeskError> {
        let url = self.url(&[&["conversations", id], part].concat());
        self.ask(self.http.request(method, url).json(body), true).await
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(self.url(&["conversations", id])).await
    }

    async fn threads(&self, id: &str) -> Result<Vec<Thread>, HelpdeskError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut url = self.url(&["conversations", id, "threads"]);
            url.query_pairs_mut().append_pair("page", &page.to_string());
            let Threads { embedded, page: told } = self.get(url).await?;
            all.extend(embedded.threads);
            if page >= told.total_pages {
                break;
            }
        }
        all.sort_by_key(|thread: &Thread| thread.id);
        Ok(all)
    }

    /// A note or a reply, with the status that the conversation has.
    async fn say(&self, id: &str, verb: &str, mut body: Value) -> Result<String, HelpdeskError> {
        let now = self.now(id).await?;
        body["status"] = json!(now.status);
        body["user"] = json!(self.names.user_id());
        if verb == "reply" {
            body["customer"] = json!({"id": now.primary_customer.id});
        }
        let answer = self.send(Method::POST, id, &[verb], &body).await?;
        let number = answer.headers.get("resource-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        match values::number(number) {
            Ok(number) => Ok(format!("thread/{number}")),
            Err(_) => Err(HelpdeskError::Unknown("it does not say what it has written".to_owned())),
        }
    }

    fn is_ours(&self, thread: &Thread) -> bool {
        thread.created_by.kind == "user" && thread.created_by.id == self.names.user_id()
    }

    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let mailbox = patch.queue.as_ref().map(|queue| self.names.queue_id(queue)).transpose()?;
        let wrong = || HelpdeskError::Refused("[helpdesk.fields] names a field without its number".to_owned());
        let priority = self.names.field("priority").zip(patch.priority);
        let priority = priority.map(|(field, priority)| (field.to_owned(), json!(priority.word())));
        let values = self.names.values(patch)?.into_iter().chain(priority);
        let number = |(field, value): (String, Value)| {
            field.parse::<i64>().map(|field| (field, values::plain(&value))).map_err(|_| wrong())
        };
        // Help Scout writes tags in lower case.
        let tags = patch.tags.iter().map(|tag| tag.to_lowercase()).collect();
        Ok(Wanted { mailbox, fields: values.map(number).collect::<Result<_, _>>()?, tags })
    }

    async fn set(&self, id: &str, wanted: &Wanted) -> Result<(), HelpdeskError> {
        let now = self.now(id).await?;
        if let Some(mailbox) = wanted.mailbox.filter(|mailbox| *mailbox != now.mailbox_id) {
            let body = json!({"op": "move", "path": "/mailboxId", "value": mailbox});
            self.send(Method::PATCH, id, &[], &body).await?;
        }
        if !wanted.fields.is_empty() {
            let mut all: BTreeMap<i64, String> =
                now.custom_fields.iter().map(|field| (field.id, field.value.clone())).collect();
            all.extend(wanted.fields.clone());
            let fields: Vec<Value> = all.iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
            self.send(Method::PUT, id, &["fields"], &json!({"fields": fields})).await?;
        }
        if wanted.tags.iter().any(|tag| !now.has_tag(tag)) {
            let new = wanted.tags.iter().filter(|tag| !now.has_tag(tag));
            let all: Vec<&String> = now.tags.iter().map(|tag| &tag.tag).chain(new).collect();
            self.send(Method::PUT, id, &["tags"], &json!({"tags": all})).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for HelpScout {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Help Scout",
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
        let (now, threads) = (self.now(id).await?, self.threads(id).await?);
        let said: Vec<&Thread> = threads.iter().filter(|thread| thread.is_said()).collect();
        let by_people: Vec<&&Thread> = said.iter().filter(|thread| !self.is_ours(thread)).collect();
        let message = |thread: &&Thread| Message {
            author: match () {
                () if thread.kind == "customer" => Author::Customer,
                () if self.is_ours(thread) => Author::Frontdesk,
                () => Author::Agent,
            },
            visibility: if thread.kind == "note" { Visibility::Internal } else { Visibility::Public },
            body: thread.words(),
        };
        let priority = self.names.field("priority").and_then(|field| now.field(field));
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: now.status.clone(),
            queue: self.names.our_queue(&now.mailbox_id.to_string()),
            priority: priority.filter(|word| !word.is_empty()).unwrap_or("normal").to_owned(),
            tags: now.tags.iter().map(|tag| tag.tag.clone()).collect(),
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX),
            changed_at_ms: by_people.last().and_then(|thread| parse_rfc3339(&thread.created_at)),
            messages: said.iter().map(message).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let threads = self.threads(values::number(id)?).await?;
        let is_it = |thread: &&Thread| {
            let words = thread.words();
            let is_new = parse_rfc3339(&thread.created_at).is_none_or(|at_ms| at_ms >= sought.since_ms);
            let is_said = match sought.reply {
                Some(reply) => thread.kind == "message" && text::is_same(&words, reply),
                None => thread.kind == "note" && text::bears(&words, sought.reference),
            };
            self.is_ours(thread) && thread.is_said() && is_new && is_said
        };
        Ok(threads.iter().find(is_it).map(|thread| format!("thread/{}", thread.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.say(id, "notes", json!({"text": text::html(&text)})).await,
            Write::File { name, content, text, .. } => {
                let file = json!({"fileName": name, "mimeType": "text/plain", "data": STANDARD.encode(content)});
                self.say(id, "notes", json!({"text": text::html(&text), "attachments": [file]})).await
            }
            Write::Reply { text, .. } => self.say(id, "reply", json!({"text": text::html(text), "draft": false})).await,
            Write::Draft { .. } | Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
            Write::Set(patch) => self.set(id, &self.wanted(&patch)?).await.map(|()| format!("conversation/{id}")),
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let (wanted, now) = (self.wanted(patch)?, self.now(values::number(id)?).await?);
        let has = |(id, value): (&i64, &String)| now.field(&id.to_string()) == Some(value.as_str());
        Ok(match () {
            () if wanted.mailbox.is_some_and(|mailbox| mailbox != now.mailbox_id) => Some("the mailbox"),
            () if !wanted.fields.iter().all(has) => Some("a field"),
            () if !wanted.tags.iter().all(|tag| now.has_tag(tag)) => Some("a tag"),
            () => None,
        })
    }

    async fn examine(&self, _: Option<&str>) -> Vec<Checked> {
        let me: Result<Numbered, _> = self.get(self.url(&["users", "me"])).await;
        let ours = self.names.user_id();
        let found = me.map_err(|error| error.to_string()).and_then(|me| match me.id == ours {
            true => Ok("is our user's"),
            false => Err(format!("belongs to user {}, and helpdesk.user says {ours}", me.id)),
        });
        let mut checked = vec![Checked::of("address and OAuth client", found)];
        if checked[0].found.is_ok() {
            for mailbox in self.names.queues.values() {
                let found: Result<Value, _> = self.get(self.url(&["mailboxes", mailbox.trim()])).await;
                checked.push(Checked::of(format!("mailbox {mailbox}"), found.map(|_| "is there")));
            }
        }
        checked
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), HelpdeskError> {
        Err(HelpdeskError::NotOffered("removing a note"))
    }

    /// Signed over the body; the event's name stands beside it.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-helpscout-signature")?;
        told.is_signed(Signed::Sha1Base64, &[told.body], signature)?;
        let body: Value = told.json()?;
        let what = match told.header("x-helpscout-event").map_err(|_| NotHeard::Shapeless)? {
            "convo.created" => Happened::Created,
            "convo.customer.reply.created" => Happened::CustomerWrote,
            "convo.assigned" => Happened::HandedOver,
            "convo.status" if body["status"] == "closed" => Happened::Solved,
            _ => Happened::Other,
        };
        Ok(Heard { id: None, ticket: text_of(&body["id"]).ok_or(NotHeard::Shapeless)?, what, by_us: false })
    }
}

/// What is to be set, in Help Scout's numbers.
struct Wanted {
    mailbox: Option<i64>,
    fields: BTreeMap<i64, String>,
    tags: Vec<String>,
}

/// The conversation as Help Scout has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    #[serde(default)]
    subject: String,
    status: String,
    mailbox_id: i64,
    primary_customer: Numbered,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    custom_fields: Vec<Field>,
}

impl Now {
    fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|there| there.tag == tag)
    }

    fn field(&self, id: &str) -> Option<&str> {
        self.custom_fields.iter().find(|field| field.id.to_string() == id).map(|field| field.value.as_str())
    }
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

#[derive(Deserialize)]
struct Tag {
    tag: String,
}

#[derive(Deserialize)]
struct Field {
    id: i64,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Threads {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
    page: Paged,
}

#[derive(Deserialize)]
struct Embedded {
    threads: Vec<Thread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paged {
    total_pages: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
    state: String,
    body: Option<String>,
    created_by: Who,
    created_at: String,
}

impl Thread {
    /// Changes are threads as well, and so are drafts of people.
    fn is_said(&self) -> bool {
        matches!(self.kind.as_str(), "customer" | "message" | "note") && self.state == "published"
    }

    fn words(&self) -> String {
        text::plain(self.body.as_deref().unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct Who {
    #[serde(rename = "type")]
    kind: String,
    id: i64,
}
