//! What we write to people of the team: the text, and the mark by which we find it again.

/// What stands before the mark.
const MARK: &str = "Frontdesk ref: ";

/// A text with its mark. It is visible on purpose: what is hidden, helpdesks strip.
pub(super) fn marked(text: &str, reference: &str) -> String {
    format!("{}\n\n{MARK}{reference}", text.trim_end())
}

/// A draft where there are none: a note that says what it is.
pub(super) fn draft_as_note(text: &str) -> String {
    format!(
        "DRAFT, NOT SENT. Written by AI, not verified. It is sent from Frontdesk once a person approves it.\n\n{text}"
    )
}

/// Whether a text bears this mark. Helpdesks wrap lines and change spaces; the
/// reference itself has none.
pub(super) fn bears(text: &str, reference: &str) -> bool {
    text.match_indices(reference).any(|(at, _)| {
        let after = text[at + reference.len()..].chars().next();
        after.is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_bears_the_mark_it_was_given_and_no_longer_one() {
        let text = marked("A note.\n", "fd_abc");
        assert_eq!(text, "A note.\n\nFrontdesk ref: fd_abc");
        assert!(bears(&text, "fd_abc") && !bears(&text, "fd_ab") && !bears(&text, "fd_abcd"));
        assert!(bears("<p>Frontdesk ref: fd_abc</p>", "fd_abc"));
    }
}
