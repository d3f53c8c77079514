//! What a person changed in a text, word by word.

use std::time::Duration;

use minijinja::{Value, context};
use similar::{ChangeTag, TextDiff};

/// Two long texts with nothing in common are not compared to the last word.
const PATIENCE: Duration = Duration::from_millis(200);

/// Pieces of both texts in order: `same`, `gone` or `new`, and the words.
pub(super) fn words(before: &str, after: &str) -> Vec<Value> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_words(before, after);
    let mut pieces: Vec<(&'static str, String)> = Vec::new();
    for change in diff.iter_all_changes() {
        let kind = match change.tag() {
            ChangeTag::Equal => "same",
            ChangeTag::Delete => "gone",
            ChangeTag::Insert => "new",
        };
        match pieces.last_mut() {
            Some((last, text)) if *last == kind => text.push_str(change.value()),
            _ => pieces.push((kind, change.value().to_owned())),
        }
    }
    let pieces = joined(pieces);
    pieces.into_iter().map(|(kind, text)| context! { kind => kind, text => text }).collect()
}

/// Changes with no more than a word or two between them are one change: many small
/// ones cannot be read.
fn joined(pieces: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let (mut told, mut gone, mut new) = (Vec::new(), String::new(), String::new());
    let last = pieces.len().saturating_sub(1);
    for (at, (kind, text)) in pieces.into_iter().enumerate() {
        let is_between = kind == "same" && at < last && !(gone.is_empty() && new.is_empty());
        match kind {
            "gone" => gone.push_str(&text),
            "new" => new.push_str(&text),
            _ if is_between && is_little(&text) => {
                gone.push_str(&text);
                new.push_str(&text);
            }
            _ => {
                flush(&mut told, &mut gone, &mut new);
                told.push((kind, text));
            }
        }
    }
    flush(&mut told, &mut gone, &mut new);
    told
}

fn flush(told: &mut Vec<(&'static str, String)>, gone: &mut String, new: &mut String) {
    for (kind, text) in [("gone", std::mem::take(gone)), ("new", std::mem::take(new))] {
        if !text.is_empty() {
            told.push((kind, text));
        }
    }
}

fn is_little(text: &str) -> bool {
    !text.contains('\n') && text.split_whitespace().count() < 3
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn changed_words_stand_beside_those_that_stay() {
        let told: Vec<String> = words("We open at ten.", "We open at nine.")
            .iter()
            .map(|piece| format!("{} {}", piece.get_attr("kind").unwrap(), piece.get_attr("text").unwrap()))
            .collect();
        assert_eq!(told, ["same We open at ", "gone ten.", "new nine."]);
        let told = words("It is on its way to you, dear Ann.", "We sent it on a way for you, dear Ann.");
        let kinds: Vec<String> = told.iter().map(|piece| piece.get_attr("kind").unwrap().to_string()).collect();
        assert_eq!(kinds, ["gone", "new", "same"], "{told:?}");
        assert_eq!(words("a", "a").len(), 1);
        assert!(words("", "").is_empty());
    }
}
