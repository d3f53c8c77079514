//! The project's targets, each judged from the medians of the run it stands beside.

use serde::Serialize;

use crate::limits;
use crate::results::{Results, System};
use crate::{acks, batch, drain, footprint, latency, ticket};

/// One target, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What is wanted.
    pub target: String,
    /// What was measured, in the target's own terms.
    pub measured: f64,
    /// What the target asks for.
    pub wanted: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Whether it is met.
    pub met: bool,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    Under(f64),
}

/// Judges every target whose figures were measured.
pub fn judge(results: &Results) -> Vec<Verdict> {
    let relative = beside_others(results);
    relative.into_iter().chain(alone(results)).chain(batches(results)).flatten().collect()
}

/// Targets that compare with the peer or with a limit.
fn beside_others(results: &Results) -> Vec<Option<Verdict>> {
    let share = |metric: &str, other: Option<f64>| Some(results.median(metric, System::Frontdesk)? / other?);
    let beside_article = |metric: &str| share(metric, results.median(metric, System::Article));
    let group = results.median(&limits::group_metric(64), System::Machine);
    let mut verdicts = Vec::new();
    for connections in [32, 128] {
        let metric = acks::rate_metric(connections);
        let name = format!("{metric}: at least 10 times the article's");
        let times = beside_article(&metric);
        verdicts.push(verdict(name, times, Bound::AtLeast(10.0), "times"));
        let name = format!("{metric}: at least half of SQLite's own at groups of 64");
        verdicts.push(verdict(name, share(&metric, group), Bound::AtLeast(0.5), "of it"));
    }
    let p99 = latency::metric(1000, "p99");
    let name = format!("{p99}: under a fifth of the article's");
    verdicts.push(verdict(name, beside_article(&p99), Bound::Under(0.2), "of it"));
    let name = format!("{}: at least 10 times the article's", drain::METRIC);
    let times = beside_article(drain::METRIC);
    verdicts.push(verdict(name, times, Bound::AtLeast(10.0), "times"));
    verdicts
}

/// Targets that Frontdesk meets or misses by itself.
fn alone(results: &Results) -> Vec<Option<Verdict>> {
    let under = |metric: String, most: f64, unit: &'static str| {
        let name = format!("{metric}: under {most} {unit}");
        let measured = results.median(&metric, System::Frontdesk);
        verdict(name, measured, Bound::Under(most), unit)
    };
    vec![
        under(ticket::metric("p50"), 5.0, "ms"),
        under(footprint::REST.to_owned(), 40.0, "MB"),
        under(footprint::ready_metric("new database"), 100.0, "ms"),
        under(footprint::ready_metric("existing database"), 100.0, "ms"),
    ]
}

/// Targets of a batch: its memory, its cost by the line, and what acknowledgements notice of it.
fn batches(results: &Results) -> Vec<Option<Verdict>> {
    let Some(lines) = results.settings.get("lines").copied() else {
        return Vec::new();
    };
    let own = |metric: &str| results.median(metric, System::Frontdesk);
    let [quarter, _, all] = batch::sizes(lines);
    let linear = |what: &str| {
        let name = format!("{what}, time a line: at {all} lines under 1.25 times that at {quarter}");
        let slower = || Some(own(&batch::metric(quarter, what))? / own(&batch::metric(all, what))?);
        verdict(name, slower(), Bound::Under(1.25), "times")
    };
    let memory = batch::metric(all, batch::MEMORY);
    let ratio = batch::ratio_metric();
    vec![
        verdict(format!("{memory}: under 64 MB"), own(&memory), Bound::Under(64.0), "MB"),
        linear(batch::ENTERED),
        linear(batch::APPLIED),
        verdict(format!("{ratio}: under 2"), own(&ratio), Bound::Under(2.0), "times"),
    ]
}

fn verdict(target: String, measured: Option<f64>, bound: Bound, unit: &'static str) -> Option<Verdict> {
    let measured = measured?;
    let (wanted, met) = match bound {
        Bound::AtLeast(least) => (least, measured >= least),
        Bound::Under(most) => (most, measured < most),
    };
    Some(Verdict { target, measured, wanted, unit, met })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_judged_only_when_both_sides_were_measured() {
        let mut results = Results::default();
        results.add(drain::METRIC, "1/s", System::Frontdesk, 5000.0);
        assert!(judge(&results).is_empty());
        results.add(drain::METRIC, "1/s", System::Article, 600.0);
        let verdicts = judge(&results);
        assert_eq!(verdicts.len(), 1);
        assert!(!verdicts[0].met);
    }
}
