//! What a batch would change, beside what the last runs changed, for a person.

use anyhow::Result;

use crate::cli::output::Output;
use crate::domain::batch::change_set::{ChangeSet, Field, Share};

/// Values of one field that are printed; there may be many tags.
const MOST_VALUES: usize = 12;

/// Prints it. `drift`: a share that has moved by more, 0 to 1, is pointed at.
pub(super) fn print(output: &Output, set: &ChangeSet, drift: f64) -> Result<()> {
    let beside = match set.lines_before {
        0 => "there are no runs before it to compare it with".to_owned(),
        lines => format!("beside the last runs of {lines} lines"),
    };
    output.line(&format!(
        "\n{:<12} {} to apply, {} to review, {} without a result; {beside}",
        "change-set", set.ok, set.held, set.lost
    ))?;
    let mut rows: Vec<Vec<String>> = set.fields.iter().flat_map(rows_of).collect();
    rows.push(row("held", &set.held_share));
    output.table(&["field", "value", "lines", "share", "before", "moved"], &rows)?;
    for moved in set.moved(drift) {
        output.line(&format!("{:<12} {}", "drift", crate::cli::output::shown(&moved.in_words())))?;
    }
    output.line("")
}

fn rows_of(field: &Field) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> =
        field.values.iter().take(MOST_VALUES).map(|share| row(&field.name, share)).collect();
    if let Some(more) = field.values.len().checked_sub(MOST_VALUES).filter(|more| *more > 0) {
        let said = format!("({more} more)");
        rows.push([field.name.as_str(), &said, "", "", "", ""].map(str::to_owned).to_vec());
    }
    rows
}

fn row(field: &str, share: &Share) -> Vec<String> {
    vec![
        field.to_owned(),
        share.value.clone().unwrap_or_default(),
        share.count.to_string(),
        percent(share.share),
        share.before.map(percent).unwrap_or_default(),
        if share.has_moved { "yes".to_owned() } else { String::new() },
    ]
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
