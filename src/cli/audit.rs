//! `frontdesk audit`

use std::process::ExitCode;

use anyhow::Result;

use super::Setup;
use super::deliveries::print_list;
use super::output::Output;
use crate::clock::rfc3339;
use crate::shapes;
use crate::store::{Audit, AuditAt};

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let store = setup.store()?;
    let at = AuditAt { now_ms: store.clock().now_ms(), overdue_ms: setup.config()?.audit.overdue.ms() };
    let audit = store.audit(at).await?;
    if setup.output.json {
        setup.output.json(&shapes::audit(&audit))?;
    } else {
        print(&audit, &setup.output)?;
    }
    Ok(if audit.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// One line, and a table of what was found.
pub(super) fn print(audit: &Audit, output: &Output) -> Result<()> {
    let checked: Vec<String> = audit.checked.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let what =
        if audit.findings.is_empty() { "nothing ended silently" } else { "these ended silently or no longer move" };
    output.line(&format!("{what} ({})", checked.join(", ")))?;
    if let Some(restored) = &audit.restored {
        let at = rfc3339(restored.at_ms);
        output.line(&format!(
            "restored at {at}: work from before is looked for on the ticket before it is written, however late it comes"
        ))?;
    }
    if audit.findings.is_empty() {
        return Ok(());
    }
    print_list(output, &shapes::audit(audit), &["thing", "id", "rule", "since"])?;
    output.line("`frontdesk why ID` tells of each what happened and who owns it")
}
