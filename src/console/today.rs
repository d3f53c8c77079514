//! Is anything wrong, in one glance.

use std::sync::Arc;

use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value;

use super::Console;
use super::Done;
use super::answer::{Failure, Shown};
use super::render::Page;
use super::visitor::Visitor;
use crate::domain::person::Person;

pub(super) async fn show(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Done>) -> Shown {
    let stats = console.api.get(&visitor.person, "/stats").await?;
    let page = Page::of(&console, &visitor, "/", "Today").await?.done(asked.done.as_deref());
    page.show("today.html", context! { stats => Serde(stats) })
}

impl Console {
    /// What stands beside the navigation on every page.
    pub(super) async fn waiting(&self, person: &Person) -> Result<Value, Failure> {
        let stats = self.api.get(person, "/stats").await?;
        Ok(serde_json::json!({
            "reviews": stats["open_reviews"]["count"],
            "failed": stats["states"]["failed_final"]["count"],
            "alerts": stats["alerts"].as_array().map_or(0, Vec::len),
        }))
    }
}
