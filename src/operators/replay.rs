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
            let step = store.to_replay(self.window.clone(), after, STEP).await?;
            would.add(&step.would);
            match step.next {
                Some(next) => after = next,
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
            let step = store.to_replay(self.window.clone(), after, STEP).await?;
            if !step.order.is_empty() {
                done.add(&store.replay(number, step.order, *all, clock.now_ms()).await?);
                progress(&done);
            }
            match step.next {
                Some(next) => after = next,
                None => return Ok(done),
            }
        }
    }
}
