//! Chatwoot. Signs in with the access token of a user; a bot's is not enough.
//!
//! - A list of labels is put in place of the one there is, so the union is sent.
//! - `toggle_priority` sets, whatever its name says.
//! - It has no lock: one of ours at a time writes to a conversation, and whatever
//!   was set is read back.

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Happening, Heard, NotHeard, Signed, Told, text_of};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::domain::effect::Priority;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Messages of one page; Chatwoot gives no more.
const PAGE: usize = 100;
/// Pages that are read of one conversation.
const MOST_PAGES: usize = 50;

/// A Chatwoot.
pub struct Chatwoot {
    http: Http,
    /// Queues are named by the number of a team, fields by the key of an attribute.
    names: Names,
}

impl Chatwoot {
    /// The one that `http` reaches; it sends the token.
    #[must_use]
    pub fn new(http: Http, names: Names) -> Chatwoot {
        Chatwoot { http, names }
    }

    fn url(&self, id: &str, verb: &[&str]) -> Url {
        let conversation = ["api", "v1", "accounts", &self.names.account, "conversations", id];
        self.http.url(&[&conversation, verb].concat())
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.http.read(self.http.request(Method::GET, url)).await?.shaped()
    }

    async fn post(&self, id: &str, verb: &str, body: &Value) -> Result<Value, HelpdeskError> {
        let request = self.http.request(Method::POST, self.url(id, &[verb])).json(body);
        Ok(self.http.change(request).await?.body)
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        self.get(self.url(id, &[])).await
    }

