//! The built-in desk: tickets, messages and fields.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::input::{Asked, Input};
use super::problem::Problem;
use crate::domain::effect::Priority;
use crate::domain::ticket::{Author, Visibility, valid_ticket_id};
use crate::shapes;
use crate::store::{NewTicket, TicketPatch};

const DEFAULT_QUEUE: &str = "support";
const MAX_SUBJECT_CHARS: usize = 500;
const MAX_BODY_CHARS: usize = 200_000;
const MAX_LABEL_CHARS: usize = 128;
const MAX_TAGS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTicketInput {
    id: Option<String>,
    subject: String,
    queue: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    messages: Vec<NewMessageInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessageInput {
    author: String,
    body: String,
    visibility: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatchInput {
    subject: Option<String>,
    status: Option<String>,
    queue: Option<String>,
    priority: Option<String>,
    intent: Option<String>,
    tags: Option<Vec<String>>,
}

pub(super) async fn list(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    Ok(Json(shapes::page(&web.store.tickets(query.page()?).await?, shapes::ticket)))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    answer(&web, id).await
}

pub(super) async fn create(
    State(web): State<Arc<Web>>,
    _: Caller,
    Input(new): Input<NewTicketInput>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    if new.id.as_ref().is_some_and(|id| !valid_ticket_id(id)) {
        return Err(Problem::invalid("id must be 1 to 128 letters, digits, '.', '_' or '-'"));
    }
    check_text("subject", &new.subject, MAX_SUBJECT_CHARS)?;
    let queue = new.queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
    check_labels("queue", std::slice::from_ref(&queue))?;
    check_labels("tags", &new.tags)?;
    let messages = new.messages.into_iter().map(public_message).collect::<Result<_, _>>()?;
    let ticket = NewTicket { id: new.id, subject: new.subject, queue, tags: new.tags, messages };
    let id = web.store.create_ticket(ticket, web.clock.now_ms()).await?;
    let id = id.ok_or_else(|| Problem::conflict("a ticket with this id exists"))?;
    Ok((StatusCode::CREATED, answer(&web, id).await?))
}

pub(super) async fn patch(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
    Input(input): Input<PatchInput>,
) -> Result<Json<Value>, Problem> {
    let priority = match &input.priority {
        None => None,
        Some(word) => Some(
            Priority::parse(word).ok_or_else(|| Problem::invalid("priority must be low, normal, high or urgent"))?,
        ),
    };
    if let Some(subject) = &input.subject {
        check_text("subject", subject, MAX_SUBJECT_CHARS)?;
    }
    for (name, label) in [("status", &input.status), ("queue", &input.queue), ("intent", &input.intent)] {
        check_labels(name, label.as_slice())?;
    }
    check_labels("tags", input.tags.as_deref().unwrap_or_default())?;
    let PatchInput { subject, status, queue, intent, tags, .. } = input;
    let patch = TicketPatch { subject, status, queue, priority, intent, tags };
    if !web.store.patch_ticket(id.clone(), patch, web.clock.now_ms()).await? {
        return Err(Problem::not_found("ticket", &id));
    }
    answer(&web, id).await
}

pub(super) async fn add_message(
    State(web): State<Arc<Web>>,
    _: Caller,
    Path(id): Path<String>,
    Input(new): Input<NewMessageInput>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let visibility = match new.visibility.as_deref() {
        None => Visibility::Public,
        Some(word) => {
            Visibility::parse(word).ok_or_else(|| Problem::invalid("visibility must be public or internal"))?
        }
    };
    let (author, body) = person(&new.author, new.body)?;
    if !web.store.add_message(id.clone(), author, visibility, body, web.clock.now_ms()).await? {
        return Err(Problem::not_found("ticket", &id));
    }
    Ok((StatusCode::CREATED, answer(&web, id).await?))
}

async fn answer(web: &Web, id: String) -> Result<Json<Value>, Problem> {
    let ticket = web.store.ticket(id.clone()).await?.ok_or_else(|| Problem::not_found("ticket", &id))?;
    Ok(Json(shapes::ticket(&ticket)))
}

fn public_message(message: NewMessageInput) -> Result<(Author, String), Problem> {
    if message.visibility.is_some_and(|visibility| visibility != Visibility::Public.word()) {
        return Err(Problem::invalid("the messages a ticket begins with are public; add internal ones afterwards"));
    }
    person(&message.author, message.body)
}

/// A message by a person; nobody writes in the name of this program.
fn person(author: &str, body: String) -> Result<(Author, String), Problem> {
    check_text("body", &body, MAX_BODY_CHARS)?;
    match Author::parse(author) {
        Some(author @ (Author::Customer | Author::Agent)) => Ok((author, body)),
        _ => Err(Problem::invalid("author must be customer or agent")),
    }
}

fn check_text(name: &str, text: &str, max_chars: usize) -> Result<(), Problem> {
    if text.trim().is_empty() || text.chars().count() > max_chars {
        return Err(Problem::invalid(format!("{name} must have 1 to {max_chars} characters")));
    }
    Ok(())
}

fn check_labels(name: &str, labels: &[String]) -> Result<(), Problem> {
    let is_label = |label: &String| {
        !label.trim().is_empty() && label.chars().count() <= MAX_LABEL_CHARS && !label.chars().any(char::is_control)
    };
    if labels.len() > MAX_TAGS || !labels.iter().all(is_label) {
        return Err(Problem::invalid(format!(
            "{name}: at most {MAX_TAGS}, each of 1 to {MAX_LABEL_CHARS} characters on one line"
        )));
    }
    Ok(())
}
