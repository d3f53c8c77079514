//! How things go over time. Every share stands beside what it is a share of.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::domain::measure::{Between, Counts, Samples};
use crate::store::{Feedback, FeedbackDay};

/// What arrived and what became of it, from each sample to the next.
#[must_use]
pub fn rates(samples: &Samples) -> Vec<Value> {
    let one = |one: &Between| {
        let counts = &one.counts;
        json!({
            "at": rfc3339(one.from_ms),
            "until": rfc3339(one.to_ms),
            "arrived": counts.of("deliveries"),
            "applied": counts.of("applied"),
            "held": counts.of("held"),
            "failed": counts.of("failed_final"),
            "latency_p50_ms": counts.percentile("latency", 0.5),
            "latency_p95_ms": counts.percentile("latency", 0.95),
        })
    };
    samples.between().iter().map(one).collect()
}

/// What leads look at, over some days and the same number of days before.
#[must_use]
pub fn insights(
    samples: &Samples,
    (before_ms, from_ms, now_ms): (i64, i64, i64),
    drafts: (&[Feedback], &[FeedbackDay]),
    prices: Option<(f64, f64)>,
) -> Value {
    let (now, before) = (samples.during(from_ms, now_ms), samples.during(before_ms, from_ms));
    let days: Vec<Between> = samples.between().into_iter().filter(|one| one.from_ms >= from_ms).collect();
    json!({
        "from": rfc3339(from_ms),
        "to": rfc3339(now_ms),
        "summary": {"now": times(&now, "summary"), "before": times(&before, "summary")},
        "latency": {"now": times(&now, "latency"), "before": times(&before, "latency")},
        "drafts": fared(drafts.0),
        "drafts_by_day": by_day(drafts.1),
        "categories": categories(&now),
        "categories_by_day": days.iter().map(|day| json!({"at": rfc3339(day.from_ms), "counts": pairs(&day.counts, "category/")})).collect::<Vec<_>>(),
        "qa": {"now": qa(&now), "before": qa(&before)},
        "qa_by_day": days.iter().map(|day| with(qa(&day.counts), "at", json!(rfc3339(day.from_ms)))).collect::<Vec<_>>(),
        "failures": failures(&now),
        "tokens": tokens(&now, prices),
    })
}

fn with(mut shown: Value, name: &str, value: Value) -> Value {
    shown[name] = value;
    shown
}

fn times(counts: &Counts, kind: &str) -> Value {
    json!({
        "count": counts.timed(kind),
        "p50_ms": counts.percentile(kind, 0.5),
        "p95_ms": counts.percentile(kind, 0.95),
    })
}

fn share(part: i64, of: i64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "counts of what people did")]
    (of > 0).then(|| (part as f64 / of as f64 * 10_000.0).round() / 10_000.0)
}

fn fared(drafts: &[Feedback]) -> Vec<Value> {
    let one = |one: &Feedback| {
        let decided = one.kept + one.edited + one.rejected;
        with(
            with(super::feedback(one), "decided", json!(decided)),
            "acceptance",
            json!({"accepted": share(one.kept + one.edited, decided), "as_is": share(one.kept, decided)}),
        )
    };
    drafts.iter().map(one).collect()
}

fn by_day(days: &[FeedbackDay]) -> Vec<Value> {
    let mut shown: Vec<Value> = Vec::new();
    for day in days {
        let at = json!(rfc3339(day.at_ms));
        if shown.last().is_none_or(|last| last["at"] != at) {
            shown.push(json!({"at": at, "kept": 0, "edited": 0, "rejected": 0}));
        }
        if let Some(last) = shown.last_mut() {
            last[day.verdict.as_str()] = json!(day.count);
        }
    }
    shown
}

fn pairs(counts: &Counts, prefix: &str) -> Vec<Value> {
    let mut found = counts.below(prefix);
    found.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    found.iter().map(|(name, count)| json!({"name": name, "count": count})).collect()
}

/// With how often a person has set another one in its place.
fn categories(counts: &Counts) -> Vec<Value> {
    let mut found = counts.below("category/");
    found.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let one = |(name, count): &(&str, i64)| {
        let overridden = counts.of(&format!("override/{name}"));
        json!({"name": name, "count": count, "overridden": overridden, "override_rate": share(overridden, *count)})
    };
    found.iter().map(one).collect()
}

fn qa(counts: &Counts) -> Value {
    let (scores, tenths) = (counts.of("qa/scores"), counts.of("qa/tenths"));
    // A mean of 100.
    json!({"count": scores, "mean": share(tenths, scores * 10)})
}

fn failures(counts: &Counts) -> Vec<Value> {
    let of = |class: &'static str| {
        let found = counts.below(if class == "final" { "failure/final/" } else { "failure/retryable/" });
        found
            .into_iter()
            .map(move |(cause, count)| json!({"class": class, "cause": cause, "count": count}))
            .collect::<Vec<_>>()
    };
    [of("final"), of("retryable")].concat()
}

/// By workflow; the cost when it is known what a million of each cost.
fn tokens(counts: &Counts, prices: Option<(f64, f64)>) -> Value {
    let found = counts.below("tokens/");
    let mut workflows: Vec<&str> = found.iter().filter_map(|(name, _)| Some(name.rsplit_once('/')?.0)).collect();
    workflows.dedup();
    #[allow(clippy::cast_precision_loss, reason = "tokens")]
    let cost = |taken: i64, given: i64| {
        prices.map(|(price_in, price_out)| (taken as f64 * price_in + given as f64 * price_out) / 1_000_000.0)
    };
    let of = |workflow: &str, way: &str| counts.of(&format!("tokens/{workflow}/{way}"));
    let one = |workflow: &&str| {
        let (taken, given) = (of(workflow, "in"), of(workflow, "out"));
        json!({"workflow": workflow, "in": taken, "out": given, "cost": cost(taken, given)})
    };
    let all = |way: &str| workflows.iter().map(|workflow| of(workflow, way)).sum::<i64>();
    let (taken, given, applied) = (all("in"), all("out"), counts.of("applied"));
    #[allow(clippy::cast_precision_loss, reason = "jobs")]
    let each = cost(taken, given).filter(|_| applied > 0).map(|cost| cost / applied as f64);
    json!({
        "by_workflow": workflows.iter().map(one).collect::<Vec<_>>(),
        "in": taken, "out": given, "cost": cost(taken, given), "applied": applied, "cost_per_applied": each,
    })
}

/// The tables there are of it.
pub const INSIGHTS: [&str; 4] = ["categories", "drafts", "failures", "tokens"];

/// One of [`INSIGHTS`] as rows, the first of them headings; none for another name.
#[must_use]
pub fn insights_table(insights: &Value, what: &str) -> Option<Vec<Vec<String>>> {
    let (rows, columns): (&Value, &[&str]) = match what {
        "categories" => (&insights["categories"], &["name", "count", "overridden", "override_rate"]),
        "drafts" => (
            &insights["drafts"],
            &["workflow", "prompt_version", "decided", "kept", "edited", "rejected", "mean_distance"],
        ),
        "failures" => (&insights["failures"], &["class", "cause", "count"]),
        "tokens" => (&insights["tokens"]["by_workflow"], &["workflow", "in", "out", "cost"]),
        _ => return None,
    };
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => super::batches::harmless(text),
        other => other.to_string(),
    };
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut table = vec![columns.iter().map(|name| (*name).to_owned()).collect()];
    table.extend(rows.iter().map(|row| columns.iter().map(|name| cell(&row[name])).collect()));
    Some(table)
}
