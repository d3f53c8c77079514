//! Why a delivery was refused, told to the operator. Never to the sender: to a
//! stranger every refusal looks the same.
//!
//! When no signature matches, the likely accidents are tried out: a proxy that
//! rewrote the body, a secret that was read in another way. Each is one HMAC,
//! their number is fixed, and long bodies are left alone, so that a stranger
//! cannot make us work.

use std::borrow::Cow;

use axum::http::HeaderMap;

use crate::domain::secret::Secret;
use crate::domain::verify::{Envelope, Refusal, TOLERANCE_S, Verifier, keyed, words};

use super::reread;

/// Bodies longer than this are not read again; OpenAI's have a few hundred bytes.
const MAX_REREAD_BYTES: usize = 64 * 1024;

/// How many secrets are tried; more than a rotation ever needs.
const MAX_SECRETS: usize = 8;

/// What the operator is told about a refused delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// A stable name, for grouping.
    pub code: &'static str,
    /// What probably happened and what to do. Holds no content of the delivery.
    pub text: String,
}

/// Explains a refusal of this delivery by this verifier. `now_s` is our clock in
/// Unix seconds; `matched_before` says whether a secret of this project has ever
/// matched a delivery, which tells a wrong secret from a forged delivery.
#[must_use]
pub fn explain(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &[u8],
    now_s: i64,
    refusal: &Refusal,
    matched_before: bool,
) -> Explanation {
    let text = match *refusal {
        Refusal::HeaderMissing { name } => format!(
            "The header {name} is missing. If this came from OpenAI, a proxy in front of Frontdesk strips it: \
             let webhook-id, webhook-timestamp and webhook-signature through."
        ),
        Refusal::HeaderRepeated { name } => format!(
            "The header {name} came more than once. OpenAI sends it once: a proxy in front of Frontdesk \
             probably adds it a second time, or the delivery is forged."
        ),
        Refusal::HeaderMalformed { name } => format!(
            "The header {name} is empty, too long, or has characters that OpenAI never sends. A proxy in \
             front of Frontdesk probably rewrites it, or the delivery is forged."
        ),
        Refusal::TimestampMalformed => "The header webhook-timestamp is not a plain number of seconds. \
             OpenAI never sends that: the delivery is probably made by hand or forged."
            .to_owned(),
        Refusal::TooOld { by_s } => format!(
            "The signature is good, but it was made {by_s} s before our clock, and {TOLERANCE_S} s are allowed. \
             Either our clock is ahead (check its synchronisation), or something held the delivery \
             back or sent it again. OpenAI signs each retry with the time of that retry."
        ),
        Refusal::TooNew { by_s } => format!(
            "The signature is good, but it was made {by_s} s after our clock, and {TOLERANCE_S} s are allowed. \
             Our clock is behind: check its synchronisation."
        ),
        Refusal::SignatureMismatch => {
            return mismatch(verifier, headers, body, now_s, matched_before);
        }
    };
    Explanation { code: refusal.code(), text }
}

fn mismatch(verifier: &Verifier, headers: &HeaderMap, body: &[u8], now_s: i64, matched_before: bool) -> Explanation {
    let secrets: Vec<&Secret> = verifier.secrets().iter().take(MAX_SECRETS).collect();
    let reading = match Envelope::read(headers) {
        Ok(envelope) if body.len() <= MAX_REREAD_BYTES => {
            secrets.iter().find_map(|secret| Some((*secret, read_again(&envelope, secret, body)?)))
        }
        _ => None,
    };
    match reading {
        Some((secret, Accident { code, text })) => {
            Explanation { code, text: format!("{text} (secret {})", secret.hint()) }
        }
        None => no_match(verifier, headers, now_s, matched_before),
    }
}

fn no_match(verifier: &Verifier, headers: &HeaderMap, now_s: i64, matched_before: bool) -> Explanation {
    let hints: Vec<&str> = verifier.secrets().iter().map(Secret::hint).collect();
    let hints = match hints.len() {
        0 => "none is set".to_owned(),
        _ => hints.join(", "),
    };
    let (code, likely) = if matched_before {
        (
            "forged_or_changed",
            "One of them has matched deliveries before, so this one is probably forged, or something \
             between OpenAI and Frontdesk changes the body. If the secret was rotated a moment ago, add the new one.",
        )
    } else {
        (
            "wrong_secret",
            "None has ever matched, so the secret is probably that of another endpoint or project: copy it \
             again, or rotate it at OpenAI and set the new one.",
        )
    };
    let age = match Envelope::read(headers).and_then(|envelope| envelope.check_age(now_s)) {
        Err(Refusal::TooOld { by_s }) => format!(" Its time is also {by_s} s before our clock."),
        Err(Refusal::TooNew { by_s }) => format!(" Its time is also {by_s} s after our clock."),
        _ => String::new(),
    };
    Explanation { code, text: format!("No signature matches a secret of ours ({hints}). {likely}{age}") }
}

/// Something that happens to honest deliveries.
struct Accident {
    code: &'static str,
    text: &'static str,
}

