//! The back office: claim → retrieve → place → decide → apply → settle, a file
//! for each step. `attempt` is the whole story of one job.

mod apply;
mod approve;
mod attempt;
mod batch;
mod decide;
mod gate;
mod janitor;
mod leading;
mod pauses;
mod place;
mod pool;
mod reconcile;
mod retrieve;
mod schedules;
mod settle;
mod start;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use attempt::Step;
pub use batch::Limits;
pub use janitor::Keeping;
pub use pool::Pool;

use crate::clock::Clock;
use crate::domain::batch::Rules;
use crate::domain::batch::schedule::Schedule;
use crate::domain::job::RetryPolicy;
use crate::domain::policy::Policy;
use crate::domain::submission::{MetadataKeys, Patience};
use crate::helpdesk::Helpdesk;
use crate::openai;
use crate::store::Store;
use crate::submit::Submitter;
use crate::telemetry::Metrics;
use crate::workflows::Catalogue;
use gate::Gate;
use pauses::Pauses;

/// What tunes the back office.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shown to people as the holder of a lease.
    pub name: String,
    /// How long a claimed job is ours without a word, in ms.
    pub lease_ms: i64,
    /// How often leases are extended, in ms.
    pub heartbeat_ms: i64,
    /// Jobs at once.
    pub concurrency: usize,
    /// How often the queue is looked at when nothing rings, in ms.
    pub poll_ms: i64,
    /// How long a stopping worker waits for its jobs, in ms.
    pub drain_ms: i64,
    /// How failed attempts are spaced.
    pub retry: RetryPolicy,
    /// First wait before trying again whether OpenAI accepts us, in ms.
    pub probe_first_ms: i64,
    /// Longest such wait, in ms.
    pub probe_max_ms: i64,
    /// How long started work is left alone.
    pub patience: Patience,
    /// How long after a passing failure at OpenAI work is started again, in ms.
    pub resubmit_after_ms: i64,
    /// Claimable work older than this raises an alert, in ms.
    pub overdue_ms: i64,
    /// How long content is kept.
    pub keeping: Keeping,
    /// A review undecided for longer than this raises an alert, in ms.
    pub review_overdue_ms: i64,
    /// How batches are looked at and applied.
    pub batch: Rules,
    /// What OpenAI takes in one file.
    pub limits: Limits,
    /// Batches that begin by the clock.
    pub schedules: Vec<Schedule>,
    /// Metadata keys that name the ticket and the workflow of work that
    /// another program started.
    pub metadata_keys: MetadataKeys,
}

/// Everything a job needs.
pub struct Worker {
    store: Store,
    clock: Clock,
    projects: BTreeMap<String, Project>,
    helpdesk: Helpdesk,
    policy: Policy,
    workflows: Catalogue,
    submitter: Submitter,
    pauses: Pauses,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// Whose turn it is to be claimed first.
    turn: AtomicUsize,
    /// Called after each step; a test that answers `true` stops there, as a
    /// crash would.
    stop_after: Option<StopAfter>,
}

/// See [`Worker::stop_after`].
pub type StopAfter = Box<dyn Fn(Step) -> bool + Send + Sync>;

/// One OpenAI project: its key, and whether OpenAI accepts it just now.
struct Project {
    openai: openai::Client,
    gate: Gate,
}

impl Worker {
    /// A worker for these projects.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "called once, by the place that builds everything")]
    pub fn new(
        store: Store,
        clock: Clock,
        clients: BTreeMap<String, openai::Client>,
        helpdesk: Helpdesk,
        policy: Policy,
        workflows: Catalogue,
        submitter: Submitter,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Worker {
        let gate = || Gate::new(settings.probe_first_ms, settings.probe_max_ms);
        let projects = clients.into_iter().map(|(name, openai)| (name, Project { openai, gate: gate() })).collect();
        Worker {
            store,
            clock,
            projects,
            helpdesk,
            policy,
            workflows,
            submitter,
            pauses: Pauses::default(),
            settings,
            metrics,
            turn: AtomicUsize::new(0),
            stop_after: None,
        }
    }

    /// Makes the worker stop after a step, as a crash would: for tests.
    #[must_use]
    pub fn stop_after(self, stop: StopAfter) -> Worker {
        Worker { stop_after: Some(stop), ..self }
    }
}
