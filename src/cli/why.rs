//! `frontdesk why`

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::Value;

use super::Setup;
use super::output::{Output, cell, shown};
use crate::app;
use crate::shapes;

#[derive(clap::Args)]
pub(super) struct Args {
    /// A ticket, response, batch, event, delivery, job, submission or review id;
    /// or a line of a batch, as `batch_…/T-1001`.
    id: String,
}

pub(super) async fn run(args: Args, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let Some(trail) = store.trail(args.id.clone()).await? else {
        bail!(
            "nothing is known of {:?}: no ticket, response, batch, event, delivery, job or review has this id",
            args.id
        );
    };
    // A policy that cannot be read is no reason to answer nothing.
    let config = setup.config()?;
    let policy = app::workflows(&config).and_then(|workflows| app::policy(&config, &workflows)).ok();
    let why = shapes::why(&args.id, &trail, policy.as_ref(), store.clock().now_ms());
    if setup.output.json {
        setup.output.json(&why)?;
    } else {
        print(&setup.output, &why)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(output: &Output, why: &Value) -> Result<()> {
    let named = [
        ("ticket", "ticket_id"),
        ("workflow", "workflow"),
        ("resource", "resource_id"),
        ("batch", "batch_id"),
        ("line", "line"),
        ("job", "job_id"),
        ("review", "review_id"),
    ];
    let ids: Vec<String> = named
        .iter()
        .filter(|(_, key)| !why[*key].is_null())
        .map(|(name, key)| format!("{name} {}", shown(&cell(why, key))))
        .collect();
    output.line(&ids.join(" · "))?;
    output.line(&format!("status: {}\n", standing(output, why)))?;
    for answer in why["answers"].as_array().into_iter().flatten() {
        let at = cell(answer, "at");
        let at = if at.is_empty() { at } else { format!("   {at}") };
        output.line(&format!("  {:<28} {}{at}", cell(answer, "question"), shown(&cell(answer, "answer"))))?;
    }
    output.line(&format!("\nnext:  {}\nowner: {}", shown(&cell(why, "next")), cell(why, "owner")))?;
    let topics = why["topics"].as_array().into_iter().flatten();
    for topic in topics {
        let owner = cell(topic, "owner");
        let owner = if owner.is_empty() { "nobody named by the policy".to_owned() } else { owner };
        output.line(&format!("topic {}: {}", shown(&cell(topic, "topic")), shown(&owner)))?;
    }
    let others: Vec<&str> = why["others"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !others.is_empty() {
        output.line(&format!("other work on this ticket: {}", shown(&others.join(", "))))?;
    }
    Ok(())
}

/// Where the work stands, and the batch that it is or belongs to.
fn standing(output: &Output, why: &Value) -> String {
    let words = [cell(why, "status"), cell(why, "outcome")];
    let mut said: Vec<String> = words.iter().filter(|word| !word.is_empty()).map(|word| output.paint(word)).collect();
    match cell(why, "batch_state") {
        state if state.is_empty() => {}
        state => said.push(format!("the batch is {}", output.paint(&state))),
    }
    if said.is_empty() { "nothing has arrived".to_owned() } else { said.join(", ") }
}
