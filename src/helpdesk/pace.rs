//! How fast a helpdesk is asked, for all who ask it in this process: no faster than
//! the settings say, and as it says itself. Its answers tell how many requests are
//! left until when, whoever made the others; a share of those is left to people.

use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderMap;

/// How many of ten requests that the helpdesk allows we leave to others.
const LEFT_TO_OTHERS: i64 = 1;
/// Longest time that is believed to the end of a limit, in ms.
const MAX_WINDOW_MS: i64 = 3_600_000;
/// A number of seconds this large is a date.
const DATE_S: f64 = 1_000_000_000.0;

/// What the headers of helpdesks are called that say how many requests are left, how
/// many there are, and when it begins anew (in seconds from now, or as a date).
const SPELLINGS: [(&str, &str, &str); 4] = [
    ("ratelimit-remaining", "ratelimit-limit", "ratelimit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset"),
    ("x-ratelimit-remaining-minute", "x-ratelimit-limit-minute", "x-ratelimit-retry-after"),
    ("x-rate-limit-remaining", "x-rate-limit", "x-rate-limit-reset"),
];

/// When a helpdesk does not say when a limit begins anew: it is by the minute, in ms.
const MINUTE_MS: i64 = 60_000;

/// What is known of how fast the helpdesk may be asked.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: Option<u32>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// Nothing is asked before that.
    quiet_until_ms: i64,
    /// Requests that our own limit leaves, and when that was counted.
    tokens: f64,
    counted_at_ms: i64,
    /// Requests that the helpdesk leaves us, until then.
    left: Option<(i64, i64)>,
}

impl Pace {
    /// `per_minute`: no more than so many requests; they may come together.
    pub(super) fn new(per_minute: Option<u32>) -> Pace {
        let tokens = f64::from(per_minute.unwrap_or_default());
        Pace { per_minute, known: Mutex::new(Known { quiet_until_ms: 0, tokens, counted_at_ms: 0, left: None }) }
    }

    /// Takes one request.
    ///
    /// # Errors
    /// When none may be made; with how long to wait, in ms.
    pub(super) fn take(&self, now_ms: i64) -> Result<(), i64> {
        let mut known = self.known();
        if known.quiet_until_ms > now_ms {
            return Err(known.quiet_until_ms - now_ms);
        }
        known.left = known.left.filter(|(_, until_ms)| *until_ms > now_ms);
        if let Some((left, until_ms)) = known.left
            && left <= 0
        {
            return Err(until_ms - now_ms);
        }
        if let Some(per_minute) = self.per_minute {
            known.refill(f64::from(per_minute), now_ms);
            if known.tokens < 1.0 {
                return Err(wait_ms(1.0 - known.tokens, f64::from(per_minute)));
            }
            known.tokens -= 1.0;
        }
        known.left = known.left.map(|(left, until_ms)| (left - 1, until_ms));
        Ok(())
    }

    /// Nothing is asked before that. What was said before counts if it is later.
    pub(super) fn quiet_until(&self, until_ms: i64) {
        let mut known = self.known();
        known.quiet_until_ms = known.quiet_until_ms.max(until_ms);
    }

    /// What an answer says of what is left.
    pub(super) fn heard(&self, headers: &HeaderMap, now_ms: i64) {
        if let Some(left) = left_by(headers, now_ms) {
            self.known().left = Some(left);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn refill(&mut self, per_minute: f64, now_ms: i64) {
        #[allow(clippy::cast_precision_loss, reason = "times between requests are far below 2^52 ms")]
        let minutes = (now_ms - self.counted_at_ms).max(0) as f64 / MINUTE_MS as f64;
        self.tokens = (self.tokens + minutes * per_minute).min(per_minute);
        self.counted_at_ms = now_ms;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "at most a minute")]
fn wait_ms(tokens: f64, per_minute: f64) -> i64 {
    #[allow(clippy::cast_precision_loss, reason = "a minute")]
    let ms = tokens / per_minute * MINUTE_MS as f64;
    ms.ceil() as i64
}

/// How many requests are ours until when, if the headers say so.
fn left_by(headers: &HeaderMap, now_ms: i64) -> Option<(i64, i64)> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    SPELLINGS.iter().find_map(|(remaining, limit, reset)| {
        let (remaining, limit) = (whole(number(remaining)?), number(limit).map_or(0, whole));
        let window_ms = match number(reset) {
            Some(at_s) if at_s >= DATE_S => whole(at_s * 1000.0) - now_ms,
            Some(in_s) => whole(in_s * 1000.0),
            None => MINUTE_MS,
        };
        Some((remaining - limit * LEFT_TO_OTHERS / 10, now_ms + window_ms.clamp(0, MAX_WINDOW_MS)))
    })
}

#[allow(clippy::cast_possible_truncation, reason = "saturates, and is bounded where it is used")]
fn whole(number: f64) -> i64 {
    (number as i64).clamp(-1_000_000_000_000_000, 1_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_later_end_of_quiet_counts() {
        let pace = Pace::new(None);
        assert_eq!(pace.take(0), Ok(()));
        pace.quiet_until(100);
        pace.quiet_until(50);
        assert_eq!((pace.take(40), pace.take(100)), (Err(60), Ok(())));
    }

    #[test]
    fn no_more_than_our_own_limit_is_asked_and_what_was_not_used_does_not_pile_up() {
        let pace = Pace::new(Some(3));
        assert_eq!([0; 4].map(|at| pace.take(at)), [Ok(()), Ok(()), Ok(()), Err(20_000)]);
        assert_eq!([10_000, 20_000, 20_001].map(|at| pace.take(at)), [Err(10_000), Ok(()), Err(19_999)]);
        assert_eq!([9_000_000; 4].map(|at| pace.take(at)), [Ok(()), Ok(()), Ok(()), Err(20_000)]);
    }

    #[test]
    fn what_the_helpdesk_says_is_left_is_used_up_but_for_a_tenth_and_then_waited_for() {
        let pace = Pace::new(None);
        let said = [("x-ratelimit-remaining", "12"), ("x-ratelimit-limit", "100"), ("x-ratelimit-reset", "30")];
        pace.heard(&headers(&said), 1_000);
        assert_eq!([1_000; 3].map(|at| pace.take(at)), [Ok(()), Ok(()), Err(30_000)]);
        assert_eq!((pace.take(30_999), pace.take(31_000)), (Err(1), Ok(())));
    }

    #[test]
    fn every_helpdesk_spells_it_its_own_way() {
        let now_ms = 1_800_000_000_000;
        for (said, left) in [
            (&[("ratelimit-remaining", "5"), ("ratelimit-reset", "7")][..], Some((5, now_ms + 7_000))),
            (&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "1800000009")], Some((5, now_ms + 9_000))),
            (&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "1800000009.5")], Some((5, now_ms + 9_500))),
            (&[("x-ratelimit-remaining-minute", "5"), ("x-ratelimit-retry-after", "3")], Some((5, now_ms + 3_000))),
            (&[("x-rate-limit-remaining", "5"), ("x-rate-limit", "40")], Some((1, now_ms + MINUTE_MS))),
            (&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "1e300")], Some((5, now_ms + MAX_WINDOW_MS))),
            (&[("x-ratelimit-remaining", "NaN")], None),
            (&[("x-ratelimit-reset", "5")], None),
        ] {
            assert_eq!(left_by(&headers(said), now_ms), left, "{said:?}");
        }
    }
}
