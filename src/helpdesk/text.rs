//! What we write to people of the team: the text, and the mark by which we find it
//! again; and texts between plain ones and helpdesks' HTML.

use html2text::render::TrivialDecorator;

/// What stands before the mark.
const MARK: &str = "Frontdesk ref: ";
/// Columns of a plain text made from HTML: so many that no line is broken.
const COLUMNS: usize = 1_000_000;

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

/// Whether two texts say the same: helpdesks change spaces and line breaks.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

/// A plain text as HTML that shows it as it is: what a model wrote is never markup.
pub(super) fn html(plain: &str) -> String {
    let mut html = String::with_capacity(plain.len() + 16);
    for char in plain.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push_str("<br>"),
            '\r' => {}
            char => html.push(char),
        }
    }
    html
}

/// The plain text of somebody's HTML.
pub(super) fn plain(html: &str) -> String {
    let rendered =
        html2text::config::with_decorator(TrivialDecorator::new()).string_from_read(html.as_bytes(), COLUMNS);
    // What cannot be rendered is still somebody's message.
    rendered.map_or_else(|_| html.to_owned(), |text| text.trim().to_owned())
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

    #[test]
    fn markup_of_a_model_is_shown_and_not_followed() {
        let text = "1 < 2 & \"so\"\n\n<img src=x onerror='alert(1)'>";
        let html = html(text);
        assert!(!html.contains("<img") && html.contains("<br><br>&lt;img"), "{html}");
        assert!(is_same(&plain(&html), text), "{}", plain(&html));
    }

    #[test]
    fn what_customers_send_as_html_is_read_as_text() {
        let html = "<style>p{color:red}</style><div>Hello&nbsp;there,</div><p>my <b>parcel</b> is late &amp; <a href=\"https://x\">lost</a></p><ul><li>one</li></ul>";
        let text = plain(html);
        assert!(is_same(&text, "Hello there, my parcel is late & lost one"), "{text:?}");
        assert!(plain(&"<div>".repeat(20_000)).is_empty());
    }
}
