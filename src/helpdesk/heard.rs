//! What a helpdesk tells us by a webhook of its own, and whether it was the helpdesk.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha1::Sha1;
use sha2::Sha256;

/// How far the time of a webhook may be from ours, in ms: as for OpenAI's.
const TOLERANCE_MS: i64 = 300_000;

/// A webhook as it arrived.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// All of them.
    pub headers: &'a HeaderMap,
    /// Byte for byte.
    pub body: &'a [u8],
    /// What the helpdesk and we alone know.
    pub secret: &'a [u8],
    /// When it arrived, in ms.
    pub now_ms: i64,
}

/// What happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The helpdesk's id of this event, the same when it is told again; without one
    /// the same bytes count as the same event.
    pub id: Option<String>,
    /// The ticket's id, not checked yet.
    pub ticket: String,
    /// What happened.
    pub what: Happened,
    /// Whether our own user did it.
    pub by_us: bool,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When it happened, in ms.
    pub at_ms: i64,
    /// What.
    pub heard: Heard,
}

/// What may start work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happened {
    /// There is a new ticket.
    Created,
    /// The customer wrote.
    CustomerWrote,
    /// Somebody else has it now.
    HandedOver,
    /// It is solved or closed.
    Solved,
    /// A call about it is over.
    CallEnded,
    /// Something that starts nothing.
    Other,
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeard {
    /// It bears no signature.
    #[error("it is not signed")]
    Unsigned,
    /// It bears another's.
    #[error("its signature is not ours")]
    Forged,
    /// Its time is not now.
    #[error("its time is more than five minutes from ours")]
    Late,
    /// It was them, and it is not what they are known to send.
    #[error("it is not in the expected shape")]
    Shapeless,
    /// This helpdesk has no webhooks that could be believed.
    #[error("this helpdesk tells nothing")]
    NotOffered,
}

/// How a signature is made, and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// HMAC-SHA256 in hexadecimal.
    Sha256Hex,
    /// HMAC-SHA256 in base64.
    Sha256Base64,
    /// HMAC-SHA1 in hexadecimal.
    Sha1Hex,
    /// HMAC-SHA1 in base64.
    Sha1Base64,
}

impl Happened {
    /// As in the settings, and in what a rule of a helpdesk sends.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Happened::Created => "created",
            Happened::CustomerWrote => "customer_wrote",
            Happened::HandedOver => "handed_over",
            Happened::Solved => "solved",
            Happened::CallEnded => "call_ended",
            Happened::Other => "other",
        }
    }

    /// The other way round.
    #[must_use]
    pub fn parse(word: &str) -> Option<Happened> {
        use Happened::{CallEnded, Created, CustomerWrote, HandedOver, Other, Solved};
        [Created, CustomerWrote, HandedOver, Solved, CallEnded, Other].into_iter().find(|one| one.word() == word)
    }
}

impl<'a> Told<'a> {
    /// A header that has to be there.
    pub(super) fn header(&self, name: &str) -> Result<&'a str, NotHeard> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).ok_or(NotHeard::Unsigned)
    }

    /// Whether `given` is our signature of these parts, one after the other.
    pub(super) fn is_signed(&self, how: Signed, parts: &[&[u8]], given: &str) -> Result<(), NotHeard> {
        let given = match how {
            Signed::Sha256Hex | Signed::Sha1Hex => unhex(given),
            Signed::Sha256Base64 | Signed::Sha1Base64 => STANDARD.decode(given).ok(),
        };
        let given = given.ok_or(NotHeard::Forged)?;
        // An empty secret would let everybody in.
        if self.secret.is_empty() {
            return Err(NotHeard::Forged);
        }
        let is_ours = match how {
            Signed::Sha256Hex | Signed::Sha256Base64 => Hmac::<Sha256>::new_from_slice(self.secret)
                .map(|mac| parts.iter().fold(mac, |mac, part| mac.chain_update(part)))
                .is_ok_and(|mac| mac.verify_slice(&given).is_ok()),
            Signed::Sha1Hex | Signed::Sha1Base64 => Hmac::<Sha1>::new_from_slice(self.secret)
                .map(|mac| parts.iter().fold(mac, |mac, part| mac.chain_update(part)))
                .is_ok_and(|mac| mac.verify_slice(&given).is_ok()),
        };
        if is_ours { Ok(()) } else { Err(NotHeard::Forged) }
    }

    /// Whether a header is the secret itself: for helpdesks that cannot sign. Takes
    /// the same time whatever it is.
    pub(super) fn bears_secret(&self, name: &str) -> Result<(), NotHeard> {
        let tag = |bytes: &[u8]| {
            let keyed = Hmac::<Sha256>::new_from_slice(self.secret).ok()?;
            Some(keyed.chain_update(bytes).finalize().into_bytes())
        };
        let given = self.header(name)?.as_bytes();
        let is_it = !self.secret.is_empty() && tag(given).is_some() && tag(given) == tag(self.secret);
        if is_it { Ok(()) } else { Err(NotHeard::Forged) }
    }

    /// Whether a time, in ms, is about now.
    pub(super) fn is_now(&self, at_ms: i64) -> Result<(), NotHeard> {
        if at_ms.abs_diff(self.now_ms) <= TOLERANCE_MS.unsigned_abs() { Ok(()) } else { Err(NotHeard::Late) }
    }

    /// The body. Only to be asked once the signature is good.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, NotHeard> {
        serde_json::from_slice(self.body).map_err(|_| NotHeard::Shapeless)
    }

    /// What a rule of the helpdesk's was made to send, in our own form:
    /// `{"frontdesk": "call_ended", "ticket": "12", "id": "…", "user": "7"}`. None
    /// when the body has another.
    pub(super) fn rule(&self, us: &str) -> Result<Option<Heard>, NotHeard> {
        let body: Value = self.json()?;
        let Some(word) = body.get("frontdesk") else { return Ok(None) };
        let what = word.as_str().and_then(Happened::parse).ok_or(NotHeard::Shapeless)?;
        let ticket = text_of(&body["ticket"]).ok_or(NotHeard::Shapeless)?;
        let by_us = text_of(&body["user"]).is_some_and(|user| user == us);
        Ok(Some(Heard { id: text_of(&body["id"]), ticket, what, by_us }))
    }
}

