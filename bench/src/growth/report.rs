//! The figures, and whether anything took longer with more history.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::desk::Desk;
use crate::samples::{Samples, median};

/// How much longer anything may take.
const MOST: f64 = 1.2;

/// A figure is a median; of these it is the 99th percentile.
const TAIL: &str = ", p99";

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    deliveries: i64,
    megabytes: [Option<f64>; 3],
    audit_seconds: [f64; 3],
    rows: Vec<Row>,
    #[serde(skip)]
    samples: BTreeMap<String, [Vec<Samples>; 3]>,
    #[serde(skip)]
    order: Vec<String>,
}

/// One question and its figures, in ms.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    young: f64,
    twin: f64,
    old: f64,
    /// Twin to young: what chance does.
    chance: f64,
    /// Old to the mean of the two young ones.
    ratio: f64,
    passes: bool,
}

impl Report {
    /// Nothing yet; the desks are young, twin and old.
    pub fn new(deliveries: i64, desks: &[Desk; 3]) -> Report {
        let megabytes = [desks[0].megabytes(), desks[1].megabytes(), desks[2].megabytes()];
        let (samples, order) = (BTreeMap::new(), Vec::new());
        Report { deliveries, megabytes, audit_seconds: [0.0; 3], rows: Vec::new(), samples, order }
    }

    /// How long the audit of a desk took, in seconds.
    pub fn note_audit(&mut self, which: usize, seconds: f64) {
        self.audit_seconds[which] = seconds;
    }

    /// A round's latencies of a question to one of the desks.
    pub fn add(&mut self, name: &str, which: usize, samples: Samples) {
        if !self.samples.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.samples.entry(name.to_owned()).or_default()[which].push(samples);
    }

    /// Works the figures out.
    pub fn close(mut self) -> Report {
        for name in std::mem::take(&mut self.order) {
            let Some(all) = self.samples.remove(&name) else { continue };
            let [young, twin, old] = all.map(|rounds| figure(&name, rounds));
            let ratio = old / ((young + twin) / 2.0);
            self.rows.push(Row { young, twin, old, chance: twin / young, ratio, passes: ratio <= MOST, name });
        }
        self
    }

    /// The names of what took longer.
    pub fn slower(&self) -> Vec<String> {
        self.rows.iter().filter(|row| !row.passes).map(|row| row.name.clone()).collect()
    }

    /// As text.
    pub fn table(&self) -> String {
        let wide = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} deliveries; MB on the disk {:?}; an audit took {:.1?} s",
            self.deliveries, self.megabytes, self.audit_seconds
        );
        let _ =
            writeln!(text, "{:wide$} {:>9} {:>9} {:>9} {:>7} {:>7}", "ms", "young", "twin", "old", "chance", "ratio");
        for row in &self.rows {
            let verdict = if row.passes { "PASS" } else { "FAIL" };
            let _ = writeln!(
                text,
                "{:wide$} {:>9.3} {:>9.3} {:>9.3} {:>7.2} {:>7.2}  {verdict}",
                row.name, row.young, row.twin, row.old, row.chance, row.ratio
            );
        }
        let failed = self.rows.iter().filter(|row| !row.passes).count();
        let _ = writeln!(text, "{} of {} within {MOST} times", self.rows.len() - failed, self.rows.len());
        text
    }
}

/// The median over rounds of each round's median, or tail.
fn figure(name: &str, rounds: Vec<Samples>) -> f64 {
    let share = if name.ends_with(TAIL) { 0.99 } else { 0.5 };
    let each: Vec<f64> = rounds.into_iter().map(|mut samples| samples.percentile(share)).collect();
    median(&each).unwrap_or(f64::NAN)
}
