//! `frontdesk workflows list|show`

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use super::Setup;
use super::deliveries::{print_list, print_one};
use crate::app;
use crate::shapes;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// All of them.
    List,
    /// Prompt and schema of one.
    Show {
        /// As summary.
        name: String,
    },
}

pub(super) fn run(command: Command, setup: &Setup) -> Result<ExitCode> {
    let catalogue = app::workflows(&setup.config()?);
    let output = &setup.output;
    match command {
        Command::List => {
            let items: Vec<_> = catalogue.all().iter().map(shapes::workflow).collect();
            print_list(output, &json!({"items": items, "next_cursor": null}), &["name", "about", "prompt_version"])?;
        }
        Command::Show { name } => {
            let workflow = catalogue
                .named(&name)
                .with_context(|| format!("there is no workflow {name:?}; see `frontdesk workflows list`"))?;
            print_one(output, &shapes::workflow(workflow))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
