//! `frontdesk audit`

use std::process::ExitCode;

use anyhow::Result;

use super::Setup;
use super::deliveries::print_list;
use crate::clock::Clock;
use crate::shapes;
use crate::store::AuditAt;

pub(super) async fn run(setup: &Setup) -> Result<ExitCode> {
    let at = AuditAt { now_ms: Clock::System.now_ms(), overdue_ms: setup.config()?.audit.overdue.ms() };
    let audit = setup.store()?.audit(at).await?;
    let shape = shapes::audit(&audit);
    if setup.output.json {
        setup.output.json(&shape)?;
    } else {
        let checked: Vec<String> = audit.checked.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let what =
            if audit.findings.is_empty() { "nothing ended silently" } else { "these ended silently or no longer move" };
        setup.output.line(&format!("{what} ({})", checked.join(", ")))?;
        if !audit.findings.is_empty() {
            print_list(&setup.output, &shape, &["thing", "id", "rule", "since"])?;
            setup.output.line("`frontdesk why ID` tells of each what happened and who owns it")?;
        }
    }
    Ok(if audit.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