const TEXT_KEY: Accident = Accident {
    code: "secret_as_text",
    text: "The sender used the text of our secret as the key instead of decoding it from base64: \
           this is a home-made sender, not OpenAI. Decode what follows whsec_.",
};
const HEX_KEY: Accident = Accident {
    code: "secret_as_hex",
    text: "The sender read our secret as hexadecimal instead of base64: this is a home-made sender, \
           not OpenAI, or whsec_ was put in front of a secret that is hexadecimal.",
};
const HEX_SIGNATURE: Accident = Accident {
    code: "signature_as_hex",
    text: "The signature is right but written in hexadecimal instead of base64: this is a home-made \
           sender, not OpenAI.",
};
const LOOSE_SIGNATURE: Accident = Accident {
    code: "signature_as_loose_base64",
    text: "The signature is right but not written as \"v1,\" and padded standard base64: this is a \
           home-made sender, not OpenAI, or something rewrites the header.",
};
const BOM: Accident = Accident {
    code: "body_bom",
    text: "The signature fits once a byte order mark is added or taken away at the start: \
           something between the sender and Frontdesk re-encodes the body. Pass it on byte for byte.",
};
const WHITE_SPACE: Accident = Accident {
    code: "body_white_space",
    text: "The signature fits once white space at the end of the body is added or taken away: \
           something between the sender and Frontdesk trims or completes it. Pass it on byte for byte.",
};
const WRITTEN_AGAIN: Accident = Accident {
    code: "body_written_again",
    text: "The signature fits the same JSON with other separators, escapes or order of keys: \
           something between the sender and Frontdesk parses the body and writes it again. \
           Pass it on byte for byte.",
};

