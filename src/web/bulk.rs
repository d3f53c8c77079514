//! Many jobs or deliveries at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::access::Caller;
use super::deliveries::parse_state;
use super::input::Input;
use super::jobs::said;
use super::problem::Problem;
use crate::domain::person::Role;
use crate::operators::{Bulk, Replay, known_cause, point_in_time};
use crate::shapes;
use crate::store::{FailedFilter, Remedy, Window};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jobs {
    action: String,
    #[serde(default)]
    filter: Filter,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
    limit: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Filter {
    all: bool,
    status: Option<String>,
    cause: Option<String>,
    workflow: Option<String>,
    event_type: Option<String>,
    project: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

pub(super) async fn jobs(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(asked): Input<Jobs>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let remedy = match (asked.action.as_str(), said(asked.reason)?) {
        ("retry", _) => Remedy::Retry,
        ("discard", Some(reason)) => Remedy::Discard { reason },
        ("discard", None) => return Err(Problem::invalid("a discard needs a reason")),
        _ => return Err(Problem::invalid("action must be retry or discard")),
    };
    let bulk = Bulk { filter: asked.filter.read(web.clock.now_ms())?, remedy, limit: asked.limit };
    let done = if asked.dry_run {
        bulk.look(&web.store).await?
    } else {
        bulk.run(&web.store, &web.clock, &caller.person.name, |_| {}).await?
    };
    Ok(Json(shapes::bulk(&done.found, done.done)))
}

impl Filter {
    fn read(self, now_ms: i64) -> Result<FailedFilter, Problem> {
        let waiting = match self.status.as_deref() {
            None | Some("failed_final") => false,
            Some("failed_retryable") => true,
            Some(_) => return Err(Problem::invalid("filter.status must be failed_final or failed_retryable")),
        };
        if let Some(cause) = &self.cause {
            known_cause(cause).map_err(Problem::invalid)?;
        }
        let filter = FailedFilter {
            waiting,
            cause: self.cause,
            workflow: self.workflow,
            event_type: self.event_type,
            project: self.project,
            since_ms: time(self.since.as_deref(), now_ms)?,
            until_ms: time(self.until.as_deref(), now_ms)?,
        };
        if filter == (FailedFilter { waiting, ..FailedFilter::default() }) && !self.all {
            return Err(Problem::invalid("the filter names nothing; say \"all\": true when all are meant"));
        }
        Ok(filter)
    }
}

fn time(text: Option<&str>, now_ms: i64) -> Result<Option<i64>, Problem> {
    text.map(|text| point_in_time(text, now_ms)).transpose().map_err(Problem::invalid)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deliveries {
    since: String,
    until: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    status: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn deliveries(
    State(web): State<Arc<Web>>,
    caller: Caller,
    Input(asked): Input<Deliveries>,
) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Lead)?;
    let now_ms = web.clock.now_ms();
    let window = Window {
        since_ms: point_in_time(&asked.since, now_ms).map_err(Problem::invalid)?,
        until_ms: time(asked.until.as_deref(), now_ms)?.unwrap_or(now_ms),
        event_type: asked.event_type,
        status: parse_state(asked.status.as_deref())?,
        all: asked.all,
    };
    let replay = Replay { window };
    let replayed = if asked.dry_run {
        replay.look(&web.store).await?
    } else {
        replay.run(&web.store, &web.clock, &caller.person.name, |_| {}).await?
    };
    Ok(Json(shapes::replayed(&replayed, asked.dry_run)))
}
