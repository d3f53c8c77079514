//! Verification of a delivery's signature: the only way from bytes of a
//! stranger to something that may be stored.
//!
//! The scheme is Standard Webhooks 1.0.0, as OpenAI uses it: HMAC-SHA256 over
//! `id.timestamp.body` with the header text as it was sent, base64 after `v1,`.
//! Written here rather than taken from a crate because the published ones read
//! the system clock, take one secret, and accept an empty one.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::secret::Secret;

/// How far `webhook-timestamp` may be from our clock, in seconds, both ways and
/// inclusive: the value in OpenAI's own SDKs. A retry carries the time of its
/// own attempt, so this does not shorten the 72 hours of retries.
pub const TOLERANCE_S: i64 = 300;

/// Header that names the message.
pub const ID_HEADER: &str = "webhook-id";
/// Header with the time of the attempt, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Header with the signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const MAX_ID_BYTES: usize = 256;
const MAX_SIGNATURE_BYTES: usize = 4096;
const MAX_SIGNATURES: usize = 16;
/// 15 digits fit an `i64` with room for any sum or difference.
const MAX_TIMESTAMP_DIGITS: usize = 15;
const TAG_BYTES: usize = 32;

pub(crate) type Keyed = Hmac<Sha256>;

/// Checks deliveries against the secrets of one endpoint.
#[derive(Clone)]
pub struct Verifier {
    secrets: Vec<Secret>,
    /// HMAC states with the key already mixed in, in the order of `secrets`:
    /// cloning one is cheaper than keying it again for each delivery.
    keyed: Vec<(Keyed, Arc<str>)>,
}

impl Verifier {
    /// A verifier that accepts a signature by any of these secrets. Without
    /// secrets it accepts nothing.
    #[must_use]
    pub fn new(secrets: Vec<Secret>) -> Verifier {
        let keyed =
            secrets.iter().filter_map(|secret| Some((keyed(secret.key())?, Arc::from(secret.hint())))).collect();
        Verifier { secrets, keyed }
    }

    /// The secrets, in the order they are tried.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Checks a delivery; `now_s` is our clock in Unix seconds.
    ///
    /// # Errors
    /// The first thing that is wrong. Age is looked at last, so `TooOld` and
    /// `TooNew` mean that the signature is good.
    pub fn verify(&self, headers: &HeaderMap, body: Bytes, now_s: i64) -> Result<Verified, Refusal> {
        let envelope = Envelope::read(headers)?;
        let secret_hint = self
            .keyed
            .iter()
            .find(|(keyed, _)| envelope.is_signed_by(keyed, &body))
            .map(|(_, hint)| Arc::clone(hint))
            .ok_or(Refusal::SignatureMismatch)?;
        envelope.check_age(now_s)?;
        Ok(Verified { delivery_id: envelope.id.to_owned(), signed_at_s: envelope.timestamp_s, secret_hint, body })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("secrets", &self.secrets).finish()
    }
}

/// HMAC takes keys of any length, so this is never `None`; the option is what
/// the trait leaves us with.
pub(crate) fn keyed(key: &[u8]) -> Option<Keyed> {
    Keyed::new_from_slice(key).ok()
}

