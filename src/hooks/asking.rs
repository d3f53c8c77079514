//! Asks helpdesks that tell once and never again what has happened since.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Hooks;
use crate::helpdesk::HelpdeskError;
use crate::store::{Duty, StoreError};
use crate::telemetry::trouble;

/// What happened so much earlier is asked for again, in ms: clocks differ, and what
/// was known already starts nothing.
const AGAIN_MS: i64 = 120_000;
/// A lease outlives the time to the next look by this, in ms.
const LEASE_MS: i64 = 60_000;

/// Asks every so often until told to stop. One process asks for all.
pub async fn ask_until(hooks: Arc<Hooks>, name: String, every: Duration, stop: CancellationToken) {
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let looks = async {
        loop {
            let lease_ms = every_ms.saturating_add(LEASE_MS);
            match hooks.store.lead(Duty::Helpdesk, name.clone(), lease_ms, hooks.clock.now_ms()).await {
                Ok(true) => hooks.ask().await,
                Ok(false) => {}
                Err(error) => trouble!(error, "nobody knows who asks the helpdesk; it will be tried again"),
            }
            tokio::time::sleep(every).await;
        }
    };
    stop.run_until_cancelled(looks).await;
}

impl Hooks {
    /// Asks once, and says so when that did not work.
    pub async fn ask(&self) {
        match self.ask_once().await {
            Ok(taken) => tracing::debug!(taken, "the helpdesk was asked for what happened"),
            Err(AskError::Helpdesk(error)) => {
                tracing::warn!(%error, "the helpdesk could not be asked for what happened; it will be asked again");
            }
            Err(AskError::Store(error)) => {
                trouble!(error, "what the helpdesk says happened could not be stored; it will be asked again");
            }
        }
    }

    /// Asks for all since the last time. The first time nothing is asked for: work
    /// begins with what happens from then on.
    async fn ask_once(&self) -> Result<usize, AskError> {
        let (now_ms, asked_ms) = (self.clock.now_ms(), self.store.helpdesk_asked().await?);
        let mut taken = 0;
        if asked_ms > 0 {
            for happening in self.desk.happened(asked_ms - AGAIN_MS).await? {
                let otherwise =
                    format!("{}/{}/{}", happening.heard.what.word(), happening.heard.ticket, happening.at_ms);
                self.take_in(happening.heard, &otherwise, Some(happening.at_ms)).await?;
                taken += 1;
            }
        }
        self.store.set_helpdesk_asked(now_ms).await?;
        Ok(taken)
    }
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Helpdesk(#[from] HelpdeskError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
