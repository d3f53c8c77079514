//! How fast a helpdesk is asked: as it says itself, for all who ask it in this process.

use std::sync::Mutex;

/// What the helpdesk has said last.
#[derive(Debug, Default)]
pub(super) struct Pace {
    quiet_until_ms: Mutex<i64>,
}

impl Pace {
    /// How long nothing may be asked, in ms from now; none when it may.
    pub(super) fn wait_ms(&self, now_ms: i64) -> Option<i64> {
        let until = *self.quiet_until_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (until > now_ms).then_some(until - now_ms)
    }

    /// Nothing is asked before that. What was said before counts if it is later.
    pub(super) fn quiet_until(&self, until_ms: i64) {
        let mut quiet = self.quiet_until_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *quiet = (*quiet).max(until_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn the_later_end_of_quiet_counts() {
        let pace = Pace::default();
        assert_eq!(pace.wait_ms(0), None);
        pace.quiet_until(100);
        pace.quiet_until(50);
        assert_eq!((pace.wait_ms(40), pace.wait_ms(100)), (Some(60), None));
    }
}