/// The signature of a message of our own, as `v1,…` over `id.timestamp.body`.
/// None never happens; see [`keyed`].
pub(crate) fn sign(secret: &Secret, id: &str, timestamp_s: i64, body: &[u8]) -> Option<String> {
    let mut mac = keyed(secret.key())?;
    for part in [id.as_bytes(), b".", timestamp_s.to_string().as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// A delivery whose signature and age were good. Only [`Verifier::verify`]
/// makes one, so that what was not verified cannot be stored.
pub struct Verified {
    delivery_id: String,
    signed_at_s: i64,
    secret_hint: Arc<str>,
    body: Bytes,
}

impl Verified {
    /// The `webhook-id`: visible ASCII, 1 to 256 bytes.
    #[must_use]
    pub fn delivery_id(&self) -> &str {
        &self.delivery_id
    }

    /// The `webhook-timestamp` in Unix seconds: when this attempt was signed.
    #[must_use]
    pub fn signed_at_s(&self) -> i64 {
        self.signed_at_s
    }

    /// Which secret matched; see [`Secret::hint`].
    #[must_use]
    pub fn secret_hint(&self) -> &str {
        &self.secret_hint
    }

    /// The body, byte for byte as it came. It need not be UTF-8 or JSON.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, taken out.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("delivery_id", &self.delivery_id)
            .field("signed_at_s", &self.signed_at_s)
            .field("secret_hint", &self.secret_hint)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// The three headers, read but not yet believed.
pub(crate) struct Envelope<'a> {
    pub(crate) id: &'a str,
    timestamp: &'a str,
    pub(crate) timestamp_s: i64,
    pub(crate) signatures: &'a str,
}

impl<'a> Envelope<'a> {
    pub(crate) fn read(headers: &'a HeaderMap) -> Result<Envelope<'a>, Refusal> {
        let id = one_line(headers, ID_HEADER)?;
        let timestamp = one_line(headers, TIMESTAMP_HEADER)?;
        let signatures = one_line(headers, SIGNATURE_HEADER)?;

        let malformed = |name| Refusal::HeaderMalformed { name };
        let id = text(id, MAX_ID_BYTES, |b| b.is_ascii_graphic()).ok_or(malformed(ID_HEADER))?;
        let signatures = text(signatures, MAX_SIGNATURE_BYTES, |b| b.is_ascii_graphic() || b == b' ')
            .filter(|list| words(list).nth(MAX_SIGNATURES).is_none())
            .ok_or(malformed(SIGNATURE_HEADER))?;
        let timestamp = text(timestamp, MAX_TIMESTAMP_DIGITS, |b| b.is_ascii_digit())
            .filter(|digits| !digits.starts_with('0'))
            .ok_or(Refusal::TimestampMalformed)?;
        let timestamp_s = timestamp.parse().map_err(|_| Refusal::TimestampMalformed)?;
        Ok(Envelope { id, timestamp, timestamp_s, signatures })
    }

    /// Whether one of the `v1` signatures is this key's over this body.
    pub(crate) fn is_signed_by(&self, keyed: &Keyed, body: &[u8]) -> bool {
        let mac = self.mac(keyed, body);
        words(self.signatures)
            .filter_map(|word| decode(word.strip_prefix("v1,")?))
            .any(|tag| mac.clone().verify_slice(&tag).is_ok())
    }

    /// The right signature by this key: for explanations, never for acceptance.
    pub(crate) fn tag(&self, keyed: &Keyed, body: &[u8]) -> [u8; TAG_BYTES] {
        self.mac(keyed, body).finalize().into_bytes().into()
    }

    /// The keyed state after the signed content.
    fn mac(&self, keyed: &Keyed, body: &[u8]) -> Keyed {
        let mut mac = keyed.clone();
        for part in [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }

    pub(crate) fn check_age(&self, now_s: i64) -> Result<(), Refusal> {
        let age_s = now_s.saturating_sub(self.timestamp_s);
        let lead_s = self.timestamp_s.saturating_sub(now_s);
        if age_s > TOLERANCE_S {
            Err(Refusal::TooOld { by_s: age_s })
        } else if lead_s > TOLERANCE_S {
            Err(Refusal::TooNew { by_s: lead_s })
        } else {
            Ok(())
        }
    }
}

pub(crate) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').filter(|word| !word.is_empty())
}

/// Strict: padded, standard alphabet, exactly one HMAC-SHA256.
fn decode(signature: &str) -> Option<[u8; TAG_BYTES]> {
    // Room for what 44 characters can decode to before the padding is counted.
    let mut buffer = [0; TAG_BYTES + 1];
    if signature.len() != 44 {
        return None;
    }
    let length = STANDARD.decode_slice(signature, &mut buffer).ok()?;
    buffer.get(..length)?.try_into().ok()
}

/// The bytes of a header that must be there exactly once. A second line is
/// refused rather than merged: which one the sender meant is anybody's guess.
fn one_line<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Refusal> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next().ok_or(Refusal::HeaderMissing { name })?;
    match lines.next() {
        None => Ok(first.as_bytes()),
        Some(_) => Err(Refusal::HeaderRepeated { name }),
    }
}

fn text(bytes: &[u8], max: usize, allowed: impl Fn(u8) -> bool) -> Option<&str> {
    let fits = !bytes.is_empty() && bytes.len() <= max && bytes.iter().all(|b| allowed(*b));
    if fits { std::str::from_utf8(bytes).ok() } else { None }
}

/// Why a delivery was not accepted. Holds no content: it is logged and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header is not there.
    #[error("header {name} is missing")]
    HeaderMissing {
        /// Which.
        name: &'static str,
    },
    /// A header is there more than once.
    #[error("header {name} is there more than once")]
    HeaderRepeated {
        /// Which.
        name: &'static str,
    },
    /// A header is empty, too long, or has characters that are never sent.
    #[error("header {name} is empty, too long or has characters that do not belong there")]
    HeaderMalformed {
        /// Which.
        name: &'static str,
    },
    /// The timestamp is not a plain number of seconds (`^[1-9][0-9]{0,14}$`).
    #[error("header webhook-timestamp is not a number of seconds")]
    TimestampMalformed,
    /// Well signed, but the signature is too old.
    #[error("well signed, but {by_s} s before our clock (300 s are allowed)")]
    TooOld {
        /// Seconds from the timestamp to our clock; more than the tolerance.
        by_s: i64,
    },
    /// Well signed, but the signature is from the future.
    #[error("well signed, but {by_s} s after our clock (300 s are allowed)")]
    TooNew {
        /// Seconds from our clock to the timestamp; more than the tolerance.
        by_s: i64,
    },
    /// None of our secrets made any of the signatures.
    #[error("no signature matches a secret of ours")]
    SignatureMismatch,
}

impl Refusal {
    /// The stable name used in metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::HeaderMissing { .. } => "header_missing",
            Refusal::HeaderRepeated { .. } => "header_repeated",
            Refusal::HeaderMalformed { .. } => "header_malformed",
            Refusal::TimestampMalformed => "timestamp_malformed",
            Refusal::TooOld { .. } => "too_old",
            Refusal::TooNew { .. } => "too_new",
            Refusal::SignatureMismatch => "signature_mismatch",
        }
    }
}
