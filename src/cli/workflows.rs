//! `frontdesk workflows list|show`

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use super::Setup;
use super::output::{Output, shown};
use crate::app;
use crate::shapes;
use crate::workflows::{Catalogue, Workflow};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All of them, those of your settings too.
    List,
    /// What one may change, its prompt and its schema.
    Show {
        /// As summary.
        name: String,
    },
}

pub(super) fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let catalogue = app::workflows(&setup.config()?)?;
    match command {
        Command::List => list(&setup.output, &catalogue)?,
        Command::Show { name } => {
            let workflow = catalogue
                .named(&name)
                .with_context(|| format!("there is no workflow {name:?}; see `frontdesk workflows list`"))?;
            show(&setup.output, workflow)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(output: &Output, catalogue: &Catalogue) -> Result<()> {
    if output.json {
        let items: Vec<_> = catalogue.all().iter().map(shapes::workflow).collect();
        return output.json(&json!({"items": items, "next_cursor": null}));
    }
    let row = |workflow: &Workflow| {
        let slots: Vec<&str> = workflow.effects.iter().map(|may| may.slot.word()).collect();
        vec![workflow.name.clone(), workflow.about.clone(), slots.join(", "), workflow.prompt_version.clone()]
    };
    let rows: Vec<Vec<String>> = catalogue.all().iter().map(row).collect();
    output.table(&["name", "about", "effects", "prompt_version"], &rows)
}

fn show(output: &Output, workflow: &Workflow) -> Result<()> {
    if output.json {
        return output.json(&shapes::workflow(workflow));
    }
    let line = |key: &str, text: &str| output.line(&format!("{key:<16} {}", shown(text)));
    line("name", &workflow.name)?;
    line("about", &workflow.about)?;
    line("prompt_version", &workflow.prompt_version)?;
    line("model", workflow.model.as_deref().unwrap_or("that of openai.model"))?;
    for may in &workflow.effects {
        line("may change", &format!("{}: {}", may.slot.word(), may.what))?;
    }
    line("reviewer's text", workflow.text_slot.map_or("has no place", |slot| slot.word()))?;
    output.line("\ninstructions")?;
    workflow.instructions.lines().try_for_each(|text| output.line(&format!("  {}", shown(text))))?;
    match &workflow.schema {
        None => output.line("\nno schema: plain text"),
        Some(schema) => {
            let strict = if workflow.is_strict() { "followed to the letter" } else { "followed as well as it can" };
            output.line(&format!("\nschema, {strict} by OpenAI and checked here"))?;
            let schema = serde_json::to_string_pretty(schema)?;
            schema.lines().try_for_each(|text| output.line(&format!("  {}", shown(text))))
        }
    }
}
