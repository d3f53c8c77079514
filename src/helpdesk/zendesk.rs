//! Zendesk Support. Signs in as an OAuth client by its own credentials: API tokens
//! end in 2027.
//!
//! - A change of a ticket is one `PUT`, made only if nobody has changed the ticket
//!   since it was read (`safe_update`): otherwise 409.
//! - `public` of a comment is always sent; its default follows the first comment.
//! - `tags` replaces all of them, so the union is sent, under `safe_update`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::http::{Answer, Http};
use super::{HelpdeskError, text, values};
use crate::clock::{Clock, parse_rfc3339};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Items of one page; Zendesk gives no more.
const PAGE: &str = "100";
/// Pages that are read of one ticket.
const MOST_PAGES: usize = 50;
/// How long a token is asked for, in seconds.
const TOKEN_S: i64 = 3_600;
/// How much earlier than it ends a token is renewed, in ms.
const BEFORE_MS: i64 = 300_000;

/// Names in this Zendesk, and who we are there.
#[derive(Clone)]
pub struct Settings {
    /// Of the OAuth client.
    pub client_id: String,
    /// Of the OAuth client. Never shown.
    pub client_secret: String,
    /// The id of our own user.
    pub user: i64,
    /// The id of a group, by our name of the queue.
    pub queues: BTreeMap<String, String>,
    /// The id of a ticket field, by our name.
    pub fields: BTreeMap<String, String>,
}

/// A Zendesk.
pub struct Zendesk {
    http: Http,
    clock: Clock,
    names: Settings,
    /// The token, and when it is renewed, in ms.
    token: Mutex<Option<(String, i64)>>,
}

impl Zendesk {
    /// The one that `http` reaches.
    #[must_use]
    pub fn new(http: Http, clock: Clock, names: Settings) -> Zendesk {
        Zendesk { http, clock, names, token: Mutex::new(None) }
    }

    fn url(&self, parts: &[&str]) -> Url {
        self.http.url(&[&["api", "v2"], parts].concat())
    }

    /// With a token. One that is refused is renewed once: nothing was done by then.
    async fn ask(&self, request: RequestBuilder, changes: bool) -> Result<Answer, HelpdeskError> {
        let again = request.try_clone();
        match self.ask_once(request, changes).await {
            Err(HelpdeskError::Forbidden(why)) if why.ends_with("401") => {
                *self.held() = None;
                match again {
                    Some(request) => self.ask_once(request, changes).await,
                    None => Err(HelpdeskError::Forbidden(why)),
                }
            }
            answer => answer,
        }
    }

    async fn ask_once(&self, request: RequestBuilder, changes: bool) -> Result<Answer, HelpdeskError> {
        let request = request.bearer_auth(self.token().await?);
        if changes { self.http.change(request).await } else { self.http.read(request).await }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<(String, i64)>> {
        self.token.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn token(&self) -> Result<String, HelpdeskError> {
        let now_ms = self.clock.now_ms();
        if let Some((token, until_ms)) = self.held().as_ref()
            && *until_ms > now_ms
        {
            return Ok(token.clone());
        }
        let url = self.http.url(&["oauth", "tokens"]);
        let body = json!({
            "grant_type": "client_credentials", "client_id": self.names.client_id,
            "client_secret": self.names.client_secret, "scope": "read write", "expires_in": TOKEN_S,
        });
        let answer = self.http.read(self.http.request(Method::POST, url).json(&body)).await?;
        let given: Token = shaped(answer)?;
        let lasts_ms = given.expires_in.unwrap_or(TOKEN_S).saturating_mul(1000);
        *self.held() = Some((given.access_token.clone(), now_ms + (lasts_ms - BEFORE_MS).max(0)));
        Ok(given.access_token)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        shaped(self.ask(self.http.request(Method::GET, url), false).await?)
    }

    async fn now(&self, id: &str) -> Result<Now, HelpdeskError> {
        let Ticketed { ticket } = self.get(self.url(&["tickets", id])).await?;
        Ok(ticket)
    }

    /// All pages of a list below a ticket.
    async fn pages<T: DeserializeOwned>(&self, id: &str, what: &str) -> Result<Vec<T>, HelpdeskError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut url = self.url(&["tickets", id, what]);
            url.query_pairs_mut().append_pair("page[size]", PAGE);
            if what == "comments" {
                url.query_pairs_mut().append_pair("include", "users");
            }
            if let Some(after) = &after {
                url.query_pairs_mut().append_pair("page[after]", after);
            }
            let Page { items, meta } = self.get(url).await?;
            all.push(items);
            match meta.after_cursor.filter(|_| meta.has_more) {
                Some(cursor) => after = Some(cursor),
                None => break,
            }
        }
        Ok(all)
    }

