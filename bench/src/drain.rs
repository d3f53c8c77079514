//! How fast a backlog is worked off: deliveries are acknowledged with no worker running, then the
//! workers start and the clock runs until the last job is applied to its ticket.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::Options;
use crate::cost::Cost;
use crate::delivery::Deliveries;
use crate::load::{self, Until};
use crate::results::Results;
use crate::stack::Desk;

/// The metric's name.
pub const METRIC: &str = "drain of a backlog";

/// Between two looks at the progress: counting costs the stack something, so looks are rare until
/// the end is near.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// How long a drain may stand still before it counts as stuck.
const STUCK: Duration = Duration::from_secs(60);

/// Measures one stack; every ticket gets one delivery.
pub fn measure(desk: &mut dyn Desk, options: &Options, results: &mut Results) -> Result<()> {
    let (system, jobs) = (desk.system(), options.tickets);
    desk.reset()?;
    desk.start_intake()?;
    let source = Arc::new(Deliveries::new(3, jobs));
    fill(desk, &source, jobs)?;
    let cost = Cost::start(&desk.components())?;
    let begin = desk.start_workers()?;
    wait_processed(desk, jobs)?;
    let elapsed = begin.elapsed().as_secs_f64();
    cost.finish(&desk.components(), jobs, "a drained job", system, results)?;
    results.add(METRIC, "jobs/s", system, jobs as f64 / elapsed);
    desk.reader().check_spread(jobs)?;
    desk.stop()
}

/// Has `jobs` deliveries acknowledged.
pub fn fill(desk: &dyn Desk, source: &Arc<Deliveries>, jobs: u64) -> Result<()> {
    let filled = load::closed(&desk.addresses(), source, 32, Until::Sent(jobs))?;
    ensure!(filled.acknowledged == jobs, "{} refused {} deliveries", desk.system(), filled.refused);
    Ok(())
}

/// Waits until the stack counts `jobs` deliveries as done.
pub fn wait_processed(desk: &mut dyn Desk, jobs: u64) -> Result<()> {
    let (begin, first) = (Instant::now(), desk.processed()?);
    let (mut last, mut moved) = (first, begin);
    while last < jobs {
        thread::sleep(pause(last - first, jobs - last, begin.elapsed()));
        let done = desk.processed()?;
        if done > last {
            (last, moved) = (done, Instant::now());
        }
        ensure!(moved.elapsed() < STUCK, "{}: stuck at {last} of {jobs} jobs", desk.system());
    }
    Ok(())
}

/// Half of the time that the rest will take at the pace so far, within bounds.
fn pause(done: u64, left: u64, elapsed: Duration) -> Duration {
    if done == 0 {
        return LOOK.0;
    }
    let rest = elapsed.mul_f64(left as f64 / done as f64);
    (rest / 2).clamp(LOOK.0, LOOK.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_rare_at_first_and_frequent_at_the_end() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(100, 10_000, second), LOOK.1);
        assert_eq!(pause(10_000, 1, second), LOOK.0);
        assert_eq!(pause(100, 40, second), Duration::from_millis(200));
    }
}
