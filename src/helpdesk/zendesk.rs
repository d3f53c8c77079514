//! Zendesk Support. Signs in as an OAuth client by its own credentials: API tokens
//! end in 2027.
//!
//! - A change of a ticket is one `PUT`, made only if nobody has changed the ticket
//!   since it was read (`safe_update`): otherwise 409.
//! - `public` of a comment is always sent; its default follows the first comment.
//! - `tags` replaces all of them, so the union is sent, under `safe_update`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::connector::{Capabilities, Checked, Connector, Drafts, Patch, Sought, Write};
use super::heard::{Happened, Heard, NotHeard, Signed, Told, text_of};
use super::http::{Answer, Http};
use super::names::Names;
use super::oauth::{Client, Tokens};
use super::{HelpdeskError, text, values};
use crate::clock::{Clock, parse_rfc3339};
use crate::domain::ticket::{Author, Message, Ticket, Visibility};

/// Items of one page; Zendesk gives no more.
const PAGE: &str = "100";
/// Pages that are read of one ticket.
const MOST_PAGES: usize = 50;
/// How long a token is asked for, in seconds.
const TOKEN_S: i64 = 3_600;

/// A Zendesk.
pub struct Zendesk {
    http: Http,
    client: Client,
    /// Queues are named by the number of a group, fields by theirs.
    names: Names,
    tokens: Tokens,
}

impl Zendesk {
    /// The one that `http` reaches.
    #[must_use]
    pub fn new(http: Http, clock: Clock, client: Client, names: Names) -> Zendesk {
        Zendesk { http, client, names, tokens: Tokens::new(clock) }
    }

    fn url(&self, parts: &[&str]) -> Url {
        self.http.url(&[&["api", "v2"], parts].concat())
    }

    async fn ask(&self, request: RequestBuilder, changes: bool) -> Result<Answer, HelpdeskError> {
        self.tokens.ask(&self.http, || self.sign_in(), request, changes).await
    }

    fn sign_in(&self) -> RequestBuilder {
        let body = json!({
            "grant_type": "client_credentials", "client_id": self.client.id, "client_secret": self.client.secret,
            "scope": "read write", "expires_in": TOKEN_S,
        });
        self.http.request(Method::POST, self.http.url(&["oauth", "tokens"])).json(&body)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, HelpdeskError> {
        self.ask(self.http.request(Method::GET, url), false).await?.shaped()
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
        Ok(audits.filter(|audit| audit.author_id > 0 && audit.author_id != self.names.user_id()).collect())
    }

    async fn put(&self, id: &str, ticket: Map<String, Value>) -> Result<String, HelpdeskError> {
        let request = self.http.request(Method::PUT, self.url(&["tickets", id])).json(&json!({"ticket": ticket}));
        let answer = self.ask(request, true).await?;
        let Updated { audit } =
            answer.shaped().map_err(|_| HelpdeskError::Unknown("its answer has another shape".to_owned()))?;
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
            Ok(answer) => Ok(answer.shaped::<Uploaded>()?.upload.token),
            Err(HelpdeskError::Unknown(why)) => Err(HelpdeskError::Unavailable(why)),
            Err(error) => Err(error),
        }
    }

    /// What a patch is in Zendesk's numbers.
    fn wanted(&self, patch: &Patch) -> Result<Wanted, HelpdeskError> {
        let group_id = patch.queue.as_ref().map(|queue| self.names.queue_id(queue)).transpose()?;
        let number = |(field, value): (String, Value)| match field.parse::<i64>() {
            Ok(id) => Ok((id, values::plain(&value))),
            Err(_) => Err(HelpdeskError::Refused("[helpdesk.fields] names a field without its number".to_owned())),
        };
        let fields = self.names.values(patch)?.into_iter().map(number).collect::<Result<_, _>>()?;
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
            together: true,
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
                who if who == self.names.user_id() => Author::Frontdesk,
                who if is_customer(who) => Author::Customer,
                _ => Author::Agent,
            },
            visibility: if comment.public { Visibility::Public } else { Visibility::Internal },
            body: comment.said().to_owned(),
        };
        let group = now.group_id.map(|group| group.to_string()).unwrap_or_default();
        Ok(Ticket {
            id: id.to_owned(),
            subject: now.subject.clone(),
            status: now.status.clone(),
            queue: self.names.our_queue(&group),
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
            comment.author_id == self.names.user_id() && is_new && is_said
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
            Write::Set(patch) => match self.wanted(&patch)?.body(&self.now(id).await?) {
                Some(body) => self.put(id, body).await,
                None => Ok(format!("ticket/{id}")),
            },
            Write::NoteAndSet { text, patch, .. } => {
                let mut body = self.wanted(&patch)?.body(&self.now(id).await?).unwrap_or_default();
                body.insert("comment".to_owned(), json!({"body": text, "public": false}));
                self.put(id, body).await
            }
        }
    }

    async fn lacks(&self, id: &str, patch: &Patch) -> Result<Option<&'static str>, HelpdeskError> {
        let wanted = self.wanted(patch)?;
        Ok(wanted.lacking(&self.now(values::number(id)?).await?))
    }

    async fn examine(&self, ticket: Option<&str>) -> Vec<Checked> {
        let mut checked = vec![Checked::of(
            "address and OAuth client",
            self.tokens.token(&self.http, self.sign_in()).await.map(|_| "gives a token"),
        )];
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

    /// Signed over its time, as it is written, and the body.
    fn heard(&self, told: &Told<'_>) -> Result<Heard, NotHeard> {
        let signature = told.header("x-zendesk-webhook-signature")?;
        let time = told.header("x-zendesk-webhook-signature-timestamp")?;
        told.is_signed(Signed::Sha256Base64, &[time.as_bytes(), told.body], signature)?;
        told.is_now(parse_rfc3339(time).ok_or(NotHeard::Late)?)?;
        if let Some(heard) = told.rule(&self.names.user)? {
            return Ok(heard);
        }
        let event: Webhook = told.json()?;
        let what = match event.kind.strip_prefix("zen:event-type:").unwrap_or_default() {
            "ticket.created" => Happened::Created,
            "ticket.comment_added" if event.event["comment"]["author"]["is_staff"] == false => Happened::CustomerWrote,
            "ticket.agent_assignment_changed" | "ticket.group_assignment_changed" => Happened::HandedOver,
            "ticket.status_changed" if is_over(&event.event["current"]) && !is_over(&event.event["previous"]) => {
                Happened::Solved
            }
            _ => Happened::Other,
        };
        let actor = text_of(&event.detail["actor_id"]);
        let ticket = text_of(&event.detail["id"]).ok_or(NotHeard::Shapeless)?;
        let by_us = actor.is_some_and(|actor| actor == self.names.user);
        Ok(Heard { id: Some(event.id), ticket, what, by_us })
    }
}

/// A ticket is solved first, and closed some days later.
fn is_over(status: &Value) -> bool {
    status.as_str().is_some_and(|word| word.eq_ignore_ascii_case("solved") || word.eq_ignore_ascii_case("closed"))
}

/// What a webhook tells.
#[derive(Deserialize)]
struct Webhook {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    detail: Value,
    #[serde(default)]
    event: Value,
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
