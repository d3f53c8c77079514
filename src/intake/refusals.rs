//! Refused requests: counted, explained to the operator, never stored as
//! events. An attacker can make us count, but not write: the counts go to the
//! database and the log once a second at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::explain::explain;
use crate::domain::verify::{Refusal, Verifier};
use crate::store::{RefusalTally, Store};
use crate::telemetry::{Metrics, trouble};

const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Explaining costs some hashing, so only so many are explained between two writes.
const EXPLAINED_A_ROUND: u32 = 20;

/// Counts since the last write.
pub struct Refusals {
    store: Store,
    metrics: Arc<Metrics>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    tallies: HashMap<(String, &'static str), RefusalTally>,
    explained: u32,
}

impl Refusals {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Refusals {
        Refusals { store, metrics, waiting: Mutex::default() }
    }

    /// Counts a request that was not verified, and finds out why.
    #[allow(clippy::too_many_arguments, reason = "all of the request is needed to explain it")]
    pub(super) fn explain(
        &self,
        project: &str,
        verifier: &Verifier,
        headers: &HeaderMap,
        body: &[u8],
        now_ms: i64,
        refusal: &Refusal,
        matched_before: bool,
    ) {
        let in_full = {
            let mut waiting = self.waiting();
            waiting.explained += 1;
            waiting.explained <= EXPLAINED_A_ROUND
        };
        if in_full {
            let explanation = explain(verifier, headers, body, now_ms.div_euclid(1000), refusal, matched_before);
            self.add(project, explanation.code, explanation.text, now_ms);
        } else {
            self.add(project, refusal.code(), refusal.to_string(), now_ms);
        }
    }

    /// Counts one refusal.
    pub(super) fn add(&self, project: &str, code: &'static str, explanation: String, now_ms: i64) {
        self.metrics.refused(code);
        let mut waiting = self.waiting();
        let tally = waiting.tallies.entry((project.to_owned(), code)).or_insert_with(|| RefusalTally {
            project: project.to_owned(),
            code,
            count: 0,
            last_at_ms: now_ms,
            explanation: String::new(),
        });
        tally.count += 1;
        tally.last_at_ms = now_ms;
        tally.explanation = explanation;
    }

    /// Writes the counts down every so often, until told to stop.
    pub async fn write_until(self: Arc<Refusals>, stop: CancellationToken) {
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(WRITE_EVERY) => false,
            };
            self.write().await;
            if stopping {
                return;
            }
        }
    }

    /// Writes the counts down now.
    pub async fn write(&self) {
        let tallies: Vec<RefusalTally> = {
            let mut waiting = self.waiting();
            waiting.explained = 0;
            waiting.tallies.drain().map(|(_, tally)| tally).collect()
        };
        if tallies.is_empty() {
            return;
        }
        for tally in &tallies {
            tracing::warn!(
                project = tally.project,
                code = tally.code,
                count = tally.count,
                why = tally.explanation,
                "requests refused"
            );
        }
        if let Err(error) = self.store.add_refusals(tallies).await {
            trouble!(error, "refusals could not be written down; they are in the log and in the metrics");
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
