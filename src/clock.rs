//! The only place that reads the time. Everything else takes a [`Clock`] or a
//! plain number of milliseconds, so that tests never wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test moves by hand.
    Hand(HandClock),
    /// The clock of the database server that several processes share.
    Database(Arc<ServerTime>),
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn at(now_ms: i64) -> HandClock {
        HandClock(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Moves the clock on by `by_ms` milliseconds.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

/// Another machine's time, counted on by this process's steady clock between two
/// comparisons; this machine's own clock plays no part.
#[derive(Debug)]
pub struct ServerTime {
    started: Instant,
    /// What to add to the ms since then.
    offset_ms: AtomicI64,
}

impl ServerTime {
    /// A time that has not been compared yet.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "one that was not compared is of no use")]
    pub fn new() -> ServerTime {
        ServerTime { started: Instant::now(), offset_ms: AtomicI64::new(0) }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.since_start_ms() + self.offset_ms.load(Ordering::Relaxed)
    }

    /// The other machine was asked and said `theirs_ms`; the answer took `took`.
    pub fn compare(&self, theirs_ms: i64, took: Duration) {
        let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(0);
        self.offset_ms.store(theirs_ms + half_ms - self.since_start_ms(), Ordering::Relaxed);
    }

    fn since_start_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Clock::System => system_now_ms(),
            Clock::Hand(clock) => clock.0.load(Ordering::SeqCst),
            Clock::Database(time) => time.now_ms(),
        }
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn system_now_ms() -> i64 {
    // A machine set before 1970 reads as 0: every signature is then refused as
    // too new, which names the fault.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A time as people and the API read it: RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => "out-of-range".to_owned(),
    }
}

/// The time that RFC 3339 text names, in milliseconds since the epoch.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
