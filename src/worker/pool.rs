//! Claims jobs and keeps as many at work as may be.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::Allowance;
use super::{Project, Worker};
use crate::store::{Claim, ClaimedJob, StoreError, Which};
use crate::telemetry::trouble;

/// The running workers of one process.
pub struct Pool {
    worker: Arc<Worker>,
    /// Jobs at work: id and claim.
    running: Mutex<HashSet<(i64, i64)>>,
    /// Rung when enough jobs have ended to claim some more.
    room: Notify,
}

impl Pool {
    /// A pool for this worker.
    #[must_use]
    pub fn new(worker: Worker) -> Arc<Pool> {
        Arc::new(Pool { worker: Arc::new(worker), running: Mutex::default(), room: Notify::new() })
    }

    /// Works until told to stop, then waits for what is at work, for as long as
    /// the settings allow. What is not done by then is claimed by someone else
    /// when its lease ends.
    pub async fn run(self: Arc<Pool>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let side = CancellationToken::new();
        let heart = tokio::spawn(Arc::clone(&self).beat(side.clone()));
        let watch = tokio::spawn(Arc::clone(&self.worker).watch_age(side.clone()));
        let reconciler = tokio::spawn(Arc::clone(&self.worker).reconcile_until(stop.clone()));
        let schedules = tokio::spawn(Arc::clone(&self.worker).schedule_until(stop.clone()));
        let janitor = tokio::spawn(Arc::clone(&self.worker).tidy_until(side.clone()));
        self.claim_until(&stop, &tasks).await;
        tasks.close();
        if tokio::time::timeout(ms(self.worker.settings.drain_ms), tasks.wait()).await.is_err() {
            tracing::warn!(jobs = self.running().len(), "stopping with jobs at work; their leases will end");
        }
        side.cancel();
        let _ = tokio::join!(heart, watch, reconciler, schedules, janitor);
    }

    async fn claim_until(self: &Arc<Pool>, stop: &CancellationToken, tasks: &TaskTracker) {
        loop {
            // Listen before looking, so that nothing falls in between.
            let arrived = self.worker.store.work_arrived();
            let room = self.room.notified();
            let more = self.claim_some(tasks).await;
            let wait = ms(self.worker.settings.poll_ms);
            tokio::select! {
                () = stop.cancelled() => return,
                () = room, if more => {}
                () = arrived, if !more => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Claims as many jobs as there is room for and sets them going. True when
    /// there may be more.
    async fn claim_some(self: &Arc<Pool>, tasks: &TaskTracker) -> bool {
        let free = self.worker.settings.concurrency.saturating_sub(self.running().len());
        if free == 0 {
            return true;
        }
        let jobs = match self.worker.claim(free).await {
            Ok(jobs) => jobs,
            Err(error) => {
                trouble!(error, "jobs could not be claimed; trying again");
                return false;
            }
        };
        let more = jobs.len() >= free;
        self.running().extend(jobs.iter().map(|job| (job.id(), job.claim())));
        for job in jobs {
            tasks.spawn(Arc::clone(self).work(job));
        }
        more
    }

    async fn work(self: Arc<Pool>, job: ClaimedJob) {
        let (id, claim) = (job.id(), job.claim());
        // A panic ends this job and not the pool: its lease runs out, and on the
        // last attempt it goes to a person.
        if AssertUnwindSafe(self.worker.attempt(job)).catch_unwind().await.is_err() {
            tracing::error!(job = id, "an attempt panicked; it will be made again after the lease");
        }
        let left = {
            let mut running = self.running();
            running.remove(&(id, claim));
            running.len()
        };
        // Claims are made a quarter at a time: one by one they would cost as
        // much as the work.
        if left <= self.worker.settings.concurrency * 3 / 4 {
            self.room.notify_one();
        }
    }

    /// Extends the leases of whatever takes long.
    async fn beat(self: Arc<Pool>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ms(self.worker.settings.heartbeat_ms)) => {}
            }
            let jobs: Vec<(i64, i64)> = self.running().iter().copied().collect();
            if jobs.is_empty() {
                continue;
            }
            let until_ms = self.worker.clock.now_ms() + self.worker.settings.lease_ms;
            if let Err(error) = self.worker.store.heartbeat(jobs, until_ms).await {
                trouble!(error, "leases could not be extended");
            }
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashSet<(i64, i64)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Takes up to `free` jobs, of each project as many as its gate lets through.
    async fn claim(&self, free: usize) -> Result<Vec<ClaimedJob>, StoreError> {
        let now_ms = self.clock.now_ms();
        self.refresh_pauses().await?;
        let mut jobs = Vec::new();
        // Another project goes first each time: the backlog of one never keeps
        // the others from being seen.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.projects.len().max(1);
        for (name, project) in self.projects.iter().cycle().skip(turn).take(self.projects.len()) {
            let room = free - jobs.len();
            jobs.extend(self.claim_for(name, project, room, now_ms).await?);
        }
        Ok(jobs)
    }

    async fn claim_for(
        &self,
        name: &str,
        project: &Project,
        room: usize,
        now_ms: i64,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let allowance = project.gate.allowance(now_ms);
        let mut jobs = Vec::new();
        if allowance == Allowance::Probe && room > 0 {
            jobs = self.store.claim(self.claim_of(name, 1, Which::LongestUntried, now_ms)).await?;
            if !jobs.is_empty() {
                project.gate.probe(now_ms);
            }
        }
        let which = if allowance == Allowance::All { Which::SoonestForgotten } else { Which::WithoutOpenAi };
        let limit = room - jobs.len();
        if limit > 0 {
            jobs.extend(self.store.claim(self.claim_of(name, limit, which, now_ms)).await?);
        }
        Ok(jobs)
    }

    fn claim_of(&self, project: &str, limit: usize, which: Which, now_ms: i64) -> Claim {
        Claim {
            worker: self.settings.name.clone(),
            project: project.to_owned(),
            limit,
            which,
            lease_ms: self.settings.lease_ms,
            now_ms,
            max_attempts: self.settings.retry.attempts,
        }
    }

    /// Works until nothing is claimable, one job after the other; returns how
    /// many attempts were made. For tests: no loop, no waiting.
    ///
    /// # Errors
    /// When jobs could not be claimed.
    pub async fn work_until_idle(&self) -> Result<usize, StoreError> {
        let mut attempts = 0;
        loop {
            let jobs = self.claim(16).await?;
            if jobs.is_empty() {
                return Ok(attempts);
            }
            for job in jobs {
                attempts += 1;
                self.attempt(job).await;
            }
        }
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
