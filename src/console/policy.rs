//! The policy in force: what it is about, what it does; a box to try it in, and
//! what another one would have changed.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::answer::{Failure, Shown};
use super::render::Page;
use super::visitor::Visitor;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new().route("/policy", get(show)).route("/policy/test", post(test)).route("/policy/replay", post(replay))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tried {
    workflow: String,
    ticket_id: String,
    subject: String,
    message: String,
    output: String,
    /// Of another policy.
    text: String,
    since: String,
}

async fn show(State(console): State<Arc<Console>>, visitor: Visitor) -> Shown {
    console.policy(&visitor, &Tried::default(), Ok((Value::Null, Value::Null))).await
}

async fn test(State(console): State<Arc<Console>>, visitor: Visitor, Form(tried): Form<Tried>) -> Shown {
    let mut body = json!({"workflow": tried.workflow, "output": tried.output.replace("\r\n", "\n")});
    if tried.ticket_id.trim().is_empty() {
        let message = json!({"author": "customer", "body": tried.message.replace("\r\n", "\n")});
        body["ticket"] = json!({"subject": tried.subject, "messages": [message]});
    } else {
        body["ticket_id"] = json!(tried.ticket_id.trim());
    }
    let found = console.api.post(&visitor.person, "/policy/test", &body).await;
    console.policy(&visitor, &tried, found.map(|found| (found, Value::Null))).await
}

async fn replay(State(console): State<Arc<Console>>, visitor: Visitor, Form(tried): Form<Tried>) -> Shown {
    let given = |text: &str| if text.trim().is_empty() { Value::Null } else { json!(text.trim()) };
    let body = json!({"text": given(&tried.text.replace("\r\n", "\n")), "since": given(&tried.since)});
    let found = console.api.post(&visitor.person, "/policy/replay", &body).await;
    console.policy(&visitor, &tried, found.map(|found| (Value::Null, found))).await
}

impl Console {
    async fn policy(&self, visitor: &Visitor, tried: &Tried, found: Result<(Value, Value), Failure>) -> Shown {
        let policy = self.api.get(&visitor.person, "/policy").await?;
        let workflows = self.api.get(&visitor.person, "/workflows").await?;
        let (found, wrong) = match found {
            Ok(found) => (found, None),
            Err(failure) => ((Value::Null, Value::Null), Some(failure.said()?)),
        };
        let page = Page::of(self, visitor, "/policy", "Policy").await?;
        page.show(
            "policy.html",
            context! {
                policy => Serde(policy), workflows => Serde(workflows), result => Serde(found.0),
                replay => Serde(found.1), wrong => wrong, workflow => tried.workflow.clone(),
                ticket_id => tried.ticket_id.clone(), subject => tried.subject.clone(),
                message => tried.message.clone(), output => tried.output.clone(), text => tried.text.clone(),
                since => tried.since.clone(),
            },
        )
    }
}
