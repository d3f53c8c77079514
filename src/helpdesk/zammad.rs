//! Zammad, by its REST interface. Signs in with an access token of an agent.
//!
//! - A ticket has one shared draft, and a `PUT` writes over it: it is read first, and
//!   one that is not ours stays; ours is then an internal article instead.
//! - An article is public unless `internal` says otherwise, so that is always sent.
//! - Tags are added one at a time; nothing takes the others away.
//! - Articles come all at once, and in HTML when people wrote them so.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Heard, NotHeard, Signed, Told, text_of};
use super::http::Http;
use super::names::Names;
use super::{HelpdeskError, text, values};
use crate::clock::parse_rfc3339;
use crate::domain::effect::Priority;
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// A Zammad.
pub struct Zammad {
    http: Http,
    /// Queues are named by the group's name, fields by the attribute's.
    names: Names,
}

impl Zammad {
    /// The one that `http` reaches; it sends the token.
    #[must_use]
    pub fn new(http: Http, names: Names) -> Zammad {
        Zammad { http, names }
    }

    fn url(&self, parts: &[&str]) -> Url {
        self.http.url(&[&["api", "v1"], parts].concat())
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.http.read(self.http.request(Method::GET, url)).await?.shaped()
    }

    async fn send(&self, method: Method, parts: &[&str], body: &Value) -> Result<Value, HelpdeskError> {
        let request = self.http.request(method, self.url(parts)).json(body);
        Ok(self.http.change(request).await?.body)
    }

    /// The ticket, with its group and its priority by name.
    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        let mut url = self.url(&["tickets", id]);
        url.query_pairs_mut().append_pair("expand", "true");
        self.get(url).await
    }

    async fn tags(&self, id: &str) -> Result<Vec<String>, HelpdeskError> {
        let mut url = self.url(&["tags"]);
        url.query_pairs_mut().append_pair("object", "Ticket").append_pair("o_id", id);
        let Tags { tags } = self.get(url).await?;
        Ok(tags)
    }

    async fn articles(&self, id: &str) -> Result<Vec<Article>, HelpdeskError> {
        let mut all: Vec<Article> = self.get(self.url(&["ticket_articles", "by_ticket", id])).await?;
        all.sort_by_key(|article| article.id);
        Ok(all)
    }

    async fn draft(&self, id: &str) -> Result<Option<Draft>, HelpdeskError> {
        let shown: Shown = match self.get(self.url(&["tickets", id, "shared_draft"])).await {
            Err(HelpdeskError::NoTicket) => return Ok(None),
            shown => shown?,
        };
        Ok(shown.assets.drafts.into_values().find(|draft| Some(draft.id) == shown.shared_draft_id))
    }

    fn is_ours(&self, user: i64) -> bool {
        user == self.names.user_id()
    }

    async fn say(&self, id: &str, article: Value) -> Result<String, HelpdeskError> {
        let mut body = article;
        body["ticket_id"] = json!(id.parse::<i64>().map_err(|_| HelpdeskError::NoTicket)?);
        written(&self.send(Method::POST, &["ticket_articles"], &body).await?)
    }

    /// A reply goes out by mail to whoever the last message came from.
    async fn reply(&self, id: &str, words: &str) -> Result<String, HelpdeskError> {
        let now = self.now(id).await?;
        let said = self.articles(id).await?;
        let last = said.iter().rev().find(|article| article.sender == "Customer");
        let to = last.and_then(|article| article.from.clone()).unwrap_or_default();
        if to.is_empty() {
            return Err(HelpdeskError::Refused("it is not known where the customer gets mail".to_owned()));
        }
        let body = json!({
            "body": words, "content_type": "text/plain", "type": "email", "internal": false, "to": to, "subject": now.title,
        });
        self.say(id, body).await
    }

    async fn put_draft(&self, id: &str, words: &str, reference: &str) -> Result<String, HelpdeskError> {
        match self.draft(id).await? {
            // Somebody's: it is not written over.
            Some(draft) if !self.is_ours(draft.updated_by_id) => {
                let note = text::marked(&text::draft_as_note(words), reference);
                self.say(id, note_of(&note)).await
            }
            _ => {
                let article = json!({
                    "body": text::html(words), "content_type": "text/html", "type": "email", "internal": false,
                });
                let body = json!({"new_article": article, "ticket_attributes": {}});
                self.send(Method::PUT, &["tickets", id, "shared_draft"], &body).await?;
                Ok(format!("draft/{id}"))
            }
        }
    }

    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let group = patch.queue.as_ref().map(|queue| self.names.queue(queue)).transpose()?.map(str::to_owned);
        let fields = self.names.values(patch)?.into_iter().map(|(name, value)| (name, values::plain(&value))).collect();
        Ok(Wanted { group, priority: patch.priority.map(word), fields, tags: patch.tags.clone() })
    }

    async fn set(&self, id: &str, wanted: &Wanted, note: Option<&str>) -> Result<String, HelpdeskError> {
        let mut body = wanted.body();
        if let Some(note) = note {
            body.insert("article".to_owned(), note_of(note));
        }
        if !body.is_empty() {
            self.send(Method::PUT, &["tickets", id], &Value::Object(body)).await?;
        }
        for tag in &wanted.tags {
            let body = json!({"object": "Ticket", "o_id": id.parse::<i64>().unwrap_or(0), "item": tag});
            self.send(Method::POST, &["tags", "add"], &body).await?;
        }
        Ok(format!("ticket/{id}"))
    }
}

