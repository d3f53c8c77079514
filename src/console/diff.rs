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
    pieces.into_iter().map(|(kind, text)| context! { kind => kind, text => text }).collect()
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
        assert_eq!(words("a", "a").len(), 1);
        assert!(words("", "").is_empty());
    }
}
