//! What hears from a helpdesk, as the settings ask for it.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Parts, duration, outside, patience};
use crate::config::{DEFAULT_PROJECT, HelpdeskStarts};
use crate::helpdesk::Happened;
use crate::hooks::{self, Hooks};
use crate::store::Starts;

/// None when the tickets live here.
pub(super) fn hooks(parts: &Parts<'_>) -> Result<Option<Arc<Hooks>>> {
    let Some(desk) = outside(parts.config, &parts.clock)? else { return Ok(None) };
    let set = &parts.config.helpdesk;
    let secret = set.webhook_secret.as_ref().map(|secret| secret.reveal().trim().as_bytes().to_vec());
    let (store, clock, metrics) = (parts.store.clone(), parts.clock.clone(), Arc::clone(&parts.metrics));
    let starts = starts(parts, &set.starts)?;
    Ok(Some(Hooks::new(store, clock, desk, secret.unwrap_or_default(), starts, metrics)))
}

/// With the route for its webhooks.
pub(super) fn with_hooks(router: Router, hooks: Option<&Arc<Hooks>>) -> Router {
    match hooks {
        Some(hooks) => router.merge(hooks::router(Arc::clone(hooks))),
        None => router,
    }
}

/// Asks it every so often, when the settings say so.
pub(super) fn asking(parts: &Parts<'_>, hooks: Option<Arc<Hooks>>, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    let (hooks, poll) = hooks.zip(parts.config.helpdesk.poll)?;
    Some(tokio::spawn(hooks::ask_until(hooks, parts.node.clone(), duration(poll), stop.clone())))
}

/// What starts what: each workflow and the project have to be there.
fn starts(parts: &Parts<'_>, set: &HelpdeskStarts) -> Result<Starts> {
    let workflows = set.workflows();
    if let Some((what, _)) = workflows.iter().find(|(_, name)| parts.trial.workflows.named(name).is_none()) {
        let hint = "`frontdesk workflows list` shows those there are";
        let text = format!("helpdesk.starts.{what}: there is no workflow of this name; {hint}");
        return Err(parts.config.refused(&text).into());
    }
    let project = set.project.clone().unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    if !parts.projects.iter().any(|one| one.name == project) {
        let text = "helpdesk.starts.project is not one of the projects in these settings";
        return Err(parts.config.refused(text).into());
    }
    Ok(Starts {
        project,
        workflows: workflows.into_iter().map(|(what, workflow)| (what, workflow.clone())).collect(),
        redrafts: set.redraft.then_some(Happened::CustomerWrote.word()),
        settle_ms: set.settle.ms(),
        per_ticket: set.per_ticket,
        per_hour: set.per_hour,
        tokens_a_day: set.tokens_a_day,
        patience: patience(parts.config, &parts.projects),
    })
}
