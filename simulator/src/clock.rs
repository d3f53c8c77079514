//! The one place that reads the machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the Unix epoch.
#[allow(clippy::disallowed_methods, reason = "the simulator's only look at the clock; everything else calls this")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole Unix seconds, as OpenAI writes its times.
pub(crate) fn now_s() -> i64 {
    i64::try_from(now().as_secs()).unwrap_or(i64::MAX)
}
