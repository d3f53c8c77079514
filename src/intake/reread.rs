//! Other readings of a delivery that did not verify: how the body, the secret
//! or the signature would look had a usual accident happened. Used only to
//! explain a refusal, never to accept a delivery.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::value::RawValue;

use crate::domain::secret::Secret;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The order in which OpenAI writes the keys of an event (observed in its SDKs'
/// test vector; nothing is promised).
const KEYS: [&str; 5] = ["id", "object", "created_at", "type", "data"];

/// The secret's own text used as the key: with and without prefix and padding.
pub(super) fn keys_as_text(secret: &Secret) -> Vec<Vec<u8>> {
    let padded = STANDARD.encode(secret.key());
    let bare = padded.trim_end_matches('=').to_owned();
    [padded, bare].into_iter().flat_map(|text| [format!("whsec_{text}").into_bytes(), text.into_bytes()]).collect()
}

/// The secret's text read as hexadecimal, if it happens to be that.
pub(super) fn key_as_hex(secret: &Secret) -> Option<Vec<u8>> {
    let text = STANDARD.encode(secret.key());
    text.as_bytes().chunks(2).map(hex_byte).collect()
}

fn hex_byte(pair: &[u8]) -> Option<u8> {
    match pair {
        [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
        }
        _ => None,
    }
}

/// How a right signature may be written wrongly.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// In hexadecimal.
    Hex,
    /// Without version, without padding or in the URL-safe alphabet.
    LooseBase64,
}

/// Looks for the right tag in another notation. Not in constant time, which
/// matters as little as it must: nothing is accepted by it and the sender is
/// not told.
pub(super) fn signature<'a>(tag: &[u8], words: impl Iterator<Item = &'a str>) -> Option<Written> {
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let plain = STANDARD_NO_PAD.encode(tag);
    let url = URL_SAFE_NO_PAD.encode(tag);
    words
        .map(|word| {
            word.split_once([',', '=']).map_or(word, |(version, rest)| if version.len() <= 6 { rest } else { word })
        })
        .find_map(|word| {
            let bare = word.trim_end_matches(['=', ',']);
            if bare.eq_ignore_ascii_case(&hex) {
                Some(Written::Hex)
            } else if bare == plain || bare == url {
                Some(Written::LooseBase64)
            } else {
                None
            }
        })
}

/// The body with a byte order mark taken away or added.
pub(super) fn byte_order_mark(body: &[u8]) -> Vec<Cow<'_, [u8]>> {
    vec![match body.strip_prefix(BOM) {
        Some(rest) => Cow::Borrowed(rest),
        None => Cow::Owned([BOM, body].concat()),
    }]
}

/// The body with white space at its ends taken away, or a line end added.
pub(super) fn white_space(body: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut bodies: Vec<Cow<'_, [u8]>> = Vec::with_capacity(6);
    let end = body.trim_ascii_end();
    for trimmed in [end, body.trim_ascii(), body.strip_suffix(b"\n").unwrap_or(end)] {
        if trimmed.len() != body.len() {
            bodies.push(Cow::Borrowed(trimmed));
        }
    }
    for added in [b"\n".as_slice(), b"\r\n", b" "] {
        bodies.push(Cow::Owned([end, added].concat()));
    }
    bodies
}

/// The same JSON as other programs would write it: compact or with Python's
/// separators, characters beyond ASCII raw or escaped, keys in this order or in
/// OpenAI's. Empty when the body is not a JSON object.
pub(super) fn written_again(body: &[u8]) -> Vec<Cow<'static, [u8]>> {
    let Some(text) = std::str::from_utf8(body).ok() else {
        return Vec::new();
    };
    let Ok(parts) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(text) else {
        return Vec::new();
    };
    [text.to_owned(), in_usual_order(&parts)]
        .iter()
        .flat_map(|text| [respace(text, false), respace(text, true)])
        .flat_map(|text| [escaped(&text), text])
        .map(|text| Cow::Owned(text.into_bytes()))
        .collect()
}

fn in_usual_order(parts: &BTreeMap<Cow<'_, str>, &RawValue>) -> String {
    let usual = KEYS.iter().filter_map(|key| Some((*key, parts.get(*key)?)));
    let others =
        parts.iter().filter(|(key, _)| !KEYS.contains(&key.as_ref())).map(|(key, value)| (key.as_ref(), value));
    let members: Vec<String> =
        usual.chain(others).map(|(key, value)| format!("{}:{}", serde_json::Value::from(key), value.get())).collect();
    format!("{{{}}}", members.join(","))
}

/// Drops white space between the tokens of a JSON text, or writes exactly one
/// space after each comma and colon, as Python does.
fn respace(json: &str, spaced: bool) -> String {
    let mut out = String::with_capacity(json.len().saturating_mul(2));
    let (mut in_string, mut escape) = (false, false);
    for c in json.chars() {
        if in_string {
            out.push(c);
            in_string = escape || c != '"';
            escape = !escape && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            ',' | ':' => {
                out.push(c);
                if spaced {
                    out.push(' ');
                }
            }
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}

/// Characters beyond ASCII as `\uXXXX`, as Python writes them by default. In
/// JSON they can only stand inside strings.
fn escaped(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bodies: Vec<Cow<'_, [u8]>>) -> Vec<String> {
        bodies.into_iter().map(|body| String::from_utf8(body.into_owned()).unwrap()).collect()
    }

    #[test]
    fn spaces_inside_strings_stay_and_others_are_written_anew() {
        let json = "{ \"a, b: \\\" c\" :\n[1,2 ] }";
        assert_eq!(respace(json, false), "{\"a, b: \\\" c\":[1,2]}");
        assert_eq!(respace(json, true), "{\"a, b: \\\" c\": [1, 2]}");
    }

    #[test]
    fn the_readings_of_a_body_are_few() {
        let body = br#"{"type":"x","id":"1","data":{"id":"2"}}"#;
        let count = byte_order_mark(body).len() + white_space(body).len() + written_again(body).len();
        assert!(count <= 16, "{count}");
    }

    #[test]
    fn keys_are_put_in_the_usual_order_and_numbers_are_kept_as_written() {
        let body = br#"{"zz":1.0,"data":{"b":1,"a":2},"created_at":1e3,"id":"1"}"#;
        let all = texts(written_again(body));
        let wanted = r#"{"id":"1","created_at":1e3,"data":{"b":1,"a":2},"zz":1.0}"#;
        assert!(all.iter().any(|text| text == wanted), "{all:?}");
    }

    #[test]
    fn characters_beyond_ascii_are_escaped_as_python_does() {
        assert_eq!(escaped("\"é😀\""), "\"\\u00e9\\ud83d\\ude00\"");
    }

    #[test]
    fn what_is_not_a_json_object_is_not_written_again() {
        for body in [b"".as_slice(), b"[1]", b"{", b"\xff"] {
            assert!(written_again(body).is_empty());
        }
    }
}
