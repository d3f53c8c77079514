//! What the log filter lets through.

use super::super::finding::{Finding, ok, problem, warning};
use super::super::seen::Settings;

/// Crates that see bodies and headers, and show them when they are asked to
/// show everything.
const SEE_BYTES: [&str; 10] =
    ["hyper", "hyper_util", "reqwest", "rustls", "h2", "axum", "tower", "tower_http", "lettre", "mio"];

/// A rule of a filter: which targets, and whether it shows more than `info`.
enum Loud<'a> {
    Trace(&'a str),
    Debug(&'a str),
}

pub(super) fn logs_hold_no_content(settings: &Settings, _: i64) -> Finding {
    let filter = &settings.config.log.filter;
    let fix = "set FRONTDESK_LOG to info, or frontdesk=debug: our own lines hold ids, codes and counts at any level";
    let (mut traced, mut debugged) = (Vec::new(), Vec::new());
    for rule in filter.split(',').filter_map(loud) {
        match rule {
            Loud::Trace(target) if sees_bytes(target) => traced.push(shown(target)),
            Loud::Debug(target) if sees_bytes(target) => debugged.push(shown(target)),
            _ => {}
        }
    }
    if !traced.is_empty() {
        return problem(format!("the log shows everything of {}: headers and bodies too", traced.join(", ")), fix);
    }
    if !debugged.is_empty() {
        return warning(
            format!("the log shows much of {}: addresses and headers may be in it", debugged.join(", ")),
            fix,
        );
    }
    ok(format!("the filter {filter} lets ids, codes, counts and durations through"))
}

/// None for a rule that is quiet enough.
fn loud(rule: &str) -> Option<Loud<'_>> {
    let rule = rule.trim();
    let (target, level) = match rule.rsplit_once('=') {
        // A name alone, or one in brackets, shows everything of it.
        None if is_level(rule) => ("", rule),
        None => (rule, "trace"),
        Some((target, level)) => (target, level),
    };
    let target = target.split('[').next().unwrap_or_default();
    match level.trim().to_ascii_lowercase().as_str() {
        "trace" | "5" => Some(Loud::Trace(target)),
        "debug" | "4" => Some(Loud::Debug(target)),
        _ => None,
    }
}

fn is_level(word: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];
    levels.contains(&word.to_ascii_lowercase().as_str()) || word.is_empty()
}

fn sees_bytes(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or_default();
    target.is_empty() || SEE_BYTES.contains(&root)
}

fn shown(target: &str) -> &str {
    if target.is_empty() { "every part" } else { target }
}
