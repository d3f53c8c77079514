//! `frontdesk restored`

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use crate::clock::rfc3339;
use crate::shapes;
use crate::store::Marked;

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let marked = store.mark_restored(setup.person().name, store.clock().now_ms()).await?;
    if setup.output.json {
        let mut told = shapes::restored(&marked.restored);
        told["starts_in_doubt"] = json!(marked.starts_in_doubt);
        setup.output.json(&told)?;
    } else {
        print_mark(setup, &marked)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a restored database does from here on.
pub(super) fn print_mark(setup: &Setup, marked: &Marked) -> Result<()> {
    let at = rfc3339(marked.restored.at_ms);
    setup.output.line(&format!(
        "Marked as restored at {at}: work from before is looked for on the ticket before it is written, however late it comes."
    ))?;
    if marked.starts_in_doubt > 0 {
        setup.output.line(&format!(
            "{} planned starts may have been made since the copy. They are not made again: `frontdesk submissions list --state unknown`",
            marked.starts_in_doubt
        ))?;
    }
    Ok(())
}
