//! The verifier against published vectors, against another verifier, and against nonsense.

use std::time::UNIX_EPOCH;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use frontdesk::domain::secret::{Secret, parse_list};
use frontdesk::domain::verify::{Refusal, Verifier};
use proptest::prelude::*;
use serde::Deserialize;

const SECRET: &str = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";
/// The key 0, 1, … 31, which the rotation rows use for the other secret.
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    now: i64,
    headers: Vec<(String, String)>,
    body_b64: String,
    recommended_for_frontdesk: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Accept,
    Reject,
    RefuseSecret,
    /// The signature is good, and the body cannot be read: stored for a person.
    Park,
}

impl Vector {
    fn headers(&self) -> HeaderMap {
        headers(self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }

    fn body(&self) -> Bytes {
        STANDARD.decode(&self.body_b64).unwrap().into()
    }

    fn number(&self) -> &str {
        self.name.split(' ').next().unwrap()
    }

    fn expected(&self) -> Expected {
        // Rows whose advice leaves a choice, and what was chosen.
        match self.number() {
            // Header lines folded with ", ": the last one is a whole word after
            // the split at spaces, the others keep their comma and are refused.
            "20" => return Expected::Accept,
            "21" => return Expected::Reject,
            // The cap of 16 signatures comes before any of them is tried.
            "23" => return Expected::Reject,
            // No setting makes a secret without its prefix acceptable.
            "51" => return Expected::RefuseSecret,
            // Lost padding loses no bits of the key.
            "53" => return Expected::Accept,
            // This row's verifier has only the old secret; with both, see below.
            "61" => return Expected::Reject,
            _ => {}
        }
        let advice = self.recommended_for_frontdesk.as_str();
        let starts = |start: &str| advice.starts_with(start);
        if starts("sig ok") || starts("HMAC over bytes ok") {
            Expected::Park
        } else if starts("refuse to start") {
            Expected::RefuseSecret
        } else if starts("reject") {
            Expected::Reject
        } else if starts("accept") || starts("trim, accept") {
            Expected::Accept
        } else {
            panic!("{}: advice not understood: {advice}", self.name)
        }
    }

    fn actual(&self) -> Expected {
        let Ok(secret) = Secret::parse(&self.secret) else {
            return Expected::RefuseSecret;
        };
        let verifier = Verifier::new(vec![secret]);
        match verifier.verify(&self.headers(), self.body(), self.now) {
            Err(_) => Expected::Reject,
            Ok(verified) => match serde_json::from_slice::<serde_json::Value>(verified.body()) {
                Ok(_) => Expected::Accept,
                Err(_) => Expected::Park,
            },
        }
    }
}

fn headers<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    lines
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("data/openai-webhook-vectors.json")).unwrap()
}

fn vector(number: &str) -> Vector {
    vectors().into_iter().find(|v| v.number() == number).unwrap()
}

#[test]
fn every_vector_ends_as_it_should() {
    let all = vectors();
    assert_eq!(all.len(), 62);
    let wrong: Vec<String> = all
        .iter()
        .filter(|v| v.actual() != v.expected())
        .map(|v| format!("{}: {:?} instead of {:?}", v.name, v.actual(), v.expected()))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_refusal_says_what_is_wrong_with_the_vector() {
    let table = [
        ("03", Refusal::TooOld { by_s: 301 }),
        ("05", Refusal::TooNew { by_s: 301 }),
        ("07", Refusal::SignatureMismatch),
        ("19", Refusal::HeaderMalformed { name: "webhook-signature" }),
        ("23", Refusal::HeaderMalformed { name: "webhook-signature" }),
        ("24", Refusal::HeaderMissing { name: "webhook-id" }),
        ("25", Refusal::HeaderMissing { name: "webhook-timestamp" }),
        ("26", Refusal::HeaderMissing { name: "webhook-signature" }),
        ("27", Refusal::HeaderMalformed { name: "webhook-id" }),
        ("30", Refusal::TimestampMalformed),
        ("31", Refusal::TimestampMalformed),
        ("32", Refusal::TimestampMalformed),
        ("36", Refusal::TooNew { by_s: 1_749_110_348_790 }),
        ("37", Refusal::TimestampMalformed),
        ("38", Refusal::TimestampMalformed),
        ("39", Refusal::TimestampMalformed),
        ("44", Refusal::SignatureMismatch),
    ];
    for (number, refusal) in table {
        let v = vector(number);
        let verifier = Verifier::new(vec![Secret::parse(&v.secret).unwrap()]);
        let got = verifier.verify(&v.headers(), v.body(), v.now).unwrap_err();
        assert_eq!(got, refusal, "{}", v.name);
    }
}

#[test]
fn a_header_sent_twice_is_refused_even_when_both_are_good() {
    let v = vector("01");
    let verifier = Verifier::new(vec![Secret::parse(SECRET).unwrap()]);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut headers = v.headers();
        let value = headers[name].clone();
        headers.append(name, value);
        let got = verifier.verify(&headers, v.body(), v.now).unwrap_err();
        assert_eq!(got, Refusal::HeaderRepeated { name });
    }
}

