//! Work the deliveries of a stretch of time again.

use serde_json::json;

use super::STEP;
use crate::clock::{Clock, rfc3339};
use crate::domain::job::State;
use crate::store::{Replayed, Store, StoreError, Window};

/// A stretch of time, and what is done with its deliveries.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Which deliveries.
    pub window: Window,
}

impl Replay {
    /// What would be done.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look(&self, store: &Store) -> Result<Replayed, StoreError> {
        let (mut would, mut after) = (Replayed::default(), 0);
        loop {
            let (order, more) = store.to_replay(self.window.clone(), after, STEP).await?;
            would.add(&more);
            match order.last() {
                Some(last) => after = *last,
                None => return Ok(would),
            }
        }
    }

    /// Does it. `progress` hears what is done after each step.
    ///
    /// # Errors
    /// When a step could not be committed; the steps before it are done, and
    /// doing all of it again does no harm.
    pub async fn run(
        &self,
        store: &Store,
        clock: &Clock,
        actor: &str,
        mut progress: impl FnMut(&Replayed),
    ) -> Result<Replayed, StoreError> {
        let Window { since_ms, until_ms, event_type, status, all } = &self.window;
        let asked = json!({
            "since": rfc3339(*since_ms), "until": rfc3339(*until_ms), "event_type": event_type,
            "status": status.map(State::word), "all": all,
        });
        let number = store.begin_replay(actor.to_owned(), asked, clock.now_ms()).await?;
        let (mut done, mut after) = (Replayed::default(), 0);
        loop {
            let (order, _) = store.to_replay(self.window.clone(), after, STEP).await?;
            let Some(last) = order.last().copied() else { return Ok(done) };
            done.add(&store.replay(number, order, *all, clock.now_ms()).await?);
            progress(&done);
            after = last;
        }
    }
}