    async fn comments(&self, id: &str) -> Result<(Vec<Comment>, Vec<User>), HelpdeskError> {
        let pages: Vec<Comments> = self.pages(id, "comments").await?;
        let (mut comments, mut users) = (Vec::new(), Vec::new());
        for page in pages {
            comments.extend(page.comments);
            users.extend(page.users);
        }
        comments.sort_by_key(|comment| comment.id);
        Ok((comments, users))
    }

    /// What people have done, ours and the system's left out.
    async fn by_people(&self, id: &str) -> Result<Vec<Audit>, HelpdeskError> {
        let pages: Vec<Audits> = self.pages(id, "audits").await?;
        let audits = pages.into_iter().flat_map(|page| page.audits);
        Ok(audits.filter(|audit| audit.author_id > 0 && audit.author_id != self.names.user).collect())
    }

    async fn put(&self, id: &str, ticket: Map<String, Value>) -> Result<String, HelpdeskError> {
        let request = self.http.request(Method::PUT, self.url(&["tickets", id])).json(&json!({"ticket": ticket}));
        let Updated { audit } = shaped(self.ask(request, true).await?)
            .map_err(|_| HelpdeskError::Unknown("its answer has another shape".to_owned()))?;
        let comment = audit.events.iter().find(|event| event.kind == "Comment");
        Ok(comment.map_or_else(|| format!("audit/{}", audit.id), |event| format!("comment/{}", event.id)))
    }

    async fn say(&self, id: &str, words: &str, public: bool, uploads: Option<String>) -> Result<String, HelpdeskError> {
        let mut comment = json!({"body": words, "public": public});
        if let Some(token) = uploads {
            comment["uploads"] = json!([token]);
        }
        self.put(id, Map::from_iter([("comment".to_owned(), comment)])).await
    }

    async fn upload(&self, name: &str, content: &str) -> Result<String, HelpdeskError> {
        let mut url = self.url(&["uploads"]);
        url.query_pairs_mut().append_pair("filename", name);
        let request = self.http.request(Method::POST, url).header(CONTENT_TYPE, "text/plain").body(content.to_owned());
        // Nothing is on the ticket yet: an upload that is lost is forgotten.
        match self.ask(request, true).await {
            Ok(answer) => Ok(shaped::<Uploaded>(answer)?.upload.token),
            Err(HelpdeskError::Unknown(why)) => Err(HelpdeskError::Unavailable(why)),
            Err(error) => Err(error),
        }
    }

    /// What a patch is in Zendesk's numbers.
    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let unknown = |what: &str, name: &str| {
            HelpdeskError::Refused(format!("no id is named for {name:?} in [helpdesk.{what}]"))
        };
        let number = |text: &String| text.trim().parse::<i64>().ok();
        let group_id = match &patch.queue {
            Some(queue) => Some(self.names.queues.get(queue).and_then(number).ok_or_else(|| unknown("queues", queue))?),
            None => None,
        };
        let field = |name: &str| self.names.fields.get(name).and_then(number);
        let mut fields = BTreeMap::new();
        fields.extend(patch.intent.as_ref().and_then(|intent| Some((field("intent")?, intent.clone()))));
        fields.extend(patch.confidence.and_then(|sure| Some((field("confidence")?, format!("{sure:.2}")))));
        for (name, value) in &patch.fields {
            let id = field(name).ok_or_else(|| unknown("fields", name))?;
            fields.insert(id, values::plain(value));
        }
        // A tag of Zendesk is one word.
        let tags = patch.tags.iter().map(|tag| tag.split_whitespace().collect::<Vec<_>>().join("_")).collect();
        Ok(Wanted { group_id, priority: patch.priority.map(|priority| priority.word().to_owned()), fields, tags })
    }
}