fn read_again(envelope: &Envelope<'_>, secret: &Secret, body: &[u8]) -> Option<Accident> {
    let key = keyed(secret.key())?;
    let fits = |body: &[u8]| envelope.is_signed_by(&key, body);
    let fits_any = |bodies: &[Cow<'_, [u8]>]| bodies.iter().any(|body| fits(body));

    if reread::keys_as_text(secret).iter().any(|text| keyed(text).is_some_and(|key| envelope.is_signed_by(&key, body)))
    {
        return Some(TEXT_KEY);
    }
    if let Some(bytes) = reread::key_as_hex(secret)
        && keyed(&bytes).is_some_and(|key| envelope.is_signed_by(&key, body))
    {
        return Some(HEX_KEY);
    }
    let written = reread::signature(&envelope.tag(&key, body), words(envelope.signatures));
    match written {
        Some(reread::Written::Hex) => return Some(HEX_SIGNATURE),
        Some(reread::Written::LooseBase64) => return Some(LOOSE_SIGNATURE),
        None => {}
    }
    if fits_any(&reread::byte_order_mark(body)) {
        return Some(BOM);
    }
    if fits_any(&reread::white_space(body)) {
        return Some(WHITE_SPACE);
    }
    fits_any(&reread::written_again(body)).then_some(WRITTEN_AGAIN)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    use bytes::Bytes;
    use hmac::Mac as _;

    use super::*;

    const NOW_S: i64 = 1_750_861_210;
    const BODY: &str = r#"{"id": "evt_1", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_secret_é"}}"#;
    /// 24 bytes whose base64 is also hexadecimal.
    const SECRET: &str = "whsec_00112233445566778899aabbccddeeff";

    fn verifier() -> Verifier {
        Verifier::new(vec![Secret::parse(SECRET).unwrap()])
    }

    fn tag(key: &[u8], body: &[u8]) -> Vec<u8> {
        let mut mac = keyed(key).unwrap();
        mac.update(format!("wh_1.{NOW_S}.").as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().to_vec()
    }

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("wh_1"));
        headers.insert("webhook-timestamp", HeaderValue::from(NOW_S));
        headers.insert("webhook-signature", HeaderValue::from_str(signature).unwrap());
        headers
    }

    /// Signed with `key` over `sent`, received as `came` at `now_s`.
    fn told(headers: &HeaderMap, came: &[u8], now_s: i64, matched_before: bool) -> Explanation {
        let verifier = verifier();
        let refusal = verifier.verify(headers, Bytes::copy_from_slice(came), now_s).unwrap_err();
        let told = explain(&verifier, headers, came, now_s, &refusal, matched_before);
        assert!(!told.text.contains("resp_secret"), "{}", told.text);
        assert!(!told.text.contains("00112233"), "{}", told.text);
        told
    }

    fn accident(key: &[u8], sent: &[u8], came: &[u8]) -> &'static str {
        let signature = format!("v1,{}", STANDARD.encode(tag(key, sent)));
        let told = told(&headers(&signature), came, NOW_S, true);
        told.code
    }

    fn key() -> Vec<u8> {
        Secret::parse(SECRET).unwrap().key().to_vec()
    }

    #[test]
    fn a_missing_or_repeated_header_is_laid_to_a_proxy() {
        let mut lines = headers("v1,x");
        lines.append("webhook-id", HeaderValue::from_static("wh_1"));
        let repeated = told(&lines, b"{}", NOW_S, true);
        assert_eq!(repeated.code, "header_repeated");
        assert!(repeated.text.contains("webhook-id"));
        lines.remove("webhook-id");
        let missing = told(&lines, b"{}", NOW_S, true);
        assert_eq!(missing.code, "header_missing");
        assert!(missing.text.contains("proxy"));
        lines.insert("webhook-id", HeaderValue::from_static(""));
        assert_eq!(told(&lines, b"{}", NOW_S, true).code, "header_malformed");
        let mut lines = headers("v1,x");
        lines.insert("webhook-timestamp", HeaderValue::from_static("now"));
        assert_eq!(told(&lines, b"{}", NOW_S, true).code, "timestamp_malformed");
    }

    #[test]
    fn a_clock_that_is_off_is_told_with_its_side_and_seconds() {
        let signature = format!("v1,{}", STANDARD.encode(tag(&key(), b"{}")));
        let old = told(&headers(&signature), b"{}", NOW_S + 412, true);
        assert_eq!(old.code, "too_old");
        assert!(old.text.contains("412 s before our clock"), "{}", old.text);
        let new = told(&headers(&signature), b"{}", NOW_S - 413, true);
        assert_eq!(new.code, "too_new");
        assert!(new.text.contains("413 s after our clock"), "{}", new.text);
    }

    #[test]
    fn a_body_that_was_written_again_is_recognised() {
        let sent = BODY.as_bytes();
        let compact = BODY.replace(", ", ",").replace("\": ", "\":");
        let escaped = BODY.replace('é', "\\u00e9");
        let sorted = r#"{"created_at":1750861210,"data":{"id":"resp_secret_é"},"id":"evt_1","object":"event","type":"response.completed"}"#;
        for came in [compact.as_str(), sorted] {
            assert_eq!(accident(&key(), sent, came.as_bytes()), "body_written_again");
            assert_eq!(accident(&key(), escaped.as_bytes(), came.as_bytes()), "body_written_again");
        }
        assert_eq!(accident(&key(), compact.as_bytes(), sent), "body_written_again");
        assert_eq!(accident(&key(), escaped.as_bytes(), sent), "body_written_again");
    }

    #[test]
    fn white_space_and_byte_order_marks_are_recognised() {
        let bare = BODY.as_bytes();
        for added in ["\n", "\r\n", " "] {
            let longer = format!("{BODY}{added}").into_bytes();
            assert_eq!(accident(&key(), bare, &longer), "body_white_space");
            assert_eq!(accident(&key(), &longer, bare), "body_white_space");
        }
        let marked = format!("\u{feff}{BODY}").into_bytes();
        assert_eq!(accident(&key(), bare, &marked), "body_bom");
        assert_eq!(accident(&key(), &marked, bare), "body_bom");
    }

    #[test]
    fn a_secret_used_as_text_or_as_hexadecimal_is_recognised() {
        let body = BODY.as_bytes();
        assert_eq!(accident(SECRET.as_bytes(), body, body), "secret_as_text");
        assert_eq!(accident(&SECRET.as_bytes()[6..], body, body), "secret_as_text");
        let hex: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
        assert_eq!(accident(&hex, body, body), "secret_as_hex");
    }

    #[test]
    fn a_right_signature_in_another_notation_is_recognised() {
        let tag = tag(&key(), b"{}");
        let hex: String = tag.iter().map(|b| format!("{b:02x}")).collect();
        let code = |signature: &str| told(&headers(signature), b"{}", NOW_S, true).code;
        assert_eq!(code(&format!("v1,{hex}")), "signature_as_hex");
        assert_eq!(code(&format!("sha256={hex}")), "signature_as_hex");
        assert_eq!(code(&STANDARD.encode(&tag)), "signature_as_loose_base64");
        let bare = STANDARD_NO_PAD.encode(&tag);
        assert_eq!(code(&format!("v1,{bare}")), "signature_as_loose_base64");
        let url = URL_SAFE.encode(&tag);
        assert_eq!(code(&format!("v2,{url}")), "signature_as_loose_base64");
    }

    #[test]
    fn when_nothing_fits_it_matters_whether_a_secret_ever_matched() {
        let signature = format!("v1,{}", STANDARD.encode(tag(b"another key", b"{}")));
        let headers = headers(&signature);
        let changed = told(&headers, b"{}", NOW_S, true);
        assert_eq!(changed.code, "forged_or_changed");
        let wrong = told(&headers, b"{}", NOW_S + 5000, false);
        assert_eq!(wrong.code, "wrong_secret");
        let hint = verifier().secrets()[0].hint().to_owned();
        assert!(changed.text.contains(&hint) && wrong.text.contains(&hint));
        assert!(wrong.text.contains("5000 s before our clock"), "{}", wrong.text);
    }

    #[test]
    fn a_long_body_is_not_read_again() {
        let long = format!("\"{}\"", "x".repeat(MAX_REREAD_BYTES));
        let longer = format!("{long}\n");
        let signature = format!("v1,{}", STANDARD.encode(tag(&key(), long.as_bytes())));
        let told = told(&headers(&signature), longer.as_bytes(), NOW_S, true);
        assert_eq!(told.code, "forged_or_changed");
    }
}
