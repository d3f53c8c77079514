//! How fast a backlog is worked off: deliveries are acknowledged with no worker running, then the
//! workers start and the clock runs until the last job is applied to its ticket.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::load::{self, Until};
use crate::results::Results;
use crate::stack::Desk;

/// The metric's name.
pub const METRIC: &str = "drain of a backlog";

/// How often progress is read.
const LOOK: Duration = Duration::from_millis(50);

/// How long a drain may stand still before it counts as stuck.
const STUCK: u32 = 60_000 / 50;

/// Measures one stack; every ticket gets one delivery.
pub fn measure(desk: &mut dyn Desk, options: &Options, results: &mut Results) -> Result<()> {
    let (system, jobs) = (desk.system(), options.tickets);
    desk.reset()?;
    desk.start_intake()?;
    let source = Arc::new(Deliveries::new(3, jobs));
    let filled = load::closed(desk.address(), &source, 32, Until::Sent(jobs))?;
    ensure!(
        filled.acknowledged == jobs,
        "{system} refused {} deliveries",
        filled.refused
    );
    let cost = Cost::start(&desk.components())?;
    let begin = desk.start_workers()?;
    wait_processed(desk, jobs)?;
    let elapsed = begin.elapsed().as_secs_f64();
    cost.finish(&desk.components(), jobs, "a drained job", system, results)?;
    results.add(METRIC, "jobs/s", system, jobs as f64 / elapsed);
    desk.reader().check_spread(jobs)?;
    desk.stop()
}

/// Waits until the stack counts `jobs` deliveries as done.
pub fn wait_processed(desk: &mut dyn Desk, jobs: u64) -> Result<()> {
    let (mut last, mut still) = (0, 0);
    loop {
        let done = desk.processed()?;
        if done >= jobs {
            return Ok(());
        }
        still = if done == last { still + 1 } else { 0 };
        last = done;
        ensure!(
            still < STUCK,
            "{}: stuck at {done} of {jobs} jobs",
            desk.system()
        );
        thread::sleep(LOOK);
    }
}
