//! What became of every ticket, as a table, a line each, or JSON.

use anyhow::Result;
use serde_json::{Value, json};

use super::ending::Actual;
use super::scenario::Case;
use crate::cli::audit;
use crate::cli::output::Output;
use crate::shapes;
use crate::store::Audit;

type Ended = (&'static Case, Actual);

/// One ending as it is seen.
pub(super) fn line(case: &Case, actual: &Actual, output: &Output) -> String {
    let end = if actual.outcome.is_empty() { &actual.state } else { &actual.outcome };
    let reason = if actual.reason.is_empty() { String::new() } else { format!(" ({})", actual.reason) };
    format!("{:<7} {:<19} {:<52} {}{reason}", case.ticket.unwrap_or("-"), case.workflow, case.story, output.paint(end))
}

/// Whether each ended as it should, and nothing silently.
pub(super) fn all_good(ended: &[Ended], audit: &Audit) -> bool {
    audit.findings.is_empty() && ended.iter().all(|(case, actual)| case.is_met_by(actual))
}

/// The table at the end, and what the audit says.
pub(super) fn print(ended: &[Ended], audit: &Audit, output: &Output) -> Result<()> {
    if output.json {
        let items: Vec<Value> = ended.iter().map(|(case, actual)| shape(case, actual)).collect();
        return output.json(&json!({"ok": all_good(ended, audit), "audit": shapes::audit(audit), "items": items}));
    }
    let rows: Vec<Vec<String>> = ended.iter().map(|(case, actual)| row(case, actual)).collect();
    output.table(
        &[
            "ticket",
            "workflow",
            "at OpenAI",
            "webhooks",
            "status",
            "outcome",
            "reason",
            "on the ticket",
            "as it should",
        ],
        &rows,
    )?;
    let wrong = ended.iter().filter(|(case, actual)| !case.is_met_by(actual)).count();
    output.line(&match wrong {
        0 => format!("{} of {} ended as they should", ended.len(), ended.len()),
        wrong => format!("{wrong} of {} did not end as they should", ended.len()),
    })?;
    audit::print(audit, output)
}

fn row(case: &Case, actual: &Actual) -> Vec<String> {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    vec![
        case.ticket.unwrap_or("-").to_owned(),
        case.workflow.to_owned(),
        case.story.to_owned(),
        actual.deliveries.to_string(),
        actual.state.clone(),
        dash(&actual.outcome),
        dash(&actual.reason),
        dash(&actual.on_ticket.join(", ")),
        if case.is_met_by(actual) { "yes" } else { "no" }.to_owned(),
    ]
}

fn shape(case: &Case, actual: &Actual) -> Value {
    json!({
        "ticket_id": case.ticket,
        "workflow": case.workflow,
        "story": case.story,
        "webhooks": actual.deliveries,
        "attempts": actual.attempts,
        "status": actual.state,
        "outcome": actual.outcome,
        "reason": actual.reason,
        "on_ticket": actual.on_ticket,
        "next": actual.told,
        "ok": case.is_met_by(actual),
    })
}
