//! What became of every ticket, as a table, a line each, or JSON.

use anyhow::Result;
use serde_json::{Value, json};

use super::ending::Actual;
use super::scenario::{Case, Start};
use crate::cli::audit;
use crate::cli::output::{Output, shown};
use crate::shapes;
use crate::store::Audit;

/// One row of the table.
pub(super) struct Row {
    ticket: Option<&'static str>,
    workflow: &'static str,
    story: &'static str,
    actual: Actual,
    is_good: bool,
}

impl Row {
    /// Of a case that has come to rest.
    pub(super) fn of_case(case: &Case, actual: Actual) -> Row {
        let is_good = case.is_met_by(&actual);
        Row { ticket: case.ticket, workflow: what(case), story: case.story, actual, is_good }
    }

    /// Of something that has happened to a batch of ours.
    pub(super) fn of_batch(story: &'static str, actual: Actual, is_good: bool) -> Row {
        Row { ticket: None, workflow: "batch", story, actual, is_good }
    }

    /// The row as it is seen when it comes.
    pub(super) fn line(&self, output: &Output) -> String {
        line((self.ticket, self.workflow, self.story), &self.actual, output)
    }
}

/// One ending of a case as it is seen.
pub(super) fn line_of_case(case: &Case, actual: &Actual, output: &Output) -> String {
    line((case.ticket, what(case), case.story), actual, output)
}

fn line((ticket, what, story): (Option<&str>, &str, &str), actual: &Actual, output: &Output) -> String {
    let reason = if actual.reason.is_empty() { String::new() } else { format!(" ({})", actual.reason) };
    let ticket = ticket.unwrap_or("-");
    format!("{ticket:<7} {what:<15} {story:<43} {}{reason}", output.paint(actual.end()))
}

/// The workflow; bare events have none.
fn what(case: &Case) -> &'static str {
    if matches!(case.start, Start::Event | Start::Forged) { "event" } else { case.workflow }
}

/// Everything that has happened.
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// What the batch of the night would change, as the lead read it.
    pub(super) preview: Vec<String>,
    pub(super) audit: Audit,
}

impl Table {
    /// Whether each ended as it should, and nothing silently.
    pub(super) fn is_good(&self) -> bool {
        self.audit.findings.is_empty() && self.rows.iter().all(|row| row.is_good)
    }

    /// The table at the end, what the lead read, and what the audit says.
    pub(super) fn print(&self, output: &Output) -> Result<()> {
        if output.json {
            let items: Vec<Value> = self.rows.iter().map(shape).collect();
            let audit = shapes::audit(&self.audit);
            return output
                .json(&json!({"ok": self.is_good(), "audit": audit, "preview": self.preview, "items": items}));
        }
        // A terminal is narrow, and the outcome tells the status.
        let columns: Vec<&Column> = COLUMNS.iter().filter(|column| !(column.wide && output.is_terminal())).collect();
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        let cells = |row: &Row| columns.iter().map(|column| dash((column.cell)(row))).collect();
        output.table(&headings, &self.rows.iter().map(cells).collect::<Vec<Vec<String>>>())?;
        let all = self.rows.len();
        let wrong = self.rows.iter().filter(|row| !row.is_good).count();
        output.line(&match wrong {
            0 => format!("{all} of {all} ended as they should"),
            wrong => format!("{wrong} of {all} did not end as they should"),
        })?;
        output.line("what the night would change, as the lead reads it:")?;
        self.preview.iter().try_for_each(|words| output.line(&format!("  {}", shown(words))))?;
        audit::print(&self.audit, output)
    }
}

/// One column of the table.
struct Column {
    heading: &'static str,
    /// Left out where there is little room.
    wide: bool,
    cell: fn(&Row) -> String,
}

const fn column(heading: &'static str, cell: fn(&Row) -> String) -> Column {
    Column { heading, wide: false, cell }
}

const COLUMNS: [Column; 9] = [
    column("ticket", |row| row.ticket.unwrap_or_default().to_owned()),
    column("workflow", |row| row.workflow.to_owned()),
    column("what goes on", |row| row.story.to_owned()),
    column("webhooks", |row| row.actual.deliveries.to_string()),
    Column { wide: true, ..column("status", |row| row.actual.state.clone()) },
    column("outcome", |row| row.actual.end().to_owned()),
    column("reason", |row| row.actual.reason.clone()),
    column("on the ticket", |row| row.actual.on_ticket.join(", ")),
    column("ok", |row| if row.is_good { "yes" } else { "no" }.to_owned()),
];

fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn shape(row: &Row) -> Value {
    let actual = &row.actual;
    json!({
        "ticket_id": row.ticket,
        "workflow": row.workflow,
        "story": row.story,
        "webhooks": actual.deliveries,
        "attempts": actual.attempts,
        "status": actual.state,
        "outcome": actual.outcome,
        "reason": actual.reason,
        "on_ticket": actual.on_ticket,
        "next": actual.told,
        "ok": row.is_good,
    })
}
