//! One time for all processes: the database's. A lease that one process takes
//! must end at the same moment for another, whatever their own clocks show.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::store::StoreError;
use crate::store::sql::Connection;

/// Of so many answers the quickest counts: it says most exactly when it was given.
const ASK: usize = 3;

/// The database's time, counted on by this process's steady clock between two
/// comparisons.
#[derive(Debug)]
pub struct Time {
    started: Instant,
    /// What to add to the ms since then.
    offset_ms: AtomicI64,
}

impl Time {
    /// Asks for the time once.
    pub(super) fn of(connection: &Connection) -> Result<Time, StoreError> {
        let time = Time { started: Instant::now(), offset_ms: AtomicI64::new(0) };
        time.compare(connection)?;
        Ok(time)
    }

    /// In ms since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.since_start_ms() + self.offset_ms.load(Ordering::Relaxed)
    }

    fn since_start_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Sees how the two clocks stand to each other.
    pub(super) fn compare(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut best: Option<(Duration, i64)> = None;
        for _ in 0..ASK {
            let (asked, before_ms) = (Instant::now(), self.since_start_ms());
            let Some(theirs_ms) = connection.time_ms()? else { return Ok(()) };
            let took = asked.elapsed();
            let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(0);
            if best.is_none_or(|(quickest, _)| took < quickest) {
                best = Some((took, theirs_ms - before_ms - half_ms));
            }
        }
        if let Some((_, offset_ms)) = best {
            self.offset_ms.store(offset_ms, Ordering::Relaxed);
        }
        Ok(())
    }
}
