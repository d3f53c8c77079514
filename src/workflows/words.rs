//! What is taken from a model: bounded, and in the form that it is meant to
//! have. An error names the place and the kind, never the content.

use serde_json::error::Category;

/// Longest text a workflow takes from a model, in bytes. A summary or a reply
/// beyond it is a fault, not a text.
pub(super) const MAX_TEXT_BYTES: usize = 20_000;

/// Longest text that is kept as a file, in bytes: some three hours of talk.
pub(super) const MAX_FILE_BYTES: usize = 200_000;

const MAX_LABEL_CHARS: usize = 64;
const MAX_LABELS: usize = 20;
const MAX_LINE_CHARS: usize = 1_000;
const MAX_LINES: usize = 50;

/// Reads an object of a given shape.
pub(super) fn shaped<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    // A list would be taken for an object whose names are left out.
    if text.trim_start().starts_with('[') {
        return Err("the output is a list and not an object".to_owned());
    }
    parsed(text)
}

/// Reads JSON.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let kind = match error.classify() {
            Category::Data => "does not have the expected shape",
            Category::Eof => "ends too early",
            _ => "is not JSON",
        };
        format!("the output {kind} (line {}, column {})", error.line(), error.column())
    })
}

/// A number that says how sure the model is.
pub(super) fn share(number: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("confidence is not between 0 and 1".to_owned()) }
}

/// A label is shown, filtered by and routed on: short, on one line, printable.
pub(super) fn is_label(word: &str) -> bool {
    !word.trim().is_empty() && word.chars().count() <= MAX_LABEL_CHARS && !word.chars().any(char::is_control)
}

/// Names what it is that is no label.
pub(super) fn label(name: &str, word: String) -> Result<String, String> {
    if is_label(&word) { Ok(word) } else { Err(format!("{name} is not a short label")) }
}

/// A few labels.
pub(super) fn labels(name: &str, words: Vec<String>) -> Result<Vec<String>, String> {
    if words.len() <= MAX_LABELS && words.iter().all(|word| is_label(word)) {
        Ok(words)
    } else {
        Err(format!("{name} are not a few short labels"))
    }
}

/// One line of a note. A break inside it would make it look like several.
pub(super) fn line(name: &str, text: &str) -> Result<String, String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.chars().count() {
        0 => Err(format!("{name} is empty")),
        count if count > MAX_LINE_CHARS => Err(format!("{name} has {count} characters, {MAX_LINE_CHARS} are allowed")),
        _ if text.chars().any(char::is_control) => Err(format!("{name} has control characters")),
        _ => Ok(text),
    }
}

/// A list as the lines of a note; what is blank is left out.
pub(super) fn bullets(name: &str, items: &[String]) -> Result<Vec<String>, String> {
    if items.len() > MAX_LINES {
        return Err(format!("{name} has {} entries, {MAX_LINES} are allowed", items.len()));
    }
    let filled = items.iter().filter(|item| !item.trim().is_empty());
    filled.map(|item| Ok(format!("- {}", line(name, item)?))).collect()
}

/// A text of at most so many bytes; none when it is blank.
pub(super) fn prose(name: &str, text: &str, max_bytes: usize) -> Result<Option<String>, String> {
    let text = text.trim();
    match text.len() {
        0 => Ok(None),
        bytes if bytes > max_bytes => Err(format!("{name} has {bytes} bytes, {max_bytes} are allowed")),
        _ => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_printable_and_on_one_line() {
        assert!(is_label("account access"));
        for word in ["", "  ", "a\nb", "\u{1b}[31m", &"x".repeat(65)] {
            assert_eq!(label("intent", word.to_owned()), Err("intent is not a short label".to_owned()));
        }
        assert!(labels("topics", vec!["a".to_owned(); 21]).is_err());
    }

    #[test]
    fn a_line_stays_a_line_and_a_blank_one_is_left_out_of_a_list() {
        assert_eq!(line("finding", " a\n\n- b\tc "), Ok("a - b c".to_owned()));
        assert_eq!(bullets("findings", &["a".to_owned(), " \n".to_owned()]), Ok(vec!["- a".to_owned()]));
        assert!(line("finding", "a\u{7}b").is_err());
        assert!(line("finding", &"x".repeat(1_001)).is_err());
        assert!(bullets("findings", &vec!["x".to_owned(); 51]).is_err());
    }

    #[test]
    fn a_text_is_bounded_and_a_blank_one_is_none() {
        assert_eq!(prose("note", " \n", 3), Ok(None));
        assert_eq!(prose("note", " ab ", 3), Ok(Some("ab".to_owned())));
        assert_eq!(prose("note", "abcd", 3), Err("note has 4 bytes, 3 are allowed".to_owned()));
    }
}
