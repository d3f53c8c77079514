//! How batches are cut, looked at and applied.

use serde::Deserialize;

use super::{ConfigError, wrong};
use crate::domain::batch::{Changed, Rules};

/// What tunes batches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each is explained in config.example.toml")]
pub struct Batch {
    pub preview_over: i64,
    pub drift: f64,
    pub changed: Changed,
    pub requeue: bool,
    pub pace: i64,
    pub window: i64,
    pub stop_after: i64,
}

impl Batch {
    /// As the back office takes it.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let Batch { preview_over, drift, changed, requeue, pace, window, stop_after } = *self;
        Rules { preview_over, drift, changed, requeue, pace, window, stop_after }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let rules = [
            (self.preview_over >= 0, "batch.preview_over must not be negative"),
            ((0.0..=1.0).contains(&self.drift), "batch.drift is a share between 0 and 1"),
            ((0..=60_000).contains(&self.pace), "batch.pace is lines a minute, at most 60000; 0 for no limit"),
            ((1..=5000).contains(&self.window), "batch.window must be between 1 and 5000"),
            (self.stop_after >= 1, "batch.stop_after must be at least 1"),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, text)| Err(wrong(*text)))
    }
}
