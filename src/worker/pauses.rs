//! Heeds what people have paused. A paused job waits; it loses no attempt, and
//! goes on by itself when the pause ends.

use std::sync::{Mutex, PoisonError};

use super::Worker;
use crate::domain::failure::{Cause, Failure};
use crate::store::{Pausable, Pause, StoreError};

/// A paused job is looked at again after this long at most, in ms; `resume`
/// releases it at once.
const LOOK_AGAIN_MS: i64 = 600_000;

/// What is paused, as of the last claim.
#[derive(Default)]
pub(super) struct Pauses(Mutex<Vec<Pause>>);

impl Worker {
    /// Reads the pauses; asked with every claim.
    pub(super) async fn refresh_pauses(&self) -> Result<(), StoreError> {
        let pauses = self.store.pauses().await?;
        *self.pauses.0.lock().unwrap_or_else(PoisonError::into_inner) = pauses;
        Ok(())
    }

    /// Refuses to go on while the workflow or the helpdesk is paused.
    pub(super) fn must_not_be_paused(&self, workflow: Option<&str>) -> Result<(), Failure> {
        self.heed(|what| match what {
            Pausable::Workflow(name) => Some(name.as_str()) == workflow,
            Pausable::Helpdesk => true,
            Pausable::OpenAi => false,
        })
    }

    /// Refuses to go on while calls to OpenAI are paused.
    pub(super) fn openai_must_not_be_paused(&self) -> Result<(), Failure> {
        self.heed(|what| *what == Pausable::OpenAi)
    }

    fn heed(&self, concerns: impl Fn(&Pausable) -> bool) -> Result<(), Failure> {
        let pauses = self.pauses.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pauses.iter().find(|pause| concerns(&pause.what)) {
            None => Ok(()),
            Some(pause) => {
                let (kind, name) = pause.what.words();
                Err(Failure::Retryable {
                    cause: Cause::Paused,
                    detail: format!("{kind} {name} is paused by {}", pause.actor),
                    retry_after_ms: Some(LOOK_AGAIN_MS),
                })
            }
        }
    }
}