#[test]
fn a_forged_and_late_delivery_is_called_forged() {
    let v = vector("48");
    let verifier = Verifier::new(vec![Secret::parse(OTHER_SECRET).unwrap()]);
    let got = verifier.verify(&v.headers(), v.body(), v.now + 9999).unwrap_err();
    assert_eq!(got, Refusal::SignatureMismatch);
}

#[test]
fn during_a_rotation_either_secret_is_accepted_and_named() {
    let secrets = parse_list(&format!("{SECRET} {OTHER_SECRET}")).unwrap();
    let hints: Vec<String> = secrets.iter().map(|s| s.hint().to_owned()).collect();
    let verifier = Verifier::new(secrets);
    for (number, hint) in [("01", &hints[0]), ("61", &hints[1])] {
        let v = vector(number);
        let verified = verifier.verify(&v.headers(), v.body(), v.now).unwrap();
        assert_eq!(verified.secret_hint(), hint);
        assert_eq!(verified.delivery_id(), "wh_685c059ae39c8190af8c71ed1022a24d");
        assert_eq!(verified.signed_at_s(), v.now);
        assert_eq!(verified.into_body(), v.body());
    }
}

#[test]
fn long_headers_are_refused_at_their_limits() {
    let verifier = Verifier::new(vec![Secret::parse(SECRET).unwrap()]);
    let refusal = |id: &str, signature: &str| {
        let lines = [("webhook-id", id), ("webhook-timestamp", "1750861210"), ("webhook-signature", signature)];
        let headers = headers(lines.into_iter());
        verifier.verify(&headers, Bytes::new(), 1_750_861_210).unwrap_err()
    };
    let id = Refusal::HeaderMalformed { name: "webhook-id" };
    let signature = Refusal::HeaderMalformed { name: "webhook-signature" };
    assert_eq!(refusal(&"a".repeat(256), "v1,x"), Refusal::SignatureMismatch);
    assert_eq!(refusal(&"a".repeat(257), "v1,x"), id);
    assert_eq!(refusal("a b", "v1,x"), id);
    assert_eq!(refusal("a", &"x".repeat(4096)), Refusal::SignatureMismatch);
    assert_eq!(refusal("a", &"x".repeat(4097)), signature);
    assert_eq!(refusal("a", &"v1,x ".repeat(16)), Refusal::SignatureMismatch);
    assert_eq!(refusal("a", &"v1,x ".repeat(17)), signature);
}

#[test]
fn debug_output_of_what_was_verified_has_no_body() {
    let v = vector("01");
    let verifier = Verifier::new(vec![Secret::parse(SECRET).unwrap()]);
    let verified = verifier.verify(&v.headers(), v.body(), v.now).unwrap();
    let debug = format!("{verifier:?} {verified:?}");
    assert!(!debug.contains("resp_123") && !debug.contains("RdvaYFYU"), "{debug}");
}

#[test]
fn a_verifier_without_secrets_accepts_nothing() {
    let v = vector("01");
    let got = Verifier::new(Vec::new()).verify(&v.headers(), v.body(), v.now);
    assert_eq!(got.unwrap_err(), Refusal::SignatureMismatch);
}

/// The other verifier cannot be given a clock, so these tests sign with the real one.
#[allow(clippy::disallowed_methods)]
fn system_now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}

