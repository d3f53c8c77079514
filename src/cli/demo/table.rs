//! What became of every ticket, as a table, a line each, or JSON.

use anyhow::Result;
use serde_json::{Value, json};

use super::ending::Actual;
use super::scenario::{Case, Start};
use crate::cli::audit;
use crate::cli::output::Output;
use crate::shapes;
use crate::store::Audit;

type Ended = (&'static Case, Actual);

/// One ending as it is seen.
pub(super) fn line(case: &Case, actual: &Actual, output: &Output) -> String {
    let reason = if actual.reason.is_empty() { String::new() } else { format!(" ({})", actual.reason) };
    let (ticket, what) = (case.ticket.unwrap_or("-"), what(case));
    format!("{ticket:<7} {what:<15} {:<43} {}{reason}", case.story, output.paint(actual.end()))
}

/// The workflow; bare events have none.
fn what(case: &Case) -> &'static str {
    if matches!(case.start, Start::Event | Start::Forged) { "event" } else { case.workflow }
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
    // A terminal is narrow, and the outcome tells the status.
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| !(column.wide && output.is_terminal())).collect();
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    let row = |(case, actual): &Ended| columns.iter().map(|column| dash((column.cell)(case, actual))).collect();
    output.table(&headings, &ended.iter().map(row).collect::<Vec<Vec<String>>>())?;
    let wrong = ended.iter().filter(|(case, actual)| !case.is_met_by(actual)).count();
    output.line(&match wrong {
        0 => format!("{} of {} ended as they should", ended.len(), ended.len()),
        wrong => format!("{wrong} of {} did not end as they should", ended.len()),
    })?;
    audit::print(audit, output)
}

/// One column of the table.
struct Column {
    heading: &'static str,
    /// Left out where there is little room.
    wide: bool,
    cell: fn(&Case, &Actual) -> String,
}

const fn column(heading: &'static str, cell: fn(&Case, &Actual) -> String) -> Column {
    Column { heading, wide: false, cell }
}

const COLUMNS: [Column; 9] = [
    column("ticket", |case, _| case.ticket.unwrap_or_default().to_owned()),
    column("workflow", |case, _| what(case).to_owned()),
    column("what goes on", |case, _| case.story.to_owned()),
    column("webhooks", |_, actual| actual.deliveries.to_string()),
    Column { wide: true, ..column("status", |_, actual| actual.state.clone()) },
    column("outcome", |_, actual| actual.end().to_owned()),
    column("reason", |_, actual| actual.reason.clone()),
    column("on the ticket", |_, actual| actual.on_ticket.join(", ")),
    column("ok", |case, actual| if case.is_met_by(actual) { "yes" } else { "no" }.to_owned()),
];

fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
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
