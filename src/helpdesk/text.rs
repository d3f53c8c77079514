//! What we write to people of the team: the text, and the mark by which we find it
//! again; and texts between plain ones and helpdesks' HTML.

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

/// Elements that begin a line of their own.
const BLOCKS: [&str; 18] = [
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "blockquote",
    "pre",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "section",
];
/// Elements whose content is not shown.
const HIDDEN: [&str; 4] = ["style", "script", "head", "title"];

/// The plain text of somebody's HTML: what stands between the tags, a line for each
/// block. Not a renderer on purpose: those take long for what is nested deeply, and
/// this comes from strangers. It passes over the text once.
pub(super) fn plain(html: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(at) = rest.find('<') {
        push_words(&mut text, &rest[..at]);
        rest = &rest[at..];
        let Some(tag) = Tag::at(rest) else {
            text.push('<');
            rest = &rest[1..];
            continue;
        };
        rest = &rest[tag.len..];
        if BLOCKS.contains(&tag.name.as_str()) && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if HIDDEN.contains(&tag.name.as_str()) && !tag.ends {
            rest = after_end_of(&tag.name, rest);
        }
    }
    push_words(&mut text, rest);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Adds what stands between two tags: entities as what they mean, spaces as one.
fn push_words(text: &mut String, between: &str) {
    for char in html_escape::decode_html_entities(between).chars() {
        match char {
            char if char.is_whitespace() => {
                if !text.ends_with([' ', '\n']) {
                    text.push(' ');
                }
            }
            char => text.push(char),
        }
    }
}

/// What follows the end of an element whose content is not shown.
fn after_end_of<'a>(name: &str, rest: &'a str) -> &'a str {
    let ends = |at: &usize| {
        let after = rest.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    };
    rest.match_indices("</").map(|(at, _)| at).find(ends).map_or("", |at| &rest[at..])
}

/// A tag, a comment or a declaration.
struct Tag {
    /// In lower case; empty for what is no element.
    name: String,
    /// Whether it ends an element.
    ends: bool,
    /// In bytes, with its brackets.
    len: usize,
}

impl Tag {
    /// The one that a text begins with; none when its `<` is just that.
    fn at(text: &str) -> Option<Tag> {
        if let Some(comment) = text.strip_prefix("<!--") {
            let len = comment.find("-->").map_or(text.len(), |at| at + "<!---->".len());
            return Some(Tag { name: String::new(), ends: false, len });
        }
        let inner = text.get(1..)?;
        let ends = inner.starts_with('/');
        let named = inner.trim_start_matches('/');
        if !named.starts_with(|char: char| char.is_ascii_alphabetic() || matches!(char, '!' | '?')) {
            return None;
        }
        let name = named.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        Some(Tag { name, ends, len: end_of_tag(text) })
    }
}

/// Where a tag ends: a bracket in quotes is part of a value.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    text.len()
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
        assert_eq!(plain("Hello<hr>there"), "Hello\nthere");
        assert_eq!(plain("1 < 2 <3<!-- not this --> &auml;&#x20AC; <a title='a > b'>x</a>"), "1 < 2 <3 ä€ x");
        assert_eq!((plain("<p"), plain("<"), plain("a<STYLE>b</Style >c")), (String::new(), "<".into(), "ac".into()));
        let table = "<table><tr><td>Order </td><td>1001</td></tr><tr><td colspan=100000>late</td></tr></table>";
        assert_eq!(plain(table), "Order 1001\nlate");
        // Deeply nested, never ended, full of ends that are none.
        assert!(plain(&"<div>".repeat(200_000)).is_empty());
        assert_eq!(plain(&"<style>".repeat(20_000)), "");
        assert_eq!(plain(&format!("<style>{}", "</x".repeat(200_000))), "");
    }
}
