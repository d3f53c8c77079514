//! How things go over time: for everybody the last hours, for leads the last days.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Web;
use super::access::Caller;
use super::input::Asked;
use super::problem::Problem;
use crate::domain::measure::Span;
use crate::domain::person::Role;
use crate::shapes;

/// Hours unless somebody says so, and at most.
const HOURS: (i64, i64) = (24, 168);
/// Days unless somebody says so, and at most.
const DAYS: (i64, i64) = (30, 366);

pub(super) async fn rates(State(web): State<Arc<Web>>, _: Caller, Asked(query): Asked) -> Result<Json<Value>, Problem> {
    let (hours, now_ms) = (within("hours", query.hours, HOURS)?, web.clock.now_ms());
    let from_ms = Span::TenMinutes.begin(now_ms - hours * 3_600_000);
    let samples = web.store.samples(Span::TenMinutes, from_ms, now_ms).await?;
    Ok(Json(json!({"span_s": Span::TenMinutes.ms() / 1000, "items": shapes::rates(&samples), "next_cursor": null})))
}

fn within(name: &str, given: Option<i64>, (usual, most): (i64, i64)) -> Result<i64, Problem> {
    let given = given.unwrap_or(usual);
    if (1..=most).contains(&given) {
        return Ok(given);
    }
    Err(Problem::invalid(format!("{name} must be between 1 and {most}")))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Asked(query): Asked,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    Ok(Json(of(&web, within("days", query.days, DAYS)?).await?))
}

async fn of(web: &Web, days: i64) -> Result<Value, Problem> {
    let now_ms = web.clock.now_ms();
    let from_ms = Span::Day.begin(now_ms) - (days - 1) * Span::Day.ms();
    let before_ms = from_ms - days * Span::Day.ms();
    let samples = web.store.samples(Span::Day, before_ms, now_ms).await?;
    let drafts = web.store.feedback(Some(from_ms)).await?;
    let by_day = web.store.feedback_by_day(from_ms).await?;
    Ok(shapes::insights(&samples, (before_ms, from_ms, now_ms), (&drafts, &by_day), web.prices))
}

pub(super) async fn csv(State(web): State<Arc<Web>>, caller: Caller, Asked(query): Asked) -> Result<Response, Problem> {
    caller.must_be(Role::Lead)?;
    let days = within("days", query.days, DAYS)?;
    let what = query.what.as_deref().unwrap_or_default();
    let unknown = || Problem::invalid(format!("what must be one of {}", shapes::INSIGHTS.join(", ")));
    if !shapes::INSIGHTS.contains(&what) {
        return Err(unknown());
    }
    let table = shapes::insights_table(&of(&web, days).await?, what).ok_or_else(unknown)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = table.iter().try_for_each(|row| writer.write_record(row));
    let text = written.ok().and_then(|()| writer.into_inner().ok());
    let text = text.ok_or_else(|| Problem::new(500, "Internal error", "the table could not be written"))?;
    let name = format!("attachment; filename=\"frontdesk-{what}.csv\"");
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], text)
        .into_response())
}
