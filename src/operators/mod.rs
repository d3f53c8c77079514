//! What operators do to many things at once: in small transactions, so that
//! nothing else waits, and so that a run that was interrupted can be repeated.

mod bulk;
mod replay;
mod together;

pub use bulk::{Bulk, BulkDone, known_cause};
pub use replay::Replay;
pub use together::{DecideTogether, DecidedTogether};

use crate::clock::parse_rfc3339;
use crate::domain::wait::Wait;

/// Rows of one transaction.
const STEP: usize = 200;

/// A point in time as an operator writes it: `2h` for two hours ago, or RFC 3339.
///
/// # Errors
/// When it is neither.
pub fn point_in_time(text: &str, now_ms: i64) -> Result<i64, String> {
    Wait::parse(text)
        .map(|ago| now_ms.saturating_sub(ago.ms()))
        .or_else(|| parse_rfc3339(text))
        .ok_or_else(|| format!("{text:?} is no time; write 2h for two hours ago, or 2026-06-11T10:15:00Z"))
}

#[cfg(test)]
mod tests {
    use super::point_in_time;

    #[test]
    fn a_point_in_time_is_so_long_ago_or_a_date_with_its_zone() {
        let now_ms = 1_780_000_000_000;
        for (text, ms) in [
            ("2h", now_ms - 7_200_000),
            ("30d", now_ms - 30 * 86_400_000),
            ("2026-06-11T10:15:00Z", 1_781_172_900_000),
            ("2026-06-11T12:15:00+02:00", 1_781_172_900_000),
        ] {
            assert_eq!(point_in_time(text, now_ms), Ok(ms), "{text}");
        }
        for text in ["", "soon", "0s", "-2h", "2026-06-11", "10:15", "99999999999999999999d"] {
            assert!(point_in_time(text, now_ms).is_err(), "{text}");
        }
    }
}
