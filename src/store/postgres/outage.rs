//! Whether the database is away, and the two lines in the log that say so: one
//! when it begins, one when it is over, however many units fail in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// It is over when nothing has failed for so long: while connections come and
/// go, each of them is no news.
const CALM_AFTER: Duration = Duration::from_secs(2);

/// Shared by all connections of a process.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Whether there is one: the only thing that good times look at.
    is_on: AtomicBool,
    told: Mutex<Option<Told>>,
}

#[derive(Debug)]
struct Told {
    since: Instant,
    last: Instant,
    failed: u64,
}

impl Outage {
    /// Something failed. Says so when it is the first.
    pub(super) fn failed(&self, error: &StoreError) {
        if !error.is_outage() {
            return;
        }
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *told {
            Some(told) => {
                told.last = now;
                told.failed += 1;
            }
            None => {
                *told = Some(Told { since: now, last: now, failed: 1 });
                self.is_on.store(true, Ordering::Release);
                tracing::error!(%error, "the database is away; deliveries are answered with 503, and work waits for it");
            }
        }
    }

    /// Something was committed. Says so when that is news.
    pub(super) fn worked(&self) {
        if !self.is_on.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = told.take_if(|told| told.last.elapsed() >= CALM_AFTER) {
            self.is_on.store(false, Ordering::Release);
            let away_ms = u64::try_from((over.last - over.since).as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(away_ms, failed = over.failed, "the database is back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> StoreError {
        StoreError::Unreachable("gone".to_owned())
    }

    #[test]
    fn a_success_between_failures_does_not_end_an_outage() {
        let outage = Outage::default();
        outage.failed(&gone());
        outage.worked();
        outage.failed(&gone());
        assert_eq!(
            outage.told.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|told| told.failed),
            Some(2)
        );
        assert!(outage.is_on.load(Ordering::Acquire));
    }

    #[test]
    fn what_concerns_one_unit_is_no_outage() {
        let outage = Outage::default();
        outage.failed(&StoreError::Postgres { code: "23505".to_owned(), text: String::new() });
        assert!(!outage.is_on.load(Ordering::Acquire));
    }
}
