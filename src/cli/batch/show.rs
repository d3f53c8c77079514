//! `frontdesk batch show`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::follow::{self, Telling};
use super::next::{next, rests};
use super::{change_set, must_be_there};
use crate::cli::Setup;
use crate::cli::output::{Output, shown};
use crate::clock::rfc3339;
use crate::domain::batch::change_set::ChangeSet;
use crate::domain::batch::{Origin, State};
use crate::shapes;
use crate::store::{Batch, Part};

pub(super) async fn run(id: &str, watch: bool, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let batch = must_be_there(&store, id).await?;
    let is_live = setup.output.is_terminal() && !setup.output.json;
    let moves = !rests(&batch);
    if watch && setup.output.json {
        let followed = follow::until_rest(setup, &store, id, Telling::objects()).await?;
        return followed.map_or_else(|| follow::left(setup, id), |_| Ok(ExitCode::SUCCESS));
    }
    if is_live || !watch || !moves {
        print(setup, &batch)?;
    }
    if !moves || !(is_live || watch) {
        return Ok(ExitCode::SUCCESS);
    }
    match follow::until_rest(setup, &store, id, Telling::for_person(&setup.output)).await? {
        Some(batch) => print(setup, &batch).map(|()| ExitCode::SUCCESS),
        None => follow::left(setup, id),
    }
}

/// Prints a batch once.
pub(super) fn print(setup: &Setup, batch: &Batch) -> Result<()> {
    if setup.output.json {
        return setup.output.json(&shapes::batch(batch));
    }
    let page = Page(&setup.output);
    page.what(batch)?;
    page.parts(batch)?;
    page.lines(batch)?;
    if batch.count("result/ok") + batch.count("result/held") > 0 {
        let set = ChangeSet::of(&batch.counts, &batch.before);
        change_set::print(&setup.output, &set, setup.config()?.batch.drift)?;
    }
    page.people(batch)?;
    page.next(batch)
}

/// One batch for a person: a word and what it is, line by line.
struct Page<'a>(&'a Output);

impl Page<'_> {
    fn row(&self, name: &str, text: &str) -> Result<()> {
        self.0.line(&format!("{name:<12} {}", shown(text)))
    }

    fn what(&self, batch: &Batch) -> Result<()> {
        let state = self.0.paint(batch.state.word());
        self.0.line(&format!(
            "{:<12} {state} since {}, version {}",
            shown(&batch.id),
            rfc3339(batch.since_ms),
            batch.version
        ))?;
        let prompt = batch.prompt_version.as_deref().map(|version| format!(", prompt {version}"));
        self.row(
            "workflow",
            &format!("{}{} in project {}", batch.workflow, prompt.unwrap_or_default(), batch.project),
        )?;
        let asked = match batch.origin {
            Origin::Person => format!("by {}", batch.actor),
            Origin::Schedule => format!("by the schedule {}", batch.actor),
            Origin::Requeue => format!("with what was not done of {}", batch.again_of.as_deref().unwrap_or("another")),
            Origin::Elsewhere => "by another program".to_owned(),
        };
        self.row("started", &format!("{asked} at {}", rfc3339(batch.created_at_ms)))
    }

    fn parts(&self, batch: &Batch) -> Result<()> {
        for part in &batch.parts {
            let id = part.resource_id.as_deref().unwrap_or(&part.id);
            let status =
                part.status.as_deref().unwrap_or(if part.resource_id.is_some() { "sent" } else { "not sent yet" });
            let lines = if part.lines > 0 { format!(", {} lines", part.lines) } else { String::new() };
            self.row(&format!("part {}", part.number), &format!("{id} {status}{lines}{}", said(&part.said)))?;
            self.errors(part)?;
        }
        Ok(())
    }

    fn errors(&self, part: &Part) -> Result<()> {
        let errors: Vec<&Value> = part.errors.as_array().into_iter().flatten().collect();
        for error in errors.iter().take(MOST_ERRORS) {
            let code = error[0].as_str().unwrap_or("without a code");
            let at = error[1].as_i64().map_or_else(String::new, |line| format!(", input line {line}"));
            self.row("", &format!("error {code}{at}"))?;
        }
        match errors.len().saturating_sub(MOST_ERRORS) {
            0 => Ok(()),
            more => self.row("", &format!("and {more} errors more, which --json shows")),
        }
    }

    fn lines(&self, batch: &Batch) -> Result<()> {
        let lines = batch.count("lines");
        if lines == 0 && batch.counts.is_empty() {
            return Ok(());
        }
        self.row("lines", &format!("{lines}: {}", listed(batch, "result/")))?;
        for (name, kind) in [("became", "fate/"), ("reasons", "reason/"), ("left out", "left_out/")] {
            let list = listed(batch, kind);
            if !list.is_empty() {
                self.row(name, &list)?;
            }
        }
        Ok(())
    }

    fn people(&self, batch: &Batch) -> Result<()> {
        let why = batch.waits_for.as_deref().map(|why| format!(", because of its {why}")).unwrap_or_default();
        match &batch.decided_by {
            Some(by) => self.row("decided", &format!("by {by}{}; a person was asked{why}", at(batch.decided_at_ms)))?,
            None if batch.state == State::Waiting => self.row("waits", &format!("for a person{why}"))?,
            None => {}
        }
        if let Some(by) = &batch.paused_by {
            let why = batch.pause_reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            self.row("paused", &format!("by {by}{}{why}", at(batch.paused_at_ms)))?;
        }
        if let Some(by) = &batch.undone_by {
            self.row("undone", &format!("by {by}"))?;
        }
        batch.error.as_deref().map_or(Ok(()), |error| self.row("error", error))
    }

    fn next(&self, batch: &Batch) -> Result<()> {
        let next = next(batch);
        self.row("next", &next.says)?;
        next.owner.map_or(Ok(()), |owner| self.row("owner", owner))
    }
}

/// OpenAI's errors that are printed of a part.
const MOST_ERRORS: usize = 10;

fn at(ms: Option<i64>) -> String {
    ms.map(|ms| format!(" at {}", rfc3339(ms))).unwrap_or_default()
}

/// What OpenAI counts, which need not be what its files hold.
fn said(said: &Value) -> String {
    let counts = said.as_object().into_iter().flatten().filter_map(|(name, count)| Some((name, count.as_i64()?)));
    let list: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    if list.is_empty() { String::new() } else { format!("; OpenAI counts {}", list.join(", ")) }
}

/// The counts of one kind that are not 0, the largest first.
fn listed(batch: &Batch, kind: &str) -> String {
    let named = |(name, count): (&String, &i64)| Some((name.strip_prefix(kind)?.to_owned(), *count));
    let mut list: Vec<(String, i64)> = batch.counts.iter().filter_map(named).filter(|(_, count)| *count != 0).collect();
    list.sort_by_key(|(name, count)| (-count, name.clone()));
    list.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