/// A text, or a number as one.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(headers: &'a HeaderMap, body: &'a [u8], secret: &'a [u8]) -> Told<'a> {
        Told { headers, body, secret, now_ms: 1_000_000 }
    }

    /// RFC 2202, test case 2, and RFC 4231, test case 2.
    #[test]
    fn a_signature_is_known_in_every_spelling() {
        let (headers, body) = (HeaderMap::new(), b"what do ya want for nothing?");
        let told = told(&headers, body, b"Jefe");
        let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        for (how, given) in [(Signed::Sha1Hex, sha1.to_owned()), (Signed::Sha256Hex, sha256.to_owned())] {
            assert_eq!(told.is_signed(how, &[&body[..4], &body[4..]], &given), Ok(()));
            assert_eq!(told.is_signed(how, &[body], &given[2..]), Err(NotHeard::Forged));
            assert_eq!(told.is_signed(how, &[body], "€"), Err(NotHeard::Forged));
        }
        for (how, hex) in [(Signed::Sha1Base64, sha1), (Signed::Sha256Base64, sha256)] {
            assert_eq!(told.is_signed(how, &[body], &STANDARD.encode(unhex(hex).unwrap())), Ok(()));
            assert_eq!(
                told.is_signed(how, &[body, b"x"], &STANDARD.encode(unhex(hex).unwrap())),
                Err(NotHeard::Forged)
            );
        }
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        let headers = HeaderMap::from_iter([("x-token".parse().unwrap(), "".parse().unwrap())]);
        let nobody = told(&headers, b"{}", b"");
        let mac = Hmac::<Sha256>::new_from_slice(b"").unwrap().chain_update(b"{}").finalize().into_bytes();
        assert_eq!(nobody.is_signed(Signed::Sha256Base64, &[b"{}"], &STANDARD.encode(mac)), Err(NotHeard::Forged));
        assert_eq!(nobody.bears_secret("x-token"), Err(NotHeard::Forged));
    }

    #[test]
    fn a_rule_says_what_happened_in_our_words() {
        let headers = HeaderMap::from_iter([("x-token".parse().unwrap(), "open sesame".parse().unwrap())]);
        let body = br#"{"frontdesk": "call_ended", "ticket": 12, "id": "e1", "user": "7"}"#;
        let rule = told(&headers, body, b"open sesame");
        assert_eq!((rule.bears_secret("x-token"), rule.bears_secret("x-none")), (Ok(()), Err(NotHeard::Unsigned)));
        let heard = rule.rule("7").unwrap().unwrap();
        assert_eq!((heard.what, heard.ticket.as_str(), heard.by_us), (Happened::CallEnded, "12", true));
        for body in [&br#"{"frontdesk": "rm", "ticket": 12}"#[..], b"[", br#"{"frontdesk": "solved"}"#] {
            assert_eq!(told(&headers, body, b"x").rule("7"), Err(NotHeard::Shapeless));
        }
    }

    #[test]
    fn an_old_time_is_not_now() {
        let headers = HeaderMap::new();
        let told = told(&headers, b"", b"x");
        assert_eq!((told.is_now(700_000), told.is_now(699_999)), (Ok(()), Err(NotHeard::Late)));
        assert_eq!(told.is_now(i64::MIN), Err(NotHeard::Late));
    }
}
