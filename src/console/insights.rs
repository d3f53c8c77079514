//! For leads: how things go over days.

use std::sync::Arc;

use axum::extract::{Query, State};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use super::answer::Shown;
use super::api::query;
use super::render::Page;
use super::visitor::Visitor;
use super::{Console, charts};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    days: String,
}

pub(super) async fn show(State(console): State<Arc<Console>>, visitor: Visitor, Query(asked): Query<Asked>) -> Shown {
    let days = if asked.days.is_empty() { "30" } else { &asked.days };
    let insights = console.api.get(&visitor.person, &format!("/insights{}", query(&[("days", days)]))).await?;
    let rows = |name: &str| insights[name].as_array().cloned().unwrap_or_default();
    let drafts = charts::lines(
        "Drafts by day",
        &rows("drafts_by_day"),
        &[("kept", "as they were"), ("edited", "edited"), ("rejected", "rejected")],
    );
    let qa = charts::lines("Quality by day", &rows("qa_by_day"), &[("mean", "mean of 100")]);
    let categories = charts::bars("Categories", &rows("categories"), "name", "count");
    let page = Page::of(&console, &visitor, "/insights", "Insights").await?;
    page.show(
        "insights.html",
        context! {
            insights => Serde(&insights), days => days, drafts_chart => drafts, qa_chart => qa,
            categories_chart => categories,
        },
    )
}
