//! `frontdesk pause|resume|pauses`

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::Setup;
use super::deliveries::print_list;
use crate::app;
use crate::shapes;
use crate::store::Pausable;

#[derive(clap::Args)]
pub(super) struct What {
    /// workflow or dependency.
    #[arg(value_parser = ["workflow", "dependency"])]
    kind: String,
    /// A workflow's name; openai or helpdesk for a dependency.
    name: String,
}

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    what: What,
    /// Why; shown to everybody who meets the pause.
    #[arg(long)]
    reason: String,
}

impl What {
    fn pausable(&self) -> Result<Pausable> {
        match Pausable::parse(&self.kind, &self.name) {
            Some(what) => Ok(what),
            None => bail!("there is no {} {:?}; dependencies are openai and helpdesk", self.kind, self.name),
        }
    }
}

pub(super) async fn pause(args: Args, setup: &Setup) -> Result<ExitCode> {
    let what = args.what.pausable()?;
    let config = setup.config()?;
    let workflows = app::workflows(&config)?;
    if let Pausable::Workflow(name) = &what
        && workflows.named(name).is_none()
    {
        let known: Vec<&str> = workflows.all().iter().map(|workflow| workflow.name.as_str()).collect();
        bail!("there is no workflow named {name:?}; there are: {}", known.join(", "));
    }
    if args.reason.trim().is_empty() {
        bail!("a pause needs a reason");
    }
    let store = setup.store()?;
    if !store.pause(what, setup.person().name, args.reason, store.clock().now_ms()).await? {
        bail!("{} {} is paused already; `frontdesk pauses` says by whom", args.what.kind, args.what.name);
    }
    list(setup).await
}

pub(super) async fn resume(what: What, setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    if !store.resume(what.pausable()?, setup.person().name, store.clock().now_ms()).await? {
        bail!("{} {} is not paused; `frontdesk pauses` lists what is", what.kind, what.name);
    }
    list(setup).await
}

pub(super) async fn list(setup: &Setup) -> Result<ExitCode> {
    let items: Vec<_> = setup.store()?.pauses().await?.iter().map(shapes::pause).collect();
    let page = json!({"items": items, "next_cursor": null});
    print_list(&setup.output, &page, &["kind", "name", "actor", "reason", "since"])?;
    Ok(ExitCode::SUCCESS)
}
