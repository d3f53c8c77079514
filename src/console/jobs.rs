//! The back office's work, and what a person may do about a failed one.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Failure, Shown, go};
use super::api::{part, query};
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, Done, Reason};
use crate::domain::job::State as JobState;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/jobs", get(list))
        .route("/jobs/bulk", post(bulk))
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/{action}", post(act))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    status: String,
    cursor: String,
    done: Option<String>,
}

async fn list(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    console.jobs(&visitor, asked, &Value::Null, &Bulk::default(), None).await
}

async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Done>,
) -> Shown {
    let job = console.api.get(&visitor.person, &format!("/jobs/{}", part(&id))).await?;
    let effects = console.api.get(&visitor.person, &format!("/jobs/{}/effects", part(&id))).await?;
    let about = job["delivery_id"].as_str().or(job["resource_id"].as_str()).unwrap_or_default();
    let why = console.api.get(&visitor.person, &format!("/why/{}", part(about))).await.ok();
    let trail = console.api.get(&visitor.person, &format!("/audit-trail{}", query(&[("subject", &id)]))).await.ok();
    let page = Page::of(&console, &visitor, "/jobs", format!("Job {id}")).await?.done(asked.done.as_deref());
    page.show(
        "job.html",
        context! { job => Serde(job), effects => Serde(effects), why => Serde(&why), trail => Serde(&trail) },
    )
}

async fn act(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path((id, action)): Path<(String, String)>,
    Form(given): Form<Reason>,
) -> Shown {
    let done = match action.as_str() {
        "retry" => "retried",
        "discard" => "discarded",
        _ => return Err(super::no_such_page()),
    };
    let address = format!("/jobs/{}", part(&id));
    console.api.post(&visitor.person, &format!("{address}/{action}"), &given.body()).await?;
    Ok(go(&format!("{address}?done={done}")))
}

/// Many failed jobs at once: first what it would be, then it is done.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Bulk {
    action: String,
    status: String,
    cause: String,
    workflow: String,
    reason: String,
    /// Whether somebody has seen what it would be.
    sure: String,
}

async fn bulk(State(console): State<Arc<Console>>, visitor: Visitor, Form(bulk): Form<Bulk>) -> Shown {
    let is_sure = bulk.sure == "yes";
    let body = json!({
        "action": bulk.action,
        "reason": Some(&bulk.reason).filter(|reason| !reason.trim().is_empty()),
        "dry_run": !is_sure,
        "filter": {
            "all": bulk.cause.is_empty() && bulk.workflow.is_empty(),
            "status": bulk.status,
            "cause": Some(&bulk.cause).filter(|cause| !cause.is_empty()),
            "workflow": Some(&bulk.workflow).filter(|workflow| !workflow.is_empty()),
        },
    });
    let asked = Asked { status: bulk.status.clone(), ..Asked::default() };
    match console.api.post(&visitor.person, "/jobs/bulk", &body).await {
        Ok(_) if is_sure => Ok(go(&format!("/jobs{}", query(&[("status", &bulk.status), ("done", "bulk")])))),
        Ok(found) => console.jobs(&visitor, asked, &found, &bulk, None).await,
        Err(failure) => console.jobs(&visitor, asked, &Value::Null, &bulk, Some(failure.said()?)).await,
    }
}

impl Console {
    async fn jobs(
        &self,
        visitor: &Visitor,
        asked: Asked,
        preview: &Value,
        bulk: &Bulk,
        wrong: Option<String>,
    ) -> Shown {
        let given = query(&[("status", &asked.status), ("cursor", &asked.cursor)]);
        let jobs: Result<Value, Failure> = self.api.get(&visitor.person, &format!("/jobs{given}")).await;
        let page = Page::of(self, visitor, "/jobs", "Jobs").await?.done(asked.done.as_deref());
        page.show(
            "jobs.html",
            context! {
                jobs => Serde(jobs?), status => asked.status, states => JobState::ALL.map(JobState::word).to_vec(),
                preview => Serde(preview), wrong => wrong, action => bulk.action.clone(), cause => bulk.cause.clone(),
                workflow => bulk.workflow.clone(), reason => bulk.reason.clone(),
            },
        )
    }
}
