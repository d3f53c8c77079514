//! Any other system, behind a receiver of its own: one address that takes requests
//! signed by Standard Webhooks 1.0.0 and answers JSON. docs/helpdesks.md has the
//! requests, `examples/helpdesk_receiver.py` is a whole receiver.
//!
//! A change bears its reference as `webhook-id`, the same each time it is sent: a
//! receiver that makes each id once makes each change once, replies too.

use async_trait::async_trait;
use axum::http::HeaderMap;
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Heard, NotHeard, Told};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, values};
use crate::clock::parse_rfc3339;
use crate::domain::effect::Priority;
use crate::domain::id::new_id;
use crate::domain::secret::Secret;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};
use crate::domain::verify::{ID_HEADER, Refusal, SIGNATURE_HEADER, TIMESTAMP_HEADER, Verifier, sign};

/// A system behind a receiver.
pub struct Generic {
    http: Http,
    secret: Secret,
    /// What has no name of ours has the same.
    names: Names,
}

impl Generic {
    /// The one that `http` reaches, at the very address; both sides sign with `secret`.
    #[must_use]
    pub fn new(http: Http, secret: Secret, names: Names) -> Generic {
        Generic { http, secret, names }
    }

    /// The headers of a request that bears this id.
    fn signed(&self, id: &str, body: &str) -> Option<HeaderMap> {
        let now_s = self.http.now_ms().div_euclid(1000);
        let signature = sign(&self.secret, id, now_s, body.as_bytes())?;
        let all = [(ID_HEADER, id.to_owned()), (TIMESTAMP_HEADER, now_s.to_string()), (SIGNATURE_HEADER, signature)];
        all.into_iter().map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
    }

    async fn ask<T: DeserializeOwned>(&self, id: &str, body: &Value, changes: bool) -> Result<T, HelpdeskError> {
        let body = body.to_string();
        let headers = self
            .signed(id, &body)
            .ok_or_else(|| HelpdeskError::Refused("the request could not be signed".to_owned()))?;
        let request = self.http.request(Method::POST, self.url());
        let request = request.headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        if !changes {
            return self.http.read(request).await?.shaped();
        }
        let answer = self.http.change(request).await?;
        answer.shaped().map_err(|_| HelpdeskError::Unknown("its answer has another shape".to_owned()))
    }

    fn url(&self) -> Url {
        self.http.url(&[])
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        let asked = new_id("ask").map_err(|error| HelpdeskError::Unavailable(error.to_string()))?;
        let Read { ticket } = self.ask(&asked, &json!({"type": "ticket.read", "ticket": id}), false).await?;
        Ok(ticket)
    }

    async fn change(&self, kind: &str, id: &str, reference: &str, data: Value) -> Result<String, HelpdeskError> {
        let mut body = json!({"type": kind, "ticket": id, "reference": reference});
        for (name, value) in data.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let Made { id } = self.ask(reference, &body, true).await?;
        Ok(id)
    }

    /// What a patch is in their names.
    fn wanted(&self, patch: &Patch) -> Wanted {
        let theirs = |name: &str| self.names.field(name).unwrap_or(name).to_owned();
        let classified = [
            ("intent", patch.intent.clone().map(Value::from)),
            ("confidence", patch.confidence.map(|sure| json!(format!("{sure:.2}")))),
        ];
        let mut fields: Map<String, Value> =
            classified.into_iter().filter_map(|(name, value)| Some((theirs(name), value?))).collect();
        fields.extend(patch.fields.iter().map(|(name, value)| (theirs(name), value.clone())));
        let queue = patch.queue.as_ref().map(|queue| self.names.queue(queue).unwrap_or(queue).to_owned());
        Wanted { queue, priority: patch.priority.map(Priority::word), tags: patch.tags.clone(), fields }
    }
}