    async fn messages(&self, id: &str) -> Result<Vec<Said>, HelpdeskError> {
        let mut all: Vec<Said> = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut url = self.url(id, &["messages"]);
            let after = all.last().map_or(0, |said| said.id);
            url.query_pairs_mut().append_pair("after", &after.to_string());
            let Payload { payload }: Payload<Said> = self.get(url).await?;
            let is_last = payload.len() < PAGE;
            // A server that does not know `after` would tell the same for ever.
            let fresh: Vec<Said> = payload.into_iter().filter(|said| said.id > after).collect();
            let is_over = is_last || fresh.is_empty();
            all.extend(fresh);
            if is_over {
                break;
            }
        }
        all.sort_by_key(|said| said.id);
        Ok(all)
    }

    async fn say(&self, id: &str, words: &str, private: bool) -> Result<String, HelpdeskError> {
        let body = json!({"content": words, "message_type": "outgoing", "private": private, "content_type": "text"});
        written(&self.post(id, "messages", &body).await?)
    }

    async fn attach(&self, id: &str, words: String, name: &str, content: &str) -> Result<String, HelpdeskError> {
        let file = Part::bytes(content.as_bytes().to_vec()).file_name(name.to_owned());
        let file =
            file.mime_str("text/plain").map_err(|_| HelpdeskError::Refused("the kind of the file".to_owned()))?;
        let form = Form::new()
            .text("content", words)
            .text("message_type", "outgoing")
            .text("private", "true")
            .part("attachments[]", file);
        let request = self.http.request(Method::POST, self.url(id, &["messages"])).multipart(form);
        written(&self.http.change(request).await?.body)
    }

    fn is_ours(&self, said: &Said) -> bool {
        said.kind == OUTGOING && said.by_user() == Some(self.names.user_id())
    }

    /// What a patch is in Chatwoot's words.
    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let team = patch.queue.as_ref().map(|queue| self.names.queue_id(queue)).transpose()?;
        let fields = self.names.values(patch)?.into_iter().collect();
        // A label is one word in lower case.
        let label = |tag: &String| tag.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
        Ok(Wanted { team, priority: patch.priority.map(word), fields, labels: patch.tags.iter().map(label).collect() })
    }

    /// Each part by itself: all of them can be set again.
    async fn set(&self, id: &str, wanted: &Wanted) -> Result<(), HelpdeskError> {
        let now = self.now(id).await?;
        if let Some(priority) = wanted.priority {
            self.post(id, "toggle_priority", &json!({"priority": priority})).await?;
        }
        if let Some(team) = wanted.team {
            self.post(id, "assignments", &json!({"team_id": team})).await?;
        }
        if !wanted.fields.is_empty() {
            // The whole set is put in place of the one there is.
            let mut all = now.custom_attributes.clone();
            all.extend(wanted.fields.clone());
            self.post(id, "custom_attributes", &json!({"custom_attributes": all})).await?;
        }
        if wanted.labels.iter().any(|label| !now.labels.contains(label)) {
            let mut all = now.labels.clone();
            all.extend(wanted.labels.iter().filter(|label| !now.labels.contains(label)).cloned());
            self.post(id, "labels", &json!({"labels": all})).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Connector for Chatwoot {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Chatwoot",
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

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let (now, said) = (self.now(id).await?, self.messages(id).await?);
        let spoken: Vec<&Said> = said.iter().filter(|said| matches!(said.kind, INCOMING | OUTGOING)).collect();
        let by_people: Vec<&&Said> = spoken.iter().filter(|said| !self.is_ours(said)).collect();
        let message = |said: &&Said| Message {
            author: match () {
                () if said.kind == INCOMING => Author::Customer,
                () if self.is_ours(said) => Author::Frontdesk,
                () => Author::Agent,
            },
            visibility: if said.private { Visibility::Internal } else { Visibility::Public },
            body: said.content.clone().unwrap_or_default(),
        };
        let team = now.meta.team.as_ref().map(|team| team.id.to_string()).unwrap_or_default();
        Ok(Ticket {
            id: id.to_owned(),
            // A conversation has none.
            subject: now.additional_attributes["mail_subject"].as_str().unwrap_or("Conversation").to_owned(),
            status: now.status.clone(),
            queue: self.names.our_queue(&team),
            priority: now.priority.as_deref().map_or(Priority::Normal, meant).word().to_owned(),
            tags: now.labels.clone(),
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX),
            changed_at_ms: by_people.last().map(|said| said.created_at.saturating_mul(1000)),
            messages: spoken.iter().map(message).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let all = self.messages(values::number(id)?).await?;
        let is_it = |said: &&Said| {
            let words = said.content.as_deref().unwrap_or_default();
            let is_said = match sought.reply {
                Some(reply) => !said.private && words.trim() == reply.trim(),
                None => said.private && text::bears(words, sought.reference),
            };
            self.is_ours(said) && said.created_at.saturating_mul(1000) >= sought.since_ms && is_said
        };
        Ok(all.iter().find(is_it).map(|said| format!("message/{}", said.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.say(id, &text, true).await,
            Write::File { name, content, text, .. } => self.attach(id, text, name, content).await,
            Write::Reply { text, .. } => self.say(id, text, false).await,
            Write::Draft { .. } | Write::NoteAndSet { .. } => Err(HelpdeskError::NotOffered("that in one change")),
            Write::Set(patch) => {
                self.set(id, &self.wanted(&patch)?).await?;
                Ok(format!("conversation/{id}"))
            }
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let wanted = self.wanted(patch)?;
        let now = self.now(values::number(id)?).await?;
        let team = now.meta.team.as_ref().map(|team| team.id);
        Ok(match () {
            () if wanted.team.is_some() && wanted.team != team => Some("the team"),
            () if wanted.priority.is_some() && wanted.priority != now.priority.as_deref() => Some("the priority"),
            () if !wanted.fields.iter().all(|(name, value)| now.custom_attributes.get(name) == Some(value)) => {
                Some("a custom attribute")
            }
            () if !wanted.labels.iter().all(|label| now.labels.contains(label)) => Some("a label"),
            () => None,
        })
    }

    async fn examine(&self, _: Option<&str>) -> Vec<Checked> {
        let url = self.http.url(&["api", "v1", "profile"]);
        let profile: Result<Numbered, _> = self.get(url).await;
        let ours = self.names.user_id();
        let found = profile.map_err(|error| error.to_string()).and_then(|profile| match profile.id == ours {
            true => Ok("is our user's"),
            false => Err(format!("belongs to user {}, and helpdesk.user says {ours}", profile.id)),
        });
        vec![Checked::of("address and token", found)]
    }

    async fn remove(&self, id: &str, external_id: &str) -> Result<(), HelpdeskError> {
        let number = external_id.strip_prefix("message/").ok_or(HelpdeskError::NoTicket)?;
        let url = self.url(values::number(id)?, &["messages", values::number(number)?]);
        self.http.change(self.http.request(Method::DELETE, url)).await.map(drop)
    }

    /// Webhooks are sent once, whatever is answered.
    async fn happened(&self, since_ms: i64) -> Result<Vec<Happening>, HelpdeskError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let mut url = self.http.url(&["api", "v1", "accounts", &self.names.account, "conversations"]);
            let query = [("status", "all"), ("assignee_type", "all"), ("sort_by", "last_activity_at_desc")];
            url.query_pairs_mut().extend_pairs(query).append_pair("page", &page.to_string());
            let Listed { data: Payload { payload } } = self.get(url).await?;
            let is_last = payload.is_empty() || payload.iter().any(|one: &Active| ms(one.last_activity_at) < since_ms);
            let active = payload.iter().filter(|one| ms(one.last_activity_at) >= since_ms);
            all.extend(active.flat_map(|one| one.happened(since_ms)));
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// Signed over `time.body`. Who changed a conversation is not told: what starts
    /// work is what we never do.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-chatwoot-signature")?.strip_prefix("sha256=").ok_or(NotHeard::Forged)?;
        let time = told.header("x-chatwoot-timestamp")?;
        told.is_signed(Signed::Sha256Hex, &[time.as_bytes(), b".", told.body], signature)?;
        told.is_now(time.parse::<i64>().map_err(|_| NotHeard::Late)?.saturating_mul(1000))?;
        let id = told.header("x-chatwoot-delivery").ok().map(str::to_owned);
        let body: Value = told.json()?;
        let became = |name: &str| {
            let changes = body["changed_attributes"].as_array();
            changes.and_then(|all| all.iter().find_map(|one| one.get(name))).map(|one| &one["current_value"])
        };
        let (what, ticket) = match body["event"].as_str().ok_or(NotHeard::Shapeless)? {
            "message_created" => {
                let is_customers = body["message_type"] == "incoming" && body["private"] != true;
                let what = if is_customers { Happened::CustomerWrote } else { Happened::Other };
                (what, &body["conversation"]["id"])
            }
            "conversation_created" => (Happened::Created, &body["id"]),
            "conversation_status_changed" if body["status"] == "resolved" => (Happened::Solved, &body["id"]),
            // From a bot to people, or from one of them to another.
            "conversation_status_changed" if was_pending(&body) => (Happened::HandedOver, &body["id"]),
            "conversation_updated" if became("assignee_id").is_some_and(Value::is_number) => {
                (Happened::HandedOver, &body["id"])
            }
            _ => (Happened::Other, &body["id"]),
        };
        let by_us = body["sender"]["id"] == self.names.user_id() && body["message_type"] == "outgoing";
        Ok(Heard { id, ticket: text_of(ticket).ok_or(NotHeard::Shapeless)?, what, by_us })
    }
}

fn was_pending(body: &Value) -> bool {
    let changes = body["changed_attributes"].as_array();
    body["status"] == "open"
        && changes.is_some_and(|all| all.iter().any(|one| one["status"]["previous_value"] == "pending"))
}

/// What is to be set, in Chatwoot's words.
struct Wanted {
    team: Option<i64>,
    priority: Option<&'static str>,
    fields: Map<String, Value>,
    labels: Vec<String>,
}

/// The customer's messages.
const INCOMING: i64 = 0;
/// The team's, private ones too.
const OUTGOING: i64 = 1;

#[derive(Deserialize)]
struct Payload<T> {
    payload: Vec<T>,
}

#[derive(Deserialize)]
struct Listed {
    data: Payload<Active>,
}

/// A conversation in a list.
#[derive(Deserialize)]
struct Active {
    id: i64,
    status: String,
    /// In seconds.
    created_at: i64,
    /// In seconds.
    last_activity_at: i64,
    last_non_activity_message: Option<Said>,
}

impl Active {
    /// What is to be seen of what happened since then.
    fn happened(&self, since_ms: i64) -> Vec<Happening> {
        let wrote = self.last_non_activity_message.as_ref().filter(|said| said.kind == INCOMING);
        let seen = [
            (Happened::Created, Some(self.created_at)),
            (Happened::CustomerWrote, wrote.map(|said| said.created_at)),
            (Happened::Solved, (self.status == "resolved").then_some(self.last_activity_at)),
        ];
        let since =
            seen.into_iter().filter_map(|(what, at_s)| Some((what, ms(at_s?)))).filter(|(_, at)| *at >= since_ms);
        since
            .map(|(what, at_ms)| {
                let heard = Heard { id: None, ticket: self.id.to_string(), what, by_us: false };
                Happening { at_ms, heard }
            })
            .collect()
    }
}

fn ms(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

#[derive(Deserialize)]
struct Said {
    id: i64,
    content: Option<String>,
    #[serde(rename = "message_type")]
    kind: i64,
    /// In seconds.
    created_at: i64,
    #[serde(default)]
    private: bool,
    sender: Option<Sender>,
}

impl Said {
    fn by_user(&self) -> Option<i64> {
        self.sender.as_ref().filter(|sender| sender.kind.as_deref() != Some("contact")).map(|sender| sender.id)
    }
}

#[derive(Deserialize)]
struct Sender {
    id: i64,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The conversation as Chatwoot has it.
#[derive(Deserialize)]
struct Now {
    status: String,
    priority: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    custom_attributes: Map<String, Value>,
    #[serde(default)]
    additional_attributes: Value,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    team: Option<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

fn written(answer: &Value) -> Result<String, HelpdeskError> {
    let id = answer["id"].as_i64();
    id.map(|id| format!("message/{id}"))
        .ok_or_else(|| HelpdeskError::Unknown("it does not say what it has written".to_owned()))
}

fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "medium",
        Priority::High => "high",
        Priority::Urgent => "urgent",
    }
}

fn meant(word: &str) -> Priority {
    match word {
        "medium" => Priority::Normal,
        word => Priority::parse(word).unwrap_or(Priority::Normal),
    }
}