#[async_trait]
impl Connector for Zendesk {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "Zendesk",
            notes: true,
            drafts: Drafts::AsNote,
            files: true,
            priority: true,
            queues: true,
            tags: true,
            fields: true,
        }
    }

    async fn ticket(&self, id: &str) -> Result<Ticket, HelpdeskError> {
        let id = values::number(id)?;
        let now = self.now(id).await?;
        let ((comments, users), people) = (self.comments(id).await?, self.by_people(id).await?);
        let is_customer =
            |who: i64| who == now.requester_id || users.iter().any(|user| user.id == who && user.role == "end-user");
        let message = |comment: &Comment| Message {
            author: match comment.author_id {
                who if who == self.names.user => Author::Frontdesk,
                who if is_customer(who) => Author::Customer,
                _ => Author::Agent,
            },
            visibility: if comment.public { Visibility::Public } else { Visibility::Internal },
            body: comment.said().to_owned(),
        };
        let group = now.group_id.map(|group| group.to_string()).unwrap_or_default();
        let queue =
            self.names.queues.iter().find(|(_, id)| **id == group).map_or(group.clone(), |(ours, _)| ours.clone());
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: now.status.clone(),
            queue,
            priority: now.priority.clone().unwrap_or_else(|| "normal".to_owned()),
            tags: now.tags.clone(),
            revision: i64::try_from(people.len()).unwrap_or(i64::MAX),
            changed_at_ms: people.iter().filter_map(|audit| parse_rfc3339(&audit.created_at)).max(),
            messages: comments.iter().map(message).collect(),
        })
    }

    async fn find(&self, id: &str, sought: Sought<'_>) -> Result<Option<String>, HelpdeskError> {
        let (comments, _) = self.comments(values::number(id)?).await?;
        let is_it = |comment: &&Comment| {
            let is_new = parse_rfc3339(&comment.created_at).is_none_or(|at_ms| at_ms >= sought.since_ms);
            let is_said = match sought.reply {
                Some(reply) => comment.public && comment.said().trim() == reply.trim(),
                None => !comment.public && text::bears(comment.said(), sought.reference),
            };
            comment.author_id == self.names.user && is_new && is_said
        };
        Ok(comments.iter().find(is_it).map(|comment| format!("comment/{}", comment.id)))
    }

    async fn write(&self, id: &str, write: Write<'_>) -> Result<String, HelpdeskError> {
        let id = values::number(id)?;
        match write {
            Write::Note { text, .. } => self.say(id, &text, false, None).await,
            Write::File { name, content, text, .. } => {
                let token = self.upload(name, content).await?;
                self.say(id, &text, false, Some(token)).await
            }
            Write::Reply { text, .. } => self.say(id, text, true, None).await,
            Write::Draft { .. } => Err(HelpdeskError::NotOffered("drafts of its own")),
            Write::Set(patch) => {
                let wanted = self.wanted(&patch)?;
                let now = self.now(id).await?;
                match wanted.body(&now) {
                    Some(body) => self.put(id, body).await,
                    None => Ok(format!("ticket/{id}")),
                }
            }
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let wanted = self.wanted(patch)?;
        Ok(wanted.lacking(&self.now(values::number(id)?).await?))
    }

    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked> {
        let mut checked = vec![Checked::of("address and OAuth client", self.token().await.map(|_| "gives a token"))];
        let Some(Ok(id)) = ticket.map(values::number).filter(|_| checked[0].found.is_ok()) else { return checked };
        let Ok(now) = self.now(id).await else { return checked };
        for (ours, field) in &self.names.fields {
            let is_there = now.custom_fields.iter().any(|there| there.id.to_string() == *field);
            let found =
                if is_there { Ok("is there") } else { Err("is not on this ticket: put [helpdesk.fields] right") };
            checked.push(Checked::of(format!("field {field} ({ours})"), found));
        }
        checked
    }

    async fn remove(&self, _: &str, _: &str) -> Result<(), HelpdeskError> {
        Err(HelpdeskError::NotOffered("removing a note"))
    }
}

