//! What has come in, and where each stands.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Shown, go};
use super::api::{part, query};
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, Done, Reason};
use crate::domain::job::State as JobState;

pub(super) fn routes() -> Router<Arc<Console>> {
    Router::new()
        .route("/deliveries", get(list))
        .route("/deliveries/{id}", get(show))
        .route("/deliveries/{id}/body", post(body))
        .route("/deliveries/{id}/dismiss", post(dismiss))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    status: String,
    #[serde(rename = "type")]
    kind: String,
    q: String,
    cursor: String,
    done: Option<String>,
}

async fn list(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let Asked { status, kind, q, cursor, done } = asked;
    let given = query(&[("status", &status), ("type", &kind), ("q", q.trim()), ("cursor", &cursor)]);
    let deliveries = console.api.get(&visitor.person, &format!("/deliveries{given}")).await?;
    let page = Page::of(&console, &visitor, "/deliveries", "Deliveries").await?.done(done.as_deref());
    page.show(
        "deliveries.html",
        context! { deliveries => Serde(deliveries), status => status, kind => kind, q => q, states => JobState::ALL.map(JobState::word).to_vec() },
    )
}

async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Done>,
) -> Shown {
    console.delivery(&visitor, &id, &Value::Null, asked.done.as_deref()).await
}

/// The raw event: asked for, because every look at one is written down.
async fn body(State(console): State<Arc<Console>>, visitor: Visitor, Path(id): Path<String>) -> Shown {
    let body = console.api.get(&visitor.person, &format!("/deliveries/{}/body", part(&id))).await?;
    console.delivery(&visitor, &id, &body, None).await
}

async fn dismiss(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(given): Form<Reason>,
) -> Shown {
    let address = format!("/deliveries/{}", part(&id));
    console.api.post(&visitor.person, &format!("{address}/dismiss"), &json!({"reason": given.reason})).await?;
    Ok(go(&format!("{address}?done=dismissed")))
}

impl Console {
    async fn delivery(&self, visitor: &Visitor, id: &str, body: &Value, done: Option<&str>) -> Shown {
        let delivery = self.api.get(&visitor.person, &format!("/deliveries/{}", part(id))).await?;
        let why = self.api.get(&visitor.person, &format!("/why/{}", part(id))).await.ok();
        let page = Page::of(self, visitor, "/deliveries", format!("Delivery {id}")).await?.done(done);
        page.show("delivery.html", context! { delivery => Serde(delivery), why => Serde(&why), body => Serde(body) })
    }
}