#[async_trait]
impl Connector for Zammad {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Zammad",
            notes: true,
            drafts: Drafts::OnePerTicket,
            files: true,
            priority: true,
            queues: true,
            tags: true,
            fields: true,
            together: true,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let (now, said, tags) = (self.now(id).await?, self.articles(id).await?, self.tags(id).await?);
        let by_people: Vec<&Article> =
            said.iter().filter(|article| !self.is_ours(article.created_by_id) && article.sender != "System").collect();
        let message = |article: &Article| Message {
            author: match () {
                () if article.sender == "Customer" => Author::Customer,
                () if self.is_ours(article.created_by_id) => Author::Frontdesk,
                () => Author::Agent,
            },
            visibility: if article.internal { Visibility::Internal } else { Visibility::Public },
            body: article.words(),
        };
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.title.clone(),
            status: now.state.clone(),
            queue: self.names.our_queue(&now.group),
            priority: meant(&now.priority).word().to_owned(),
            tags,
            revision: i64::try_from(by_people.len()).unwrap_or(i64::MAX),
            changed_at_ms: by_people.last().and_then(|article| parse_rfc3339(&article.created_at)),
            messages: said.iter().filter(|article| article.sender != "System").map(message).collect(),
        })
    }

    /// A shared draft bears no mark that a customer could be sent: it is known by who
    /// wrote it last, and by its words.
    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let id = values::number(id)?;
        let said = self.articles(id).await?;
        let is_it = |article: &&Article| {
            let words = article.words();
            let is_new = parse_rfc3339(&article.created_at).is_none_or(|at_ms| at_ms >= sought.since_ms);
            let is_said = match sought.reply {
                Some(reply) => !article.internal && text::is_same(&words, reply),
                None => article.internal && text::bears(&words, sought.reference),
            };
            self.is_ours(article.created_by_id) && is_new && is_said
        };
        if let Some(article) = said.iter().find(is_it) {
            return Ok(Some(format!("article/{}", article.id)));
        }
        let Some(words) = sought.draft else { return Ok(None) };
        let draft = self.draft(id).await?.filter(|draft| self.is_ours(draft.updated_by_id) && draft.says(words));
        Ok(draft.map(|_| format!("draft/{id}")))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.say(id, note_of(&text)).await,
            Write::File { name, content, text, .. } => {
                let mut note = note_of(&text);
                note["attachments"] =
                    json!([{"filename": name, "data": STANDARD.encode(content), "mime-type": "text/plain"}]);
                self.say(id, note).await
            }
            Write::Draft { text, reference } => self.put_draft(id, text, reference).await,
            Write::Reply { text, .. } => self.reply(id, text).await,
            Write::Set(patch) => self.set(id, &self.wanted(&patch)?, None).await,
            Write::NoteAndSet { text, patch, .. } => self.set(id, &self.wanted(&patch)?, Some(&text)).await,
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let id = values::number(id)?;
        let (wanted, now) = (self.wanted(patch)?, self.now(id).await?);
        let has = |(name, value): (&String, &String)| {
            now.others.get(name).is_some_and(|there| values::plain(there) == *value)
        };
        Ok(match () {
            () if wanted.group.as_ref().is_some_and(|group| *group != now.group) => Some("the group"),
            () if wanted.priority.is_some_and(|priority| priority != now.priority) => Some("the priority"),
            () if !wanted.fields.iter().all(has) => Some("an attribute"),
            () if wanted.tags.is_empty() => None,
            () => {
                let tags = self.tags(id).await?;
                wanted.tags.iter().any(|tag| !tags.contains(tag)).then_some("a tag")
            }
        })
    }

    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked> {
        let me: Result<Numbered, _> = self.get(self.url(&["users", "me"])).await;
        let ours = self.names.user_id();
        let found = me.map_err(|error| error.to_string()).and_then(|me| match me.id == ours {
            true => Ok("is our user's"),
            false => Err(format!("belongs to user {}, and helpdesk.user says {ours}", me.id)),
        });
        let mut checked = vec![Checked::of("address and token", found)];
        let Some(Ok(now)) = (match ticket.map(values::number).filter(|_| checked[0].found.is_ok()) {
            Some(Ok(id)) => Some(self.now(id).await),
            _ => None,
        }) else {
            return checked;
        };
        for (ours, field) in &self.names.fields {
            let there = now.others.contains_key(field.trim());
            let found =
                if there { Ok("is there") } else { Err("is no attribute of this ticket: put [helpdesk.fields] right") };
            checked.push(Checked::of(format!("attribute {field} ({ours})"), found));
        }
        checked
    }

    /// Zammad lets whoever wrote an internal article take it away for ten minutes.
    async fn remove(&self, id: &str, external_id: &str) -> Result<(), HelpdeskError> {
        values::number(id)?;
        let number = external_id.strip_prefix("article/").ok_or(HelpdeskError::NoTicket)?;
        let url = self.url(&["ticket_articles", values::number(number)?]);
        self.http.change(self.http.request(Method::DELETE, url)).await.map(drop)
    }

    async fn withdraw(&self, id: &str, _: &str, words: &str) -> Result<(), HelpdeskError> {
        let id = values::number(id)?;
        match self.draft(id).await? {
            Some(draft) if self.is_ours(draft.updated_by_id) && (words.is_empty() || draft.says(words)) => {
                let url = self.url(&["tickets", id, "shared_draft"]);
                self.http.change(self.http.request(Method::DELETE, url)).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Signed over the body alone. A trigger may send our own form, or Zammad's with
    /// the ticket and its last article.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-hub-signature")?.strip_prefix("sha1=").ok_or(NotHeard::Forged)?;
        told.is_signed(Signed::Sha1Hex, &[told.body], signature)?;
        let id = told.header("x-zammad-delivery").ok().map(str::to_owned);
        if let Some(heard) = told.rule(&self.names.user)? {
            return Ok(Heard { id: id.or(heard.id.clone()), ..heard });
        }
        let body: Value = told.json()?;
        let ticket = text_of(&body["ticket"]["id"]).ok_or(NotHeard::Shapeless)?;
        let article = &body["article"];
        let is_customers = article["sender"] == "Customer" && article["internal"] != true;
        let what = match () {
            () if is_customers && body["ticket"]["article_count"] == 1 => Happened::Created,
            () if is_customers => Happened::CustomerWrote,
            () => Happened::Other,
        };
        let by_us = article["created_by"]["id"] == self.names.user_id();
        Ok(Heard { id, ticket, what, by_us })
    }
}

fn note_of(words: &str) -> Value {
    json!({"body": words, "content_type": "text/plain", "type": "note", "internal": true})
}

fn written(answer: &Value) -> Result<String, HelpdeskError> {
    let id = answer["id"].as_i64();
    id.map(|id| format!("article/{id}"))
        .ok_or_else(|| HelpdeskError::Unknown("it does not say what it has written".to_owned()))
}

/// What is to be set, in Zammad's names.
struct Wanted {
    group: Option<String>,
    priority: Option<&'static str>,
    fields: std::collections::BTreeMap<String, String>,
    tags: Vec<String>,
}

impl Wanted {
    fn body(&self) -> Map<String, Value> {
        let mut body: Map<String, Value> =
            self.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        body.extend(self.group.iter().map(|group| ("group".to_owned(), json!(group))));
        body.extend(self.priority.iter().map(|priority| ("priority".to_owned(), json!(priority))));
        body
    }
}

#[derive(Deserialize)]
struct Now {
    #[serde(default)]
    title: String,
    group: String,
    state: String,
    priority: String,
    /// Attributes that a team has made.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

#[derive(Deserialize)]
struct Article {
    id: i64,
    #[serde(default)]
    body: String,
    #[serde(default)]
    content_type: String,
    internal: bool,
    sender: String,
    from: Option<String>,
    created_by_id: i64,
    created_at: String,
}

impl Article {
    fn words(&self) -> String {
        if self.content_type.starts_with("text/html") { text::plain(&self.body) } else { self.body.clone() }
    }
}

#[derive(Deserialize)]
struct Shown {
    shared_draft_id: Option<i64>,
    #[serde(default)]
    assets: Assets,
}

#[derive(Deserialize, Default)]
struct Assets {
    #[serde(default, rename = "TicketSharedDraftZoom")]
    drafts: std::collections::BTreeMap<String, Draft>,
}

#[derive(Deserialize)]
struct Draft {
    id: i64,
    updated_by_id: i64,
    new_article: Value,
}

impl Draft {
    fn says(&self, words: &str) -> bool {
        let body = self.new_article["body"].as_str().unwrap_or_default();
        text::is_same(&text::plain(body), words)
    }
}

fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "1 low",
        Priority::Normal => "2 normal",
        Priority::High | Priority::Urgent => "3 high",
    }
}

fn meant(word: &str) -> Priority {
    match word {
        "1 low" => Priority::Low,
        "3 high" => Priority::High,
        _ => Priority::Normal,
    }
}
