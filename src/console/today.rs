//! Is anything wrong, in one glance.

use std::sync::Arc;

use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde_json::{Value, json};

use super::answer::{Failure, Shown};
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, Done, charts};
use crate::domain::person::Person;

pub(super) async fn show(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Done>) -> Shown {
    let stats = console.api.get(&visitor.person, "/stats").await?;
    let rates = console.api.get(&visitor.person, "/rates?hours=24").await?;
    let newest = console.api.get(&visitor.person, "/deliveries?limit=1").await?;
    let rows = rates["items"].as_array().cloned().unwrap_or_default();
    let page = Page::of(&console, &visitor, "/", "Today").await?.done(asked.done.as_deref());
    page.show(
        "today.html",
        context! {
            stats => Serde(stats), last => Serde(&newest["items"][0]["received_at"]), rates => Serde(&rows),
            rate_chart => charts::lines("Arrived and applied", &rows, &[("arrived", "arrived"), ("applied", "applied")]),
            latency_chart => charts::lines("Delivery to ticket", &in_seconds(&rows), &[("p50", "half within"), ("p95", "95 % within")]),
            latency => Serde(newest_known(&rows)),
        },
    )
}

fn in_seconds(rows: &[Value]) -> Vec<Value> {
    let seconds = |ms: &Value| ms.as_f64().map(|ms| ms / 1000.0);
    let one = |row: &Value| json!({"at": row["at"], "p50": seconds(&row["latency_p50_ms"]), "p95": seconds(&row["latency_p95_ms"])});
    rows.iter().map(one).collect()
}

/// The newest stretch of time in which anything was applied.
fn newest_known(rows: &[Value]) -> Value {
    let known = rows.iter().rev().find(|row| !row["latency_p50_ms"].is_null());
    known.map_or(
        json!({"p50": null, "p95": null}),
        |row| json!({"p50": row["latency_p50_ms"], "p95": row["latency_p95_ms"]}),
    )
}

impl Console {
    /// What stands beside the navigation on every page.
    pub(super) async fn waiting(&self, person: &Person) -> Result<Value, Failure> {
        let stats = self.api.get(person, "/stats").await?;
        Ok(json!({
            "reviews": stats["open_reviews"]["count"],
            "failed": stats["states"]["failed_final"]["count"],
        }))
    }
}