fn signed(id: &str, timestamp: i64, signature: &str) -> HeaderMap {
    let timestamp = timestamp.to_string();
    let lines = [("webhook-id", id), ("webhook-timestamp", timestamp.as_str()), ("webhook-signature", signature)];
    headers(lines.into_iter())
}

/// Both verdicts, ours first.
fn both(key: &[u8], headers: &HeaderMap, body: &str, now_s: i64) -> (bool, bool) {
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let ours = Verifier::new(vec![Secret::parse(&secret).unwrap()]);
    let theirs = standardwebhooks::Webhook::new(&secret).unwrap();
    let body_bytes = Bytes::copy_from_slice(body.as_bytes());
    (ours.verify(headers, body_bytes, now_s).is_ok(), theirs.verify(body.as_bytes(), headers).is_ok())
}

proptest! {
    #[test]
    fn both_verifiers_accept_what_the_other_crate_signs(
        key in proptest::collection::vec(any::<u8>(), 16..=64),
        id in "[!-~]{1,60}",
        body in ".{0,300}",
        offset in -290_i64..=290,
    ) {
        let now_s = system_now_s();
        let signer = standardwebhooks::Webhook::from_bytes(key.clone()).unwrap();
        let signature = signer.sign(&id, now_s + offset, body.as_bytes()).unwrap();
        let headers = signed(&id, now_s + offset, &signature);
        prop_assert_eq!(both(&key, &headers, &body, now_s), (true, true));
    }

    #[test]
    fn both_verifiers_reject_what_was_changed_after_signing(
        id in "[!-~]{1,60}",
        body in ".{1,300}",
        change in 0..5_u8,
        at in any::<prop::sample::Index>(),
        by in prop_oneof![Just(1_i64), Just(-1), Just(-400), Just(400)],
    ) {
        let now_s = system_now_s();
        let key = [7_u8; 32];
        let signer = standardwebhooks::Webhook::from_bytes(key.to_vec()).unwrap();
        let signature = signer.sign(&id, now_s, body.as_bytes()).unwrap();
        let mut changed_signature = signature.clone().into_bytes();
        let place = 3 + at.index(40);
        changed_signature[place] = if changed_signature[place] == b'A' { b'B' } else { b'A' };
        let changed_signature = String::from_utf8(changed_signature).unwrap();

        let (headers, body) = match change {
            0 => (signed(&format!("{id}x"), now_s, &signature), body),
            1 => (signed(&id, now_s + by, &signature), body),
            2 => (signed(&id, now_s, &changed_signature), body),
            3 => (signed(&id, now_s, &signature), format!("{body} ")),
            _ => {
                let mut chars: Vec<char> = body.chars().collect();
                let place = at.index(chars.len());
                chars[place] = if chars[place] == 'a' { 'b' } else { 'a' };
                (signed(&id, now_s, &signature), chars.into_iter().collect())
            }
        };
        prop_assert_eq!(both(&key, &headers, &body, now_s), (false, false));
    }

    #[test]
    fn both_verifiers_reject_what_is_well_signed_but_not_of_this_time(
        offset in prop_oneof![-100_000_i64..-310, 310_i64..100_000],
    ) {
        let now_s = system_now_s();
        let key = [7_u8; 32];
        let signer = standardwebhooks::Webhook::from_bytes(key.to_vec()).unwrap();
        let signature = signer.sign("wh_1", now_s + offset, b"{}").unwrap();
        let headers = signed("wh_1", now_s + offset, &signature);
        prop_assert_eq!(both(&key, &headers, "{}", now_s), (false, false));
    }

    #[test]
    fn no_headers_body_or_clock_make_the_verifier_panic(
        lines in proptest::collection::vec(
            (0..3_usize, prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                "[0-9+-]{1,22}".prop_map(String::into_bytes),
                "(v1,[A-Za-z0-9+/=]{0,50} ?){0,20}".prop_map(String::into_bytes),
            ]),
            0..6,
        ),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        now_s in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)],
    ) {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(names[name], value);
            }
        }
        let verifier = Verifier::new(vec![Secret::parse(SECRET).unwrap()]);
        prop_assert!(verifier.verify(&headers, body.into(), now_s).is_err());
    }
}
