//! The headers of OpenAI's answers that matter to us (names as in OpenAI's SDKs).

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Nobody is taken at their word for longer than an hour.
const MAX_QUIET_MS: i64 = 3_600_000;

/// `x-request-id`, if it is a plain word.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = text(headers, "x-request-id")?;
    let plain = !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic());
    plain.then(|| id.to_owned())
}

/// When OpenAI advises to ask again, in milliseconds.
pub(super) fn poll_after_ms(headers: &HeaderMap) -> Option<i64> {
    milliseconds(text(headers, "openai-poll-after-ms")?, 1.0)
}

/// How long OpenAI asks us to be quiet, in milliseconds.
pub(super) fn retry_after_ms(headers: &HeaderMap) -> Option<i64> {
    let precise = text(headers, "retry-after-ms").and_then(|ms| milliseconds(ms, 1.0));
    precise.or_else(|| {
        let after = text(headers, RETRY_AFTER.as_str())?;
        milliseconds(after, 1000.0).or_else(|| until(headers, after))
    })
}

/// What OpenAI says about trying again, when it says something.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match text(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// When OpenAI gave the answer, by its own clock, in milliseconds.
pub(super) fn date_ms(headers: &HeaderMap) -> Option<i64> {
    rfc2822::parse(text(headers, DATE.as_str())?).ok().map(|zoned| zoned.timestamp().as_millisecond())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn milliseconds(number: &str, factor: f64) -> Option<i64> {
    let number: f64 = number.parse().ok()?;
    // The cast drops the fraction, and both ends are set before it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let ms = (number * factor).clamp(0.0, MAX_QUIET_MS as f64) as i64;
    number.is_finite().then_some(ms)
}

/// From the answer's own `Date` to this date, so that our clock, which may be
/// off, plays no part.
fn until(headers: &HeaderMap, date: &str) -> Option<i64> {
    let parse = |date: &str| -> Option<Timestamp> { rfc2822::parse(date).ok().map(|zoned| zoned.timestamp()) };
    let then = parse(date)?.as_millisecond();
    let now = parse(text(headers, DATE.as_str())?)?.as_millisecond();
    Some(then.saturating_sub(now).clamp(0, MAX_QUIET_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    fn headers(lines: Lines) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn quiet_is_read_in_milliseconds_seconds_and_dates() {
        const DATE: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
        let table: [(Lines, Option<i64>); 9] = [
            (&[("retry-after-ms", "1500"), ("retry-after", "9")], Some(1500)),
            (&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9000)),
            (&[("retry-after", "0.25")], Some(250)),
            (&[("retry-after", "-1")], Some(0)),
            (&[("retry-after", "999999999999")], Some(3_600_000)),
            (&[("retry-after", "inf")], None),
            (&[("date", DATE), ("retry-after", "Wed, 21 Oct 2026 07:28:42 GMT")], Some(42_000)),
            (&[("date", DATE), ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")], Some(0)),
            (&[("retry-after", "Wed, 21 Oct 2026 07:28:42 GMT")], None),
        ];
        for (lines, expected) in table {
            assert_eq!(retry_after_ms(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn other_headers_are_taken_only_when_they_are_plain() {
        let read = headers(&[("x-request-id", "req_1"), ("x-should-retry", "false"), ("openai-poll-after-ms", "2500")]);
        assert_eq!(request_id(&read).as_deref(), Some("req_1"));
        assert_eq!(should_retry(&read), Some(false));
        assert_eq!(poll_after_ms(&read), Some(2500));
        let odd = headers(&[("x-request-id", "a b"), ("x-should-retry", "maybe")]);
        assert_eq!(request_id(&odd), None);
        assert_eq!(should_retry(&odd), None);
        assert_eq!(poll_after_ms(&odd), None);
    }
}
