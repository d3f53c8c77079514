//! Forgets content whose time is over. It looks every so often and catches up in
//! small steps, each a short transaction of its own, so that nobody waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::store::{Content, Duty, Step, StoreError};
use crate::telemetry::trouble;

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Between two steps of catching up: others come first.
const BREATHE: Duration = Duration::from_millis(20);

/// How long content is kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Bodies of webhooks, in ms.
    pub bodies_ms: i64,
    /// Results, and the texts of changes to tickets, in ms.
    pub results_ms: i64,
    /// Content of reviews, in ms.
    pub reviews_ms: i64,
    /// Projects that keep content only while somebody works on it.
    pub ids_only: BTreeSet<String>,
}

impl Keeping {
    fn of(&self, content: Content) -> i64 {
        match content {
            Content::Bodies => self.bodies_ms,
            Content::Results | Content::Effects => self.results_ms,
            Content::Reviews => self.reviews_ms,
        }
    }
}

impl Worker {
    /// Looks every so often until told to stop.
    pub(super) async fn tidy_until(self: Arc<Worker>, stop: CancellationToken) {
        // Each step is whole or not there: it may be dropped between two.
        let looks = async {
            loop {
                let tidied = self.leading(Duty::Tidy, LOOK_EVERY, async {
                    self.tidy().await;
                    Ok(())
                });
                if let Err(error) = tidied.await {
                    trouble!(error, "nobody knows who erases old content; it will be tried again");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        stop.run_until_cancelled(looks).await;
    }

    /// One look: forgets all that is old enough.
    pub async fn tidy(&self) {
        for content in Content::ALL {
            if let Err(error) = self.tidy_kind(content).await {
                tracing::warn!(kind = content.word(), %error, "old content could not be erased; it will be tried again");
            }
        }
    }

    async fn tidy_kind(&self, content: Content) -> Result<(), StoreError> {
        let (mut erased, mut expired) = (0, 0);
        loop {
            let stepped = self.store.erase_step(self.step(content)).await?;
            erased += stepped.erased;
            expired += stepped.expired;
            if !stepped.more {
                break;
            }
            tokio::time::sleep(BREATHE).await;
        }
        if erased > 0 {
            tracing::info!(kind = content.word(), erased, expired, "old content was erased");
        }
        Ok(())
    }

    fn step(&self, content: Content) -> Step {
        let now_ms = self.clock.now_ms();
        let keeping = &self.settings.keeping;
        let ids_only = keeping.ids_only.iter().cloned().collect();
        Step { content, before_ms: now_ms - keeping.of(content), ids_only, now_ms }
    }
}
