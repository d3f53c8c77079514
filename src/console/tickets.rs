//! The tickets of the built-in desk: enough for a small team to work with.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Shown, go};
use super::api::{part, query};
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, Done};

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/tickets", get(list).post(create))
        .route("/tickets/{id}", get(show))
        .route("/tickets/{id}/messages", post(write))
        .route("/tickets/{id}/fields", post(change))
        .route("/tickets/{id}/start", post(start))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    cursor: String,
    done: Option<String>,
}

async fn list(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let tickets = console.api.get(&visitor.person, &format!("/tickets{}", query(&[("cursor", &asked.cursor)]))).await?;
    let page = Page::of(&console, &visitor, "/tickets", "Tickets").await?.done(asked.done.as_deref());
    page.show("tickets.html", context! { tickets => Serde(tickets) })
}

#[derive(Deserialize)]
struct NewTicket {
    subject: String,
    body: String,
    #[serde(default)]
    queue: String,
}

async fn create(State(console): State<Arc<Console>>, visitor: Visitor, Form(new): Form<NewTicket>) -> Shown {
    let queue = Some(new.queue.trim()).filter(|queue| !queue.is_empty());
    let message = json!({"author": "customer", "body": new.body.replace("\r\n", "\n")});
    let ticket = json!({"subject": new.subject, "queue": queue, "messages": [message]});
    let made = console.api.post(&visitor.person, "/tickets", &ticket).await?;
    Ok(go(&format!("/tickets/{}?done=created", part(made["id"].as_str().unwrap_or_default()))))
}

async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Done>,
) -> Shown {
    let person = &visitor.person;
    let ticket = console.api.get(person, &format!("/tickets/{}", part(&id))).await?;
    let why = console.api.get(person, &format!("/why/{}", part(&id))).await.ok();
    let of_it = query(&[("ticket", &id)]);
    let reviews = console.api.get(person, &format!("/reviews{of_it}")).await?;
    let workflows = console.api.get(person, "/workflows").await?;
    let page = Page::of(&console, &visitor, "/tickets", format!("Ticket {id}")).await?.done(asked.done.as_deref());
    page.show(
        "ticket.html",
        context! {
            ticket => Serde(ticket), why => Serde(&why), reviews => Serde(reviews), workflows => Serde(workflows),
        },
    )
}

#[derive(Deserialize)]
struct NewMessage {
    author: String,
    visibility: String,
    body: String,
}

async fn write(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(new): Form<NewMessage>,
) -> Shown {
    let body = json!({"author": new.author, "visibility": new.visibility, "body": new.body.replace("\r\n", "\n")});
    let address = format!("/tickets/{}", part(&id));
    console.api.post(&visitor.person, &format!("{address}/messages"), &body).await?;
    Ok(go(&format!("{address}?done=written")))
}

#[derive(Deserialize)]
struct Fields {
    status: String,
    queue: String,
    priority: String,
    intent: String,
    tags: String,
}

async fn change(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Shown {
    let tags: Vec<&str> = fields.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    let given = |text: &str| if text.trim().is_empty() { Value::Null } else { json!(text.trim()) };
    let body = json!({
        "status": given(&fields.status), "queue": given(&fields.queue), "priority": given(&fields.priority),
        "intent": given(&fields.intent), "tags": tags,
    });
    let address = format!("/tickets/{}", part(&id));
    console.api.send(&visitor.person, Method::PATCH, &address, &body).await?;
    Ok(go(&format!("{address}?done=changed")))
}

#[derive(Deserialize)]
struct Start {
    workflow: String,
}

async fn start(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(start): Form<Start>,
) -> Shown {
    let body = json!({"workflow": start.workflow, "ticket_id": id});
    console.api.post(&visitor.person, "/submissions", &body).await?;
    Ok(go(&format!("/tickets/{}?done=started", part(&id))))
}
