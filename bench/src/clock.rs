//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, for `webhook-timestamp`.
#[allow(clippy::disallowed_methods, reason = "signatures carry the real time; durations use `Instant`")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
