//! What was measured: a value for each metric, system and round, and the medians over rounds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::samples::median;
use crate::targets::Verdict;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Frontdesk on SQLite.
    Frontdesk,
    /// Frontdesk on SQLite, where it stands beside itself on PostgreSQL.
    Sqlite,
    /// Frontdesk on PostgreSQL.
    Postgres,
    /// The article's stack.
    Article,
    /// A receiver that reads and verifies, and remembers nothing.
    Verify,
    /// A receiver that reads, and remembers nothing.
    Read,
    /// The machine's own limits, without HTTP.
    Machine,
}

impl fmt::Display for System {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(match self {
            System::Frontdesk => "Frontdesk",
            System::Sqlite => "SQLite",
            System::Postgres => "PostgreSQL",
            System::Article => "article",
            System::Verify => "verify only",
            System::Read => "read only",
            System::Machine => "machine",
        })
    }
}

/// One metric's values, a list of rounds for each system.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub metric: String,
    /// In what.
    pub unit: &'static str,
    /// By system, the rounds in order.
    pub values: BTreeMap<System, Vec<f64>>,
    /// By system, their median.
    pub median: BTreeMap<System, f64>,
}

/// Everything measured in one run, in the order it was first measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Where it ran.
    pub machine: BTreeMap<&'static str, String>,
    /// How it ran.
    pub settings: BTreeMap<&'static str, u64>,
    /// What was measured.
    pub rows: Vec<Row>,
    /// The targets, judged.
    pub targets: Vec<Verdict>,
    /// What could not be measured, and why.
    pub problems: Vec<String>,
}

impl Results {
    /// Adds a round's value.
    pub fn add(&mut self, metric: impl Into<String>, unit: &'static str, system: System, value: f64) {
        let metric = metric.into();
        eprintln!("{system:>12}  {metric}: {value:.2} {unit}");
        let found = self.rows.iter().position(|row| row.metric == metric);
        let index = found.unwrap_or_else(|| {
            let (values, median) = Default::default();
            let index = self.place(&metric);
            let row = Row { metric, unit, values, median };
            self.rows.insert(index, row);
            index
        });
        let row = &mut self.rows[index];
        let values = row.values.entry(system).or_default();
        values.push(value);
        if let Some(middle) = median(values) {
            row.median.insert(system, middle);
        }
    }

    /// Where a new row goes: a part ("memory, worker") after its whole ("memory") and the parts
    /// before it, anything else at the end.
    fn place(&self, metric: &str) -> usize {
        let whole = metric.rsplit_once(", ").map(|(whole, _)| whole);
        let kin = |row: &Row| whole.is_some_and(|whole| row.metric.starts_with(whole));
        let last = self.rows.iter().rposition(kin);
        last.map_or(self.rows.len(), |last| last + 1)
    }

    /// The median of a metric, when it was measured.
    pub fn median(&self, metric: &str, system: System) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.metric == metric)?;
        row.median.get(&system).copied().filter(|value| value.is_finite())
    }

    /// The newest value of a metric.
    pub fn last(&self, metric: &str, system: System) -> Option<f64> {
        self.rows.iter().find(|row| row.metric == metric)?.values.get(&system)?.last().copied()
    }

    /// Writes everything as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_below_its_whole() {
        let mut results = Results::default();
        for metric in ["memory", "acks", "memory, worker"] {
            results.add(metric, "MB", System::Article, 1.0);
        }
        let order: Vec<&str> = results.rows.iter().map(|row| row.metric.as_str()).collect();
        assert_eq!(order, ["memory", "memory, worker", "acks"]);
    }

    #[test]
    fn rounds_of_one_metric_share_a_row() {
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            results.add("acks", "1/s", System::Frontdesk, value);
        }
        results.add("acks", "1/s", System::Article, 7.0);
        assert_eq!(results.rows.len(), 1);
        assert_eq!(results.median("acks", System::Frontdesk), Some(2.0));
        assert_eq!(results.median("acks", System::Verify), None);
    }
}
