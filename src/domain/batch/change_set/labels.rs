//! The names under which changes are counted. Most of them are a model's words:
//! they are cut, and hold nothing that a screen would act on.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::effect::{Effect, Route};

/// Longest word of a label, in characters.
const MAX_CHARS: usize = 48;
/// A word of a field that is counted by its value is no longer than this, in characters.
const MAX_VALUE_CHARS: usize = 32;
/// More changes than this on one line are not told apart.
const MAX_OF_A_LINE: usize = 100;

/// How the name of a field ends that is counted in steps of ten.
const SCORE: &str = "score";

/// The names under which the changes of one line are counted, as
/// `set/priority/urgent`; each is there once.
#[must_use]
pub fn labels(effects: &[Effect]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for effect in effects {
        match effect {
            Effect::Note { .. } => found.extend(["set/note".to_owned()]),
            Effect::Draft { .. } => found.extend(["set/draft".to_owned()]),
            Effect::Attachment { .. } => found.extend(["set/attachment".to_owned()]),
            Effect::Reply(_) => found.extend(["set/reply".to_owned()]),
            Effect::Start { workflow } => found.extend(of_word("start", workflow)),
            Effect::Route(route) => found.extend(of_route(route)),
            Effect::Fields { fields } => found.extend(of_fields(fields)),
        }
    }
    found.into_iter().take(MAX_OF_A_LINE).collect()
}

fn of_route(route: &Route) -> Vec<String> {
    let intent = route.intent.as_deref().and_then(|intent| of_word("intent", intent));
    let priority = route.priority.map(|priority| format!("set/priority/{}", priority.word()));
    let queue = route.queue.as_deref().and_then(|queue| of_word("queue", queue));
    let tags = route.tags.iter().filter_map(|tag| of_word("tag", tag));
    intent.into_iter().chain(priority).chain(queue).chain(tags).collect()
}

fn of_word(kind: &str, word: &str) -> Option<String> {
    tame(word).map(|word| format!("set/{kind}/{word}"))
}

/// By name, and by value where the value is one of a few: what a field holds may
/// be a person's own.
fn of_fields(fields: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in fields {
        if let Some(step) = value.as_f64().filter(|_| is_score(name)).map(step_of) {
            found.push(format!("set/score/{step}"));
            continue;
        }
        let Some(name) = tame(&name.replace('/', "_")) else { continue };
        found.extend(plain(value).map(|value| format!("set/field/{name}/{value}")));
        found.push(format!("set/field/{name}"));
    }
    found
}

fn is_score(name: &str) -> bool {
    name.strip_suffix(SCORE).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

/// `true`, `false`, or a short word in small letters.
fn plain(value: &Value) -> Option<String> {
    let is_word = |text: &str| {
        (1..=MAX_VALUE_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'-')
    };
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::String(text) if is_word(text) => Some(text.clone()),
        _ => None,
    }
}

fn step_of(score: f64) -> &'static str {
    const STEPS: [(f64, &str); 10] = [
        (10.0, "0-9"),
        (20.0, "10-19"),
        (30.0, "20-29"),
        (40.0, "30-39"),
        (50.0, "40-49"),
        (60.0, "50-59"),
        (70.0, "60-69"),
        (80.0, "70-79"),
        (90.0, "80-89"),
        (100.5, "90-100"),
    ];
    if score < 0.0 {
        return "(other)";
    }
    STEPS.iter().find(|(below, _)| score < *below).map_or("(other)", |(_, step)| step)
}

/// A word that can be shown anywhere; none when nothing is left of it.
fn tame(word: &str) -> Option<String> {
    let shown: String =
        word.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
    let words: Vec<&str> = shown.split(' ').filter(|word| !word.is_empty()).collect();
    let cut: String = words.join(" ").chars().take(MAX_CHARS).collect();
    Some(cut.trim_end().to_owned()).filter(|word| !word.is_empty())
}

/// Control characters, and those that change how the text around them is read.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
