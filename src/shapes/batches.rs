//! Batches: how one stands, what it would change, and its lines.

use serde_json::{Map, Value, json};

use super::time;
use crate::clock::rfc3339;
use crate::domain::batch::change_set::{ChangeSet, Field, Moved, Share};
use crate::domain::batch::{Fate, LineResult};
use crate::store::{Batch, Line, Part};
use crate::trial::Sampled;

/// Smaller moves of a share are not listed.
const MOVED_OVER: f64 = 0.05;

/// A batch.
#[must_use]
pub fn batch(batch: &Batch) -> Value {
    let change_set = ChangeSet::of(&batch.counts, &batch.before);
    json!({
        "batch_id": batch.id,
        "version": batch.version,
        "workflow": batch.workflow,
        "state": batch.state.word(),
        "since": rfc3339(batch.since_ms),
        "counts": counts(batch),
        "fates": fates(batch),
        "percent_done": batch.percent_done(),
        "change_set": self::change_set(&change_set),
        "left_out": below(batch, "left_out/"),
        "parts": batch.parts.iter().map(part).collect::<Vec<_>>(),
        "project": batch.project,
        "prompt_version": batch.prompt_version,
        "origin": batch.origin.word(),
        "actor": batch.actor,
        "again_of": batch.again_of,
        "created_at": rfc3339(batch.created_at_ms),
        "waits_for": batch.waits_for,
        "decided_by": batch.decided_by,
        "decided_at": time(batch.decided_at_ms),
        "paused_by": batch.paused_by,
        "paused_at": time(batch.paused_at_ms),
        "pause_reason": batch.pause_reason,
        "in_flight": batch.in_flight,
        "undone_by": batch.undone_by,
        "last_error": batch.error,
    })
}

/// What OpenAI's files say of its lines, and what has come of them on tickets:
/// `held` and `failed` are all that are so now, `ok` those whose output was clean.
fn counts(batch: &Batch) -> Value {
    let mut shown = Map::from_iter([("lines".to_owned(), json!(batch.count("lines")))]);
    for result in LineResult::ALL {
        shown.insert(result.word().to_owned(), json!(batch.count(&format!("result/{}", result.word()))));
    }
    // Lines may also be held, or fail, on the way to their tickets.
    let held = batch.count("result/held") - batch.count("fed/held") + batch.count("fate/held");
    shown.insert("held".to_owned(), json!(held));
    shown.insert("failed".to_owned(), json!(batch.count("result/failed") + batch.count("fate/failed")));
    for fate in [Fate::Applied, Fate::Skipped, Fate::Undone, Fate::Kept] {
        shown.insert(fate.word().to_owned(), json!(batch.count(&format!("fate/{}", fate.word()))));
    }
    Value::Object(shown)
}

/// All that became of lines that could be applied.
fn fates(batch: &Batch) -> Map<String, Value> {
    let count = |fate: Fate| (fate.word().to_owned(), json!(batch.count(&format!("fate/{}", fate.word()))));
    Fate::ALL.into_iter().map(count).collect()
}

fn below(batch: &Batch, prefix: &str) -> Map<String, Value> {
    let named = batch.counts.iter().filter(|(_, count)| **count > 0);
    named.filter_map(|(name, count)| Some((name.strip_prefix(prefix)?.to_owned(), json!(count)))).collect()
}

fn part(part: &Part) -> Value {
    json!({
        "part_id": part.id,
        "number": part.number,
        "resource_id": part.resource_id,
        "status": part.status,
        "lines": part.lines,
        "bytes": part.bytes,
        "file_id": part.file_id,
        "openai_counts": part.said,
        "errors": errors(&part.errors),
        "read_at": time(part.read_at_ms),
    })
}

/// OpenAI's errors of the input are kept as pairs of a code and a line.
fn errors(kept: &Value) -> Vec<Value> {
    let pairs = kept.as_array().map(Vec::as_slice).unwrap_or_default();
    pairs.iter().map(|pair| json!({"line": pair.get(1), "code": pair.get(0)})).collect()
}

fn change_set(set: &ChangeSet) -> Value {
    let counted = |pairs: &[(String, i64)], name: &str| -> Vec<Value> {
        pairs.iter().map(|(word, count)| json!({name: word, "count": count})).collect()
    };
    let moved = |moved: &Moved| {
        json!({
            "what": moved.what,
            "share": rounded(moved.share),
            "share_before": rounded(moved.before),
            "in_words": moved.in_words(),
        })
    };
    json!({
        "apply": set.ok,
        "held": set.held,
        "without_result": set.lost,
        "fields": set.fields.iter().map(field).collect::<Vec<_>>(),
        "held_share": share(&set.held_share),
        "held_reasons": counted(&set.held_reasons, "reason"),
        "failures": counted(&set.failures, "reason"),
        "compared_with_lines": set.lines_before,
        "moved": set.moved(MOVED_OVER).iter().map(moved).collect::<Vec<_>>(),
        "in_words": set.in_words(),
    })
}

fn field(field: &Field) -> Value {
    json!({"field": field.name, "values": field.values.iter().map(share).collect::<Vec<_>>()})
}

fn share(share: &Share) -> Value {
    json!({
        "value": share.value,
        "count": share.count,
        "share": rounded(share.share),
        "share_before": share.before.map(rounded),
        "has_moved": share.has_moved,
    })
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

/// A line of the ledger.
#[must_use]
pub fn batch_line(line: &Line) -> Value {
    json!({
        "custom_id": line.custom_id,
        "ticket_id": line.ticket_id,
        "outcome": line.outcome(),
        "reason": line.reason,
        "number": line.number,
        "result": line.result.word(),
        "fate": line.fate.map(Fate::word),
        "found": line.found,
        "resource_id": line.resource_id,
    })
}

/// A line with what it would change, for a person to read.
#[must_use]
pub fn batch_sample(sampled: &Sampled) -> Value {
    let mut shape = batch_line(&sampled.line);
    let proposed: Vec<Value> =
        sampled.proposed.iter().map(|(slot, text)| json!({"slot": slot, "text": text})).collect();
    shape["proposed"] = Value::Array(proposed);
    shape["would"] = json!(sampled.would);
    shape["detail"] = json!(sampled.detail);
    shape
}

/// The headings of the ledger as a table.
pub const BATCH_LINE_HEADINGS: [&str; 9] =
    ["number", "custom_id", "ticket_id", "outcome", "result", "fate", "reason", "found", "resource_id"];

/// The cells of a line under [`BATCH_LINE_HEADINGS`].
#[must_use]
pub fn batch_line_cells(line: &Line) -> [String; 9] {
    let text = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default());
    [
        line.number.to_string(),
        text(&line.custom_id),
        text(&line.ticket_id),
        line.outcome().to_owned(),
        line.result.word().to_owned(),
        line.fate.map_or("", Fate::word).to_owned(),
        text(&line.reason),
        text(&line.found),
        text(&line.resource_id),
    ]
}

/// Text that no spreadsheet takes for a formula: a custom id is whatever another
/// program made it.
pub(super) fn harmless(text: &str) -> String {
    let begins_one = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    if text.trim_start_matches(' ').starts_with(begins_one) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("T-1", "T-1"),
            ("", ""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("  =1", "'  =1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(harmless(text), cell);
        }
    }
}
