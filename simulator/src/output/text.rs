//! Small things that are done with text.

/// The sentences of a text, trimmed; a line break ends one as a full stop does.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\n' {
            current.push(letter);
        }
        let last = letters.peek().is_none_or(|next| next.is_whitespace());
        if letter == '\n' || (matches!(letter, '.' | '!' | '?') && last) {
            keep(&mut found, &mut current);
        }
    }
    keep(&mut found, &mut current);
    found
}

fn keep(found: &mut Vec<String>, current: &mut String) {
    let sentence = std::mem::take(current);
    let sentence = sentence.trim();
    if sentence.chars().any(char::is_alphanumeric) {
        found.push(sentence.to_owned());
    }
}

/// At most so many characters.
pub(crate) fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The first half: what is left of a text that broke off.
pub(crate) fn half(text: &str) -> String {
    clip(text, text.chars().count() / 2)
}

/// Whether a word of the text starts with this, or the text holds it when it has several words.
/// Both are in lower case.
pub(crate) fn mentions(text: &str, stem: &str) -> bool {
    if stem.contains(' ') {
        return text.contains(stem);
    }
    text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::{clip, half, mentions, sentences};

    #[test]
    fn sentences_end_at_stops_and_lines_but_not_inside_numbers() {
        let text = "I paid 9.99 twice. Why?\n\nPlease help\n---\n";
        assert_eq!(sentences(text), ["I paid 9.99 twice.", "Why?", "Please help"]);
        assert!(sentences(" \n ").is_empty());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(clip("äöü", 2), "äö");
        assert_eq!(half("äöüß"), "äö");
        assert_eq!(half(""), "");
    }

    #[test]
    fn a_stem_is_met_only_at_the_start_of_a_word() {
        assert!(mentions("two refunds, please", "refund"));
        assert!(!mentions("a prefund", "refund"));
        assert!(mentions("i was charged twice", "charged twice"));
    }
}
