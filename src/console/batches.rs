//! Batches: how far each is, what it would change, and the decision about it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::answer::{Shown, go};
use super::api::{part, query};
use super::render::Page;
use super::visitor::Visitor;
use crate::domain::batch::{self, State as BatchState};

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/batches", get(list).post(create))
        .route("/batches/{id}", get(show))
        .route("/batches/{id}/{action}", post(act))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: String,
    outcome: String,
    cursor: String,
    done: Option<String>,
}

async fn list(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let given = query(&[("state", &asked.state), ("cursor", &asked.cursor)]);
    let batches = console.api.get(&visitor.person, &format!("/batches{given}")).await?;
    let workflows = console.api.get(&visitor.person, "/workflows").await?;
    let page = Page::of(&console, &visitor, "/batches", "Batches").await?.done(asked.done.as_deref());
    page.show(
        "batches.html",
        context! {
            batches => Serde(batches), state => asked.state, workflows => Serde(workflows),
            states => BatchState::ALL.map(BatchState::word).to_vec(),
        },
    )
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewBatch {
    workflow: String,
    status: String,
    queue: String,
    tag: String,
    unclassified: String,
    cap: String,
}

async fn create(State(console): State<Arc<Console>>, visitor: Visitor, Form(new): Form<NewBatch>) -> Shown {
    let given = |text: &str| if text.trim().is_empty() { Value::Null } else { json!(text.trim()) };
    let filter = json!({
        "status": given(&new.status), "queue": given(&new.queue), "tag": given(&new.tag),
        "unclassified": new.unclassified == "yes",
    });
    let body = json!({"workflow": new.workflow, "filter": filter, "cap": new.cap.trim().parse::<i64>().ok()});
    let made = console.api.post(&visitor.person, "/batches", &body).await?;
    Ok(go(&format!("/batches/{}?done=batch", part(made["batch_id"].as_str().unwrap_or_default()))))
}

async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Shown {
    console.batch(&visitor, &id, asked, None).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    version: i64,
    reason: String,
}

async fn act(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path((id, action)): Path<(String, String)>,
    Form(given): Form<Given>,
) -> Shown {
    let done = match action.as_str() {
        "apply" => "applied",
        "reject" => "rejected",
        "pause" => "paused",
        "resume" => "resumed",
        "undo" => "undoing",
        _ => return Err(super::no_such_page()),
    };
    let mut body = json!({"version": given.version});
    if matches!(action.as_str(), "reject" | "pause") && !given.reason.trim().is_empty() {
        body["reason"] = json!(given.reason.trim());
    }
    let address = format!("/batches/{}", part(&id));
    match console.api.post(&visitor.person, &format!("{address}/{action}"), &body).await {
        Ok(_) => Ok(go(&format!("{address}?done={done}"))),
        Err(failure) => console.batch(&visitor, &id, Asked::default(), Some(failure.said()?)).await,
    }
}

impl Console {
    async fn batch(&self, visitor: &Visitor, id: &str, asked: Asked, wrong: Option<String>) -> Shown {
        let (person, address) = (&visitor.person, format!("/batches/{}", part(id)));
        let batch = self.api.get(person, &address).await?;
        let given = query(&[("outcome", &asked.outcome), ("cursor", &asked.cursor), ("limit", "25")]);
        let lines = self.api.get(person, &format!("{address}/lines{given}")).await?;
        let sample = self.api.get(person, &format!("{address}/sample")).await.ok();
        let page = Page::of(self, visitor, "/batches", format!("Batch {id}")).await?.done(asked.done.as_deref());
        page.show(
            "batch.html",
            context! {
                batch => Serde(batch), lines => Serde(lines), sample => Serde(&sample), outcome => asked.outcome,
                outcomes => batch::outcomes(), wrong => wrong,
            },
        )
    }
}