#[async_trait]
impl Connector for Generic {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "The receiver",
            notes: true,
            drafts: Drafts::Many,
            files: true,
            priority: true,
            queues: true,
            tags: true,
            fields: true,
            together: false,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let now = self.now(values::word(id)?).await?;
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject,
            status: now.status,
            queue: self.names.our_queue(&now.queue),
            priority: now.priority,
            tags: now.tags,
            revision: now.revision,
            changed_at_ms: now.changed_at.as_deref().and_then(parse_rfc3339),
            messages: now.messages.into_iter().map(Said::message).collect(),
        })
    }

    /// A receiver knows replies by their reference as well.
    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let now = self.now(values::word(id)?).await?;
        let is_it = |said: &&Said| said.by == By::Frontdesk && said.reference.as_deref() == Some(sought.reference);
        let drafts = now.drafts.iter().filter(|draft| draft.reference.as_deref() == Some(sought.reference));
        let draft = drafts.map(|draft| format!("draft/{}", draft.id)).next();
        Ok(now.messages.iter().find(is_it).map(|said| said.id.clone()).or(draft))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::word(id)?;
        match write {
            Write::Note { text, reference } => self.change("ticket.note", id, reference, json!({"text": text})).await,
            Write::File { name, content, text, reference } => {
                let data = json!({"text": text, "name": name, "content": content});
                self.change("ticket.file", id, reference, data).await
            }
            Write::Draft { text, reference } => {
                let made = self.change("ticket.draft", id, reference, json!({"text": text})).await?;
                Ok(format!("draft/{made}"))
            }
            Write::Reply { text, reference } => self.change("ticket.reply", id, reference, json!({"text": text})).await,
            Write::Set(patch) => {
                let wanted = self.wanted(&patch);
                let asked = new_id("set").map_err(|error| HelpdeskError::Unavailable(error.to_string()))?;
                self.change("ticket.set", id, &asked, wanted.data()).await
            }
            Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let (wanted, now) = (self.wanted(patch), self.now(values::word(id)?).await?);
        let has = |(name, value): (&String, &Value)| {
            now.fields.get(name).is_some_and(|there| values::plain(there) == values::plain(value))
        };
        Ok(match () {
            () if wanted.queue.is_some_and(|queue| queue != now.queue) => Some("the queue"),
            () if wanted.priority.is_some_and(|priority| priority != now.priority) => Some("the priority"),
            () if !wanted.fields.iter().all(has) => Some("a field"),
            () if !wanted.tags.iter().all(|tag| now.tags.contains(tag)) => Some("a tag"),
            () => None,
        })
    }

    async fn examine(&self, _: Option<&str>) -> Vec<Checked> {
        let asked = new_id("ask").unwrap_or_default();
        let answer: Result<Value, _> = self.ask(&asked, &json!({"type": "ping"}), false).await;
        vec![Checked::of("address and secret", answer.map(|_| "answers"))]
    }

    async fn remove(&self, id: &str, external_id: &str) -> Result<(), HelpdeskError> {
        let asked = new_id("del").map_err(|error| HelpdeskError::Unavailable(error.to_string()))?;
        self.change("ticket.remove", values::word(id)?, &asked, json!({"id": external_id})).await.map(drop)
    }

    async fn withdraw(&self, id: &str, reference: &str, text: &str) -> Result<(), HelpdeskError> {
        let now = self.now(values::word(id)?).await?;
        let ours = now.drafts.into_iter().find(|draft| draft.reference.as_deref() == Some(reference));
        match ours {
            Some(draft) if text.is_empty() || draft.text == text => self.remove(id, &draft.id).await,
            _ => Ok(()),
        }
    }

    /// Signed as ours are, with the same secret.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let verifier = Verifier::new(secret_of(told.secret).into_iter().collect());
        let now_s = told.now_ms.div_euclid(1000);
        let verified = verifier.verify(told.headers, Bytes::copy_from_slice(told.body), now_s);
        let verified = verified.map_err(|refusal| match refusal {
            Refusal::HeaderMissing { .. } => NotHeard::Unsigned,
            Refusal::TooOld { .. } | Refusal::TooNew { .. } => NotHeard::Late,
            _ => NotHeard::Forged,
        })?;
        let heard = told.rule(&self.names.user)?.ok_or(NotHeard::Shapeless)?;
        Ok(Heard { id: Some(verified.delivery_id().to_owned()), ..heard })
    }
}

fn secret_of(secret: &[u8]) -> Option<Secret> {
    Secret::parse(std::str::from_utf8(secret).ok()?.trim()).ok()
}

/// What is to be set, in their names.
struct Wanted {
    queue: Option<String>,
    priority: Option<&'static str>,
    tags: Vec<String>,
    fields: Map<String, Value>,
}

impl Wanted {
    fn data(&self) -> Value {
        let mut data = json!({});
        self.queue.iter().for_each(|queue| data["queue"] = json!(queue));
        self.priority.iter().for_each(|priority| data["priority"] = json!(priority));
        if !self.tags.is_empty() {
            data["add_tags"] = json!(self.tags);
        }
        if !self.fields.is_empty() {
            data["fields"] = Value::Object(self.fields.clone());
        }
        data
    }
}

#[derive(Deserialize)]
struct Read {
    ticket: Now,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// The ticket as the receiver has it.
#[derive(Deserialize)]
struct Now {
    #[serde(default)]
    subject: String,
    status: String,
    #[serde(default)]
    queue: String,
    #[serde(default = "normal")]
    priority: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    fields: Map<String, Value>,
    revision: i64,
    changed_at: Option<String>,
    messages: Vec<Said>,
    #[serde(default)]
    drafts: Vec<Draft>,
}

fn normal() -> String {
    Priority::Normal.word().to_owned()
}

#[derive(Deserialize)]
struct Draft {
    id: String,
    text: String,
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    id: String,
    by: By,
    public: bool,
    text: String,
    reference: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Customer,
    Agent,
    Frontdesk,
}

impl Said {
    fn message(self) -> Message {
        let author = match self.by {
            By::Customer => Author::Customer,
            By::Agent => Author::Agent,
            By::Frontdesk => Author::Frontdesk,
        };
        let visibility = if self.public { Visibility::Public } else { Visibility::Internal };
        Message { author, visibility, body: self.text }
    }
}
