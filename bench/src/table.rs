//! The results as plain text.

use std::fmt::Write;

use crate::results::{Results, Row, System};

const COLUMNS: [System; 7] = [
    System::Frontdesk,
    System::Sqlite,
    System::Postgres,
    System::Article,
    System::Verify,
    System::Read,
    System::Machine,
];

/// Columns of which the last one of a line shows the ratio.
const PAIRS: [(System, System); 2] = [(System::Frontdesk, System::Article), (System::Postgres, System::Sqlite)];

/// The whole table: medians side by side, then the targets.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    for (name, value) in &results.machine {
        let _ = writeln!(text, "{name}: {value}");
    }
    for (name, value) in &results.settings {
        let _ = writeln!(text, "{name}: {value}");
    }
    let columns: Vec<System> =
        COLUMNS.into_iter().filter(|system| results.rows.iter().any(|row| row.median.contains_key(system))).collect();
    let wide = results.rows.iter().map(|row| label(row).chars().count()).max().unwrap_or(0);
    let _ = write!(text, "\n{:wide$}", "medians");
    for system in &columns {
        let _ = write!(text, " {system:>12}");
    }
    let pair = PAIRS.into_iter().find(|(own, peer)| columns.contains(own) && columns.contains(peer));
    let heading = pair.map(|(own, peer)| format!("{own} : {peer}")).unwrap_or_default();
    let _ = writeln!(text, " {heading:>20}");
    for row in &results.rows {
        let _ = write!(text, "{:wide$}", label(row));
        for system in &columns {
            let cell = row.median.get(system).copied().map_or_else(|| "-".to_owned(), number);
            let _ = write!(text, " {cell:>12}");
        }
        let _ = writeln!(text, " {:>20}", ratio(row, pair));
    }
    targets(&mut text, results);
    for problem in &results.problems {
        let _ = writeln!(text, "not measured: {problem}");
    }
    text
}

fn targets(text: &mut String, results: &Results) {
    if results.targets.is_empty() {
        return;
    }
    let wide = results.targets.iter().map(|verdict| verdict.target.len()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{:wide$} {:>16}", "targets", "measured");
    for verdict in &results.targets {
        let measured = format!("{} {}", number(verdict.measured), verdict.unit);
        let met = if verdict.met { "met" } else { "NOT MET" };
        let _ = writeln!(text, "{:wide$} {measured:>16}  {met}", verdict.target);
    }
}

fn label(row: &Row) -> String {
    format!("{} [{}]", row.metric, row.unit)
}

fn ratio(row: &Row, pair: Option<(System, System)>) -> String {
    let Some((own, peer)) = pair else { return String::new() };
    match (row.median.get(&own), row.median.get(&peer)) {
        (Some(own), Some(peer)) if (own / peer).is_finite() => number(own / peer),
        _ => String::new(),
    }
}

/// Three significant digits or all before the point; "not sustained" for what has no value.
fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "unsustained".to_owned(),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_both_sides_and_their_ratio() {
        let mut results = Results::default();
        results.add("acks", "1/s", System::Frontdesk, 30_000.0);
        results.add("acks", "1/s", System::Article, 2_000.0);
        let text = render(&results);
        let line = text.lines().find(|line| line.starts_with("acks")).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells, ["acks", "[1/s]", "30000", "2000", "15.0"]);
    }

    #[test]
    fn a_rate_that_was_not_sustained_has_no_number() {
        assert_eq!(number(f64::NAN), "unsustained");
    }
}