/// What is to be set, in Zendesk's numbers.
struct Wanted {
    group_id: Option<i64>,
    priority: Option<String>,
    fields: BTreeMap<i64, String>,
    tags: Vec<String>,
}

impl Wanted {
    /// None when there is nothing to set.
    fn body(&self, now: &Now) -> Option<Map<String, Value>> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        self.group_id.iter().for_each(|group| drop(put("group_id", json!(group))));
        self.priority.iter().for_each(|priority| drop(put("priority", json!(priority))));
        if !self.fields.is_empty() {
            let fields: Vec<Value> = self.fields.iter().map(|(id, value)| json!({"id": id, "value": value})).collect();
            put("custom_fields", json!(fields));
        }
        if !self.tags.is_empty() {
            let mut all = now.tags.clone();
            all.extend(self.tags.iter().filter(|tag| !now.tags.contains(tag)).cloned());
            put("tags", json!(all));
        }
        if body.is_empty() {
            return None;
        }
        body.insert("safe_update".to_owned(), json!(true));
        body.insert("updated_stamp".to_owned(), json!(now.updated_at));
        Some(body)
    }

    fn lacking(&self, now: &Now) -> Option<&'static str> {
        let has = |(id, value): (&i64, &String)| {
            now.custom_fields.iter().any(|field| field.id == *id && values::plain(&field.value) == *value)
        };
        match () {
            () if self.group_id.is_some() && self.group_id != now.group_id => Some("the group"),
            () if self.priority.is_some() && self.priority != now.priority => Some("the priority"),
            () if !self.fields.iter().all(has) => Some("a field"),
            () if !self.tags.iter().all(|tag| now.tags.contains(tag)) => Some("a tag"),
            () => None,
        }
    }
}

fn shaped<T: DeserializeOwned>(answer: Answer) -> Result<T, HelpdeskError> {
    serde_json::from_value(answer.body)
        .map_err(|_| HelpdeskError::Unavailable("its answer has another shape".to_owned()))
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
struct Ticketed {
    ticket: Now,
}

/// The ticket as Zendesk has it.
#[derive(Deserialize)]
struct Now {
    #[serde(default)]
    subject: String,
    status: String,
    priority: Option<String>,
    group_id: Option<i64>,
    #[serde(default)]
    requester_id: i64,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    custom_fields: Vec<Field>,
    updated_at: String,
}

#[derive(Deserialize)]
struct Field {
    id: i64,
    value: Value,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(flatten)]
    items: T,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    has_more: bool,
    after_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Comments {
    comments: Vec<Comment>,
    #[serde(default)]
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Comment {
    id: i64,
    author_id: i64,
    #[serde(default)]
    body: String,
    plain_body: Option<String>,
    public: bool,
    created_at: String,
}

impl Comment {
    fn said(&self) -> &str {
        self.plain_body.as_deref().unwrap_or(&self.body)
    }
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    role: String,
}

#[derive(Deserialize)]
struct Audits {
    audits: Vec<Audit>,
}

#[derive(Deserialize)]
struct Audit {
    author_id: i64,
    created_at: String,
}

#[derive(Deserialize)]
struct Updated {
    audit: Written,
}

#[derive(Deserialize)]
struct Written {
    id: i64,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Uploaded {
    upload: Upload,
}

#[derive(Deserialize)]
struct Upload {
    token: String,
}
